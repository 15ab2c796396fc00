"""Contract of training methods. To test a plug-in, subclass `MethodContract` and supply the fixture `method`."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

import numpy as np
import pytest
from keras import ops
from pydantic import Field, ValidationError

from tests.support.networks import DROPOUT, LINEAR
from tests.support.studies import make_study
from trainables.backends import tensorflow as tensorflow_backend
from trainables.config import RunConfig
from trainables.data import SOURCES
from trainables.engine.classifier import Classifier
from trainables.errors import InputError
from trainables.methods import METHODS, Method, Mixing
from trainables.methods.base import Kind
from trainables.registration import plugins
from trainables.registration.fields import Choice, Range

if TYPE_CHECKING:
    from trainables.methods.base import Draws, Tensor

pytestmark = pytest.mark.usefixtures("own_code")

tensorflow_backend.configure(threads=1, deterministic=True)
N, BATCH, CLASSES, EPOCHS = 24, 8, 3, 40


@pytest.fixture(scope="module")
def digits() -> dict[str, np.ndarray]:
    return SOURCES.get("digits")().load().arrays()


class MethodContract:
    """Contract of a method; subclasses supply the fixture `method`."""

    @pytest.fixture
    def method(self) -> Method:
        raise NotImplementedError

    def drawn(self, method: Method, active: bool = True, seed: int = 0) -> dict[str, np.ndarray]:
        return method.draw(np.random.default_rng(seed), N, BATCH, active)

    def applied(self, method: Method, active: bool) -> tuple[np.ndarray, ...]:
        """Return images and labels of the batches of two copies, before and after the method."""
        rng = np.random.default_rng(1)
        rows = BATCH * (1 + method.guests) if active else BATCH
        images = rng.normal(size=(2, rows, 4, 5, 1)).astype("float32")
        labels = np.eye(CLASSES, dtype="float32")[rng.integers(0, CLASSES, (2, rows))]
        parts = [self.drawn(method, active, seed) for seed in (0, 1)]
        draws = {name: np.stack([part[name][:BATCH] for part in parts]) for name in parts[0]}
        result = method.apply(images, labels, draws)
        return images[:, :BATCH], labels[:, :BATCH], *(ops.convert_to_numpy(each) for each in result)

    def test_it_is_registered_under_its_name(self, method: Method) -> None:
        kind = METHODS.get(method.model_dump()["name"])
        assert kind is type(method)
        assert kind.summary

    def test_it_is_a_frozen_value_that_can_be_serialized(self, method: Method) -> None:
        assert type(method).model_validate(json.loads(method.model_dump_json())) == method
        with pytest.raises(ValidationError, match="frozen"):
            method.name = "other"

    def test_a_run_config_round_trips_it_by_qualified_names(self, method: Method) -> None:
        name = method.model_dump()["name"]
        config = RunConfig.from_plain({"data": "digits", "method": name, **method.parameters()})
        assert config.method == method
        assert RunConfig.from_plain(config.parameters()) == config
        assert RunConfig.model_validate(json.loads(config.model_dump_json())) == config

    def test_declared_ranges_lie_within_what_validation_allows(self, method: Method) -> None:
        kind = type(method)
        for name, mark in kind.searched({}).items():
            assert name in kind.fields()
            ends = mark.options if isinstance(mark, Choice) else (mark.low, mark.high)
            for value in ends:
                whole = isinstance(mark, Range) and mark.integer
                assert kind.model_validate({"name": method.model_dump()["name"], name: int(value) if whole else value})
            if isinstance(mark, Range):
                assert mark.low < mark.high

    def test_a_field_that_is_set_is_not_searched(self, method: Method) -> None:
        kind = type(method)
        for name in kind.searched({}):
            assert name not in kind.searched({name: kind.fields()[name].default})
            assert kind.searched({name: Choice((1, 2))})[name] == Choice((1, 2))

    def test_its_default_passes_its_own_check(self, method: Method) -> None:
        method.check(EPOCHS, augmented=True)

    def test_its_cost_and_copies_are_valid(self, method: Method) -> None:
        assert method.copies >= 1
        assert method.guests >= 0
        assert method.cost >= 1
        assert method.objective.kind in get_args(Kind)
        assert method.objective.temperature > 0
        assert 1 <= method.mean_cost(EPOCHS, EPOCHS // 2) <= method.mean_cost(EPOCHS, EPOCHS) <= method.cost

    def test_draws_replay_and_are_small_arrays_with_one_row_per_example(self, method: Method) -> None:
        first, second = self.drawn(method), self.drawn(method)
        for name, value in first.items():
            assert len(value) == N
            assert value.nbytes <= 64 * N
            assert value.dtype in (np.float32, np.int32)
            assert np.array_equal(value, second[name])

    def test_draws_keep_shape_and_dtype_when_it_is_off(self, method: Method) -> None:
        on, off = self.drawn(method, active=True), self.drawn(method, active=False)
        assert {k: (v.shape, v.dtype) for k, v in on.items()} == {k: (v.shape, v.dtype) for k, v in off.items()}

    def test_when_off_it_leaves_everything_unchanged(self, method: Method) -> None:
        images, labels, new_images, new_labels = self.applied(method, active=False)
        assert np.array_equal(images, new_images)
        assert np.array_equal(labels, new_labels)

    def test_apply_is_pure_and_keeps_shapes_and_label_mass(self, method: Method) -> None:
        images, labels, new_images, new_labels = self.applied(method, active=True)
        again = self.applied(method, active=True)
        assert all(np.array_equal(*pair) for pair in zip((images, labels, new_images, new_labels), again, strict=True))
        assert (new_images.shape, new_labels.shape) == (images.shape, labels.shape)
        assert np.allclose(new_labels.sum(axis=2), 1, atol=1e-6)
        assert np.isfinite(new_images).all()

    def test_it_is_off_while_a_run_is_judged_if_it_has_a_cycle(self, method: Method) -> None:
        cycle = method.cycle(EPOCHS)
        on = [method.active(epoch, EPOCHS) for epoch in range(EPOCHS)]
        assert any(on)
        if cycle is not None:
            assert not any(on[-3:])
            assert not any(on[: cycle.start])
            assert all(not on[end - 1] for end in range(cycle.start + cycle.length, cycle.end, cycle.length))

    def test_it_trains(self, method: Method, digits: dict[str, np.ndarray]) -> None:
        plain = {"data": "digits", "model": LINEAR, "augmentation": "crop", "method": method.model_dump()}
        plain |= {"epochs": 8, "batch_size": 32, "train_fraction": 0.3, "learning_rate": 0.05}
        run = Classifier(RunConfig.from_plain(plain), digits, 10)
        metrics = [run.train_epoch() for _ in range(8)]
        assert np.isfinite(metrics[-1]["validation_loss"])
        if method.claims:
            assert metrics[-1]["validation_accuracy"] > 0.6
            assert metrics[-1]["validation_accuracy"] > metrics[0]["validation_accuracy"]


@pytest.mark.parametrize("method", [METHODS.get(name)() for name in METHODS], ids=list(METHODS), scope="class")
class TestRegisteredMethods(MethodContract):
    pass


class TestMixupOfFourFromTheWholeSet(MethodContract):
    @pytest.fixture
    def method(self) -> Method:
        fields = {"alpha": 1.0, "share": "batch", "partner": "dataset", "images": 4, "off_last": 0.25}
        return METHODS.get("mixup").model_validate({"name": "mixup", **fields})


class TestSamplePairingWithReplacement(MethodContract):
    @pytest.fixture
    def method(self) -> Method:
        return METHODS.get("sample_pairing").model_validate(
            {"name": "sample_pairing", "partner": "batch_with_replacement"}
        )


class TestSoftMaxup(MethodContract):
    @pytest.fixture
    def method(self) -> Method:
        return METHODS.get("maxup").model_validate({"name": "maxup", "reduction": "softmax", "temperature": 0.3})


class Fainter(Mixing):
    """Method of a user: less contrast."""

    summary: ClassVar[str] = "images with less contrast"
    name: str = "fainter"
    least: Annotated[float, Field(gt=0, lt=1), Range(0.2, 0.8)] = 0.5

    def draw(self, rng: np.random.Generator, n: int, batch: int, active: bool) -> Draws:
        factor = rng.uniform(self.least, 1, (n, 1)) if active else np.ones((n, 1))
        return {"factor": factor.astype("float32")}

    @staticmethod
    def apply(images: Tensor, labels: Tensor, draws: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        return images * draws["factor"][..., None, None], labels


OWN = f"{__name__}:Fainter"


class TestUserDefinedMethod(MethodContract):
    @pytest.fixture
    def method(self) -> Method:
        return METHODS.get(OWN)()


class TestCopiesOfUserDefinedMethod(MethodContract):
    @pytest.fixture
    def method(self) -> Method:
        return METHODS.get(f"maxup+{OWN}")()


def test_a_user_defined_method_has_short_names_in_a_study() -> None:
    study = make_study(
        methods=["baseline", {"name": OWN, "least": 0.4}, {"name": f"maxup+{OWN}", "Fainter.least": 0.3}]
    )
    assert [entry.label for entry in study.methods] == ["baseline", "Fainter", "maxup+Fainter"]
    assert study.methods[1].plain() == {"Fainter.least": 0.4}
    assert METHODS.get(f"maxup+{OWN}").searched({"Fainter.least": 0.3}).keys() == {"maxup.m"}


def test_an_installed_method_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("faint_for_tests", OWN, "assay.methods")
    monkeypatch.setattr("trainables.methods.registry.installed", lambda group: {"faint_for_tests": point})
    monkeypatch.setattr(plugins, "installed", lambda group: {"faint_for_tests": point})
    assert "faint_for_tests" in list(METHODS)
    assert METHODS.get("faint_for_tests")().model_dump() == {"name": "faint_for_tests", "least": 0.5}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module_here:Method", "`no_such_module_here` cannot be imported"),
        (f"{__name__}:Missing", "has no `Missing`"),
        (f"{__name__}:N", "a method is a class that inherits from"),
        (
            "maxup+maxup_mean",
            "is not a combination of methods: a combination is one of batch_max, maxup, maxup_mean, a",
        ),
        ("mixup+maxup", "is not a combination of methods"),
        ("maxup+mixup+cutmix", "is not a combination of methods"),
        ("maxup+mixip", "unknown method `mixip`. Did you mean `mixup`?"),
    ],
)
def test_names_of_no_method_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        METHODS.get(name)
    assert name not in METHODS
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        make_study(methods=["baseline", name])


def measured(run: Classifier, epochs: int) -> list[dict[str, float]]:
    rows = [run.train_epoch() for _ in range(epochs)]
    return [{key: value for key, value in row.items() if "second" not in key and "plain" not in key} for row in rows]


def start(digits: dict[str, np.ndarray], method: str = "baseline", **changes: Any) -> Classifier:
    plain = {"data": "digits", "model": DROPOUT, "augmentation": "crop", "method": method}
    plain |= {"epochs": 5, "batch_size": 32, "train_fraction": 0.2, "learning_rate": 0.05, "seed": 3}
    if "sample_pairing" in method:
        plain |= {"sample_pairing.start": 0.2, "sample_pairing.on_epochs": 1, "sample_pairing.off_epochs": 1}
    return Classifier(RunConfig.from_plain(plain | changes), digits, 10)


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("maxup+mixup", {"mixup.partner": "dataset", "mixup.off_last": 0.4}),
        ("maxup", {"maxup.reduction": "softmax", "fine_tune": 0.4, "fine_tune_off": "all"}),
        ("cutmix", {"cutmix.partner": "dataset"}),
        ("maxup_mean+noise", {"augmentation": "none"}),
        ("batch_max", {"fine_tune": 0.4}),
    ],
)
def test_a_resumed_run_equals_the_uninterrupted_one_with_dropout(
    digits: dict[str, np.ndarray], tmp_path: Any, method: str, fields: dict[str, Any]
) -> None:
    whole = start(digits, method, **fields)
    measured(whole, 1)
    whole.save(tmp_path)
    resumed = start(digits, method, **fields)
    resumed.restore(tmp_path)
    assert measured(resumed, 4) == measured(whole, 4)


@pytest.mark.parametrize("method", ["maxup", "maxup_mean", "maxup+mixup", "maxup_mean+cutmix", "soft"])
def test_one_copy_is_the_method_without_copies_bit_for_bit(digits: dict[str, np.ndarray], method: str) -> None:
    fields: dict[str, Any] = {"maxup.m": 1, "maxup_mean.m": 1}
    if method == "soft":
        method, fields = "maxup", fields | {"maxup.reduction": "softmax"}
    alone = method.partition("+")[2] or "baseline"
    assert measured(start(digits, method, **fields), 2) == measured(start(digits, alone), 2)


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("mixup", {"mixup.partner": "dataset"}),
        ("maxup", {}),
        ("maxup", {"maxup.reduction": "softmax"}),
        ("batch_max", {}),
        ("maxup+cutmix", {}),
        ("noise", {}),
    ],
)
def test_an_off_phase_is_plain_training_bit_for_bit_and_traces_nothing(
    digits: dict[str, np.ndarray], tmp_path: Any, monkeypatch: pytest.MonkeyPatch, method: str, fields: dict[str, Any]
) -> None:
    """Two runs differ while the method is on; from the same weights they agree while it is off."""
    runs = [start(digits, name, fine_tune=0.6, **extra) for name, extra in ((method, fields), ("baseline", {}))]
    on, plain = (measured(run, 2) for run in runs)
    assert on != plain
    counted: list[int] = []
    logits = type(runs[0]._network).logits
    monkeypatch.setattr(
        type(runs[0]._network), "logits", lambda *args, **kwargs: counted.append(1) or logits(*args, **kwargs)
    )
    runs[1]._state = runs[0]._state
    cost = runs[0].train_epoch()["plain_epochs"] - 2 * runs[0].config.method.cost
    assert cost == pytest.approx(1)
    runs[1].train_epoch()
    assert measured(runs[0], 2) == measured(runs[1], 2)
    assert counted == []
    batches = runs[0]._batches(3)
    assert batches["index"].shape[1:3] == (1, 1)


def test_without_any_augmentation_the_last_phase_is_that_of_none(digits: dict[str, np.ndarray]) -> None:
    runs = [
        start(digits, "maxup", fine_tune=0.6, fine_tune_off="all"),
        start(digits, "baseline", augmentation="none"),
    ]
    measured(runs[0], 2), measured(runs[1], 2)
    runs[1]._state = runs[0]._state
    one, other = (measured(run, 2) for run in runs)
    assert one[-1] == pytest.approx(other[-1], rel=1e-5)


def test_a_method_on_for_hardly_any_epoch_is_refused_with_its_fine_tuning(digits: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError, match=r"with fine_tune=0.9 the method is on for 1 of 10 epochs"):
        start(digits, "mixup", epochs=10, fine_tune=0.9).config.check_method()


def test_a_diagnostic_is_in_no_contrast() -> None:
    from search.plan.builder import make_plan

    plan = make_plan(make_study(methods=["baseline", "mixup", "batch_max"]))
    assert {method for _, method, _ in plan.contrasts} == {"mixup"}
    assert "batch_max" in {arm.method for arm in plan.arms}
    for changes in ({"reference": "batch_max"}, {"contrasts": [["mixup", "batch_max"]]}):
        with pytest.raises(InputError, match="`batch_max` is a diagnostic and makes no claims"):
            make_plan(make_study(methods=["baseline", "mixup", "batch_max"], **changes))
    with pytest.raises(InputError, match="nothing is compared: batch_max makes no claims"):
        make_plan(make_study(methods=["baseline", "batch_max"]))


def test_a_study_sets_fine_tuning_and_combinations_by_qualified_names() -> None:
    from search.plan.builder import make_plan

    study = make_study(
        recipe={"augmentation": "crop", "epochs": 20, "model": "resnet8", "fine_tune_off": "all"},
        conditions={"fine_tune": [0.0, 0.2]},
        methods=["baseline", {"name": "maxup+mixup", "as": "both", "maxup.m": [2, 4], "mixup.alpha": 0.4}],
        nuisance={"label_smoothing": {"low": 0.0, "high": 0.1}},
    )
    plan = make_plan(study)
    assert [arm.cost for arm in plan.arms] == pytest.approx([1, 2, 1, 1.8])
    assert list(plan.arms[1].space) == ["maxup.m"]
    config = plan.run_config(plan.arms[3], {"maxup.m": 2, "label_smoothing": 0.05}, seed=0, split_seed=0)
    assert config.parameters()["maxup.m"] == 2
    assert [config.method_on(epoch) for epoch in (0, 15, 16)] == [True, True, False]
    assert not config.augmentation_on(16)
    searched = make_study(
        recipe={"augmentation": "crop", "epochs": 20, "model": "resnet8"},
        nuisance={"fine_tune": {"low": 0.0, "high": 0.3}, "fine_tune_off": ["method", "all"]},
    )
    make_plan(searched)


def test_the_temperature_is_searched_only_where_it_matters() -> None:
    kind = METHODS.get("maxup")
    both: Literal["reduction"] = "reduction"
    assert kind.searched({}).keys() == {"m"}
    assert kind.searched({both: "softmax"}).keys() == {"m", "temperature"}
    assert kind.searched({both: Choice(("max", "softmax"))}).keys() == {"m", "temperature", "reduction"}
    assert kind.searched({both: "softmax", "temperature": 1.0}).keys() == {"m"}
    combined = METHODS.get("maxup+mixup")
    assert combined.searched({"maxup.reduction": "softmax", "mixup.alpha": 0.2}).keys() == {
        "maxup.m",
        "maxup.temperature",
    }
