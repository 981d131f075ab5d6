"""WAV → MFCC by librosa and by torchaudio, one thread.

    features.py librosa LIST [RATE]      load (soxr_hq to 22 050 Hz or RATE) + feature.mfcc, clip by clip
    features.py librosa-files LIST DIR   the same, each matrix saved as .npy
    features.py torchaudio LIST          load, Resample, MFCC, clip by clip
    features.py torchaudio-batch LIST    MFCC of waveforms in memory at their own rate, 32 clips at once
    features.py check LIST DIR           the largest differences from emovox's matrices in DIR

Same as emovox: the files, mono, 22 050 Hz, n_fft 2048, hop 512, 128 Slaney mels, top_db 80, 40 MFCCs,
float32, one core. Not measured: imports, and the first file, which includes the set-up.
Not the same: torchaudio's default resampler has a short filter (6 zero crossings), while those of librosa
and emovox are flat to 92 % of the band. A batch is padded with zeros to its longest clip; clips are sorted
by length first, so that the padding is short. torchaudio.load needs torchcodec and FFmpeg; without them,
soundfile reads, which is not slower. The last line names the reader.
"""
import json
import os
import sys
import time

import numpy as np

RATE = 22050


def librosa_one(path, rate=RATE):
    import librosa

    samples, rate = librosa.load(path, sr=rate)
    return librosa.feature.mfcc(y=samples, sr=rate, n_mfcc=40)


class Torchaudio:
    def __init__(self):
        import torch
        import torchaudio

        torch.set_num_threads(1)
        self.torch, self.torchaudio = torch, torchaudio
        self.transforms, self.resamplers, self.reader = {}, {}, None

    def load(self, path):
        if self.reader is None:
            try:
                self.torchaudio.load(path)
                self.reader = "torchaudio.load"
            except (ImportError, OSError, RuntimeError):
                self.reader = "soundfile"
        if self.reader == "torchaudio.load":
            return self.torchaudio.load(path)
        import soundfile

        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        return self.torch.from_numpy(samples.T), rate

    def mfcc(self, rate):
        if rate not in self.transforms:
            mel = dict(n_fft=2048, hop_length=512, n_mels=128, norm="slaney", mel_scale="slaney",
                       center=True, pad_mode="constant")
            self.transforms[rate] = self.torchaudio.transforms.MFCC(rate, n_mfcc=40, melkwargs=mel)
        return self.transforms[rate]

    def one(self, path, rate=RATE):
        with self.torch.inference_mode():
            samples, own = self.load(path)
            samples = samples.mean(0, keepdim=True)
            if rate is not None and own != rate:
                if own not in self.resamplers:
                    self.resamplers[own] = self.torchaudio.transforms.Resample(own, rate)
                samples, own = self.resamplers[own](samples), rate
            return self.mfcc(own)(samples)[0].numpy()

    def batches(self, files):
        """Clips of one rate and similar length as [clips, 1, samples], so that top_db applies to each clip."""
        by_rate = {}
        for path in files:
            samples, rate = self.load(path)
            by_rate.setdefault(rate, []).append(samples.mean(0))
        for rate, clips in by_rate.items():
            clips.sort(key=len)
            for start in range(0, len(clips), 32):
                batch = self.torch.nn.utils.rnn.pad_sequence(clips[start:start + 32], batch_first=True)
                yield rate, batch.unsqueeze(1)


def timed(one, files):
    one(files[0])
    started = time.perf_counter()
    frames = sum(one(path).shape[1] for path in files)
    return {"seconds": time.perf_counter() - started, "frames": frames}


def timed_batches(torchaudio, files):
    batches = list(torchaudio.batches(files))
    with torchaudio.torch.inference_mode():
        rate, batch = batches[0]
        torchaudio.mfcc(rate)(batch)
        started = time.perf_counter()
        frames = 0
        for rate, batch in batches:
            mfcc = torchaudio.mfcc(rate)(batch)
            frames += mfcc.shape[0] * mfcc.shape[-1]
        return {"seconds": time.perf_counter() - started, "frames": frames}


def save(files, folder):
    os.makedirs(folder)
    frames = 0
    for index, path in enumerate(files):
        mfcc = librosa_one(path)
        np.save(f"{folder}/{index}.npy", mfcc.T)
        frames += mfcc.shape[1]
    return frames


def check(files, folder):
    torchaudio = Torchaudio()
    largest = {}
    for index, path in enumerate(files):
        for name, rate in (("own rate", None), ("resampled", RATE)):
            ours = np.load(f"{folder}/{name}/{index}.npy").T
            for peer, one in (("librosa", librosa_one), ("torchaudio", torchaudio.one)):
                theirs = one(path, rate)
                assert theirs.shape == ours.shape, f"{path}: {theirs.shape} is not {ours.shape}"
                key = f"{peer}, {name}"
                largest[key] = max(largest.get(key, 0.0), float(np.abs(theirs - ours).max()))
    return largest


def main():
    what, files = sys.argv[1], open(sys.argv[2]).read().splitlines()
    if what == "librosa":
        rate = int(sys.argv[3]) if len(sys.argv) > 3 else RATE
        result = timed(lambda path: librosa_one(path, rate), files)
    elif what == "librosa-files":
        result = {"frames": save(files, sys.argv[3])}
    elif what == "torchaudio":
        torchaudio = Torchaudio()
        result = timed(torchaudio.one, files) | {"reader": torchaudio.reader}
    elif what == "torchaudio-batch":
        result = timed_batches(Torchaudio(), files)
    else:
        result = check(files, sys.argv[3])
    print(json.dumps(result))


main()
