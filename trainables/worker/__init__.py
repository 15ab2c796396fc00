"""Worker: the Ray trainable and what is sent to and from it."""
