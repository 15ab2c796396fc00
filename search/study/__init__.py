"""Study file: its schema, presets, factors and error messages."""

from search.study.schema import Study, load_study

__all__ = ["Study", "load_study"]
