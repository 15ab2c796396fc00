"""Training runs: configuration, data, augmentation, methods, models, optimizers, and the engine that trains."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # whatever Keras's own settings, `~/.keras/keras.json`, say
