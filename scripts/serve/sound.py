"""A synthetic voice, and WAV files of it, without any package."""
import array
import math
import random
import struct

RATE = 16000


def voice(seconds, rate=RATE):
    """16-bit samples: syllables with a gliding pitch, two formants and breath noise."""
    noise = random.Random(1)
    samples, phase = array.array("h"), 0.0
    for n in range(int(seconds * rate)):
        t = n / rate
        pitch = 140 + 40 * math.sin(2 * math.pi * 0.4 * t) + 15 * math.sin(2 * math.pi * 2.1 * t)
        phase += 2 * math.pi * pitch / rate
        vowel = 500 + 250 * math.sin(2 * math.pi * 0.9 * t)
        sound = 0.0
        for harmonic in range(1, 13):
            hertz = harmonic * pitch
            sound += math.sin(harmonic * phase) * (1 / (1 + ((hertz - vowel) / 120) ** 2)
                                                   + 0.4 / (1 + ((hertz - 1700) / 200) ** 2))
        loudness = max(0.0, math.sin(2 * math.pi * 1.5 * t)) ** 0.5
        samples.append(int(7000 * (loudness * sound + 0.004 * noise.uniform(-1, 1))))
    return samples


def wav(samples, rate=RATE, channels=1, bits=16, length=None, frame=None):
    """A WAV file. The last four arguments can make its header wrong."""
    data = samples.tobytes() if isinstance(samples, array.array) else samples
    frame = channels * bits // 8 if frame is None else frame
    length = len(data) if length is None else length
    return (b"RIFF" + struct.pack("<I", (36 + length) & 0xFFFFFFFF) + b"WAVEfmt "
            + struct.pack("<IHHIIHH", 16, 1, channels, rate, (rate * frame) & 0xFFFFFFFF, frame & 0xFFFF, bits)
            + b"data" + struct.pack("<I", length) + data)
