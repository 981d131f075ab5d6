"""Preparation before the measurements: labels, runs and cached features, and a check that the peers give the
same results as emovox."""
import csv
import json
import os
from pathlib import Path

import measure

CHECKED = 20  # recordings whose MFCCs are compared


def say(text):
    print(text, flush=True)


def wavs(folder):
    found = (Path(place, name) for place, _, names in os.walk(folder, followlinks=True) for name in names)
    return sorted(str(path.resolve()) for path in found if path.suffix.lower() == ".wav" and path.is_file())


def corpus(folder, files, places):
    """The folder itself if emovox recognises its labels; otherwise links to its files with invented labels."""
    try:
        measure.run([places["emovox"], "doctor", "--data", folder])
        return folder
    except measure.Failed:
        pass
    say("emovox does not recognise the labels of these recordings; invented labels are used, as only time is measured")
    staged = Path(places["work"]) / "corpus"
    for index, file in enumerate(files):
        place = staged / f"class{index % 8}" / f"speaker{index // 8 % 20:02}" / f"{index:05}.wav"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(file)
    return str(staged)


def runs(places, archs):
    """Short trainings: the peers use their splits and settings, and are checked with their weights."""
    for arch in archs:
        measure.run([places["emovox"], "train", "--data", places["corpus"], "--arch", arch, "--epochs", "3",
                     "--config", f"{places['here']}/no-augmentation.toml", "--device", "cpu",
                     "--runs-dir", f"{places['work']}/runs", "--run", arch], log=f"{places['work']}/log")
        measure.run([places["example"], "dump", f"{places['work']}/runs/{arch}/config.toml",
                     places["corpus"], f"{places['work']}/features/{arch}"], log=f"{places['work']}/log")


def classes(places, arch):
    with open(f"{places['work']}/runs/{arch}/split.csv", newline="") as table:
        return sorted({row["label"] for row in csv.DictReader(table)})


def agreement(places, files, archs):
    """Lines for the table's foot: the differences between the peers' numbers and those of emovox."""
    lines = []

    def peer(script, *arguments):
        command = [places["python"], f"{places['peers']}/{script}", *arguments]
        return measure.run(command, log=f"{places['work']}/log")

    def tell(line):
        lines.append(line)
        say(line)

    def attempt(name, check):
        try:
            check()
        except measure.Failed as error:
            tell(f"{name}: not checked ({error})")

    def mfccs():
        step = max(1, len(files) // CHECKED)
        some = files[::step][:CHECKED]
        folder = Path(places["work"]) / "check"
        for name, rate in (("own rate", "native"), ("resampled", "22050")):
            (folder / name).mkdir(parents=True)
            for index, file in enumerate(some):
                measure.run([places["emovox"], "features", file, "--sample-rate", rate,
                             "--out", str(folder / name / f"{index}.npy")])
        listed = folder / "files.txt"
        listed.write_text("\n".join(some))
        result = peer("features.py", "check", str(listed), str(folder))
        differences = ", ".join(f"{name} {difference:.2g}" for name, difference in result.items() if "," in name)
        tell(f"MFCCs of {len(some)} clips, largest difference from emovox (values reach some hundreds): {differences}")

    def model(name, script, run, *flags):
        result = peer(script, f"{places['work']}/runs/{run}", f"{places['work']}/features/{run}", *flags,
                      "--check")
        loss, ours = result["loss"], result["emovox loss"]
        # Padded batches differ, because of the backward direction (see models.py).
        differs = abs(loss - ours) > 1e-4 * ours and "padded" not in name
        tell(f"{name}: {result['parameters']} parameters; with emovox's weights its validation loss is "
             f"{loss:.6f}, that of emovox {ours:.6f}{': THE RESULTS DIFFER' if differs else ''}")

    attempt("MFCCs", mfccs)
    if "seed" in archs:
        run = f"{places['work']}/runs/seed"
        attempt("weights", lambda: peer("weights.py", run))
        attempt("PyTorch, seed", lambda: model("PyTorch, seed", "train_torch.py", "seed", "--arch", "seed"))
        attempt("Keras, seed", lambda: model("Keras, seed", "train_keras.py", "seed"))
        attempt("predict", lambda: predictions(places, tell))
    if "bilstm" in archs:
        for batches in ("packed", "padded"):
            name = f"PyTorch, default, {batches}"
            attempt(name, lambda: model(name, "train_torch.py", "bilstm", "--arch", "default",
                                        "--batches", batches))
    return lines


def predictions(places, tell):
    """Label and probability of the clip from emovox and from each peer."""
    output = measure.run([places["emovox"], "predict", "seed", places["clip"], "--csv", "--runs-dir",
                        f"{places['work']}/runs", "--device", "cpu"])["lines"]
    _, label, *probabilities = next(csv.reader(output[-1:]))
    results = [f"emovox {label} {max(map(float, probabilities)):.4f}"]
    for peer in ("torch", "keras"):
        try:
            theirs = measure.run([places["python"], f"{places['peers']}/predict_{peer}.py",
                                  f"{places['work']}/runs/seed", places["clip"], *places["classes"]])
            label, *probabilities = theirs["lines"][-1].split()
            results.append(f"{peer} {label} {max(map(float, probabilities)):.4f}")
        except measure.Failed as error:
            results.append(f"{peer} failed ({error})")
    tell("predict, label and its probability: " + ", ".join(results))


def has_cuda(places):
    code = "import json, torch; print(json.dumps({'cuda': torch.cuda.is_available()}))"
    try:
        return measure.run([places["python"], "-c", code])["cuda"]
    except measure.Failed:
        return False


def machine(places):
    """Versions of the programs, and the machine."""
    code = ("import json, importlib.metadata as m; print(json.dumps({d.metadata['Name'].lower().replace('_', '-'):"
            " d.version for d in m.distributions()}))")
    installed = json.loads(measure.run([places["python"], "-c", code])["lines"][-1])
    names = ["torch", "torchaudio", "torchcodec", "librosa", "keras", "tensorflow-cpu", "numpy"]
    versions = ", ".join(f"{name} {installed[name]}" for name in names if name in installed)
    emovox = measure.run([places["emovox"], "--version"])["lines"][-1]
    cpu = "unknown CPU"
    if os.path.exists("/proc/cpuinfo"):
        found = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
        cpu = found[0] if found else cpu
    load = ", load {:.1f} before the first round".format(os.getloadavg()[0])
    return f"{emovox}; {versions}", f"{measure.cores()} cores of {cpu}{load}"
