"""The seed recipe in Keras, its original library: `fit` on time-averaged MFCCs.

    train_keras.py RUN FEATURES [--epochs N] [--check]

Same as the emovox run RUN: the split, the MFCCs (cached as .npy, one file a clip), layers and sizes, batch
size 64, dropout, Adam with Keras' own settings, validation after every epoch, all cores.
Less work than in emovox: the means over time are computed once, not in every step; nothing is saved.
Not the same: random numbers; Keras' LSTM has one bias, libtorch's has two that are added, so the model has
1024 fewer parameters.
"""
import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
from keras import layers

import data


class Clock(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.started)
        print(f"epoch {epoch + 1} {self.seconds[-1]:.3f} s", flush=True)


def seed(classes):
    return keras.Sequential([
        layers.Input((40, 1)), layers.LSTM(256), layers.Dropout(0.3),
        layers.Dense(128, activation="relu"), layers.Dropout(0.3),
        layers.Dense(64, activation="relu"), layers.Dropout(0.3),
        layers.Dense(classes, activation="softmax")])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("features")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    train, validation, classes = data.load(args.run, args.features)

    def tensors(part):
        clips, labels = part
        means = np.stack([clip.mean(0) for clip in clips])[..., None]
        return means, keras.utils.to_categorical(labels, len(classes))

    model = seed(len(classes))
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    x, y = tensors(validation)
    if args.check:
        model.set_weights([np.load(f"{args.run}/keras/{i}.npy") for i in range(9)])
        loss, accuracy = model.evaluate(x, y, batch_size=64, verbose=0)
        ours = data.chosen_epoch(args.run)
        print(json.dumps({"parameters": model.count_params(), "loss": loss,
                          "emovox loss": float(ours["validation_loss"])}))
        model.save(f"{args.run}/seed.keras")
        return
    clock = Clock()
    model.fit(*tensors(train), batch_size=64, epochs=args.epochs, validation_data=(x, y), verbose=0,
              callbacks=[clock])
    print(json.dumps({"epochs": clock.seconds, "parameters": model.count_params()}))


main()
