"""Recognition of a source: which reader a path, address or data frame needs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from reports.judging.run_table import RunTable
from reports.judging.sources.tables import ENDINGS, read_table
from trainables.errors import InputError

KINDS = (
    "a table (.csv, .tsv, .parquet), a folder of Ray Tune results, an Optuna storage, a folder of TensorBoard events, "
    "a folder of Weights & Biases runs, or an MLflow store with --experiment"
)


def read_source(source: str | Path | pd.DataFrame) -> RunTable:
    """Read runs from wherever they are.

    Args:
        source: a data frame, a path or an address.

    Raises:
        InputError: there is nothing there, or it is of no known kind.
    """
    if isinstance(source, pd.DataFrame):
        return RunTable("the data frame", source.reset_index(drop=True))
    path = Path(source).expanduser()
    if not path.exists():
        raise InputError(f"{source} does not exist. A source is {KINDS}.")
    if path.is_file() and path.name.lower().endswith(ENDINGS):
        return read_table(path)
    raise InputError(f"{source} is of no known kind. A source is {KINDS}.")
