"""Compares the exports of one run with `emovox predict`: TorchScript, safetensors, ONNX."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy
import torch

# The ONNX exporter warns of loops over constants.
warnings.simplefilter("ignore")

TOLERANCE = 1e-5
CLIPS = "data/demo/v01"


def main(emovox, run, docs):
    def run_emovox(*words):
        return subprocess.run([emovox, *words], check=True, capture_output=True, text=True).stdout

    predictions = json.loads(run_emovox("predict", run, CLIPS, "--json"))
    run_emovox("features", CLIPS, "--run", run, "--out", "f.npz")
    features = numpy.load("f.npz")
    clips, ours = [], []
    for prediction in predictions:
        name = str(Path(prediction["file"]).relative_to(CLIPS).with_suffix(""))
        clips.append(torch.from_numpy(features[name]))
        ours.append(list(prediction["probabilities"].values()))
    ours = torch.tensor(ours)
    lengths = torch.tensor([len(clip) for clip in clips])
    print(f"{run}: {len(clips)} clips of {lengths.min()} to {lengths.max()} frames", end="")

    run_emovox("export", run, "--format", "torchscript")
    extra = {"emovox.json": ""}
    script = torch.jit.load(f"{run}.pt", _extra_files=extra)
    if json.loads(extra["emovox.json"])["classes"] != list(predictions[0]["probabilities"]):
        sys.exit("the metadata of the TorchScript file have other classes")
    for first, last in [(0, 1), (1, 2), (2, 5), (0, len(clips))]:
        batch = torch.nn.utils.rnn.pad_sequence(clips[first:last], batch_first=True)
        with torch.no_grad():
            theirs = script(batch, lengths[first:last]).exp()
        compare("TorchScript", theirs, ours[first:last])

    run_emovox("export", run, "--format", "safetensors")
    scope = {}
    exec(blocks(docs)[0], scope)
    model = scope["load"](f"{run}.safetensors")
    with torch.no_grad():
        compare("safetensors", torch.stack([model(clip).exp() for clip in clips]), ours)

    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError as error:
        print(f"; ONNX skipped: {error}")
        return
    exec(blocks(docs)[1], {**scope, "model": model, "features": clips[0]})
    session = onnxruntime.InferenceSession("model.onnx")
    theirs = [session.run(None, {"features": clip.numpy()})[0] for clip in clips]
    compare("ONNX", torch.from_numpy(numpy.stack(theirs)).exp(), ours)
    print()


def compare(what, theirs, ours):
    difference = (theirs - ours).abs().max().item()
    print(f"; {what} {difference:.1e}", end="", flush=True)
    if not difference < TOLERANCE:
        sys.exit(f"\n{what} differs from emovox by {difference}, more than {TOLERANCE}")


def blocks(docs):
    """The Python code blocks of a Markdown file."""
    parts = Path(docs).read_text().split("```python\n")[1:]
    return [part.split("```")[0] for part in parts]


main(*sys.argv[1:])
