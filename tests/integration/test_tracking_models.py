"""Tests of models of a final training in a real MLflow store: logged with signature, the best one registered once."""

import numpy as np
import pytest
from mlflow import MlflowClient

from search.tracking import models
from tests.support.mlflow_stores import Study, wait_until
from tests.support.runs import run_of
from trainables import records
from trainables.records import Outcome

pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning"),
]
SHAPE = (8, 8, 1)


@pytest.fixture
def training(tmp_path, store):
    """A final training of three seeds: the second is best on validation, the third failed."""
    from trainables.backends.selection import backend

    backend.configure(deterministic=False)
    import keras

    from trainables.engine.saved_model import save_model

    study = Study(tmp_path / "training", store)
    name = f"champions of {study.id}"
    study.journal.set_meta_once(records.META_RECIPE, {"seeds": 3})
    study.journal.set_meta_once(records.META_REGISTER, name)
    network = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(3)])
    (study.folder / records.MODELS).mkdir()
    for seed, loss in enumerate((0.5, 0.25)):
        run = f"train_mixup_0.2_s{seed:03d}"
        study.add(run_of(run, records.TRAIN, "final", "final", "mixup", 0, seed, False, {}, {"learning_rate": 0.1}))
        study.report(run, 1, 2)
        path = study.folder / records.MODELS / f"{run}.keras"
        save_model(path, network, np.zeros(1, "float32"), np.ones(1, "float32"), ("a", "b", "c"))
        figures = {records.SELECTION: loss, records.TEST_ACCURACY: 0.9 - seed / 10}
        study.journal.end(run, Outcome(records.COMPLETED, 2, "", figures))
    study.add(run_of("third", records.TRAIN, "final", "final", "mixup", 0, 2, False, {}, {}))
    study.journal.end("third", Outcome(records.FAILED, 0, "out of memory", {}))
    yield study, name
    study.journal.close()


def test_the_models_of_a_final_training(training, monkeypatch):
    study, name = training
    save = models._save
    fates = iter([ConnectionError("the server is away")])

    def cut_short(*arguments):
        save(*arguments)
        for error in fates:
            raise error

    monkeypatch.setattr(models, "_save", cut_short)
    synchronizer = study.deliver()
    assert not synchronizer.complete
    assert "the server is away" in synchronizer.error
    for _ in range(2):
        assert study.deliver().complete
    client, runs = MlflowClient(study.uri), study.runs()
    assert {run.info.status for run in runs.values()} == {"FINISHED", "FAILED"}
    assert study.points() == study.truth()
    [experiment] = {run.info.experiment_id for run in runs.values()}
    logged = {model.source_run_id: model for model in client.search_logged_models([experiment])}
    assert len(logged) == len(client.search_logged_models([experiment])) == 2
    assert {str(model.status) for model in logged.values()} == {"READY"}
    best = runs["train_mixup_0.2_s001"].info.run_id
    assert {metric.key: metric.value for metric in logged[best].metrics} == {"selection": 0.25, "test_accuracy": 0.8}
    champion = client.get_model_version_by_alias(name, records.CHAMPION)
    assert (champion.run_id, champion.version, champion.status) == (best, 1, "READY")
    assert len(client.search_model_versions(f"name = '{name}'")) == 1

    monkeypatch.setenv("MLFLOW_TRACKING_URI", study.uri)
    from mlflow import pyfunc

    opened = pyfunc.load_model(f"models:/{name}@{records.CHAMPION}")
    assert opened.metadata.signature.inputs.inputs[0].shape == (-1, *SHAPE)
    images = np.zeros((2, *SHAPE), "uint8")
    np.testing.assert_allclose(opened.predict(images).sum(axis=1), 1, rtol=1e-6)


def test_an_alias_moved_by_a_user_stays(training):
    study, name = training
    assert study.deliver().complete
    client = MlflowClient(study.uri)
    first = client.get_model_version_by_alias(name, records.CHAMPION)
    other = client.create_model_version(name, first.source, run_id="another")
    client.set_registered_model_alias(name, records.CHAMPION, other.version)
    assert study.deliver().complete
    assert client.get_model_version_by_alias(name, records.CHAMPION).version == other.version


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_server_registers_the_champion_too(training, server):
    study, name = training
    study.uri = server.address
    wait_until(server.answers, 300)
    synchronizer = study.deliver()
    assert synchronizer.complete, synchronizer.error
    client, runs = MlflowClient(study.uri), study.runs()
    champion = client.get_model_version_by_alias(name, records.CHAMPION)
    best = runs["train_mixup_0.2_s001"].info
    assert champion.run_id == best.run_id
    [model] = client.search_logged_models([best.experiment_id], f"source_run_id = '{best.run_id}'")
    files = {file.path for file in client.list_logged_model_artifacts(model.model_id)}
    assert {"MLmodel", "data", "requirements.txt", "description.json"} <= files
