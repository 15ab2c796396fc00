"""Contract of every augmentation."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.trainables.augmentation.oracles import NAMES, SHAPES, augmented, identity, images
from trainables.augmentation import AUGMENTATIONS, make_policy, policy_apply
from trainables.registration.fields import Range, declared


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", [*AUGMENTATIONS, "crop_flip+cutout", "cutout+affine_flip+photometric"])
def test_identity_settings_draw_the_same_shapes_and_leave_images_unchanged(
    name: str, shape: tuple[int, int, int]
) -> None:
    batch = images(5, shape)
    on, _ = augmented(name, batch)
    off, result = augmented(identity(name), batch)
    assert {k: (v.shape, v.dtype) for k, v in on.items()} == {k: (v.shape, v.dtype) for k, v in off.items()}
    assert np.array_equal(result, batch)


@pytest.mark.parametrize("name", NAMES)
class TestContract:
    """Contract of every augmentation."""

    def test_draws_are_small_replay_and_have_one_row_per_image(self, name: str) -> None:
        kind = AUGMENTATIONS.get(name)
        first, second = (kind(name=name).draw(np.random.default_rng(4), 50, (32, 32, 3)) for _ in range(2))
        for key, value in first.items():
            assert len(value) == 50
            assert value.dtype in (np.float32, np.int32)
            assert np.array_equal(value, second[key])
        assert sum(value.nbytes for value in first.values()) <= 100 * 50

    def test_it_changes_each_image_differently_and_within_bounds(self, name: str) -> None:
        batch = np.repeat(images(1, (32, 32, 3)), 20, axis=0)
        _, result = augmented(name, batch)
        assert result.shape == batch.shape
        assert (result.min() >= 0, result.max() <= 255) == (True, True)
        assert len({one.tobytes() for one in result}) > 15

    def test_an_image_is_changed_independently_of_the_batch(self, name: str) -> None:
        batch = images(8, (16, 16, 3))
        draws, result = augmented(name, batch)
        alone = np.asarray(policy_apply(name)(batch[3:4], {key: value[3:4] for key, value in draws.items()}))
        assert alone[0] == pytest.approx(result[3], abs=1e-3)

    def test_declared_ranges_are_allowed_and_summary_is_given(self, name: str) -> None:
        kind = AUGMENTATIONS.get(name)
        assert kind.summary
        for field, mark in declared(kind).items():
            assert isinstance(mark, Range)
            for value in (mark.low, mark.high):
                assert kind.model_validate({"name": name, field: value})

    def test_identity_settings_neither_vary_nor_mirror(self, name: str) -> None:
        assert make_policy(name).varies
        assert not identity(name).varies
        assert not identity(name).mirrors

    def test_it_compiles_under_xla(self, name: str) -> None:
        if keras_backend() != "tensorflow":
            pytest.skip("compiled by TensorFlow here")
        import tensorflow as tf

        batch = images(4, (16, 16, 3))
        draws, result = augmented(name, batch)
        compiled = tf.function(policy_apply(name), jit_compile=True, autograph=False)
        assert np.asarray(compiled(batch, draws)) == pytest.approx(result, abs=0.05)


def keras_backend() -> str:
    import keras

    return str(keras.backend.backend())
