//! Progress for people: a bar with a rate and an ETA on a terminal, nothing elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over `length` things of a kind (`clips`, `steps`).
pub(super) fn bar(length: usize, what: &str, things: &str) -> ProgressBar {
    // indicatif draws nothing by itself where standard error is no terminal.
    let bar = ProgressBar::with_draw_target(Some(length as u64), ProgressDrawTarget::stderr());
    let template = format!(
        "{what} {{wide_bar:.cyan/dim}} {{pos}}/{{len}} {things}  {{per_sec:>10}}  ETA {{eta}}"
    );
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("━━─"));
    }
    bar
}
