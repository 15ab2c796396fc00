"""A training step, beside plain `model.fit` on tf.data and a bare compiled loop on one batch.

Aim: 1.5 times as fast as `fit` on the small network and never slower on others; 90 % of the bare loop's speed.
About 100 s on two cores.
"""

from __future__ import annotations

from tests.benchmarks.common import in_turns, ours, table

BATCH = 64
WORK = {"small_cnn": ("none", 100), "resnet20": ("crop_flip", 8), "vgg11": ("crop_flip", 4)}


def main(models: list[str]) -> None:
    """Print a table for some networks, by default all three."""
    from tests.benchmarks import usual
    from trainables.backends.selection import backend

    backend.configure(threads=2, deterministic=False)
    rows = []
    for model in models or WORK:
        augmentation, steps = WORK[model]
        found = in_turns(
            {
                "ours": ours(model, "baseline", augmentation, BATCH, steps),
                "fit": usual.fit(model, augmentation, BATCH, steps),
                "bare": usual.bare(model, BATCH, steps),
            }
        )
        mine, fit, bare = found["ours"], found["fit"], found["bare"]
        milliseconds = [1000 * cost.wall / steps for cost in (mine, fit, bare)]
        ratios = [fit.wall / mine.wall, fit.cpu / mine.cpu, bare.wall / mine.wall, bare.cpu / mine.cpu]
        rows.append([f"{model}, {augmentation}", *milliseconds, *ratios])
    table(
        ("network", "ours ms", "fit ms", "bare ms", "fit/ours", "(cpu)", "bare/ours", "(cpu)"),
        rows,
    )
