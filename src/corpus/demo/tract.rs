//! Source and filter: renders the timeline of a clip with a voice. It is a cascade formant
//! synthesiser like that of Klatt (1980).

use super::RATE;
use super::emotion::Style;
use super::filter::{Antiresonator, Band, LowPass, Resonator};
use super::glottis::Glottis;
use super::rng::DemoRng;
use super::timeline::{FRAME, Frame, decibels};
use super::voice::Voice;

/// Formants above the third, which hardly move: one every 1000 Hz for a tube of 17.5 cm. Those
/// above [`MAX_FORMANT`] are left out.
const UPPER_FORMANTS: [f64; 4] = [3500.0, 4500.0, 5500.0, 6500.0];
/// Highest formant frequency, in Hz.
const MAX_FORMANT: f64 = 7300.0;
/// Frequency of the nasal pole, in Hz.
const NASAL_POLE: f64 = 270.0;
/// Distance of the nasal zero from the pole when the nasal tract is fully open, in Hz. Pole and
/// zero cancel when it is closed.
const NASAL_ZERO_SHIFT: f64 = 220.0;
/// Bandwidth of the nasal pole and zero, in Hz.
const NASAL_WIDTH: f64 = 100.0;
const SAMPLES_PER_FRAME: usize = (FRAME * RATE) as usize;

/// The sound of a voice without room and microphone.
pub fn render(frames: &[Frame], voice: &Voice, style: &Style, rng: &mut DemoRng) -> Vec<f64> {
    let mut glottis = Glottis::new(style);
    let mut tilt = LowPass::with_loss(style.tilt, 3000.0);
    let mut nasal_pole = Resonator::default();
    let mut nasal_zero = Antiresonator::default();
    let mut formants = [Resonator::default(); 3];
    let mut upper = upper_formants(voice, style);
    let mut constriction = Band::default();
    nasal_pole.tune(NASAL_POLE * voice.tract, NASAL_WIDTH);
    // A soft voice has a large tilt, and its fricatives and stops are weaker too.
    let effort = decibels(-0.6 * style.tilt);

    let mut samples = Vec::with_capacity(frames.len() * SAMPLES_PER_FRAME);
    for frame in frames {
        for (formant, target) in formants.iter_mut().zip(frame.formants) {
            let centre = (target * voice.tract).min(MAX_FORMANT);
            formant.tune(
                centre,
                bandwidth(centre) * voice.damping * (1.0 + style.breath),
            );
        }
        nasal_zero.tune(
            (NASAL_POLE + NASAL_ZERO_SHIFT * frame.nasal) * voice.tract,
            NASAL_WIDTH,
        );
        constriction.tune(frame.band.0 * voice.tract.sqrt(), frame.band.1);

        for _ in 0..SAMPLES_PER_FRAME {
            let (slope, open) = glottis.next(voice.pitch * frame.pitch, rng);
            let noise = rng.noise();
            // Breath noise is louder while the glottis is open.
            let airflow = if open { 1.0 } else { 0.4 };
            let voiced = frame.voicing * (tilt.pass(slope) + style.breath * airflow * noise);
            let source = voiced + 0.25 * frame.aspiration * noise;
            let nasal = nasal_zero.pass(nasal_pole.pass(source));
            let spoken = formants
                .iter_mut()
                .chain(&mut upper)
                .fold(nasal, |sound, formant| formant.pass(sound));
            samples.push(spoken + effort * frame.friction * constriction.pass(rng.noise()));
        }
    }
    samples
}

fn upper_formants(voice: &Voice, style: &Style) -> Vec<Resonator> {
    UPPER_FORMANTS
        .iter()
        .map(|formant| formant * voice.tract * style.lips)
        .filter(|&centre| centre < MAX_FORMANT)
        .map(|centre| {
            let mut formant = Resonator::default();
            formant.tune(centre, bandwidth(centre) * voice.damping);
            formant
        })
        .collect()
}

/// Bandwidth in Hz of a formant at `centre` Hz. It grows with frequency: about 60 Hz at 500 Hz,
/// 120 Hz at 2.5 kHz, 240 Hz at 4.5 kHz.
fn bandwidth(centre: f64) -> f64 {
    60.0 + 9.0 * (centre / 1000.0).powi(2)
}
