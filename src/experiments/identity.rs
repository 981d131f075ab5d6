//! Settings and split of the training that wrote `last.ot`. The other files of a run can be edited, or
//! come from another run, and a training that continues with them would mix two trainings.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::audio::excerpt::SegmentColumns;
use crate::config::{CalibrationConfig, DataConfig, RunConfig, rename_old_keys};
use crate::corpus::Clip;
use crate::corpus::split::Subset;
use crate::device::DeviceChoice;
use crate::run::RunFolder;

/// The settings that must not change during a training. The others, such as paths, have the same value
/// for all trainings.
pub(super) fn fixed_settings(config: &RunConfig) -> RunConfig {
    let mut fixed = RunConfig {
        emovox: String::new(),
        data: DataConfig::default(),
        calibration: CalibrationConfig::default(),
        ..config.clone()
    };
    let training = &mut fixed.training;
    (training.epochs, training.early_stopping) = (0, 0);
    training.device = DeviceChoice::Auto;
    training.allow_leak = false;
    // The content is in the run, or is compared elsewhere.
    let initial = &mut training.init_weights;
    initial.iter_mut().for_each(PathBuf::clear);
    training.disturbance.noise_folder = None;
    fixed
}

/// Identity of a training: its settings and its split.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Identity {
    /// Those that must not change.
    settings: RunConfig,
    /// Hash of the clips with their labels, speakers and subsets, in hexadecimal.
    split: String,
}

impl Identity {
    /// The identity of a training with these settings and recordings.
    pub fn of(config: &RunConfig, clips: &[Clip], subsets: &[Subset]) -> Identity {
        let mut hash = blake3::Hasher::new();
        for (clip, subset) in clips.iter().zip(subsets) {
            let SegmentColumns { start, end } = SegmentColumns::of(clip.file.segment);
            let path = clip.file.path.to_string_lossy().into_owned();
            let (label, speaker) = (clip.label.clone(), clip.speaker_id().to_string());
            for field in [path, start, end, label, speaker, subset.to_string()] {
                hash.update(&(field.len() as u64).to_le_bytes());
                hash.update(field.as_bytes());
            }
        }
        Identity {
            settings: fixed_settings(config),
            split: hash.finalize().to_string(),
        }
    }

    /// The bytes that `last.ot` keeps.
    ///
    /// # Errors
    /// If the settings cannot be represented in TOML.
    pub fn encode(&self) -> Result<Vec<u8>> {
        Ok(toml::to_string(self)?.into_bytes())
    }

    /// Compares the bytes of a run's saved state with this identity, that of its other files.
    ///
    /// # Errors
    /// If `config.toml` or `split.csv` was changed, or belongs to another run.
    pub fn check(&self, saved: &[u8], run: &RunFolder) -> Result<()> {
        let saved = decode(saved)
            .with_context(|| format!("the saved state of {} is damaged", run.name()))?;
        let differences = saved.settings.differences(&self.settings)?;
        let differences: Vec<String> = differences
            .iter()
            .map(|(key, saved, now)| format!("{key} was {saved} and is now {now}"))
            .collect();
        ensure!(
            differences.is_empty(),
            "{} does not have the settings that the saved state of the run was trained with: {}. Restore \
             the file, or start a new run with these settings. Nothing was changed",
            run.config_toml().display(),
            differences.join("; ")
        );
        ensure!(
            saved.split == self.split,
            "{} does not have the clips, labels and subsets that the saved state of the run was trained \
             with. Restore the file, or start a new run. Nothing was changed",
            run.split_csv().display()
        );
        Ok(())
    }
}

/// Reads the bytes of [`Identity::encode`], also those of an earlier version.
fn decode(saved: &[u8]) -> Result<Identity> {
    let mut table: Table = std::str::from_utf8(saved)?.parse()?;
    if let Some(Value::Table(settings)) = table.get_mut("settings") {
        rename_old_keys(settings);
    }
    Ok(Identity::deserialize(table)?)
}
