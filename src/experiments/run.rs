//! One run, from its recordings to its score. It calls the modules in the order of a training.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail, ensure};
use tch::Device;

use super::identity::{Identity, fixed_settings};
use super::initial::InitialWeights;
use crate::audio::{self, Excerpt, Waveform};
use crate::augment::{CopyRecipe, SpecAugment, disturbed_copies};
use crate::bounded;
use crate::config::{CalibrationConfig, DataConfig, RunConfig};
use crate::corpus::split::{Split, Subset, split};
use crate::corpus::{self, Changes, Clip, Corpus};
use crate::dataset::{
    FeatureDataset, FeatureFile, LabeledSubset, MAX_IN_MEMORY, Sounds, SplitTensors, read_sounds,
};
use crate::device;
use crate::distributed::ProcessGroup;
use crate::evaluation::{Calibration, Predictions, at_temperature, fit_temperature};
use crate::features::Features;
use crate::inference;
use crate::io::write_bytes;
use crate::leakage::{self, Caveats};
use crate::model::{self, EmotionModel, Head};
use crate::report::{self, Report};
use crate::run::{Lineage, RunFolder, RunLock, write_lineage, write_skipped, write_split};
use crate::training::{self, Event, Progress, TrainData};

/// Number of steps of a training whose number of epochs is not set (docs/recipe.md, ninth round).
const STEPS: usize = 10_000;

/// The same for the demo corpus, whose synthetic emotions are learned sooner.
const DEMO_STEPS: usize = 2400;

/// Finds the recordings of a configuration: below one or several folders, or in a manifest.
///
/// # Errors
/// If a folder or a manifest cannot be read, or if there are no recordings with the labels.
pub fn open_corpus(data: &DataConfig) -> Result<Corpus> {
    let seconds = |file: &Path| audio::probe(file).ok().map(|info| info.seconds);
    let mut found = match (data.manifest(), data.sources.as_slice()) {
        (Some(manifest), _) => manifest.read(seconds)?,
        (None, []) => corpus::scan_with(&data.folder, &data.scan_options(data.corpus))?,
        (None, sources) => {
            let each = sources.iter().map(|source| {
                let folder = data.folder.join(&source.folder);
                let corpus = match data.manifest_of(source, folder.clone()) {
                    Some(manifest) => manifest.read(seconds)?,
                    None => corpus::scan_with(&folder, &data.scan_options(source.corpus))?,
                };
                Ok((source.name.clone(), corpus))
            });
            let mut union = corpus::merge(each.collect::<Result<_>>()?)?;
            for (merged, source) in union.sources.iter_mut().zip(sources) {
                merged.manifest.clone_from(&source.manifest);
            }
            union
        }
    };
    found.choose(&data.labels, &data.counts_as)?;
    Ok(found)
}

/// A run with its recordings in memory and its folder on disk. No other process can train in it.
#[derive(Debug)]
pub struct Experiment {
    /// The run folder.
    pub run: RunFolder,
    /// All settings.
    pub config: RunConfig,
    /// The recordings and their features.
    pub loaded: FeatureDataset,
    /// Subset of each recording.
    pub split: Split,
    /// Properties of the data that a reader of the scores needs.
    pub caveats: Caveats,
    /// True if the test subset was scored before.
    pub scored_before: bool,
    /// Origin of the last layer, in a new run with initial weights.
    pub head: Option<Head>,
    /// Recordings of noise for the [disturbed copies](Experiment::disturbed_copies); empty if no
    /// epoch is left.
    pub noise: Sounds,
    /// The processes that train the run together.
    pub group: ProcessGroup,
    /// True if no epoch was left when the run was resumed.
    is_trained: bool,
    device: Device,
    /// Only the first process of a training has the lock.
    _lock: Option<RunLock>,
}

impl Experiment {
    /// Starts a new run. Its folder is created after all checks.
    ///
    /// Without a `name`, the name is made of the corpus, the architecture and, if a run has this
    /// name already, a number. With several processes, the first one creates the folder.
    ///
    /// # Errors
    /// If a setting is invalid, if the recordings cannot be split, if the initial weights were
    /// trained on test recordings, if no recording of noise can be read, or if the folder cannot be
    /// created.
    pub fn begin(
        mut config: RunConfig,
        corpus: &Corpus,
        loaded: FeatureDataset,
        runs: &Path,
        name: Option<&str>,
        group: ProcessGroup,
    ) -> Result<Experiment> {
        config.validate()?;
        let device = device_of(&config, &group)?;
        let split = split(&loaded.clips, &config.split, &corpus.given)?;
        let noise = noise(&config)?;
        config.data.noise_content = noise.content;
        agree(&group, &config, &loaded.clips, &split.subsets)?;
        config.data.folder = absolute(&corpus.folder)?;
        config.data.corpus = Some(corpus.kind);
        config.data.sources.clone_from(&corpus.sources);
        config.data = absolute_lists(config.data)?;
        config.data.classes = corpus::classes(&loaded.clips);
        config.data.skipped = loaded.skipped.len();
        config.data.leaked = leaked(&loaded, &split).len();
        config.calibration = CalibrationConfig::default();
        let steps = if corpus.kind.is_synthetic() {
            DEMO_STEPS
        } else {
            STEPS
        };
        let pieces = pieces(&loaded, &split.indices(Subset::Train), &config);
        config.training.choose_epochs(pieces, steps);

        let mut head = None;
        let initial = config.training.init_weights.as_deref();
        let initial = initial.map(InitialWeights::read).transpose()?;
        let mut lineage = Lineage::default();
        if let Some(initial) = &initial {
            lineage.clone_from(&initial.lineage);
            let model = fresh(&config, device);
            head = Some(model::init_from(
                &model,
                initial.bytes.clone(),
                &initial.path,
            )?);
            config.training.init_weights = Some(initial.path.clone());
        }
        let caveats = Caveats::new(&config.data, &loaded.clips, &split, &lineage);
        leakage::refuse_leak(&caveats.test, &config)?;

        let base = format!("{}-{}", corpus.name(), config.model.arch());
        let skipped = [corpus.skipped.as_slice(), &loaded.skipped].concat();
        let fill = |run: &RunFolder| {
            write_split(&run.split_csv(), &loaded.clips, &split.subsets)?;
            write_skipped(&run.skipped_csv(), &skipped)?;
            // The run must not depend on a file that may change or be removed.
            if let Some(initial) = &initial {
                write_bytes(&run.init_ot(), &initial.bytes)?;
                write_lineage(&run.ancestors_csv(), &lineage)?;
            }
            config.write(&run.config_toml())
        };
        let created = match name {
            _ if !group.is_main() => None,
            Some(name) => Some(RunFolder::create(runs, name, fill)?),
            None => Some(RunFolder::create_numbered(runs, &base, fill)?),
        };
        // The other processes receive its name.
        let name = created.as_ref().map(|(run, _)| run.name().into_bytes());
        let name = group.broadcast_bytes(name)?.unwrap_or_default();
        let name = String::from_utf8_lossy(&name);
        let (run, lock) = match created {
            Some((run, lock)) => (run, Some(lock)),
            None => (RunFolder::in_folder(&runs.join(&*name)), None),
        };
        Ok(Experiment {
            run,
            config,
            loaded,
            split,
            caveats,
            scored_before: false,
            head,
            noise,
            group,
            is_trained: false,
            device,
            _lock: lock,
        })
    }

    /// Continues a run with its recordings.
    ///
    /// # Errors
    /// If a recording, of speech or of noise, has changed or cannot be read any more, or if a setting is
    /// invalid.
    pub fn resume(
        saved: SavedRun,
        loaded: FeatureDataset,
        group: ProcessGroup,
    ) -> Result<Experiment> {
        let SavedRun {
            run,
            lock,
            mut config,
            is_trained,
            own,
        } = saved;
        config.validate()?;
        let device = device_of(&config, &group)?;
        if let Some(lost) = loaded.skipped.first() {
            bail!(
                "{} of the run's recordings cannot be read any more, so the result would be a \
                 different run; the first is {}: {}",
                loaded.skipped.len(),
                lost.file.display(),
                lost.reason
            );
        }
        let changes = Changes::between(&own.corpus.clips, &loaded.clips);
        ensure!(
            changes.is_empty(),
            "the recordings of {} are not those that it was trained on, so the result would be a \
             different run: {changes}. Restore the recordings, or start a new run",
            run.name()
        );
        let split = Split::new(&loaded.clips, own.subsets);
        ensure!(
            !split.indices(Subset::Train).is_empty(),
            "{} has no clip of the training subset: the file was changed after the training started. \
             Restore it, or start a new run",
            run.split_csv().display()
        );
        let initial = leakage::initial_lineage(&run, &config)?;
        let caveats = Caveats::new(&config.data, &loaded.clips, &split, &initial);
        agree(&group, &config, &loaded.clips, &split.subsets)?;
        let noise = if is_trained {
            Sounds::default()
        } else {
            same_noise(&config, &run)?
        };
        config.data.noise_content = config.data.noise_content.or(noise.content);
        let scored_before = run.report_json().exists();
        if !is_trained {
            config.calibration = CalibrationConfig::default();
            if group.is_main() {
                run.forget_results()?;
            }
        }
        config.data.folder = absolute(&own.corpus.folder)?;
        if group.is_main() {
            config.write(&run.config_toml())?;
        }
        Ok(Experiment {
            run,
            config,
            loaded,
            split,
            caveats,
            scored_before,
            head: None,
            noise,
            group,
            is_trained,
            device,
            _lock: lock,
        })
    }

    /// A model for this run, with random or initial weights and with the normalisation of the
    /// training subset.
    ///
    /// # Errors
    /// If the initial weights do not fit the model.
    pub fn model(&self) -> Result<EmotionModel> {
        let model = fresh(&self.config, self.device);
        let initial = self.run.init_ot();
        if initial.exists() {
            let bytes = bounded::read(&initial, bounded::WEIGHTS)
                .with_context(|| format!("cannot read {}", initial.display()))?;
            model::init_from(&model, bytes, &initial)?;
        }
        if self.config.model.normalise() {
            self.subset(Subset::Train).fit(model.normalisation())?;
        }
        Ok(model)
    }

    /// Number of [disturbed copies](Experiment::disturbed_copies).
    pub fn copies(&self) -> usize {
        if self.is_trained {
            return 0;
        }
        let recordings = self.subset(Subset::Train).clips.len();
        self.config.training.disturbance.copies * recordings
    }

    /// The features of the disturbed copies of the training recordings: of all recordings in their
    /// first copy, then of all in the next. There are none if no epoch is left, or if `stop` becomes
    /// true, because then the training does not begin. `noise` are the recordings of noise.
    /// `advance` is called after each copy, from any thread.
    ///
    /// # Errors
    /// If a recording cannot be read any more.
    pub fn disturbed_copies(
        &self,
        noise: &[Waveform],
        stop: &AtomicBool,
        advance: impl Fn() + Sync,
    ) -> Result<Vec<Features>> {
        if self.is_trained {
            return Ok(Vec::new());
        }
        let RunConfig {
            data,
            audio,
            features,
            training,
            ..
        } = &self.config;
        let recordings: Vec<Excerpt> = self
            .subset(Subset::Train)
            .clips
            .iter()
            .map(|clip| clip.file.below(&data.folder))
            .collect();
        let recipe = CopyRecipe {
            config: &training.disturbance,
            noises: noise,
            seed: training.seed,
        };
        // A training with several processes stops after a step, for which each needs all copies.
        let may_stop = !self.group.is_distributed();
        let file = self.file_of_copies()?;
        let take = |copy: Features| {
            advance();
            if may_stop && stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            Ok(Some(match &file {
                Some(file) => file.store(&copy)?,
                None => copy,
            }))
        };
        let copies = disturbed_copies(&recordings, (audio, features), &recipe, take)?;
        Ok(copies.unwrap_or_default())
    }

    /// The file for disturbed copies that are too large for the memory.
    fn file_of_copies(&self) -> Result<Option<FeatureFile>> {
        let recordings = self.subset(Subset::Train).features;
        let values: usize = recordings.iter().map(|features| features.size()).sum();
        if values * self.config.training.disturbance.copies <= MAX_IN_MEMORY {
            return Ok(None);
        }
        FeatureFile::new(self.run.path()).map(Some)
    }

    /// Trains from the state in `last.ot`, or from the start, and draws the curves. Once `stop` is
    /// true, it saves the state and returns. `copies` are the [disturbed
    /// copies](Experiment::disturbed_copies) of the training recordings.
    ///
    /// # Errors
    /// If the loss is not finite, or if a file cannot be read or written.
    pub fn train(
        &self,
        model: &EmotionModel,
        copies: Vec<Features>,
        stop: &AtomicBool,
        tell: impl FnMut(Event),
    ) -> Result<Progress> {
        let RunConfig {
            audio,
            features,
            training,
            ..
        } = &self.config;
        let mut versions = self.subset(Subset::Train);
        versions.features.extend(&copies);
        let train = self.tensors(&versions, model)?;
        // The tensors have the frames of the copies, or refer to them.
        drop(copies);
        let clips = self.subset(Subset::Train);
        let corpora = self.corpora(&clips);
        // All groups have the same share of an epoch.
        let groups = training.balance.groups(&corpora, &clips.labels);
        let pieces = || train.recordings().iter();
        let data = TrainData {
            identity: Identity::of(&self.config, &self.loaded.clips, &self.split.subsets)
                .encode()?,
            train_names: pieces()
                .map(|&clip| clips.clips[clip].file.display().to_string())
                .collect(),
            groups: pieces().map(|&clip| groups[clip]).collect(),
            corpora: pieces().map(|&clip| corpora[clip]).collect(),
            validation: self.tensors(&self.subset(Subset::Validation), model)?,
            spec_augment: SpecAugment::new(
                &training.augmentation,
                features,
                audio.sample_rate,
                model.normalisation(),
                self.device,
            )?,
            train,
        };
        let group = &self.group;
        let progress =
            training::train_in_group(group, model, &data, training, &self.run, stop, tell)?;
        // Only one process does the rest.
        group.finalize()?;
        if !group.is_main() {
            return Ok(progress);
        }
        report::write_curves(
            &self.run,
            &progress.epochs,
            progress.selected(training),
            &self.caveats.notes(),
        )?;
        Ok(progress)
    }

    /// True if no clip is left for a test: the run has no score of its own.
    pub fn is_final(&self) -> bool {
        self.split.indices(Subset::Test).is_empty()
    }

    /// Ends a run without a test: loads the selected weights and fits the temperature.
    ///
    /// # Errors
    /// If a prediction is not finite, or if a file cannot be read or written.
    pub fn finish(&mut self, model: &EmotionModel) -> Result<()> {
        training::load_selected(model, &self.run)?;
        self.calibrate(model)
    }

    /// Fits the temperature to the validation subset, and saves it. Without validation clips it is 1.
    fn calibrate(&mut self, model: &EmotionModel) -> Result<()> {
        let validation = self.subset(Subset::Validation);
        let temperature = if validation.labels.is_empty() {
            1.0
        } else {
            fit_temperature(&self.predict(model, &validation)?, &validation.labels)
        };
        self.config.calibration.temperature = temperature;
        self.config.write(&self.run.config_toml())
    }

    /// Log-probabilities of each clip. Clips that are longer than a piece are predicted in pieces.
    fn predict(&self, model: &EmotionModel, subset: &LabeledSubset) -> Result<Vec<Vec<f32>>> {
        let warps = inference::vtlp_warps(&self.config, model.normalisation(), self.device)?;
        let tensors = self.tensors(subset, model)?;
        let batch_size = self.config.training.batch_size;
        let rows = model::log_probabilities(model, &tensors, warps.as_ref(), batch_size)?;
        inference::check_predictions(&at_temperature(&rows, 1.0))
            .map_err(|error| inference::naming_clip(error.into(), &subset.clips))?;
        Ok(rows)
    }

    /// Scores the test subset with the selected weights and writes all results. The temperature is
    /// fitted on the validation subset. No other function predicts test clips.
    ///
    /// # Errors
    /// If a prediction is not finite, or if a file cannot be read or written.
    pub fn score(&mut self, model: &EmotionModel, progress: &Progress) -> Result<Report> {
        training::load_selected(model, &self.run)?;
        self.calibrate(model)?;
        let temperature = self.config.calibration.temperature;
        let test = self.subset(Subset::Test);
        let rows = self.predict(model, &test)?;
        let at = |temperature| Predictions {
            classes: model.classes().to_vec(),
            truth: test.labels.clone(),
            probabilities: at_temperature(&rows, temperature),
        };
        let predictions = at(temperature);
        let data = &self.config.data;
        let report = Report {
            run: self.run.name(),
            corpus: data.name(),
            subset: Subset::Test.to_string(),
            speakers_shared: self.caveats.speakers_shared(),
            notes: self.caveats.notes(),
            synthetic: self.caveats.synthetic,
            epoch: progress
                .selected(&self.config.training)
                .map(|kept| kept.epoch),
            skipped_recordings: data.skipped,
            unknown_label: 0,
            temperature,
            ece_before: Some(Calibration::of(&at(1.0)).ece),
            calibration: Calibration::of(&predictions),
            metrics: predictions.metrics(),
        };
        report::write_results(&self.run, &report, &test.clips, &predictions)?;
        Ok(report)
    }

    /// Pairs of clips that are the same recording, in different subsets.
    pub fn leaked(&self) -> Vec<(&Clip, &Clip)> {
        let clip = |index: usize| &self.loaded.clips[index];
        leaked(&self.loaded, &self.split)
            .into_iter()
            .map(|(first, second)| (clip(first), clip(second)))
            .collect()
    }

    /// Corpus of each clip, as an index in the sources of the data.
    fn corpora(&self, clips: &LabeledSubset) -> Vec<usize> {
        let sources = &self.config.data.sources;
        let source = |clip: &&Clip| corpus::source_of(sources, clip).unwrap_or_default();
        clips.clips.iter().map(source).collect()
    }

    /// Recordings that are longer than a piece, with their length in seconds, the longest first.
    pub fn long_recordings(&self) -> Vec<(&Clip, f64)> {
        let Some(most) = self.config.piece_frames() else {
            return Vec::new();
        };
        let seconds = self.config.training.piece_seconds / (most - 1).max(1) as f64;
        let frames = self.loaded.features.iter().map(Features::frames);
        let mut long: Vec<(&Clip, f64)> = self
            .loaded
            .clips
            .iter()
            .zip(frames)
            .filter(|&(_, frames)| frames > most)
            .map(|(clip, frames)| (clip, (frames - 1) as f64 * seconds))
            .collect();
        long.sort_by(|a, b| b.1.total_cmp(&a.1));
        long
    }

    /// Tensors of some clips on the device; long clips are divided into pieces.
    fn tensors(&self, clips: &LabeledSubset, model: &EmotionModel) -> Result<SplitTensors> {
        let whole = clips.tensors(model.normalisation(), self.device)?;
        Ok(whole.in_pieces(self.config.piece_frames()))
    }

    fn subset(&self, subset: Subset) -> LabeledSubset<'_> {
        self.loaded
            .subset(&self.split.indices(subset), &self.config.data.classes)
    }
}

/// A run that is resumed, as its folder describes it.
#[derive(Debug)]
pub struct SavedRun {
    /// The run folder.
    pub run: RunFolder,
    /// Its lock, if this is the main process.
    pub lock: Option<RunLock>,
    /// All settings.
    pub config: RunConfig,
    /// True if no epoch is left, so that only the results are written again.
    pub is_trained: bool,
    /// The recordings that [`own_recordings`] found.
    pub own: Own,
}

/// Saved progress of a run that is resumed with these settings. `from_previous` reads `previous.ot`
/// instead of a broken `last.ot`. Nothing is written; before the training continues,
/// [`RunFolder::set_aside_last`] renames the broken file.
///
/// # Errors
/// If the state cannot be read, or does not fit the settings or the split of the run.
pub fn saved_progress(
    run: &RunFolder,
    config: &RunConfig,
    own: &Own,
    from_previous: bool,
) -> Result<Progress> {
    let model = fresh(config, Device::Cpu);
    let saved = training::saved_state(run, &model, &config.training, from_previous)?;
    // Runs of earlier versions have no identity.
    if let Some(identity) = &saved.identity {
        Identity::of(config, &own.corpus.clips, &own.subsets).check(identity, run)?;
    }
    let progress = saved.progress;
    let done = progress.epochs.len();
    ensure!(
        config.training.epochs >= done,
        "{} is already trained for {done} epochs; --epochs {} is less",
        run.name(),
        config.training.epochs
    );
    Ok(progress)
}

/// The recordings of a run.
#[derive(Debug)]
pub struct Own {
    /// The recordings and their folder.
    pub corpus: Corpus,
    /// Subset of each clip of the corpus.
    pub subsets: Vec<Subset>,
}

/// Finds the recordings of a run's split, in their folder of the training or in `moved`. `None` if
/// some of them are missing there.
///
/// # Errors
/// If the configuration does not name the corpus.
pub fn own_recordings(
    (clips, subsets): (Vec<Clip>, Vec<Subset>),
    config: &RunConfig,
    moved: Option<&Path>,
) -> Result<Option<Own>> {
    let kind = config
        .data
        .corpus
        .context("config.toml does not name the corpus")?;
    let folder = moved.unwrap_or(&config.data.folder).to_path_buf();
    let corpus = Corpus {
        clips,
        sources: config.data.sources.clone(),
        ..Corpus::empty(kind, folder)
    };
    let mut clips = corpus.clips.iter();
    let whole = clips.all(|clip| corpus.recording(clip).path.is_file());
    Ok(whole.then_some(Own { corpus, subsets }))
}

/// Number of clips of an epoch: the pieces of some recordings.
fn pieces(loaded: &FeatureDataset, recordings: &[usize], config: &RunConfig) -> usize {
    let most = config.piece_frames().unwrap_or(usize::MAX);
    let frames = recordings.iter().map(|&one| loaded.features[one].frames());
    frames.map(|frames| frames.div_ceil(most).max(1)).sum()
}

/// Pairs of clips that are the same recording, in different subsets.
fn leaked(loaded: &FeatureDataset, split: &Split) -> Vec<(usize, usize)> {
    let mut pairs = loaded.same.clone();
    pairs.retain(|&(first, second)| split.subsets[first] != split.subsets[second]);
    pairs
}

/// The recordings of noise of these settings; none without a folder.
fn noise(config: &RunConfig) -> Result<Sounds> {
    let Some(folder) = &config.training.disturbance.noise_folder else {
        return Ok(Sounds::default());
    };
    read_sounds(folder, &config.audio).context(
        "the recordings of noise (--noise, or noise_folder in [training.disturbance]) cannot be used",
    )
}

/// The recordings of noise of a run, which must be those that it was started with. An earlier version
/// did not record their content.
pub(super) fn same_noise(config: &RunConfig, run: &RunFolder) -> Result<Sounds> {
    let noise = noise(config)?;
    let started_with = config.data.noise_content;
    if let Some(folder) = &config.training.disturbance.noise_folder {
        ensure!(
            started_with.is_none() || started_with == noise.content,
            "the recordings of noise in {} are not those that {} was started with, so the results would \
             not belong together. Restore them, or choose another name",
            folder.display(),
            run.name()
        );
    }
    Ok(noise)
}

/// The untrained model of these settings.
fn fresh(config: &RunConfig, device: Device) -> EmotionModel {
    training::fresh_model(
        &config.model,
        config.training.seed,
        config.features.coefficients(),
        &config.data.classes,
        device,
    )
}

/// Device of this process. If no GPU is named, the processes of a machine are distributed over its
/// GPUs. The processes exchange their devices.
fn device_of(config: &RunConfig, group: &ProcessGroup) -> Result<Device> {
    let device = config.training.device.resolve_for(group.local_rank())?;
    device::set_gpu_numbers(config.training.tf32);
    group.compute_on(device)?;
    Ok(device)
}

/// Rejects processes with different recordings or settings, which would train one model on a
/// mixture. Processes on several machines may have different copies of a corpus.
fn agree(
    group: &ProcessGroup,
    config: &RunConfig,
    clips: &[Clip],
    subsets: &[Subset],
) -> Result<()> {
    if !group.is_distributed() {
        return Ok(());
    }
    let mut settings = fixed_settings(config);
    settings.emovox.clone_from(&config.emovox);
    settings.data.noise_content = config.data.noise_content;
    settings.training.epochs = config.training.epochs;
    settings.training.early_stopping = config.training.early_stopping;
    let mut hash = blake3::Hasher::new();
    hash.update(toml::to_string(&settings)?.as_bytes());
    for (clip, subset) in clips.iter().zip(subsets) {
        hash.update(format!("{clip:?} {subset:?}").as_bytes());
    }
    let own = hash.finalize().as_bytes().to_vec();
    let first = group.broadcast_bytes(Some(own.clone()))?;
    ensure!(
        first == Some(own),
        "this process has other recordings ({} here) or other settings than the first process; all \
         processes need the same copy of the corpus and the same command",
        clips.len()
    );
    // Nothing is written before all processes agree.
    group.wait_for_all()
}

/// Makes the paths of manifests absolute, so that they do not depend on the working directory.
pub(crate) fn absolute_lists(mut data: DataConfig) -> Result<DataConfig> {
    for list in [
        &mut data.manifest,
        &mut data.test_manifest,
        &mut data.label_map,
    ] {
        *list = list.as_deref().map(absolute).transpose()?;
    }
    for source in &mut data.sources {
        source.manifest = source.manifest.as_deref().map(absolute).transpose()?;
    }
    Ok(data)
}

pub(super) fn absolute(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).with_context(|| format!("cannot find {}", path.display()))
}
