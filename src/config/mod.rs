//! The configuration of a run: the settings of all modules, in one `config.toml`.

mod inference;
mod model;
mod training;

pub use inference::InferenceConfig;
pub use model::{Arch, BilstmConfig, MeanLstmConfig, ModelConfig};
pub use training::{
    AugmentationConfig, Balance, CheckpointSelection, DisturbanceConfig, Schedule, TrainingConfig,
};

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::audio::{AudioConfig, SampleRate};
use crate::bounded;
pub use crate::corpus::DataConfig;
use crate::corpus::split::SplitConfig;
use crate::features::FeatureConfig;
use crate::io::{FILE_NAME_RULE, is_file_name, write_bytes};

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

/// The sections of `src/recipes/*.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    split: SplitConfig,
    audio: AudioConfig,
    features: FeatureConfig,
    model: ModelConfig,
    training: TrainingConfig,
    inference: InferenceConfig,
}

impl RunConfig {
    /// The default settings of an architecture.
    pub fn recipe(arch: Arch) -> RunConfig {
        let text = match arch {
            Arch::Bilstm => include_str!("../recipes/bilstm.toml"),
            Arch::MeanLstm => include_str!("../recipes/mean-lstm.toml"),
        };
        let recipe: Recipe = toml::from_str(text).expect("the recipes are tested");
        RunConfig {
            format: FORMAT,
            emovox: env!("CARGO_PKG_VERSION").to_string(),
            data: DataConfig {
                folder: "demo".into(),
                ..DataConfig::default()
            },
            split: recipe.split,
            audio: recipe.audio,
            features: recipe.features,
            model: recipe.model,
            training: recipe.training,
            inference: recipe.inference,
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
    pub fn over_recipe_table(
        mut table: Table,
        path: &Path,
        arch: Option<Arch>,
    ) -> Result<RunConfig> {
        rename_old_keys(&mut table);
        let in_file = table.get("model").and_then(|model| model.get("arch"));
        let arch = match (arch, in_file) {
            (Some(arch), _) => arch,
            (None, Some(name)) => Arch::deserialize(name.clone())
                .with_context(|| format!("in {}: model.arch", path.display()))?,
            (None, None) => Arch::default(),
        };
        // Layer sizes of one architecture have no meaning for another.
        let same_arch = in_file
            .is_none_or(|name| Arch::deserialize(name.clone()).is_ok_and(|named| named == arch));
        let is_from_run = table.contains_key("format") && table.contains_key("emovox");
        if is_from_run && same_arch {
            return parse(table, path);
        }
        let mut recipe = RunConfig::recipe(arch);
        let section = |name| table.get(name).and_then(Value::as_table);
        // The folder of the recipe is not that of a manifest or of several corpora.
        if let Some(data) = section("data")
            && ["manifest", "sources"]
                .iter()
                .any(|key| data.contains_key(*key))
        {
            recipe.data.folder = PathBuf::new();
        }
        // After an early stop, the learning rate has not fallen to its final value.
        let patience = section("training").and_then(|training| training.get("early_stopping"));
        if patience
            .and_then(Value::as_integer)
            .is_some_and(|epochs| epochs > 0)
        {
            recipe.training.checkpoint_selection = CheckpointSelection::Best;
        }
        let mut merged = Table::try_from(recipe)?;
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
        let seconds = self.training.piece_seconds;
        (seconds > 0.0).then_some(1 + self.hops_in(seconds) as usize)
    }

    /// Number of hops in some seconds; recordings that keep their own sample rate count with 48 kHz.
    pub fn hops_in(&self, seconds: f64) -> f64 {
        let rate = match self.audio.sample_rate {
            SampleRate::Hz(rate) => f64::from(rate),
            SampleRate::Native => 48_000.0,
        };
        seconds * rate / self.features.hop_length as f64
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

    /// The [differences](RunConfig::differences) of which `counts` is true, by the key, as texts such as
    /// `training.seed is 1, not 2`.
    ///
    /// # Errors
    /// As [`RunConfig::differences`].
    pub fn difference_texts(
        &self,
        other: &RunConfig,
        counts: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>> {
        let differences = self.differences(other)?.into_iter();
        let counted = differences.filter(|(key, ..)| counts(key));
        Ok(counted
            .map(|(key, here, there)| format!("{key} is {here}, not {there}"))
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
        ensure!(
            !self.split.is_without_validation()
                || (self.training.checkpoint_selection == CheckpointSelection::Last
                    && self.training.early_stopping == 0),
            "without a validation subset (--validation-fraction 0), no epoch can be chosen: use \
             --checkpoint-selection last and no --early-stopping"
        );
        ensure!(
            self.data.test_manifest.is_none() || self.data.manifest.is_some(),
            "a manifest of the test clips (--test-manifest) needs one of the training clips; several \
             corpora cannot have one"
        );
        for source in &self.data.sources {
            ensure!(
                is_file_name(&source.name),
                "'{}' cannot be the name of a corpus: {FILE_NAME_RULE}",
                source.name.escape_debug()
            );
        }
        let augmentation = &self.training.augmentation;
        let varies_spectrum = augmentation.frequency_warp > 0.0
            || augmentation.frequency_masks > 0
            || augmentation.cepstral_offset > 0.0
            || !self.inference.vtlp_warps.is_empty();
        ensure!(
            !varies_spectrum
                || (self.audio.sample_rate != SampleRate::Native && self.features.lifter == 0.0),
            "frequency_warp, frequency_masks, cepstral_offset and vtlp_warps need MFCCs with one sample rate \
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

fn read_table(path: &Path) -> Result<Table> {
    let text = bounded::read_text(path, bounded::SETTINGS)
        .with_context(|| format!("cannot read {}", path.display()))?;
    table(&text, path)
}

fn table(text: &str, path: &Path) -> Result<Table> {
    // The message of the parser shows the line and the error in it.
    let mut table: Table = text
        .parse()
        .map_err(|error| anyhow!("{} is not valid TOML:\n{error}", path.display()))?;
    rename_old_keys(&mut table);
    Ok(table)
}

/// Keys that had another name before: section, old name, name.
const RENAMED: [(&str, &str, &str); 5] = [
    ("model", "members", "ensemble_size"),
    ("model", "stack", "frame_stacking"),
    ("training", "keep", "checkpoint_selection"),
    ("training.augmentation", "channel", "cepstral_offset"),
    ("inference", "vocal_tracts", "vtlp_warps"),
];

/// Replaces the old names of keys in a configuration. An old name beside the present one stays, and
/// is rejected as unknown later.
pub fn rename_old_keys(config: &mut Table) {
    for (section, old, name) in RENAMED {
        let section = section.split('.').try_fold(&mut *config, |table, key| {
            table.get_mut(key)?.as_table_mut()
        });
        if let Some(section) = section
            && !section.contains_key(name)
            && let Some(value) = section.remove(old)
        {
            section.insert(name.to_string(), value);
        }
    }
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
    fn a_settings_file_does_not_mix_with_values_of_the_recipe_that_it_replaces() {
        let read = |text: &str| RunConfig::over_recipe(written(text).path(), None).unwrap();
        assert_eq!(read("").data.folder, Path::new("demo"));
        let manifest = read("[data]\nmanifest = \"list.csv\"");
        assert_eq!(manifest.data.folder, Path::new(""));
        let sources = "[[data.sources]]\nname = \"a\"\nfolder = \"x\"";
        assert_eq!(read(sources).data.folder, Path::new(""));
        let both = read("[data]\nmanifest = \"list.csv\"\nfolder = \"x\"");
        assert_eq!(both.data.folder, Path::new("x"));

        let selection = |text: &str| read(text).training.checkpoint_selection;
        let last = selection("[training]\nearly_stopping = 0");
        assert_eq!(last, CheckpointSelection::Last);
        let best = selection("[training]\nearly_stopping = 20");
        assert_eq!(best, CheckpointSelection::Best);
        let chosen = "[training]\nearly_stopping = 20\ncheckpoint_selection = \"last\"";
        assert_eq!(selection(chosen), CheckpointSelection::Last);
    }

    #[test]
    fn a_written_configuration_reads_back_the_same() {
        for arch in [Arch::Bilstm, Arch::MeanLstm] {
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
        config.training.augmentation.cepstral_offset = 0.0;
        config.training.checkpoint_selection = CheckpointSelection::Best;
        config.training.contrastive = 0.0;
        config.model = ModelConfig::Bilstm(BilstmConfig {
            ensemble_size: 1,
            statistics: false,
            ..BilstmConfig::default()
        });
        config.inference.vtlp_warps = Vec::new();
        let text = toml::to_string(&config).unwrap();
        let old: Vec<&str> = text
            .lines()
            .filter(|line| {
                ![
                    "prosody",
                    "cepstral_offset",
                    "checkpoint_selection",
                    "contrastive",
                    "ensemble_size",
                    "statistics",
                    "vtlp_warps",
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

    /// The names that keys and the baseline had in runs of earlier versions.
    #[test]
    fn old_names_are_read() {
        for (arch, old_arch) in [(Arch::Bilstm, "bilstm"), (Arch::MeanLstm, "seed")] {
            let mut config = RunConfig::recipe(arch);
            config.training.augmentation.cepstral_offset = 0.7;
            config.inference.vtlp_warps = vec![0.9, 1.1];
            let mut text = toml::to_string(&config).unwrap();
            for (name, old) in [
                ("ensemble_size", "members"),
                ("frame_stacking", "stack"),
                ("checkpoint_selection", "keep"),
                ("cepstral_offset", "channel"),
                ("vtlp_warps", "vocal_tracts"),
            ] {
                text = text.replace(&format!("{name} ="), &format!("{old} ="));
            }
            let text = text.replace("\"mean-lstm\"", "\"seed\"");
            for old in [
                &format!("arch = \"{old_arch}\""),
                "channel = 0.7",
                "vocal_tracts =",
            ] {
                assert!(text.contains(old), "{text}");
            }
            let file = written(&text);
            assert_eq!(RunConfig::read(file.path()).unwrap(), config);
            assert_eq!(RunConfig::over_recipe(file.path(), None).unwrap(), config);
        }
        // Old names also override the recipe. Beside the present name they are an error.
        let file = written("[model]\nmembers = 1\nstack = 2\n[training]\nkeep = \"best\"\n");
        let config = RunConfig::over_recipe(file.path(), None).unwrap();
        let selection = config.training.checkpoint_selection;
        assert_eq!(selection, CheckpointSelection::Best);
        let ModelConfig::Bilstm(sizes) = config.model else {
            panic!("{:?}", config.model)
        };
        assert_eq!((sizes.ensemble_size, sizes.frame_stacking), (1, 2));
        let file = written("[model]\nmembers = 1\nensemble_size = 2\n");
        let error = RunConfig::over_recipe(file.path(), None).unwrap_err();
        assert!(error.to_string().contains("members"), "{error}");
    }

    /// The recipes are documentation too.
    #[test]
    fn every_value_of_the_default_recipe_is_explained() {
        let recipe = include_str!("../recipes/bilstm.toml");
        for line in recipe.lines().filter(|line| line.contains(" = ")) {
            let comment = line.split_once('#').map_or("", |(_, comment)| comment);
            assert!(comment.len() > 3, "{line}");
        }
    }

    #[test]
    fn the_number_of_epochs_depends_on_the_number_of_clips_unless_it_is_set() {
        let chosen = |arch, epochs: Option<usize>, clips| {
            let mut training = RunConfig::recipe(arch).training;
            training.epochs = epochs.unwrap_or(training.epochs);
            training.choose_epochs(clips, 10_000);
            training.epochs
        };
        // 840 clips are 27 steps, and 371 of them are the first number above 10 000.
        assert_eq!(chosen(Arch::Bilstm, None, 840), 371);
        assert_eq!(chosen(Arch::Bilstm, None, 430), 400);
        assert_eq!(chosen(Arch::Bilstm, None, 0), 400);
        assert_eq!(chosen(Arch::Bilstm, None, 1_000_000), 10);
        assert_eq!(chosen(Arch::Bilstm, Some(3), 840), 3);
        assert_eq!(chosen(Arch::MeanLstm, None, 840), 100);

        let mut fine_tuning = RunConfig::recipe(Arch::Bilstm).training;
        fine_tuning.init_weights = Some("best.ot".into());
        fine_tuning.choose_epochs(840, 10_000);
        assert_eq!(fine_tuning.epochs, 124);
    }

    #[test]
    fn a_file_needs_only_the_settings_that_differ() {
        let file = written("[model]\narch = \"seed\"\nhidden = 32\n[training]\nepochs = 7\n");
        let mut expected = RunConfig::recipe(Arch::MeanLstm);
        expected.model = ModelConfig::MeanLstm(MeanLstmConfig {
            hidden: 32,
            ..MeanLstmConfig::default()
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
