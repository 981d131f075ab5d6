//! The voice's source: the air pulses of the glottis.

use super::RATE;
use super::dice::Dice;
use super::emotion::Style;

pub struct Glottis<'a> {
    style: &'a Style,
    /// Position in the current period, 0 to 1.
    phase: f64,
    /// This period's speed and strength relative to what pitch and loudness ask for.
    speed: f64,
    strength: f64,
    lagging: bool,
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

    /// The derivative of the flow over the next sample (what the lips radiate), and whether the
    /// glottis is open.
    ///
    /// The flow of a period is the polynomial of KLGLOTT88 (Klatt & Klatt 1990): 27/4·(x² - x³)
    /// while open, 0 while closed. Taking the difference of the flow between two samples, not its
    /// slope at one, averages the sharp closure over the sample and so keeps most of its aliasing
    /// out. Scaled so that the closure is equally sharp at any pitch.
    pub fn next(&mut self, pitch: f64, dice: &mut Dice) -> (f64, bool) {
        self.phase += pitch * self.speed / RATE;
        if self.phase >= 1.0 {
            self.phase -= 1.0;
            self.begin_period(dice);
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

    /// Jitter and shimmer draw every period anew; a creaking voice lets every second one come late
    /// and weak.
    fn begin_period(&mut self, dice: &mut Dice) {
        self.lagging = !self.lagging;
        let creak = if self.lagging { self.style.creak } else { 0.0 };
        self.speed = (1.0 + self.style.jitter * dice.bell()) * (1.0 - 0.4 * creak);
        self.strength = (1.0 + self.style.shimmer * dice.bell()).max(0.0) * (1.0 - creak);
    }
}
