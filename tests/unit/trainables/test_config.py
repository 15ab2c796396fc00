"""Run configuration: accepted and refused settings, and conversion to flat parameters and JSON."""

import json

import pytest
from pydantic import ValidationError

from trainables.config import RunConfig, with_epochs
from trainables.errors import InputError
from trainables.methods import METHODS
from trainables.optimizers import OPTIMIZERS


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_plain_names_and_json_round_trip(method: str, optimizer: str) -> None:
    config = RunConfig.from_plain(
        {"data": "digits", "method": method, "optimizer": optimizer, "learning_rate": 0.02, "seed": 3}
    )
    assert config.optimizer.learning_rate == 0.02
    assert RunConfig.from_plain(config.parameters()) == config
    assert RunConfig.model_validate(json.loads(config.model_dump_json())) == config


def test_defaults_are_the_baseline_and_sgd() -> None:
    config = RunConfig.from_plain({"data": "digits"})
    assert (config.parameters()["method"], config.parameters()["optimizer"]) == ("baseline", "sgd")


def test_fields_of_other_choices_are_ignored() -> None:
    plain = {"data": "digits", "method": "mixup", "mixup.alpha": 0.5, "maxup.m": 8}
    plain |= {"optimizer": "adamw", "momentum": 0.8, "sgd.learning_rate": 0.3, "adamw.learning_rate": 0.002}
    parameters = RunConfig.from_plain(plain).parameters()
    assert parameters["mixup.alpha"] == 0.5
    assert parameters["learning_rate"] == 0.002
    assert not {"maxup.m", "momentum", "nesterov"} & set(parameters)


def test_milestones_scale_with_the_length_and_apply_to_one_schedule_only() -> None:
    plain = {"data": "digits", "epochs": 165, "milestones": [82.5, 123.75], "milestones_of": 165}
    assert RunConfig.from_plain(plain).milestone_fractions == (0.5, 0.75)
    assert RunConfig.from_plain({**plain, "epochs": 10}).milestone_fractions == (0.5, 0.75)
    assert RunConfig.from_plain({**plain, "schedule": "cosine"}).milestone_fractions == ()


def test_a_misspelt_field_of_another_method_is_refused() -> None:
    with pytest.raises(InputError, match=r"`maxup` has no field `mm`"):
        RunConfig.from_plain({"data": "digits", "method": "mixup", "maxup.mm": 8})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"method": "mixupp"}, "unknown method `mixupp`. Did you mean `mixup`?"),
        ({"method": ["mixup"]}, "expected the name of a method, but got"),
        ({"model": "resnet21"}, "unknown model `resnet21`"),
        ({"augmentation": "flip"}, "unknown augmentation `flip`"),
        ({"optimizer": "adamm"}, "unknown optimizer `adamm`. Did you mean `adam`?"),
        ({"data": {"path": "x.npz"}}, "`source` is missing; choose from: cifar10, cifar100, digits"),
        ({"method": "mixup", "mixup.alpha": 0.01}, "greater than or equal to 0.05"),
        ({"method": "mixup", "mixup.beta": 1}, "Extra inputs are not permitted"),
        ({"method": "maxup", "maxup.m": 0}, "greater than or equal to 1"),
        (
            {"method": {"name": "sample_pairing", "start": 0.9, "end": 0.5}},
            "`start` must be below `end`, but got start=0.9, end=0.5",
        ),
        ({"milestones": [0.5, 0.25]}, "`milestones` must increase, but got [0.5, 0.25]"),
        ({"milestones": [80, 120]}, "for [80, 120] of 165 epochs set `milestones_of: 165`"),
        ({"milestones": [0.0]}, "greater than 0"),
        ({"schedule": "step"}, "'milestones', 'cosine' or 'constant'"),
        ({"epochs": 100, "steps": 50}, "`steps` (50) must be at least `epochs` (100)"),
        ({"optimizer": "adamw", "decay": "l2"}, "for `decay: l2` choose `adam`"),
        ({"clip_norm": 0}, "greater than 0"),
        ({"precision": "half"}, "'float32' or 'mixed'"),
        ({"compile": "on"}, "'auto', 'xla' or 'off'"),
        ({"learning_rate": float("nan")}, "finite number"),
        ({"epochs": 0}, "greater than or equal to 1"),
        ({"epoch": 10}, "Extra inputs are not permitted"),
    ],
)
def test_bad_settings_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RunConfig.from_plain({"data": "digits", **wrong})
    assert message in str(caught.value)


def test_data_is_required() -> None:
    with pytest.raises(ValidationError, match="data\n  Field required"):
        RunConfig.from_plain({"method": "mixup"})


def test_milestones_cycles_and_steps_scale_with_the_length() -> None:
    plain = {"data": "digits", "epochs": 100, "steps": 1000, "milestones": [80, 90], "milestones_of": 100}
    method = {"name": "sample_pairing", "start": 10, "end": 80, "on_epochs": 8, "off_epochs": 0.05}
    longer = with_epochs(RunConfig.from_plain({**plain, "method": method}), 200)
    assert (longer.epochs, longer.steps, longer.milestone_fractions) == (200, 2000, (0.8, 0.9))
    cycle = longer.method.cycle(200)
    assert cycle
    assert tuple(cycle) == (20, 160, 26, 10)
    combined = with_epochs(RunConfig.from_plain({**plain, "method": {"name": "maxup+sample_pairing"}}), 50)
    assert combined.parameters()["sample_pairing.on_epochs"] == 4
