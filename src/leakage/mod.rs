//! Leakage: recordings and speakers that are scored as new although the model was trained on them.
//!
//! Recordings are compared by their bytes, speakers by their names in corpora that may contain the
//! same people. Different names do not prove different speakers, so a score is described as a score
//! on other speakers only if everything was compared.

mod caveats;
mod comparison;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

pub use caveats::{Caveats, SYNTHETIC, is_in_question};
pub use comparison::Comparison;

use crate::config::RunConfig;
use crate::run::{Lineage, RunFolder, read_lineage, read_split};

/// The lineage of the initial weights of a run. It is empty for random initial weights.
///
/// # Errors
/// Fails if `ancestors.csv` cannot be read.
pub fn initial_lineage(run: &RunFolder, config: &RunConfig) -> Result<Lineage> {
    match &config.training.init_weights {
        _ if run.ancestors_csv().exists() => read_lineage(&run.ancestors_csv()),
        Some(weights) => Ok(Lineage::unknown(weights)),
        None => Ok(Lineage::default()),
    }
}

/// The lineage of the weights in a file, from the files beside them in the run folder. The lineage
/// of weights outside a run folder is unknown.
///
/// # Errors
/// Fails if the weights do not exist, or if the files of their run cannot be read.
pub fn lineage_of_weights(weights: &Path) -> Result<Lineage> {
    let weights =
        fs::canonicalize(weights).with_context(|| format!("cannot find {}", weights.display()))?;
    let run = weights.parent().and_then(RunFolder::at);
    let Some(run) = run.filter(|run| run.split_csv().is_file()) else {
        return Ok(Lineage::unknown(&weights));
    };
    let config = RunConfig::read(&run.config_toml())?;
    let initial = initial_lineage(&run, &config)?;
    if weights.file_name() == run.init_ot().file_name() {
        return Ok(initial);
    }
    let trained = [run.best_ot(), run.last_ot(), run.previous_ot()];
    if !trained
        .iter()
        .any(|file| file.file_name() == weights.file_name())
    {
        return Ok(Lineage::unknown(&weights));
    }
    let (clips, subsets) = read_split(&run.split_csv(), &config.data.sources)?;
    let made_with = (clips.as_slice(), subsets.as_slice());
    Ok(Lineage::of_run(
        &run.name(),
        &config.data,
        made_with,
        initial,
    ))
}

/// Rejects initial weights that were trained or validated on test recordings or test speakers,
/// unless the settings allow it.
///
/// # Errors
/// Fails in case of a leak; the message names the recordings and speakers.
pub fn refuse_leak(test: &Comparison, config: &RunConfig) -> Result<()> {
    if config.training.allow_leak || !test.is_leak() {
        return Ok(());
    }
    let weights = config.training.init_weights.as_deref();
    bail!(
        "the initial weights {} were trained or validated on the test subset: {}. Choose other \
         weights, or other test speakers; --allow-leak (allow_leak in [training]) trains anyway and \
         notes it beside every score",
        weights.unwrap_or(Path::new("")).display(),
        test.listed()
    )
}
