//! A trained run for inference, from its folder or from a bundle.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use tch::Device;

use super::builtin::{self, BuiltinModel};
use super::bundle::{self, Bundle, Precision};
use crate::audio::Channel;
use crate::config::RunConfig;
use crate::corpus::split::Subset;
use crate::corpus::{Clip, CorpusKind};
use crate::fetch;
use crate::leakage::{self, Caveats};
use crate::model::{self, EmotionModel};
use crate::run::{Lineage, RunFolder, read_metrics, read_split};
use crate::training::Progress;

/// A trained run.
///
/// ```no_run
/// use emovox::{device::DeviceChoice, inference::{Predictor, Trained}};
///
/// let run = Trained::open("runs".as_ref(), "ravdess-bilstm.emovox")?;
/// println!("{}: {}", run.name(), run.config().data.classes.join(", "));
/// let predictor = Predictor::of(run, DeviceChoice::Auto.resolve()?)?;
/// let prediction = predictor.predict_one("clip.wav".as_ref())?;
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Debug)]
pub struct Trained {
    name: String,
    config: RunConfig,
    location: Location,
}

#[derive(Debug)]
enum Location {
    Folder(RunFolder),
    Bundle(Box<Bundle>),
    Builtin(&'static BuiltinModel, Box<Bundle>),
}

/// The state of a training that is not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfinished {
    /// Number of completed epochs.
    pub epochs: usize,
    /// Number of planned epochs.
    pub planned: usize,
}

impl Trained {
    /// Opens a run or a bundle: `run` is the name of a run below `runs`, the folder of a run, the
    /// path of a bundle, or the name of a [built-in model](BuiltinModel) if there is no such run.
    ///
    /// # Errors
    /// If there is no such run or bundle, or if its settings cannot be read or are invalid.
    pub fn open(runs: &Path, run: &str) -> Result<Trained> {
        if Path::new(run).is_file() && !runs.join(run).is_dir() {
            return Trained::of_bundle(Path::new(run));
        }
        if !runs.join(run).exists()
            && !Path::new(run).exists()
            && let Some(model) = BuiltinModel::named(run)
        {
            return Trained::of_builtin(model);
        }
        let exists = Path::new(run).exists() || runs.join(run).exists();
        let folder = RunFolder::open(runs, run).map_err(|error| {
            if exists {
                error
            } else {
                anyhow!("{error}; the built-in model is {}", builtin::names())
            }
        })?;
        Trained::of_folder(&folder)
    }

    /// Opens the bundle in a file, or the [built-in model](BuiltinModel) with this name if there is no
    /// such file. `None` if it is neither.
    ///
    /// # Errors
    /// If the bundle is damaged.
    pub fn bundled(name: &Path) -> Result<Option<Trained>> {
        if bundle::has_signature(name).unwrap_or(false) {
            return Trained::of_bundle(name).map(Some);
        }
        let model = name.to_str().and_then(BuiltinModel::named);
        let model = model.filter(|_| !name.exists());
        model.map(Trained::of_builtin).transpose()
    }

    /// True if [`Trained::open`] finds a run, a bundle or a built-in model with this name.
    pub fn exists(runs: &Path, run: &str) -> bool {
        let path = Path::new(run);
        let folders = [path.to_path_buf(), runs.join(run)];
        folders.iter().any(|folder| RunFolder::at(folder).is_some())
            || bundle::has_signature(path).unwrap_or(false)
            || BuiltinModel::named(run).is_some()
    }

    /// Opens a model that is part of the program.
    ///
    /// # Errors
    /// If this build of the program has a damaged model.
    pub fn of_builtin(model: &'static BuiltinModel) -> Result<Trained> {
        let bundle = Bundle::decode(model.bundle, Path::new(model.name))?;
        Ok(Trained {
            name: bundle.name.clone(),
            config: bundle.config.clone(),
            location: Location::Builtin(model, Box::new(bundle)),
        })
    }

    /// Opens the run in a folder.
    ///
    /// # Errors
    /// If its settings cannot be read or are invalid, or if it has no weights yet.
    pub fn of_folder(run: &RunFolder) -> Result<Trained> {
        let config = RunConfig::read(&run.config_toml())?;
        config
            .validate()
            .with_context(|| format!("{} is invalid", run.config_toml().display()))?;
        ensure!(
            run.best_ot().exists(),
            "{} has no weights yet; train it first (emovox train --resume {})",
            run.path().display(),
            run.name()
        );
        Ok(Trained {
            name: run.name(),
            config,
            location: Location::Folder(run.clone()),
        })
    }

    /// Opens a bundle, which [`Trained::bundle`] made.
    ///
    /// # Errors
    /// If the file is not a bundle, is damaged, or has invalid settings.
    pub fn of_bundle(file: &Path) -> Result<Trained> {
        let bundle = Bundle::read(file)?;
        let config = bundle.config.clone();
        config
            .validate()
            .with_context(|| format!("the settings in {} are invalid", file.display()))?;
        let numbers: usize = bundle
            .tensors
            .iter()
            .map(|(_, tensor)| tensor.numel())
            .sum();
        let needed = config.model.least_weights(config.features.coefficients());
        ensure!(
            needed <= numbers as i64,
            "the settings in {} need at least {needed} weights, but it has {numbers}",
            file.display()
        );
        Ok(Trained {
            name: bundle.name.clone(),
            config,
            location: Location::Bundle(Box::new(bundle)),
        })
    }

    /// The name of the run.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder of the run; `None` for a bundle.
    pub fn folder(&self) -> Option<&RunFolder> {
        match &self.location {
            Location::Folder(run) => Some(run),
            _ => None,
        }
    }

    /// The model that is part of the program, if this is one.
    pub fn builtin(&self) -> Option<&'static BuiltinModel> {
        match &self.location {
            Location::Builtin(model, _) => Some(model),
            _ => None,
        }
    }

    /// Checks that the model can [adapt](super::Predictor::adapt) to a voice.
    ///
    /// # Errors
    /// If it does not normalise its features.
    pub fn check_adaptable(&self) -> Result<()> {
        ensure!(
            self.config.model.normalise(),
            "{} does not normalise its features, so it cannot adapt to a voice; a model with --arch bilstm can",
            self.name()
        );
        Ok(())
    }

    /// The state of a training that is not finished; none for a finished one.
    pub fn unfinished(&self) -> Option<Unfinished> {
        let training = &self.config.training;
        let epochs = match &self.location {
            Location::Folder(run) => {
                // The file is not needed for predictions, so that a damaged one is no error.
                let epochs = read_metrics(&run.metrics_csv()).ok()?;
                let progress = Progress {
                    epochs,
                    ..Progress::default()
                };
                let is_over = progress.is_over(training);
                (!is_over).then_some(progress.epochs.len())
            }
            Location::Bundle(bundle) | Location::Builtin(_, bundle) => bundle.unfinished,
        };
        Some(Unfinished {
            epochs: epochs?,
            planned: training.epochs,
        })
    }

    /// The settings of the run.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// Selects the channel of recordings with several channels, instead of that of the run.
    pub(super) fn set_channel(&mut self, channel: Channel) {
        self.config.audio.channel = channel;
    }

    /// The clips of the run, and the subset of each clip.
    ///
    /// # Errors
    /// If `split.csv` of the run cannot be read.
    pub fn split(&self) -> Result<(Vec<Clip>, Vec<Subset>)> {
        match &self.location {
            Location::Folder(run) => read_split(&run.split_csv(), &self.config.data.sources),
            Location::Bundle(bundle) | Location::Builtin(_, bundle) => {
                Ok((bundle.clips.clone(), bundle.subsets.clone()))
            }
        }
    }

    /// The recordings that the weights were trained on: those of the run, and those of its initial
    /// weights.
    ///
    /// # Errors
    /// If the files of the run cannot be read.
    pub fn lineage(&self) -> Result<Lineage> {
        let (clips, subsets) = self.split()?;
        let split = (clips.as_slice(), subsets.as_slice());
        let data = &self.config.data;
        Ok(Lineage::of_run(&self.name, data, split, self.initial()?))
    }

    /// Caveats about the recordings that belong to the scores of the run.
    ///
    /// # Errors
    /// If the files of the run cannot be read.
    pub fn caveats(&self) -> Result<Caveats> {
        match &self.location {
            Location::Folder(run) => Caveats::of_run(run),
            Location::Bundle(bundle) | Location::Builtin(_, bundle) => Ok(bundle.caveats()),
        }
    }

    /// The lineage of the initial weights.
    fn initial(&self) -> Result<Lineage> {
        match &self.location {
            Location::Folder(run) => leakage::initial_lineage(run, &self.config),
            Location::Bundle(bundle) | Location::Builtin(_, bundle) => Ok(bundle.initial.clone()),
        }
    }

    /// The licences of the training recordings, as a sentence: `trained on …`.
    pub fn licence(&self) -> String {
        let data = &self.config.data;
        let mut corpora: Vec<Option<CorpusKind>> = if data.sources.is_empty() {
            vec![data.corpus]
        } else {
            data.sources.iter().map(|source| source.corpus).collect()
        };
        corpora.dedup();
        let corpora: Vec<String> = corpora.into_iter().map(licence_of).collect();
        format!("trained on {}", corpora.join("; "))
    }

    /// Builds the model on a device and loads its weights.
    ///
    /// # Errors
    /// If the weights cannot be read, or do not fit the settings.
    pub fn model(&self, device: Device) -> Result<EmotionModel> {
        let coefficients = self.config.features.coefficients();
        let classes = &self.config.data.classes;
        let model = EmotionModel::new(&self.config.model, coefficients, classes, device);
        match &self.location {
            Location::Folder(run) => model::load_weights(&model, &run.best_ot())?,
            Location::Bundle(bundle) | Location::Builtin(_, bundle) => {
                let saved = bundle.tensors.iter();
                let saved = saved
                    .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
                    .collect();
                model::load_state_dict(&model.tensors(), &[], &saved)
                    .context("the weights in the bundle do not fit its settings")?;
            }
        }
        Ok(model)
    }

    /// The bytes of a bundle of the run, which [`Trained::open`] accepts instead of the folder.
    ///
    /// # Errors
    /// If the files of the run cannot be read.
    pub fn bundle(&self, precision: Precision) -> Result<Vec<u8>> {
        let (clips, subsets) = self.split()?;
        let bundle = Bundle {
            name: self.name.clone(),
            config: self.config.clone(),
            clips,
            subsets,
            initial: self.initial()?,
            unfinished: self.unfinished().map(|unfinished| unfinished.epochs),
            tensors: self.model(Device::Cpu)?.tensors(),
        };
        bundle.encode(self.licence(), precision)
    }
}

/// The licence of a corpus, as far as it is known.
fn licence_of(corpus: Option<CorpusKind>) -> String {
    let source = corpus.and_then(|kind| fetch::source_of(&kind.to_string()));
    match source {
        Some(source) => format!("{} ({})", source.title, source.licence),
        None if corpus.is_some_and(CorpusKind::is_synthetic) => "synthetic speech".into(),
        None => "recordings of unknown licence".into(),
    }
}
