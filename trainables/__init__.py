"""Training runs: configuration, data, augmentation, methods, models, optimizers, and the engine that trains."""
