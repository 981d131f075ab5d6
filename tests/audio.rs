//! Waveforms from recordings: every bit depth, channels, resampling, trimming, and the errors for
//! other files.

use std::f64::consts::TAU;
use std::fs;
use std::path::{Path, PathBuf};

use emovox::audio::{
    AudioConfig, AudioError, SampleRate, Waveform, load, probe, read as read_audio, resample,
    trim_silence,
};
use hound::{SampleFormat, WavSpec, WavWriter};
use serde_json::Value;
use tempfile::TempDir;

fn spec(channels: u16, bits_per_sample: u16, sample_format: SampleFormat) -> WavSpec {
    WavSpec {
        channels,
        sample_rate: 16_000,
        bits_per_sample,
        sample_format,
    }
}

fn write<S: hound::Sample + Copy>(path: &Path, spec: WavSpec, samples: &[S]) {
    let mut writer = WavWriter::create(path, spec).unwrap();
    for &sample in samples {
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
}

/// The samples that are read from a file written by hound.
fn written_and_read<S: hound::Sample + Copy>(spec: WavSpec, samples: &[S]) -> Vec<f32> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sound.wav");
    write(&path, spec, samples);
    let waveform = read_audio(&path).unwrap();
    assert_eq!(waveform.sample_rate, 16_000);
    waveform.samples
}

/// Reads a file with these bytes.
fn read_bytes(bytes: &[u8]) -> Result<Waveform, AudioError> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sound.wav");
    fs::write(&path, bytes).unwrap();
    read_audio(&path)
}

/// The error for a file with these bytes, which must be one line.
fn error_of(bytes: &[u8]) -> String {
    let message = read_bytes(bytes).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [name, &(content.len() as u32).to_le_bytes()[..], content].concat()
}

/// A `fmt ` chunk at 16 kHz.
fn format_chunk(tag: u16, channels: u16, bits: u16) -> Vec<u8> {
    let block = channels * bits / 8;
    let mut content = Vec::new();
    for field in [tag, channels] {
        content.extend(field.to_le_bytes());
    }
    for field in [16_000_u32, 16_000 * u32::from(block)] {
        content.extend(field.to_le_bytes());
    }
    for field in [block, bits] {
        content.extend(field.to_le_bytes());
    }
    chunk(b"fmt ", &content)
}

fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    chunk(b"RIFF", &[b"WAVE".to_vec(), chunks.concat()].concat())
}

fn tone(sample_rate: u32, hz: f64, samples: usize) -> Waveform {
    let at = |i: usize| 0.5 * (TAU * hz * i as f64 / f64::from(sample_rate)).sin();
    Waveform {
        samples: (0..samples).map(|i| at(i) as f32).collect(),
        sample_rate,
    }
}

#[test]
fn integers_become_fractions_of_full_scale() {
    let expected = [-1.0, -0.5, 0.0, 0.5];
    let bits8 = written_and_read(spec(1, 8, SampleFormat::Int), &[-128_i32, -64, 0, 64]);
    let bits16 = written_and_read(
        spec(1, 16, SampleFormat::Int),
        &[i16::MIN, -(1 << 14), 0, 1 << 14],
    );
    let bits24 = written_and_read(
        spec(1, 24, SampleFormat::Int),
        &[-(1 << 23), -(1 << 22), 0, 1 << 22],
    );
    let bits32 = written_and_read(
        spec(1, 32, SampleFormat::Int),
        &[i32::MIN, -(1 << 30), 0, 1 << 30],
    );
    for samples in [bits8, bits16, bits24, bits32] {
        assert_eq!(samples, expected);
    }
}

#[test]
fn the_smallest_step_of_each_depth_is_preserved() {
    for (bits, step) in [(8, 128.0), (16, 32_768.0), (24, 8_388_608.0)] {
        let samples = written_and_read(spec(1, bits, SampleFormat::Int), &[1_i32, -1]);
        assert_eq!(samples, [1.0 / step, -1.0 / step], "{bits} bits");
    }
}

#[test]
fn floats_are_unchanged() {
    let samples = [0.1_f32, -1.0, 1.5, f32::MIN_POSITIVE];
    assert_eq!(
        written_and_read(spec(1, 32, SampleFormat::Float), &samples),
        samples
    );
}

#[test]
fn eight_bits_are_unsigned_in_the_file() {
    let bytes = riff(&[format_chunk(1, 1, 8), chunk(b"data", &[0, 64, 128, 255])]);
    let samples = read_bytes(&bytes).unwrap().samples;
    assert_eq!(samples, [-1.0, -0.5, 0.0, 127.0 / 128.0]);
}

#[test]
fn valid_bits_are_the_upper_ones_of_a_wider_sample() {
    // WAVEFORMATEXTENSIBLE: 24 valid bits in 4 bytes, the lowest byte is padding.
    let mut format = format_chunk(0xFFFE, 1, 32)[8..].to_vec();
    for field in [22_u16, 24, 4, 0] {
        format.extend(field.to_le_bytes());
    }
    format.extend(b"\x01\0\0\0\0\0\x10\0\x80\0\0\xAA\0\x38\x9B\x71");
    let sound = chunk(b"data", &[0, 0, 0, 0x40, 0, 0, 0, 0x80]);
    let bytes = riff(&[chunk(b"fmt ", &format), sound]);
    assert_eq!(read_bytes(&bytes).unwrap().samples, [0.5, -1.0]);
}

#[test]
fn channels_are_averaged() {
    let stereo = [1000_i16, 3000, -2000, 2000];
    assert_eq!(
        written_and_read(spec(2, 16, SampleFormat::Int), &stereo),
        [2000.0 / 32_768.0, 0.0]
    );
    let eight = [0.1_f32, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8];
    let mono = written_and_read(spec(8, 32, SampleFormat::Float), &eight);
    assert_eq!(mono.len(), 1);
    assert!((mono[0] - 0.45).abs() < 1e-6);
}

#[test]
fn chunks_around_the_sound_are_skipped() {
    let bytes = riff(&[
        chunk(b"JUNK", &[7; 28]),
        format_chunk(1, 1, 16),
        chunk(b"FLLR", &[0; 4044]),
        chunk(b"data", &[0, 64, 0, 192]),
        chunk(b"LIST", b"INFOISFT"),
    ]);
    assert_eq!(read_bytes(&bytes).unwrap().samples, [0.5, -0.5]);
}

#[test]
fn a_truncated_data_chunk_is_read_up_to_its_last_whole_frame() {
    let mut bytes = riff(&[
        format_chunk(1, 2, 16),
        chunk(b"data", &[0, 64, 0, 64, 0, 32, 0, 32]),
    ]);
    // One whole frame of two channels, and half a frame.
    bytes.truncate(bytes.len() - 2);
    assert_eq!(read_bytes(&bytes).unwrap().samples, [0.5]);
}

#[test]
fn probe_reads_only_the_header() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sound.wav");
    write(&path, spec(2, 24, SampleFormat::Int), &[0_i32; 16_000]);
    let info = probe(&path).unwrap();
    assert_eq!(
        (info.sample_rate, info.channels, info.bits_per_sample),
        (16_000, 2, Some(24))
    );
    assert_eq!(info.seconds, 0.5);
}

#[test]
fn an_error_names_the_other_audio_format() {
    let others: [(&[u8], &str); 6] = [
        (
            b"RIFF\x10\0\0\0AVI LIST",
            "another RIFF format, such as AVI",
        ),
        (b".snd\0\0\0\x18", "AU"),
        (b"\x30\x26\xB2\x75\x8E\x66\xCF\x11", "WMA"),
        (b"#!AMR\n", "AMR"),
        (b"NIST_1A\n   1024\n", "NIST SPHERE"),
        (b"wvpk\0\0\0\0", "WavPack"),
    ];
    for (bytes, name) in others {
        let message = error_of(bytes);
        assert!(
            message.starts_with(name) && message.contains("is not supported"),
            "{message}"
        );
        assert!(
            message.contains("ffmpeg -i IN -ar 16000 OUT.wav"),
            "{message}"
        );
    }
    assert!(error_of(b"<!DOCTYPE html>").contains("not a WAV file"));
}

#[test]
fn the_start_of_a_recording_is_rejected_in_any_format() {
    let starts: [&[u8]; 9] = [
        b"FORM\0\0\0\x10AIFFCOMM",
        b"caff\0\x01\0\0desc",
        b"fLaC\0\0\0\x22",
        b"OggS\0\x02",
        b"ID3\x04\0\0",
        b"\xFF\xFB\x90\x64",
        b"RIFX\0\0\0\x10WAVEfmt ",
        b"\0\0\0\x20ftypM4A ",
        b"\x1A\x45\xDF\xA3\x9F",
    ];
    for bytes in starts {
        let message = error_of(bytes);
        let expected = [
            "the file ends inside its header",
            "damaged",
            "unsupported encoding",
        ];
        assert!(
            expected.iter().any(|start| message.starts_with(start)),
            "{message}"
        );
    }
}

#[test]
fn broken_files_are_rejected_with_the_reason() {
    assert!(error_of(b"").starts_with("the file is empty"));
    let whole = riff(&[format_chunk(1, 1, 16), chunk(b"data", &[0; 8])]);
    let header = whole.len() - 8;
    for length in 1..header {
        let message = error_of(&whole[..length]);
        let expected = "the file ends inside its header";
        assert!(message.starts_with(expected), "{length} bytes: {message}");
    }
    assert!(error_of(&whole[..header]).starts_with("no samples"));
    let silent = riff(&[format_chunk(1, 1, 16), chunk(b"data", &[])]);
    assert!(error_of(&silent).starts_with("no samples"));
    let no_channels = riff(&[format_chunk(1, 0, 16), chunk(b"data", &[0; 8])]);
    assert!(error_of(&no_channels).starts_with("broken WAV header"));
    let mut no_rate = whole.clone();
    no_rate[24..32].fill(0);
    assert!(error_of(&no_rate).starts_with("a sample rate of 0 Hz"));
}

#[test]
fn unsupported_encodings_are_rejected_with_advice() {
    let gsm = riff(&[format_chunk(0x31, 1, 16), chunk(b"data", &[0; 8])]);
    let half = riff(&[format_chunk(3, 1, 16), chunk(b"data", &[0; 8])]);
    for bytes in [gsm, half] {
        let message = error_of(&bytes);
        assert!(message.starts_with("unsupported WAV encoding"), "{message}");
        assert!(message.contains("pcm_s16le"), "{message}");
    }
}

#[test]
fn samples_that_are_not_finite_are_rejected() {
    for bad in [f32::NAN, f32::INFINITY] {
        let sound: Vec<u8> = [0.5, bad].iter().flat_map(|x| x.to_le_bytes()).collect();
        let message = error_of(&riff(&[format_chunk(3, 1, 32), chunk(b"data", &sound)]));
        assert!(message.starts_with("sample 1 is not a finite"), "{message}");
    }
}

#[test]
fn a_missing_file_and_a_folder_have_different_errors() {
    let folder = TempDir::new().unwrap();
    let missing = read_audio(&folder.path().join("none.wav")).unwrap_err();
    assert_eq!(missing.to_string(), "no such file; check the path");
    let is_folder = read_audio(folder.path()).unwrap_err();
    assert_eq!(is_folder.to_string(), "a folder, not a recording");
}

#[test]
fn a_resampled_tone_keeps_amplitude_and_phase() {
    // The last rate is that of TESS, which has no simple ratio to the others.
    for (from, to) in [
        (48_000, 16_000),
        (48_000, 22_050),
        (44_100, 16_000),
        (16_000, 22_050),
        (8_000, 16_000),
        (24_414, 22_050),
    ] {
        for hz in [100.0, 1000.0, 3500.0] {
            let resampled = resample(&tone(from, hz, from as usize), to).unwrap();
            assert_eq!(resampled.sample_rate, to);
            let expected = tone(to, hz, to as usize);
            assert_eq!(resampled.samples.len(), expected.samples.len());
            // The ends are excluded: the filter rings there, because the signal starts and stops abruptly.
            let inside = 1000..to as usize - 1000;
            let furthest = resampled.samples[inside.clone()]
                .iter()
                .zip(&expected.samples[inside])
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(furthest < 2e-5, "{hz} Hz, {from} to {to}: {furthest}");
        }
    }
}

#[test]
fn frequencies_above_half_the_new_rate_are_removed() {
    for (from, to, hz) in [
        (48_000, 16_000, 8_100.0),
        (48_000, 16_000, 20_000.0),
        (44_100, 22_050, 11_500.0),
        (48_000, 22_050, 11_300.0),
        (24_414, 22_050, 11_500.0),
    ] {
        let resampled = resample(&tone(from, hz, from as usize), to).unwrap();
        let loudest = resampled.samples[2000..to as usize - 2000]
            .iter()
            .fold(0.0_f32, |most, sample| most.max(sample.abs()));
        // 90 dB below the tone.
        assert!(loudest < 0.5 * 3.2e-5, "{hz} Hz, {from} to {to}: {loudest}");
    }
}

#[test]
fn resampling_up_adds_no_images() {
    // A tone of 3.6 kHz at 8 kHz has its first image at 4.4 kHz. At 16 kHz only the tone may remain.
    let resampled = resample(&tone(8_000, 3_600.0, 8_000), 16_000).unwrap();
    let expected = tone(16_000, 3_600.0, 16_000);
    for i in 1000..15_000 {
        assert!((resampled.samples[i] - expected.samples[i]).abs() < 2e-5);
    }
}

#[test]
fn resampling_keeps_the_last_samples() {
    for (from, to) in [(48_000, 22_050), (16_000, 22_050), (24_414, 22_050)] {
        for samples in 3000..3050 {
            // Zeros after a sound do not change it, not even its last samples.
            let mut sound = Waveform {
                samples: vec![1.0; samples],
                sample_rate: from,
            };
            let short = resample(&sound, to).unwrap();
            sound.samples.resize(samples + 500, 0.0);
            let long = resample(&sound, to).unwrap();
            for (i, (a, b)) in short.samples.iter().zip(&long.samples).enumerate() {
                assert!((a - b).abs() < 1e-5, "{samples} from {from} to {to}: {i}");
            }
        }
    }
}

#[test]
fn short_sounds_are_resampled() {
    for (from, to) in [(48_000, 16_000), (16_000, 22_050), (24_414, 16_000)] {
        for samples in [1, 2, 3, 100, 1001] {
            let resampled = resample(&tone(from, 440.0, samples), to).unwrap();
            let expected = (samples as f64 * f64::from(to) / f64::from(from)).ceil() as usize;
            assert_eq!(resampled.samples.len(), expected);
            assert!(resampled.samples.iter().all(|sample| sample.is_finite()));
        }
    }
    assert!(resample(&tone(16_000, 440.0, 10), 0).is_err());
    let same = tone(16_000, 440.0, 100);
    assert_eq!(resample(&same, 16_000).unwrap(), same);
}

#[test]
fn trimming_cuts_where_librosa_cuts() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/features");
    let index: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("index.json")).unwrap()).unwrap();
    for case in index["trim"].as_array().unwrap() {
        let name = case["sound"].as_str().unwrap();
        let sound = read_audio(&folder.join(format!("{name}.wav"))).unwrap();
        let number = |key: &str| case[key].as_u64().unwrap() as usize;
        let kept = number("start")..number("end");
        let trimmed = trim_silence(&sound, number("top_db") as f32);
        assert_eq!(trimmed.samples, sound.samples[kept], "{case}");
    }
}

#[test]
fn pure_silence_is_not_trimmed() {
    let silence = Waveform {
        samples: vec![0.0; 5000],
        sample_rate: 16_000,
    };
    assert_eq!(trim_silence(&silence, 60.0), silence);
}

#[test]
fn loading_resamples_and_trims() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sound.wav");
    let mut samples = vec![0_i16; 48_000];
    for (i, sample) in samples[16_000..32_000].iter_mut().enumerate() {
        *sample = if i / 20 % 2 == 0 { 8000 } else { -8000 };
    }
    write(&path, spec(1, 16, SampleFormat::Int), &samples);

    let default = load(&path, &AudioConfig::default()).unwrap();
    assert_eq!(
        (default.sample_rate, default.samples.len()),
        (22_050, 66_150)
    );
    assert_eq!(default.seconds(), 3.0);
    let mut config = AudioConfig {
        sample_rate: SampleRate::Native,
        ..AudioConfig::default()
    };
    assert_eq!(load(&path, &config).unwrap(), read_audio(&path).unwrap());
    config.trim_db = Some(30.0);
    let trimmed = load(&path, &config).unwrap();
    assert!((1.0..1.2).contains(&trimmed.seconds()));
    config.trim_db = Some(0.0);
    let message = load(&path, &config).unwrap_err().to_string();
    assert!(message.starts_with("a trim threshold of 0 dB"), "{message}");
}

#[test]
fn settings_are_unchanged_after_toml() {
    for (sample_rate, trim_db) in [
        (SampleRate::Native, None),
        (SampleRate::Hz(16_000), Some(30.0)),
    ] {
        let config = AudioConfig {
            sample_rate,
            trim_db,
            channel: "right".parse().unwrap(),
        };
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<AudioConfig>(&text).unwrap(), config);
    }
    let text = toml::to_string(&AudioConfig::default()).unwrap();
    assert_eq!(text, "sample_rate = 22050\ntrim_db = \"off\"\n");
    assert_eq!(
        toml::from_str::<AudioConfig>("").unwrap(),
        AudioConfig::default()
    );
}

#[test]
fn sample_rates_are_checked_when_parsed() {
    assert_eq!("native".parse(), Ok(SampleRate::Native));
    assert_eq!("16000".parse(), Ok(SampleRate::Hz(16_000)));
    for wrong in ["16k", "", "0", "-1", "99999999", "99999999999999"] {
        assert!(wrong.parse::<SampleRate>().is_err(), "{wrong}");
    }
    for wrong in [
        "sample_rate = 0",
        "sample_rate = \"fast\"",
        "sample_rate = -1",
        "rate = 1",
    ] {
        assert!(toml::from_str::<AudioConfig>(wrong).is_err(), "{wrong}");
    }
}
