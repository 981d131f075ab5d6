//! The flag of every command that writes a file where the user says.

use std::path::Path;

use clap::Args;

use super::{say, warning};
use emovox::io::goes_to_standard_output;
use emovox::run::Outputs;

#[derive(Args)]
pub(super) struct OutputArgs {
    /// Replace an output file even if nothing shows that emovox wrote it
    #[arg(long)]
    force: bool,
}

impl OutputArgs {
    /// The checks of what is written.
    pub(super) fn outputs(&self) -> Outputs {
        Outputs::new(self.force)
    }
}

/// Prints a line about an output file that was written: on standard error if the file is standard output.
pub(super) fn report_written(out: &Path, line: &str) {
    match goes_to_standard_output(out) {
        true => warning!("{line}"),
        false => say!("{line}"),
    }
}
