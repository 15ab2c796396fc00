"""The programs of the package's page run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras import ops
from PIL import Image

from trainables.backends.selection import backend

backend.configure(threads=1, deterministic=True)
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning"),  # to `fit`, by default
]
FIRST, ANSWER = re.findall(
    r"```python\n(.*?)```", (Path(__file__).parents[4] / "trainables/keras/README.md").read_text(), re.DOTALL
)


def test_the_answer_to_why_maxup_does_not_train_is_ten_lines_that_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    for label in range(10):
        (tmp_path / "train" / str(label)).mkdir(parents=True)
        for i in range(7):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype="uint8")
            Image.fromarray(pixels).save(tmp_path / "train" / str(label) / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    assert len([line for line in ANSWER.splitlines() if line]) <= 10
    names: dict[str, Any] = {}
    exec(ANSWER, names)
    assert int(ops.convert_to_numpy(names["model"].steps)) == 2 * 2
    assert np.isfinite(names["model"].history.history["loss"]).all()
    exec(FIRST.replace("epochs=20", "epochs=1"), names | {"validation": names["train"]})
    assert Path("network.keras").exists()
