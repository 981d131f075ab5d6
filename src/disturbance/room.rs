//! Rooms: impulse responses of rectangular rooms, and the sound of a clip in a room.

use std::f32::consts::TAU;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::level::{mean_power, peak, scale_to_power};
use super::{filter, spectrum};

/// Speed of sound in air of 20 °C, in metres per second.
const SPEED_OF_SOUND: f32 = 343.0;

/// Smallest distance of a person or a microphone from a wall, in metres.
const WALL_DISTANCE: f32 = 0.4;

/// Limit of the high-pass filter of an impulse response, in hertz. All images have the same sign, so
/// that their sum has energy at frequencies that no room has (Allen & Berkley 1979, section II).
const LOWEST_HZ: f32 = 40.0;

/// A rectangular room whose six walls have the same reflection coefficient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Room {
    /// Length, width and height in metres.
    pub size: [f32; 3],
    /// Position of the speaker in metres from a corner.
    pub source: [f32; 3],
    /// Position of the microphone in metres from the same corner.
    pub microphone: [f32; 3],
    /// Reverberation time in seconds, in which the sound decays by 60 dB.
    pub rt60: f32,
}

impl Room {
    /// Draws a room of 3 to 8 by 3 to 6 by 2.4 to 3.5 metres, or larger if the distance requires it,
    /// with a speaker at `distance` metres from the microphone.
    pub fn draw(rt60: f32, distance: f32, rng: &mut ChaCha8Rng) -> Room {
        let shortest = distance + 2.0 * WALL_DISTANCE + 0.1;
        let size = [
            rng.random_range(3.0..8.0_f32).max(shortest),
            rng.random_range(3.0..6.0_f32).max(shortest),
            rng.random_range(2.4..3.5),
        ];
        let rise = distance.min(1.0) * rng.random_range(-0.4..0.4);
        let (sine, cosine) = (TAU * rng.random::<f32>()).sin_cos();
        let flat = (distance * distance - rise * rise).sqrt();
        let offset = [flat * cosine, flat * sine, rise];
        let mut microphone = [0.0; 3];
        for axis in 0..2 {
            let low = WALL_DISTANCE + (-offset[axis]).max(0.0);
            let high = size[axis] - WALL_DISTANCE - offset[axis].max(0.0);
            microphone[axis] = low + (high - low) * rng.random::<f32>();
        }
        microphone[2] = rng.random_range(0.9..1.6);
        Room {
            size,
            source: [0, 1, 2].map(|axis| microphone[axis] + offset[axis]),
            microphone,
            rt60,
        }
    }

    /// Reflection coefficient of the walls for the reverberation time, after Eyring (1930):
    /// RT60 = 24·ln 10·V / (−c·S·ln(1 − α)), and 1 − α is the square of the coefficient.
    fn reflection(&self) -> f32 {
        let [x, y, z] = self.size;
        let (volume, surface) = (x * y * z, 2.0 * (x * y + y * z + z * x));
        let exponent =
            24.0 * std::f32::consts::LN_10 * volume / (SPEED_OF_SOUND * surface * self.rt60);
        (-0.5 * exponent).exp()
    }

    /// The impulse response from speaker to microphone, by the image-source method (Allen & Berkley
    /// 1979), as long as the reverberation time. Sample 0 is the direct sound.
    ///
    /// The number of images grows with the third power of the reverberation time: 0.4 s take about
    /// a millisecond, 0.8 s ten times as long.
    pub fn impulse_response(&self, sample_rate: u32) -> Vec<f32> {
        let samples_per_metre = sample_rate as f32 / SPEED_OF_SOUND;
        let axes = [0, 1, 2].map(|axis| self.images(axis));
        let squares = [0, 1, 2].map(|axis| (self.source[axis] - self.microphone[axis]).powi(2));
        let direct = squares.iter().sum::<f32>().sqrt() * samples_per_metre;
        let length = ((self.rt60 * sample_rate as f32) as usize).max(1);
        let farthest = (direct + length as f32) / samples_per_metre;

        let reflections = axes
            .iter()
            .map(|images| images.iter().map(|image| image.order).max());
        let highest: u32 = reflections.flatten().sum();
        let gains: Vec<f32> = (0..=highest as i32)
            .map(|order| self.reflection().powi(order))
            .collect();
        let mut response = vec![0.0; length];
        for x in &axes[0] {
            for y in &axes[1] {
                for z in &axes[2] {
                    let metres = (x.square + y.square + z.square).sqrt();
                    if metres >= farthest {
                        // The images of an axis are sorted by distance.
                        break;
                    }
                    let sample = rounded(metres * samples_per_metre - direct);
                    if let Some(sum) = response.get_mut(sample) {
                        *sum += gains[(x.order + y.order + z.order) as usize] / metres.max(0.01);
                    }
                }
            }
        }
        filter::high_pass(&mut response, sample_rate, LOWEST_HZ, 2);
        response
    }

    /// The images of the speaker along one axis within reach of the reverberation time, the nearest
    /// first.
    fn images(&self, axis: usize) -> Vec<Image> {
        let (size, source, microphone) =
            (self.size[axis], self.source[axis], self.microphone[axis]);
        let reach = (SPEED_OF_SOUND * self.rt60 / (2.0 * size)).ceil() as i32 + 1;
        let mut images: Vec<Image> = (-reach..=reach)
            .flat_map(|period| [(period, 0), (period, 1)])
            .map(|(period, mirrored)| Image {
                square: ((1 - 2 * mirrored) as f32 * source + 2.0 * period as f32 * size
                    - microphone)
                    .powi(2),
                order: period.unsigned_abs() + (period - mirrored).unsigned_abs(),
            })
            .collect();
        images.sort_by(|a, b| a.square.total_cmp(&b.square));
        images
    }
}

/// The nearest sample, as `f32::round`, which is a call of a function on processors of the baseline.
fn rounded(time: f32) -> usize {
    let sample = time as usize;
    sample + usize::from(time - sample as f32 >= 0.5)
}

/// An image of the speaker along one axis.
struct Image {
    /// Square of its distance from the microphone, in square metres.
    square: f32,
    /// Number of reflections.
    order: u32,
}

/// Puts a clip into the room of an impulse response at the same sample rate. The direct sound stays
/// at its time: the response counts from its first sample within 20 dB of its peak (ISO 3382-1).
/// The energy of the clip stays as well; reverberation behind its end is dropped.
pub fn reverberate(samples: &mut [f32], impulse_response: &[f32]) {
    let threshold = 0.1 * peak(impulse_response);
    let start = impulse_response.iter().position(|x| x.abs() >= threshold);
    let Some(start) = start.filter(|_| threshold > 0.0) else {
        return;
    };
    let convolved = spectrum::convolve(samples, &impulse_response[start..]);
    let power = mean_power(samples);
    samples.copy_from_slice(&convolved[..samples.len()]);
    scale_to_power(samples, power);
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const RATE: u32 = 16_000;

    /// Reverberation time by backward integration (Schroeder 1965): thrice the time from −5 to
    /// −25 dB.
    fn measured_rt60(response: &[f32]) -> f64 {
        let mut decay: Vec<f64> = response.iter().map(|x| f64::from(*x).powi(2)).collect();
        for n in (0..decay.len() - 1).rev() {
            decay[n] += decay[n + 1];
        }
        let below = |db: f64| {
            let limit = decay[0] * 10.0_f64.powf(-db / 10.0);
            decay.iter().position(|&energy| energy < limit).unwrap() as f64
        };
        3.0 * (below(25.0) - below(5.0)) / f64::from(RATE)
    }

    #[test]
    fn times_are_rounded_to_the_nearest_sample() {
        for time in [-0.1, 0.0, 0.49999997, 0.5, 1.5, 2.4999998, 70_000.5] {
            assert_eq!(rounded(time), time.round() as usize, "{time}");
        }
    }

    #[test]
    fn the_sound_decays_by_60_db_in_the_reverberation_time() {
        for rt60 in [0.2, 0.4] {
            for seed in 0..4 {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                let room = Room::draw(rt60, 2.0, &mut rng);
                let measured = measured_rt60(&room.impulse_response(RATE));
                let ratio = measured / f64::from(rt60);
                assert!((0.75..1.35).contains(&ratio), "{room:?}: {measured}");
            }
        }
    }

    #[test]
    fn speaker_and_microphone_are_in_the_room_at_the_distance() {
        for seed in 0..200 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let distance = rng.random_range(0.3..5.0);
            let room = Room::draw(0.4, distance, &mut rng);
            for axis in 0..3 {
                for position in [room.source[axis], room.microphone[axis]] {
                    let inside = 0.39..room.size[axis] - 0.39;
                    assert!(inside.contains(&position), "{room:?}");
                }
            }
            let squares = (0..3).map(|axis| (room.source[axis] - room.microphone[axis]).powi(2));
            assert!(
                (squares.sum::<f32>().sqrt() - distance).abs() < 1e-3,
                "{room:?}"
            );
        }
    }

    #[test]
    fn the_first_reflections_are_where_the_mirror_images_are() {
        let room = Room {
            size: [5.0, 4.0, 3.0],
            source: [1.0, 2.0, 1.5],
            microphone: [3.0, 2.0, 1.5],
            rt60: 0.3,
        };
        let response = room.impulse_response(RATE);
        let at = |metres: f32| {
            let sample = (metres - 2.0) / SPEED_OF_SOUND * RATE as f32;
            response[sample.round() as usize]
        };
        assert!((at(2.0) - 0.5).abs() < 0.02, "{}", at(2.0));
        // Floor and ceiling together, both at the same distance.
        let vertical = (2.0_f32.powi(2) + 3.0_f32.powi(2)).sqrt();
        let expected = 2.0 * room.reflection() / vertical;
        assert!(
            (at(vertical) - expected).abs() < 0.05,
            "{} {expected}",
            at(vertical)
        );
    }

    #[test]
    fn a_room_keeps_time_length_and_energy_of_a_clip() {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let response = Room::draw(0.3, 1.0, &mut rng).impulse_response(RATE);
        // Silence of half a second before a measured response, as microphones record it.
        let mut delayed = vec![0.0; 8000];
        delayed.extend(&response);
        let mut click = vec![0.0; 4000];
        click[100] = 0.5;
        for response in [response, delayed] {
            let mut samples = click.clone();
            reverberate(&mut samples, &response);
            assert_eq!(samples.len(), 4000);
            let before = samples[..100]
                .iter()
                .fold(0.0_f32, |peak, x| peak.max(x.abs()));
            assert!(before < 1e-5, "{before}");
            assert!(samples[100] > 0.05, "{}", samples[100]);
            let ratio = mean_power(&samples) / mean_power(&click);
            assert!((ratio - 1.0).abs() < 1e-4, "{ratio}");
        }
    }

    #[test]
    fn an_empty_response_changes_nothing() {
        let mut samples = [0.5, 0.25];
        reverberate(&mut samples, &[]);
        reverberate(&mut samples, &[0.0, 0.0]);
        assert_eq!(samples, [0.5, 0.25]);
    }
}
