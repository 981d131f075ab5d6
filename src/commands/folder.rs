//! Flags for the meaning of a folder, for every command that reads a corpus from a folder.

use std::path::Path;

use anyhow::Result;
use clap::Args;

use super::data_folder;
use emovox::corpus::{self, Corpus, CorpusKind, Layout, ScanOptions, SubsetWords};

#[derive(Args)]
pub(super) struct FolderArgs {
    /// Kind of the corpus, if emovox does not recognise it by the file names
    #[arg(long, value_enum)]
    pub(super) corpus: Option<CorpusKind>,
    /// Meaning of the folders, as in SPEAKER/CLASS or SPLIT/CLASS/SPEAKER [default: recognised]
    #[arg(long, value_name = "LEVELS")]
    pub(super) layout: Option<Layout>,
}

impl FolderArgs {
    /// The first of these flags that is given.
    pub(super) fn given(&self) -> Option<&'static str> {
        match (&self.corpus, &self.layout) {
            (Some(_), _) => Some("--corpus"),
            (None, Some(_)) => Some("--layout"),
            (None, None) => None,
        }
    }

    /// Ends the program with a message if a flag is given without a folder, as any other missing flag
    /// does.
    pub(super) fn require(&self, folder: Option<&Path>) {
        if let (Some(flag), None) = (self.given(), folder) {
            let message = format!("'{flag}' describes a folder and needs '--data <DIR>'\n");
            clap::Error::raw(clap::error::ErrorKind::MissingRequiredArgument, message).exit();
        }
    }

    /// Finds the recordings in a folder, or in the demo corpus.
    pub(super) fn open(&self, folder: &Path, subset_words: SubsetWords) -> Result<Corpus> {
        let options = ScanOptions {
            kind: self.corpus,
            layout: self.layout.clone(),
            subset_words,
        };
        let mut corpus = corpus::scan_with(data_folder(folder)?, &options)?;
        corpus.notes.extend(corpus::label_hints(&corpus.clips));
        Ok(corpus)
    }
}
