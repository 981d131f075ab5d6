//! The flag of every command that writes a file where the user says.

use clap::Args;

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
