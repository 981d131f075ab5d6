"""The processes to compare, and the rows of the table."""
import os
from dataclasses import dataclass


@dataclass
class Contender:
    """A process. `command` may contain {list}, {corpus}, {work}, {epochs}, {clip}, {classes}, {run}."""
    name: str
    command: list
    one_core: bool = False
    cuda: bool = False
    #: emovox writes its seconds per epoch to metrics.csv of this run.
    run: bool = False


@dataclass
class Row:
    name: str
    what: str
    ours: tuple      # contender and its measurement
    peer: tuple
    against: str
    goal: str
    unit: str = "s"


EMOVOX, PYTHON = "{emovox}", "{python}"


def python(script, *arguments):
    return [PYTHON, "{peers}/" + script, *arguments]


def emovox_training(arch, *flags):
    return [EMOVOX, "train", "--data", "{corpus}", "--arch", arch, "--epochs", "{epochs}",
            "--runs-dir", "{work}/rounds", "--run", "{run}", *flags]


def torch_training(arch, *flags):
    own = "seed" if arch == "seed" else "bilstm"
    return python("train_torch.py", "{work}/runs/" + own, "{work}/features/" + own,
                  "--arch", arch, "--epochs", "{epochs}", *flags)


PLAIN = ["--config", "{here}/no-augmentation.toml"]
AUGMENTED = ["--config", "{here}/no-copies.toml"]
#: A certain GPU of several: COMPARE_GPU=cuda:1 scripts/compare/run.sh
CPU, CUDA = ["--device", "cpu"], ["--device", os.environ.get("COMPARE_GPU", "cuda")]
KERAS = python("train_keras.py", "{work}/runs/seed", "{work}/features/seed", "--epochs", "{epochs}")

CONTENDERS = {c.name: c for c in [
    Contender("emovox extract", ["{example}", "extract", "{list}"], one_core=True),
    Contender("librosa extract", python("features.py", "librosa", "{list}"), one_core=True),
    Contender("emovox extract 16k", ["{example}", "extract", "{list}", "16000"], one_core=True),
    Contender("librosa extract 16k", python("features.py", "librosa", "{list}", "16000"), one_core=True),
    Contender("emovox features", [EMOVOX, "features", "{corpus}", "--out", "{work}/rounds/{run}",
                                  "--threads", "1"], one_core=True),
    Contender("librosa features", python("features.py", "librosa-files", "{list}", "{work}/rounds/{run}"),
              one_core=True),
    Contender("torchaudio extract", python("features.py", "torchaudio", "{list}"), one_core=True),
    Contender("emovox mfcc", ["{example}", "kernels", "{list}"], one_core=True),
    Contender("torchaudio mfcc", python("features.py", "torchaudio-batch", "{list}"), one_core=True),
    Contender("emovox seed", emovox_training("seed", *CPU), run=True),
    Contender("keras seed", KERAS),
    Contender("torch seed", torch_training("seed")),
    Contender("emovox default", emovox_training("bilstm", *CPU, *PLAIN), run=True),
    Contender("emovox augmented", emovox_training("bilstm", *CPU, *AUGMENTED), run=True),
    Contender("torch padded", torch_training("default")),
    Contender("torch bucketed", torch_training("default", "--batches", "bucketed")),
    Contender("torch packed", torch_training("default", "--batches", "packed")),
    Contender("emovox predict", [EMOVOX, "predict", "seed", "{clip}", "--csv", "--device", "cpu",
                                 "--runs-dir", "{work}/runs"]),
    Contender("torch predict", python("predict_torch.py", "{work}/runs/seed", "{clip}", "{classes}")),
    Contender("keras predict", python("predict_keras.py", "{work}/runs/seed", "{clip}", "{classes}")),
    Contender("emovox seed cuda", emovox_training("seed", *CUDA), run=True, cuda=True),
    Contender("torch seed cuda", torch_training("seed", *CUDA), cuda=True),
    Contender("torch seed cuda resident", torch_training("seed", *CUDA, "--resident"), cuda=True),
    Contender("emovox cuda", emovox_training("bilstm", *CUDA, *PLAIN), run=True, cuda=True),
    Contender("torch cuda", torch_training("default", *CUDA), cuda=True),
    Contender("torch cuda resident", torch_training("default", *CUDA, "--resident"), cuda=True),
]}

SEED, DEFAULT = "one epoch, `mean-lstm` recipe", "one epoch, default model, real lengths"
FIRST = "corpus to first epoch, second time"
ONE = "one core"
ROWS = [
    Row("extract-librosa", f"WAV → MFCC, {ONE}", ("emovox extract", "seconds"),
        ("librosa extract", "seconds"), "librosa `load` + `feature.mfcc`", "≥ 5"),
    Row("extract-torchaudio", f"WAV → MFCC, {ONE}", ("emovox extract", "seconds"),
        ("torchaudio extract", "seconds"), "torchaudio `load`, `Resample`, `MFCC`", "≥ 4"),
    Row("extract-16k-librosa", f"WAV → MFCC at 16 kHz, {ONE}", ("emovox extract 16k", "seconds"),
        ("librosa extract 16k", "seconds"), "librosa `load` + `feature.mfcc`", "≥ 5"),
    Row("features-librosa", f"`features DIR --out X`, {ONE}, whole process", ("emovox features", "wall"),
        ("librosa features", "wall"), "librosa, `numpy.save`", "≥ 3"),
    Row("mfcc-torchaudio", f"MFCC alone, {ONE}", ("emovox mfcc", "seconds"),
        ("torchaudio mfcc", "seconds"), "torchaudio `MFCC` on batches", "≥ 2"),
    Row("mfcc-fft", f"MFCC alone, {ONE}", ("emovox mfcc", "seconds"), ("emovox mfcc", "fft"),
        "its FFTs alone (realfft)", "≥ 0.59"),
    Row("seed-keras", SEED, ("emovox seed", "epoch"), ("keras seed", "epoch"), "Keras `fit`", "≥ 3.5"),
    Row("seed-torch", SEED, ("emovox seed", "epoch"), ("torch seed", "epoch"), "PyTorch", "≥ 1.8"),
    Row("default-packed", DEFAULT, ("emovox default", "epoch"), ("torch packed", "epoch"),
        "PyTorch, packed sequences", "≥ 6"),
    Row("default-padded", DEFAULT, ("emovox default", "epoch"), ("torch padded", "epoch"),
        "PyTorch, padded to the batch's longest", "≥ 3"),
    Row("default-bucketed", DEFAULT, ("emovox default", "epoch"), ("torch bucketed", "epoch"),
        "PyTorch, padded, sorted by length", "≥ 2"),
    Row("augmented-padded", "the same, with augmentation only in emovox", ("emovox augmented", "epoch"),
        ("torch padded", "epoch"), "PyTorch, padded to the batch's longest", ""),
    Row("cuda-loader", "one epoch, default model, GPU", ("emovox cuda", "epoch"), ("torch cuda", "epoch"),
        "PyTorch, DataLoader", "≥ 3"),
    Row("cuda-resident", "one epoch, default model, GPU", ("emovox cuda", "epoch"),
        ("torch cuda resident", "epoch"), "PyTorch, all data on the GPU", "≥ 1.5"),
    Row("cuda-seed-loader", SEED + ", GPU", ("emovox seed cuda", "epoch"),
        ("torch seed cuda", "epoch"), "PyTorch, DataLoader", "≥ 3"),
    Row("cuda-seed-resident", SEED + ", GPU", ("emovox seed cuda", "epoch"),
        ("torch seed cuda resident", "epoch"), "PyTorch, all data on the GPU", "≥ 1.5"),
    Row("first-torch", FIRST + ": until its start", ("emovox default", "begins"),
        ("torch padded", "begins"), "PyTorch, cached `.npy`", "≥ 5"),
    Row("first-torch-ends", FIRST + ": until its end", ("emovox default", "first"),
        ("torch padded", "first"), "PyTorch, cached `.npy`", ""),
    Row("predict-torch", "`predict` one clip, whole process", ("emovox predict", "wall"),
        ("torch predict", "wall"), "PyTorch + torchaudio", "≥ 8"),
    Row("predict-keras", "`predict` one clip, whole process", ("emovox predict", "wall"),
        ("keras predict", "wall"), "Keras + librosa", "≥ 8"),
    Row("memory-keras", "peak memory, `mean-lstm` training", ("emovox seed", "memory"),
        ("keras seed", "memory"), "Keras", "≥ 2", "MB"),
    Row("memory-torch", "peak memory, `mean-lstm` training", ("emovox seed", "memory"),
        ("torch seed", "memory"), "PyTorch", "≥ 2", "MB"),
    Row("memory-default", "peak memory, default training", ("emovox default", "memory"),
        ("torch padded", "memory"), "PyTorch, padded", "≥ 2", "MB"),
]
