//! Features of many recordings in the formats of other programs, with a table of labels and
//! speakers.

mod format;
mod metadata;

pub use format::FeatureFormat;
pub use metadata::{Described, LabeledFile, describe};

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use crate::audio::{AudioConfig, Excerpt, SampleRate, probe};
use crate::corpus::Skipped;
use crate::dataset::{self, Extraction};
use crate::features::{FeatureConfig, Features};
use crate::io::{is_written_straight, sync_file_system, target_of, write_output};
use crate::run::Outputs;
use format::Writer;
use metadata::Line;

/// Number of recordings for each core whose features are in memory at once.
const RECORDINGS_PER_CORE: usize = 8;

/// Checks that [`write_features`] will not overwrite files of the user; see [`Outputs::check`].
/// Files of one recording are recognised by the table in their folder.
///
/// # Errors
/// The first output file that emovox did not write.
pub fn check_features(
    outputs: &mut Outputs,
    recordings: &[LabeledFile],
    (out, format): (&Path, FeatureFormat),
) -> Result<()> {
    let table = table_of(out, format);
    if !format.is_folder() {
        if !is_stream(out)? {
            outputs.check(&table, metadata::is_own)?;
        }
        return outputs.check(out, |file| format.is_own(file));
    }
    outputs.check(&table, metadata::is_own)?;
    let unfinished = unfinished_of(out);
    outputs.check(&unfinished, metadata::is_unfinished)?;
    let mut known = metadata::names(&table);
    known.extend(metadata::names(&unfinished));
    for recording in recordings {
        let name = name(&recording.file);
        let path = format::place_below(out, &name, format);
        outputs.check(&path, |_| known.contains(&name))?;
    }
    Ok(())
}

/// True for a file that [`write_matrix`] would not change, or that emovox wrote according to its
/// format.
pub fn is_own_matrix(file: &Path, features: &Features, format: FeatureFormat) -> bool {
    if format.is_folder() {
        format::is_same(file, features, format)
    } else {
        format.is_own(file)
    }
}

/// True for a pipe, a device or standard output.
fn is_stream(out: &Path) -> Result<bool> {
    Ok(is_written_straight(&target_of(out)?))
}

/// Path of the metadata table.
fn table_of(out: &Path, format: FeatureFormat) -> PathBuf {
    if format.is_folder() {
        out.join("metadata.csv")
    } else {
        out.with_extension("metadata.csv")
    }
}

/// Path of the table of an export into a folder that is not complete.
fn unfinished_of(out: &Path) -> PathBuf {
    out.join("metadata.unfinished.csv")
}

/// Writes the features of recordings below `folder` to `out`. The metadata table is `metadata.csv`
/// in the folder `out`, or `NAME.metadata.csv` beside the file `out`. Returns the recordings that
/// could not be read. `advance` is called after each recording, from any thread.
///
/// # Errors
/// If a setting is out of range, if no recording can be read, or if writing fails.
pub fn write_features(
    folder: &Path,
    recordings: &[LabeledFile],
    audio: &AudioConfig,
    config: &FeatureConfig,
    (out, format): (&Path, FeatureFormat),
    advance: impl Fn() + Sync,
) -> Result<Vec<Skipped>> {
    if let SampleRate::Hz(rate) = audio.sample_rate {
        config.validate(rate)?;
    }
    let (recordings, mut skipped) = named(folder, recordings);
    let task = Task {
        folder,
        recordings: &recordings,
        audio,
        config,
    };
    let (lines, unreadable) = if format.is_folder() {
        let done = task.write_each(out, format, advance)?;
        // The table lists only files that are completely on the disk.
        sync_file_system(out)?;
        done
    } else {
        let mut done = (Vec::new(), Vec::new());
        write_output(out, |file: &mut BufWriter<&File>| {
            let mut writer = Writer::of_file(file, format, config.coefficients())?;
            done = task.write_all(&mut writer, advance)?;
            writer.finish()
        })?;
        done
    };
    // Beside a pipe or standard output there is no place for the table.
    if format.is_folder() || !is_stream(out)? {
        metadata::write(&table_of(out, format), &lines)?;
    }
    if format.is_folder() {
        remove(&unfinished_of(out))?;
    }
    skipped.extend(unreadable);
    Ok(skipped)
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(target_of(file)?) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Writes the features of one recording to one file.
///
/// # Errors
/// If writing fails.
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
    write_output(out, |file: &mut BufWriter<&File>| {
        let mut writer = Writer::of_file(file, format, features.coefficients())?;
        writer.add(&line, features)?;
        writer.finish()
    })
}

/// Name of a recording in the output: its path below the folder, without the extension, and the
/// times of a segment (`day1/call_1.250-3.750`). A path of a manifest may lead out of its folder
/// (`../day1/call.wav`); a name never does.
fn name(file: &Excerpt) -> String {
    let stem = file.path.with_extension("");
    let parts = stem.components().filter_map(|part| match part {
        Component::Normal(part) => Some(part.to_string_lossy()),
        _ => None,
    });
    let path = parts.collect::<Vec<_>>().join("/");
    match file.segment {
        Some(segment) => format!("{path}_{}", segment.file_name()),
        None => path,
    }
}

/// The first recording of each name, and the other recordings, whose names are not unique.
fn named<'a>(folder: &Path, recordings: &'a [LabeledFile]) -> (Vec<&'a LabeledFile>, Vec<Skipped>) {
    let (mut kept, mut skipped) = (Vec::new(), Vec::new());
    let mut names = BTreeSet::new();
    for recording in recordings {
        let name = name(&recording.file);
        if names.insert(name.clone()) {
            kept.push(recording);
        } else {
            skipped.push(Skipped {
                file: recording.file.below(folder),
                reason: format!("another recording is called {name} too"),
            });
        }
    }
    (kept, skipped)
}

/// Input of an export.
struct Task<'a> {
    folder: &'a Path,
    recordings: &'a [&'a LabeledFile],
    audio: &'a AudioConfig,
    config: &'a FeatureConfig,
}

/// Rows of the written recordings, and the unreadable recordings.
type Done = (Vec<Line>, Vec<Skipped>);

impl Task<'_> {
    /// Writes a file for each recording as soon as its features are computed. One recording for
    /// each core is in memory.
    fn write_each(
        &self,
        out: &Path,
        format: FeatureFormat,
        advance: impl Fn() + Sync,
    ) -> Result<Done> {
        let files = self.files(self.recordings);
        let begun: OnceLock<Result<()>> = OnceLock::new();
        let frames = dataset::extract_each(&files, self.audio, self.config, |file, features| {
            advance();
            let path = &file.path;
            let inside = file.at(path.strip_prefix(self.folder).unwrap_or(path));
            let features = match features {
                Ok(features) => features,
                Err(reason) => return Ok(Err(reason)),
            };
            if let Err(error) = begun.get_or_init(|| self.begin(out, format)) {
                bail!("{error:#}");
            }
            format::write_below(out, &name(&inside), &features, format)?;
            Ok(Ok(features.frames()))
        })?;
        let (mut lines, mut skipped) = (Vec::new(), Vec::new());
        for ((recording, file), frames) in self.recordings.iter().zip(files).zip(frames) {
            match frames? {
                Ok(frames) => lines.push(self.line(recording, &file, frames)?),
                Err(reason) => skipped.push(Skipped { file, reason }),
            }
        }
        ensure_some(&lines, &skipped)?;
        Ok((lines, skipped))
    }

    /// Replaces the table of an earlier export, which describes other files, by the names of this one.
    fn begin(&self, out: &Path, format: FeatureFormat) -> Result<()> {
        fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
        let names = self
            .recordings
            .iter()
            .map(|recording| name(&recording.file));
        metadata::write_unfinished(&unfinished_of(out), names)?;
        remove(&table_of(out, format))
    }

    /// Writes one file for all recordings, in their order. A group of recordings is in memory at a
    /// time.
    fn write_all(&self, writer: &mut Writer, advance: impl Fn() + Sync) -> Result<Done> {
        let (mut lines, mut skipped) = (Vec::new(), Vec::new());
        for recordings in self
            .recordings
            .chunks(RECORDINGS_PER_CORE * rayon::current_num_threads())
        {
            let files = self.files(recordings);
            let Extraction {
                features,
                skipped: unreadable,
                ..
            } = dataset::extract(&files, self.audio, self.config, &advance)?;
            skipped.extend(unreadable);
            for (index, features) in features {
                let line = self.line(recordings[index], &files[index], features.frames())?;
                writer.add(&line, &features)?;
                lines.push(line);
            }
        }
        ensure_some(&lines, &skipped)?;
        Ok((lines, skipped))
    }

    fn files(&self, recordings: &[&LabeledFile]) -> Vec<Excerpt> {
        let files = recordings.iter();
        files
            .map(|recording| recording.file.below(self.folder))
            .collect()
    }

    fn line(&self, recording: &LabeledFile, file: &Excerpt, frames: usize) -> Result<Line> {
        let rate = match self.audio.sample_rate {
            SampleRate::Hz(rate) => rate,
            SampleRate::Native => probe(&file.path)?.sample_rate,
        };
        Ok(Line {
            name: name(&recording.file),
            file: recording.file.path.display().to_string(),
            label: recording.label.clone(),
            speaker: recording.speaker.clone(),
            frames,
            coefficients: self.config.coefficients(),
            rate,
            hop_length: self.config.hop_length,
            segment: recording.file.segment,
        })
    }
}

fn ensure_some(lines: &[Line], skipped: &[Skipped]) -> Result<()> {
    match (lines.is_empty(), skipped.first()) {
        (false, _) => Ok(()),
        (true, Some(Skipped { file, reason })) => {
            bail!("no recording could be read; {}: {reason}", file.display())
        }
        (true, None) => bail!("there are no recordings"),
    }
}
