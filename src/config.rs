//! The configuration of a run: the settings of all modules, in one `config.toml`.

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

/// Version of the format of `config.toml`; files with another version are rejected.
pub const FORMAT: u32 = 1;

/// Every setting of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Version of the file format, [`FORMAT`].
    pub format: u32,
    /// Version of emovox that wrote the file.
    pub emovox: String,
    /// Recordings and labels.
    pub data: DataConfig,
    /// Division into training, validation and test subset.
    pub split: SplitConfig,
    /// Sample rate and trimming of the waveforms.
    pub audio: AudioConfig,
    /// MFCCs and further features.
    pub features: FeatureConfig,
    /// Architecture and layer sizes.
    pub model: ModelConfig,
    /// Optimisation and augmentation.
    pub training: TrainingConfig,
    /// Test-time augmentation.
    #[serde(default)]
    pub inference: InferenceConfig,
    /// Calibration of the probabilities.
    #[serde(default)]
    pub calibration: CalibrationConfig,
}

/// Calibration of a model's probabilities, fitted to the validation subset after the training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CalibrationConfig {
    /// Divisor of the logits. It changes the probabilities, but never the predicted class (Guo et
    /// al. 2017).
    pub temperature: f64,
}

impl Default for CalibrationConfig {
    /// Uncalibrated probabilities: temperature 1.
    fn default() -> Self {
        CalibrationConfig { temperature: 1.0 }
    }
}

impl RunConfig {
    /// The default settings of an architecture.
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

    /// Reads a TOML file whose settings override the recipe of its architecture, or of `arch` if
    /// the command line names one: the file only needs the settings that differ. The `config.toml`
    /// of a run is read without the recipe: it has every setting that existed when it was written.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is not TOML, or has an unknown key or a value of the wrong
    /// type.
    pub fn over_recipe(path: &Path, arch: Option<Arch>) -> Result<RunConfig> {
        RunConfig::over_recipe_table(read_table(path)?, path, arch)
    }

    /// Like [`RunConfig::over_recipe`], with a table that was already read from `path`.
    ///
    /// # Errors
    /// Fails if the table has an unknown key or a value of the wrong type; the message names
    /// `path`.
    pub fn over_recipe_table(table: Table, path: &Path, arch: Option<Arch>) -> Result<RunConfig> {
        let in_file = table.get("model").and_then(|model| model.get("arch"));
        let arch = match (arch, in_file) {
            (Some(arch), _) => arch,
            (None, Some(name)) => Arch::deserialize(name.clone())
                .with_context(|| format!("in {}: model.arch", path.display()))?,
            (None, None) => Arch::default(),
        };
        // Layer sizes of one architecture have no meaning for another.
        let same_arch = in_file.is_none_or(|name| name.as_str() == Some(&arch.to_string()));
        let is_from_run = table.contains_key("format") && table.contains_key("emovox");
        if is_from_run && same_arch {
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

    /// These settings, overridden by those in a TOML file.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is not TOML, or has an unknown key or a value of the wrong
    /// type.
    pub fn with(&self, path: &Path) -> Result<RunConfig> {
        let mut merged = Table::try_from(self)?;
        for (key, value) in read_table(path)? {
            merge(&mut merged, key, value);
        }
        parse(merged, path)
    }

    /// Maximum number of frames of one piece: longer recordings are divided for training and
    /// prediction. `None` if recordings are not divided. If recordings keep their sample rates, the
    /// number is that for 48 kHz.
    pub fn piece_frames(&self) -> Option<usize> {
        let rate = match self.audio.sample_rate {
            SampleRate::Hz(rate) => f64::from(rate),
            SampleRate::Native => 48_000.0,
        };
        let seconds = self.training.piece_seconds;
        let hops = (seconds * rate / self.features.hop_length as f64) as usize;
        (seconds > 0.0).then_some(1 + hops)
    }

    /// The settings with different values: (key, value in `self`, value in `other`).
    ///
    /// # Errors
    /// Fails if the settings cannot be represented in TOML.
    pub fn differences(&self, other: &RunConfig) -> Result<Vec<(String, String, String)>> {
        let (here, there) = (Table::try_from(self)?, Table::try_from(other)?);
        let (mut ours, mut theirs) = (BTreeMap::new(), BTreeMap::new());
        flatten("", &Value::Table(here), &mut ours);
        flatten("", &Value::Table(there), &mut theirs);
        let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        let value = |settings: &BTreeMap<String, String>, key: &String| {
            settings
                .get(key)
                .cloned()
                .unwrap_or_else(|| "not set".into())
        };
        Ok(keys
            .into_iter()
            .map(|key| (key.clone(), value(&ours, key), value(&theirs, key)))
            .filter(|(_, ours, theirs)| ours != theirs)
            .collect())
    }

    /// Reads the `config.toml` of a run.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is not TOML, has another [`FORMAT`], or has an unknown key
    /// or a value of the wrong type.
    pub fn read(path: &Path) -> Result<RunConfig> {
        parse(read_table(path)?, path)
    }

    /// Writes the settings to `path`, atomically.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_bytes(path, self.text()?.as_bytes())
    }

    /// The text of `config.toml`, as [`RunConfig::write`] writes it.
    ///
    /// # Errors
    /// Fails if the settings cannot be represented in TOML.
    pub fn text(&self) -> Result<String> {
        let text = toml::to_string(self).context("the configuration cannot be written as TOML")?;
        Ok(format!("{HEADER}{text}"))
    }

    /// Parses the text of a `config.toml`; error messages name `path` as its source.
    ///
    /// # Errors
    /// Fails like [`RunConfig::read`].
    pub fn of_text(text: &str, path: &Path) -> Result<RunConfig> {
        parse(table(text, path)?, path)
    }

    /// Checks all settings before any computation.
    ///
    /// # Errors
    /// Names the first setting that is out of its range or does not fit another setting.
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
            "a seed must be at most {}, the largest integer in TOML",
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
                "'{}' cannot be the name of a corpus: use letters, digits, '-', '_' and '.'",
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
            "frequency_warp, frequency_masks, channel and vocal_tracts need MFCCs with one sample rate \
             and without a lifter; set the first three to 0 in [training.augmentation] and the last \
             to [] in [inference], or change [audio] and [features]"
        );
        Ok(())
    }
}

const HEADER: &str = "\
# A run of emovox: every setting of the training. `emovox train --config FILE` trains with the same
# settings again; your own file only needs the settings that differ from the recipe.

";

/// MFCCs and prosody with deltas, in windows of 25 ms every 12.5 ms at 16 kHz: speech changes
/// faster than librosa's windows of 93 ms can follow, and has little energy above 8 kHz.
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

/// The recipe that emovox comes from: the defaults of librosa and of Adam in Keras.
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
    // The message of the parser shows the line and the error in it.
    text.parse()
        .map_err(|error| anyhow!("{} is not valid TOML:\n{error}", path.display()))
}

fn parse(table: Table, path: &Path) -> Result<RunConfig> {
    let format = table
        .get("format")
        .and_then(Value::as_integer)
        .unwrap_or_default();
    ensure!(
        format == i64::from(FORMAT),
        "{} has format {format}, but this version of emovox ({}) reads format {FORMAT}",
        path.display(),
        env!("CARGO_PKG_VERSION")
    );
    RunConfig::deserialize(table).map_err(|error| {
        anyhow!(
            "{} is not a configuration of emovox:\n{error}",
            path.display()
        )
    })
}

/// Adds every value below `value` to `into`, with the path as key: `training.seed`.
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

/// Names the first number that is NaN or infinite: `training.noise is inf`.
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

/// Sets a value in a table. A table is merged key by key.
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

    /// A file of a version without prosody, cepstral offsets and test-time augmentation, which used
    /// the weights of the best epoch.
    #[test]
    fn a_configuration_of_an_earlier_version_keeps_its_meaning() {
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
    fn a_file_needs_only_the_settings_that_differ() {
        let file = written("[model]\narch = \"seed\"\nhidden = 32\n[training]\nepochs = 7\n");
        let mut expected = RunConfig::recipe(Arch::Seed);
        expected.model = ModelConfig::Seed(SeedConfig {
            hidden: 32,
            ..SeedConfig::default()
        });
        expected.training.epochs = 7;
        assert_eq!(RunConfig::over_recipe(file.path(), None).unwrap(), expected);
        // Another architecture on the command line has its default sizes and the file's other
        // settings.
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
        assert!(message("[model\n").contains("not valid TOML"));
        assert!(message("format = 9\n").contains("format 9"));
    }
}
