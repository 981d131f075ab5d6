"""Predicts one clip with PyTorch and torchaudio, from the first import to the label.

    predict_torch.py RUN CLIP [CLASS…]

Same as `emovox predict`: the weights, reading, resampling to 22 050 Hz, MFCCs, the forward pass, the
printed probabilities. Not the same: torchaudio's resampler (see features.py). soundfile reads, so that
torchcodec and FFmpeg are not loaded.
"""
import sys

import soundfile
import torch
import torchaudio

import models

run, clip, *classes = sys.argv[1:]
model = models.Seed(len(classes))
model.load_state_dict(torch.load(f"{run}/seed.pt", weights_only=True))
model.eval()
with torch.inference_mode():
    samples, rate = soundfile.read(clip, dtype="float32", always_2d=True)
    samples = torch.from_numpy(samples.T).mean(0, keepdim=True)
    samples = torchaudio.functional.resample(samples, rate, 22050)
    mfcc = torchaudio.transforms.MFCC(22050, n_mfcc=40, melkwargs=dict(
        n_fft=2048, hop_length=512, n_mels=128, norm="slaney", mel_scale="slaney",
        pad_mode="constant"))(samples)
    probabilities = model(mfcc.mean(2).unsqueeze(-1)).softmax(1)[0]
print(classes[int(probabilities.argmax())], *(f"{p:.6f}" for p in probabilities.tolist()))
