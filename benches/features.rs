//! Time of each step from a WAV file to its MFCCs on one core: reading, resampling, FFTs, mel
//! bands, DCT.
//!
//! ```sh
//! cargo bench --bench features
//! ```
//! The input is three seconds of two tones with noise at 16 kHz, so no corpus is needed. The MFCCs
//! have the default settings of librosa.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng};
use realfft::RealFftPlanner;

use emovox::audio::{self, Waveform, resample};
use emovox::config::RunConfig;
use emovox::features::dct::Dct;
use emovox::features::delta::{Order, delta};
use emovox::features::mel::MelFilterBank;
use emovox::features::stft::{FRAMES_PER_BLOCK, Stft};
use emovox::features::{Extractor, FeatureConfig};
use emovox::model::Arch;

const SAMPLE_RATE: u32 = 16_000;

fn voice() -> Waveform {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let sample = |n: usize| {
        let tones = (0.05 * n as f32).sin() + 0.5 * (0.1 * n as f32).sin();
        0.2 * tones + 0.02 * (rng.random::<f32>() - 0.5)
    };
    Waveform {
        samples: (0..3 * SAMPLE_RATE as usize).map(sample).collect(),
        sample_rate: SAMPLE_RATE,
    }
}

fn reading(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("voice.wav");
    let voice = voice();
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&path, spec).expect("a file");
    for sample in &voice.samples {
        writer
            .write_sample((sample * 32_767.0) as i16)
            .expect("room for it");
    }
    writer.finalize().expect("room for it");
    c.bench_function("read a WAV file", |b| b.iter(|| audio::read(&path)));
    // 0.2 s of stereo at 44.1 kHz each; scripts/reference/make_audio.py makes them.
    for name in [
        "flac-44100-2.flac",
        "mp3-cbr-44100-2.mp3",
        "ogg-vorbis-44100-2.ogg",
        "m4a-aac-44100-2.m4a",
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data/audio")
            .join(name);
        c.bench_function(&format!("read {name}"), |b| b.iter(|| audio::read(&path)));
    }
    c.bench_function("resample 16 000 → 22 050 Hz", |b| {
        b.iter(|| resample(&voice, 22_050))
    });
}

/// Each step of the MFCCs on all frames of the clip, then all steps together.
fn mfcc(c: &mut Criterion) {
    let config = FeatureConfig::default();
    let voice = voice();
    let samples = &voice.samples;
    let stft = Stft::new(config.n_fft, config.n_fft, config.hop_length);
    let frames = stft.frames(samples.len());
    let blocks = frames.div_ceil(FRAMES_PER_BLOCK);

    c.bench_function("FFTs alone, by realfft", |b| {
        let plan = RealFftPlanner::<f32>::new().plan_fft_forward(config.n_fft);
        let (mut frame, mut spectrum) = (plan.make_input_vec(), plan.make_output_vec());
        let mut scratch = plan.make_scratch_vec();
        b.iter(|| {
            for first in (0..frames).map(|frame| frame * 400) {
                // The FFT overwrites its input.
                frame.copy_from_slice(&samples[first..first + config.n_fft]);
                plan.process_with_scratch(&mut frame, &mut spectrum, &mut scratch)
                    .expect("the buffers are those of the plan");
            }
        });
    });
    let mut scratch = stft.scratch();
    let mut power = vec![[0.0; FRAMES_PER_BLOCK]; stft.bins()];
    c.bench_function("power spectra", |b| {
        b.iter(|| {
            for block in 0..blocks {
                stft.power_spectra(
                    samples,
                    block * FRAMES_PER_BLOCK,
                    frames,
                    &mut scratch,
                    &mut power,
                );
            }
        });
    });
    let nyquist = f64::from(SAMPLE_RATE) / 2.0;
    let mel = MelFilterBank::new(SAMPLE_RATE, config.n_fft, config.n_mels, 0.0, nyquist);
    let mut mels = vec![[0.0; FRAMES_PER_BLOCK]; config.n_mels];
    c.bench_function("mel bands", |b| {
        b.iter(|| (0..blocks).for_each(|_| mel.apply(black_box(&power), &mut mels)));
    });
    let dct = Dct::new(config.n_mfcc, config.n_mels, 0.0);
    let mut cepstrum = vec![[0.0; FRAMES_PER_BLOCK]; config.n_mfcc];
    c.bench_function("DCT", |b| {
        b.iter(|| (0..blocks).for_each(|_| dct.apply(black_box(&mels), &mut cepstrum)));
    });
    let extractor = Extractor::new(&config, SAMPLE_RATE).expect("the defaults");
    c.bench_function("MFCC", |b| b.iter(|| extractor.extract(&voice)));
    let matrix = extractor.extract(&voice);
    c.bench_function("deltas of them", |b| {
        b.iter(|| delta(matrix.values(), config.n_mfcc, Order::First));
    });
}

fn recipe(c: &mut Criterion) {
    let config = RunConfig::recipe(Arch::Bilstm).features;
    let extractor = Extractor::new(&config, SAMPLE_RATE).expect("the recipe");
    let voice = voice();
    c.bench_function("the default recipe's features", |b| {
        b.iter(|| extractor.extract(&voice))
    });
}

criterion_group! {
    name = features;
    config = Criterion::default().sample_size(30);
    targets = reading, mfcc, recipe
}
criterion_main!(features);
