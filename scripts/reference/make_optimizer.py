"""Writes tests/data/optimizer.json: parameters after steps of PyTorch's own AdamW and Adam.

    pip install torch==2.11.0
    python scripts/reference/make_optimizer.py
"""

import json
import math
from pathlib import Path

import torch

STEPS = 12
RATES = [1e-2 * (1 + math.sin(step)) for step in range(STEPS)]


def gradient(step, count):
    return [3.0 * math.sin(1.7 * step + 0.9 * i) for i in range(count)]


def case(weight_decay, epsilon, clip_norm):
    matrix = torch.nn.Parameter(torch.tensor([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]]))
    vector = torch.nn.Parameter(torch.tensor([0.1, -0.2]))
    groups = [
        {"params": [matrix], "weight_decay": weight_decay},
        {"params": [vector], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, eps=epsilon)
    for step, rate in enumerate(RATES):
        matrix.grad = torch.tensor(gradient(step, 6)).view(3, 2)
        vector.grad = torch.tensor(gradient(step + 100, 2))
        if clip_norm:
            torch.nn.utils.clip_grad_norm_([matrix, vector], clip_norm)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    return {
        "weight_decay": weight_decay,
        "epsilon": epsilon,
        "clip_norm": clip_norm,
        "matrix": matrix.detach().flatten().tolist(),
        "vector": vector.detach().tolist(),
    }


cases = [case(0.0, 1e-7, 0.0), case(0.01, 1e-8, 0.0), case(0.1, 1e-8, 1.0)]
out = Path(__file__).parents[2] / "tests" / "data" / "optimizer.json"
out.write_text(json.dumps({"steps": STEPS, "cases": cases}, indent=1) + "\n")
