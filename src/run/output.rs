//! Checks of output paths: a command overwrites only files that it wrote itself.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{OWN, RunFolder, is_own_file};
use crate::audio;
use crate::io::{FileId, folder_of, is_written_straight, remove_abandoned, target_of};

/// The input files of a command, which it must not overwrite, and the permission to replace other
/// files.
#[derive(Debug, Default)]
pub struct Outputs {
    force: bool,
    inputs: HashMap<FileId, PathBuf>,
    cleared: HashSet<PathBuf>,
}

impl Outputs {
    /// The checks of a command without inputs. With `force`, the command may replace files that
    /// emovox did not write, but never an input, a recording or a file of a run.
    pub fn new(force: bool) -> Outputs {
        Outputs {
            force,
            ..Outputs::default()
        }
    }

    /// Protects an input file of the command, under all its names.
    pub fn protect(&mut self, input: &Path) {
        if let Some(id) = FileId::of(input) {
            self.inputs.insert(id, input.into());
        }
    }

    /// Protects the files of a run, which is a name below `runs`, a folder or a bundle.
    pub fn protect_run(&mut self, runs: &Path, run: &str) {
        match RunFolder::open(runs, run) {
            Ok(folder) => self.protect_own(folder.path()),
            Err(_) => self.protect(Path::new(run)),
        }
    }

    /// Protects the files that emovox wrote into the folder of one or several runs.
    pub fn protect_own(&mut self, folder: &Path) {
        for file in OWN {
            self.protect(&folder.join(file));
        }
    }

    /// Checks an output path. `is_ours` returns true for an existing file that emovox wrote as the
    /// same kind of output. Also removes the temporary files of killed processes in that folder.
    ///
    /// # Errors
    /// Fails if the path is an input, a recording, a file of a run or a folder, and without `force`
    /// also if it is a disk or a file for which `is_ours` returns false.
    pub fn check(&mut self, path: &Path, is_ours: impl FnOnce(&Path) -> bool) -> Result<()> {
        let shown = path.display();
        let target = target_of(path)?;
        if is_own_file(&target) {
            bail!(
                "{shown} is a file of a run, which only emovox itself may write; choose another --out"
            );
        }
        if target.is_dir() {
            bail!("{shown} is a folder; --out must be a file");
        }
        if is_written_straight(&target) {
            if is_disk(&target) && !self.force {
                bail!("{shown} is a disk, which would be overwritten; --force permits this");
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
                "{shown} is {}, which this command reads; choose another --out",
                input.display()
            );
        }
        if is_recording(&target) {
            bail!("{shown} is a recording, which emovox never overwrites; choose another --out");
        }
        if !self.force && !is_ours(&target) {
            bail!(
                "{shown} exists, and nothing shows that emovox wrote it as this kind of output; \
                 choose another --out, or replace it with --force"
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

/// True for a recording, which is never an output of emovox.
fn is_recording(path: &Path) -> bool {
    audio::is_recording(&beginning(path, 12))
}

/// The first bytes of a file, at most `length`; empty if the file cannot be read.
pub fn beginning(path: &Path, length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        // After a read error, the bytes before it are used.
        let _ = file.take(length).read_to_end(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn error_of(outputs: &mut Outputs, path: &Path) -> String {
        outputs.check(path, |_| true).unwrap_err().to_string()
    }

    #[test]
    fn an_input_is_never_overwritten_under_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let path_of = |name: &str| folder.path().join(name);
        fs::write(path_of("input"), "mine").unwrap();
        fs::hard_link(path_of("input"), path_of("hard")).unwrap();
        symlink("input", path_of("soft")).unwrap();
        symlink(folder.path(), path_of("folder")).unwrap();
        fs::create_dir(path_of("sub")).unwrap();
        let mut outputs = Outputs::new(true);
        outputs.protect(&path_of("input"));
        for name in ["input", "hard", "soft", "folder/input", "sub/../input"] {
            let error = error_of(&mut outputs, &path_of(name));
            assert!(
                error.contains("which this command reads"),
                "{name}: {error}"
            );
        }
    }

    #[test]
    fn a_foreign_file_needs_force() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        fs::write(&file, "mine").unwrap();
        let error = Outputs::new(false).check(&file, |_| false).unwrap_err();
        assert!(error.to_string().contains("--force"), "{error}");
        Outputs::new(false).check(&file, |_| true).unwrap();
        Outputs::new(true).check(&file, |_| false).unwrap();
    }

    #[test]
    fn a_recording_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        fs::write(&file, b"RIFF\x04\0\0\0WAVE").unwrap();
        let error = error_of(&mut Outputs::new(true), &file);
        assert!(error.contains("is a recording"), "{error}");
    }

    #[test]
    fn a_cycle_of_links_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path_of = |name: &str| folder.path().join(name);
        symlink("b", path_of("a")).unwrap();
        symlink("a", path_of("b")).unwrap();
        let error = error_of(&mut Outputs::new(true), &path_of("a"));
        assert!(error.contains("a cycle"), "{error}");
    }

    #[test]
    fn files_of_a_run_are_protected_even_if_they_do_not_exist() {
        let folder = tempfile::tempdir().unwrap();
        let path_of = |name: &str| folder.path().join(name);
        for file in ["config.toml", "split.csv"] {
            fs::write(path_of(file), "").unwrap();
        }
        symlink("last.ot", path_of("link")).unwrap();
        for name in [
            "config.toml",
            "split.csv",
            "best.ot",
            "last.ot",
            "Report.json",
            "link",
        ] {
            let error = error_of(&mut Outputs::new(true), &path_of(name));
            assert!(error.contains("a file of a run"), "{name}: {error}");
        }
        Outputs::new(false)
            .check(&path_of("mine.csv"), |_| false)
            .unwrap();
    }
}
