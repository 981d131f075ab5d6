//! Source and filter: plays a score on a voice. A cascade synthesiser in the manner of Klatt
//! (1980).

use super::RATE;
use super::dice::Dice;
use super::emotion::Style;
use super::filter::{Antiresonator, Band, LowPass, Resonator};
use super::glottis::Glottis;
use super::score::{FRAME, Frame, decibels};
use super::voice::Voice;

/// Formants above the third, which hardly move: for a tube of 17.5 cm one every 1000 Hz, as many as
/// fit below [`CEILING`].
const UPPER_FORMANTS: [f64; 4] = [3500.0, 4500.0, 5500.0, 6500.0];
const CEILING: f64 = 7300.0;
/// The nose: a pole that stays and a zero that moves away from it as the nose opens, until they no
/// longer cancel.
const NOSE_POLE: f64 = 270.0;
const NOSE_ZERO_SHIFT: f64 = 220.0;
const NOSE_WIDTH: f64 = 100.0;
const SAMPLES_PER_FRAME: usize = (FRAME * RATE) as usize;

pub fn play(score: &[Frame], voice: &Voice, style: &Style, dice: &mut Dice) -> Vec<f64> {
    let mut glottis = Glottis::new(style);
    let mut tilt = LowPass::losing(style.tilt, 3000.0);
    let mut nose_pole = Resonator::default();
    let mut nose_zero = Antiresonator::default();
    let mut formants = [Resonator::default(); 3];
    let mut upper = upper_formants(voice, style);
    let mut passage = Band::default();
    nose_pole.tune(NOSE_POLE * voice.tract, NOSE_WIDTH);
    // A soft voice, which is a dull one, comes with little air for s and t too.
    let effort = decibels(-0.6 * style.tilt);

    let mut samples = Vec::with_capacity(score.len() * SAMPLES_PER_FRAME);
    for frame in score {
        for (formant, target) in formants.iter_mut().zip(frame.formants) {
            let centre = (target * voice.tract).min(CEILING);
            formant.tune(
                centre,
                bandwidth(centre) * voice.damping * (1.0 + style.breath),
            );
        }
        nose_zero.tune(
            (NOSE_POLE + NOSE_ZERO_SHIFT * frame.nasal) * voice.tract,
            NOSE_WIDTH,
        );
        passage.tune(frame.band.0 * voice.tract.sqrt(), frame.band.1);

        for _ in 0..SAMPLES_PER_FRAME {
            let (slope, open) = glottis.next(voice.pitch * frame.pitch, dice);
            let noise = dice.noise();
            // Air rushes while the glottis is open, so breath comes in puffs.
            let puff = if open { 1.0 } else { 0.4 };
            let voiced = frame.voicing * (tilt.pass(slope) + style.breath * puff * noise);
            let source = voiced + 0.25 * frame.aspiration * noise;
            let nasal = nose_zero.pass(nose_pole.pass(source));
            let spoken = formants
                .iter_mut()
                .chain(&mut upper)
                .fold(nasal, |sound, formant| formant.pass(sound));
            samples.push(spoken + effort * frame.friction * passage.pass(dice.noise()));
        }
    }
    samples
}

fn upper_formants(voice: &Voice, style: &Style) -> Vec<Resonator> {
    UPPER_FORMANTS
        .iter()
        .map(|formant| formant * voice.tract * style.lips)
        .filter(|&centre| centre < CEILING)
        .map(|centre| {
            let mut formant = Resonator::default();
            formant.tune(centre, bandwidth(centre) * voice.damping);
            formant
        })
        .collect()
}

/// Losses grow with frequency: about 70 Hz at 500 Hz, 120 Hz at 2.5 kHz, 250 Hz at 4.5 kHz.
fn bandwidth(centre: f64) -> f64 {
    60.0 + 9.0 * (centre / 1000.0).powi(2)
}
