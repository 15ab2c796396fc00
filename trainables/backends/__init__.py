"""Backends: TensorFlow and JAX. Import the selected one with `from trainables.backends.selection import backend`."""
