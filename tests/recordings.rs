//! All kinds of recordings, and their outcome: read, or skipped with a message. The test compares with the
//! tables in `docs/audio-input.md`. After an intended change, write the tables again and review them:
//!
//! ```text
//! EMOVOX_BLESS=1 cargo test --test recordings
//! ```
#![cfg(unix)]

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io::Cursor;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::thread;

use emovox::audio::{AudioConfig, AudioError, Waveform, load, probe, read as read_file, read_from};
use hound::{SampleFormat, WavSpec, WavWriter};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tempfile::TempDir;

/// A sound that is exact in every encoding from 8 to 64 bits.
const SOUND: [f32; 8] = [
    0.0,
    0.5,
    -0.5,
    0.25,
    -0.25,
    127.0 / 128.0,
    -1.0,
    -1.0 / 128.0,
];

const RATE: u32 = 16_000;

/// Format tags of the `fmt ` chunk.
const PCM: u16 = 0x0001;
const FLOAT: u16 = 0x0003;
const EXTENSIBLE: u16 = 0xFFFE;

/// Length in the header of a streamed file, whose writer did not know it.
const STREAMED: u32 = u32::MAX;

/// A recording and its expected outcome.
struct Case {
    what: String,
    file: OsString,
    make: Box<dyn Fn(&Path)>,
    expected: Expected,
}

enum Expected {
    Read(Waveform),
    /// Skipped, with a message that contains these words.
    Skipped(&'static str),
}

#[test]
fn every_recording_is_read_or_skipped_as_documented() {
    let groups = [
        ("Encodings", encodings()),
        ("Channels", channels()),
        ("Sample rates", sample_rates()),
        ("Chunks", chunks()),
        ("Lengths", lengths()),
        ("Amplitudes", amplitudes()),
        ("Other formats", other_formats()),
        ("No recordings", not_recordings()),
        ("Names and places", names_and_places()),
    ];
    let mut tables = String::new();
    for (title, cases) in groups {
        tables += &format!("\n### {title}\n\n| recording | outcome |\n|---|---|\n");
        for case in cases {
            let folder = TempDir::new().unwrap();
            let path = folder.path().join(&case.file);
            (case.make)(&path);
            tables += &format!("| {} | {} |\n", case.what, outcome(&path, &case));
        }
    }
    assert_documented(&(tables + "\n"));
}

/// Checks the outcome of a case, and returns it as text for the table.
fn outcome(path: &Path, case: &Case) -> String {
    let what = &case.what;
    match (&case.expected, read_without_privileges(path)) {
        (Expected::Read(expected), Ok(read)) => {
            assert_eq!(read.sample_rate, expected.sample_rate, "{what}");
            assert!(read.samples == expected.samples, "{what}: {read:.20?}");
            assert_eq!(probe(path).unwrap().seconds, read.seconds(), "{what}");
            let loaded = load(path, &AudioConfig::default()).unwrap();
            assert!(loaded.samples.iter().all(|x| x.is_finite()), "{what}");
            let samples = match read.samples.len() {
                1 => "1 sample".to_string(),
                n => format!("{n} samples"),
            };
            format!("read: {samples} at {} Hz", read.sample_rate)
        }
        (Expected::Skipped(words), Err(error)) => {
            let message = error.to_string();
            assert!(message.contains(words), "{what}: {message}");
            assert!(!message.contains(['\n', '|']), "{what}: {message}");
            assert!(!message.contains("os error"), "{what}: {message}");
            format!("skipped: {message}")
        }
        (Expected::Read(_), Err(error)) => panic!("{what}: {error}"),
        (Expected::Skipped(words), Ok(read)) => panic!("{what}: {read:?}, not {words}"),
    }
}

/// Reads a file. If its permissions allow nobody to read it, this takes root's privilege to read every
/// file away, in a thread of its own.
#[allow(unsafe_code)] // calls setfsuid
fn read_without_privileges(path: &Path) -> Result<Waveform, AudioError> {
    let may_be_read = |metadata: fs::Metadata| metadata.permissions().mode() & 0o777 != 0;
    if fs::metadata(path).map_or(true, may_be_read) {
        return read_file(path);
    }
    let read = || {
        // SAFETY: setfsuid changes only the user of this thread, and only for access to files.
        #[cfg(target_os = "linux")]
        unsafe {
            const NOBODY: u32 = 65_534;
            libc::setfsuid(NOBODY);
        }
        read_file(path)
    };
    thread::scope(|scope| scope.spawn(read).join().unwrap())
}

/// Compares `tables` with the page between two markers, or writes them there with EMOVOX_BLESS.
fn assert_documented(tables: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audio-input.md");
    let text = fs::read_to_string(&page).expect("the page");
    let (begin, end) = ("<!-- recordings -->\n", "<!-- end of recordings -->");
    let (before, rest) = text
        .split_once(begin)
        .expect("the marker before the tables");
    let (documented, after) = rest.split_once(end).expect("the marker after the tables");
    if std::env::var_os("EMOVOX_BLESS").is_some() {
        let text = [before, begin, tables, end, after].concat();
        fs::write(&page, text).expect("the page is written");
        return;
    }
    for (documented, happened) in documented.lines().zip(tables.lines()) {
        assert_eq!(
            documented, happened,
            "EMOVOX_BLESS=1 writes the tables again"
        );
    }
    assert_eq!(documented.lines().count(), tables.lines().count());
}

fn encodings() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, tag, bits) in ENCODINGS {
        let plain = format(tag, 1, RATE, bits);
        // WAVEFORMATEX: the length of the extension, which is empty.
        let with_size = [&plain[..], &[0, 0]].concat();
        for (header, format) in [
            ("", plain),
            (", `fmt ` of 18 bytes", with_size),
            (
                ", WAVE_FORMAT_EXTENSIBLE",
                extensible(tag, RATE, bits, bits),
            ),
        ] {
            let data = chunk(b"data", &encoded(&SOUND, tag, bits));
            let bytes = riff(&[chunk(b"fmt ", &format), data]);
            cases.push(read(&format!("{name}{header}"), bytes, &SOUND));
        }
    }

    let wide = chunk(b"data", &encoded(&SOUND, PCM, 32));
    let valid24 = chunk(b"fmt ", &extensible(PCM, RATE, 32, 24));
    let mut format24 = format(PCM, 1, RATE, 32);
    format24[14] = 24;
    let format24 = chunk(b"fmt ", &format24);
    let format12 = chunk(b"fmt ", &format(PCM, 1, RATE, 12));
    let mut no_rate = format(PCM, 1, RATE, 16);
    no_rate[8..14].fill(0);
    let no_rate = chunk(b"fmt ", &no_rate);
    cases.extend([
        read(
            "24 valid bits of 32, WAVE_FORMAT_EXTENSIBLE",
            riff(&[valid24, wide.clone()]),
            &SOUND,
        ),
        read("24-bit integer in 4 bytes", riff(&[format24, wide]), &SOUND),
        read(
            "12-bit integer in 2 bytes",
            riff(&[format12, data16()]),
            &SOUND,
        ),
        read(
            "bytes per second and per frame left 0",
            riff(&[no_rate, data16()]),
            &SOUND,
        ),
    ]);

    for (name, tag, bits, words) in [
        ("16-bit float", FLOAT, 16, "floats of 2 bytes"),
        ("64-bit integer", PCM, 64, "integers of 8 bytes"),
        ("Microsoft ADPCM without its coefficients", 2, 4, ""),
        ("IMA ADPCM without its block length", 0x11, 4, ""),
        ("GSM 6.10", 0x31, 0, "GSM"),
        ("MP3 inside WAV, without a frame", 0x55, 0, ""),
        ("an unknown encoding", 0x4242, 16, "format tag 0x4242"),
    ] {
        let format = chunk(b"fmt ", &format(tag, 1, RATE, bits));
        cases.push(skipped(name, riff(&[format, data16()]), words));
    }
    let mut ambisonic = extensible(PCM, RATE, 16, 16);
    ambisonic[28..].copy_from_slice(b"\x21\x07\xD3\x11\x86\x44\xC8\xC1\xCA\0\0\0");
    let format = chunk(b"fmt ", &ambisonic);
    cases.push(skipped(
        "ambisonics, WAVE_FORMAT_EXTENSIBLE",
        riff(&[format, data16()]),
        "a subformat other than PCM and float",
    ));
    cases
}

fn channels() -> Vec<Case> {
    let mut cases: Vec<Case> = (1..=8)
        .map(|channels: u16| {
            // The sound is in the last channel, silence in the others.
            let mut frames = Vec::new();
            for sample in SOUND {
                frames.extend(vec![0.0; usize::from(channels) - 1]);
                frames.push(sample);
            }
            let format = chunk(b"fmt ", &format(PCM, channels, RATE, 24));
            let bytes = riff(&[format, chunk(b"data", &encoded(&frames, PCM, 24))]);
            let mean = SOUND.map(|sample| sample / f32::from(channels));
            let name = match channels {
                1 => "1 channel".to_string(),
                _ => format!("{channels} channels, 24-bit"),
            };
            read(&name, bytes, &mean)
        })
        .collect();
    let none = chunk(b"fmt ", &format(PCM, 0, RATE, 16));
    let words = "file contains zero channels";
    cases.push(skipped("0 channels", riff(&[none, data16()]), words));
    cases
}

fn sample_rates() -> Vec<Case> {
    let at = |rate| {
        let format = chunk(b"fmt ", &format(PCM, 1, rate, 16));
        riff(&[format, data16()])
    };
    let mut cases: Vec<Case> = [
        4_000, 8_000, 11_025, 16_000, 22_050, 24_414, 32_000, 44_100, 48_000, 88_200, 96_000,
        192_000,
    ]
    .into_iter()
    .map(|rate| Case {
        expected: Expected::Read(Waveform {
            samples: SOUND.to_vec(),
            sample_rate: rate,
        }),
        ..read(&format!("{rate} Hz"), at(rate), &SOUND)
    })
    .collect();
    for rate in [0, 999, 768_001] {
        let words = "is outside 1000 to 768000 Hz";
        cases.push(skipped(&format!("{rate} Hz"), at(rate), words));
    }
    cases
}

fn chunks() -> Vec<Case> {
    let odd = chunk(b"LIST", b"INFOICMT\x03\0\0\0ab\0");
    assert_eq!(odd.len() % 2, 0);
    let unpadded = odd[..odd.len() - 1].to_vec();
    let dirty_pad = [&unpadded[..], b"x"].concat();
    let longer_than_file = with_length(b"JUNK", 0x7FFF_FFFF, &[0; 6]);
    vec![
        read(
            "RAVDESS's `FLLR` before `data`",
            riff(&[format16(), chunk(b"FLLR", &[0; 4044]), data16()]),
            &SOUND,
        ),
        read(
            "`bext` before `fmt `",
            riff(&[chunk(b"bext", &[0; 602]), format16(), data16()]),
            &SOUND,
        ),
        read(
            "`_PMX` and `LIST` after `data`",
            riff(&[
                format16(),
                data16(),
                chunk(b"_PMX", b"<x:xmpmeta/>"),
                odd.clone(),
            ]),
            &SOUND,
        ),
        read(
            "a chunk of odd size before `data`",
            riff(&[format16(), odd, data16()]),
            &SOUND,
        ),
        read(
            "a chunk of odd size without its pad byte",
            riff(&[format16(), unpadded, data16()]),
            &SOUND,
        ),
        read(
            "a chunk of odd size with a pad byte other than 0",
            riff(&[format16(), dirty_pad, data16()]),
            &SOUND,
        ),
        read(
            "a million empty chunks before `data`",
            riff(&[format16(), chunk(b"JUNK", &[]).repeat(1_000_000), data16()]),
            &SOUND,
        ),
        read("`fmt ` after `data`", riff(&[data16(), format16()]), &SOUND),
        read(
            "bytes behind the end of the RIFF",
            [riff(&[format16(), data16()]), b"TAG by someone".to_vec()].concat(),
            &SOUND,
        ),
        skipped(
            "no `fmt `",
            riff(&[data16()]),
            "broken WAV header (no fmt chunk)",
        ),
        skipped(
            "no `data`",
            riff(&[format16(), chunk(b"LIST", b"INFO")]),
            "broken WAV header (no data chunk)",
        ),
        skipped(
            "`fmt ` of 14 bytes",
            riff(&[chunk(b"fmt ", &format(PCM, 1, RATE, 16)[..14]), data16()]),
            "broken WAV header (a fmt chunk of 14 bytes)",
        ),
        skipped(
            "WAVE_FORMAT_EXTENSIBLE without its extension",
            riff(&[chunk(b"fmt ", &format(EXTENSIBLE, 1, RATE, 16)), data16()]),
            "broken WAV header (a fmt chunk of 16 bytes)",
        ),
        skipped(
            "a chunk before `data` that claims 2 GiB",
            riff(&[format16(), longer_than_file, data16()]),
            "broken WAV header (no data chunk)",
        ),
    ]
}

fn lengths() -> Vec<Case> {
    let sound = encoded(&SOUND, PCM, 16);
    let with = |length, whole| {
        let data = with_length(b"data", length, &sound);
        with_riff_length(riff(&[format16(), data]), whole)
    };
    let honest = riff(&[format16(), data16()]);
    let header = honest.len() - sound.len();
    let promised = header as u32 - 8;
    let empty = riff(&[format16(), chunk(b"data", &[])]);
    let empty_with_tag = riff(&[format16(), chunk(b"data", &[]), chunk(b"LIST", b"INFO")]);
    let stereo = chunk(b"fmt ", &format(PCM, 2, RATE, 16));
    let one_more = [&sound[..], &[0]].concat();
    let three_more = [&one_more[..], &[64, 0]].concat();
    let left = SOUND.map(|sample| sample / 2.0);
    let both: Vec<f32> = SOUND.iter().flat_map(|&sample| [sample, 0.0]).collect();
    let mut stereo_sound = encoded(&both, PCM, 16);
    stereo_sound.extend(&three_more[sound.len()..]);

    let mut half_an_hour = Vec::new();
    for i in 0..30 * 60 * 8_000 {
        half_an_hour.push(SOUND[i / 100 % 8]);
    }
    let half_an_hour = Waveform {
        samples: half_an_hour,
        sample_rate: 8_000,
    };
    let slow = chunk(b"fmt ", &format(PCM, 1, 8_000, 16));
    let long = riff(&[
        slow,
        chunk(b"data", &encoded(&half_an_hour.samples, PCM, 16)),
    ]);

    vec![
        read(
            "`data` of unknown length (0xFFFFFFFF), streamed",
            with(STREAMED, STREAMED),
            &SOUND,
        ),
        read(
            "`data` of length 0, RIFF of length 0, streamed",
            with(0, 0),
            &SOUND,
        ),
        read(
            "`data` of length 0, RIFF of length 0xFFFFFFFF, streamed",
            with(0, STREAMED),
            &SOUND,
        ),
        read(
            "`data` of length 0, RIFF as long as the header, never finished",
            with(0, promised),
            &SOUND,
        ),
        read(
            "`data` longer than the file",
            with(1_000_000, 1_000_036),
            &SOUND,
        ),
        read(
            "cut off inside the sound",
            honest[..header + 8].to_vec(),
            &SOUND[..4],
        ),
        read(
            "`data` that ends inside a sample",
            riff(&[format16(), chunk(b"data", &one_more)]),
            &SOUND,
        ),
        read(
            "`data` that ends inside a stereo frame",
            riff(&[stereo, chunk(b"data", &stereo_sound)]),
            &left,
        ),
        read("RIFF shorter than its chunks", with(16, 20), &SOUND),
        read("RIFF longer than the file", with(16, 5_000), &SOUND),
        read("RF64", rf64(b"RF64", sound.len() as u64), &SOUND),
        read("BW64", rf64(b"BW64", sound.len() as u64), &SOUND),
        read("RF64 longer than the file", rf64(b"RF64", 1 << 40), &SOUND),
        read("RF64 of length 0, streamed", rf64(b"RF64", 0), &SOUND),
        read(
            "one sample",
            riff(&[format16(), chunk(b"data", &sound[2..4])]),
            &SOUND[1..2],
        ),
        Case {
            expected: Expected::Read(half_an_hour),
            ..read("30 minutes", long, &[])
        },
        skipped("`data` of length 0", empty, "no samples"),
        skipped(
            "`data` of length 0, chunks behind it",
            empty_with_tag,
            "no samples",
        ),
        skipped(
            "half a sample",
            riff(&[format16(), chunk(b"data", &sound[..1])]),
            "no samples",
        ),
        skipped("an empty file", Vec::new(), "the file is empty"),
        skipped(
            "cut off inside `RIFF`",
            honest[..3].to_vec(),
            "ends inside its header",
        ),
        skipped(
            "cut off inside `fmt `",
            honest[..30].to_vec(),
            "ends inside its header",
        ),
        skipped(
            "cut off before `data`",
            honest[..header - 8].to_vec(),
            "ends inside its header",
        ),
        skipped(
            "RF64, cut off inside `ds64`",
            rf64(b"RF64", 16)[..30].to_vec(),
            "ends inside its header",
        ),
    ]
}

fn amplitudes() -> Vec<Case> {
    let int = |sound: &[f32]| riff(&[format16(), chunk(b"data", &encoded(sound, PCM, 16))]);
    let float = |sound: &[f32]| {
        let format = chunk(b"fmt ", &format(FLOAT, 1, RATE, 32));
        riff(&[format, chunk(b"data", &encoded(sound, FLOAT, 32))])
    };
    let double = |sound: &[f64]| {
        let format = chunk(b"fmt ", &format(FLOAT, 1, RATE, 64));
        let bytes: Vec<u8> = sound.iter().flat_map(|x| x.to_le_bytes()).collect();
        riff(&[format, chunk(b"data", &bytes)])
    };
    let read =
        |what, sound: &[f32], make: &dyn Fn(&[f32]) -> Vec<u8>| read(what, make(sound), sound);
    let clipped = [32_767.0 / 32_768.0, -1.0].repeat(500);
    vec![
        read("silence", &[0.0; 1000], &int),
        read("a constant (DC)", &[0.5; 1000], &int),
        read("clipped", &clipped, &int),
        read("float beyond full scale", &[1.5, -2.0], &float),
        read(
            "float with full scale at 32768",
            &[32_767.0, -32_768.0],
            &float,
        ),
        read(
            "float with full scale at 2³¹",
            &[2_147_483_648.0, -1.0],
            &float,
        ),
        skipped(
            "float, NaN",
            float(&[0.5, f32::NAN]),
            "sample 1 is not a finite",
        ),
        skipped(
            "float, infinite",
            float(&[f32::NEG_INFINITY]),
            "sample 0 is not a finite",
        ),
        skipped("float, absurd", float(&[0.0, 3e38]), "sample 1 is 3.0e38"),
        skipped(
            "64-bit float, NaN",
            double(&[f64::NAN]),
            "sample 0 is not a finite",
        ),
        skipped(
            "64-bit float, absurd",
            double(&[0.0, -1e300]),
            "sample 1 is -1.0e300",
        ),
    ]
}

/// The first recording of each kind in `tests/data/audio`; `tests/formats.rs` checks their samples.
fn other_formats() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/audio");
    let mut files: Vec<OsString> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name != "index.json")
        .collect();
    files.sort();
    // A name is KIND-RATE-CHANNELS.ENDING.
    let kind = |name: &mut OsString| {
        let name = name.to_string_lossy().into_owned();
        name.rsplitn(3, '-').last().map(str::to_string)
    };
    files.dedup_by_key(kind);
    let case = |name: OsString| {
        let path = folder.join(&name);
        let bytes = fs::read(&path).unwrap();
        Case {
            expected: Expected::Read(read_file(&path).unwrap()),
            ..read(&format!("`{}`", name.to_string_lossy()), bytes, &SOUND)
        }
    };
    files.into_iter().map(case).collect()
}

fn not_recordings() -> Vec<Case> {
    let unknown = "or any other known audio format";
    let formats: [(&str, &[u8], &str); 19] = [
        ("WMA", b"\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9", "WMA"),
        ("AMR", b"#!AMR\n\x3C\x91\x17", "AMR"),
        ("AU", b".snd\0\0\0\x18\xFF\xFF\xFF\xFF", "AU"),
        ("Wave64", b"riff\x2E\x91\xCF\x11\xA5\xD6\x28\xDB", "Wave64"),
        (
            "NIST SPHERE",
            b"NIST_1A\n   1024\nchannel_count -i 1",
            "SPHERE",
        ),
        ("AVI", b"RIFF\x10\0\0\0AVI LIST", "another RIFF format"),
        ("WavPack", b"wvpk\0\0\0\0\x10\x04", "WavPack"),
        (
            "the start of an AIFF file",
            b"FORM\0\0\0\x2EAIFFCOMM\0\0\0\x12",
            "",
        ),
        (
            "the start of a FLAC file",
            b"fLaC\0\0\0\x22\x10\0\x10\0",
            "",
        ),
        (
            "the start of an Ogg file",
            b"OggS\0\x02\0\0\0\0\0\0\0\0",
            "",
        ),
        ("the start of an MP3 file", b"\xFF\xFB\x90\x64\0\0\0\0", ""),
        ("an ID3 tag alone", b"ID3\x04\0\0\0\0\0\x23TSSE", ""),
        (
            "the start of an M4A file",
            b"\0\0\0\x20ftypM4A \0\0\0\0",
            "",
        ),
        (
            "a Git LFS pointer",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n",
            "git lfs pull",
        ),
        (
            "a git-annex pointer",
            b"/annex/objects/SHA256E-s12--4d7a.wav\n",
            "git annex get",
        ),
        ("a web page", b"<!DOCTYPE html><html>", unknown),
        ("text", b"version 2 of my notes", unknown),
        ("zeros", &[0; 4096], unknown),
        ("one byte", b"x", unknown),
    ];
    formats
        .map(|(name, bytes, words)| skipped(name, bytes.to_vec(), words))
        .into()
}

fn names_and_places() -> Vec<Case> {
    let plain = || riff(&[format16(), data16()]);
    let named = |what, name: &[u8]| Case {
        file: OsStr::from_bytes(name).to_owned(),
        ..read(what, plain(), &SOUND)
    };
    let placed = |what, make: fn(&Path), words| Case {
        make: Box::new(make),
        ..skipped(what, Vec::new(), words)
    };
    vec![
        named("a name with spaces", b" a sound .wav"),
        named("a name with quotes", b"it's \"so\" `loud`.wav"),
        named("a name with a line break", b"two\nlines.wav"),
        named("a name that is not UTF-8", b"caf\xE9.wav"),
        named("a name without `.wav`", b"sound"),
        Case {
            make: Box::new(move |path| {
                let target = path.with_extension("target");
                fs::write(&target, plain()).unwrap();
                symlink(&target, path).unwrap();
            }),
            ..read("a symbolic link to a recording", Vec::new(), &SOUND)
        },
        placed("no file", |_| (), "no such file"),
        placed(
            "a symbolic link to no file",
            |path| symlink("nowhere", path).unwrap(),
            "no such file",
        ),
        placed(
            "a symbolic link to itself",
            |path| symlink(path, path).unwrap(),
            "points to itself",
        ),
        placed("a folder", |path| fs::create_dir(path).unwrap(), "a folder"),
        placed(
            "a device",
            |path| symlink("/dev/null", path).unwrap(),
            "not a file but",
        ),
        Case {
            make: Box::new(move |path| {
                fs::write(path, plain()).unwrap();
                fs::set_permissions(path, Permissions::from_mode(0o000)).unwrap();
                // Another user can reach the file, but not read it.
                let folder = path.parent().unwrap();
                fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
            }),
            ..skipped(
                "without the permission to read it",
                Vec::new(),
                "permission denied",
            )
        },
    ]
}

/// A file with these bytes, which is read as these samples at 16 kHz.
fn read(what: &str, bytes: Vec<u8>, samples: &[f32]) -> Case {
    let expected = Expected::Read(Waveform {
        samples: samples.to_vec(),
        sample_rate: RATE,
    });
    Case {
        expected,
        ..skipped(what, bytes, "")
    }
}

/// A file with these bytes, which is skipped with these words in the message.
fn skipped(what: &str, bytes: Vec<u8>, words: &'static str) -> Case {
    Case {
        what: what.to_string(),
        file: "sound.wav".into(),
        make: Box::new(move |path| fs::write(path, &bytes).unwrap()),
        expected: Expected::Skipped(words),
    }
}

/// Name, format tag and bits of each supported encoding.
const ENCODINGS: [(&str, u16, u16); 6] = [
    ("8-bit integer", PCM, 8),
    ("16-bit integer", PCM, 16),
    ("24-bit integer", PCM, 24),
    ("32-bit integer", PCM, 32),
    ("32-bit float", FLOAT, 32),
    ("64-bit float", FLOAT, 64),
];

/// Samples as bytes in a file.
fn encoded(samples: &[f32], tag: u16, bits: u16) -> Vec<u8> {
    let bytes = |&sample: &f32| -> Vec<u8> {
        let full_scale = |bits: u16| (f64::from(sample) * f64::from(bits - 1).exp2()) as i32;
        match (tag, bits) {
            (PCM, 8) => vec![(full_scale(8) + 128) as u8],
            (PCM, _) => full_scale(bits).to_le_bytes()[..usize::from(bits / 8)].to_vec(),
            (_, 32) => sample.to_le_bytes().to_vec(),
            (_, _) => f64::from(sample).to_le_bytes().to_vec(),
        }
    };
    samples.iter().flat_map(bytes).collect()
}

/// The content of a `fmt ` chunk of 16 bytes.
fn format(tag: u16, channels: u16, rate: u32, bits: u16) -> Vec<u8> {
    let frame = channels * bits.div_ceil(8);
    let mut content = Vec::new();
    content.extend(tag.to_le_bytes());
    content.extend(channels.to_le_bytes());
    content.extend(rate.to_le_bytes());
    content.extend((rate * u32::from(frame)).to_le_bytes());
    content.extend(frame.to_le_bytes());
    content.extend(bits.to_le_bytes());
    content
}

/// The content of a `fmt ` chunk with WAVEFORMATEXTENSIBLE, mono.
fn extensible(tag: u16, rate: u32, bits: u16, valid_bits: u16) -> Vec<u8> {
    let mut content = format(EXTENSIBLE, 1, rate, bits);
    content.extend(22_u16.to_le_bytes());
    content.extend(valid_bits.to_le_bytes());
    // Channel mask: front centre.
    content.extend(4_u32.to_le_bytes());
    content.extend(tag.to_le_bytes());
    content.extend(b"\0\0\0\0\x10\0\x80\0\0\xAA\0\x38\x9B\x71");
    content
}

/// 16-bit mono at 16 kHz.
fn format16() -> Vec<u8> {
    chunk(b"fmt ", &format(PCM, 1, RATE, 16))
}

/// The `data` chunk for [`format16`].
fn data16() -> Vec<u8> {
    chunk(b"data", &encoded(&SOUND, PCM, 16))
}

/// A valid chunk, with a pad byte after content of odd length.
fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut chunk = with_length(name, content.len() as u32, content);
    if content.len() % 2 == 1 {
        chunk.push(0);
    }
    chunk
}

/// A chunk with a wrong length in its header.
fn with_length(name: &[u8; 4], length: u32, content: &[u8]) -> Vec<u8> {
    [name, &length.to_le_bytes()[..], content].concat()
}

fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    chunk(b"RIFF", &[b"WAVE".to_vec(), chunks.concat()].concat())
}

fn with_riff_length(mut bytes: Vec<u8>, length: u32) -> Vec<u8> {
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    bytes
}

/// RF64 or BW64, which have their 64-bit lengths in the chunk `ds64`.
fn rf64(name: &[u8; 4], sound_length: u64) -> Vec<u8> {
    let mut lengths = Vec::new();
    let whole = if sound_length == 0 {
        0
    } else {
        sound_length + 72
    };
    for length in [whole, sound_length, sound_length / 2] {
        lengths.extend(length.to_le_bytes());
    }
    lengths.extend([0; 4]);
    let data = with_length(b"data", STREAMED, &encoded(&SOUND, PCM, 16));
    let mut bytes = riff(&[chunk(b"ds64", &lengths), format16(), data]);
    bytes[..4].copy_from_slice(name);
    with_riff_length(bytes, STREAMED)
}

/// Valid chunks that emovox does not use.
fn junk() -> impl Strategy<Value = Vec<u8>> {
    let one = ("[A-Z_]{3}[a-z0-9 ]", vec(any::<u8>(), 0..40)).prop_map(|(name, content)| {
        let name = name.as_bytes().try_into().expect("four letters");
        chunk(name, &content)
    });
    vec(one, 0..6).prop_map(|chunks| chunks.concat())
}

/// A chunk of odd length, with the pad bytes that writers produce.
fn odd_chunk() -> impl Strategy<Value = Vec<u8>> {
    let pads = select(vec![vec![], vec![0], vec![b' '], vec![0xFF], vec![b'd']]);
    (vec(any::<[u8; 2]>(), 0..20), pads).prop_map(|(content, pad)| {
        let content = [&content.concat()[..], b"!"].concat();
        [with_length(b"odd ", content.len() as u32, &content), pad].concat()
    })
}

/// A valid file in one of the supported encodings.
fn whole_file() -> impl Strategy<Value = Vec<u8>> {
    (select(&ENCODINGS), 1_u16..4, junk(), junk()).prop_map(
        |((_, tag, bits), channels, before, after)| {
            let format = chunk(b"fmt ", &format(tag, channels, RATE, bits));
            let sound = SOUND.repeat(usize::from(channels));
            let data = chunk(b"data", &encoded(&sound, tag, bits));
            riff(&[format, before, data, after])
        },
    )
}

/// One damage of a file.
#[derive(Debug, Clone)]
enum Damage {
    Flip { at: usize, bits: u8 },
    Overwrite { at: usize, number: u32 },
    Truncate { at: usize },
}

fn damage() -> impl Strategy<Value = Damage> {
    // Most positions are in the header.
    let at = || prop_oneof![3 => 0..120_usize, 1 => 0..2_000_usize];
    let numbers = vec![
        0,
        1,
        2,
        0xFFFE,
        0x7FFF_FFFF,
        0x8000_0000,
        0xFFFF_FFFE,
        0xFFFF_FFFF,
    ];
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, bits)| Damage::Flip { at, bits }),
        (at(), select(numbers)).prop_map(|(at, number)| Damage::Overwrite { at, number }),
        at().prop_map(|at| Damage::Truncate { at }),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        match *damage {
            Damage::Flip { at, bits } if at < bytes.len() => bytes[at] ^= bits,
            Damage::Overwrite { at, number } if at + 4 <= bytes.len() => {
                bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
            }
            Damage::Truncate { at } => bytes.truncate(at),
            _ => {}
        }
    }
    bytes
}

/// Asserts that any bytes give an error, or at most as many samples as bytes, all within bounds.
fn assert_harmless(bytes: &[u8]) {
    match read_from(Cursor::new(bytes)) {
        Ok(waveform) => {
            assert!(!waveform.samples.is_empty());
            assert!(waveform.samples.len() <= bytes.len());
            assert!(waveform.samples.capacity() <= bytes.len());
            assert!(waveform.samples.iter().all(|x| x.abs() <= 1e12));
        }
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
}

/// The bytes of a file that hound writes.
fn written_by_hound(channels: u16, bits: u16, samples: &[i32]) -> Vec<u8> {
    let spec = WavSpec {
        channels,
        sample_rate: RATE,
        bits_per_sample: bits,
        sample_format: SampleFormat::Int,
    };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
    for &sample in samples {
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn other_chunks_change_nothing(
        places in [junk(), junk(), junk()],
        odd in [odd_chunk(), odd_chunk()],
        sound in vec(any::<i16>(), 1..50),
    ) {
        let [first, middle, last] = places;
        let [before_format, before_data] = odd;
        let data = chunk(b"data", &sound.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>());
        let bytes = riff(&[first, before_format, format16(), middle, before_data, data, last]);
        let expected: Vec<f32> = sound.iter().map(|&x| f32::from(x) / 32_768.0).collect();
        prop_assert_eq!(read_from(Cursor::new(bytes)).unwrap().samples, expected);
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..500)) {
        assert_harmless(&bytes);
        assert_harmless(&[b"RIFF\0\0\0\0WAVE", &bytes[..]].concat());
        assert_harmless(&[&riff(&[format16()])[..], b"data", &bytes].concat());
    }

    #[test]
    fn damaged_files_do_no_harm(file in whole_file(), damages in vec(damage(), 1..6)) {
        assert_harmless(&damaged(file, &damages));
        assert_harmless(&damaged(rf64(b"RF64", 16), &damages));
    }

    #[test]
    fn integers_survive_at_every_depth(
        bits in select(vec![8_u16, 16, 24, 32]),
        sound in vec(any::<i32>(), 1..200),
    ) {
        let sound: Vec<i32> = sound.iter().map(|x| x >> (32 - bits)).collect();
        let read = read_from(Cursor::new(written_by_hound(1, bits, &sound))).unwrap();
        let full_scale = f64::from(bits - 1).exp2();
        let expected: Vec<f32> = sound.iter().map(|&x| (f64::from(x) / full_scale) as f32).collect();
        prop_assert_eq!(read.samples, expected);
    }

    #[test]
    fn channels_are_averaged_at_every_depth(
        bits in select(vec![8_u16, 16, 24, 32]),
        channels in 1_u16..=8,
        sound in vec(any::<[i32; 8]>(), 1..50),
    ) {
        let frames: Vec<Vec<i32>> = sound
            .iter()
            .map(|frame| frame[..channels.into()].iter().map(|x| x >> (32 - bits)).collect())
            .collect();
        let bytes = written_by_hound(channels, bits, &frames.concat());
        let read = read_from(Cursor::new(bytes)).unwrap().samples;
        prop_assert_eq!(read.len(), frames.len());
        for (read, frame) in read.into_iter().zip(frames) {
            let sum: f64 = frame.into_iter().map(f64::from).sum();
            let mean = sum / f64::from(channels) / f64::from(bits - 1).exp2();
            prop_assert!((f64::from(read) - mean).abs() < 1e-6);
        }
    }
}
