//! Progress bars with rate and ETA on a terminal; no output elsewhere.

use std::fmt::Write;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::terminal::is_quiet;

/// A bar for `length` items. `unit` is their unit (`clips`, `steps`).
pub(super) fn bar(length: usize, label: &str, unit: &str) -> ProgressBar {
    // indicatif draws nothing if standard error is not a terminal.
    let target = if is_quiet() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let bar = ProgressBar::with_draw_target(Some(length as u64), target);
    let template =
        format!("{label} {{wide_bar:.cyan/dim}} {{pos}}/{{len}} {unit}  {{rate:>8}}  ETA {{eta}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        let rate = |state: &ProgressState, text: &mut dyn Write| {
            // A failed write of the bar cannot be reported.
            let _ = write!(text, "{:.1}/s", state.per_sec());
        };
        bar.set_style(style.progress_chars("━━─").with_key("rate", rate));
    }
    bar
}

/// A bar for bytes, whose total number may be unknown.
pub(super) fn bytes_bar(label: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let template = format!(
        "{label} {{wide_bar:.cyan/dim}} {{decimal_bytes}}/{{decimal_total_bytes}}  \
         {{decimal_bytes_per_sec}}  ETA {{eta}}"
    );
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("━━─"));
    }
    bar
}
