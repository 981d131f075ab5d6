"""A prediction server with FastAPI, torchaudio and PyTorch: the peer of `emovox serve` in serve-test.sh.

    PEER_MODEL=acted-6.pt uvicorn peer:app --workers 2      POST /v1/predict, GET /healthz
    peer.py MODEL CLIP…                                     the same predictions as JSON, without a server

The model is the TorchScript file of `emovox export`: the same weights, VTLP warps, ensemble and temperature as in
emovox. One process a core, one thread of libtorch in each, inference mode, and one prediction at a time in a
process: more threads of one process only wait for each other and for Python's lock.

Same as emovox: the bytes of the recording in the request, mono, 16 kHz, trimmed silence, MFCCs, prosody, deltas.
Every step works on the whole clip at once, in libtorch.
Less than emovox: torchaudio's resampler has a short filter (6 zero crossings, that of emovox is flat to 92 % of the
band); no test for a recording without speech; the formats of libsndfile only; no limits, queue or metrics.
"""
import io
import json
import math
import os
import sys
from contextlib import asynccontextmanager

import soundfile
import torch
import torchaudio
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

PITCH_WINDOW, MIN_PITCH, MAX_PITCH, OCTAVE_COST, VOICED = 0.064, 60.0, 500.0, 0.01, 0.55


class Prosody:
    """Pitch in octaves from the median, voicing, and loudness in decibels, by autocorrelation."""

    def __init__(self, rate, hop, loudness_range):
        self.rate, self.hop, self.range = rate, hop, loudness_range
        self.length = 2 * round(rate * PITCH_WINDOW / 2)
        self.min_lag, self.max_lag = int(rate / MAX_PITCH), int(rate / MIN_PITCH) + 1
        self.fft = 1296 if rate == 16000 else 2 ** math.ceil(math.log2(self.length + self.max_lag + 1))
        self.window = torch.hann_window(self.length)
        correlation = self.autocorrelation(self.window[None])[0]
        self.correction = correlation[0] / correlation

    def autocorrelation(self, frames):
        spectra = torch.fft.rfft(frames, self.fft)
        # abs() would compute a root that square() removes again.
        return torch.fft.irfft(spectra.real.square() + spectra.imag.square(), self.fft)[:, :self.max_lag + 1]

    def __call__(self, samples):
        frames = torch.nn.functional.pad(samples, (self.length // 2, self.length // 2)).unfold(0, self.length, self.hop)
        frames = frames - frames.mean(1, keepdim=True)
        power = frames.square().mean(1)
        correlation = self.autocorrelation(frames * self.window)
        correlation = correlation / correlation[:, :1].clamp_min(1e-30) * self.correction
        before, middle, after = (correlation[:, self.min_lag - 1 + i:self.max_lag - 1 + i] for i in range(3))
        shift = 0.5 * (before - after) / (before - 2 * middle + after)
        lag = torch.arange(self.min_lag, self.min_lag + middle.shape[1]) + shift
        height = middle - 0.25 * (before - after) * shift
        is_peak = (middle > before) & (middle >= after) & (power > 1e-10)[:, None]
        strength = torch.where(is_peak, height - OCTAVE_COST * (lag / self.min_lag).log2(), -math.inf)
        best = strength.argmax(1, keepdim=True)
        has_peak = is_peak.gather(1, best)[:, 0]
        voicing = torch.where(has_peak, height.gather(1, best)[:, 0].clamp(0, 1), 0.0)
        octaves = (self.rate / lag.gather(1, best)[:, 0]).log2()
        voiced = voicing > VOICED
        pitches = octaves[voiced].sort().values
        median = pitches[len(pitches) // 2] if len(pitches) else 0.0
        loudness = 10 * (power.clamp_min(1e-10) / power.max().clamp_min(1e-10)).log10()
        quiet = (loudness <= -self.range) & (self.range < 80)
        pitch = torch.where(voiced & ~quiet, octaves - median, 0.0)
        return torch.stack([pitch, voicing.masked_fill(quiet, 0.0), loudness.clamp_min(-self.range)])


def deltas(rows):
    """The slope over nine frames; at both ends the slope of the first and the last whole window."""
    result = torchaudio.functional.compute_deltas(rows, win_length=9)
    if rows.shape[1] >= 9:
        result[:, :4], result[:, -4:] = result[:, 4:5], result[:, -5:-4]
    return result


def trim(samples, decibels):
    """The samples between the first and the last loud frame, like librosa.effects.trim."""
    padded = torch.nn.functional.pad(samples, (1024, 1024))
    power = padded.unfold(0, 2048, 512).square().mean(1).clamp_min(1e-10)
    loud = (power > power.max() * 10 ** (-decibels / 10)).nonzero()[:, 0]
    return samples[loud[0] * 512:(loud[-1] + 1) * 512] if len(loud) else samples[:0]


class Predictor:
    def __init__(self, path):
        card = {"emovox.json": ""}
        model = torch.jit.load(path, _extra_files=card)
        self.model = model.eval()
        card = json.loads(card["emovox.json"])
        self.classes, self.rate, self.trim_db = card["classes"], card["audio"]["sample_rate"], card["audio"]["trim_db"]
        c = card["features"]
        self.mel = torchaudio.transforms.MelSpectrogram(
            self.rate, n_fft=c["n_fft"], win_length=c["win_length"], hop_length=c["hop_length"], n_mels=c["n_mels"],
            f_min=c["fmin"], norm="slaney", mel_scale="slaney", pad_mode="constant")
        self.decibels = torchaudio.transforms.AmplitudeToDB("power", top_db=c["top_db"])
        self.dct = torchaudio.functional.create_dct(c["n_mfcc"], c["n_mels"], "ortho").T
        self.prosody = Prosody(self.rate, c["hop_length"], c["loudness_range"])
        self.resamplers = {}

    def features(self, recording):
        samples, rate = soundfile.read(recording, dtype="float32", always_2d=True)
        samples = torch.from_numpy(samples).mean(1)
        if rate != self.rate:
            if rate not in self.resamplers:
                self.resamplers[rate] = torchaudio.transforms.Resample(rate, self.rate)
            samples = self.resamplers[rate](samples)
        samples = trim(samples, self.trim_db)
        mfcc = self.dct @ self.decibels(self.mel(samples)[None])[0]
        prosody = self.prosody(samples)
        return torch.cat([mfcc, deltas(mfcc), prosody, deltas(prosody)]).T.contiguous()

    @torch.inference_mode()
    def __call__(self, recording, name="-"):
        features = self.features(recording)
        probabilities = self.model(features[None], torch.tensor([len(features)]))[0].exp().tolist()
        return [{"file": name, "label": self.classes[max(range(len(self.classes)), key=probabilities.__getitem__)],
                 "probabilities": dict(zip(self.classes, probabilities))}]


@asynccontextmanager
async def lifespan(app):
    from anyio.to_thread import current_default_thread_limiter

    torch.set_num_threads(1)
    current_default_thread_limiter().total_tokens = int(os.environ.get("PEER_THREADS", "1"))
    app.state.predictor = Predictor(os.environ["PEER_MODEL"])
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/healthz")
async def health():
    return {"status": "ok"}


@app.post("/v1/predict")
async def predict(request: Request):
    body = await request.body()
    try:
        return await run_in_threadpool(request.app.state.predictor, io.BytesIO(body))
    except soundfile.LibsndfileError as error:
        raise HTTPException(422, str(error)) from None


if __name__ == "__main__":
    torch.set_num_threads(1)
    predictor = Predictor(sys.argv[1])
    print(json.dumps([predictor(path, path)[0] for path in sys.argv[2:]]))
