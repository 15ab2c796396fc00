"""Storage: the study folder, its journal, YAML files, Optuna's file and provenance."""
