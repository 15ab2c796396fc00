"""Statistics: estimators, tests and the group sequential rule. Arrays in, numbers out."""
