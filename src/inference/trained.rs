//! What is needed to ask a trained run, wherever it is: in its folder, or in a bundle.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tch::Device;

use super::bundle::Bundle;
use crate::config::RunConfig;
use crate::corpus::split::Part;
use crate::corpus::{Clip, CorpusKind};
use crate::fetch;
use crate::leakage::{self, Caveats};
use crate::model::{self, EmotionModel};
use crate::run::{Lineage, RunFolder, read_split};

/// A trained run.
///
/// ```no_run
/// use emovox::{device::DeviceChoice, inference::{Predictor, Trained}};
///
/// let run = Trained::open("runs".as_ref(), "ravdess-bilstm.emovox")?;
/// println!("{} tells {} apart", run.name(), run.config().data.classes.join(", "));
/// let heard = Predictor::of(run, DeviceChoice::Auto.resolve()?)?.predict_one("clip.wav".as_ref())?;
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Debug)]
pub struct Trained {
    name: String,
    config: RunConfig,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Folder(RunFolder),
    Bundle(Box<Bundle>),
}

impl Trained {
    /// The run of this name below `runs`, the run whose folder this is, or the bundle that this file is.
    pub fn open(runs: &Path, run: &str) -> Result<Trained> {
        match Path::new(run).is_file() && !runs.join(run).is_dir() {
            true => Trained::of_bundle(Path::new(run)),
            false => Trained::of_folder(&RunFolder::open(runs, run)?),
        }
    }

    /// The run in this folder.
    pub fn of_folder(run: &RunFolder) -> Result<Trained> {
        let config = RunConfig::read(&run.config_toml())?;
        config
            .validate()
            .with_context(|| format!("{} cannot be right", run.config_toml().display()))?;
        ensure!(
            run.best_ot().exists(),
            "{} has no weights yet; train it first (emovox train --resume {})",
            run.path().display(),
            run.name()
        );
        Ok(Trained {
            name: run.name(),
            config,
            place: Place::Folder(run.clone()),
        })
    }

    /// The run in this file, which [`Trained::bundle`] filled.
    pub fn of_bundle(file: &Path) -> Result<Trained> {
        let bundle = Bundle::read(file)?;
        let config = bundle.config.clone();
        config
            .validate()
            .with_context(|| format!("the settings in {} cannot be right", file.display()))?;
        let numbers: usize = bundle
            .tensors
            .iter()
            .map(|(_, tensor)| tensor.numel())
            .sum();
        let needed = config.model.least_weights(config.features.coefficients());
        ensure!(
            needed <= numbers as i64,
            "the settings in {} ask for {needed} weights or more, and it holds {numbers}",
            file.display()
        );
        Ok(Trained {
            name: bundle.name.clone(),
            config,
            place: Place::Bundle(Box::new(bundle)),
        })
    }

    /// The run's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its settings.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// The clips that it was made with, and each one's part.
    pub fn split(&self) -> Result<(Vec<Clip>, Vec<Part>)> {
        match &self.place {
            Place::Folder(run) => read_split(&run.split_csv(), &self.config.data.sources),
            Place::Bundle(bundle) => Ok((bundle.clips.clone(), bundle.parts.clone())),
        }
    }

    /// The recordings that its weights have learned from: its own, and those behind the weights that it
    /// started from.
    pub fn lineage(&self) -> Result<Lineage> {
        let (clips, parts) = self.split()?;
        let made_with = (clips.as_slice(), parts.as_slice());
        let data = &self.config.data;
        Ok(Lineage::of_run(
            &self.name,
            data,
            made_with,
            self.initial()?,
        ))
    }

    /// Everything about its recordings that a reader of its scores must know.
    pub fn caveats(&self) -> Result<Caveats> {
        match &self.place {
            Place::Folder(run) => Caveats::of_run(run),
            Place::Bundle(bundle) => Ok(bundle.caveats()),
        }
    }

    /// The lineage of the weights that it started from.
    fn initial(&self) -> Result<Lineage> {
        match &self.place {
            Place::Folder(run) => leakage::initial_lineage(run, &self.config),
            Place::Bundle(bundle) => Ok(bundle.initial.clone()),
        }
    }

    /// The licence of the recordings that it was trained on, or where to look for it.
    pub fn licence(&self) -> String {
        let data = &self.config.data;
        let mut corpora: Vec<Option<CorpusKind>> = match data.sources.is_empty() {
            true => vec![data.corpus],
            false => data.sources.iter().map(|source| source.corpus).collect(),
        };
        corpora.dedup();
        let corpora: Vec<String> = corpora.into_iter().map(licence_of).collect();
        format!("trained on {}", corpora.join("; on "))
    }

    /// The model with its weights.
    pub fn model(&self, device: Device) -> Result<EmotionModel> {
        let coefficients = self.config.features.coefficients();
        let classes = &self.config.data.classes;
        let model = EmotionModel::new(&self.config.model, coefficients, classes, device);
        match &self.place {
            Place::Folder(run) => model::load_weights(&model, &run.best_ot())?,
            Place::Bundle(bundle) => {
                let saved = bundle.tensors.iter();
                let saved = saved
                    .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
                    .collect();
                model::fit(&model.tensors(), &[], &saved)
                    .context("the weights in the bundle do not fit its settings")?;
            }
        }
        Ok(model)
    }

    /// The run as one file, which [`Trained::open`] takes in place of the folder.
    pub fn bundle(&self) -> Result<Vec<u8>> {
        let (clips, parts) = self.split()?;
        let bundle = Bundle {
            name: self.name.clone(),
            config: self.config.clone(),
            clips,
            parts,
            initial: self.initial()?,
            tensors: self.model(Device::Cpu)?.tensors(),
        };
        bundle.encode(self.licence())
    }
}

/// What is known of a corpus' licence.
fn licence_of(corpus: Option<CorpusKind>) -> String {
    let home = corpus.and_then(|kind| fetch::home(&kind.to_string()));
    match home {
        Some(home) => format!("{}, {}", home.title, home.licence),
        None if corpus.is_some_and(CorpusKind::is_synthetic) => "synthetic speech".into(),
        None => "recordings whose licence emovox does not know".into(),
    }
}
