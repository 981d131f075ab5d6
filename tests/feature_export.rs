//! `emovox features`: every format has the same numbers, and NumPy reads them.

mod env;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use emovox::audio::AudioConfig;
use emovox::dataset::extract_one;
use emovox::features::{FeatureConfig, Features};
use emovox::model::from_safetensors;
use env::TestEnv;
use env::process::run_command;
use tch::{Device, Tensor};

const CLIPS: usize = 30;

/// Expected features by the name that each recording has in the output.
fn expected(env: &TestEnv) -> BTreeMap<String, Features> {
    let config = FeatureConfig {
        n_mfcc: 13,
        ..FeatureConfig::default()
    };
    let name = |class: &str, voice: usize, number: usize| format!("{class}/v{voice:02}/{number}");
    let mut all = BTreeMap::new();
    for class in [
        "neutral",
        "fear",
        "happiness",
        "sadness",
        "anger",
        "disgust",
    ] {
        for (voice, number) in (1..=5).flat_map(|voice| [(voice, 1), (voice, 2)]) {
            let name = name(class, voice, number);
            let file = env.path(&format!("corpus/{name}.wav"));
            if file.is_file() {
                let features = extract_one(&file, &AudioConfig::default(), &config).unwrap();
                all.insert(name, features);
            }
        }
    }
    assert_eq!(all.len(), CLIPS);
    all
}

#[test]
fn every_format_has_the_same_numbers() {
    let env = TestEnv::with_corpus();
    let expected = expected(&env);
    for out in ["npy", "f.npz", "f.safetensors", "f.csv"] {
        let line = format!("features corpus --n-mfcc 13 --out {out}");
        let out = env.run(&line).success().out;
        assert!(out.contains("30 recordings, 0 skipped"), "{out}");
    }
    env.run("features corpus --n-mfcc 13 --out plain --format plain")
        .success();

    let npy = |name: &str| fs::read(env.path(&format!("npy/{name}.npy"))).unwrap();
    let tensors = fs::read(env.path("f.safetensors")).unwrap();
    let tensors = from_safetensors(&tensors, Device::Cpu).unwrap();
    let mut npz = zip::ZipArchive::new(fs::File::open(env.path("f.npz")).unwrap()).unwrap();
    let mut table = csv::Reader::from_path(env.path("f.csv")).unwrap();
    let mut lines: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    for line in table.records() {
        let line = line.unwrap();
        let file = line[0].trim_end_matches(".wav").to_string();
        assert_eq!(line[1], file[..file.find('/').unwrap()]);
        let row = lines.entry(file).or_default();
        assert_eq!(line[4].parse::<usize>().unwrap(), row.len() / 13);
        row.extend(
            line.iter()
                .skip(5)
                .map(|value| value.parse::<f32>().unwrap()),
        );
    }
    for (name, features) in &expected {
        let mut bytes = Vec::new();
        emovox::dataset::print_npy(features, &mut bytes).unwrap();
        assert_eq!(npy(name), bytes, "{name}");
        let mut member = npz.by_name(&format!("{name}.npy")).unwrap();
        let mut archived = Vec::new();
        std::io::copy(&mut member, &mut archived).unwrap();
        assert_eq!(archived, bytes, "{name}");
        let tensor = Tensor::from_slice(features.values()).view([-1, 13]);
        assert_eq!(tensors[name], tensor, "{name}");
        assert_eq!(lines[name], features.values(), "{name}");
        let text = fs::read_to_string(env.path(&format!("plain/{name}.txt"))).unwrap();
        let values = text
            .split_whitespace()
            .map(|value| value.parse::<f32>().unwrap());
        assert_eq!(values.collect::<Vec<_>>(), features.values(), "{name}");
        assert_eq!(text.lines().count(), features.frames());
    }
    assert_eq!(
        (npz.len(), tensors.len(), lines.len()),
        (CLIPS, CLIPS, CLIPS)
    );

    for table in ["npy/metadata.csv", "plain/metadata.csv", "f.metadata.csv"] {
        let mut table = csv::Reader::from_path(env.path(table)).unwrap();
        let rows: Vec<BTreeMap<String, String>> =
            table.deserialize().collect::<Result<_, _>>().unwrap();
        assert_eq!(rows.len(), CLIPS);
        for row in rows {
            let features = &expected[&row["name"]];
            assert_eq!(row["file"], format!("{}.wav", row["name"]));
            assert!(row["file"].starts_with(&format!("{}/{}/", row["label"], row["speaker"])));
            assert_eq!(row["frames"], features.frames().to_string());
            assert_eq!((&*row["rate"], &*row["hop_length"]), ("22050", "512"));
        }
    }
}

#[test]
#[ignore = "needs Python with NumPy; EMOVOX_PYTHON names the interpreter"]
fn numpy_reads_the_same_numbers() {
    let env = TestEnv::with_corpus();
    env.run("features corpus --n-mfcc 13 --out f.npz").success();
    env.run("features corpus --n-mfcc 13 --out npy").success();
    let program = "
import csv, numpy
rows = list(csv.DictReader(open('f.metadata.csv')))
archive = numpy.load('f.npz')
assert sorted(archive.files) == sorted(row['name'] for row in rows) and len(rows) == 30
for row in rows:
    x = archive[row['name']]
    assert x.dtype == numpy.float32 and x.shape == (int(row['frames']), 13), (x.dtype, x.shape)
    assert (x == numpy.load('npy/' + row['name'] + '.npy')).all()
";
    let python = std::env::var("EMOVOX_PYTHON").unwrap_or("python3".into());
    let mut python = Command::new(python);
    run_command(python.args(["-c", program]).current_dir(env.path(""))).success();
}

/// A user may add columns to the table and use it as a manifest.
#[test]
fn a_table_that_the_user_has_changed_is_not_replaced() {
    let env = TestEnv::with_corpus();
    env.run("features corpus --out mfcc").success();
    let table = env.path("mfcc/metadata.csv");
    let own = fs::read_to_string(&table).unwrap();
    let lines = own.lines().enumerate();
    let changed: String = lines
        .map(|(line, text)| format!("{text},{}\n", ["note", "mine"][line.min(1)]))
        .collect();
    fs::write(&table, &changed).unwrap();
    env.run("features corpus --out mfcc")
        .fails_with(&["mfcc/metadata.csv exists", "--force"]);
    let manifest = "features --manifest mfcc/metadata.csv --root corpus --out mfcc";
    for line in [manifest.to_string(), format!("{manifest} --force")] {
        env.run(&line)
            .fails_with(&["mfcc/metadata.csv", "which this command reads"]);
    }
    assert_eq!(fs::read_to_string(&table).unwrap(), changed);
    // Also its own table is an input.
    fs::write(&table, &own).unwrap();
    env.run(manifest).fails_with(&["which this command reads"]);
    env.run("features corpus --out mfcc").success();
}

#[test]
#[cfg(unix)]
fn an_export_that_was_killed_can_be_repeated() {
    use env::process::{spawn, wait_for_exit, wait_until};

    let env = TestEnv::new();
    let noise = env::noise(10.0, -20.0);
    for clip in 0..20 {
        env.wav(&format!("long/{clip:02}.wav"), 16_000, 1, &noise);
    }
    let unfinished = env.path("mfcc/metadata.unfinished.csv");
    let table = env.path("mfcc/metadata.csv");
    let line = "features long --out mfcc --n-mfcc 13 --prosody --threads 1";
    for other in ["", " --deltas 1"] {
        let mut child = spawn(env.command(&format!("{line}{other}")));
        wait_until("the first features", || {
            assert_eq!(
                child.try_wait().unwrap(),
                None,
                "it ended before it was killed"
            );
            let is_begun = unfinished.is_file() && !table.exists();
            is_begun && fs::read_dir(env.path("mfcc")).unwrap().count() > 2
        });
        child.kill().unwrap();
        wait_for_exit(&mut child);
        // The folder has no table that describes other files.
        assert!(unfinished.is_file() && !table.exists(), "{other}");
        env.run(&format!("{line}{other}")).success();
        assert!(!unfinished.exists() && table.is_file(), "{other}");
    }
    assert_eq!(fs::read_dir(env.path("mfcc")).unwrap().count(), 21);
}

#[test]
fn a_manifest_cannot_name_files_outside_of_the_output() {
    let env = TestEnv::with_corpus();
    fs::create_dir(env.path("lists")).unwrap();
    fs::write(
        env.path("lists/clips.csv"),
        "file,label\n../corpus/anger/v01/1.wav,anger\n../corpus/sadness/v01/1.wav,sadness\n",
    )
    .unwrap();
    env.run("features --manifest lists/clips.csv --out deep/mfcc")
        .success();
    assert!(env.path("deep/mfcc/corpus/anger/v01/1.npy").is_file());
    let entries = fs::read_dir(env.path("deep")).unwrap();
    assert_eq!(entries.count(), 1);
}

#[test]
fn labels_that_stay_empty_have_a_reason() {
    let env = TestEnv::with_corpus();
    fs::remove_dir_all(env.path("corpus/sadness")).unwrap();
    fs::remove_dir_all(env.path("corpus/neutral")).unwrap();
    let output = env.run("features corpus --out mfcc").success();
    let warning = "labels and speakers are left empty: ";
    assert!(output.error.contains(warning), "{}", output.error);
}

#[test]
fn an_export_without_readable_recordings_leaves_nothing() {
    let env = TestEnv::new();
    fs::create_dir(env.path("damaged")).unwrap();
    fs::write(env.path("damaged/1.wav"), "no sound").unwrap();
    env.run("features damaged --out mfcc")
        .fails_with(&["no recording could be read", "1.wav"]);
    assert!(!env.path("mfcc").exists());
}

#[test]
fn a_repeated_name_is_reported_and_the_others_are_written() {
    let env = TestEnv::with_corpus();
    let first = env.path("corpus/anger/v01/1.wav");
    fs::copy(&first, env.path("corpus/anger/v01/1.WAV")).unwrap();
    fs::write(env.path("corpus/anger/v01/2.wav"), "no sound").unwrap();
    for out in ["all", "all.npz"] {
        let output = env.run(&format!("features corpus --out {out}"));
        assert_eq!(output.code, 1, "{}", output.out);
        assert!(
            output.out.contains("29 recordings, 2 skipped"),
            "{}",
            output.out
        );
        for reason in ["called anger/v01/1 too", "2.wav"] {
            assert!(output.error.contains(reason), "{}", output.error);
        }
    }
    assert!(env.path("all/anger/v01/1.npy").is_file());
    assert!(!env.path("all/anger/v01/2.npy").exists());
}

#[test]
fn features_of_a_run_have_its_settings() {
    let env = TestEnv::with_corpus();
    env.run(&format!("{} --epochs 1", env::TRAIN)).success();
    env.run("features corpus/anger/v01/1.wav --out x.csv --run mine")
        .success();
    let header = fs::read_to_string(env.path("x.csv")).unwrap();
    // 13 MFCCs, pitch, voicing and loudness, and the deltas of all 16.
    assert!(header.lines().next().unwrap().ends_with("c31"), "{header}");
    let both = env.run("features corpus --out y.npz --run mine --n-mfcc 20");
    assert_eq!(both.code, 2, "{}", both.error);
    env.run("features corpus --out runs --format npz")
        .fails_with(&["runs is a folder"]);
    env.run("features corpus --out bad.npz --n-mfcc 200")
        .fails_with(&["n_mfcc is 200"]);
    assert!(!env.path("bad.npz").exists() && !env.path("bad.metadata.csv").exists());
}
