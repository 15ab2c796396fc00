"""Export: the best configuration of a study as a recipe or a Keras script."""
