//! Formats of probabilities and times for people.

/// A bar of `width` characters for a probability, with a resolution of an eighth of a character.
pub(super) fn probability_bar(probability: f32, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (probability.clamp(0.0, 1.0) * (8 * width) as f32).round() as usize;
    let bar = "█".repeat(eighths / 8) + EIGHTHS[eighths % 8];
    let missing = width.saturating_sub(bar.chars().count());
    bar + &" ".repeat(missing)
}

/// Formats seconds as `m:ss.d`, or `h:mm:ss.d` from one hour.
pub(super) fn clock(seconds: f64) -> String {
    let tenths = (seconds * 10.0).round() as u64;
    let (minutes, rest) = (tenths / 600, tenths % 600);
    let seconds = format!("{:02}.{}", rest / 10, rest % 10);
    match minutes / 60 {
        0 => format!("{minutes}:{seconds}"),
        hours => format!("{hours}:{:02}:{seconds}", minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_clocks_have_their_format() {
        assert_eq!(probability_bar(0.0, 4), "    ");
        assert_eq!(probability_bar(0.5, 4), "██  ");
        assert_eq!(probability_bar(0.53125, 4), "██▏ ");
        assert_eq!(probability_bar(1.0, 4), "████");
        assert_eq!(clock(0.0), "0:00.0");
        assert_eq!(clock(59.96), "1:00.0");
        assert_eq!(clock(3_723.4), "1:02:03.4");
    }
}
