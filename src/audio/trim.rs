//! Cuts silence at both ends, as `librosa.effects.trim` does.

use std::ops::Range;

use super::Waveform;
use super::dot::dot;

/// Length of the frames whose loudness is measured, in samples.
const FRAME_LENGTH: usize = 2048;
/// Distance between two frames, in samples.
const HOP_LENGTH: usize = 512;

/// The lowest power of a frame before the logarithm, as in librosa: (10⁻⁵)².
const LEAST_POWER: f32 = 1e-10;

/// Cuts everything before the first and after the last loud frame. A frame is loud if it is less
/// than `top_db` decibels quieter than the loudest frame.
///
/// Loudness is the RMS of frames of 2048 samples with a hop length of 512, centred, with zeros
/// beyond the ends. A recording that contains only silence stays whole.
pub fn trim_silence(waveform: &Waveform, top_db: f32) -> Waveform {
    Waveform {
        samples: waveform.samples[sound(&waveform.samples, top_db)].to_vec(),
        sample_rate: waveform.sample_rate,
    }
}

/// Like [`trim_silence`], without a copy.
pub(super) fn trim_in_place(waveform: &mut Waveform, top_db: f32) {
    let sound = sound(&waveform.samples, top_db);
    waveform.samples.truncate(sound.end);
    waveform.samples.drain(..sound.start);
}

/// The samples from the first to the last loud frame.
fn sound(samples: &[f32], top_db: f32) -> Range<usize> {
    let powers = frame_powers(samples);
    let loudest = powers.iter().copied().fold(LEAST_POWER, f32::max);
    let threshold = loudest * 10_f32.powf(-top_db / 10.0);

    let is_loud = |power: &f32| *power > threshold;
    let (start, end) = match (
        powers.iter().position(is_loud),
        powers.iter().rposition(is_loud),
    ) {
        (Some(first), Some(last)) => (first * HOP_LENGTH, (last + 1) * HOP_LENGTH),
        _ => (0, 0),
    };
    let end = end.min(samples.len());
    start.min(end)..end
}

/// Mean square of every frame. The number of frames is 1 + ⌊samples / hop length⌋.
///
/// A frame consists of whole hops, so that the energy of each hop is computed once.
fn frame_powers(samples: &[f32]) -> Vec<f32> {
    let energies: Vec<f32> = samples
        .chunks(HOP_LENGTH)
        .map(|hop| dot(hop, hop))
        .collect();
    let reach = FRAME_LENGTH / 2 / HOP_LENGTH;
    (0..=samples.len() / HOP_LENGTH)
        .map(|centre| {
            let end = (centre + reach).min(energies.len());
            let energy: f32 = energies[centre.saturating_sub(reach)..end].iter().sum();
            (energy / FRAME_LENGTH as f32).max(LEAST_POWER)
        })
        .collect()
}
