"""Artifact repository for MLflow: artifacts next to the SQLite store that refers to them, wherever it was moved.

MLflow stores absolute artifact locations only. The store in a study's folder uses `assay:/artifacts` instead, a
scheme that MLflow resolves through this plug-in (entry point group `mlflow.artifact_repository`).
"""

from __future__ import annotations

import mlflow
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from search.store.tracking_uri import redact, relative_artifacts


class RelativeArtifactRepository(LocalArtifactRepository):
    """Artifacts in a folder given relative to the SQLite file of the tracking store.

    Args:
        artifact_uri: such as `assay:/artifacts/RUN/artifacts`.
        tracking_uri: the tracking store; by default MLflow's current one.
        registry_uri: the model registry, unused.

    Raises:
        MlflowException: the tracking store is not a SQLite file.
    """

    def __init__(self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        store = tracking_uri or mlflow.get_tracking_uri()
        folder = relative_artifacts(artifact_uri, store)
        if folder is None:
            raise mlflow.MlflowException(
                f"{artifact_uri} is relative to the SQLite file of a study, but the tracking URI is {redact(store)}. "
                "Set it to sqlite:////FOLDER/mlflow.db."
            )
        super().__init__(folder.as_uri(), tracking_uri, registry_uri)
