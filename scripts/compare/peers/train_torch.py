"""A training in PyTorch.

    train_torch.py RUN FEATURES --arch seed|default [--batches padded|bucketed|packed] [--epochs N]
                   [--device cpu|cuda] [--resident] [--check]

Same as the emovox run RUN: the split, the features (cached as .npy, one file a clip), their
normalisation, the layers and their sizes, batch size, dropout, loss (default: label smoothing 0.1 and a
contrastive loss of 0.3, for each of three networks), Adam with ε = 1e-7 (default: AdamW, one-cycle,
gradient norm 1 for each network; both fused on a GPU), validation after every epoch, all cores, no
augmentation.
Less work than in emovox: the means over time of `seed` are computed once, not in every step; the frames of
the default are stacked once; nothing is saved, while emovox saves its whole state after every epoch.
Not the same: random numbers; the initial weights; weight decay on biases too, as AdamW does it.

`padded`: random batches, padded to their longest clip. `bucketed`: sorted by length in groups of four
batches, as in emovox. `packed`: packed sequences. `--resident`: all clips padded on the device once,
batches by index, no DataLoader.
`--check`: no training; scores the run's best weights on its validation subset.
"""
import argparse
import json
import time

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

import data
import models

STACK = 5


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("features")
    parser.add_argument("--arch", choices=["seed", "default"], required=True)
    parser.add_argument("--batches", choices=["padded", "bucketed", "packed"], default="padded")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--resident", action="store_true")
    parser.add_argument("--check", action="store_true")
    return parser.parse_args()


def prepare(arch, train, validation, statistics):
    """Clips as tensors: [40, 1] means for the seed, [steps, 5 · columns] for the default."""
    parts = [[torch.from_numpy(clip) for clip in clips] for clips in (train, validation)]
    if arch == "seed":
        return [[clip.mean(0).unsqueeze(1) for clip in clips] for clips in parts]
    if statistics is None:
        frames = torch.cat(parts[0])
        statistics = frames.mean(0), frames.std(0, correction=0)
    mean, deviation = statistics

    def stacked(clip):
        clip = (clip - mean) / deviation
        clip = nn.functional.pad(clip, (0, 0, 0, -len(clip) % STACK))
        return clip.view(len(clip) // STACK, -1)

    return [[stacked(clip) for clip in clips] for clips in parts]


class Bucketed:
    """Batches of similar length: sorted in groups of four batches."""

    def __init__(self, lengths, batch_size):
        self.lengths, self.batch_size = lengths, batch_size

    def __len__(self):
        return -(-len(self.lengths) // self.batch_size)

    def __iter__(self):
        order = torch.randperm(len(self.lengths)).tolist()
        stretch, size = 4 * self.batch_size, self.batch_size
        order = [clip for start in range(0, len(order), stretch)
                 for clip in sorted(order[start:start + stretch], key=self.lengths.__getitem__)]
        batches = [order[start:start + size] for start in range(0, len(order), size)]
        return iter([batches[i] for i in torch.randperm(len(batches)).tolist()])


def collate(samples):
    clips, labels = zip(*samples)
    lengths = torch.tensor([len(clip) for clip in clips])
    return pad_sequence(clips, batch_first=True), lengths, torch.tensor(labels)


class Resident:
    """All clips on the device, batches by index."""

    def __init__(self, samples, batch_size, shuffle, device):
        steps, lengths, labels = collate(samples)
        self.steps, self.labels, self.lengths = steps.to(device), labels.to(device), lengths.to(device)
        self.host_lengths, self.batch_size, self.shuffle = lengths, batch_size, shuffle

    def __len__(self):
        return -(-len(self.host_lengths) // self.batch_size)

    def __iter__(self):
        clips = len(self.host_lengths)
        order = torch.randperm(clips) if self.shuffle else torch.arange(clips)
        for batch in order.split(self.batch_size):
            longest = int(self.host_lengths[batch].max())
            batch = batch.to(self.steps.device, non_blocking=True)
            yield self.steps[batch, :longest], self.lengths[batch], self.labels[batch]


def loaders(args, batch_size, parts):
    train, validation = parts
    if args.resident:
        return (Resident(train, batch_size, True, args.device),
                Resident(validation, batch_size, False, args.device))
    pin = args.device != "cpu"
    common = dict(collate_fn=collate, pin_memory=pin)
    if args.batches == "bucketed":
        sampler = Bucketed([len(clip) for clip, _ in train], batch_size)
        first = DataLoader(train, batch_sampler=sampler, **common)
    else:
        first = DataLoader(train, batch_size=batch_size, shuffle=True, **common)
    return first, DataLoader(validation, batch_size=batch_size, **common)


def main():
    args = arguments()
    train, validation, classes = data.load(args.run, args.features)
    weights = models.read_ot(f"{args.run}/best.ot") if args.check else None
    statistics = None
    if args.check and args.arch == "default":
        statistics = weights["normalisation.mean"], weights["normalisation.deviation"]
    clips = prepare(args.arch, train[0], validation[0], statistics)
    parts = [list(zip(clips[0], train[1])), list(zip(clips[1], validation[1]))]

    seed = args.arch == "seed"
    batch_size = 64 if seed else 32
    model = models.Seed(len(classes)) if seed else models.Default(
        clips[0][0].shape[1], len(classes), args.batches == "packed")
    model.to(args.device)
    batches, validation_batches = loaders(args, batch_size, parts)
    plain = nn.CrossEntropyLoss()
    if seed:
        loss_of = plain
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, fused=args.device != "cpu")
    else:
        smoothed = nn.CrossEntropyLoss(label_smoothing=0.1)
        members = len(model.members)

        def loss_of(heard, labels):
            embeddings, logits = heard
            loss = smoothed(logits.flatten(0, 1), labels.repeat(members))
            return members * (loss + 0.3 * models.contrastive(embeddings, labels))

        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2, fused=args.device != "cpu")
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, 3e-3, total_steps=args.epochs * len(batches))

    def moved(batch):
        return [tensor.to(args.device, non_blocking=True) for tensor in batch]

    def score():
        model.eval()
        total = torch.zeros((), device=args.device)
        right = torch.zeros((), device=args.device)
        with torch.inference_mode():
            for batch in validation_batches:
                steps, lengths, labels = moved(batch)
                logits = model(steps, lengths)
                total += plain(logits, labels) * len(labels)
                right += (logits.argmax(1) == labels).sum()
        return total.item() / len(parts[1]), right.item() / len(parts[1])

    parameters = sum(p.numel() for p in model.parameters())
    if args.check:
        model.take(weights)
        loss, accuracy = score()
        ours = data.chosen_epoch(args.run)
        print(json.dumps({"parameters": parameters, "loss": loss,
                          "emovox loss": float(ours["validation_loss"])}))
        return

    seconds = []
    for epoch in range(1, args.epochs + 1):
        started = time.perf_counter()
        model.train()
        total = torch.zeros((), device=args.device)
        for batch in batches:
            steps, lengths, labels = moved(batch)
            loss = loss_of(model(steps, lengths), labels)
            optimizer.zero_grad()
            loss.backward()
            if not seed:
                nn.utils.clip_grad_norm_(model.parameters(), members ** 0.5)
            optimizer.step()
            if not seed:
                schedule.step()
            total += loss.detach() * len(labels)
        train_loss = total.item() / len(parts[0])
        loss, accuracy = score()
        seconds.append(time.perf_counter() - started)
        print(f"epoch {epoch} train loss {train_loss:.3f} validation loss {loss:.3f} "
              f"accuracy {accuracy:.3f} {seconds[-1]:.3f} s", flush=True)
    print(json.dumps({"epochs": seconds, "parameters": parameters}))


main()
