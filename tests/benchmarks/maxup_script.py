"""The program of case 1: MaxUp in plain Keras, in each step the copies of one image.

Network, generator and optimizer are the published ones. `tests.benchmarks.one_image` runs it as it stands and with
three lines changed. It prints the seconds and the validation accuracy of each epoch as a line of JSON.

    python tests/benchmarks/maxup_script.py FOLDER SIDE WIDTH EPOCHS
"""

import json
import sys
import time

import keras
import numpy as np
from keras import layers, ops
from keras._tf_keras.keras.preprocessing.image import ImageDataGenerator

FOLDER, SIDE, WIDTH, EPOCHS = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
SIZE = (SIDE, SIDE)
M, HE = 4, "he_normal"
augmented = ImageDataGenerator(
    rotation_range=30, width_shift_range=0.2, height_shift_range=0.2, shear_range=0.2, zoom_range=0.2,
    horizontal_flip=True,
)  # fmt: skip


def network():
    net = keras.Sequential([keras.Input((*SIZE, 3)), layers.Rescaling(1 / 255)])
    for filters in (64, 128, 256, 512, 512):
        for _ in range(2):
            net.add(layers.Conv2D(int(WIDTH * filters), 3, padding="same", activation="relu", kernel_initializer=HE))
            net.add(layers.BatchNormalization(momentum=0.9, scale=False))
        net.add(layers.MaxPooling2D())
    net.add(layers.Flatten())
    for units in (512, 256):
        net.add(layers.Dense(int(WIDTH * units), activation="relu", kernel_initializer=HE))
    net.add(layers.Dense(10, activation="softmax"))
    return net


class Copies(keras.utils.PyDataset):
    def __init__(self, images):
        super().__init__()
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image, label = self.images[index]
        return np.stack([augmented.random_transform(image[0]) for _ in range(M)]), np.repeat(label, M, axis=0)

    def on_epoch_end(self):
        self.images.on_epoch_end()


def worst_copy(labels, predictions):
    return ops.max(keras.losses.categorical_crossentropy(labels, predictions))


class Clock(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.epochs, self.began = [], time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append({"seconds": time.perf_counter() - self.began, "accuracy": logs["val_accuracy"]})
        self.began = time.perf_counter()


def read(part, batch_size):
    return ImageDataGenerator().flow_from_directory(f"{FOLDER}/{part}", SIZE, batch_size=batch_size)


clock, optimizer = Clock(), keras.optimizers.SGD(0.001, momentum=0.9)
train, validation = Copies(read("train", 1)), read("test", 256)
model = network()
model.compile(optimizer, worst_copy, metrics=["accuracy"])
model.fit(train, epochs=EPOCHS, validation_data=validation, callbacks=[clock], verbose=0)
print(json.dumps(clock.epochs))
