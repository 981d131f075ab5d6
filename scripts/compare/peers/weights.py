"""Writes the weights of an emovox run of the seed recipe for the peers: `weights.py RUN`.

Writes RUN/seed.pt (a PyTorch state dict) and RUN/keras/*.npy (in the order of Keras' set_weights). For
`predict` the last layer is divided by the run's temperature, so that the peers' softmax gives emovox's
probabilities.
"""
import os
import re
import sys

import numpy as np
import torch

import models

run = sys.argv[1]
weights = models.read_ot(f"{run}/best.ot")
model = models.Seed(weights["output.bias"].numel())
model.take(weights)
os.makedirs(f"{run}/keras", exist_ok=True)
arrays = [weights["lstm.weight_ih_l0"].T, weights["lstm.weight_hh_l0"].T,
          weights["lstm.bias_ih_l0"] + weights["lstm.bias_hh_l0"]]
for layer in ("dense1", "dense2", "output"):
    arrays += [weights[f"{layer}.weight"].T, weights[f"{layer}.bias"]]
for index, array in enumerate(arrays):
    np.save(f"{run}/keras/{index}.npy", array.numpy())
temperature = float(re.search(r"(?m)^temperature = (\S+)", open(f"{run}/config.toml").read())[1])
with torch.no_grad():
    model.head[-1].weight /= temperature
    model.head[-1].bias /= temperature
torch.save(model.state_dict(), f"{run}/seed.pt")
