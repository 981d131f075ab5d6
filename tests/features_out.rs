//! `emovox features`: every format has the same numbers, and NumPy reads them.

mod desk;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use desk::Desk;
use emovox::audio::AudioConfig;
use emovox::dataset::extract_one;
use emovox::features::{FeatureConfig, Features};
use emovox::model::from_safetensors;
use tch::{Device, Tensor};

const CLIPS: usize = 30;

/// Expected features by the name that each recording has in the output.
fn expected(desk: &Desk) -> BTreeMap<String, Features> {
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
            let file = desk.path(&format!("corpus/{name}.wav"));
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
    let desk = Desk::with_corpus();
    let expected = expected(&desk);
    for out in ["npy", "f.npz", "f.safetensors", "f.csv"] {
        let line = format!("features corpus --n-mfcc 13 --out {out}");
        let out = desk.types(&line).fine().out;
        assert!(out.contains("30 recordings, 0 skipped"), "{out}");
    }
    desk.types("features corpus --n-mfcc 13 --out plain --format plain")
        .fine();

    let npy = |name: &str| fs::read(desk.path(&format!("npy/{name}.npy"))).unwrap();
    let tensors = fs::read(desk.path("f.safetensors")).unwrap();
    let tensors = from_safetensors(&tensors, Device::Cpu).unwrap();
    let mut npz = zip::ZipArchive::new(fs::File::open(desk.path("f.npz")).unwrap()).unwrap();
    let mut table = csv::Reader::from_path(desk.path("f.csv")).unwrap();
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
        let text = fs::read_to_string(desk.path(&format!("plain/{name}.txt"))).unwrap();
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
        let mut table = csv::Reader::from_path(desk.path(table)).unwrap();
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
    let desk = Desk::with_corpus();
    desk.types("features corpus --n-mfcc 13 --out f.npz").fine();
    desk.types("features corpus --n-mfcc 13 --out npy").fine();
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
    let output = Command::new(python)
        .args(["-c", program])
        .current_dir(desk.path(""))
        .output();
    desk::Seen::of("python", output.unwrap()).fine();
}

#[test]
fn a_repeated_name_is_reported_and_the_others_are_written() {
    let desk = Desk::with_corpus();
    let first = desk.path("corpus/anger/v01/1.wav");
    fs::copy(&first, desk.path("corpus/anger/v01/1.WAV")).unwrap();
    fs::write(desk.path("corpus/anger/v01/2.wav"), "no sound").unwrap();
    for out in ["all", "all.npz"] {
        let seen = desk.types(&format!("features corpus --out {out}"));
        assert_eq!(seen.code, 1, "{}", seen.out);
        assert!(
            seen.out.contains("29 recordings, 2 skipped"),
            "{}",
            seen.out
        );
        for reason in ["called anger/v01/1 too", "2.wav"] {
            assert!(seen.error.contains(reason), "{}", seen.error);
        }
    }
    assert!(desk.path("all/anger/v01/1.npy").is_file());
    assert!(!desk.path("all/anger/v01/2.npy").exists());
}

#[test]
fn features_of_a_run_have_its_settings() {
    let desk = Desk::with_corpus();
    desk.types(&format!("{} --epochs 1", desk::TRAIN)).fine();
    desk.types("features corpus/anger/v01/1.wav --out x.csv --run mine")
        .fine();
    let header = fs::read_to_string(desk.path("x.csv")).unwrap();
    // 13 MFCCs, pitch, voicing and loudness, and the deltas of all 16.
    assert!(header.lines().next().unwrap().ends_with("c31"), "{header}");
    let both = desk.types("features corpus --out y.npz --run mine --n-mfcc 20");
    assert_eq!(both.code, 2, "{}", both.error);
    desk.types("features corpus --out runs --format npz")
        .fails_with(&["runs is a folder"]);
    desk.types("features corpus --out bad.npz --n-mfcc 200")
        .fails_with(&["n_mfcc is 200"]);
    assert!(!desk.path("bad.npz").exists() && !desk.path("bad.metadata.csv").exists());
}
