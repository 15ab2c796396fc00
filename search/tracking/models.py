"""Models of a final training in MLflow: logged with their signatures; the best one is registered on request.

MLflow's own `log_model` uses a global store and creates duplicates when repeated. Here every step first checks what
exists. Keras is imported only when there is a model to log, and without a GPU, which training needs.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.tracking.mapping import Point
from trainables import records

if TYPE_CHECKING:
    import keras
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.models import ModelSignature

READY = "READY"
_log = logging.getLogger(__name__)


def log_model(
    client: MlflowClient,
    experiment: str,
    run_id: str,
    path: Path,
    *,
    parameters: Mapping[str, str],
    tags: Mapping[str, str],
    points: Sequence[Point],
) -> str:
    """Log a saved model as an output of a run, unless this has been done already.

    Args:
        client: client of the tracking store.
        experiment: MLflow's id of the experiment.
        run_id: MLflow's id of the run that trained it.
        path: the `.keras` file; the model maps uint8 images to probabilities.
        parameters: the run's parameters.
        tags: tags of the model.
        points: the run's final metrics, which are logged for the model too.

    Returns:
        MLflow's id of the logged model.
    """
    from mlflow.entities import LoggedModelOutput, Metric

    known = _clean(client, experiment, run_id)
    if known:
        return known.model_id
    model = client.create_logged_model(
        experiment,
        name=re.sub(r"[/:.%\"']", "-", path.stem),
        source_run_id=run_id,
        tags=dict(tags),
        params=dict(parameters),
        model_type="keras",
    )
    with tempfile.TemporaryDirectory(prefix="assay-model-") as scratch:
        folder = str(Path(scratch, "model"))
        _save(path, folder, model)
        client.log_model_artifacts(model.model_id, folder)
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=max((p.step for p in points), default=0))])
    metrics = [Metric(*point, model_id=model.model_id, run_id=run_id) for point in points]
    client.log_batch(run_id, metrics=metrics)
    client.finalize_logged_model(model.model_id, READY)
    _log.info("logged the model %s", path.name)
    return model.model_id


def _clean(client: MlflowClient, experiment: str, run_id: str) -> LoggedModel | None:
    """Return the run's model if it is complete, and delete what interrupted attempts have left."""
    found = client.search_logged_models([experiment], f"source_run_id = '{run_id}'")
    complete = [model for model in found if str(model.status) == READY]
    for model in found:
        if model not in complete[:1]:
            client.delete_logged_model(model.model_id)
    return complete[0] if complete else None


def _save(path: Path, folder: str, logged: LoggedModel) -> None:
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    import keras
    from mlflow.keras import save_model
    from mlflow.models import Model

    model: Any = keras.saving.load_model(path, compile=False)
    card = Model(
        artifact_path=logged.artifact_location,
        model_uuid=logged.model_id,
        run_id=logged.source_run_id,
        model_id=logged.model_id,
    )
    needs = [f"{name}=={version(name)}" for name in ("keras", keras.backend.backend(), "numpy")]
    with warnings.catch_warnings():
        # Keras converts its variables in a way that NumPy 2 deprecates.
        warnings.filterwarnings("ignore", message="__array__ implementation", category=DeprecationWarning)
        save_model(model, folder, mlflow_model=card, signature=_signature(model), pip_requirements=needs)
    description = path.with_suffix(".json")
    if description.is_file():
        Path(folder, "description.json").write_bytes(description.read_bytes())


def _signature(model: keras.Model) -> ModelSignature:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    [image], [probabilities] = model.inputs, model.outputs
    return ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(image.dtype), (-1, *image.shape[1:]))]),
        outputs=Schema([TensorSpec(np.dtype(probabilities.dtype), (-1, *probabilities.shape[1:]))]),
    )


def register_model(client: MlflowClient, name: str, model_id: str, run_id: str, tags: Mapping[str, str]) -> str:
    """Register a logged model under a name, once, and give it the alias `champion`.

    Args:
        client: client of the tracking store.
        name: name of the registered model, created if missing.
        model_id: MLflow's id of the logged model.
        run_id: MLflow's id of the run that trained it.
        tags: tags of the version.

    Returns:
        The number of the version.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        client.create_registered_model(name)
    quoted = name.replace("'", "''")
    versions = client.search_model_versions(f"name = '{quoted}' and run_id = '{run_id}'")
    made = versions[0] if versions else None
    if made is None:
        source = client.get_logged_model(model_id).artifact_location
        made = client.create_model_version(name, source, run_id=run_id, tags=dict(tags), model_id=model_id)
        _log.info("registered version %s of %s", made.version, name)
    number = str(made.version)
    if records.TAG_OUTCOME not in made.tags:  # otherwise a user may have moved the alias since
        client.set_registered_model_alias(name, records.CHAMPION, number)
        client.set_model_version_tag(name, number, records.TAG_OUTCOME, records.COMPLETED)
    return number
