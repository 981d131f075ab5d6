//! Glottal source: the air pulses of the voice.

use super::RATE;
use super::emotion::Style;
use super::rng::DemoRng;

/// State of the glottis between two samples.
pub struct Glottis<'a> {
    style: &'a Style,
    /// Position in the current period, 0 to 1.
    phase: f64,
    /// Speed of the current period relative to the pitch.
    speed: f64,
    /// Strength of the current period relative to a regular period.
    strength: f64,
    /// True in every second period, which creak makes late and weak.
    lagging: bool,
    /// Flow at the last sample.
    flow: f64,
}

impl<'a> Glottis<'a> {
    pub fn new(style: &'a Style) -> Glottis<'a> {
        Glottis {
            style,
            phase: 0.0,
            speed: 1.0,
            strength: 1.0,
            lagging: false,
            flow: 0.0,
        }
    }

    /// The derivative of the flow over the next sample, which is the sound that the lips radiate,
    /// and true if the glottis is open.
    ///
    /// The flow of a period is the polynomial of KLGLOTT88 (Klatt & Klatt 1990): 27/4·(x² − x³)
    /// while open, 0 while closed. The derivative is the difference of the flow between two
    /// samples. This averages the sharp closure over the sample and avoids most of the aliasing
    /// that the slope at one point would have. The scale makes the closure equally sharp at every
    /// pitch.
    pub fn next(&mut self, pitch: f64, rng: &mut DemoRng) -> (f64, bool) {
        self.phase += pitch * self.speed / RATE;
        if self.phase >= 1.0 {
            self.phase -= 1.0;
            self.begin_period(rng);
        }
        let x = self.phase / self.style.open_quotient;
        let open = x < 1.0;
        let flow = if open {
            self.strength * x * x * (1.0 - x)
        } else {
            0.0
        };
        let slope = (flow - self.flow) * self.style.open_quotient * RATE / pitch;
        self.flow = flow;
        (slope, open)
    }

    /// Draws the jitter and shimmer of the next period. Creak makes every second period late and
    /// weak.
    fn begin_period(&mut self, rng: &mut DemoRng) {
        self.lagging = !self.lagging;
        let creak = if self.lagging { self.style.creak } else { 0.0 };
        self.speed = (1.0 + self.style.jitter * rng.bell()) * (1.0 - 0.4 * creak);
        self.strength = (1.0 + self.style.shimmer * rng.bell()).max(0.0) * (1.0 - creak);
    }
}
