//! Power to decibels: `librosa.power_to_db` with `ref = 1`.

/// The least power that the logarithm is taken of, −100 dB.
const LEAST_POWER: f32 = 1e-10;

/// Turns the mel powers of one utterance into decibels, in place: 10·log₁₀ of each, none more
/// than `top_db` below the utterance's highest.
pub(super) fn power_to_db(powers: &mut [f32], top_db: Option<f32>) {
    // The natural logarithm is the fast one.
    const DECIBELS_PER_NEPER: f32 = 10.0 * std::f32::consts::LOG10_E;
    let mut highest = f32::NEG_INFINITY;
    for value in powers.iter_mut() {
        *value = value.max(LEAST_POWER).ln() * DECIBELS_PER_NEPER;
        highest = highest.max(*value);
    }
    if let Some(top_db) = top_db {
        let floor = highest - top_db;
        for value in powers {
            *value = value.max(floor);
        }
    }
}
