"""Predicts one clip with librosa and Keras, from the first import to the label.

    predict_keras.py RUN CLIP [CLASS…]

Same as `emovox predict`: the weights, reading, resampling to 22 050 Hz, MFCCs, the forward pass, and the
printed probabilities except for the temperature, which does not change the label.
"""
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import librosa

run, clip, *classes = sys.argv[1:]
model = keras.models.load_model(f"{run}/seed.keras")
samples, rate = librosa.load(clip)
mfcc = librosa.feature.mfcc(y=samples, sr=rate, n_mfcc=40)
probabilities = model.predict(mfcc.mean(1)[None, :, None], verbose=0)[0]
print(classes[int(probabilities.argmax())], *(f"{p:.6f}" for p in probabilities))
