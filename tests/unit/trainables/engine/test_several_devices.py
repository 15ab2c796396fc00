"""Several devices for one run: virtual ones on JAX give the numbers of one, and TensorFlow refuses them."""

from __future__ import annotations

import json

import pytest

from tests.support.jax_process import needs_jax, output_of
from tests.support.networks import LINEAR
from tests.support.several_devices import CASES, DEVICES
from tests.support.streaming import CLASSES, arrays_of
from trainables.config import RunConfig
from trainables.engine.classifier import Classifier
from trainables.engine.feeding import Placement
from trainables.errors import InputError


@pytest.mark.usefixtures("own_code")
def test_tensorflow_refuses_several_devices_and_names_jax() -> None:
    config = RunConfig.from_plain({"data": "digits", "model": LINEAR, "augmentation": "crop"})
    with pytest.raises(InputError, match=r"asks for 2 GPUs, but TensorFlow trains a run on one.*KERAS_BACKEND=jax"):
        Classifier(config, arrays_of(), CLASSES, Placement(gpus=2))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@needs_jax
def test_a_run_on_four_devices_gives_the_numbers_of_a_run_on_one() -> None:
    flags = f"--xla_force_host_platform_device_count={DEVICES}"
    found = json.loads(output_of("-m", "tests.support.several_devices", flags=flags))
    assert len(found["differences"]) == 2 * len(CASES)
    assert {name: error for name, error in found["differences"].items() if error > 1e-5} == {}
    assert found["batch norm"] < 1e-4, "statistics are those of the whole batch, not of a device's part"
    assert found["convolved"] == {
        "baseline, 1": [16],
        "baseline, 4": [4],
        "maxup, 1": [16, 64],  # the gradient step, and the candidate pass over four copies
        "maxup, 4": [4, 16],
    }
    assert found["resumed"] < 1e-5
    assert found["worker"] == 2
    assert "8 devices (`resources.gpus`), but JAX can use 4 here" in found["refusal"]
