//! The configuration of a run: each room's own, together one `config.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::audio::{AudioConfig, SampleRate};
use crate::bounded;
pub use crate::corpus::DataConfig;
use crate::corpus::split::SplitConfig;
use crate::features::FeatureConfig;
use crate::inference::InferenceConfig;
use crate::io::is_file_name;
use crate::model::{Arch, BilstmConfig, ModelConfig, SeedConfig};
use crate::run::write_bytes;
use crate::training::{AugmentationConfig, Keep, Schedule, TrainingConfig};

/// The format of `config.toml`; a file of a later one is refused.
pub const FORMAT: u32 = 1;

/// Everything that makes a run what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// The format of this file, [`FORMAT`].
    pub format: u32,
    /// The version of emovox that wrote it.
    pub emovox: String,
    /// Which recordings.
    pub data: DataConfig,
    /// Which of them train, validate and test.
    pub split: SplitConfig,
    /// How they become waveforms.
    pub audio: AudioConfig,
    /// How those become MFCCs.
    pub features: FeatureConfig,
    /// What reads them.
    pub model: ModelConfig,
    /// How it learns to.
    pub training: TrainingConfig,
    /// How it is asked what it hears.
    #[serde(default)]
    pub inference: InferenceConfig,
    /// How its probabilities are to be taken.
    #[serde(default)]
    pub calibration: CalibrationConfig,
}

/// How a model's probabilities are to be taken; found out on the validation part once it is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CalibrationConfig {
    /// Logits are divided by this, which changes how sure the model is and never what it says
    /// (Guo et al. 2017).
    pub temperature: f64,
}

impl Default for CalibrationConfig {
    /// Probabilities as they are.
    fn default() -> Self {
        CalibrationConfig { temperature: 1.0 }
    }
}

impl RunConfig {
    /// The settings that an architecture is trained with unless told otherwise.
    pub fn recipe(arch: Arch) -> RunConfig {
        let (audio, features, model, training) = match arch {
            Arch::Bilstm => bilstm_recipe(),
            Arch::Seed => seed_recipe(),
        };
        let inference = match arch {
            Arch::Bilstm => InferenceConfig {
                vocal_tracts: vec![0.92, 1.0, 1.08],
            },
            Arch::Seed => InferenceConfig::default(),
        };
        RunConfig {
            format: FORMAT,
            emovox: env!("CARGO_PKG_VERSION").to_string(),
            data: DataConfig {
                folder: "demo".into(),
                ..DataConfig::default()
            },
            split: SplitConfig::default(),
            audio,
            features,
            model,
            training,
            inference,
            calibration: CalibrationConfig::default(),
        }
    }

    /// Reads what stands in a TOML file, over the recipe of its architecture (or of `arch`, where
    /// the command line names one): a file need only name what differs. A run's own `config.toml` has
    /// every setting that there was when it was written, and stands for itself.
    pub fn over_recipe(path: &Path, arch: Option<Arch>) -> Result<RunConfig> {
        RunConfig::over_recipe_table(read_table(path)?, path, arch)
    }

    /// The same of what was read from a file already.
    pub fn over_recipe_table(table: Table, path: &Path, arch: Option<Arch>) -> Result<RunConfig> {
        let in_file = table.get("model").and_then(|model| model.get("arch"));
        let arch = match (arch, in_file) {
            (Some(arch), _) => arch,
            (None, Some(name)) => Arch::deserialize(name.clone())
                .with_context(|| format!("in {}: model.arch", path.display()))?,
            (None, None) => Arch::default(),
        };
        // Sizes of one architecture mean nothing to another.
        let same_arch = in_file.is_none_or(|name| name.as_str() == Some(&arch.to_string()));
        let of_a_run = table.contains_key("format") && table.contains_key("emovox");
        if of_a_run && same_arch {
            return parse(table, path);
        }
        let mut merged = Table::try_from(RunConfig::recipe(arch))?;
        for (key, value) in table {
            if key != "model" || same_arch {
                merge(&mut merged, key, value);
            }
        }
        parse(merged, path)
    }

    /// These settings, with what stands in a TOML file over them.
    pub fn with(&self, path: &Path) -> Result<RunConfig> {
        let mut merged = Table::try_from(self)?;
        for (key, value) in read_table(path)? {
            merge(&mut merged, key, value);
        }
        parse(merged, path)
    }

    /// The frames of the longest piece that a recording is trained on and predicted in; `None` where all stay
    /// whole. Where recordings keep their sample rates, it is that of 48 kHz.
    pub fn piece_frames(&self) -> Option<usize> {
        let rate = match self.audio.sample_rate {
            SampleRate::Hz(rate) => f64::from(rate),
            SampleRate::Native => 48_000.0,
        };
        let seconds = self.training.piece_seconds;
        let hops = (seconds * rate / self.features.hop_length as f64) as usize;
        (seconds > 0.0).then_some(1 + hops)
    }

    /// Where other settings differ: the key, the value here, the value there.
    pub fn differences(&self, other: &RunConfig) -> Result<Vec<(String, String, String)>> {
        let (here, there) = (Table::try_from(self)?, Table::try_from(other)?);
        let (mut ours, mut theirs) = (BTreeMap::new(), BTreeMap::new());
        flatten("", &Value::Table(here), &mut ours);
        flatten("", &Value::Table(there), &mut theirs);
        let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        let value = |of: &BTreeMap<String, String>, key: &String| {
            of.get(key).cloned().unwrap_or_else(|| "not given".into())
        };
        Ok(keys
            .into_iter()
            .map(|key| (key.clone(), value(&ours, key), value(&theirs, key)))
            .filter(|(_, ours, theirs)| ours != theirs)
            .collect())
    }

    /// Reads the `config.toml` of a run.
    pub fn read(path: &Path) -> Result<RunConfig> {
        parse(read_table(path)?, path)
    }

    /// Writes it, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_bytes(path, self.text()?.as_bytes())
    }

    /// What [`RunConfig::write`] writes.
    pub fn text(&self) -> Result<String> {
        let text = toml::to_string(self).context("the configuration cannot be written as TOML")?;
        Ok(format!("{HEADER}{text}"))
    }

    /// Reads that text again; `path` says in messages where it stands.
    pub fn of_text(text: &str, path: &Path) -> Result<RunConfig> {
        parse(table(text, path)?, path)
    }

    /// Refuses settings that cannot work, before any time is spent on them.
    pub fn validate(&self) -> Result<()> {
        // TOML has nan and inf.
        if let Some(setting) = not_finite("", &Value::Table(Table::try_from(self)?)) {
            bail!("{setting}; every setting must be a finite number");
        }
        self.audio.validate()?;
        self.features.validate(self.audio.highest_rate())?;
        self.split.validate()?;
        ensure!(
            self.training.seed.max(self.split.seed) <= i64::MAX as u64,
            "a seed must be at most {}, the largest whole number that TOML knows",
            i64::MAX
        );
        self.model.validate()?;
        self.training.validate()?;
        ensure!(
            self.calibration.temperature > 0.0 && self.calibration.temperature.is_finite(),
            "temperature in [calibration] must be above 0"
        );
        self.inference.validate()?;
        for source in &self.data.sources {
            ensure!(
                is_file_name(&source.name),
                "'{}' cannot name a corpus: take letters, digits, '-', '_' and '.'",
                source.name.escape_debug()
            );
        }
        let augmentation = &self.training.augmentation;
        let varies_spectrum = augmentation.frequency_warp > 0.0
            || augmentation.frequency_masks > 0
            || augmentation.channel > 0.0
            || !self.inference.vocal_tracts.is_empty();
        ensure!(
            !varies_spectrum
                || (self.audio.sample_rate != SampleRate::Native && self.features.lifter == 0.0),
            "frequency_warp, frequency_masks, channel and vocal_tracts work on MFCCs of one sample rate \
             without a lifter; set the first three to 0 in [training.augmentation] and the last to [] \
             in [inference], or change [audio] and [features]"
        );
        Ok(())
    }
}

const HEADER: &str = "\
# A run of emovox: every setting, as it was trained. `emovox train --config FILE` trains the same
# again; a file of your own need only name what differs from the recipe of its architecture.

";

/// MFCCs and prosody with deltas, windows of 25 ms every 12.5 ms at 16 kHz: speech changes faster than librosa's
/// windows of 93 ms, and has little above 8 kHz.
fn bilstm_recipe() -> (AudioConfig, FeatureConfig, ModelConfig, TrainingConfig) {
    let audio = AudioConfig {
        sample_rate: SampleRate::Hz(16_000),
        trim_db: Some(40.0),
    };
    let features = FeatureConfig {
        n_mfcc: 40,
        n_fft: 512,
        win_length: Some(400),
        hop_length: 200,
        n_mels: 64,
        deltas: 1,
        prosody: true,
        ..FeatureConfig::default()
    };
    (
        audio,
        features,
        ModelConfig::Bilstm(BilstmConfig::default()),
        TrainingConfig::default(),
    )
}

/// The recipe emovox comes from: librosa's defaults, Keras' Adam, nothing else.
fn seed_recipe() -> (AudioConfig, FeatureConfig, ModelConfig, TrainingConfig) {
    let training = TrainingConfig {
        epochs: 100,
        batch_size: 64,
        sorted_batches: 1,
        learning_rate: 1e-3,
        schedule: Schedule::Constant,
        weight_decay: 0.0,
        epsilon: 1e-7,
        clip_norm: 0.0,
        label_smoothing: 0.0,
        contrastive: 0.0,
        keep: Keep::Best,
        augmentation: AugmentationConfig::none(),
        ..TrainingConfig::default()
    };
    let model = ModelConfig::Seed(SeedConfig::default());
    (
        AudioConfig::default(),
        FeatureConfig::default(),
        model,
        training,
    )
}

fn read_table(path: &Path) -> Result<Table> {
    let text = bounded::read_text(path, bounded::SETTINGS)
        .with_context(|| format!("cannot read {}", path.display()))?;
    table(&text, path)
}

fn table(text: &str, path: &Path) -> Result<Table> {
    // The parser's own message shows the line and what is wrong with it.
    text.parse()
        .map_err(|error| anyhow!("{} is no valid TOML:\n{error}", path.display()))
}

fn parse(table: Table, path: &Path) -> Result<RunConfig> {
    let format = table
        .get("format")
        .and_then(Value::as_integer)
        .unwrap_or_default();
    ensure!(
        format == i64::from(FORMAT),
        "{} has format {format}, this emovox ({}) reads {FORMAT}",
        path.display(),
        env!("CARGO_PKG_VERSION")
    );
    RunConfig::deserialize(table)
        .map_err(|error| anyhow!("{} is no configuration of emovox:\n{error}", path.display()))
}

/// Every value by its path: `training.seed`.
fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                flatten(&below(path, key), value, into);
            }
        }
        _ => {
            into.insert(path.to_string(), value.to_string());
        }
    }
}

/// The first number that is NaN or infinite: `training.noise is inf`.
fn not_finite(path: &str, value: &Value) -> Option<String> {
    match value {
        Value::Float(number) => (!number.is_finite()).then(|| format!("{path} is {number}")),
        Value::Array(values) => values.iter().find_map(|value| not_finite(path, value)),
        Value::Table(table) => table
            .iter()
            .find_map(|(key, value)| not_finite(&below(path, key), value)),
        _ => None,
    }
}

/// The path of a key in the table at `path`.
fn below(path: &str, key: &str) -> String {
    match path {
        "" => key.to_string(),
        _ => format!("{path}.{key}"),
    }
}

/// Puts a value into a table, tables into tables.
fn merge(into: &mut Table, key: String, value: Value) {
    match (into.get_mut(&key), value) {
        (Some(Value::Table(inner)), Value::Table(value)) => {
            for (key, value) in value {
                merge(inner, key, value);
            }
        }
        (_, value) => {
            into.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn a_written_configuration_reads_back_the_same() {
        for arch in [Arch::Bilstm, Arch::Seed] {
            let mut config = RunConfig::recipe(arch);
            config.audio.trim_db = None;
            config.features.top_db = None;
            config.features.fmax = Some(7600.0);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("config.toml");
            config.write(&path).unwrap();
            assert_eq!(RunConfig::read(&path).unwrap(), config);
            assert_eq!(RunConfig::over_recipe(&path, None).unwrap(), config);
        }
    }

    /// As a version wrote it that knew neither prosody nor channels nor vocal tracts, and kept the
    /// best epoch.
    #[test]
    fn a_run_s_own_configuration_stays_what_it_was() {
        let mut config = RunConfig::recipe(Arch::Bilstm);
        config.features.prosody = false;
        config.training.augmentation.channel = 0.0;
        config.training.keep = Keep::Best;
        config.training.contrastive = 0.0;
        config.model = ModelConfig::Bilstm(BilstmConfig {
            members: 1,
            statistics: false,
            ..BilstmConfig::default()
        });
        config.inference.vocal_tracts = Vec::new();
        let text = toml::to_string(&config).unwrap();
        let old: Vec<&str> = text
            .lines()
            .filter(|line| {
                ![
                    "prosody",
                    "channel",
                    "keep",
                    "contrastive",
                    "members",
                    "statistics",
                    "vocal_tracts",
                    "[inference]",
                ]
                .iter()
                .any(|new| line.starts_with(new))
            })
            .collect();
        let file = written(&old.join("\n"));
        assert_eq!(RunConfig::over_recipe(file.path(), None).unwrap(), config);
        assert_eq!(RunConfig::read(file.path()).unwrap(), config);
    }

    #[test]
    fn a_file_need_only_name_what_differs() {
        let file = written("[model]\narch = \"seed\"\nhidden = 32\n[training]\nepochs = 7\n");
        let mut expected = RunConfig::recipe(Arch::Seed);
        expected.model = ModelConfig::Seed(SeedConfig {
            hidden: 32,
            ..SeedConfig::default()
        });
        expected.training.epochs = 7;
        assert_eq!(RunConfig::over_recipe(file.path(), None).unwrap(), expected);
        // Another architecture on the command line: its own sizes, the file's other settings.
        let config = RunConfig::over_recipe(file.path(), Some(Arch::Bilstm)).unwrap();
        assert_eq!(config.model, ModelConfig::Bilstm(BilstmConfig::default()));
        assert_eq!(config.training.epochs, 7);
    }

    #[test]
    fn a_wrong_key_a_wrong_type_and_a_later_format_are_named() {
        let message = |text: &str| {
            let file = written(text);
            format!(
                "{:#}",
                RunConfig::over_recipe(file.path(), None).unwrap_err()
            )
        };
        assert!(message("[training]\nepoch = 3\n").contains("epoch"));
        assert!(message("[features]\nn_mfcc = \"many\"\n").contains("n_mfcc"));
        assert!(message("[model]\narch = \"gru\"\n").contains("gru"));
        assert!(message("[model\n").contains("no valid TOML"));
        assert!(message("format = 9\n").contains("format 9"));
    }
}
