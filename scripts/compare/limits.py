#!/usr/bin/env python3
"""Speed of one core in the LSTMs of emovox's recipes, and in their matrix products alone.

    taskset -c 0 ~/.cache/emovox/compare/bin/python scripts/compare/limits.py

emovox and PyTorch compute an LSTM with the same function of libtorch (oneDNN). Its time can hardly be
shorter than that of the matrix products in it, computed by MKL at the same sizes. The last column is the
ratio of the two: how many times as fast a perfect LSTM would be. Random numbers; the shortest of 20
measurements; needs an otherwise idle core.
"""

import time

import torch

# Clips of a piece (src/training/pieces.rs), and the LSTM of each recipe: time steps, inputs, units.
CLIPS = 16
LSTMS = {"default": (48, 128, 64), "mean-lstm": (40, 1, 256)}


def seconds(work):
    """Shortest time of one call, in seconds."""
    work()
    times = []
    for _ in range(20):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def product(rows, inner, columns):
    """Time of one product of matrices, as the mean of a hundred."""
    a, b, out = torch.randn(rows, inner), torch.randn(inner, columns), torch.empty(rows, columns)
    return seconds(lambda: [torch.mm(a, b, out=out) for _ in range(100)]) / 100


def lstm(steps, inputs, units):
    """Time of a forward and backward pass."""
    layer = torch.nn.LSTM(inputs, units, batch_first=True)
    clips = torch.randn(CLIPS, steps, inputs, requires_grad=True)
    return seconds(lambda: layer(clips)[0].sum().backward())


def products(steps, inputs, units):
    """Time of the products in a forward and backward pass. Those with the inputs, and those that give the
    gradients of weights, are one product for all time steps."""
    rows, gates = CLIPS * steps, 4 * units
    forward = product(rows, inputs, gates) + steps * product(CLIPS, units, gates)
    of_states = product(rows, gates, inputs) + steps * product(CLIPS, gates, units)
    of_weights = product(gates, rows, inputs) + product(gates, rows, units)
    return forward + of_states + of_weights


def main():
    torch.set_num_threads(1)
    large = 2 * 1024**3 / product(1024, 1024, 1024) / 1e9
    print(f"large products: {large:.0f} GFLOP/s")
    print("recipe      LSTM, ms  GFLOP/s  products, ms  GFLOP/s  ratio")
    for recipe, (steps, inputs, units) in LSTMS.items():
        operations = 3 * 2 * CLIPS * steps * 4 * units * (inputs + units)
        whole, alone = lstm(steps, inputs, units), products(steps, inputs, units)
        speed = [operations / time / 1e9 for time in (whole, alone)]
        print(
            f"{recipe:<10}{1e3 * whole:10.1f}{speed[0]:9.0f}"
            f"{1e3 * alone:14.1f}{speed[1]:9.0f}{whole / alone:7.2f}"
        )


if __name__ == "__main__":
    main()
