//! Property tests of the readers of untrusted input: names, manifests, settings and checkpoints. The tests
//! for recordings are in `tests/recordings.rs`; `scripts/fuzz.sh` fuzzes for longer.

use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use emovox::config::RunConfig;
use emovox::corpus::CorpusKind;
use emovox::corpus::manifest::Manifest;
use emovox::model::{Arch, decode, encode};
use proptest::prelude::*;
use tch::{Device, Kind, Tensor};

/// The corpora with a rule for file names, and plain folders.
fn kinds() -> impl Iterator<Item = CorpusKind> {
    CorpusKind::NAMED.into_iter().chain([CorpusKind::Folders])
}

fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

/// The value of a setting: a number, a word, a list or a table.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}").replace("NaN", "nan")),
        any::<bool>().prop_map(|truth| truth.to_string()),
        "[a-z0-9 -]{0,12}".prop_map(|word| format!("{word:?}")),
        Just("[]".to_string()),
        Just("{}".to_string()),
    ]
}

/// A valid checkpoint with two tensors.
fn checkpoint() -> Vec<u8> {
    let weights = Tensor::arange(60, (Kind::Float, Device::Cpu)).view([12, 5]);
    let step = Tensor::from_slice(&[3i64]);
    encode(&[("output.weight".into(), weights), ("step".into(), step)]).unwrap()
}

/// Runs of earlier versions have these names in their settings.
#[test]
fn old_names_of_settings_are_read() {
    for (old, new) in [
        ("model.arch = 'seed'", "model.arch = 'mean-lstm'"),
        ("model.members = 3", "model.ensemble_size = 3"),
        ("model.stack = 3", "model.frame_stacking = 3"),
        (
            "training.keep = 'last'",
            "training.checkpoint_selection = 'last'",
        ),
        (
            "training.augmentation.channel = 0.5",
            "training.augmentation.cepstral_offset = 0.5",
        ),
        (
            "inference.vocal_tracts = [1.1]",
            "inference.vtlp_warps = [1.1]",
        ),
    ] {
        let [old, new] = [old, new].map(|text| {
            let (_folder, path) = written(text);
            RunConfig::over_recipe(&path, None).unwrap()
        });
        assert_eq!(old, new);
    }
    assert_eq!(Arch::from_str("seed", false), Ok(Arch::MeanLstm));
}

proptest! {
    #[test]
    fn no_file_name_gives_an_empty_label(
        name in prop_oneof![
            any::<String>(),
            "([a-zA-Z0-9_]{0,6}[-/._]){0,8}(wav|WAV)?",
            "(0[0-9]-){6}[0-9]{2}\\.wav",
            "[OYX]?AF_[a-z]{0,5}_[a-z]{0,9}\\.wav",
            "(DC|JE|[A-Z]{2})[/_](a|sa|su|n|é)?[0-9é]{0,3}\\.wav",
            "[FM]?[0-9é]{0,3}[AFHNSW]?[0-9é]{0,4}\\.wav",
            "S[MF][0-9]{0,3}_F?[0-9]{0,3}_[AHNSé]?[0-9]{0,3}\\.wav",
            "(fe)?male[0-9]_(angry|sad|[a-z]{0,4})_[0-9é]{0,3}[ab]?_[0-9é]?\\.wav",
        ],
    ) {
        for kind in kinds() {
            if let Some(labels) = kind.parse(Path::new(&name)) {
                prop_assert!(!labels.label.is_empty(), "{kind}: {name:?}");
            }
        }
    }

    /// Temperatures and scores go through JSON and TOML.
    #[test]
    fn a_number_is_read_as_it_was_written(
        number in any::<f64>().prop_filter("JSON has no infinity", |x| x.is_finite()),
    ) {
        let json = serde_json::to_string(&number).unwrap();
        prop_assert_eq!(serde_json::from_str::<f64>(&json).unwrap(), number);
        let table: toml::Table = format!("x = {number:?}").parse().unwrap();
        prop_assert_eq!(table["x"].as_float(), Some(number));
    }

    #[test]
    fn random_settings_are_rejected_or_written_back_unchanged(
        changes in prop::collection::vec((0usize..60, value()), 1..4),
        is_mean_lstm in any::<bool>(),
    ) {
        let (_folder, path) = written("");
        let arch = if is_mean_lstm { Arch::MeanLstm } else { Arch::Bilstm };
        RunConfig::recipe(arch).write(&path).unwrap();
        let mut lines: Vec<String> =
            fs::read_to_string(&path).unwrap().lines().map(str::to_string).collect();
        for (line, value) in changes {
            let line = line % lines.len();
            if let Some((key, _)) = lines[line].split_once(" = ") {
                lines[line] = format!("{key} = {value}");
            }
        }
        fs::write(&path, lines.join("\n")).unwrap();
        if let Ok(config) = RunConfig::over_recipe(&path, None)
            && config.validate().is_ok()
        {
            config.write(&path).unwrap();
            prop_assert_eq!(RunConfig::read(&path).unwrap(), config);
        }
    }

    #[test]
    fn random_manifests_are_rejected_or_have_labels_and_files(
        text in prop_oneof![
            any::<String>(),
            "(file|label|speaker|split|start|end|x|[,;\t\"\n]){0,12}\n([ab]\\.wav|anger|fear|test|NaT|0|[,;\t\"\r\n]){0,40}",
            "(\\{\"wav\": \"[ab]\\.wav\", \"emo\": (\"anger\"|\"fear\"|null|1|\\[\\])\\}?\n){0,4}",
        ],
    ) {
        let (folder, path) = written(&text);
        for file in ["a.wav", "b.wav"] {
            fs::write(folder.path().join(file), "").unwrap();
        }
        let list = Manifest {
            file: path,
            root: folder.path().into(),
            ..Manifest::default()
        };
        if let Ok(corpus) = list.read(|_| Some(1.0)) {
            for clip in &corpus.clips {
                prop_assert!(!clip.label.is_empty() && corpus.recording(clip).path.is_file(), "{clip:?}");
            }
        }
    }


    #[test]
    fn a_damaged_checkpoint_is_rejected_or_has_the_same_tensors(
        at in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 1..40),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let whole = checkpoint();
        let expected = decode(whole.clone(), Device::Cpu).unwrap();
        let mut damaged = whole.clone();
        let at = at.index(whole.len());
        for (byte, other) in damaged[at..].iter_mut().zip(bytes) {
            *byte = other;
        }
        if cut {
            damaged.truncate(end.index(whole.len()));
        }
        if let Ok(tensors) = decode(damaged, Device::Cpu) {
            prop_assert_eq!(tensors, expected);
        }
    }
}
