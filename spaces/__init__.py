"""What may vary: Optuna distributions and the shared design."""
