"""The page of a GPU: its arithmetic, and the whole program at tiny sizes on a CPU."""

from __future__ import annotations

import os
import subprocess
import sys

import keras
import pytest

from trainables.backends.selection import backend

gpu = pytest.importorskip("tests.benchmarks.gpu")


def test_the_peak_is_that_of_the_longest_name_and_unknown_devices_have_none() -> None:
    assert backend is not None
    named = {
        "NVIDIA H100 80GB HBM3": 989, "NVIDIA H100 PCIe": 756, "NVIDIA A100-SXM4-80GB": 312, "NVIDIA A10G": 70,
        "NVIDIA A10": 125, "NVIDIA L4": 121, "NVIDIA L40S": 362, "NVIDIA L40": None, "Tesla V100-SXM2-16GB": None,
        "cpu": None,
    }  # fmt: skip
    assert {name: gpu.peak(name) for name in named} == named


def test_multiplications_are_counted_layer_by_layer() -> None:
    network = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, padding="same"),
            keras.layers.Conv2D(5, 1, strides=2),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    assert gpu.products(network) == 8 * 8 * 3 * 3 * 3 * 4 + 4 * 4 * 4 * 5 + 80 * 10


def test_resnet_50_has_the_multiplications_that_are_published() -> None:
    """4.1 billion at 224 px with 1 000 classes, as torchvision and the authors of ResNet v1.5 count."""
    from trainables.config import RunConfig

    network = RunConfig.from_plain({"data": "digits", "model": "resnet50"}).model.build((224, 224, 3), 1000)
    assert gpu.products(network) / 1e9 == pytest.approx(4.1, abs=0.25)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_is_printed_on_a_cpu_with_tiny_sizes() -> None:
    program = [sys.executable, "-m", "tests.benchmarks", "gpu"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run([*program, "--tiny"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert "## CPU" in done.stdout
    assert [line for line in lines if line.startswith("| mixed | mixup |")]
    assert [line for line in lines if line.startswith("| 2 |")]
    assert [line for line in lines if line.startswith("| resnet8 |")]
