//! A stream in pieces has the same features as the complete recording.

use std::io::{Cursor, Read};

use emovox::audio::stream::{RawEncoding, SoundStream, StreamResampler};
use emovox::audio::{AudioError, Channel, Waveform, read_from, resample};
use emovox::config::RunConfig;
use emovox::corpus::demo;
use emovox::features::{Extractor, FeatureConfig, Features};
use emovox::inference::Windows;
use emovox::model::Arch;
use hound::{SampleFormat, WavSpec, WavWriter};
use proptest::prelude::*;

/// A reader whose bytes arrive in pieces of the given sizes, repeatedly.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl<'a> Pieces<'a> {
    fn new(bytes: &'a [u8], sizes: &'a [usize]) -> Pieces<'a> {
        let sizes = sizes.iter().cycle();
        Pieces { bytes, sizes }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let size = *self.sizes.next().unwrap();
        let size = size.min(buffer.len()).min(self.bytes.len());
        buffer[..size].copy_from_slice(&self.bytes[..size]);
        self.bytes = &self.bytes[size..];
        Ok(size)
    }
}

/// A few seconds of demo speech as a WAV file. The samples are the same at every rate, so the pitch
/// changes.
fn wav(sample_rate: u32, channels: u16) -> Vec<u8> {
    let mut samples = demo::synthesise(3, 1, 0, 1);
    samples.extend(demo::synthesise(3, 2, 6, 1));
    let samples = samples.repeat(sample_rate.div_ceil(16_000) as usize);
    wav_of(&samples, sample_rate, channels)
}

fn wav_of(samples: &[f32], sample_rate: u32, channels: u16) -> Vec<u8> {
    let spec = WavSpec {
        channels,
        sample_rate,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut file = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, spec).unwrap();
    for sample in samples {
        for channel in 1..=channels {
            let sample = sample / f32::from(channel);
            writer.write_sample((sample * 32767.0) as i16).unwrap();
        }
    }
    writer.finalize().unwrap();
    file.into_inner()
}

fn all(mut stream: SoundStream<impl Read>) -> Result<(Vec<f32>, u64), AudioError> {
    let mut samples = Vec::new();
    while stream.read(&mut samples)? > 0 {}
    Ok((samples, stream.missing()))
}

fn extractor(config: &FeatureConfig) -> Extractor {
    Extractor::new(config, 16_000).unwrap()
}

/// The default recipe's features.
fn recipe() -> FeatureConfig {
    RunConfig::recipe(Arch::default()).features
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn windows_of_a_stream_have_the_features_of_the_recording_cut_there(
        format in prop::sample::select(vec![(16_000, 1), (48_000, 2), (44_100, 1), (8_000, 1)]),
        sizes in prop::collection::vec(1usize..20_000, 1..6),
    ) {
        let (rate, channels) = format;
        let bytes = wav(rate, channels);
        let extractor = extractor(&recipe());
        let features = |samples: &[f32]| extractor.extract(&Waveform {
            samples: samples.to_vec(),
            sample_rate: 16_000,
        });

        let mut stream = SoundStream::wav(Pieces::new(&bytes, &sizes), Channel::Mix).unwrap();
        let mut resampler = StreamResampler::new(stream.sample_rate(), 16_000).unwrap();
        let mut windows = Windows::new(12_000, 4_000);
        let mut found: Vec<(u64, Features)> = Vec::new();
        let (mut read, mut samples) = (Vec::new(), Vec::new());
        while stream.read(&mut read).unwrap() > 0 {
            resampler.push(&read, &mut samples).unwrap();
            windows.push(&samples, |at, window| {
                found.push((at, features(window)));
                Ok(())
            }).unwrap();
            read.clear();
            samples.clear();
        }
        resampler.finish(&mut samples).unwrap();
        windows.push(&samples, |at, window| {
            found.push((at, features(window)));
            Ok(())
        }).unwrap();
        windows.finish(|at, window| {
            found.push((at, features(window)));
            Ok(())
        }).unwrap();

        let whole = read_from(Cursor::new(&bytes)).unwrap();
        let whole = resample(&whole, 16_000).unwrap().samples;
        prop_assert!(found.len() > 3);
        for (at, found) in &found {
            let cut = &whole[*at as usize..whole.len().min(*at as usize + 12_000)];
            prop_assert_eq!(found, &features(cut));
        }
        prop_assert_eq!(found.last().unwrap().0, whole.len() as u64 - 12_000);
    }
}

proptest! {
    #[test]
    fn a_damaged_stream_has_the_samples_of_the_damaged_file(
        at in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 1..12),
        end in any::<prop::sample::Index>(),
        sizes in prop::collection::vec(1usize..5_000, 1..4),
    ) {
        let mut damaged = wav_of(&[0.25; 3_000], 16_000, 2);
        // Most damage that matters is in the header.
        let at = at.index(60);
        for (byte, other) in damaged[at..].iter_mut().zip(bytes) {
            *byte = other;
        }
        damaged.truncate(end.index(damaged.len()) + 1);
        let streamed = SoundStream::wav(Pieces::new(&damaged, &sizes), Channel::Mix).and_then(all);
        if let Ok((samples, _)) = streamed {
            let expected = match read_from(Cursor::new(&damaged[..])) {
                Err(AudioError::NoSamples) => Vec::new(),
                read => read.unwrap().samples,
            };
            prop_assert_eq!(samples, expected);
        }
    }
}

/// MFCCs without the floor and voicing do not depend on other frames, so they are equal in a window
/// and in the complete recording. Pitch and loudness are relative to the utterance's median and its
/// loudest frame, so they differ by a constant.
#[test]
fn away_from_its_edges_a_window_has_the_frames_of_the_whole_recording() {
    let whole = read_from(Cursor::new(wav(16_000, 1))).unwrap();
    let config = FeatureConfig {
        top_db: None,
        ..recipe()
    };
    let extractor = extractor(&config);
    let all = extractor.extract(&whole);
    let (start, length) = (8_000, 24_000);
    let window = extractor.extract(&Waveform {
        samples: whole.samples[start..start + length].to_vec(),
        sample_rate: 16_000,
    });
    // A frame covers 512 samples on each side (the window of the pitch), a delta covers four more
    // frames.
    let edge = 512usize.div_ceil(200) + 4;
    let (pitch, voicing, loudness) = (80, 81, 82);
    let mut shifts: Vec<[f32; 2]> = Vec::new();
    let mut alike = 0;
    for frame in edge..window.frames() - edge {
        let (a, b) = (window.row(frame), all.row(frame + start / 200));
        for column in (0..80).chain([voicing]) {
            let (a, b) = (a[column], b[column]);
            assert!((a - b).abs() < 1e-3, "{frame} {column}: {a} {b}");
            alike += 1;
        }
        if a[pitch] != 0.0 && b[pitch] != 0.0 && a[loudness] > -79.0 && b[loudness] > -79.0 {
            shifts.push([pitch, loudness].map(|column| a[column] - b[column]));
        }
    }
    assert!(
        alike > 5_000 && shifts.len() > 20,
        "{alike} {}",
        shifts.len()
    );
    for shift in &shifts {
        for (one, first) in shift.iter().zip(shifts[0]) {
            assert!((one - first).abs() < 1e-3, "{shift:?} {:?}", shifts[0]);
        }
    }
}

#[test]
fn headers_that_programs_write_into_a_pipe_are_read() {
    let file = wav(16_000, 2);
    let (expected, missing) = all(SoundStream::wav(&file[..], Channel::Mix).unwrap()).unwrap();
    assert_eq!(missing, 0);
    assert_eq!(expected, read_from(Cursor::new(&file)).unwrap().samples);

    let with_lengths = |riff: u32, data: u32| {
        let mut bytes = file.clone();
        let at = bytes.windows(4).position(|name| name == b"data").unwrap();
        bytes[4..8].copy_from_slice(&riff.to_le_bytes());
        bytes[at + 4..at + 8].copy_from_slice(&data.to_le_bytes());
        bytes
    };
    // Lengths of ffmpeg, arecord, sox, and a writer that leaves both lengths at 0.
    for (riff, data) in [
        (u32::MAX, u32::MAX),
        (0x8000_0024, 0x8000_0000),
        (0x7FFF_F024, 0x7FFF_F000),
        (0, 0),
    ] {
        let bytes = with_lengths(riff, data);
        let (found, missing) =
            all(SoundStream::wav(Pieces::new(&bytes, &[1, 7]), Channel::Mix).unwrap()).unwrap();
        assert_eq!((found == expected, missing), (true, 0), "{data:x}");
    }

    // A chunk of an odd length before the format, with its pad byte and without.
    for pad in [&b"\0"[..], b""] {
        let mut bytes = file[..12].to_vec();
        bytes.extend(b"LIST\x03\0\0\0abc");
        bytes.extend(pad);
        bytes.extend(&file[12..]);
        let (found, _) = all(SoundStream::wav(&bytes[..], Channel::Mix).unwrap()).unwrap();
        assert!(found == expected, "{pad:?}");
    }

    // Bytes behind the samples are not samples.
    let mut tagged = file.clone();
    tagged.extend(b"LIST\x04\0\0\0abcd");
    assert_eq!(
        all(SoundStream::wav(&tagged[..], Channel::Mix).unwrap())
            .unwrap()
            .0,
        expected
    );

    let (found, missing) =
        all(SoundStream::wav(&file[..file.len() - 1001], Channel::Mix).unwrap()).unwrap();
    assert_eq!((found.len(), missing), (expected.len() - 251, 1001));
}

#[test]
fn a_broken_stream_is_rejected_with_the_reason() {
    let file = wav(16_000, 1);
    let error_of = |bytes: &[u8]| {
        SoundStream::wav(bytes, Channel::Mix)
            .err()
            .unwrap()
            .to_string()
    };
    for end in [1, 11, 13, 30, 43] {
        assert!(error_of(&file[..end]).contains("ends inside"), "{end}");
    }
    assert!(error_of(b"").contains("empty"));
    assert!(error_of(b"fLaC\0\0\0\x22\x10\0\x10\0").contains("FLAC"));
    let mut no_format = file.clone();
    no_format[12..16].copy_from_slice(b"junk");
    assert!(error_of(&no_format).contains("no fmt chunk"));

    let raw = |bytes: &[u8], encoding| {
        all(SoundStream::raw(bytes, encoding, 8_000, 1, Channel::Mix).unwrap())
    };
    let mut floats: Vec<u8> = [0.5f32; 300].iter().flat_map(|x| x.to_le_bytes()).collect();
    floats.extend(f32::NAN.to_le_bytes());
    let error = raw(&floats, RawEncoding::F32le).unwrap_err().to_string();
    assert!(error.contains("sample 300 "), "{error}");
    let (samples, missing) = raw(&[0, 64, 0], RawEncoding::S16le).unwrap();
    assert_eq!((samples, missing), (vec![0.5], 1));
    assert!(SoundStream::raw(&[][..], RawEncoding::S16le, 12, 1, Channel::Mix).is_err());
    let right = SoundStream::raw(&[][..], RawEncoding::S16le, 8_000, 1, Channel::Number(2));
    let error = right.err().unwrap().to_string();
    assert_eq!(
        error,
        "the model reads channel right, but the stream has 1 channel"
    );
}
