"""JAX backend: two epochs from the same weights with the same draws give the metrics of TensorFlow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.jax_process import needs_jax, output_of

EPOCHS = 2
PROGRAM = """
import json, sys
from pathlib import Path
from trainables.backends.selection import backend
backend.configure(threads=1)
from trainables.engine.classifier import Classifier
from trainables.config import RunConfig
from trainables.data import SOURCES
plain = json.loads(sys.argv[1])
run = Classifier(RunConfig.from_plain(plain), SOURCES.get("digits")().load().arrays(), 10)
start = Path(sys.argv[2])
if start.exists():
    run.restore(start)
else:
    start.mkdir()
    run.save(start)
rows = [run.train_epoch() for _ in range(2)]
rows.append(run.test().metrics)
print(json.dumps(rows))
"""


def figures(backend: str, plain: dict[str, object], start: Path) -> list[dict[str, float]]:
    printed = output_of("-c", PROGRAM, json.dumps(plain), str(start), backend=backend, seconds=300)
    return json.loads(printed.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.timeout(900)
@needs_jax
@pytest.mark.parametrize("method", ["baseline", "mixup", "maxup"])
def test_jax_gives_nearly_the_metrics_of_tensorflow(tmp_path: Path, method: str) -> None:
    plain = {"data": "digits", "model": "resnet8", "augmentation": "crop", "method": method, "epochs": EPOCHS}
    plain |= {"batch_size": 64, "learning_rate": 0.02, "train_fraction": 0.5}
    start = tmp_path / "start"
    expected, found = (figures(backend, plain, start) for backend in ("tensorflow", "jax"))
    for one, other in zip(expected, found, strict=True):
        for name in one:
            if name.endswith("_loss"):
                assert other[name] == pytest.approx(one[name], rel=0.02)
            elif name.endswith("_accuracy"):
                assert other[name] == pytest.approx(one[name], abs=0.03)
