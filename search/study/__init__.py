"""Study file: its schema, presets, factors and error messages."""

from search.study.loading import load_study
from search.study.schema import Study

__all__ = ["Study", "load_study"]
