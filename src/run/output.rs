//! Files that a command writes where the user says: never over what is not its own.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{OWN, RunFolder, is_own_file};
use crate::io::{FileId, folder_of, is_written_straight, remove_abandoned, target_of};

/// The files that a command reads and must not write over, and the permission to replace other files.
#[derive(Debug, Default)]
pub struct Outputs {
    force: bool,
    inputs: HashMap<FileId, PathBuf>,
    cleared: HashSet<PathBuf>,
}

impl Outputs {
    /// For a command that has no inputs yet. With `force` it may replace files that emovox did not
    /// write, but no input, no recording and no file of a run.
    pub fn new(force: bool) -> Outputs {
        Outputs {
            force,
            ..Outputs::default()
        }
    }

    /// Protects a file that the command reads, under all its names.
    pub fn protect(&mut self, input: &Path) {
        if let Some(id) = FileId::of(input) {
            self.inputs.insert(id, input.into());
        }
    }

    /// Protects the files of a run: of its name below `runs`, in its folder, or its bundle.
    pub fn protect_run(&mut self, runs: &Path, run: &str) {
        match RunFolder::open(runs, run) {
            Ok(folder) => self.protect_own(folder.path()),
            Err(_) => self.protect(Path::new(run)),
        }
    }

    /// Protects what emovox wrote into the folder of a run or of many runs.
    pub fn protect_own(&mut self, folder: &Path) {
        for file in OWN {
            self.protect(&folder.join(file));
        }
    }

    /// Refuses a place where no output may go. `is_ours` tells of a file that is there already if emovox
    /// wrote it as an output of the same kind. Also removes what killed processes left in that folder.
    ///
    /// # Errors
    /// If the place is an input, a recording, a file of a run, a folder, or (without `force`) a file
    /// that is not ours or a disk.
    pub fn check(&mut self, path: &Path, is_ours: impl FnOnce(&Path) -> bool) -> Result<()> {
        let place = path.display();
        let target = target_of(path)?;
        if is_own_file(&target) {
            bail!(
                "{place} is a file of a run, which only emovox itself writes; choose another --out"
            );
        }
        if target.is_dir() {
            bail!("{place} is a folder; --out names the file");
        }
        if is_written_straight(&target) {
            if is_disk(&target) && !self.force {
                bail!("{place} is a disk, and would be written over; --force does it");
            }
            return Ok(());
        }
        let folder = folder_of(&target);
        if self.cleared.insert(folder.to_path_buf()) {
            remove_abandoned(folder);
        }
        let Some(id) = FileId::of(&target) else {
            return Ok(());
        };
        if let Some(input) = self.inputs.get(&id) {
            bail!(
                "{place} is {}, which this command reads; choose another --out",
                input.display()
            );
        }
        if is_recording(&target) {
            bail!("{place} is a recording, and emovox writes over none; choose another --out");
        }
        if !self.force && !is_ours(&target) {
            bail!(
                "{place} exists, and nothing shows that emovox wrote it as this kind of output; choose \
                 another --out, or replace it with --force"
            );
        }
        Ok(())
    }
}

fn is_disk(target: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        fs::metadata(target).is_ok_and(|metadata| metadata.file_type().is_block_device())
    }
    #[cfg(not(unix))]
    false
}

/// True for a WAV file: no output of emovox is one.
fn is_recording(path: &Path) -> bool {
    let beginning = beginning(path, 12);
    let is_riff = [&b"RIFF"[..], b"RF64", b"RIFX"]
        .iter()
        .any(|form| beginning.starts_with(form));
    is_riff && beginning.ends_with(b"WAVE")
}

/// The first bytes of a file, at most `length`; none where it cannot be read.
pub fn beginning(path: &Path, length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        // Where it ends in an error, what came before it is no more than it is.
        let _ = file.take(length).read_to_end(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn refused(outputs: &mut Outputs, path: &Path) -> String {
        outputs.check(path, |_| true).unwrap_err().to_string()
    }

    #[test]
    fn an_input_is_never_an_output_under_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        fs::write(place("input"), "mine").unwrap();
        fs::hard_link(place("input"), place("hard")).unwrap();
        symlink("input", place("soft")).unwrap();
        symlink(folder.path(), place("folder")).unwrap();
        fs::create_dir(place("sub")).unwrap();
        let mut outputs = Outputs::new(true);
        outputs.protect(&place("input"));
        for name in ["input", "hard", "soft", "folder/input", "sub/../input"] {
            let told = refused(&mut outputs, &place(name));
            assert!(told.contains("which this command reads"), "{name}: {told}");
        }
    }

    #[test]
    fn a_file_that_is_not_ours_needs_force() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        fs::write(&file, "mine").unwrap();
        let told = Outputs::new(false).check(&file, |_| false).unwrap_err();
        assert!(told.to_string().contains("--force"), "{told}");
        Outputs::new(false).check(&file, |_| true).unwrap();
        Outputs::new(true).check(&file, |_| false).unwrap();
    }

    #[test]
    fn a_recording_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        fs::write(&file, b"RIFF\x04\0\0\0WAVE").unwrap();
        let told = refused(&mut Outputs::new(true), &file);
        assert!(told.contains("is a recording"), "{told}");
    }

    #[test]
    fn links_in_a_circle_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        symlink("b", place("a")).unwrap();
        symlink("a", place("b")).unwrap();
        let told = refused(&mut Outputs::new(true), &place("a"));
        assert!(told.contains("in a circle"), "{told}");
    }

    #[test]
    fn files_of_a_run_are_its_own_whether_they_are_there_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        for file in ["config.toml", "split.csv"] {
            fs::write(place(file), "").unwrap();
        }
        symlink("last.ot", place("link")).unwrap();
        for name in [
            "config.toml",
            "split.csv",
            "best.ot",
            "last.ot",
            "Report.json",
            "link",
        ] {
            let told = refused(&mut Outputs::new(true), &place(name));
            assert!(told.contains("a file of a run"), "{name}: {told}");
        }
        Outputs::new(false)
            .check(&place("mine.csv"), |_| false)
            .unwrap();
    }
}
