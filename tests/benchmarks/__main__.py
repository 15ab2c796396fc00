"""Runs one benchmark: `uv run python -m tests.benchmarks NAME [OPTION ...]`.

atlas          cells of the atlas trained again, and with fresh seeds; options: --cells N, --replicate N, data
steps          a training step, beside `model.fit` on tf.data and a bare loop, on every backend; options: networks
methods        a step of each method, beside the usual ways; options: the name of a network, keras
one_image      case 1's program before and after three lines use `trainables.keras`; options: --data FOLDER, --images N
augmentations  each policy, beside Keras's layers in sequence
judge          10 000 runs of 100 epochs judged; options: table, ray, tensorboard
reports        a report of 50, 1 000 and 5 000 runs, and the size of the page; options: numbers of runs
gpu            a table of this machine's GPU, in Markdown; on a CPU with --tiny, as a test
study          a small study with Assay, plain Ray Tune and KerasTuner; options: --data FILE.npz, --trials N, names
fidelity       short complete schedules beside full trainings; options: --fashion FILE
parallel       two single-threaded runs, beside one on both cores; options: names of networks
scale          the controller and optuna.db at 500, 2 000 and 5 000 runs; options: numbers of runs
driver         whole replayed studies through Ray Tune on 16 logical CPUs; options: numbers of runs
streaming      a streamed step beside a resident one, and the decoding of JPEGs; options: steps, decode, number of files
tracking       MLflow beside Ray's callback and the plain client; options: report, deliver, read
certificate    studies drawn from a bank of real runs: are the verdicts true? options: open, fixed, --studies N
rules          claims of the atlas that the former rule and the present one decide; options: numbers of seeds
truth          simulated studies with known effects: are the verdicts true? options: --studies N, --quick, parts

Every table holds wall and CPU time; on a machine with other work the ratio of CPU times is the one to read.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings

NAMES = (
    "atlas",
    "certificate",
    "steps",
    "methods",
    "one_image",
    "augmentations",
    "driver",
    "fidelity",
    "gpu",
    "judge",
    "parallel",
    "reports",
    "rules",
    "scale",
    "streaming",
    "study",
    "tracking",
    "truth",
)
LIGHT = (
    "certificate",
    "driver",
    "judge",
    "one_image",
    "parallel",
    "reports",
    "rules",
    "scale",
    "steps",
    "streaming",
    "study",
    "tracking",
)


def main(arguments: list[str]) -> int:
    """Run what the first argument names; return the exit code."""
    if not arguments or arguments[0] not in NAMES:
        print(__doc__, file=sys.stderr)
        return 2
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    warnings.filterwarnings("ignore")
    if arguments[0] not in LIGHT:
        importlib.import_module("trainables.backends.selection")  # keeps TensorFlow quiet
    importlib.import_module(f"tests.benchmarks.{arguments[0]}").main(arguments[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
