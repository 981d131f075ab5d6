//! Notes that are printed beside every score of a run.

use anyhow::Result;

use super::{Comparison, initial_lineage};
use crate::config::{DataConfig, RunConfig};
use crate::corpus::Clip;
use crate::corpus::split::{Shared, Split, Subset};
use crate::plural::{counted, is_or_are};
use crate::run::{Lineage, RunFolder, read_split};

/// The note on synthetic recordings. It is not about speakers.
pub const SYNTHETIC: &str = "synthetic demo corpus";

/// True if a note questions that the test speakers are new to the model.
pub fn is_in_question(notes: &[String]) -> bool {
    notes.iter().any(|note| note != SYNTHETIC)
}

/// Properties of the recordings of a run that limit the meaning of its scores.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caveats {
    /// True if the recordings are synthetic.
    pub synthetic: bool,
    /// The pairs of subsets with common speakers.
    pub shared: Shared,
    /// Number of recordings that are in several subsets, under different names.
    pub repeated: usize,
    /// Comparison of the test subset with all recordings of the initial weights (training and
    /// validation).
    pub test: Comparison,
    /// Comparison of the validation subset with the training recordings of the initial weights.
    pub validation: Comparison,
}

impl Caveats {
    /// The caveats of a run with the given clips, whose initial weights have the lineage `initial`.
    pub fn new(data: &DataConfig, clips: &[Clip], split: &Split, initial: &Lineage) -> Caveats {
        let clips_of =
            |subset: Subset| split.indices(subset).into_iter().map(|index| &clips[index]);
        Caveats {
            synthetic: data.is_synthetic(),
            shared: split.shared.clone(),
            repeated: data.leaked,
            test: Comparison::of(initial, data, clips_of(Subset::Test)),
            validation: Comparison::with_trained(initial, data, clips_of(Subset::Validation)),
        }
    }

    /// The caveats of a saved run.
    ///
    /// # Errors
    /// Fails if the files of the run cannot be read.
    pub fn of_run(run: &RunFolder) -> Result<Caveats> {
        let config = RunConfig::read(&run.config_toml())?;
        let (clips, subsets) = read_split(&run.split_csv(), &config.data.sources)?;
        let initial = initial_lineage(run, &config)?;
        let split = Split::new(&clips, subsets);
        Ok(Caveats::new(&config.data, &clips, &split, &initial))
    }

    /// Adds the caveats of another run, for scores of both runs together.
    pub fn merge(&mut self, other: Caveats) {
        self.synthetic |= other.synthetic;
        for pair in other.shared.0 {
            if !self.shared.0.contains(&pair) {
                self.shared.0.push(pair);
            }
        }
        self.repeated = self.repeated.max(other.repeated);
        self.test.merge(other.test);
        self.validation.merge(other.validation);
    }

    /// True if the model may have been trained on a test speaker, or if two subsets share a
    /// speaker.
    pub fn speakers_shared(&self) -> bool {
        self.shared.any() || self.repeated > 0 || self.test.shares_speakers()
    }

    /// The notes, each one clause without a full stop.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.synthetic {
            notes.push(SYNTHETIC.to_string());
        }
        notes.extend(self.shared.note());
        if self.repeated > 0 {
            let recordings = counted(self.repeated, "recording");
            let verb = is_or_are(self.repeated);
            notes.push(format!("{recordings} {verb} in several subsets"));
        }
        notes.extend(self.notes_on_weights());
        notes
    }

    /// Only the notes on the initial weights.
    pub fn notes_on_weights(&self) -> Vec<String> {
        let mut notes = self.test.notes("the initial weights");
        if self.validation.is_leak() {
            notes.push(format!(
                "the initial weights were trained on the validation subset: {}",
                self.validation.listed()
            ));
        }
        notes
    }
}
