"""MLflow tracking: a separate process delivers every run of the journal exactly once."""
