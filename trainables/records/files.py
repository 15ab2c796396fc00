"""Files of a study's folder, and artifacts of its MLflow runs."""

from __future__ import annotations

# Files of a study's folder.
STUDY_FILE = "study.yaml"
JOURNAL_FILE = "study.db"
OPTUNA_FILE = "optuna.db"
MLFLOW_FILE = "mlflow.db"
ARTIFACTS = "artifacts"
CHECKPOINTS = "checkpoints"
REPORT = "report"
RECIPE_FILE = "recipe.yaml"
LOGS = "logs"
DELIVERY_FILE = "delivery.json"  # what MLflow does not have yet
DELIVERY_LOCK = "delivery.lock"
DELIVERY_LOG = "mlflow.log"
MODELS = "models"  # of a final training: RUN.keras, and RUN.json next to it
# Artifacts of MLflow runs that are not files of the folder.
HISTORY_ARTIFACT = "history.parquet"  # of a child: a row for each epoch
FACTS_ARTIFACT = "facts.json"
JOURNAL_ARTIFACT = "journal.json"  # of the study's run: plan, decisions, what was searched, single test images
LONG_PARAMETERS_ARTIFACT = "long_parameters.json"  # what is too long for MLflow, whole
LONG_TAGS_ARTIFACT = "long_tags.json"


def is_file_name(name: str) -> bool:
    """Return whether a name, such as that of a run, is one of a file in a folder, and leads to no other place.

    >>> is_file_name("search_mixup_k003"), is_file_name("../notes")
    (True, False)
    """
    return not {"/", "\\", "\0"} & set(name) and name not in {"", ".", ".."}
