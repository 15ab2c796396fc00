"""A worker's images: from the object store if they are few, otherwise mapped from the file that the driver names."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.networks import LINEAR
from trainables.config import RunConfig
from trainables.data import SOURCES, archives, sharing
from trainables.data.sharing import shared
from trainables.engine.classifier import Classifier
from trainables.worker.requests import RunRequest
from trainables.worker.trainable import TrainingTrainable


@pytest.mark.usefixtures("own_code")
@pytest.mark.parametrize(("place", "large"), [("streamed", 1), ("resident", 1), ("auto", 2**28)])
def test_a_worker_trains_on_the_images_that_it_is_sent(
    place: Any, large: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    for module in (archives, sharing):
        monkeypatch.setattr(module, "LARGE", large)
    source = SOURCES.get("digits")()
    data = source.load()
    config = RunConfig.from_plain({"data": "digits", "model": LINEAR, "augmentation": "crop", "epochs": 12})
    request = RunRequest(
        run="r", phase="search", condition="all", method="baseline", index=0, seed_index=0, test=None, stops=(),
        config=config.model_dump(mode="json"), checkpoints=str(tmp_path), log=str(tmp_path / "log"), data=place,
        code=(LINEAR,),
    )  # fmt: skip
    worker = object.__new__(TrainingTrainable)
    worker._data, worker._arrays, worker._threads = pickle.loads(pickle.dumps({"": shared(data, source)})), {}, 1
    engine = worker.make_engine(request)
    assert isinstance(engine, Classifier)
    assert engine.streamed is (place == "streamed")
    assert bool(list((tmp_path).glob("cache/*/images.npy"))) is (large == 1)
    usual = Classifier(config, data.arrays(), 10)
    found, expected = engine.train_epoch(), usual.train_epoch()
    assert found["train_loss"] == expected["train_loss"]
    assert found["validation_loss"] == expected["validation_loss"]
    assert np.array_equal(engine.test().loss, usual.test().loss)
