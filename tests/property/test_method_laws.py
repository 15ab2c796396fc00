"""Laws that hold for any draw: of mixing, of pairing, and of the maximum over copies."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import ops

from trainables.methods import METHODS
from trainables.methods.blend import batch_partners, blend
from trainables.step import cross_entropy, worst_copies

BATCH, CLASSES = 6, 4
seeds = st.integers(0, 2**32 - 1)
weights = arrays("float32", BATCH, elements=st.floats(0, 1, width=32))
quick = settings(max_examples=40, deadline=None)


def batch(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(BATCH, 3, 3, 2)).astype("float32")
    return images, np.eye(CLASSES, dtype="float32")[rng.integers(0, CLASSES, BATCH)]


def draws(seed: int, weight: np.ndarray, label_weight: np.ndarray) -> dict[str, np.ndarray]:
    partner = batch_partners(np.random.default_rng(seed), BATCH, BATCH)
    return {"partner": partner, "weight": weight, "label_weight": label_weight}


def blended(images: np.ndarray, labels: np.ndarray, drawn: dict) -> tuple[np.ndarray, np.ndarray]:
    mixed, mixed_labels = blend(images, labels, drawn)
    return ops.convert_to_numpy(mixed), ops.convert_to_numpy(mixed_labels)


@quick
@given(seeds, weights, weights)
def test_label_mass_sums_to_one(seed: int, weight: np.ndarray, label_weight: np.ndarray) -> None:
    _, labels = blended(*batch(seed), draws(seed, weight, label_weight))
    assert np.allclose(labels.sum(axis=1), 1, atol=1e-6)
    assert (labels >= 0).all()


@quick
@given(seeds)
def test_weight_one_is_the_identity_bit_for_bit(seed: int) -> None:
    images, labels = batch(seed)
    one = np.ones(BATCH, "float32")
    mixed, mixed_labels = blended(images, labels, draws(seed, one, one))
    assert np.array_equal(mixed, images)
    assert np.array_equal(mixed_labels, labels)


@quick
@given(seeds, weights)
def test_blend_lies_between_both_images(seed: int, weight: np.ndarray) -> None:
    images, labels = batch(seed)
    drawn = draws(seed, weight, weight)
    mixed, _ = blended(images, labels, drawn)
    other = images[drawn["partner"]]
    assert (mixed >= np.minimum(images, other) - 1e-5).all()
    assert (mixed <= np.maximum(images, other) + 1e-5).all()


@quick
@given(seeds, st.integers(1, 5), st.integers(1, 9))
def test_partners_are_a_permutation_of_each_batch(seed: int, batches: int, size: int) -> None:
    partners = batch_partners(np.random.default_rng(seed), batches * size, size).reshape(batches, size)
    assert (np.sort(partners, axis=1) == np.arange(size)).all()


@quick
@given(seeds, st.floats(0.05, 32), st.sampled_from(["example", "batch"]))
def test_mixup_draws_one_weight_for_images_and_labels(seed: int, alpha: float, share: str) -> None:
    method = METHODS.get("mixup").model_validate({"name": "mixup", "alpha": alpha, "share": share})
    drawn = method.draw(np.random.default_rng(seed), 3 * BATCH, BATCH, active=True)
    assert np.array_equal(drawn["weight"], drawn["label_weight"])
    assert ((drawn["weight"] >= 0) & (drawn["weight"] <= 1)).all()
    if share == "batch":
        assert all(len(set(each)) == 1 for each in drawn["weight"].reshape(3, BATCH))


@quick
@given(seeds, st.integers(1, 5))
def test_the_maximum_does_not_care_for_the_order_of_copies(seed: int, copies: int) -> None:
    rng = np.random.default_rng(seed)
    losses = rng.normal(size=(copies, BATCH)).astype("float32")
    order = rng.permutation(copies)
    chosen = ops.convert_to_numpy(worst_copies(losses.ravel(), copies))
    again = ops.convert_to_numpy(worst_copies(losses[order].ravel(), copies))
    assert np.array_equal(losses.ravel()[chosen], losses[order].ravel()[again])
    assert np.array_equal(losses.ravel()[chosen], losses.max(axis=0))
    assert np.array_equal(chosen % BATCH, np.arange(BATCH))


@quick
@given(seeds, st.integers(1, 5))
def test_the_mean_over_identical_copies_is_the_plain_loss(seed: int, copies: int) -> None:
    rng = np.random.default_rng(seed)
    _, labels = batch(seed)
    logits = rng.normal(size=(BATCH, CLASSES)).astype("float32")
    plain = ops.convert_to_numpy(cross_entropy(labels, logits)).mean()
    repeated = cross_entropy(np.tile(labels, (copies, 1)), np.tile(logits, (copies, 1)))
    assert np.isclose(ops.convert_to_numpy(repeated).mean(), plain, rtol=1e-5, atol=1e-6)


@quick
@given(seeds, st.floats(0, 0.99))
def test_cross_entropy_is_that_of_the_definition(seed: int, smoothing: float) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(BATCH, CLASSES), scale=5).astype("float32")
    labels = (1 - smoothing) * batch(seed)[1] + smoothing / CLASSES
    log_probabilities = logits - np.log(np.exp(logits.astype(float)).sum(axis=1, keepdims=True))
    expected = -(labels * log_probabilities).sum(axis=1)
    result = ops.convert_to_numpy(cross_entropy(labels.astype("float32"), logits))
    assert np.allclose(result, expected, rtol=1e-4, atol=1e-5)
