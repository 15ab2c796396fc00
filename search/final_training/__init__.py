"""Final training: trains a recipe with several seeds and compares the result with the study's."""
