//! Segments of long recordings: a manifest with start and end gives the same clips as separate files.

mod env;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use emovox::audio::{
    AudioConfig, Channel, Excerpt, Segment, load_checked, load_excerpt, read_channel, read_excerpt,
};
use emovox::corpus::manifest::Manifest;
use emovox::dataset::extract;
use emovox::features::FeatureConfig;
use emovox::inspection::CorpusStats;
use env::process::{spawn, wait_for_epochs, wait_for_exit};
use env::{TestEnv, metrics_without_seconds};

const SMALL: &str = "--config small.toml --device cpu";
const EMOTIONS: [&str; 3] = ["anger", "neutral", "sadness"];
/// Silence between two clips of a long recording, in samples.
const GAP: usize = 1234;

fn segment(start: f64, end: Option<f64>) -> Segment {
    let end = end.map(Duration::from_secs_f64);
    Segment::new(Duration::from_secs_f64(start), end).unwrap()
}

fn excerpt(path: &Path, start: f64, end: Option<f64>) -> Excerpt {
    Excerpt {
        path: path.into(),
        segment: Some(segment(start, end)),
    }
}

/// Files of all formats with 0.2 s of a signal, and one minute of it in FLAC's own blocks.
fn recordings() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/audio");
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|e| e != "json"))
        .collect();
    paths.sort();
    paths
}

#[test]
fn a_segment_has_exactly_the_samples_of_the_whole_recording() {
    let mut formats = std::collections::BTreeSet::new();
    let mut checked = 0;
    for path in recordings() {
        let Ok(whole) = read_channel(&path, Channel::Mix) else {
            continue;
        };
        let (samples, rate) = (&whole.waveform.samples, whole.waveform.sample_rate);
        let seconds = whole.waveform.seconds();
        // Within the first packet, over packets, at the end, beyond the end.
        for (start, end) in [
            (0.0, Some(0.01)),
            (0.0123, Some(0.0571)),
            (0.1, Some(0.15)),
            (0.15, None),
            (0.15, Some(9.0)),
            (seconds - 0.003, None),
        ] {
            let cut = read_excerpt(&excerpt(&path, start, end), Channel::Mix)
                .unwrap_or_else(|error| panic!("{} from {start}: {error}", path.display()));
            let index = |time: f64| (time * f64::from(rate)).round() as usize;
            let last = end.map_or(samples.len(), |end| index(end).min(samples.len()));
            let expected = &samples[index(start)..last];
            assert_eq!(cut.waveform.sample_rate, rate);
            let place = format!("{} from {start} to {end:?}", path.display());
            assert_eq!(cut.waveform.samples.len(), expected.len(), "{place}");
            assert!(cut.waveform.samples == expected, "{place}");
            checked += 1;
        }
        formats.insert(path.extension().unwrap().to_string_lossy().into_owned());
    }
    for format in ["wav", "flac", "mp3", "ogg", "opus", "m4a"] {
        assert!(formats.contains(format), "{format} is not in {formats:?}");
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn a_segment_behind_the_end_is_an_error_with_both_times() {
    for path in recordings() {
        let Ok(whole) = read_channel(&path, Channel::Mix) else {
            continue;
        };
        let behind = excerpt(&path, whole.waveform.seconds() + 0.001, None);
        let error = read_excerpt(&behind, Channel::Mix).unwrap_err().to_string();
        assert!(
            error.contains("starts behind the end"),
            "{}: {error}",
            path.display()
        );
    }
}

/// One minute with another tone in each second: n · 100 Hz + 200 Hz in second n.
fn tones(rate: u32) -> Vec<f32> {
    let sample = |n: u32| {
        let second = f64::from(n / rate);
        let phase = f64::from(n % rate) / f64::from(rate) * (200.0 + 100.0 * second);
        (0.5 * (std::f64::consts::TAU * phase).sin()) as f32
    };
    (0..60 * rate).map(sample).collect()
}

/// The frequency of a tone by its rising zero crossings.
fn frequency(samples: &[f32], rate: u32) -> f64 {
    let rises = samples.windows(2).filter(|w| w[0] < 0.0 && w[1] >= 0.0);
    rises.count() as f64 * f64::from(rate) / samples.len() as f64
}

#[test]
fn each_segment_of_a_long_recording_has_the_tone_of_its_second() {
    let env = TestEnv::new();
    env.wav("tones.wav", 16_000, 2, &tones(16_000));
    for second in 0..60 {
        let start = f64::from(second);
        let part = excerpt(&env.path("tones.wav"), start, Some(start + 1.0));
        let read = read_excerpt(&part, Channel::Number(2)).unwrap().waveform;
        assert_eq!(read.samples.len(), 16_000);
        let expected = 200.0 + 100.0 * start;
        let found = frequency(&read.samples, 16_000);
        assert!(
            (found - expected).abs() < 5.0,
            "second {second}: {found} Hz"
        );
    }
}

/// A CRC with a polynomial of `bits` bits, most significant bit first.
fn crc(bytes: &[u8], bits: u32, polynomial: u32) -> u32 {
    let (top, mask) = (1 << (bits - 1), ((1_u64 << bits) - 1) as u32);
    bytes.iter().fold(0, |crc, &byte| {
        let mut crc = crc ^ u32::from(byte) << (bits - 8);
        for _ in 0..8 {
            crc = (crc << 1 ^ if crc & top == 0 { 0 } else { polynomial }) & mask;
        }
        crc
    })
}

/// A FLAC file (RFC 9639) of 16-bit samples at 16 kHz, in blocks of 4096 uncoded samples.
fn flac(samples: &[i16]) -> Vec<u8> {
    const BLOCK: usize = 4096;
    let mut file = b"fLaC\x80\0\0\x22".to_vec();
    let block = (BLOCK as u16).to_be_bytes();
    file.extend([block, block].concat());
    file.extend([0; 6]);
    // 20 bits of sample rate, 3 of channels - 1, 5 of bits - 1, 36 of the number of samples.
    file.extend((16_000_u64 << 44 | 15 << 36 | samples.len() as u64).to_be_bytes());
    file.extend([0; 16]);
    for (number, block) in samples.chunks(BLOCK).enumerate() {
        // The size of the block in 16 bits, 16 kHz, one channel, 16 bits.
        let mut frame = vec![0xFF, 0xF8, 0x75, 0x08];
        let number = char::from_u32(number as u32).unwrap();
        frame.extend(number.encode_utf8(&mut [0; 4]).as_bytes());
        frame.extend((block.len() as u16 - 1).to_be_bytes());
        frame.push(crc(&frame, 8, 0x07) as u8);
        frame.push(0x02);
        frame.extend(block.iter().flat_map(|sample| sample.to_be_bytes()));
        frame.extend((crc(&frame, 16, 0x8005) as u16).to_be_bytes());
        file.extend(frame);
    }
    file
}

#[test]
fn a_long_flac_file_is_read_from_the_block_of_the_segment() {
    let env = TestEnv::new();
    let samples: Vec<i16> = tones(16_000)
        .iter()
        .map(|s| (s * 32_767.0) as i16)
        .collect();
    let path = env.path("long.flac");
    let bytes = flac(&samples);
    fs::write(&path, &bytes).unwrap();
    let expected: Vec<f32> = samples.iter().map(|&s| f32::from(s) / 32_768.0).collect();
    let whole = read_channel(&path, Channel::Mix).unwrap().waveform;
    assert!(whole.samples == expected);
    let mut place: u64 = 1;
    for _ in 0..50 {
        place = place
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let start = (place >> 33) as usize % (samples.len() - 16_000);
        let end = start + 1 + (place >> 20) as usize % 15_000;
        let part = excerpt(&path, start as f64 / 16_000.0, Some(end as f64 / 16_000.0));
        let read = read_excerpt(&part, Channel::Mix).unwrap().waveform;
        assert!(read.samples == expected[start..end], "{start}..{end}");
    }
    // The damaged half before the segment is not decoded.
    let mut damaged = bytes;
    let half = damaged.len() / 2;
    damaged[1000..half].fill(0x55);
    fs::write(&path, &damaged).unwrap();
    let part = excerpt(&path, 50.0, Some(51.0));
    let read = read_excerpt(&part, Channel::Mix).unwrap().waveform;
    assert!(read.samples == expected[50 * 16_000..51 * 16_000]);
}

#[test]
fn a_segment_is_processed_like_a_file_of_its_samples() {
    let env = TestEnv::new();
    let mut samples = tones(22_050);
    // Silence around the segment, and inside of its ends, which is trimmed.
    samples[9 * 22_050..10 * 22_050 + 5000].fill(0.0);
    samples[12 * 22_050 - 3000..13 * 22_050].fill(0.0);
    env.wav("long.wav", 22_050, 1, &samples);
    env.wav("short.wav", 22_050, 1, &samples[10 * 22_050..12 * 22_050]);
    let config = AudioConfig {
        trim_db: Some(40.0),
        ..AudioConfig::default()
    };
    let part = excerpt(&env.path("long.wav"), 10.0, Some(12.0));
    let whole = load_checked(&env.path("short.wav"), &config).unwrap();
    assert_eq!(load_excerpt(&part, &config).unwrap(), whole);
    assert!(whole.waveform.seconds() < 1.8, "the silence is trimmed");
    let features = |recording: Excerpt| {
        let features = extract(&[recording], &config, &FeatureConfig::default(), || {});
        features.unwrap().features[0].1.read().unwrap().into_owned()
    };
    assert_eq!(features(part), features(env.path("short.wav").into()));
}

/// The samples of a WAV file with 16 bits.
fn samples_of(path: &Path) -> Vec<f32> {
    let mut reader = hound::WavReader::open(path).unwrap();
    // `TestEnv::wav` drops fractions, so half a step more keeps every sample.
    let sample = |s: i16| (f32::from(s) + 0.5 * f32::from(s.signum())) / 32_767.0;
    reader
        .samples::<i16>()
        .map(|s| sample(s.unwrap()))
        .collect()
}

/// The corpus of separate files, a long recording `calls/vNN.wav` of each voice, and two manifests of the
/// same clips in the same order: `files.csv` and `segments.csv`.
fn calls() -> TestEnv {
    let env = TestEnv::with_corpus();
    let mut whole = String::from("file,label,speaker\n");
    let mut parts = String::from("file,start,end,label,speaker\n");
    for voice in 1..=5 {
        let mut call: Vec<f32> = Vec::new();
        for emotion in EMOTIONS {
            for sentence in 1..=2 {
                let file = format!("corpus/{emotion}/v{voice:02}/{sentence}.wav");
                let samples = samples_of(&env.path(&file));
                call.resize(call.len() + GAP, 0.0);
                let start = call.len();
                call.extend(&samples);
                let time = |sample: usize| sample as f64 / 16_000.0;
                whole += &format!("{file},{emotion},v{voice:02}\n");
                parts += &format!(
                    "calls/v{voice:02}.wav,{},{},{emotion},v{voice:02}\n",
                    time(start),
                    time(call.len()),
                );
            }
        }
        call.resize(call.len() + 16_000, 0.0);
        env.wav(&format!("calls/v{voice:02}.wav"), 16_000, 1, &call);
    }
    fs::write(env.path("files.csv"), whole).unwrap();
    fs::write(env.path("segments.csv"), parts).unwrap();
    env
}

/// The table of a run without the columns that identify the recordings.
fn without_files(env: &TestEnv, file: &str) -> Vec<Vec<String>> {
    let mut table = csv::Reader::from_path(env.path(&format!("runs/{file}"))).unwrap();
    let names: Vec<String> = table.headers().unwrap().iter().map(String::from).collect();
    let is_kept = |name: &String| !["clip", "content", "start", "end"].contains(&name.as_str());
    let kept: Vec<usize> = (0..names.len()).filter(|&i| is_kept(&names[i])).collect();
    let rows = table.records().map(Result::unwrap);
    rows.map(|row| kept.iter().map(|&i| row[i].to_string()).collect())
        .collect()
}

#[test]
fn a_training_on_segments_gives_the_bytes_of_a_training_on_separate_files() {
    let env = calls();
    for name in ["files", "segments"] {
        env.run(&format!("train {SMALL} --manifest {name}.csv --run {name}"))
            .success();
    }
    for file in ["split.csv", "predictions.csv"] {
        let [whole, parts] =
            ["files", "segments"].map(|run| without_files(&env, &format!("{run}/{file}")));
        assert_eq!(whole, parts, "{file}");
    }
    let read = |run: &str, file: &str| fs::read(env.path(&format!("runs/{run}/{file}"))).unwrap();
    assert!(read("files", "best.ot") == read("segments", "best.ot"));
    let metrics = |run: &str| metrics_without_seconds(&env.path(&format!("runs/{run}")));
    assert_eq!(metrics("files"), metrics("segments"));
    // Only the run with segments has the columns for them.
    let header = |run: &str, file: &str| {
        let text = String::from_utf8(read(run, file)).unwrap();
        text.lines().next().unwrap().to_string()
    };
    assert_eq!(
        header("files", "split.csv"),
        "clip,speaker,label,corpus_label,part,content"
    );
    assert_eq!(
        header("segments", "split.csv"),
        "clip,speaker,label,corpus_label,part,content,start,end"
    );
    assert!(header("segments", "predictions.csv").ends_with(",sadness,start,end"));

    // The results of an evaluation are those of the training, and all clips can be scored.
    let evaluated = env.run("evaluate segments --device cpu").success();
    let scored = env.run("evaluate files --device cpu").success();
    let scores = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.contains('%'));
        lines.map(String::from).collect()
    };
    assert!(!scores(&scored.out).is_empty());
    assert_eq!(scores(&evaluated.out), scores(&scored.out));
    let other = env
        .run("evaluate files --manifest segments.csv --device cpu")
        .success();
    assert!(other.out.contains("30 clips"), "{}", other.out);
}

#[test]
fn a_killed_training_on_segments_continues_to_the_same_bytes() {
    // A GPU saves at most once a second, and whether its bytes repeat has not been measured.
    let env = calls().on_cpu();
    let train = format!("train {SMALL} --manifest segments.csv --epochs 20 --run");
    env.run(&format!("{train} whole")).success();
    let mut child = spawn(env.command(&format!("{train} killed")));
    wait_for_epochs(&mut child, &env.path("runs/killed"), 2);
    child.kill().unwrap();
    wait_for_exit(&mut child);
    // The manifest is not needed any more.
    fs::remove_file(env.path("segments.csv")).unwrap();
    env.run("train --resume killed").success();
    for file in ["predictions.csv", "best.ot", "split.csv"] {
        let [whole, killed] = ["whole", "killed"]
            .map(|run| fs::read(env.path(&format!("runs/{run}/{file}"))).unwrap());
        assert!(whole == killed, "{file}");
    }
    // A changed recording is noticed, and its segments are named.
    let mut call = samples_of(&env.path("calls/v01.wav"));
    call[0] += 0.1;
    env.wav("calls/v01.wav", 16_000, 1, &call);
    env.run("train --resume killed")
        .fails_with(&["6 replaced (calls/v01.wav (0.077125–"]);
}

#[test]
fn a_cross_validation_on_segments_has_the_scores_of_separate_files() {
    let env = calls();
    for name in ["files", "segments"] {
        env.run(&format!(
            "cross-validate {SMALL} --epochs 1 --folds 2 --manifest {name}.csv --name {name}"
        ))
        .success();
    }
    assert_eq!(
        without_files(&env, "files/predictions.csv"),
        without_files(&env, "segments/predictions.csv")
    );
    let page = env.path("page.html");
    env.run("report segments --out page.html").success();
    let html = fs::read_to_string(page).unwrap();
    assert!(
        html.contains("calls/v01.wav#t=0.077125,"),
        "the player starts at the segment"
    );
}

#[test]
fn a_page_plays_the_segment_only() {
    let env = calls();
    env.run(&format!(
        "train {SMALL} --manifest segments.csv --run mine --epochs 1"
    ))
    .success();
    env.run("report mine --out linked.html").success();
    env.run("report mine --embed --out embedded.html").success();
    let rows = env.table("mine/predictions.csv");
    let linked = fs::read_to_string(env.path("linked.html")).unwrap();
    for row in &rows {
        let link = format!("{}#t={},{}", row["clip"], row["start"], row["end"]);
        assert!(linked.contains(&link), "{link}");
    }
    // An embedded WAV of 16 bits at 16 kHz has 44 bytes and two for each sample.
    let embedded = fs::read_to_string(env.path("embedded.html")).unwrap();
    let sounds: Vec<usize> = embedded
        .split("data:audio/wav;base64,")
        .skip(1)
        .map(|rest| rest.find('"').unwrap() * 3 / 4)
        .collect();
    let seconds = |row: &std::collections::BTreeMap<String, String>| -> f64 {
        row["end"].parse::<f64>().unwrap() - row["start"].parse::<f64>().unwrap()
    };
    let expected = rows.iter().map(|row| 44.0 + 32_000.0 * seconds(row));
    assert_eq!(sounds.len(), rows.len());
    for (found, expected) in sounds.into_iter().zip(expected) {
        assert!(
            (found as f64 - expected).abs() < 5.0,
            "{found} bytes, not {expected}"
        );
    }
}

#[test]
fn a_bundle_and_a_fine_tuned_run_know_the_segments() {
    let env = calls();
    env.run(&format!(
        "train {SMALL} --manifest segments.csv --run first --epochs 1"
    ))
    .success();
    env.run("export first --out first.emovox").success();
    let output = env
        .run("evaluate first.emovox --data . --device cpu")
        .success();
    assert!(output.out.contains("clips"), "{}", output.out);
    // The test clips of the second run are training clips of the first one.
    let text = fs::read_to_string(env.path("segments.csv")).unwrap();
    let mut lines = text.lines();
    let mut split = format!("{},split\n", lines.next().unwrap());
    for line in lines {
        let part = match line.rsplit(',').next().unwrap() {
            "v01" => "test",
            "v02" => "validation",
            _ => "train",
        };
        split += &format!("{line},{part}\n");
    }
    fs::write(env.path("split.csv"), split).unwrap();
    let leaky = env.run(&format!(
        "train {SMALL} --manifest split.csv --run second --epochs 1 --allow-leak \
         --init-weights runs/first/best.ot"
    ));
    let leaky = leaky.success();
    assert!(leaky.out.contains("recordings shared"), "{}", leaky.out);
    let ancestors = fs::read_to_string(env.path("runs/second/ancestors.csv")).unwrap();
    assert!(
        ancestors
            .lines()
            .next()
            .unwrap()
            .ends_with(",content,start,end"),
        "{ancestors}"
    );
}

#[test]
fn features_of_segments_have_the_times_in_their_names() {
    let env = calls();
    let features = "features --out";
    env.run(&format!("{features} parts --manifest segments.csv"))
        .success();
    env.run(&format!("{features} whole --manifest files.csv"))
        .success();
    env.run(&format!("{features} parts.csv --manifest segments.csv"))
        .success();
    let table = |folder: &str| -> Vec<std::collections::BTreeMap<String, String>> {
        let path = env.path(&format!("{folder}/metadata.csv"));
        let table = csv::Reader::from_path(path).unwrap();
        table.into_deserialize().map(Result::unwrap).collect()
    };
    let (whole, parts) = (table("whole"), table("parts"));
    assert_eq!((whole.len(), parts.len()), (30, 30));
    for (one, part) in whole.iter().zip(&parts) {
        let read = |folder: &str, name: &str| fs::read(env.path(&format!("{folder}/{name}.npy")));
        let expected = read("whole", &one["name"]).unwrap();
        assert!(
            read("parts", &part["name"]).unwrap() == expected,
            "{}",
            part["name"]
        );
        assert_eq!(
            (&one["label"], &one["frames"]),
            (&part["label"], &part["frames"])
        );
    }
    let first = &parts[0];
    assert_eq!(
        (&*first["file"], &*first["start"]),
        ("calls/v01.wav", "0.077125")
    );
    assert_eq!(
        first["name"],
        format!("calls/v01_0.077125-{}", first["end"])
    );
    let frames = fs::read_to_string(env.path("parts.csv")).unwrap();
    let files: std::collections::BTreeSet<&str> = frames
        .lines()
        .skip(1)
        .map(|line| line.split(',').next().unwrap())
        .collect();
    assert_eq!(
        files.len(),
        30,
        "the segments of a file differ in the table of frames"
    );
    assert!(
        files.iter().all(|file| file.contains(".wav#t=")),
        "{files:?}"
    );
    // The same command replaces its own files.
    env.run(&format!("{features} parts --manifest segments.csv"))
        .success();
}

#[test]
fn an_inspected_corpus_has_a_row_for_each_segment() {
    let env = calls();
    let manifest = Manifest {
        file: env.path("segments.csv"),
        root: env.path("."),
        ..Manifest::default()
    };
    let corpus = manifest.read(|_| None).unwrap();
    let stats = CorpusStats::read(&corpus, || {});
    let table = env.path("corpus.csv");
    stats.write_csv(&table).unwrap();
    assert!(CorpusStats::is_own_csv(&table));
    let table = csv::Reader::from_path(table).unwrap().into_deserialize();
    let rows: Vec<std::collections::BTreeMap<String, String>> = table.map(Result::unwrap).collect();
    assert_eq!(rows.len(), 30);
    for row in &rows {
        let [start, end, seconds] =
            ["start", "end", "seconds"].map(|name| row[name].parse::<f64>().unwrap());
        assert!((end - start - seconds).abs() < 1e-4, "{row:?}");
        assert!(row["same_as"].is_empty(), "{row:?}");
    }
}

#[test]
fn two_corpora_may_have_separate_segments_of_one_file() {
    let env = calls();
    let text = fs::read_to_string(env.path("segments.csv")).unwrap();
    let (header, lines) = text.split_once('\n').unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    let write = |name: &str, take: &dyn Fn(usize) -> bool| {
        let taken = (0..lines.len())
            .filter(|&line| take(line))
            .map(|line| lines[line]);
        let taken: Vec<&str> = [header].into_iter().chain(taken).collect();
        fs::write(env.path(name), taken.join("\n")).unwrap();
    };
    write("first.csv", &|line| line % 2 == 0);
    write("second.csv", &|line| line % 2 == 1);
    write("third.csv", &|line| line % 2 == 1 || line == 4);
    let train = |second: &str| {
        env.run(&format!(
            "train {SMALL} --epochs 1 --manifest a=first.csv --manifest b={second} --run {second}"
        ))
    };
    train("second.csv").success();
    assert_eq!(env.table("second.csv/split.csv").len(), 30);
    train("third.csv").fails_with(&["calls/v01.wav (", "in an earlier corpus"]);
}

#[test]
fn segments_of_a_path_in_another_case_are_found() {
    let env = calls();
    let text = fs::read_to_string(env.path("segments.csv")).unwrap();
    fs::write(
        env.path("segments.csv"),
        text.replace("calls/v03", "Calls/V03"),
    )
    .unwrap();
    let output = env.run("doctor --manifest segments.csv").success();
    assert!(
        output.out.contains("1 path is not written as on this disk"),
        "{}",
        output.out
    );
    assert!(output.out.contains("left out      0"), "{}", output.out);
}

#[test]
fn segments_that_are_not_in_their_recordings_are_listed() {
    let env = calls();
    let mut text = fs::read_to_string(env.path("segments.csv")).unwrap();
    text += "calls/v01.wav,500,501,anger,v01\n";
    fs::write(env.path("segments.csv"), &text).unwrap();
    let output = env.run(&format!(
        "train {SMALL} --manifest segments.csv --run mine --epochs 1"
    ));
    let output = output.success();
    assert!(
        output.out.contains("1 of the 31 clips is left out"),
        "{}",
        output.out
    );
    let skipped = env.table("mine/skipped.csv");
    assert_eq!(
        (skipped[0]["file"].as_str(), skipped[0]["start"].as_str()),
        ("calls/v01.wav", "500")
    );
    assert!(skipped[0]["reason"].contains("is not in the recording"));
    // Times in milliseconds.
    let rows = text.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let [start, end] = [1, 2].map(|i| fields[i].parse::<f64>().unwrap() * 1000.0);
        format!("{},{start},{end},{},{}\n", fields[0], fields[3], fields[4])
    });
    let wrong: String = ["file,start,end,label,speaker\n".into()]
        .into_iter()
        .chain(rows)
        .collect();
    fs::write(env.path("wrong.csv"), wrong).unwrap();
    env.run(&format!("train {SMALL} --manifest wrong.csv --run other"))
        .fails_with(&["31 of the 31 segments", "if they are milliseconds"]);
}
