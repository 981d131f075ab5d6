//! The text of an error.

use anyhow::Error;

/// An error and its causes in one text, as `{error:#}` gives them. A cause is left out if the text
/// before it has it already, because many libraries repeat the cause in their message.
pub fn reason(error: &Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(|cause| cause.to_string()) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
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

    /// A reader that fails.
    struct Broken;

    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("broken cable"))
        }
    }
}
