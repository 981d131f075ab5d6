#!/usr/bin/env python3
"""Writes tests/data/audio: recordings in the formats that emovox reads, made by ffmpeg, and index.json with
samples of them as ffmpeg decodes them. Needs numpy and ffmpeg with libmp3lame, libopus, libvorbis, libvpx
and libx264 (the package imageio-ffmpeg has one). The committed files were made with ffmpeg 9.0.2.

    python scripts/reference/make_audio.py [FFMPEG]

tests/formats.rs computes the same signal, in integers only, and expects it exactly from every lossless
format. From the others, it expects the samples in index.json.
"""
import json
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np

FFMPEG = sys.argv[1] if len(sys.argv) > 1 else "ffmpeg"
FOLDER = Path(__file__).resolve().parents[2] / "tests/data/audio"
# Every STRIDE-th frame is in the index; a prime, so that no period of the signal hides.
STRIDE = 127
RATES = [(8000, 1), (16000, 2), (22050, 1), (44100, 2), (48000, 1)]


def signal(rate: int, channels: int, seconds: float = 0.2) -> np.ndarray:
    """Triangle waves of rising frequency with a slow envelope, as 16-bit integers [frames, channels]."""
    frames = int(rate * seconds)
    columns = []
    for channel in range(channels):
        phase, step = 0, (180 + 110 * channel) * 2**32 // rate
        rise = step // frames
        slow, slow_step = 2**30, (5 + 2 * channel) * 2**32 // rate
        column = []
        for _ in range(frames):
            triangle = abs((phase >> 15) - 65536) - 32768
            envelope = abs((slow >> 15) - 65536)
            column.append(triangle * envelope >> 17)
            phase, step = (phase + step) % 2**32, step + rise
            slow = (slow + slow_step) % 2**32
        columns.append(column)
    return np.array(columns).T


def run(*arguments: str) -> bytes:
    command = [FFMPEG, "-y", "-loglevel", "error", "-bitexact", *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def decoded(path: Path, codec: str | None) -> np.ndarray:
    """The samples as interleaved 32-bit floats."""
    decoder = ["-c:a", codec, "-request_sample_fmt", "flt"] if codec else []
    raw = run(*decoder, "-i", str(path), "-map", "0:a:0", "-f", "f32le", "-c:a", "pcm_f32le", "-")
    return np.frombuffer(raw, "<f4")


VIDEO = ["-f", "lavfi", "-i", "color=size=16x16:rate=5:duration=0.2"]
# Name, ending, arguments of the encoder, sample rates with channels, and if the signal is exact.
KINDS = [
    ("rf64", "wav", ["-rf64", "always"], [(16000, 1)], True),
    ("wav-alaw", "wav", ["-c:a", "pcm_alaw"], [(8000, 1), (16000, 2)], False),
    ("wav-mulaw", "wav", ["-c:a", "pcm_mulaw"], [(8000, 1), (16000, 2)], False),
    ("wav-adpcm-ms", "wav", ["-c:a", "adpcm_ms"], RATES, False),
    ("wav-adpcm-ima", "wav", ["-c:a", "adpcm_ima_wav"], RATES, False),
    ("wav-mp3", "wav", ["-c:a", "libmp3lame", "-b:a", "64k"], [(16000, 1)], False),
    ("aiff-s8", "aiff", ["-c:a", "pcm_s8"], [(8000, 1)], False),
    ("aiff-s16", "aiff", ["-c:a", "pcm_s16be"], [(8000, 1), (16000, 2)], True),
    ("aiff-s24", "aiff", ["-c:a", "pcm_s24be"], [(22050, 1)], True),
    ("aifc-sowt", "aifc", ["-c:a", "pcm_s16le", "-f", "aiff"], [(16000, 2)], True),
    ("aifc-f32", "aifc", ["-c:a", "pcm_f32be", "-f", "aiff"], [(8000, 1)], True),
    ("aifc-f64", "aifc", ["-c:a", "pcm_f64be", "-f", "aiff"], [(8000, 1)], True),
    ("aifc-alaw", "aifc", ["-c:a", "pcm_alaw", "-f", "aiff"], [(8000, 1)], False),
    ("aifc-mulaw", "aifc", ["-c:a", "pcm_mulaw", "-f", "aiff"], [(8000, 2)], False),
    ("caf-s16", "caf", ["-c:a", "pcm_s16be"], [(16000, 1)], True),
    ("caf-s16le", "caf", ["-c:a", "pcm_s16le"], [(8000, 2)], True),
    ("caf-f32", "caf", ["-c:a", "pcm_f32le"], [(8000, 1)], True),
    ("caf-alaw", "caf", ["-c:a", "pcm_alaw"], [(8000, 1)], False),
    ("caf-mulaw", "caf", ["-c:a", "pcm_mulaw"], [(8000, 2)], False),
    ("caf-ima4", "caf", ["-c:a", "adpcm_ima_qt"], [(22050, 1)], False),
    ("caf-alac", "caf", ["-c:a", "alac"], [(16000, 1), (44100, 2)], True),
    ("flac", "flac", ["-c:a", "flac"], RATES, True),
    ("flac-24", "flac", ["-c:a", "flac", "-sample_fmt", "s32"], [(48000, 2)], True),
    ("ogg-flac", "oga", ["-c:a", "flac"], [(16000, 1)], True),
    ("mp3-cbr", "mp3", ["-c:a", "libmp3lame", "-b:a", "64k"], RATES, False),
    ("mp3-vbr", "mp3", ["-c:a", "libmp3lame", "-q:a", "5"], [(16000, 1), (48000, 2)], False),
    (
        "mp3-plain",
        "mp3",
        ["-c:a", "libmp3lame", "-b:a", "64k", "-write_xing", "0", "-id3v2_version", "0"],
        [(22050, 1), (44100, 2)],
        False,
    ),
    ("ogg-vorbis", "ogg", ["-c:a", "libvorbis"], RATES, False),
    ("ogg-opus", "opus", ["-c:a", "libopus", "-b:a", "32k"], RATES, False),
    ("ogg-opus-voip", "opus", ["-c:a", "libopus", "-b:a", "14k", "-application", "voip"], [(16000, 1)], False),
    ("ogg-opus-music", "opus", ["-c:a", "libopus", "-b:a", "96k"], [(48000, 2)], False),
    ("m4a-aac", "m4a", ["-c:a", "aac", "-b:a", "48k"], RATES, False),
    ("m4a-alac", "m4a", ["-c:a", "alac"], RATES, True),
    ("adts", "aac", ["-c:a", "aac", "-b:a", "48k"], [(16000, 1), (44100, 2)], False),
    (
        "mp4-fragmented",
        "mp4",
        ["-c:a", "aac", "-b:a", "48k", "-movflags", "frag_keyframe+empty_moov+default_base_moof"],
        [(16000, 1)],
        False,
    ),
    ("mp4-mp3", "mp4", ["-c:a", "libmp3lame", "-b:a", "64k"], [(44100, 1)], False),
    ("mp4-flac", "mp4", ["-c:a", "flac"], [(16000, 1)], True),
    ("mp4-video", "mp4", ["-c:v", "libx264", "-c:a", "aac", "-b:a", "48k"], [(44100, 1)], False),
    ("mov-s16", "mov", ["-c:a", "pcm_s16le"], [(16000, 2)], True),
    ("mkv-aac", "mkv", ["-c:a", "aac", "-b:a", "48k"], [(16000, 2), (44100, 1)], False),
    ("mkv-mp3", "mkv", ["-c:a", "libmp3lame", "-b:a", "64k"], [(44100, 1)], False),
    ("mkv-opus", "mkv", ["-c:a", "libopus", "-b:a", "32k"], [(48000, 1)], False),
    ("mkv-flac", "mkv", ["-c:a", "flac"], [(22050, 1)], True),
    ("mkv-s16", "mkv", ["-c:a", "pcm_s16le"], [(8000, 2)], True),
    ("mkv-video", "mkv", ["-c:v", "libx264", "-c:a", "libvorbis"], [(44100, 1)], False),
    ("webm-opus", "webm", ["-c:a", "libopus", "-b:a", "32k"], [(16000, 1), (48000, 2)], False),
    ("webm-vorbis", "webm", ["-c:a", "libvorbis"], [(22050, 1), (44100, 2)], False),
    ("webm-video", "webm", ["-c:v", "libvpx", "-c:a", "libopus", "-b:a", "32k"], [(48000, 1)], False),
]


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    index = []
    for name, ending, arguments, rates, exact in KINDS:
        for rate, channels in rates:
            source = FOLDER / "source.wav"
            with wave.open(str(source), "wb") as file:
                file.setparams((channels, 2, rate, 0, "NONE", None))
                file.writeframes(signal(rate, channels).astype("<i2").tobytes())
            path = FOLDER / f"{name}-{rate}-{channels}.{ending}"
            video = VIDEO if "-c:v" in arguments else []
            run("-i", str(source), *video, *arguments, str(path))
            opus = "opus" in " ".join(arguments)
            entry = {
                "file": path.name,
                "rate": 48000 if opus else rate,
                "channels": channels,
                "exact": exact,
            }
            if not exact:
                samples = decoded(path, "libopus" if opus else None).reshape(-1, channels)
                entry["frames"] = len(samples)
                values = samples[::STRIDE].reshape(-1)
                entry["samples"] = [round(float(value), 6) for value in values]
            else:
                expected = signal(rate, channels).reshape(-1) / 32768
                whole = decoded(path, None)
                # ffmpeg 9.0.2 subtracts the padding of ALAC in CAF twice.
                assert name == "caf-alac" or (whole == expected.astype("f4")).all(), path
            index.append(entry)
            source.unlink()
    lines = ",\n".join(json.dumps(entry) for entry in index)
    (FOLDER / "index.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
