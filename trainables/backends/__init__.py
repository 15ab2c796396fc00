"""Backends: everything that needs TensorFlow or JAX by name."""
