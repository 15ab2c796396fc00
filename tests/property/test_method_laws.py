"""Properties of methods for arbitrary draws: mixing, pasting, noise, pairing, and the maximum over copies."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from keras import ops
from scipy import stats

from tests.support.objectives import plain_max
from trainables.engine.objectives import cross_entropy, reduce_losses, worst_copies
from trainables.errors import InputError
from trainables.methods import METHODS, Method
from trainables.methods.base import off_from
from trainables.methods.mixing import batch_partners, blend
from trainables.methods.noise import gaussian

COPIES, BATCH, CLASSES = 2, 6, 4
PARTNERS = ["batch", "batch_with_replacement", "dataset"]
seeds = st.integers(0, 2**32 - 1)
weights = arrays("float32", (COPIES, BATCH), elements=st.floats(0, 1, width=32))
quick = settings(max_examples=40, deadline=None)


def made(name: str, **fields: Any) -> Method:
    return METHODS.get(name).model_validate({"name": name, **fields})


def pool(seed: int, guests: int = 0, side: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = BATCH * (1 + guests)
    images = rng.normal(size=(COPIES, rows, side, side + 1, 2)).astype("float32")
    return images, np.eye(CLASSES, dtype="float32")[rng.integers(0, CLASSES, (COPIES, rows))]


def draws(seed: int, weight: np.ndarray, label_weight: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    partner = np.stack([batch_partners(rng, BATCH, BATCH) for _ in range(COPIES)])[..., None]
    both = {"weight": weight, "label_weight": label_weight}
    return {"partner": partner} | {name: np.stack([value, 1 - value], axis=2) for name, value in both.items()}


def applied(method: Method, seed: int, side: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict]:
    """Return a pool, the result of the method, and its draws."""
    images, labels = pool(seed, method.guests, side)
    parts = [method.draw(np.random.default_rng(seed + copy), BATCH, BATCH, active=True) for copy in range(COPIES)]
    drawn = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    mixed, mixed_labels = method.apply(images, labels, drawn)
    return images, labels, ops.convert_to_numpy(mixed), ops.convert_to_numpy(mixed_labels), drawn


def blended(images: np.ndarray, labels: np.ndarray, drawn: dict) -> tuple[np.ndarray, np.ndarray]:
    mixed, mixed_labels = blend(images, labels, drawn)
    return ops.convert_to_numpy(mixed), ops.convert_to_numpy(mixed_labels)


@quick
@given(seeds, weights, weights)
def test_label_mass_sums_to_one(seed: int, weight: np.ndarray, label_weight: np.ndarray) -> None:
    _, labels = blended(*pool(seed), draws(seed, weight, label_weight))
    assert np.allclose(labels.sum(axis=2), 1, atol=1e-6)
    assert (labels >= 0).all()


@quick
@given(seeds)
def test_weight_one_is_the_identity_bit_for_bit(seed: int) -> None:
    images, labels = pool(seed)
    one = np.ones((COPIES, BATCH), "float32")
    mixed, mixed_labels = blended(images, labels, draws(seed, one, one))
    assert np.array_equal(mixed, images)
    assert np.array_equal(mixed_labels, labels)


@quick
@given(seeds, weights)
def test_blend_lies_between_both_images_of_the_same_copy(seed: int, weight: np.ndarray) -> None:
    images, labels = pool(seed)
    drawn = draws(seed, weight, weight)
    mixed, _ = blended(images, labels, drawn)
    other = np.stack([copy[partner] for copy, partner in zip(images, drawn["partner"][..., 0], strict=True)])
    assert (mixed >= np.minimum(images, other) - 1e-5).all()
    assert (mixed <= np.maximum(images, other) + 1e-5).all()


@quick
@given(seeds, st.integers(1, 5), st.integers(1, 9))
def test_partners_are_a_permutation_of_each_batch(seed: int, batches: int, size: int) -> None:
    partners = batch_partners(np.random.default_rng(seed), batches * size, size).reshape(batches, size)
    assert (np.sort(partners, axis=1) == np.arange(size)).all()


@quick
@given(seeds, st.sampled_from(["mixup", "sample_pairing", "cutmix"]), st.integers(1, 4))
def test_partners_from_the_data_set_are_the_guests_of_each_example(seed: int, name: str, batches: int) -> None:
    method = made(name, partner="dataset")
    partner = method.draw(np.random.default_rng(seed), batches * BATCH, BATCH, active=True)["partner"]
    assert method.guests == partner.shape[1] == 1
    assert np.array_equal(partner[:, 0], BATCH + np.arange(batches * BATCH) % BATCH)


@pytest.mark.parametrize("name", ["mixup", "sample_pairing", "cutmix"])
def test_partners_with_replacement_are_independent_draws_from_the_batch(name: str) -> None:
    """Against NumPy and SciPy: uniform over all pairs; as many are nobody's partner as in draws with replacement."""
    method, batches = made(name, partner="batch_with_replacement"), 4000
    partner = method.draw(np.random.default_rng(7), batches * BATCH, BATCH, active=True)["partner"]
    assert method.guests == 0
    assert partner.shape == (batches * BATCH, 1)
    rows = partner.reshape(batches, BATCH)
    pairs = np.zeros((BATCH, BATCH))
    np.add.at(pairs, (np.tile(np.arange(BATCH), batches), rows.ravel()), 1)
    assert stats.chisquare(pairs, axis=1).pvalue.min() > 0.001
    unused = [BATCH - len(np.unique(row)) for row in rows]
    assert np.mean(unused) == pytest.approx(BATCH * (1 - 1 / BATCH) ** BATCH, abs=4 * np.std(unused) / batches**0.5)


@pytest.mark.parametrize("name", ["mixup", "sample_pairing", "cutmix"])
def test_the_kind_of_partner_changes_no_weight_and_no_box(name: str) -> None:
    drawn = [
        made(name, partner=kind).draw(np.random.default_rng(8), 2 * BATCH, BATCH, active=True) for kind in PARTNERS
    ]
    for other in drawn[1:]:
        assert all(np.array_equal(other[key], drawn[0][key]) for key in drawn[0].keys() - {"partner"})
        assert not np.array_equal(other["partner"], drawn[0]["partner"])


@quick
@given(seeds, st.floats(0.05, 32), st.sampled_from(["example", "batch"]), st.integers(2, 4))
def test_mixup_draws_the_same_weights_for_images_and_labels(seed: int, alpha: float, share: str, images: int) -> None:
    method = made("mixup", alpha=alpha, share=share, images=images)
    drawn = method.draw(np.random.default_rng(seed), 3 * BATCH, BATCH, active=True)
    assert np.array_equal(drawn["weight"], drawn["label_weight"])
    assert drawn["weight"].shape == (3 * BATCH, images)
    assert drawn["partner"].shape == (3 * BATCH, images - 1)
    assert (drawn["weight"] >= 0).all()
    assert np.allclose(drawn["weight"].sum(axis=1), 1, atol=1e-6)
    if share == "batch":
        assert all(len(np.unique(each, axis=0)) == 1 for each in drawn["weight"].reshape(3, BATCH, images))


def test_mixups_weights_are_those_of_the_beta_and_dirichlet_distributions() -> None:
    """Against SciPy: the first of k weights of Dirichlet(alpha, ..., alpha) is Beta(alpha, (k - 1) alpha)."""
    for images in (2, 3):
        drawn = made("mixup", alpha=0.4, images=images).draw(np.random.default_rng(5), 8000, 8, active=True)
        beta = stats.beta(0.4, 0.4 * (images - 1))
        assert stats.kstest(drawn["weight"][:, 0].astype(float), beta.cdf).pvalue > 0.01


@quick
@given(seeds, st.sampled_from(["example", "batch"]), st.sampled_from(PARTNERS), st.integers(2, 9))
def test_cutmix_labels_are_weighted_by_pixels(seed: int, share: str, partner: str, side: int) -> None:
    method = made("cutmix", share=share, partner=partner)
    images, labels, mixed, mixed_labels, drawn = applied(method, seed, side)
    for copy in range(COPIES):
        for i, other in enumerate(drawn["partner"][copy, :, 0]):
            pasted = (mixed[copy, i] != images[copy, i]).any(axis=-1)
            if other != i:
                weight = pasted.mean()
                expected = (1 - weight) * labels[copy, i] + weight * labels[copy, other]
                assert np.allclose(mixed_labels[copy, i], expected, atol=1e-6)
                assert np.array_equal(mixed[copy, i][pasted], images[copy, other][pasted])
            rows, columns = np.flatnonzero(pasted.any(axis=1)), np.flatnonzero(pasted.any(axis=0))
            if pasted.any():  # one box, without holes
                assert pasted.sum() == len(rows) * len(columns)
                assert np.ptp(rows) == len(rows) - 1
                assert np.ptp(columns) == len(columns) - 1


def test_cutmix_boxes_have_the_papers_area() -> None:
    """Before clipping, a box of side sqrt(1 - lam) covers 1 - lam, with lam ~ Beta(alpha, alpha)."""
    box = made("cutmix", alpha=0.7).draw(np.random.default_rng(3), 8000, 8, active=True)["box"].astype(float)
    assert stats.kstest(box[:, 0] ** 2, stats.beta(0.7, 0.7).cdf).pvalue > 0.01
    assert stats.kstest(box[:, 1:].ravel(), stats.uniform.cdf).pvalue > 0.01


def test_noise_is_gaussian_and_depends_on_the_key_alone() -> None:
    keys = np.random.default_rng(0).integers(-(2**31), 2**31, (40, 1)).astype("int32")
    together = ops.convert_to_numpy(gaussian(keys, 500))
    alone = ops.convert_to_numpy(gaussian(keys[3:4], 500))
    assert np.allclose(together[3], alone[0], atol=1e-5)  # vectors and their last elements round apart
    assert stats.kstest(together.ravel(), stats.norm.cdf).pvalue > 0.01
    assert abs(np.corrcoef(together)[np.triu_indices(40, 1)]).max() < 0.2
    assert abs(np.corrcoef(together[:, 1:].ravel(), together[:, :-1].ravel())[0, 1]) < 0.02


@quick
@given(seeds, st.floats(0.01, 5))
def test_noise_scales_with_sigma_and_leaves_labels_unchanged(seed: int, sigma: float) -> None:
    images, labels, mixed, mixed_labels, _ = applied(made("noise", sigma=sigma), seed)
    _, _, unit, _, _ = applied(made("noise", sigma=1.0), seed)
    assert np.array_equal(labels, mixed_labels)
    assert np.allclose(mixed - images, sigma * (unit - images), atol=1e-5)
    assert not np.allclose(mixed[0], mixed[1])


@quick
@given(seeds, st.integers(1, 5))
def test_the_maximum_is_invariant_to_the_order_of_copies(seed: int, copies: int) -> None:
    rng = np.random.default_rng(seed)
    losses = rng.normal(size=(copies, BATCH)).astype("float32")
    order = rng.permutation(copies)
    chosen = ops.convert_to_numpy(worst_copies(losses.ravel(), copies))
    again = ops.convert_to_numpy(worst_copies(losses[order].ravel(), copies))
    assert np.array_equal(losses.ravel()[chosen], losses[order].ravel()[again])
    assert np.array_equal(losses.ravel()[chosen], losses.max(axis=0))
    assert np.array_equal(chosen % BATCH, np.arange(BATCH))


@quick
@given(seeds, st.integers(1, 5), st.floats(0.05, 50))
def test_objectives_lie_between_mean_and_maximum(seed: int, copies: int, temperature: float) -> None:
    losses = np.random.default_rng(seed).exponential(size=(copies, BATCH)).astype("float32")
    mean, softmax, batch_max = (
        reduce_losses(kind, losses, np.float32(temperature), np.bool_(True))
        for kind in ("mean", "softmax", "batch_max")
    )
    values = [float(ops.convert_to_numpy(value)) for value in (mean, softmax, plain_max(losses), batch_max)]
    assert all(one <= other + 1e-5 for one, other in itertools.pairwise(values))


@quick
@given(seeds, st.integers(1, 5))
def test_the_mean_over_identical_copies_is_the_plain_loss(seed: int, copies: int) -> None:
    rng = np.random.default_rng(seed)
    labels = pool(seed)[1][0]
    logits = rng.normal(size=(BATCH, CLASSES)).astype("float32")
    plain = ops.convert_to_numpy(cross_entropy(labels, logits)).mean()
    repeated = cross_entropy(np.tile(labels, (copies, 1)), np.tile(logits, (copies, 1)))
    assert np.isclose(ops.convert_to_numpy(repeated).mean(), plain, rtol=1e-5, atol=1e-6)


@quick
@given(seeds, st.floats(0, 0.99))
def test_cross_entropy_is_that_of_the_definition(seed: int, smoothing: float) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(BATCH, CLASSES), scale=5).astype("float32")
    labels = (1 - smoothing) * pool(seed)[1][0] + smoothing / CLASSES
    log_probabilities = logits - np.log(np.exp(logits.astype(float)).sum(axis=1, keepdims=True))
    expected = -(labels * log_probabilities).sum(axis=1)
    result = ops.convert_to_numpy(cross_entropy(labels.astype("float32"), logits))
    assert np.allclose(result, expected, rtol=1e-4, atol=1e-5)


@quick
@given(st.floats(0.001, 0.99), st.integers(4, 400))
def test_a_final_phase_has_the_requested_length_and_at_least_the_judged_epochs(fraction: float, epochs: int) -> None:
    off = epochs - off_from(fraction, epochs)
    assert off >= min(epochs, max(3, round(fraction * epochs) - 1))
    assert off_from(0, epochs) == epochs


@quick
@given(st.integers(20, 500), st.floats(0, 0.3), st.floats(0.6, 1), st.integers(1, 4), st.integers(1, 3))
def test_fractions_and_epochs_give_the_same_schedule(epochs: int, start: float, end: float, on: int, off: int) -> None:
    fractions = made("sample_pairing", start=start, end=end, on_epochs=on, off_epochs=off)
    first, last = round(start * epochs), round(end * epochs)
    if first == 0 or last <= 1:
        return
    counted = made("sample_pairing", start=first if first > 0 else 0.0, end=last, on_epochs=on, off_epochs=off)
    assert counted.cycle(epochs) == fractions.cycle(epochs)
    parts = made("sample_pairing", start=start, end=end, on_epochs=on / epochs + 1e-9, off_epochs=off)
    assert parts.cycle(epochs) == fractions.cycle(epochs)


@pytest.mark.parametrize(
    ("name", "fields", "epochs", "augmented", "message"),
    [
        ("mixup", {"off_last": 0.9}, 20, True, "on for 2 of 20 epochs, and at least a quarter"),
        ("cutmix", {"off_last": 0.8}, 20, True, "lower `off_last` or train longer"),
        (
            "maxup",
            {},
            20,
            False,
            r"copies of an image are identical. Choose `crop` or `crop_flip`, or add noise",
        ),
        ("maxup", {"m": 1}, 20, True, "at least two copies to differ from the baseline, but m=1"),
        ("maxup+noise", {"maxup.m": 1}, 20, False, "but m=1"),
        ("maxup+mixup", {"mixup.off_last": 0.9}, 20, True, "lower `off_last`"),
        ("sample_pairing", {"start": 18, "end": 0.95}, 40, True, "on for 16 of 40|fewer than two blocks"),
    ],
)
def test_settings_that_cannot_differ_are_refused(
    name: str, fields: dict, epochs: int, augmented: bool, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        made(name, **fields).check(epochs, augmented)


def test_copies_that_are_mixed_or_noisy_need_no_base_augmentation() -> None:
    for name in ("maxup+noise", "maxup+mixup", "maxup+cutmix", "maxup_mean+noise"):
        made(name).check(20, augmented=False)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"start": 0.9, "end": 0.5}, "`start` must be below `end`"),
        ({"start": 30, "end": 20}, "`start` must be below `end`"),
        ({"on_epochs": 2.5}, "a fraction of the length, or a whole number of epochs above 1, but got 2.5"),
    ],
)
def test_invalid_schedules_are_refused(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made("sample_pairing", **fields)
