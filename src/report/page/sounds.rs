//! Recordings of a page: the source of each for the browser, and a small spectrogram.

use std::io::Cursor;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hound::{SampleFormat, WavSpec, WavWriter};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rayon::prelude::*;
use serde::Serialize;

use crate::audio::{self, Channel, Excerpt, Waveform};
use crate::features::{FeatureConfig, Features};
use crate::inspection::mel_spectrogram;
use crate::report::colors;

/// Sample rate of the spectrograms and of embedded sound, in hertz. Speech has little power above
/// half of it.
const RATE: u32 = 16_000;
/// Width of a spectrogram in pixels.
const COLUMNS: usize = 132;
/// Height of a spectrogram in pixels: number of mel bands.
const BANDS: usize = 40;
/// Number of colours of a spectrogram; fewer colours make a smaller file.
const COLORS: usize = 32;
/// Range of a spectrogram below its loudest value, in decibels.
const RANGE_DB: f32 = 70.0;

/// Source of the sounds of a page.
#[derive(Debug, Clone, PartialEq)]
pub enum Sounds {
    /// Links from the folder of the page. Page and recordings must stay in their places.
    Linked(PathBuf),
    /// Sounds embedded in the page, as 16 bits at 16 kHz with one channel.
    Embedded,
}

/// A recording on a page.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ClipSound {
    /// URL for the player, with the times of a segment of a linked file as its fragment; none if
    /// the recording cannot be read.
    pub source: Option<String>,
    /// Spectrogram as PNG in Base64.
    pub spectrogram: Option<String>,
    /// Duration, rounded to hundredths.
    pub seconds: f64,
}

/// Reads the `channel` of recordings on all cores. A recording that cannot be read has no source.
/// `advance` is called after each recording, from any thread.
pub fn read_sounds(
    files: &[Excerpt],
    channel: Channel,
    how: &Sounds,
    advance: impl Fn() + Sync,
) -> Vec<ClipSound> {
    let one = |file: &Excerpt| {
        let sound = read_sound(file, channel, how).unwrap_or_default();
        advance();
        sound
    };
    files.par_iter().map(one).collect()
}

fn read_sound(file: &Excerpt, channel: Channel, how: &Sounds) -> Result<ClipSound> {
    let recorded = audio::read_excerpt(file, channel)?.waveform;
    let waveform = if recorded.sample_rate > RATE {
        audio::resample(&recorded, RATE)?
    } else {
        recorded
    };
    let source = match how {
        Sounds::Linked(folder) => match file.segment {
            Some(segment) => format!("{}#{}", link(folder, &file.path)?, segment.url_fragment()),
            None => link(folder, &file.path)?,
        },
        Sounds::Embedded => format!("data:audio/wav;base64,{}", BASE64.encode(wav(&waveform)?)),
    };
    Ok(ClipSound {
        source: Some(source),
        spectrogram: Some(BASE64.encode(spectrogram_png(&waveform)?)),
        seconds: (waveform.seconds() * 100.0).round() / 100.0,
    })
}

/// Characters that are escaped in a link: all except letters, digits and these four.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Relative URL from a page in `folder` to a file.
fn link(folder: &Path, file: &Path) -> Result<String> {
    let absolute = |path: &Path| {
        std::fs::canonicalize(path).with_context(|| format!("cannot find {}", path.display()))
    };
    let (folder, file) = (absolute(folder)?, absolute(file)?);
    let shared = folder
        .components()
        .zip(file.components())
        .take_while(|(a, b)| a == b)
        .count();
    let up = folder.components().skip(shared).map(|_| "..".to_string());
    let down = file
        .components()
        .skip(shared)
        .filter_map(|component| match component {
            Component::Normal(name) => {
                Some(percent_encode(name.as_encoded_bytes(), ESCAPED).to_string())
            }
            _ => None,
        });
    Ok(up.chain(down).collect::<Vec<_>>().join("/"))
}

/// Bytes of a WAV file with 16 bits a sample.
fn wav(waveform: &Waveform) -> Result<Vec<u8>> {
    let spec = WavSpec {
        channels: 1,
        sample_rate: waveform.sample_rate,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec)?;
    for sample in &waveform.samples {
        writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0).round() as i16)?;
    }
    writer.finalize()?;
    Ok(bytes.into_inner())
}

/// Spectrogram as PNG of 132 × 40 pixels in 32 colours, about 2 kB.
fn spectrogram_png(waveform: &Waveform) -> Result<Vec<u8>> {
    let config = FeatureConfig {
        n_fft: 512,
        hop_length: (waveform.samples.len() / COLUMNS).max(64),
        n_mels: BANDS,
        n_mfcc: BANDS,
        ..FeatureConfig::default()
    };
    let mel = mel_spectrogram(waveform, &config)?;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, COLUMNS as u32, BANDS as u32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Best);
    let palette = (0..COLORS).flat_map(|color| {
        let color = colors::loudness(color as f64 / (COLORS - 1) as f64);
        [color.0, color.1, color.2]
    });
    encoder.set_palette(palette.collect::<Vec<u8>>());
    encoder.write_header()?.write_image_data(&indices(&mel))?;
    Ok(bytes)
}

/// Colour index of each pixel, row by row from the top left.
fn indices(mel: &Features) -> Vec<u8> {
    let loudest = mel.values().iter().copied().fold(f32::MIN, f32::max);
    let pixel = |band: usize, column: usize| {
        let frame = column * mel.frames() / COLUMNS;
        let share = 1.0 + (mel.row(frame)[band] - loudest) / RANGE_DB;
        (share.clamp(0.0, 1.0) * (COLORS - 1) as f32).round() as u8
    };
    (0..BANDS)
        .rev()
        .flat_map(|band| (0..COLUMNS).map(move |column| pixel(band, column)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_relative_and_escaped() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("runs/mine");
        std::fs::create_dir_all(&page).unwrap();
        let odd = folder.path().join("data/\"><script>#?%.wav");
        std::fs::create_dir_all(folder.path().join("data")).unwrap();
        std::fs::write(&odd, "").unwrap();
        let link = link(&page, &odd).unwrap();
        assert_eq!(link, "../../data/%22%3E%3Cscript%3E%23%3F%25.wav");
    }

    #[test]
    fn an_embedded_sound_equals_the_recording() {
        let samples: Vec<f32> = (0..8000).map(|n| (n as f32 * 0.1).sin() * 0.5).collect();
        let waveform = Waveform {
            samples,
            sample_rate: 8000,
        };
        let back = audio::read_from(Cursor::new(wav(&waveform).unwrap())).unwrap();
        assert_eq!(back.sample_rate, 8000);
        let worst = waveform
            .samples
            .iter()
            .zip(&back.samples)
            .map(|(a, b)| (a - b).abs());
        assert!(worst.fold(0.0, f32::max) < 1e-4);
        let picture = spectrogram_png(&waveform).unwrap();
        assert!(picture.len() < 4000, "{}", picture.len());
        let decoded = image::load_from_memory(&picture).unwrap();
        assert_eq!((decoded.width(), decoded.height()), (132, 40));
    }
}
