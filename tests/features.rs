//! MFCCs compared with librosa 0.11 (`scripts/reference/make_features.py` writes the reference) and
//! with theory.

use std::f32::consts::TAU;
use std::fs;
use std::path::PathBuf;

use emovox::audio::{Waveform, read as read_audio, resample};
use emovox::features::delta::{Order, delta};
use emovox::features::stft::FRAMES_PER_BLOCK;
use emovox::features::{Extractor, FeatureConfig, FeatureError, Features, dct::Dct, mel};
use serde_json::Value;

const TOLERANCE: f32 = 1e-3;

fn reference(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/features")
        .join(file)
}

/// The entries of one kind in the index.
fn cases(kind: &str) -> Vec<Value> {
    let text = fs::read_to_string(reference("index.json")).unwrap();
    let index: Value = serde_json::from_str(&text).unwrap();
    index[kind].as_array().unwrap().clone()
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap()
}

fn number(case: &Value, key: &str) -> usize {
    case[key].as_u64().unwrap() as usize
}

fn shape(case: &Value) -> (usize, usize) {
    let side = |i: usize| case["shape"][i].as_u64().unwrap() as usize;
    (side(0), side(1))
}

fn sound(name: &str) -> Waveform {
    read_audio(&reference(&format!("{name}.wav"))).unwrap()
}

fn matrix(name: &str) -> Vec<f32> {
    let bytes = fs::read(reference(&format!("{name}.bin"))).unwrap();
    let (values, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty());
    values.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

#[track_caller]
fn assert_close(name: &str, ours: &[f32], theirs: &[f32], tolerance: f32) {
    assert_eq!(ours.len(), theirs.len(), "{name}: number of values");
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!(
            (a - b).abs() <= tolerance,
            "{name}: value {i} is {a}, librosa computes {b}"
        );
    }
}

fn extract(config: &FeatureConfig, waveform: &Waveform) -> Features {
    Extractor::new(config, waveform.sample_rate)
        .unwrap()
        .extract(waveform)
}

fn waveform(sample_rate: u32, samples: usize, at: impl Fn(usize) -> f32) -> Waveform {
    Waveform {
        samples: (0..samples).map(at).collect(),
        sample_rate,
    }
}

#[test]
fn mfccs_are_librosas() {
    let cases = cases("mfcc");
    assert!(cases.len() >= 20);
    for case in cases {
        let name = text(&case, "name");
        let config: FeatureConfig = serde_json::from_value(case["config"].clone()).unwrap();
        let features = extract(&config, &sound(text(&case, "sound")));
        assert_eq!(
            (features.frames(), features.coefficients()),
            shape(&case),
            "{name}"
        );
        assert_close(name, features.values(), &matrix(name), TOLERANCE);
    }
}

#[test]
fn mfccs_after_resampling_stay_close_to_librosas() {
    for case in cases("resample") {
        let name = text(&case, "name");
        let resampled = resample(
            &sound(text(&case, "sound")),
            number(&case, "sample_rate") as u32,
        )
        .unwrap();
        assert_eq!(resampled.samples.len(), number(&case, "samples"), "{name}");
        let features = extract(&FeatureConfig::default(), &resampled);
        let expected = matrix(name);
        // The two resampling filters differ only near their cutoff, in the highest mel bands.
        assert_close(name, features.values(), &expected, 1.0);
        let mean = features
            .values()
            .iter()
            .zip(&expected)
            .map(|(a, b)| (a - b).abs())
            .sum::<f32>()
            / expected.len() as f32;
        assert!(mean < 0.2, "{name}: mean difference {mean}");
    }
}

#[test]
fn mel_filters_are_librosas() {
    for case in cases("mel") {
        let name = text(&case, "name");
        let (n_fft, n_mels) = (number(&case, "n_fft"), number(&case, "n_mels"));
        let bank = mel::MelFilterBank::new(
            number(&case, "sample_rate") as u32,
            n_fft,
            n_mels,
            case["fmin"].as_f64().unwrap(),
            case["fmax"].as_f64().unwrap(),
        );
        let mut expected = matrix(name).into_iter();
        let mut expected_bands = vec![vec![0.0; n_fft / 2 + 1]; n_mels];
        for (band, row) in expected_bands.iter_mut().enumerate() {
            let first = case["first_bins"][band].as_u64().unwrap() as usize;
            let bins = case["bins"][band].as_u64().unwrap() as usize;
            row[first..first + bins].fill_with(|| expected.next().unwrap());
        }
        // A spectrum with one bin set shows that bin's weight in every band.
        for bin in 0..=n_fft / 2 {
            let mut spectrum = vec![[0.0; FRAMES_PER_BLOCK]; n_fft / 2 + 1];
            spectrum[bin][3] = 1.0;
            let mut block = vec![[f32::NAN; FRAMES_PER_BLOCK]; n_mels];
            bank.apply(&spectrum, &mut block);
            let ours: Vec<f32> = block.iter().map(|band| band[3]).collect();
            let theirs: Vec<f32> = expected_bands.iter().map(|band| band[bin]).collect();
            assert_close(&format!("{name}, bin {bin}"), &ours, &theirs, 1e-8);
        }
    }
}

#[test]
fn deltas_are_librosas() {
    for case in cases("delta") {
        let name = text(&case, "name");
        // Three features, their deltas, their delta-deltas.
        let columns = matrix(name);
        let block = |start: usize| -> Vec<f32> {
            columns
                .chunks(9)
                .flat_map(|row| row[start..start + 3].to_vec())
                .collect()
        };
        let values = block(0);
        assert_close(name, &delta(&values, 3, Order::First), &block(3), TOLERANCE);
        assert_close(
            name,
            &delta(&values, 3, Order::Second),
            &block(6),
            TOLERANCE,
        );
    }
}

#[test]
fn deltas_of_polynomials_are_their_derivatives() {
    let line: Vec<f32> = (0..20).map(|t| 3.0 * t as f32 - 7.0).collect();
    assert_close("line", &delta(&line, 1, Order::First), &[3.0; 20], 1e-4);
    assert_close("line", &delta(&line, 1, Order::Second), &[0.0; 20], 1e-4);
    let parabola: Vec<f32> = (0..20).map(|t| 0.5 * (t * t) as f32).collect();
    assert_close(
        "parabola",
        &delta(&parabola, 1, Order::Second),
        &[1.0; 20],
        1e-4,
    );
}

#[test]
fn too_few_frames_have_no_deltas() {
    assert_eq!(delta(&[1.0, 5.0], 1, Order::First), [0.0, 0.0]);
    assert_eq!(delta(&[1.0], 1, Order::Second), [0.0]);
    assert!(delta(&[], 1, Order::First).is_empty());
}

#[test]
fn deltas_are_further_columns() {
    let sound = sound("hops_22k");
    let alone = extract(&FeatureConfig::default(), &sound);
    let config = FeatureConfig {
        deltas: 2,
        ..FeatureConfig::default()
    };
    let with_deltas = extract(&config, &sound);
    assert_eq!(config.coefficients(), 120);
    assert_eq!(with_deltas.coefficients(), 120);
    assert_eq!(with_deltas.frames(), alone.frames());
    for frame in 0..alone.frames() {
        assert_eq!(with_deltas.row(frame)[..40], *alone.row(frame));
    }
}

#[test]
fn dct_rows_are_orthonormal() {
    const N: usize = 24;
    let dct = Dct::new(N, N, 0.0);
    // Column n of the transform; for an orthonormal one the columns are orthonormal as well.
    let columns: Vec<Vec<f32>> = (0..N)
        .map(|n| {
            let mut unit = vec![[0.0; FRAMES_PER_BLOCK]; N];
            unit[n][5] = 1.0;
            let mut block = vec![[0.0; FRAMES_PER_BLOCK]; N];
            dct.apply(&unit, &mut block);
            block.iter().map(|row| row[5]).collect()
        })
        .collect();
    for (i, a) in columns.iter().enumerate() {
        for (j, b) in columns.iter().enumerate() {
            let product: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
            let expected = if i == j { 1.0 } else { 0.0 };
            assert!(
                (product - expected).abs() < 1e-6,
                "columns {i}, {j}: {product}"
            );
        }
    }
}

/// The inverse of an orthonormal DCT with as many coefficients as bands: back to decibels.
fn decibels(mfcc: &[f32]) -> Vec<f32> {
    let n = mfcc.len() as f32;
    (0..mfcc.len())
        .map(|band| {
            let higher: f32 = (1..mfcc.len())
                .map(|k| mfcc[k] * (TAU / 2.0 * k as f32 * (band as f32 + 0.5) / n).cos())
                .sum();
            mfcc[0] / n.sqrt() + higher * (2.0 / n).sqrt()
        })
        .collect()
}

#[test]
fn a_tone_peaks_in_its_band() {
    let config = FeatureConfig {
        n_mels: 40,
        n_mfcc: 40,
        ..FeatureConfig::default()
    };
    for hz in [200.0, 440.0, 1000.0, 3000.0, 6000.0] {
        let tone = waveform(16_000, 16_000, |i| {
            0.5 * (TAU * hz * i as f32 / 16_000.0).sin()
        });
        let features = extract(&config, &tone);
        let bands = decibels(features.row(features.frames() / 2));
        let peak = (0..40)
            .max_by(|&a, &b| bands[a].total_cmp(&bands[b]))
            .unwrap();
        // Band i is between edges i and i + 2 of 42, evenly spaced in mel.
        let step = mel::hz_to_mel(8000.0) / 41.0;
        let (low, high) = (
            mel::mel_to_hz(step * peak as f64),
            mel::mel_to_hz(step * (peak + 2) as f64),
        );
        assert!(
            low < f64::from(hz) && f64::from(hz) < high,
            "{hz} Hz peaks in the band from {low} to {high} Hz"
        );
    }
}

#[test]
fn a_louder_sound_differs_in_the_0th_coefficient_only() {
    let quiet = sound("hops_22k");
    let loud = waveform(quiet.sample_rate, quiet.samples.len(), |i| {
        10.0 * quiet.samples[i]
    });
    let config = FeatureConfig::default();
    let (quiet, loud) = (extract(&config, &quiet), extract(&config, &loud));
    for frame in 0..quiet.frames() {
        // 20 dB in each of 128 bands.
        let raised = loud.row(frame)[0] - quiet.row(frame)[0];
        assert!((raised - 20.0 * 128_f32.sqrt()).abs() < TOLERANCE);
        assert_close(
            "higher",
            &loud.row(frame)[1..],
            &quiet.row(frame)[1..],
            TOLERANCE,
        );
    }
}

#[test]
fn silence_is_a_constant_row() {
    let features = extract(&FeatureConfig::default(), &waveform(16_000, 8000, |_| 0.0));
    assert_eq!(features.frames(), 1 + 8000 / 512);
    for frame in 0..features.frames() {
        // −100 dB in each of 128 bands.
        let row = features.row(frame);
        assert!((row[0] + 100.0 * 128_f32.sqrt()).abs() < TOLERANCE);
        assert!(row[1..].iter().all(|value| value.abs() < TOLERANCE));
    }
}

#[test]
fn any_length_yields_finite_frames() {
    let config = FeatureConfig {
        deltas: 2,
        ..FeatureConfig::default()
    };
    let extractor = Extractor::new(&config, 16_000).unwrap();
    for samples in [
        0, 1, 511, 512, 513, 1023, 1024, 1025, 2047, 2048, 2049, 5000,
    ] {
        let features = extractor.extract(&waveform(16_000, samples, |i| (i as f32).sin()));
        assert_eq!(
            features.frames(),
            1 + samples / 512,
            "frames of {samples} samples"
        );
        assert!(features.values().iter().all(|value| value.is_finite()));
    }
}

#[test]
fn threads_share_an_extractor() {
    let extractor = Extractor::new(&FeatureConfig::default(), 22_050).unwrap();
    let sound = sound("hops_22k");
    let alone = extractor.extract(&sound);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(extractor.extract(&sound), alone));
        }
    });
}

#[test]
fn a_matrix_needs_all_its_values() {
    assert!(Features::new(2, 3, vec![0.0; 6]).is_some());
    assert!(Features::new(2, 3, vec![0.0; 5]).is_none());
    assert!(Features::new(usize::MAX, 2, vec![0.0; 2]).is_none());
}

#[test]
fn settings_survive_toml() {
    for top_db in [None, Some(80.0), Some(35.5)] {
        let config = FeatureConfig {
            top_db,
            win_length: Some(400),
            fmax: Some(7600.0),
            deltas: 1,
            ..FeatureConfig::default()
        };
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<FeatureConfig>(&text).unwrap(), config);
    }
    let off: FeatureConfig = toml::from_str("top_db = \"off\"").unwrap();
    assert_eq!(off.top_db, None);
    let whole: FeatureConfig = toml::from_str("top_db = 60").unwrap();
    assert_eq!(whole.top_db, Some(60.0));
    assert_eq!(
        toml::from_str::<FeatureConfig>("").unwrap(),
        FeatureConfig::default()
    );
}

#[test]
fn misspelt_settings_are_rejected() {
    assert!(toml::from_str::<FeatureConfig>("n_mfc = 13").is_err());
    let error = toml::from_str::<FeatureConfig>("top_db = \"none\"").unwrap_err();
    assert!(error.message().contains("nor \"off\""), "{error}");
}

#[test]
fn prosody_is_further_columns_behind_all_mfccs() {
    let sound = sound("hops_22k");
    let mfcc = FeatureConfig {
        deltas: 1,
        ..FeatureConfig::default()
    };
    let config = FeatureConfig {
        prosody: true,
        ..mfcc.clone()
    };
    let (alone, with_prosody) = (extract(&mfcc, &sound), extract(&config, &sound));
    assert_eq!(config.coefficients(), 86);
    assert_eq!(
        (with_prosody.frames(), with_prosody.coefficients()),
        (alone.frames(), 86)
    );
    let column = |index: usize| -> Vec<f32> {
        let frames = 0..alone.frames();
        frames.map(|frame| with_prosody.row(frame)[index]).collect()
    };
    for frame in 0..alone.frames() {
        assert_eq!(with_prosody.row(frame)[..80], *alone.row(frame));
    }
    let pitch = column(80);
    assert_eq!(delta(&pitch, 1, Order::First), column(83));
    assert!(
        column(81)
            .iter()
            .all(|voicing| (0.0..=1.0).contains(voicing))
    );
    let loudest = column(82).into_iter().fold(f32::MIN, f32::max);
    assert_eq!(loudest, 0.0);
}

#[test]
fn settings_out_of_range_are_rejected() {
    type Change = fn(&mut FeatureConfig);
    let refused: [(Change, &str); 16] = [
        (|c| c.n_fft = 0, "n_fft is 0"),
        (|c| c.n_fft = 1 << 30, "n_fft is"),
        (|c| c.win_length = Some(0), "win_length is 0"),
        (|c| c.win_length = Some(2049), "win_length is 2049"),
        (|c| c.hop_length = 0, "hop_length is 0"),
        (|c| c.n_mels = 0, "n_mels is 0"),
        (|c| c.n_mels = 1026, "between 1 and 1025"),
        (|c| c.n_mfcc = 0, "n_mfcc is 0"),
        (|c| c.n_mfcc = 129, "n_mfcc is 129"),
        (|c| c.fmin = -1.0, "fmin -1"),
        (|c| c.fmin = 8000.0, "fmin 8000"),
        (|c| c.fmin = f32::NAN, "fmin NaN"),
        (|c| c.fmax = Some(8001.0), "fmax 8001"),
        (|c| c.top_db = Some(-1.0), "top_db is -1"),
        (|c| c.lifter = f32::INFINITY, "lifter is inf"),
        (|c| c.deltas = 3, "deltas is 3"),
    ];
    for (change, reason) in refused {
        let mut config = FeatureConfig::default();
        change(&mut config);
        let error = config.validate(16_000).unwrap_err();
        assert!(
            error.to_string().contains(reason),
            "\"{error}\" does not contain {reason}"
        );
    }
    let config = FeatureConfig::default();
    assert_eq!(config.validate(0), Err(FeatureError::SampleRate));
    assert_eq!(config.validate(16_000), Ok(()));
}
