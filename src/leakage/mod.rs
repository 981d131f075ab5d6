//! Leakage: recordings and speakers that are scored as new, though the model has learned from them.
//!
//! Recordings are compared by their bytes, speakers by their names in corpora that may have the same
//! people. Two names do not prove that two voices differ, so a score is called one on other speakers
//! only where everything was compared.

mod caveats;
mod comparison;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

pub use caveats::{Caveats, is_in_question};
pub use comparison::Comparison;

use crate::config::RunConfig;
use crate::run::{Lineage, RunFolder, read_lineage, read_split};

/// The lineage of the weights that a run started from. It is empty for fresh weights.
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

/// The lineage of the weights in a file: it stands beside them in the run folder. Of weights outside a
/// run folder nothing is known.
///
/// # Errors
/// Fails if the weights are not there, or if the files of their run cannot be read.
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
    let own = [run.best_ot(), run.last_ot(), run.previous_ot()];
    if !own.iter().any(|own| own.file_name() == weights.file_name()) {
        return Ok(Lineage::unknown(&weights));
    }
    let (clips, parts) = read_split(&run.split_csv(), &config.data.sources)?;
    let made_with = (clips.as_slice(), parts.as_slice());
    Ok(Lineage::of_run(
        &run.name(),
        &config.data,
        made_with,
        initial,
    ))
}

/// Refuses weights that have learned from what is going to be tested, unless the settings allow it.
///
/// # Errors
/// Names the recordings and speakers.
pub fn refuse_leak(test: &Comparison, config: &RunConfig) -> Result<()> {
    if config.training.allow_leak || !test.is_leak() {
        return Ok(());
    }
    let weights = config.training.init_weights.as_deref();
    bail!(
        "the initial weights {} have learned from what is tested: {}. Choose other weights, or other \
         speakers for the test; --allow-leak (allow_leak in [training]) trains all the same and notes it \
         beside every score",
        weights.unwrap_or(Path::new("")).display(),
        test.listed()
    )
}
