"""One training run: its configuration, data, model, method and engine."""
