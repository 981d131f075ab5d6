//! Plan of a study: its settings and its trials, saved in a file of the study's folder. A study can
//! only be continued with the plan that it was started with; seeds may be added.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::initial::InitialWeights;
use super::run::{open_corpus, same_noise};
use super::trial::{Subject, Trial};
use crate::bounded;
use crate::config::{DataConfig, RunConfig, TrainingConfig, rename_old_keys};
use crate::corpus::{Changes, Clip, Corpus};
use crate::dataset::{FeatureCache, read_contents};
use crate::io::write_bytes;
use crate::run::{Lineage, RunFolder, RunLock, read_skipped, read_split};

/// Settings and subjects of a study, in the format of its plan file.
pub trait Plan: Clone + Serialize + DeserializeOwned {
    /// Name of the plan file.
    const FILE: &'static str;
    /// Name of this kind of study in messages.
    const KIND: &'static str;

    /// Settings that all trials have in common.
    fn config(&self) -> &RunConfig;
    /// The same settings, to be changed.
    fn config_mut(&mut self) -> &mut RunConfig;
    /// Seeds: each subject is trained with each seed.
    fn seeds(&self) -> &[u64];
    /// The same seeds, to be changed.
    fn seeds_mut(&mut self) -> &mut Vec<u64>;
    /// Folds or corpora.
    fn subjects(&self) -> Vec<Subject<'_>>;
    /// The corpora of the trials, each once.
    fn data(&self) -> Vec<&DataConfig>;
    /// True if both plans are for the same recordings and subjects, as far as the command line
    /// determines them.
    fn has_same_source(&self, other: &Self) -> bool;
    /// Differences to a requested plan, apart from those of [`config`](Plan::config): one sentence
    /// each.
    fn differences(&self, requested: &Self) -> Vec<String>;
    /// Rejects initial weights that were trained on test recordings or test speakers.
    ///
    /// # Errors
    /// The error names the recordings and the speakers.
    fn check_weights(&self, lineage: &Lineage, corpora: &[(&DataConfig, Corpus)]) -> Result<()>;

    /// All trials in a study's folder: all subjects with the first seed, then all with the second.
    fn trials<'a>(&'a self, folder: &'a Path) -> Vec<Trial<'a>> {
        let subjects = self.subjects();
        let with_seed = |&seed: &u64| {
            let trial = move |&subject: &Subject<'a>| Trial {
                subject,
                seed,
                folder,
                shared: self.config(),
            };
            subjects.iter().map(trial).collect::<Vec<_>>()
        };
        self.seeds().iter().flat_map(with_seed).collect()
    }
}

/// Several trials with one plan, in one folder.
#[derive(Debug)]
pub struct Study<P> {
    /// Folder of the plan file, the runs and the results.
    pub folder: PathBuf,
    /// Settings and subjects.
    pub plan: P,
    /// Excludes other processes, if the study was opened by [`Study::open`].
    _lock: Option<RunLock>,
}

impl<P: Plan> Study<P> {
    /// Starts a study in a folder or continues the one in it, and excludes other processes. The
    /// plan gets the seeds of the study that is continued.
    ///
    /// # Errors
    /// If the folder contains something else or a study with another plan, if another process uses
    /// it, or if it cannot be written.
    pub fn open(folder: &Path, plan: P) -> Result<Study<P>> {
        ensure!(
            folder.join(P::FILE).exists() || !has_content(folder),
            "{} exists and is not a {}; choose another --name",
            folder.display(),
            P::KIND
        );
        create_folder(folder)?;
        let lock = RunLock::take(folder)?;
        let mut study = Study::open_shared(folder, plan)?;
        study.plan = study.write_plan()?;
        study._lock = Some(lock);
        Ok(study)
    }

    /// Opens a study for one of several processes, which may be on different machines. Nothing is
    /// written and no process is excluded.
    ///
    /// # Errors
    /// If the folder contains a study with another plan.
    pub fn open_shared(folder: &Path, mut plan: P) -> Result<Study<P>> {
        if let Some(existing) = existing_plan::<P>(folder)? {
            refuse_other_plan(&existing, &plan, folder)?;
            keep_started(plan.config_mut(), existing.config());
        }
        Ok(Study {
            folder: folder.into(),
            plan,
            _lock: None,
        })
    }

    /// Creates the folder with the plan file in it, if it does not exist yet.
    ///
    /// # Errors
    /// If the folder contains a study with another plan, or if it cannot be written.
    pub fn create(&self) -> Result<()> {
        create_folder(&self.folder)?;
        self.write_plan()?;
        Ok(())
    }

    /// Writes the plan with the seeds of the plan file added, and returns it.
    fn write_plan(&self) -> Result<P> {
        let mut plan = self.plan.clone();
        if let Some(existing) = existing_plan::<P>(&self.folder)? {
            refuse_other_plan(&existing, &plan, &self.folder)?;
            plan.seeds_mut().extend(existing.seeds());
            plan.seeds_mut().sort_unstable();
            plan.seeds_mut().dedup();
        }
        let text = toml::to_string(&plan).context("the plan cannot be written as TOML")?;
        write_if_changed(&self.folder.join(P::FILE), &text, bounded::RESULTS)?;
        Ok(plan)
    }

    /// All trials: all subjects with the first seed, then all with the second.
    pub fn trials(&self) -> Vec<Trial<'_>> {
        self.plan.trials(&self.folder)
    }

    /// Name of the study: that of its folder.
    pub fn name(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

/// Rejects recordings, also of noise, that differ from those of a trial in `folder`, and initial weights
/// that were trained on test recordings or test speakers. It reads the recordings only if there is
/// something to compare with.
///
/// # Errors
/// The error names the recordings and the speakers.
pub fn check<P: Plan>(plan: &P, folder: &Path, cache: Option<&FeatureCache>) -> Result<()> {
    // A study with another plan is rejected later, and its recordings may differ.
    let existing = match existing_plan::<P>(folder)? {
        Some(existing) if existing.has_same_source(plan) => {
            let differences = differing_settings(existing.config(), plan.config())?;
            differences.is_empty().then_some(existing)
        }
        _ => None,
    };
    let trials: Vec<Trial> = existing
        .iter()
        .flat_map(|plan| plan.trials(folder))
        .collect();
    for trial in trials.iter().filter(|trial| trial.has_started()) {
        trial.check_settings()?;
    }
    let weights = plan.config().training.init_weights.as_deref();
    let initial = weights.map(InitialWeights::read).transpose()?;
    let lineage = initial.map(|initial| initial.lineage);
    let mut corpora = Vec::new();
    for (index, data) in plan.data().into_iter().enumerate() {
        let saved = existing
            .as_ref()
            .and_then(|plan| plan.data().get(index).copied());
        let mut trials = trials.iter();
        let started = trials.find(|trial| Some(trial.data()) == saved && trial.has_started());
        if started.is_none() && lineage.is_none() {
            continue;
        }
        let mut corpus = open_corpus(data)?;
        read_contents(&mut corpus, cache);
        if let Some(trial) = started {
            check_recordings(&trial.run()?, data, &corpus)?;
        }
        corpora.push((data, corpus));
    }
    if let Some(trial) = trials.iter().find(|trial| trial.has_started()) {
        let run = trial.run()?;
        same_noise(&RunConfig::read(&run.config_toml())?, &run)?;
    }
    match lineage {
        Some(lineage) => plan.check_weights(&lineage, &corpora),
        None => Ok(()),
    }
}

/// Rejects recordings that differ from those of a run.
fn check_recordings(run: &RunFolder, data: &DataConfig, corpus: &Corpus) -> Result<()> {
    let (clips, _) = read_split(&run.split_csv(), &data.sources)?;
    let unreadable = read_skipped(&run.skipped_csv())?;
    let mut changes = Changes::between(&clips, &corpus.clips);
    changes
        .new
        .retain(|file| !unreadable.iter().any(|skipped| skipped.file == *file));
    ensure!(
        changes.is_empty(),
        "the recordings are not those that {} was trained on: {changes}. Scores on different \
         recordings are not pooled: restore the recordings, or choose another name",
        run.path().display()
    );
    Ok(())
}

/// Rejects pooled scores of trials with different recordings. Returns the number of trials whose
/// recordings cannot be compared because a version without content hashes trained them.
///
/// # Errors
/// The error names the two runs and the recordings.
pub(super) fn check_pooled(trials: &[Trial]) -> Result<usize> {
    let Some((first, others)) = trials.split_first() else {
        return Ok(0);
    };
    let recordings = first.recordings()?;
    let without_hash = |clips: &[Clip]| clips.iter().any(|clip| clip.content.is_none());
    let mut not_compared = usize::from(without_hash(&recordings));
    for other in others {
        let theirs = other.recordings()?;
        not_compared += usize::from(without_hash(&theirs));
        let changes = Changes::between(&recordings, &theirs);
        ensure!(
            changes.is_empty(),
            "{} was trained on other recordings than {}: {changes}. Scores on different recordings \
             are not pooled: remove the folder of the run with the wrong recordings, and train it \
             again",
            other.run_path().display(),
            first.run_path().display()
        );
    }
    Ok(not_compared)
}

/// The plan file in a folder, if there is one.
fn existing_plan<P: Plan>(folder: &Path) -> Result<Option<P>> {
    let file = folder.join(P::FILE);
    if !file.exists() {
        return Ok(None);
    }
    let text = bounded::read_text(&file, bounded::RESULTS)
        .with_context(|| format!("cannot read {}", file.display()))?;
    parse(&text)
        .map_err(|error| anyhow!("{} is not a plan of emovox:\n{error}", file.display()))
        .map(Some)
}

/// Parses a plan, also one of an earlier version.
fn parse<P: Plan>(text: &str) -> Result<P, toml::de::Error> {
    let mut table: Table = text.parse()?;
    if let Some(config) = table.get_mut("config").and_then(Value::as_table_mut) {
        rename_old_keys(config);
    }
    P::deserialize(table)
}

/// Rejects a plan that differs from the plan of existing trials.
fn refuse_other_plan<P: Plan>(existing: &P, requested: &P, folder: &Path) -> Result<()> {
    let mut differences = differing_settings(existing.config(), requested.config())?;
    differences.extend(existing.differences(requested));
    if !differences.is_empty() {
        bail!(
            "{} would become another {}: {}; choose another --name",
            folder.display(),
            P::KIND,
            differences.join("; ")
        );
    }
    Ok(())
}

/// Settings that differ and change the training, one sentence each. The device does not change it,
/// nor the permission to train despite a leak, which is noted beside every score.
fn differing_settings(existing: &RunConfig, requested: &RunConfig) -> Result<Vec<String>> {
    const SAME_TRAINING: [&str; 3] = ["training.device", "training.allow_leak", "emovox"];
    let mut requested = requested.clone();
    keep_started(&mut requested, existing);
    existing.difference_texts(&requested, |key| !SAME_TRAINING.contains(&key))
}

/// Keeps recordings whole in a study of an earlier version, which did not divide long recordings.
fn keep_started(requested: &mut RunConfig, existing: &RunConfig) {
    let default = TrainingConfig::default().piece_seconds;
    if existing.training.piece_seconds == 0.0 && requested.training.piece_seconds == default {
        requested.training.piece_seconds = 0.0;
    }
}

/// True if a folder contains more than the hidden files of a process that was killed before it
/// wrote its first file.
pub(super) fn has_content(folder: &Path) -> bool {
    let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.any(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
}

pub(super) fn create_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

/// Writes a text file, unless it has this text already. `limit` bounds the bytes that are read.
pub(super) fn write_if_changed(file: &Path, text: &str, limit: u64) -> Result<()> {
    match bounded::read_text(file, limit) {
        Ok(existing) if existing == text => Ok(()),
        _ => write_bytes(file, text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Arch;
    use crate::experiments::FoldPlan;

    #[test]
    fn a_plan_with_old_names_of_settings_is_read() {
        let plan = FoldPlan {
            folds: "2".into(),
            seeds: vec![1],
            test_corpora: Vec::new(),
            clips: 30,
            classes: vec!["anger".into(), "neutral".into()],
            fold: Vec::new(),
            config: RunConfig::recipe(Arch::Bilstm),
        };
        let mut text = toml::to_string(&plan).unwrap();
        for (name, old) in [("ensemble_size", "members"), ("vtlp_warps", "vocal_tracts")] {
            assert!(text.contains(name));
            text = text.replace(name, old);
        }
        assert_eq!(parse::<FoldPlan>(&text).unwrap(), plan);
        let error = parse::<FoldPlan>(&text.replace("members", "membres")).unwrap_err();
        assert!(error.to_string().contains("membres"), "{error}");
    }

    #[test]
    fn trials_of_an_earlier_version_continue_with_whole_recordings() {
        let requested = RunConfig::recipe(Arch::Bilstm);
        let mut existing = requested.clone();
        existing.training.piece_seconds = 0.0;
        existing.training.allow_leak = true;
        assert!(
            differing_settings(&existing, &requested)
                .unwrap()
                .is_empty()
        );
        let mut continued = requested.clone();
        keep_started(&mut continued, &existing);
        assert_eq!(continued.training.piece_seconds, 0.0);
        // Another length was requested, or the study was started with one.
        let mut other = requested.clone();
        other.training.piece_seconds = 10.0;
        for (existing, requested) in [(&existing, &other), (&other, &requested)] {
            let differences = differing_settings(existing, requested).unwrap();
            assert!(differences[0].starts_with("training.piece_seconds is "));
        }
    }
}
