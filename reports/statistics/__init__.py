"""Statistics of the report: estimators, significance tests and the group-sequential decision rule."""
