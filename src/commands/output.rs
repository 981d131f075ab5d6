//! The flags of every command that writes an output file.

use std::path::Path;

use anyhow::{Result, ensure};
use clap::Args;

use super::{say, warning};
use emovox::io::goes_to_standard_output;
use emovox::run::Outputs;

#[derive(Args)]
pub(super) struct OutputArgs {
    /// Replace an existing output file even if emovox did not write it
    #[arg(long)]
    force: bool,
}

impl OutputArgs {
    /// The checks of the output paths.
    pub(super) fn outputs(&self) -> Outputs {
        Outputs::new(self.force)
    }
}

/// Rejects the name of a picture with the ending of another format, because all pictures are PNG.
pub(super) fn check_picture_name(out: &Path) -> Result<()> {
    let other = out
        .extension()
        .filter(|ending| !ending.eq_ignore_ascii_case("png"));
    ensure!(
        other.is_none() || goes_to_standard_output(out),
        "{} does not end in .png, but the picture is a PNG; give a name that ends in .png",
        out.display()
    );
    Ok(())
}

/// Prints a line about a written output file: on standard error if the output is standard output.
pub(super) fn report_written(out: &Path, line: &str) {
    if goes_to_standard_output(out) {
        warning!("{line}")
    } else {
        say!("{line}")
    }
}
