//! The clips that a command scores a trained run on: its own, or those of another corpus.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Args, ValueEnum};

use super::adapt::AdaptationGroups;
use super::folder::FolderArgs;
use super::list::ListArgs;
use super::{Runs, data_folder, find_own_of, models, open_data, tell_skipped, warning};
use emovox::config::RunConfig;
use emovox::corpus::split::Subset;
use emovox::corpus::{self, Clip, Corpus, Skipped};
use emovox::evaluation::{AlignedLabels, LabelMap};
use emovox::experiments::{Own, ScoreNotes, notes_on_others, notes_on_own, own_recordings};
use emovox::inference::Trained;
use emovox::run::Outputs;

/// A run and the clips to score it on.
#[derive(Args)]
pub(super) struct ScoredArgs {
    /// Run: its name below runs/, its folder, or its bundle
    pub(super) run: String,
    #[command(flatten)]
    pub(super) runs: Runs,
    /// Folder of other recordings, or the new folder of the run's recordings
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    folder: FolderArgs,
    #[command(flatten)]
    list: ListArgs,
    /// Subset to score [default: test; with another corpus: all]
    #[arg(long, value_enum, alias = "part")]
    subset: Option<SubsetName>,
    /// Adapt the model to the recordings before it is scored on them, without their labels
    #[arg(long, value_enum, value_name = "GROUPS")]
    pub(super) adapt: Option<AdaptationGroups>,
    /// Replace a label of the model and of the recordings; can be repeated
    #[arg(long, value_name = "LABEL=LABEL", value_parser = pair)]
    map: Vec<(String, String)>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum SubsetName {
    Train,
    Validation,
    Test,
    All,
}

impl SubsetName {
    fn subset(self) -> Option<Subset> {
        match self {
            SubsetName::Train => Some(Subset::Train),
            SubsetName::Validation => Some(Subset::Validation),
            SubsetName::Test => Some(Subset::Test),
            SubsetName::All => None,
        }
    }
}

/// The clips to score.
pub(super) struct Chosen {
    pub(super) corpus: Corpus,
    pub(super) subset: String,
    /// The subset of the run's own recordings. `None` for other recordings.
    own: Option<SubsetName>,
    /// Recordings of the run that its training could not read.
    pub(super) skipped_before: usize,
}

impl Chosen {
    /// True for recordings of the run.
    pub(super) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Prints how another corpus was understood, and warnings about recordings that are left out, also
    /// those that could not be read.
    pub(super) fn warn(&self, unreadable: &[Skipped]) {
        tell_skipped(&self.corpus.skipped);
        tell_skipped(unreadable);
        for line in self.corpus.rules.iter().chain(&self.corpus.notes) {
            warning!("{line}");
        }
    }

    /// Everything that limits the meaning of the scores on the clips that could be read.
    pub(super) fn notes(&self, run: &Trained, loaded: &[Clip]) -> Result<ScoreNotes> {
        match self.own {
            Some(subset) => notes_on_own(run, subset.subset(), &self.corpus.clips, loaded),
            None => notes_on_others(run, &self.corpus, loaded),
        }
    }
}

impl ScoredArgs {
    /// Opens the run.
    pub(super) fn open(&self) -> Result<Trained> {
        self.folder.require(self.data.as_deref());
        let run = models::open(&self.runs.runs_dir, &self.run)?;
        if self.adapt.is_some() {
            run.check_adaptable()?;
        }
        Ok(run)
    }

    /// Protects the manifests, which are inputs.
    pub(super) fn protect(&self, outputs: &mut Outputs) {
        self.list.protect(outputs);
    }

    /// Selects the run's own clips by subset, also if they have moved; or the clips of another
    /// corpus.
    pub(super) fn choose(&self, run: &Trained) -> Result<Chosen> {
        self.list
            .check_conflict(self.data.as_ref().map(|_| "--data <DIR>"));
        if let Some(manifest) = self.list.data()? {
            return self.other(open_data(&manifest)?);
        }
        let (split, config) = (run.split()?, run.config());
        let Some(data) = &self.data else {
            let own = find_own_of(split, config, None).map_err(|error| {
                if run.builtin().is_some() {
                    anyhow!(
                        "{} is a built-in model, and the recordings that it was trained and tested on are \
                         not here; give yours with --data DIR",
                        run.name()
                    )
                } else {
                    error
                }
            });
            return self.own_subset(own?, config);
        };
        match own_recordings(split, config, Some(data_folder(data)?))? {
            Some(own) => self.own_subset(own, config),
            None => {
                let corpus = self.folder.open(data, self.list.subset_words())?;
                self.other(corpus)
            }
        }
    }

    fn own_subset(&self, own: Own, config: &RunConfig) -> Result<Chosen> {
        let Own {
            mut corpus,
            subsets,
        } = own;
        let name = self.subset.unwrap_or(SubsetName::Test);
        if let Some(subset) = name.subset() {
            let in_subset = corpus.clips.into_iter().zip(subsets);
            let in_subset = in_subset.filter(|&(_, clip_subset)| clip_subset == subset);
            corpus.clips = in_subset.map(|(clip, _)| clip).collect();
            ensure!(
                !corpus.clips.is_empty(),
                "this run has no clip in the {subset} subset, because it is trained without one; score other \
                 recordings with --data, or estimate its score with emovox cross-validate"
            );
        }
        Ok(Chosen {
            corpus,
            subset: name
                .subset()
                .map_or("all".into(), |subset| subset.to_string()),
            own: Some(name),
            skipped_before: config.data.skipped,
        })
    }

    /// Selects the clips of another corpus, or those of one subset if the corpus defines subsets.
    fn other(&self, mut corpus: Corpus) -> Result<Chosen> {
        let subset = self.subset.and_then(SubsetName::subset);
        match subset {
            Some(subset) if !corpus.given.is_empty() => {
                let given = &corpus.given;
                corpus
                    .clips
                    .retain(|clip| given.get(&clip.file) == Some(&subset));
            }
            Some(_) if self.list.data()?.is_some() => bail!(
                "the manifest defines no subsets; leave out --subset to score all of its recordings"
            ),
            Some(_) => bail!(
                "{} does not have all recordings of the run, so it has no such subset; leave out --subset \
                 to score all of its recordings",
                corpus.folder.display()
            ),
            None => {}
        }
        Ok(Chosen {
            corpus,
            subset: subset.map_or("all".into(), |subset| subset.to_string()),
            own: None,
            skipped_before: 0,
        })
    }

    /// Maps the classes of the model and the labels of the recordings to common labels.
    ///
    /// # Errors
    /// If --map is wrong, or if no clip has a label of the model.
    pub(super) fn map_labels(
        &self,
        chosen: &Chosen,
        classes: &[String],
        clips: &[Clip],
    ) -> Result<AlignedLabels> {
        let given = &self.map;
        let mut labels: Vec<String> = corpus::classes(clips);
        labels.extend_from_slice(classes);
        labels.sort();
        labels.dedup();
        // A word on the command line means what a folder with this name means.
        let label_of = |word: &str| corpus::find_label(word, &labels);
        let mut map = BTreeMap::new();
        for (word, to) in given {
            let from = label_of(word).with_context(|| {
                format!(
                    "--map {word}={to}: neither the model nor the recordings have the label {word}"
                )
            })?;
            let to = label_of(to).unwrap_or_else(|| to.clone());
            let before = map.insert(from.clone(), to.clone());
            ensure!(
                before.is_none(),
                "--map {from}=… is given twice; a label can be mapped to only one other label"
            );
        }
        let map = if chosen.is_own() {
            LabelMap::within(map)
        } else {
            LabelMap::across(map)
        };
        let labels = map.align(classes, clips.iter().map(|clip| clip.label.as_str()));
        for (from, to) in given.iter().filter(|(from, to)| from != to) {
            ensure!(
                corpus::find_label(to, labels.classes()).is_some(),
                "--map {from}={to}: the model has no label {to}; its labels are {}",
                labels.classes().join(", ")
            );
        }
        ensure!(
            clips
                .iter()
                .any(|clip| labels.classes().contains(&labels.of(&clip.label))),
            "no clip in {} has a label of the model ({}); --map LABEL=LABEL maps other labels to these",
            chosen.corpus.folder.display(),
            labels.classes().join(", ")
        );
        Ok(labels)
    }
}

/// Parses LABEL=LABEL.
pub(super) fn pair(word: &str) -> Result<(String, String), String> {
    match word.split_once('=') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok((from.into(), to.into())),
        _ => Err("must be two labels, as in boredom=neutral".into()),
    }
}
