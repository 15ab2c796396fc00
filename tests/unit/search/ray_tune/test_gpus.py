"""GPU check: refused on this machine before anything is read or written, and asked only if GPUs are needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from search import lifecycle
from search.lifecycle import run_study
from search.ray_tune import gpus
from search.ray_tune.gpus import require_gpus
from search.session import Options
from search.study.resources import Resources
from tests.support.studies import make_study
from trainables.errors import InputError

FAULT = "a run needs 1 GPU, but TensorFlow can use none here: no NVIDIA driver was found."


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A machine whose GPUs nobody can use; holds the numbers of GPUs that it was asked for."""
    found: list[float] = []

    def missing(needed: float) -> str:
        found.append(needed)
        return FAULT

    monkeypatch.setattr(gpus, "missing_gpus", missing)
    gpus._faults.cache_clear()
    yield found
    gpus._faults.cache_clear()


def test_unusable_gpus_are_refused_with_the_diagnosis_and_the_remedy(asked: list[float]) -> None:
    for _ in range(2):
        with pytest.raises(InputError, match=r"no NVIDIA driver was found(.|\n)*`--gpus`\) to 0"):
            require_gpus(Resources(gpus=1))
    assert asked == [1], "the answer is kept"


def test_without_gpus_nobody_is_asked(asked: list[float]) -> None:
    require_gpus(Resources())
    assert asked == []


def test_several_gpus_for_one_run_need_jax(asked: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lifecycle, "check_data", lambda plan: pytest.fail("the data was read"))
    with pytest.raises(InputError, match=r"asks for 2 GPUs, but TensorFlow trains a run on one.*KERAS_BACKEND=jax"):
        run_study(make_study(resources={"gpus": 2}), tmp_path / "study", Options())
    assert (asked, list(tmp_path.iterdir())) == ([], [])
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(InputError, match="no NVIDIA driver was found"):
        require_gpus(Resources(gpus=2))
    assert asked == [2]


def test_a_study_is_refused_before_its_data_is_read_and_anything_is_written(
    asked: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lifecycle, "check_data", lambda plan: pytest.fail("the data was read"))
    with pytest.raises(InputError, match="can use none here"):
        run_study(make_study(resources={"gpus": 0.5}), tmp_path / "study", Options())
    assert asked == [0.5]
    assert not (tmp_path / "study").exists()
