"""Both architectures of emovox in PyTorch, in the style of its documentation."""
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


class Member(nn.Module):
    """Five stacked frames → linear → LayerNorm → bidirectional LSTM 64 → attention, concatenated with mean and
    standard deviation of the LSTM's input → classes.

    `packed`: the LSTM reads packed sequences and gives the same result as emovox. Otherwise it reads the
    padded batch, as most code does: the layers take the same time, but the backward direction starts with
    the padding of each clip, so the result depends slightly on the batch.
    """

    def __init__(self, columns, classes, packed):
        super().__init__()
        self.packed = packed
        self.input = nn.Linear(columns, 128)
        self.norm = nn.LayerNorm(128)
        self.lstm = nn.LSTM(128, 64, batch_first=True, bidirectional=True)
        self.attention = nn.Linear(128, 4)
        self.output = nn.Linear(4 * 128 + 2 * 128, classes)
        self.input_dropout, self.dropout = nn.Dropout(0.1), nn.Dropout(0.3)

    def forward(self, steps, lengths):
        """Embedding and logits of each clip."""
        x = self.input_dropout(torch.relu(self.norm(self.input(steps))))
        behind = (torch.arange(steps.shape[1], device=steps.device) >= lengths.unsqueeze(1)).unsqueeze(-1)
        count = lengths.view(-1, 1, 1)
        mean = x.masked_fill(behind, 0.0).sum(1, keepdim=True) / count
        variance = (x - mean).square().masked_fill(behind, 0.0).sum(1, keepdim=True) / count
        statistics = torch.cat([mean, (variance + 1e-5).sqrt()], 2).squeeze(1)
        if self.packed:
            packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
            x, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True,
                                       total_length=steps.shape[1])
        else:
            x, _ = self.lstm(x)
        x = self.dropout(x)
        scores = self.attention(x).masked_fill(behind, float("-inf"))
        pooled = scores.softmax(1).transpose(1, 2).matmul(x).flatten(1)
        embedded = torch.cat([pooled, statistics], 1)
        return embedded, self.output(self.dropout(embedded))

    def take(self, weights, prefix):
        copy(self.input, weights, prefix + "input.")
        copy(self.norm, weights, prefix + "input_norm.")
        copy(self.lstm, weights, prefix + "lstm0.forward.", "_l0")
        copy(self.lstm, weights, prefix + "lstm0.backward.", "_l0", "_l0_reverse")
        copy(self.attention, weights, prefix + "attention.")
        copy(self.output, weights, prefix + "output.")


class Default(nn.Module):
    """An ensemble of three networks, trained independently. In training, returns the embeddings and logits of
    each, `[networks, batch, …]`; otherwise the mean of their log-probabilities."""

    def __init__(self, columns, classes, packed, members=3):
        super().__init__()
        self.members = nn.ModuleList(Member(columns, classes, packed) for _ in range(members))

    def forward(self, steps, lengths):
        heard = [member(steps, lengths) for member in self.members]
        embeddings, logits = (torch.stack(parts) for parts in zip(*heard))
        if self.training:
            return embeddings, logits
        return logits.log_softmax(2).mean(0)

    def take(self, weights):
        for number, member in enumerate(self.members):
            member.take(weights, f"member{number}.")


def contrastive(embeddings, labels):
    """Supervised contrastive loss (Khosla et al. 2020), the mean over the networks."""
    unit = nn.functional.normalize(embeddings, dim=2)
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    share = (unit @ unit.transpose(1, 2) / 0.1).masked_fill(itself, -1e9).log_softmax(2)
    alike = ((labels.unsqueeze(0) == labels.unsqueeze(1)) & ~itself).float()
    pairs = alike.sum(1)
    drawn = (share * alike).sum(2) / pairs.clamp(min=1)
    return -drawn.sum() / ((pairs > 0).sum().clamp(min=1) * len(embeddings))


def read_ot(path):
    """The tensors of an emovox .ot file by name."""
    tensors = torch.jit.load(path).state_dict()
    return {name.replace("|", "."): tensor for name, tensor in tensors.items()}


def copy(layer, weights, prefix, suffix="", own_suffix=None):
    """Copies the weights named `prefix…suffix` into those of the layer that end in `own_suffix`."""
    own_suffix = suffix if own_suffix is None else own_suffix
    with torch.no_grad():
        for name, own in layer.named_parameters():
            if own_suffix and not name.endswith(own_suffix):
                continue
            base = name[:-len(own_suffix)] if own_suffix else name
            own.copy_(weights[prefix + base + suffix])
