"""Devices: the GPUs that the driver sees, those that TensorFlow or JAX can use, and why they differ."""
