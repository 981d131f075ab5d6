//! One run from its recordings to its score: the rooms in the order in which a training needs them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tch::Device;

use crate::config::RunConfig;
use crate::corpus::split::{Part, Split, split};
use crate::corpus::{self, Corpus};
use crate::dataset::{Labelled, Loaded};
use crate::model::EmotionModel;
use crate::report::{self, Report};
use crate::run::{Journal, RunFolder, read_split, write_split};
use crate::training::{self, Data, Event, Progress, Spectrum};

/// A run whose recordings are read and whose folder is there.
#[derive(Debug)]
pub struct Experiment {
    /// Where everything goes.
    pub run: RunFolder,
    /// Every setting.
    pub config: RunConfig,
    /// The recordings, read.
    pub loaded: Loaded,
    /// Their parts.
    pub split: Split,
    device: Device,
}

impl Experiment {
    /// A new run. Its folder is made once everything that can be checked has been.
    ///
    /// Without a `name` it is called by its corpus and architecture, with a number if that is taken.
    pub fn begin(
        mut config: RunConfig,
        corpus: &Corpus,
        loaded: Loaded,
        runs: &Path,
        name: Option<&str>,
    ) -> Result<Experiment> {
        config.validate()?;
        let device = config.training.device.resolve()?;
        let split = split(&loaded.clips, &config.split)?;
        config.data.folder = absolute(&corpus.folder)?;
        config.data.corpus = Some(corpus.kind);
        config.data.classes = corpus::classes(&loaded.clips);
        config.data.skipped = loaded.skipped.len();

        let base = format!("{}-{}", corpus.kind, config.model.arch());
        let name = name.map_or_else(|| RunFolder::free_name(runs, &base), str::to_string);
        let run = RunFolder::create(runs, &name)?;
        write_split(&run.split_csv(), &loaded.clips, &split.parts)?;
        config.write(&run.config_toml())?;
        Ok(Experiment {
            run,
            config,
            loaded,
            split,
            device,
        })
    }

    /// A run that goes on, with the recordings that [`own_recordings`] found. It is the same run
    /// only if all of them can still be read.
    pub fn resume(
        run: RunFolder,
        mut config: RunConfig,
        own: Own,
        loaded: Loaded,
    ) -> Result<Experiment> {
        config.validate()?;
        let device = config.training.device.resolve()?;
        if let Some(lost) = loaded.skipped.first() {
            bail!(
                "{} of the run's recordings cannot be read any more, so it would become another \
                 run; the first is {}: {}",
                loaded.skipped.len(),
                lost.file.display(),
                lost.reason
            );
        }
        config.data.folder = absolute(&own.corpus.folder)?;
        let done = match run.last_ot().exists() {
            true => Journal::read(&run.metrics_csv())?.len(),
            false => 0,
        };
        ensure!(
            config.training.epochs >= done,
            "{} has {done} epochs behind it; --epochs {} would take some back",
            run.name(),
            config.training.epochs
        );
        config.write(&run.config_toml())?;
        let split = Split::new(&loaded.clips, own.parts);
        Ok(Experiment {
            run,
            config,
            loaded,
            split,
            device,
        })
    }

    /// A model for this run, with fresh weights and the training part's normalisation.
    pub fn model(&self) -> Result<EmotionModel> {
        let model = training::fresh_model(
            &self.config.model,
            self.config.training.seed,
            self.config.features.coefficients(),
            self.config.data.classes.len(),
            self.device,
        );
        if self.config.model.normalise() {
            self.part(Part::Train).fit(model.normalisation())?;
        }
        Ok(model)
    }

    /// Trains, from where `last.ot` left off or from the start, and draws the curves.
    pub fn train(&self, model: &EmotionModel, tell: impl FnMut(Event)) -> Result<Progress> {
        let RunConfig {
            audio,
            features,
            training,
            data,
            ..
        } = &self.config;
        let tensors = |part| self.part(part).tensors(model.normalisation(), self.device);
        let data = Data {
            train: tensors(Part::Train)?,
            validation: tensors(Part::Validation)?,
            spectrum: Spectrum::new(
                &training.augmentation,
                features,
                audio.sample_rate,
                model.normalisation(),
                self.device,
            )?,
            classes: data.classes.clone(),
        };
        let progress = training::train(model, &data, training, &self.run, tell)?;
        report::write_curves(&self.run, progress.best_epoch, &self.notes())?;
        Ok(progress)
    }

    /// Scores the test part by the weights that validation chose, and writes all results. This is
    /// the only place that shows the model a test clip.
    pub fn score(&self, model: &EmotionModel, progress: &Progress) -> Result<Report> {
        let data = &self.config.data;
        training::load_best(model, &self.run)?;
        let test = self.part(Part::Test);
        let tensors = test.tensors(model.normalisation(), self.device)?;
        let (predictions, _) = training::score(
            model,
            &tensors,
            &data.classes,
            self.config.training.batch_size,
        )?;
        let report = Report {
            run: self.run.name(),
            corpus: data.corpus.map(|kind| kind.to_string()).unwrap_or_default(),
            part: Part::Test.to_string(),
            speakers_shared: self.split.shared.any(),
            notes: self.notes(),
            synthetic: data.is_synthetic(),
            epoch: Some(progress.best_epoch),
            skipped_recordings: data.skipped,
            unknown_label: 0,
            metrics: predictions.metrics(),
        };
        report::write_results(&self.run, &report, &test.clips, &predictions)?;
        Ok(report)
    }

    /// What must stand beside every number of this run.
    fn notes(&self) -> Vec<String> {
        notes(&self.config, &self.split)
    }

    fn part(&self, part: Part) -> Labelled<'_> {
        self.loaded
            .labelled(&self.split.indices(part), &self.config.data.classes)
    }
}

/// The recordings that a run was made with.
#[derive(Debug)]
pub struct Own {
    /// Where they are now, and what is known of them.
    pub corpus: Corpus,
    /// Their parts, in the order of the corpus' clips.
    pub parts: Vec<Part>,
}

/// Finds the recordings that a run was made with, where it left them or in `moved`. `None` where
/// the folder lacks some of them: it is another corpus, or not whole.
pub fn own_recordings(
    run: &RunFolder,
    config: &RunConfig,
    moved: Option<&Path>,
) -> Result<Option<Own>> {
    let (clips, parts) = read_split(&run.split_csv())?;
    let kind = config
        .data
        .corpus
        .context("config.toml does not say which corpus it is")?;
    let folder = moved.unwrap_or(&config.data.folder).to_path_buf();
    let corpus = Corpus {
        kind,
        folder,
        clips,
        unrecognised: Vec::new(),
        repeated: Vec::new(),
    };
    let whole = corpus.clips.iter().all(|clip| corpus.path(clip).is_file());
    Ok(whole.then_some(Own { corpus, parts }))
}

/// What must stand beside every number of a run: that its recordings were made by a machine, that
/// speakers are in several parts.
pub fn notes(config: &RunConfig, split: &Split) -> Vec<String> {
    let synthetic = config
        .data
        .is_synthetic()
        .then(|| "synthetic demo corpus".to_string());
    synthetic.into_iter().chain(split.shared.note()).collect()
}

fn absolute(folder: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(folder).with_context(|| format!("cannot find {}", folder.display()))
}
