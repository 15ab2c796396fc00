"""Training runs: configuration, data, augmentation, methods, models, optimizers, and the engine that trains."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # regardless of Keras's own settings in `~/.keras/keras.json`
