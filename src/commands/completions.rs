//! `emovox completions` and `emovox man`: completion scripts and manual pages, made by clap.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::output::OutputArgs;
use super::terminal::print_data;
use super::{Cli, say};
use emovox::io::write_output;
use emovox::run::beginning;

/// Print a completion script for a shell
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox completions bash > ~/.local/share/bash-completion/completions/emovox
  emovox completions zsh > ~/.zfunc/_emovox
  emovox completions fish > ~/.config/fish/completions/emovox.fish")]
pub struct CompletionsArgs {
    /// Shell to complete in
    shell: Shell,
}

/// Print the manual page, or write one for each command
#[derive(Args)]
#[command(after_help = "\
Examples:
  emovox man | man -l -                                 show the manual page
  emovox man --out ~/.local/share/man/man1              for man emovox, man emovox-train …")]
pub struct ManArgs {
    /// Folder for emovox.1, emovox-train.1 …
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

pub fn completions(args: &CompletionsArgs) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "emovox", &mut script);
    print_data(&script);
    Ok(ExitCode::SUCCESS)
}

pub fn man(args: &ManArgs) -> Result<ExitCode> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let Some(folder) = &args.out else {
        print_data(&page(&command)?);
        return Ok(ExitCode::SUCCESS);
    };
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let commands: Vec<&Command> = std::iter::once(&command)
        .chain(command.get_subcommands())
        .collect();
    let mut outputs = args.output.outputs();
    for command in &commands {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let file = folder.join(format!("{name}.1"));
        outputs.check(&file, is_own_page)?;
        let page = page(command)?;
        write_output(&file, |file| Ok(file.write_all(&page)?))?;
    }
    say!("{}: {} pages", folder.display(), commands.len());
    Ok(ExitCode::SUCCESS)
}

/// True for a manual page of emovox, identified by its title.
fn is_own_page(file: &Path) -> bool {
    let beginning = beginning(file, 1024);
    String::from_utf8_lossy(&beginning).contains(".TH emovox")
}

fn page(command: &Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone()).section("1").render(&mut page)?;
    Ok(page)
}
