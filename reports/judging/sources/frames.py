"""Data frames as tables of runs: a named index is columns like any other."""

from __future__ import annotations

import pandas as pd


def with_index_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose named index levels are columns, in front of the others, and whose names are text.

    Levels without a name are row numbers and are left out; so is a level that repeats a column of its name.

    >>> with_index_columns(pd.DataFrame({"seed": [1, 2], "accuracy": [0.5, 0.6]}).set_index("seed")).columns.tolist()
    ['seed', 'accuracy']
    """
    index = frame.index
    frame = frame.reset_index(drop=True)
    frame.columns = [str(name) for name in frame.columns]
    levels = [
        pd.Series(index.get_level_values(position), name=str(name))
        for position, name in enumerate(index.names)
        if name is not None
    ]
    added = [level for level in levels if not _repeats(frame, level)]
    return pd.concat([*added, frame], axis=1) if added else frame


def _repeats(frame: pd.DataFrame, level: pd.Series) -> bool:
    """Return whether a column has the name and the values of an index level."""
    return level.name in frame and frame[level.name].astype("string").equals(level.astype("string"))
