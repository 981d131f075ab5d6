//! The corpus on disk. It is written once and atomically, and never replaces files of the user.

use super::emotion::EMOTIONS;
use super::voice::{Kind, SPEAKERS};
use super::{SAMPLE_RATE, SENTENCES, VERSION, name, parse_name, phone, synthesise, takes};
use anyhow::{Context, Result, bail, ensure as require};
use rayon::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

const README: &str = "README.txt";
/// Beginning of the first line of the corpus' README; the version follows.
const TITLE: &str = "emovox demo corpus (synthetic), version ";

/// Summary of the corpus that [`ensure`] found or wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoSummary {
    /// Number of clips.
    pub clips: usize,
    /// Total size of the WAV files, in bytes.
    pub bytes: u64,
    /// True if the corpus was written just now; false if it was already complete.
    pub written: bool,
}

/// Identity of one clip: the arguments of [`synthesise`].
#[derive(Clone, Copy)]
struct Clip {
    voice: usize,
    sentence: usize,
    emotion: usize,
    take: usize,
}

impl Clip {
    fn path(self, folder: &Path) -> PathBuf {
        let file = name::file_name(self.voice, self.sentence, self.emotion, self.take);
        folder.join(name::folder_name(self.voice)).join(file)
    }
}

/// Writes the corpus to `folder`, unless the folder holds a complete corpus of this version.
///
/// An incomplete or older demo corpus is replaced, and an empty folder is filled. All files are
/// written to a folder beside `folder` first, which is renamed at the end, so that an interruption
/// leaves no partial corpus.
///
/// # Errors
/// If `folder` holds a file that is not part of a demo corpus (nothing is changed then, and the
/// error names the file), or if reading or writing fails.
pub fn ensure(folder: &Path) -> Result<DemoSummary> {
    if let Some(bytes) = complete(folder) {
        return Ok(DemoSummary {
            clips: clips().count(),
            bytes,
            written: false,
        });
    }
    if let Some(foreign) =
        foreign_entry(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        bail!(
            "cannot write the demo corpus to {}: {} is not part of it; \
             move it away or choose another folder",
            folder.display(),
            foreign.display()
        );
    }
    write(folder)
        .with_context(|| format!("cannot write the demo corpus to {}", folder.display()))?;
    let bytes = complete(folder)
        .with_context(|| format!("the demo corpus in {} is incomplete", folder.display()))?;
    Ok(DemoSummary {
        clips: clips().count(),
        bytes,
        written: true,
    })
}

fn clips() -> impl Iterator<Item = Clip> {
    (1..=SPEAKERS.len()).flat_map(|voice| {
        (0..EMOTIONS.len()).flat_map(move |emotion| {
            (1..=SENTENCES).flat_map(move |sentence| {
                (1..=takes(sentence)).map(move |take| Clip {
                    voice,
                    sentence,
                    emotion,
                    take,
                })
            })
        })
    })
}

/// Total size of the clips in bytes. `None` if a clip is missing or empty, or if the README does
/// not have this version.
fn complete(folder: &Path) -> Option<u64> {
    if version(&folder.join(README))? != VERSION {
        return None;
    }
    clips().try_fold(0, |bytes, clip| {
        let size = fs::metadata(clip.path(folder)).ok()?.len();
        (size > 44).then_some(bytes + size)
    })
}

/// Version in the README of a demo corpus. `None` for any other file.
fn version(readme: &Path) -> Option<u32> {
    let text = fs::read_to_string(readme).ok()?;
    text.lines().next()?.strip_prefix(TITLE)?.parse().ok()
}

/// The first entry of `folder` that is not part of a demo corpus of any version.
fn foreign_entry(folder: &Path) -> std::io::Result<Option<PathBuf>> {
    if !folder.exists() {
        return Ok(None);
    }
    if !folder.is_dir() {
        return Ok(Some(folder.to_owned()));
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name == README && version(&path).is_some() {
            continue;
        }
        if !(name::numbered(&name, 'v') && entry.file_type()?.is_dir()) {
            return Ok(Some(path));
        }
        for clip in fs::read_dir(path)? {
            let clip = clip?;
            if parse_name(&clip.file_name().to_string_lossy()).is_none() {
                return Ok(Some(clip.path()));
            }
        }
    }
    Ok(None)
}

/// Writes all files into a temporary folder beside `folder`, then renames it to `folder`.
fn write(folder: &Path) -> Result<()> {
    let parent = match folder.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent)?;
    let temporary = tempfile::Builder::new()
        .prefix(".demo-")
        .tempdir_in(parent)?;
    let (new, old) = (temporary.path().join("new"), temporary.path().join("old"));

    for voice in 1..=SPEAKERS.len() {
        fs::create_dir_all(new.join(name::folder_name(voice)))?;
    }
    clips()
        .collect::<Vec<_>>()
        .into_par_iter()
        .try_for_each(|clip| write_clip(clip, &clip.path(&new)))?;
    fs::write(new.join(README), readme())?;

    if folder.exists() {
        fs::rename(folder, &old)?;
    }
    fs::rename(&new, folder)?;
    Ok(())
}

fn write_clip(clip: Clip, path: &Path) -> Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let samples = synthesise(clip.voice, clip.sentence, clip.emotion, clip.take);
    require!(
        samples.iter().all(|sample| sample.is_finite()),
        "{} has samples that are not finite",
        path.display()
    );
    let mut writer = hound::WavWriter::create(path, spec)?;
    for sample in samples {
        writer.write_sample((f64::from(sample) * f64::from(i16::MAX)).round() as i16)?;
    }
    Ok(writer.finalize()?)
}

fn readme() -> String {
    let count = |kind| SPEAKERS.iter().filter(|voice| voice.kind == kind).count();
    format!(
        "{TITLE}{VERSION}

These clips are not recordings of people. The formant synthesiser built into emovox computed them:
{voices} synthetic voices ({male} male-like, {female} female-like, {child} child-like) with
{sentences} meaningless sentences in {emotions} emotions. The emotions differ by rules taken from the
literature on vocal expression. A score on these clips shows that the program works; it does not
predict a score on recordings of people.

File names: demo-v07-s03-anger-2.wav is voice 07, sentence 03, anger, take 2. 16 kHz, mono, 16 bits.
Emotions:   {labels}
Sentences:  {texts}
",
        voices = SPEAKERS.len(),
        male = count(Kind::Male),
        female = count(Kind::Female),
        child = count(Kind::Child),
        sentences = SENTENCES,
        emotions = EMOTIONS.len(),
        labels = EMOTIONS.join(", "),
        texts = phone::SENTENCES.join(", "),
    )
}
