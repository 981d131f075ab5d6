//! Notes that belong beside every score of a run.

use anyhow::Result;

use super::{Comparison, initial_lineage};
use crate::config::{DataConfig, RunConfig};
use crate::corpus::Clip;
use crate::corpus::split::{Part, Shared, Split};
use crate::run::{Lineage, RunFolder, read_split};

/// The note of recordings that were made by a machine. It says nothing about speakers.
const SYNTHETIC: &str = "synthetic demo corpus";

/// True where notes question that the test speakers are new to a model.
pub fn is_in_question(notes: &[String]) -> bool {
    notes.iter().any(|note| note != SYNTHETIC)
}

/// Everything about the recordings of a run that a reader of its scores must know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caveats {
    /// True where recordings were made by a machine.
    pub synthetic: bool,
    /// The parts that have speakers in common.
    pub shared: Shared,
    /// Number of recordings that are in several parts, under several names.
    pub repeated: usize,
    /// The test part, and the recordings that the initial weights have learned from.
    pub test: Comparison,
    /// The validation part, and the recordings that the initial weights were fitted to.
    pub validation: Comparison,
}

impl Caveats {
    /// The caveats of a run with these clips, whose initial weights have this lineage.
    pub fn new(data: &DataConfig, clips: &[Clip], split: &Split, initial: &Lineage) -> Caveats {
        let of = |part: Part| split.indices(part).into_iter().map(|index| &clips[index]);
        Caveats {
            synthetic: data.is_synthetic(),
            shared: split.shared.clone(),
            repeated: data.leaked,
            test: Comparison::of(initial, data, of(Part::Test)),
            validation: Comparison::with_trained(initial, data, of(Part::Validation)),
        }
    }

    /// The caveats of a run that is on the disk.
    ///
    /// # Errors
    /// Fails if the files of the run cannot be read.
    pub fn of_run(run: &RunFolder) -> Result<Caveats> {
        let config = RunConfig::read(&run.config_toml())?;
        let (clips, parts) = read_split(&run.split_csv(), &config.data.sources)?;
        let initial = initial_lineage(run, &config)?;
        let split = Split::new(&clips, parts);
        Ok(Caveats::new(&config.data, &clips, &split, &initial))
    }

    /// Adds those of another run, for scores of both together.
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

    /// True where a voice of the test part may be known to the model, or two parts share a voice.
    pub fn speakers_shared(&self) -> bool {
        self.shared.any() || self.repeated > 0 || self.test.shares_speakers()
    }

    /// The notes, each a part of a sentence.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.synthetic {
            notes.push(SYNTHETIC.to_string());
        }
        notes.extend(self.shared.note());
        match self.repeated {
            0 => {}
            1 => notes.push("1 recording is in several parts".into()),
            many => notes.push(format!("{many} recordings are in several parts")),
        }
        notes.extend(self.notes_on_weights());
        notes
    }

    /// The notes on the initial weights alone.
    pub fn notes_on_weights(&self) -> Vec<String> {
        let mut notes = self.test.notes("the initial weights");
        if self.validation.is_leak() {
            notes.push(format!(
                "the initial weights were trained on the validation part: {}",
                self.validation.listed()
            ));
        }
        notes
    }
}
