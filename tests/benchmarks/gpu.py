"""The page of a GPU: steps and methods, several small runs on one GPU, and ResNet-50, as Markdown.

With `--tiny` everything runs at sizes for a CPU, which tests the program and measures nothing. Within ten minutes on a
GPU. KERAS_BACKEND chooses the backend.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from tests.benchmarks import parallel, usual
from tests.benchmarks.common import CLASSES, Cost, in_turns, ours
from trainables.backends.device import GPU, Device
from trainables.backends.selection import backend
from trainables.config import RunConfig

if TYPE_CHECKING:
    from collections.abc import Callable

PEAKS = {
    "A100": 312, "A30": 165, "A40": 150, "A10": 125, "A10G": 70, "H100": 989, "H100 PCIe": 756, "H100 NVL": 835,
    "H200": 989, "L4": 121, "L40S": 362, "GeForce RTX 3090": 71, "GeForce RTX 4090": 165,
}  # fmt: skip
"""Peak of dense products in bfloat16 with float32 sums, in TFLOP/s, by the device's name, from data sheets."""
PASSES = 3
"""Forward passes that a step of training costs: one forward, and two backward."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of everything that is measured.

    Args:
        networks: (augmentation, steps) by name of a network.
        batch: images of a step.
        methods: settings by name of a method.
        rounds: how often each piece of work is measured.
        runs: numbers of runs on one GPU.
        deep: the large network.
        side: height and width of its images.
        deep_batch: images of its step.
        deep_steps: its steps.
    """

    networks: dict[str, tuple[str, int]]
    batch: int
    methods: dict[str, dict[str, Any]]
    rounds: int
    runs: tuple[int, ...]
    deep: str
    side: int
    deep_batch: int
    deep_steps: int


FULL = Sizes(
    networks={"small_cnn": ("none", 200), "resnet20": ("crop_flip", 100)},
    batch=128,
    methods={"baseline": {}, "mixup": {}, "maxup": {"maxup.m": 4}},
    rounds=3,
    runs=(1, 2, 4, 8),
    deep="resnet50",
    side=224,
    deep_batch=128,
    deep_steps=20,
)
TINY = Sizes(
    networks={"small_cnn": ("none", 2)},
    batch=8,
    methods={"baseline": {}, "mixup": {}},
    rounds=1,
    runs=(1, 2),
    deep="resnet8",
    side=32,
    deep_batch=4,
    deep_steps=1,
)


def main(arguments: list[str]) -> None:
    """Print the page; without a GPU only with `--tiny`."""
    backend.configure(deterministic=False)
    device = next((device for device in backend.devices() if device.kind == GPU), None)
    sizes = TINY if "--tiny" in arguments else FULL
    if device is None and sizes is FULL:
        raise SystemExit("there is no GPU that the backend can use; see `assay doctor`, or add --tiny for a test")
    began = time.perf_counter()
    for part in page(device or backend.devices()[0], sizes):
        print(part, end="\n\n", flush=True)
    print(f"Measured in {time.perf_counter() - began:.0f} s.", flush=True)


def page(device: Device, sizes: Sizes) -> Iterator[str]:
    """Yield the parts of the page, in Markdown, as they are measured.

    Args:
        device: what is measured.
        sizes: sizes of what is measured.
    """
    memory = "" if device.memory is None else f", {device.memory / 2**30:.0f} GiB"
    name = keras.backend.backend()
    yield f"## {device.name}{memory}\n\nKeras {keras.__version__} on {name}, batch {sizes.batch}."
    yield from _steps(sizes)
    yield _runs(sizes)
    yield _deep(device, sizes)


def _steps(sizes: Sizes) -> Iterator[str]:
    """Yield a table per network: a step of each method beside `fit`, in both precisions."""
    for network, (augmentation, steps) in sizes.networks.items():
        rows = []
        for precision in ("float32", "mixed"):
            work: dict[str, Callable[[], Any]] = {
                method: ours(network, method, augmentation, sizes.batch, steps, precision=precision, **own)
                for method, own in sizes.methods.items()
            }
            work["fit"] = usual.fit(network, augmentation, sizes.batch, steps, "auto", True, precision)
            found = in_turns(work, sizes.rounds)
            rows += [[precision, name, *_step_cells(cost, found["fit"], steps)] for name, cost in found.items()]
        title = f"**{network}**, augmentation `{augmentation}`: a step beside `fit(steps_per_execution, jit)`"
        yield title + "\n\n" + markdown(("precision", "", "ms a step", "`fit` / it"), rows)


def _step_cells(cost: Cost, fit: Cost, steps: int) -> list[str]:
    return [f"{1000 * cost.wall / steps:.2f}", f"{fit.wall / cost.wall:.2f}"]


def _runs(sizes: Sizes) -> str:
    """Return a table of several small runs at once, each a process of its own."""
    network, (_, steps) = next(iter(sizes.networks.items()))
    rows, first = [], 0.0
    for runs in sizes.runs:
        throughput = runs * sizes.batch * steps / parallel.seconds(network, runs, 1, sizes.batch, steps)
        first = first or throughput
        rows.append([runs, f"{throughput:.0f}", f"{throughput / first:.2f}"])
    title = f"**Runs of {network} on one GPU**, `resources.gpus` of 1 / runs"
    return title + "\n\n" + markdown(("runs at once", "images/s, together", "/ one run"), rows)


def _deep(device: Device, sizes: Sizes) -> str:
    """Return a table of the large network in mixed precision, with the share of the device's peak if that is known."""
    shape = (sizes.side, sizes.side, 3)
    batch, steps = sizes.deep_batch, sizes.deep_steps
    work = ours(sizes.deep, "baseline", "crop_flip", batch, steps, precision="mixed", shape=shape)
    seconds = in_turns({"it": work}, sizes.rounds)["it"].wall
    images = batch * steps / seconds
    network = RunConfig.from_plain({"data": "digits", "model": sizes.deep}).model.build(shape, CLASSES)
    tera = images * PASSES * 2 * products(network) / 1e12
    rows = [[sizes.deep, f"{1000 * seconds / steps:.1f}", f"{images:.0f}", f"{tera:.2f}", _share(device, tera)]]
    title = f"**{sizes.deep} at {sizes.side} px**, bfloat16, batch {batch}"
    header = ("network", "ms a step", "images/s", "TFLOP/s", "of the peak, %")
    return title + "\n\n" + markdown(header, rows)


def _share(device: Device, tera: float) -> str:
    highest = peak(device.name)
    return "" if highest is None else f"{100 * tera / highest:.1f}"


def peak(name: str) -> float | None:
    """Return the peak of a device in bfloat16, in TFLOP/s, by the longest known name in its name; None if unknown."""
    known = [key for key in PEAKS if re.search(rf"(?<![\w]){re.escape(key)}(?![\w])", name)]
    return PEAKS[max(known, key=len)] if known else None


def products(network: keras.Model) -> int:
    """Return the multiplications of a forward pass of one image, in convolutions and dense layers."""
    total = 0
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            kernel = int(np.prod(layer.kernel.shape))
            places = layer.output.shape[1:-1] if isinstance(layer, keras.layers.Conv2D) else ()
            total += kernel * int(np.prod(places))
    return total


def markdown(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
