//! The features of many recordings, in the formats that other programs read, with a table of what is
//! known of each recording beside them.

mod format;
mod metadata;

pub use format::FeatureFormat;
pub use metadata::{Described, describe};

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::audio::{AudioConfig, SampleRate, probe};
use crate::corpus::Skipped;
use crate::dataset::{self, Extraction};
use crate::features::{FeatureConfig, Features};
use crate::run::write_atomically;
use format::Writer;
use metadata::Line;

/// Recordings whose features are held in memory at once, for each core.
const STRETCH: usize = 8;

/// Writes the features of recordings below `folder` to `out`, and `metadata.csv` into that folder, or
/// `NAME.metadata.csv` beside that file. What could not be read comes back.
pub fn write_features(
    folder: &Path,
    recordings: &[Described],
    audio: &AudioConfig,
    config: &FeatureConfig,
    (out, format): (&Path, FeatureFormat),
    advance: impl Fn() + Sync,
) -> Result<Vec<Skipped>> {
    if let SampleRate::Hz(rate) = audio.sample_rate {
        config.validate(rate)?;
    }
    let task = Task {
        folder,
        recordings,
        audio,
        config,
    };
    if format.is_folder() {
        let (lines, skipped) = task.write(&mut Writer::of_folder(out, format), advance)?;
        metadata::write(&out.join("metadata.csv"), &lines)?;
        return Ok(skipped);
    }
    let mut done = (Vec::new(), Vec::new());
    write_atomically(out, |file: &mut BufWriter<&File>| {
        let mut writer = Writer::of_file(file, format, config.coefficients())?;
        done = task.write(&mut writer, advance)?;
        writer.finish()
    })?;
    metadata::write(&out.with_extension("metadata.csv"), &done.0)?;
    Ok(done.1)
}

/// Writes the features of one recording to one file.
pub fn write_matrix(
    features: &Features,
    recording: &Path,
    (out, format): (&Path, FeatureFormat),
) -> Result<()> {
    if format.is_folder() {
        return format::write_alone(features, out, format);
    }
    let name = recording.file_stem().unwrap_or(recording.as_os_str());
    let line = Line {
        name: name.to_string_lossy().into_owned(),
        file: recording.display().to_string(),
        ..Line::default()
    };
    write_atomically(out, |file: &mut BufWriter<&File>| {
        let mut writer = Writer::of_file(file, format, features.coefficients())?;
        writer.add(&line, features)?;
        writer.finish()
    })
}

struct Task<'a> {
    folder: &'a Path,
    recordings: &'a [Described],
    audio: &'a AudioConfig,
    config: &'a FeatureConfig,
}

impl Task<'_> {
    /// In the order of the recordings, some of them at a time.
    fn write(
        &self,
        writer: &mut Writer,
        advance: impl Fn() + Sync,
    ) -> Result<(Vec<Line>, Vec<Skipped>)> {
        let (mut lines, mut skipped) = (Vec::new(), Vec::new());
        let mut names = BTreeSet::new();
        for recordings in self
            .recordings
            .chunks(STRETCH * rayon::current_num_threads())
        {
            let files: Vec<PathBuf> = recordings
                .iter()
                .map(|recording| self.folder.join(&recording.file))
                .collect();
            let Extraction {
                features,
                skipped: unreadable,
            } = dataset::extract(&files, self.audio, self.config, &advance)?;
            skipped.extend(unreadable);
            for (index, features) in features {
                let recording = &recordings[index];
                let name = name(&recording.file);
                if !names.insert(name.clone()) {
                    skipped.push(Skipped {
                        file: files[index].clone(),
                        reason: format!("another recording is called {name} too"),
                    });
                    continue;
                }
                let line = self.line(name, recording, &files[index], &features)?;
                writer.add(&line, &features)?;
                lines.push(line);
            }
        }
        if lines.is_empty() {
            match skipped.first() {
                Some(Skipped { file, reason }) => {
                    bail!("no recording could be read; {}: {reason}", file.display())
                }
                None => bail!("there are no recordings"),
            }
        }
        Ok((lines, skipped))
    }

    fn line(
        &self,
        name: String,
        recording: &Described,
        file: &Path,
        features: &Features,
    ) -> Result<Line> {
        let rate = match self.audio.sample_rate {
            SampleRate::Hz(rate) => rate,
            SampleRate::Native => probe(file)?.sample_rate,
        };
        Ok(Line {
            name,
            file: recording.file.display().to_string(),
            label: recording.label.clone(),
            speaker: recording.speaker.clone(),
            frames: features.frames(),
            coefficients: features.coefficients(),
            rate,
            hop_length: self.config.hop_length,
        })
    }
}

/// What a recording is called in what is written: its place below the folder, without the `.wav`.
fn name(file: &Path) -> String {
    let stem = file.with_extension("");
    let parts = stem
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    parts.collect::<Vec<_>>().join("/")
}
