"""Search spaces: Optuna distributions and the shared design."""
