"""Both architectures of emovox in PyTorch, as its documentation writes such models."""
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Seed(nn.Module):
    """Time-averaged MFCCs as a sequence of 40 numbers → LSTM 256 → 128 → 64 → classes."""

    def __init__(self, classes):
        super().__init__()
        self.lstm = nn.LSTM(1, 256, batch_first=True)
        self.head = nn.Sequential(
            nn.Dropout(0.3), nn.Linear(256, 128), nn.ReLU(),
            nn.Dropout(0.3), nn.Linear(128, 64), nn.ReLU(),
            nn.Dropout(0.3), nn.Linear(64, classes))

    def forward(self, means, lengths=None):
        _, (h, _) = self.lstm(means)
        return self.head(h[-1])

    def take(self, weights):
        copy(self.lstm, weights, "lstm.", "_l0")
        for layer, name in ((1, "dense1"), (4, "dense2"), (7, "output")):
            copy(self.head[layer], weights, name + ".")


class Default(nn.Module):
    """Five frames stacked → linear → LayerNorm → LSTM 128 in both directions → attention → classes.

    `packed`: the LSTM reads packed sequences, and computes what emovox computes. Otherwise it reads
    the padded batch, as most code does: the time is that of the same layers, but the backward direction
    meets each clip's padding first, so what it computes depends a little on the batch.
    """

    def __init__(self, columns, classes, packed):
        super().__init__()
        self.packed = packed
        self.input = nn.Linear(columns, 128)
        self.norm = nn.LayerNorm(128)
        self.lstm = nn.LSTM(128, 128, batch_first=True, bidirectional=True)
        self.attention = nn.Linear(256, 4)
        self.output = nn.Linear(4 * 256, classes)
        self.input_dropout, self.dropout = nn.Dropout(0.1), nn.Dropout(0.3)

    def forward(self, steps, lengths):
        x = self.input_dropout(torch.relu(self.norm(self.input(steps))))
        if self.packed:
            packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
            x, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True,
                                       total_length=steps.shape[1])
        else:
            x, _ = self.lstm(x)
        x = self.dropout(x)
        behind = torch.arange(steps.shape[1], device=steps.device) >= lengths.unsqueeze(1)
        scores = self.attention(x).masked_fill(behind.unsqueeze(-1), float("-inf"))
        pooled = scores.softmax(1).transpose(1, 2).matmul(x).flatten(1)
        return self.output(self.dropout(pooled))

    def take(self, weights):
        copy(self.input, weights, "input.")
        copy(self.norm, weights, "input_norm.")
        copy(self.lstm, weights, "lstm0.forward.", "_l0")
        copy(self.lstm, weights, "lstm0.backward.", "_l0", "_l0_reverse")
        copy(self.attention, weights, "attention.")
        copy(self.output, weights, "output.")


def read_ot(path):
    """The tensors of an emovox .ot file by name."""
    tensors = torch.jit.load(path).state_dict()
    return {name.replace("|", "."): tensor for name, tensor in tensors.items()}


def copy(layer, weights, prefix, suffix="", own_suffix=None):
    """Weights named `prefix…suffix` into the layer's own that end in `own_suffix`."""
    own_suffix = suffix if own_suffix is None else own_suffix
    with torch.no_grad():
        for name, own in layer.named_parameters():
            if own_suffix and not name.endswith(own_suffix):
                continue
            base = name[:-len(own_suffix)] if own_suffix else name
            own.copy_(weights[prefix + base + suffix])
