"""MLflow: every run, once, from the journal, by a process of its own."""
