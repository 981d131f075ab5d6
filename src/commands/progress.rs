//! Progress for people: a bar with a rate and an ETA on a terminal, nothing elsewhere.

use std::fmt::Write;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::terminal::is_quiet;

/// A bar over `length` things of a kind (`clips`, `steps`).
pub(super) fn bar(length: usize, what: &str, things: &str) -> ProgressBar {
    // indicatif draws nothing by itself where standard error is no terminal.
    let target = match is_quiet() {
        true => ProgressDrawTarget::hidden(),
        false => ProgressDrawTarget::stderr(),
    };
    let bar = ProgressBar::with_draw_target(Some(length as u64), target);
    let template =
        format!("{what} {{wide_bar:.cyan/dim}} {{pos}}/{{len}} {things}  {{rate:>8}}  ETA {{eta}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        let rate = |state: &ProgressState, text: &mut dyn Write| {
            // A bar has nowhere to report that it could not be written.
            let _ = write!(text, "{:.1}/s", state.per_sec());
        };
        bar.set_style(style.progress_chars("━━─").with_key("rate", rate));
    }
    bar
}

/// A bar over bytes, of how many nobody may know.
pub(super) fn bytes_bar(what: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let template = format!(
        "{what} {{wide_bar:.cyan/dim}} {{decimal_bytes}}/{{decimal_total_bytes}}  \
         {{decimal_bytes_per_sec}}  ETA {{eta}}"
    );
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("━━─"));
    }
    bar
}
