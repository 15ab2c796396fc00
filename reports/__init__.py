"""What the runs mean: estimators, verdicts, figures and the page."""
