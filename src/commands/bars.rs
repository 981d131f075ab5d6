//! Probabilities and times as people read them.

/// A probability as a bar of `width` characters, to an eighth of one.
pub(super) fn probability_bar(probability: f32, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (probability.clamp(0.0, 1.0) * (8 * width) as f32).round() as usize;
    let bar = "█".repeat(eighths / 8) + EIGHTHS[eighths % 8];
    let missing = width.saturating_sub(bar.chars().count());
    bar + &" ".repeat(missing)
}

/// Seconds as `m:ss.d`, with hours where there are some.
pub(super) fn clock(seconds: f64) -> String {
    let tenths = (seconds * 10.0).round() as u64;
    let (minutes, rest) = (tenths / 600, tenths % 600);
    let seconds = format!("{:02}.{}", rest / 10, rest % 10);
    match minutes / 60 {
        0 => format!("{minutes}:{seconds}"),
        hours => format!("{hours}:{:02}:{seconds}", minutes % 60),
    }
}

/// Milliseconds are as much as anyone can hear.
pub(super) fn to_milliseconds(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_clocks_read_well() {
        assert_eq!(probability_bar(0.0, 4), "    ");
        assert_eq!(probability_bar(0.5, 4), "██  ");
        assert_eq!(probability_bar(0.53125, 4), "██▏ ");
        assert_eq!(probability_bar(1.0, 4), "████");
        assert_eq!(clock(0.0), "0:00.0");
        assert_eq!(clock(59.96), "1:00.0");
        assert_eq!(clock(3_723.4), "1:02:03.4");
    }
}
