"""Writes librosa's results for a few short sounds, for tests/features.rs and tests/audio.rs.

    pip install librosa==0.11.0 numpy
    python scripts/reference/make_features.py

The sounds are generated from a fixed seed; the same versions write the same bytes. In
tests/data/features/:

    index.json         list of sounds, MFCC cases, filter banks, deltas, trims and resamplings
    NAME.wav           a sound, 16-bit mono
    *.bin              expected matrices, little-endian f32, row-major (frames x coefficients)
"""

import json
import wave
from pathlib import Path

import librosa
import numpy as np

OUT = Path(__file__).resolve().parents[2] / "tests" / "data" / "features"

# name: sample rate, samples. Shorter than a window, whole hops, one sample more and less, odd.
SOUNDS = {
    "blip_8k": (8000, 300),
    "short_16k": (16000, 1000),
    "hops_22k": (22050, 10 * 512),
    "past_hops_16k": (16000, 12 * 512 + 1),
    "before_hops_44k": (44100, 20 * 512 - 1),
    "odd_8k": (8000, 4321),
}

# name: sound, settings with the names of FeatureConfig; missing settings have their defaults.
CASES = {
    "default_blip": ("blip_8k", {}),
    "default_short": ("short_16k", {}),
    "default_hops": ("hops_22k", {}),
    "default_past_hops": ("past_hops_16k", {}),
    "default_before_hops": ("before_hops_44k", {}),
    "default_odd": ("odd_8k", {}),
    "fft_512": ("past_hops_16k", {"n_fft": 512, "hop_length": 160, "n_mels": 40, "n_mfcc": 13}),
    "fft_400": ("past_hops_16k", {"n_fft": 400, "hop_length": 200, "n_mels": 64, "n_mfcc": 20}),
    "fft_odd": ("odd_8k", {"n_fft": 401, "hop_length": 200, "n_mels": 40, "n_mfcc": 20}),
    "window_400_in_512": (
        "past_hops_16k",
        {"n_fft": 512, "win_length": 400, "hop_length": 320, "n_mels": 64, "n_mfcc": 20},
    ),
    "window_odd": (
        "odd_8k",
        {"n_fft": 512, "win_length": 301, "hop_length": 256, "n_mels": 40, "n_mfcc": 20},
    ),
    "hop_beyond_window": ("hops_22k", {"n_fft": 256, "hop_length": 700, "n_mels": 40, "n_mfcc": 12}),
    "band_limited": ("hops_22k", {"fmin": 80.0, "fmax": 7600.0, "n_mels": 64}),
    "all_mels": ("hops_22k", {"n_mfcc": 128, "hop_length": 1024}),
    "empty_mels": ("odd_8k", {"n_fft": 256, "n_mels": 128, "n_mfcc": 20}),
    "no_floor": ("past_hops_16k", {"top_db": "off"}),
    "floor_30": ("past_hops_16k", {"top_db": 30.0}),
    "lifter_22": ("hops_22k", {"n_mfcc": 20, "lifter": 22.0}),
    "deltas_1": ("past_hops_16k", {"n_mfcc": 13, "deltas": 1}),
    "deltas_2": ("before_hops_44k", {"n_mfcc": 13, "deltas": 2}),
}

# name: sample rate, n_fft, n_mels, fmin, fmax.
FILTER_BANKS = {
    "mel_22k_2048_128": (22050, 2048, 128, 0.0, 11025.0),
    "mel_16k_512_40": (16000, 512, 40, 20.0, 7600.0),
    "mel_8k_400_64": (8000, 400, 64, 0.0, 4000.0),
}

# number of frames of noise for the deltas, width.
DELTAS = {"delta_30": (30, 9), "delta_9": (9, 9), "delta_8": (8, 7), "delta_4": (4, 3)}

# from sound, to rate.
RESAMPLINGS = {
    "down_44k_22k": ("before_hops_44k", 22050),
    "down_44k_16k": ("before_hops_44k", 16000),
    "up_16k_22k": ("past_hops_16k", 22050),
}


def sound(rng, rate, samples):
    """A gliding voice-like tone with harmonics, a pause, and noise, in 16-bit steps."""
    time = np.arange(samples) / rate
    pitch = 120 + 60 * np.sin(2 * np.pi * 3 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 20))
    loudness = np.clip(np.sin(np.pi * np.arange(samples) / samples) * 1.4 - 0.3, 0, None)
    noise = rng.normal(size=samples)
    signal = 0.2 * loudness * (voice + 0.1 * noise) + 0.0005 * noise
    return np.round(np.clip(signal, -1, 1) * 32767).astype("<i2")


def write_wav(name, rate, samples):
    with wave.open(str(OUT / f"{name}.wav"), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(samples.tobytes())


def write_matrix(name, matrix):
    np.ascontiguousarray(matrix, dtype="<f4").tofile(OUT / f"{name}.bin")
    return list(matrix.shape)


def features(y, rate, settings):
    """The MFCCs and their deltas, frames x coefficients."""
    options = dict(n_mfcc=40, lifter=0, n_fft=2048, hop_length=512, n_mels=128) | settings
    top_db = options.pop("top_db", 80.0)
    deltas = options.pop("deltas", 0)
    n_mfcc, lifter = options.pop("n_mfcc"), options.pop("lifter")
    power = librosa.feature.melspectrogram(y=y, sr=rate, **options)
    decibels = librosa.power_to_db(power, top_db=None if top_db == "off" else top_db)
    mfcc = librosa.feature.mfcc(S=decibels, n_mfcc=n_mfcc, lifter=lifter)
    rows = [mfcc] + [librosa.feature.delta(mfcc, order=order) for order in range(1, deltas + 1)]
    return np.concatenate(rows).T


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    index = {key: [] for key in ("sounds", "mfcc", "mel", "delta", "trim", "resample")}

    waveforms = {}
    for name, (rate, samples) in SOUNDS.items():
        pcm = sound(rng, rate, samples)
        write_wav(name, rate, pcm)
        waveforms[name] = (pcm.astype(np.float32) / 32768, rate)
        index["sounds"].append({"name": name, "sample_rate": rate, "samples": samples})

    for name, (source, settings) in CASES.items():
        shape = write_matrix(name, features(*waveforms[source], settings))
        index["mfcc"].append({"name": name, "sound": source, "config": settings, "shape": shape})

    for name, (rate, n_fft, n_mels, fmin, fmax) in FILTER_BANKS.items():
        weights = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)
        # Most weights are zero. The others are written band by band, with their positions.
        bands = [np.flatnonzero(band) for band in weights]
        write_matrix(name, weights[weights != 0])
        index["mel"].append(
            {
                "name": name,
                "sample_rate": rate,
                "n_fft": n_fft,
                "n_mels": n_mels,
                "fmin": fmin,
                "fmax": fmax,
                "first_bins": [int(bins[0]) if len(bins) else 0 for bins in bands],
                "bins": [len(bins) for bins in bands],
            }
        )

    for name, (frames, width) in DELTAS.items():
        values = rng.normal(scale=100, size=(3, frames)).astype(np.float32)
        first, second = (librosa.feature.delta(values, width=width, order=o) for o in (1, 2))
        shape = write_matrix(name, np.concatenate([values, first, second]).T)
        index["delta"].append({"name": name, "shape": shape})

    for name in ("past_hops_16k", "before_hops_44k", "short_16k"):
        y, _ = waveforms[name]
        for top_db in (10, 20, 30, 60):
            _, (start, end) = librosa.effects.trim(y, top_db=top_db)
            index["trim"].append(
                {"sound": name, "top_db": top_db, "start": int(start), "end": int(end)}
            )

    for name, (source, rate) in RESAMPLINGS.items():
        y, original = waveforms[source]
        resampled = librosa.resample(y, orig_sr=original, target_sr=rate)
        shape = write_matrix(name, features(resampled, rate, {}))
        index["resample"].append(
            {
                "name": name,
                "sound": source,
                "sample_rate": rate,
                "samples": len(resampled),
                "shape": shape,
            }
        )

    lines = [
        f' "{key}": [\n  ' + ",\n  ".join(json.dumps(entry) for entry in entries) + "\n ]"
        for key, entries in index.items()
    ]
    (OUT / "index.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
