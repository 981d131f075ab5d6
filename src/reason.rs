//! The text of an error and of a panic, and of the errors of the operating system in them.

use std::any::Any;
use std::io::{self, ErrorKind};

use anyhow::Error;

/// An error and its causes in one text, as `{error:#}` gives them, with two differences. A cause is
/// left out if the text before it has it already, because many libraries repeat the cause in their
/// message. An error of the operating system has the words of [`io_reason`], without the next step
/// if the text gives one already.
pub fn reason(error: &Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let words = cause.to_string();
        let os = io_error(cause).and_then(|error| Some((error, of_os(error)?)));
        let is_reworded = os.as_ref().is_some_and(|(_, os)| text.contains(&os.words));
        if text.is_empty() {
            text.clone_from(&words);
        } else if !text.contains(&words) && !is_reworded {
            text = format!("{text}: {words}");
        }
        if let Some((error, os)) = os {
            let before = text.replace(&words, "");
            let os = if before.contains("; ") {
                os.words
            } else {
                os.text()
            };
            text = text.replace(&error.to_string(), &os);
        }
    }
    text
}

/// The text of a failed operation on a file: the usual errors of the operating system in plain
/// words, with the next step. It has neither an error number nor the name of a temporary file.
pub fn io_reason(error: &io::Error) -> String {
    of_os(error).map_or_else(|| error.to_string(), |os| os.text())
}

/// The message of a panic. It is empty if the panic has none.
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let formatted = panic.downcast_ref::<String>().map(String::as_str);
    let message = formatted.or_else(|| panic.downcast_ref::<&str>().copied());
    message.unwrap_or_default()
}

/// The error of a file operation, also inside an error of a table, which does not give it as its
/// source.
fn io_error<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    if let Some(error) = cause.downcast_ref::<csv::Error>() {
        return match error.kind() {
            csv::ErrorKind::Io(error) => Some(error),
            _ => None,
        };
    }
    cause.downcast_ref()
}

/// An error of the operating system.
struct OsReason {
    words: String,
    /// The next step; empty if there is none in general.
    next: &'static str,
}

impl OsReason {
    fn text(&self) -> String {
        match self.next {
            "" => self.words.clone(),
            next => format!("{}; {next}", self.words),
        }
    }
}

/// The reason of an error of the operating system. None for an error that emovox or a library made.
fn of_os(error: &io::Error) -> Option<OsReason> {
    // The crate tempfile hides the number of the error, and adds the path of its file.
    let text = error.to_string();
    let (message, _) = text.split_once(" (os error ")?;
    let (words, next) = match error.kind() {
        ErrorKind::NotFound => ("there is no such file or folder", "check the path"),
        ErrorKind::PermissionDenied => (
            "permission denied",
            "check the permissions of the file and of its folder",
        ),
        ErrorKind::IsADirectory => ("it is a folder, not a file", "give the path of a file"),
        ErrorKind::NotADirectory => (
            "a part of the path is a file, not a folder",
            "check the path",
        ),
        ErrorKind::StorageFull => ("the disk is full", "free space, then try again"),
        ErrorKind::QuotaExceeded => ("the disk quota is used up", "free space, then try again"),
        ErrorKind::ReadOnlyFilesystem => {
            ("the file system is read-only", "write to another folder")
        }
        _ => (message, ""),
    };
    Some(OsReason {
        words: words.into(),
        next,
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn a_cause_that_the_message_has_already_is_left_out() {
        let cause = || io::Error::other("the disk is full");
        let repeated: anyhow::Result<()> =
            Err(cause()).context("cannot write a.csv (the disk is full); remove some files");
        assert_eq!(
            reason(&repeated.unwrap_err()),
            "cannot write a.csv (the disk is full); remove some files"
        );
        let new: anyhow::Result<()> = Err(cause()).context("cannot write a.csv");
        assert_eq!(
            reason(&new.unwrap_err()),
            "cannot write a.csv: the disk is full"
        );
        assert_eq!(reason(&anyhow!("alone")), "alone");
    }

    #[test]
    fn libraries_that_repeat_their_cause_are_printed_once() {
        let mut table = csv::Reader::from_reader(Broken);
        let error = table.records().next().unwrap().unwrap_err();
        let text = reason(&Error::from(error).context("cannot read a.csv"));
        assert_eq!(text.matches("broken cable").count(), 1, "{text}");
    }

    /// The error of a file operation that fails with an error number, in a context.
    fn failed(code: i32, context: &'static str) -> String {
        let error = io::Error::from_raw_os_error(code);
        reason(&Error::from(error).context(context))
    }

    #[test]
    #[cfg(unix)]
    fn the_usual_errors_of_the_operating_system_have_a_next_step() {
        for (code, expected) in [
            (
                libc::ENOENT,
                "there is no such file or folder; check the path",
            ),
            (
                libc::EACCES,
                "permission denied; check the permissions of the file and of its folder",
            ),
            (
                libc::EISDIR,
                "it is a folder, not a file; give the path of a file",
            ),
            (
                libc::ENOTDIR,
                "a part of the path is a file, not a folder; check the path",
            ),
            (libc::ENOSPC, "the disk is full; free space, then try again"),
            (
                libc::EROFS,
                "the file system is read-only; write to another folder",
            ),
            (libc::EIO, "Input/output error"),
        ] {
            assert_eq!(
                failed(code, "cannot read a"),
                format!("cannot read a: {expected}")
            );
            assert_eq!(io_reason(&io::Error::from_raw_os_error(code)), expected);
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_message_with_a_next_step_gets_no_second_one() {
        assert_eq!(
            failed(
                libc::EACCES,
                "cannot make runs; --runs-dir selects another folder"
            ),
            "cannot make runs; --runs-dir selects another folder: permission denied"
        );
    }

    #[test]
    fn the_name_of_a_temporary_file_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let error = tempfile::NamedTempFile::new_in(folder.path().join("gone")).unwrap_err();
        assert!(error.to_string().contains("gone"), "{error}");
        assert_eq!(
            reason(&Error::from(error).context("cannot write a")),
            "cannot write a: there is no such file or folder; check the path"
        );
    }

    #[test]
    fn a_library_that_repeats_an_error_of_the_system_is_reworded_once() {
        let error = csv::Reader::from_path("gone/table.csv").unwrap_err();
        assert_eq!(
            reason(&Error::from(error).context("cannot read a")),
            "cannot read a: there is no such file or folder; check the path"
        );
    }

    /// A reader that fails.
    struct Broken;

    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("broken cable"))
        }
    }
}
