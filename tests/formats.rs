//! Recordings in every supported format, made by ffmpeg: their samples are those that ffmpeg decodes, or for
//! lossless formats exactly the signal. `scripts/reference/make_audio.py` makes them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

use emovox::audio::{
    AudioConfig, AudioError, AudioFile, Channel, SampleRate, Waveform, load_checked, probe, read,
    read_channel, read_from,
};
use serde::Deserialize;
use tempfile::TempDir;

/// Distance between two frames in the index.
const STRIDE: usize = 127;

/// A recording, as the index describes it.
#[derive(Deserialize)]
struct Entry {
    file: String,
    rate: u32,
    channels: u16,
    /// True if the recording has exactly the signal.
    exact: bool,
    /// Number of frames that ffmpeg decodes.
    #[serde(default)]
    frames: usize,
    /// All channels of every 127th frame, as ffmpeg decodes them.
    #[serde(default)]
    samples: Vec<f32>,
}

impl Entry {
    fn path(&self) -> PathBuf {
        folder().join(&self.file)
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    /// The largest accepted difference from ffmpeg's samples: of the rounding of floats, of 16-bit
    /// samples in Opus, and of another rounding of each step in IMA ADPCM, which adds up.
    fn tolerance(&self) -> f32 {
        match &self.file {
            file if file.contains("ima") => 6e-3,
            file if file.contains("opus") => 5e-5,
            // The index has six decimals.
            file if file.contains("alaw") || file.contains("mulaw") => 1e-6,
            file if file.contains("adpcm-ms") || file.contains("s8") => 1e-6,
            _ => 3e-6,
        }
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/audio")
}

fn entries() -> Vec<Entry> {
    serde_json::from_str(&fs::read_to_string(folder().join("index.json")).unwrap()).unwrap()
}

/// The channel of the signal, as `scripts/reference/make_audio.py` computes it, at full scale 1.
fn signal(rate: u32, channel: u32) -> Vec<f32> {
    let frames = rate / 5;
    let step_of = |hz: u32| ((u64::from(hz) << 32) / u64::from(rate)) as u32;
    let (mut phase, mut step) = (0_u32, step_of(180 + 110 * channel));
    let rise = step / frames;
    let (mut slow, slow_step) = (1_u32 << 30, step_of(5 + 2 * channel));
    let fold = |phase: u32| (i64::from(phase >> 15) - 65_536).abs();
    (0..frames)
        .map(|_| {
            let sample = ((fold(phase) - 32_768) * fold(slow)) >> 17;
            phase = phase.wrapping_add(step);
            step += rise;
            slow = slow.wrapping_add(slow_step);
            sample as f32 / 32_768.0
        })
        .collect()
}

/// Every channel of a recording.
fn channels(entry: &Entry) -> Vec<Waveform> {
    let channel = |number| read_channel(&entry.path(), Channel::Number(number));
    let numbers = 1..=entry.channels;
    numbers
        .map(|number| {
            let read = channel(number).unwrap_or_else(|error| panic!("{}: {error}", entry.file));
            read.waveform
        })
        .collect()
}

/// A recording whose file name starts with this.
fn entry(name: &str) -> Entry {
    let mut entries = entries().into_iter();
    entries.find(|entry| entry.file.starts_with(name)).unwrap()
}

#[test]
fn lossless_formats_have_exactly_the_signal() {
    for entry in entries().iter().filter(|entry| entry.exact) {
        for (number, read) in channels(entry).iter().enumerate() {
            assert_eq!(read.sample_rate, entry.rate, "{}", entry.file);
            let expected = signal(entry.rate, number as u32);
            let (len, expected_len) = (read.samples.len(), expected.len());
            assert_eq!(len, expected_len, "{}", entry.file);
            assert!(read.samples == expected, "{}: channel {number}", entry.file);
        }
    }
}

#[test]
fn lossy_formats_have_the_samples_of_ffmpeg() {
    for entry in entries().iter().filter(|entry| !entry.exact) {
        let read = channels(entry);
        let file = &entry.file;
        // ffmpeg does not drop the padding of an Ogg Vorbis file of a single page.
        let frames = [entry.frames, entry.rate as usize / 5];
        assert!(
            frames.contains(&read[0].samples.len()),
            "{file}: {frames:?}"
        );
        assert_eq!(read[0].sample_rate, entry.rate, "{file}");
        let frames = entry.samples.chunks(entry.channels.into()).enumerate();
        let mut furthest = 0_f32;
        for (index, frame) in frames {
            for (channel, expected) in read.iter().zip(frame) {
                if let Some(sample) = channel.samples.get(index * STRIDE) {
                    furthest = furthest.max((sample - expected).abs());
                }
            }
        }
        let tolerance = entry.tolerance();
        assert!(
            furthest <= tolerance,
            "{file}: {furthest:e}, not {tolerance:e}"
        );
    }
}

/// Lossy formats still have the signal, at the right place: the delay of the encoder is gone.
#[test]
fn the_delay_and_the_padding_of_encoders_are_dropped() {
    let mut checked = BTreeSet::new();
    for entry in entries() {
        // A stream of AAC or MP3 frames without a header of its own has nothing that tells the delay.
        let has_no_delay = ["adts", "mp3-plain", "mp4-fragmented", "wav-mp3"];
        let is_resampled = entry.file.contains("opus") && !entry.file.contains("48000");
        if entry.exact
            || is_resampled
            || has_no_delay.iter().any(|name| entry.file.starts_with(name))
        {
            continue;
        }
        let read = read_channel(&entry.path(), Channel::Number(1))
            .unwrap()
            .waveform;
        let expected = signal(entry.rate, 0);
        // The blocks of ADPCM are filled up, and ffmpeg writes no padding of AAC to Matroska.
        let is_filled = entry.file.contains("adpcm") || entry.file.starts_with("mkv-aac");
        let extra = read.samples.len() - expected.len();
        assert!(
            extra == 0 || is_filled && extra < 2048,
            "{}: {extra} more",
            entry.file
        );
        let energy = |samples: &mut dyn Iterator<Item = f32>| samples.map(|x| x * x).sum::<f32>();
        let mut pairs = expected.iter().zip(&read.samples).map(|(a, b)| a - b);
        let noise = energy(&mut pairs) / energy(&mut expected.iter().copied());
        assert!(noise < 0.2, "{}: {noise}", entry.file);
        checked.insert(entry.file.split('-').next().unwrap().to_string());
    }
    for kind in ["mp3", "ogg", "m4a", "mp4", "mkv", "webm", "wav", "caf"] {
        assert!(checked.contains(kind), "{kind}");
    }
}

#[test]
fn the_duration_is_that_of_the_decoded_samples() {
    for entry in entries() {
        let (info, read) = (probe(&entry.path()).unwrap(), read(&entry.path()).unwrap());
        assert_eq!(info.seconds, read.seconds(), "{}", entry.file);
        assert_eq!(info.channels, entry.channels, "{}", entry.file);
        let is_lossless = entry.exact || entry.file.contains("s8");
        assert!(
            is_lossless || info.bits_per_sample.is_none(),
            "{}",
            entry.file
        );
    }
}

#[test]
fn reading_piece_by_piece_gives_the_same_samples() {
    for entry in entries() {
        let mut file = AudioFile::open(&entry.path(), Channel::Mix).unwrap();
        let mut samples = Vec::new();
        while file.read(&mut samples).unwrap() > 0 {}
        assert!(
            samples == read(&entry.path()).unwrap().samples,
            "{}",
            entry.file
        );
    }
}

#[test]
fn the_name_of_a_file_does_not_matter() {
    let folder = TempDir::new().unwrap();
    for (number, entry) in entries().iter().enumerate() {
        let ending = ["wav", "mp3", "flac", "txt"][number % 4];
        let path = folder.path().join(format!("{number}.{ending}"));
        fs::copy(entry.path(), &path).unwrap();
        assert!(
            read(&path).unwrap() == read(&entry.path()).unwrap(),
            "{}",
            entry.file
        );
    }
}

#[test]
fn any_format_may_have_an_id3_tag_before_it() {
    // A tag of 300 bytes, and an empty one behind it.
    let tags = [
        &b"ID3\x04\0\0\0\0\x02\x2C"[..],
        &[0; 300],
        b"ID3\x03\0\0\0\0\0\0",
    ]
    .concat();
    for name in [
        "flac-16000",
        "wav-alaw",
        "aiff-s16",
        "mp3-cbr",
        "rf64",
        "ogg-vorbis",
        "m4a-alac",
    ] {
        let entry = entry(name);
        let tagged = read_from(Cursor::new([tags.clone(), entry.bytes()].concat()));
        if name != "m4a-alac" {
            assert!(tagged.unwrap() == read(&entry.path()).unwrap(), "{name}");
        }
        // In MP4, positions count from the start of the file, so that no program can read such a file.
    }
    let error = read_from(Cursor::new(&tags)).unwrap_err();
    assert!(matches!(error, AudioError::TruncatedHeader), "{error}");
}

/// The samples of the uncut recording, as far as the cut one has them.
#[test]
fn a_truncated_recording_has_the_samples_before_the_cut() {
    let mut read_cuts = BTreeSet::new();
    for entry in entries() {
        let (bytes, file) = (entry.bytes(), &entry.file);
        let whole = read(&entry.path()).unwrap();
        for part in [3, 5, 7] {
            let cut = &bytes[..bytes.len() * part / 8];
            match read_from(Cursor::new(cut)) {
                Ok(read) => {
                    let (cut, whole) = (&read.samples, &whole.samples);
                    // Without its last page, an Ogg file cannot tell its padding.
                    assert!(cut.len() <= whole.len() + 1024, "{file}, {part}/8");
                    // The last blocks of the codecs overlap, and the last one may be damaged.
                    let sure = cut.len().min(whole.len()).saturating_sub(3 * 1152);
                    let differ = |i: &usize| (cut[*i] - whole[*i]).abs() > 1e-6;
                    assert_eq!((0..sure).find(differ), None, "{file}, {part}/8");
                    read_cuts.insert(file.split('-').next().unwrap().to_string());
                }
                Err(error) => {
                    let message = error.to_string();
                    assert!(!message.contains('\n'), "{file}: {message}");
                    let is_known = [
                        "the file ends",
                        "damaged",
                        "no samples",
                        "unsupported encoding",
                    ];
                    assert!(
                        is_known.iter().any(|start| message.starts_with(start)),
                        "{file}: {message}"
                    );
                }
            }
        }
    }
    for kind in ["flac", "mp3", "wav", "aiff", "adts", "mkv", "webm"] {
        assert!(read_cuts.contains(kind), "{kind}");
    }
}

/// The same generator on every machine.
fn random(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Bytes are changed, removed and zeroed: a recording with a gap is read or rejected in one line.
#[test]
fn a_damaged_recording_is_read_or_rejected_in_one_line() {
    let rounds = std::env::var("EMOVOX_DAMAGE").map_or(6, |rounds| rounds.parse().unwrap());
    let mut state = 1;
    for entry in entries() {
        let bytes = entry.bytes();
        for _ in 0..rounds {
            let mut damaged = bytes.clone();
            let at = random(&mut state) as usize % damaged.len();
            let length = (random(&mut state) as usize % 200).min(damaged.len() - at);
            match random(&mut state) % 4 {
                0 => damaged[at] ^= 1 << (random(&mut state) % 8),
                1 => damaged[at..at + length].fill(0),
                2 => drop(damaged.drain(at..at + length)),
                _ => damaged[at..at + length.min(4)].fill(0xFF),
            }
            match read_from(Cursor::new(&damaged)) {
                Ok(read) => {
                    assert!(read.samples.iter().all(|sample| sample.is_finite()));
                    assert!(read.samples.len() <= 1 << 26, "{}", entry.file);
                }
                Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
            }
        }
    }
}

#[test]
fn a_big_endian_wav_has_the_samples_of_a_little_endian_one() {
    let expected = signal(16_000, 0);
    let be = |number: u32| number.to_be_bytes();
    type Encode = fn(f32) -> Vec<u8>;
    let encodings: [(u16, u16, Encode); 4] = [
        (1, 16, |x| ((x * 32_768.0) as i16).to_be_bytes().to_vec()),
        (1, 24, |x| {
            ((x * 2_147_483_648.0) as i32).to_be_bytes()[..3].to_vec()
        }),
        (3, 32, |x| x.to_be_bytes().to_vec()),
        (3, 64, |x| f64::from(x).to_be_bytes().to_vec()),
    ];
    for (tag, bits, encode) in encodings {
        let width = u32::from(bits / 8);
        let data: Vec<u8> = expected.iter().flat_map(|&sample| encode(sample)).collect();
        let format = [
            &tag.to_be_bytes()[..],
            &1_u16.to_be_bytes(),
            &be(16_000),
            &be(16_000 * width),
            &(width as u16).to_be_bytes(),
            &bits.to_be_bytes(),
        ]
        .concat();
        let content = [
            &b"WAVEfmt "[..],
            &be(16),
            &format,
            b"data",
            &be(data.len() as u32),
            &data,
        ]
        .concat();
        let file = [&b"RIFX"[..], &be(content.len() as u32), &content].concat();
        let read = read_from(Cursor::new(&file)).unwrap();
        assert!(read.samples == expected, "{tag}, {bits} bits");
        // Cut off inside the sound.
        let read = read_from(Cursor::new(&file[..file.len() / 2])).unwrap();
        assert!(
            read.samples == expected[..read.samples.len()],
            "{tag}, {bits} bits"
        );
    }
}

#[test]
fn a_pointer_to_a_recording_is_named_with_its_command() {
    let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let annex = "/annex/objects/SHA256E-s12345--4d7a.wav\n";
    for (text, system, command) in [
        (lfs, "Git LFS", "git lfs pull"),
        (annex, "git-annex", "git annex get"),
    ] {
        let error = read_from(Cursor::new(text)).unwrap_err().to_string();
        assert!(error.contains(system) && error.contains(command), "{error}");
    }
    let error = read_from(Cursor::new("version 2 of the file")).unwrap_err();
    assert!(matches!(error, AudioError::Unrecognised), "{error}");
}

#[test]
fn sound_without_speech_is_recognised() {
    let noise = |level: f32| -> Vec<f32> {
        let mut state = 7;
        let mut sample = || random(&mut state) as f32 / (1_u64 << 30) as f32 - 1.0;
        (0..32_000).map(|_| level * sample()).collect()
    };
    let waveform = |samples| Waveform {
        samples,
        sample_rate: 16_000,
    };
    let silent = [
        vec![0.0; 32_000],
        vec![0.5; 32_000],
        noise(1e-4),
        noise(2e-3),
        vec![0.1; 3],
    ];
    for samples in silent {
        assert!(!waveform(samples).has_speech());
    }
    let mut quiet = noise(1e-4);
    for (sample, voice) in quiet[9000..].iter_mut().zip(signal(16_000, 0)) {
        *sample += 0.02 * voice;
    }
    assert!(waveform(quiet).has_speech());
    assert!(waveform(signal(16_000, 0)).has_speech());
}

#[test]
fn recordings_whose_channels_cancel_are_noticed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("call.wav");
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let write = |right: fn(f32) -> f32| {
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        for sample in signal(16_000, 0) {
            for sample in [sample, right(sample)] {
                writer.write_sample((sample * 32_767.0) as i16).unwrap();
            }
        }
        writer.finalize().unwrap();
    };
    let with = |channel: &str| {
        let config = AudioConfig {
            sample_rate: SampleRate::Native,
            channel: channel.parse().unwrap(),
            ..AudioConfig::default()
        };
        load_checked(&path, &config).unwrap()
    };
    write(|left| -left);
    let mixed = with("mix");
    assert!(mixed.is_cancelled && !mixed.has_speech);
    let error = mixed.check_speech().unwrap_err().to_string();
    assert!(
        error.contains("opposite phases") && error.contains("channel"),
        "{error}"
    );
    assert!(with("left").check_speech().is_ok());
    assert!(with("right").check_speech().is_ok());
    write(|left| left);
    assert!(with("mix").check_speech().is_ok());
    write(|_| 0.0);
    assert!(with("mix").check_speech().is_ok());
    let error = with("right").check_speech().unwrap_err().to_string();
    assert!(error.starts_with("no speech: it is silent"), "{error}");
}

#[test]
fn a_header_cannot_request_memory_that_the_file_does_not_need() {
    let mut bytes = entry("caf-s16-16000").bytes();
    let desc = bytes.windows(4).position(|name| name == b"desc").unwrap();
    // Behind the chunk header: rate, format, flags, bytes of a packet, frames of a packet.
    let frames = desc + 12 + 8 + 4 + 4 + 4;
    assert_eq!(bytes[frames..frames + 4], [0, 0, 0, 1]);
    bytes[frames..frames + 4].copy_from_slice(&[0x7F, 0xFF, 0xFF, 0xFF]);
    let error = read_from(Cursor::new(&bytes)).unwrap_err();
    assert!(matches!(error, AudioError::Damaged { .. }), "{error}");
}
