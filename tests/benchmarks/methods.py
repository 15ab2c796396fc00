"""A step of each method relative to the baseline's, beside the usual implementations relative to plain `fit`.

Aim: mixup, sample_pairing and cutmix at most 1.05; maxup at most 2.6 with 4 copies and 5 with 10. About 100 s.
Then the same for `trainables.keras` in plain `fit`; with the option `keras`, only that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.benchmarks.common import Cost, in_turns, ours, table

BATCH = 64
STEPS = {"small_cnn": 60}
MIXING = {"baseline": {}, "mixup": {}, "sample_pairing": {"start": 0.0}, "cutmix": {}}
COPIES = {"maxup m=4": ("maxup", 4), "maxup m=10": ("maxup", 10), "maxup_mean m=4": ("maxup_mean", 4)}


def main(models: list[str]) -> None:
    """Print four tables for one network, by default case 2's."""
    from tests.benchmarks import plain_keras, usual
    from trainables.backends.selection import backend

    backend.configure(threads=2, deterministic=False)
    only_keras = "keras" in models
    model = next((name for name in models if name != "keras"), "small_cnn")
    steps = STEPS.get(model, 4)
    for augmentation in () if only_keras else ("none", "crop_flip"):
        work: dict[str, Callable[[], Any]] = {
            name: ours(
                model, name, augmentation, BATCH, steps, **{f"{name}.{key}": value for key, value in own.items()}
            )
            for name, own in MIXING.items()
        }
        work |= {
            "fit": usual.fit(model, augmentation, BATCH, steps),
            "fit + layers.MixUp": usual.keras_mixup(model, augmentation, BATCH, steps),
        }
        if augmentation == "crop_flip":
            for name, (method, m) in COPIES.items():
                work[name] = ours(model, method, augmentation, BATCH, steps, **{f"{method}.m": m})
            work["fit, all 4 copies"] = usual.all_copies(model, BATCH, steps, 4)
            work["fit, all 10 copies"] = usual.all_copies(model, BATCH, steps, 10)
            work["fit, one image"] = usual.all_copies(model, 1, steps, 4)
        found = in_turns(work)
        # One image at a time takes as many steps as a batch has images.
        found = {name: _times(cost, BATCH) if name == "fit, one image" else cost for name, cost in found.items()}
        print(f"{model}, {augmentation}, batch {BATCH}")
        table(
            ("", "ms a batch", "/ baseline", "(cpu)", "/ fit", "(cpu)"),
            [
                [name, 1000 * cost.wall / steps, *_ratios(cost, found["baseline"]), *_ratios(cost, found["fit"])]
                for name, cost in found.items()
            ],
        )
    plain_keras.methods(model, BATCH, steps)
    plain_keras.layers()


def _times(cost: Cost, factor: int) -> Cost:
    return Cost(cost.wall * factor, cost.cpu * factor)


def _ratios(cost: Cost, base: Cost) -> tuple[float, float]:
    return cost.wall / base.wall, cost.cpu / base.cpu
