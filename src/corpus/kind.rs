//! Which corpus it is, and by whose rule its names are read.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::ravdess::Channel;
use super::{
    Labels, Sex, cremad, demo, emodb, emovo, folders, jl, nemo, ravdess, savee, shemo, subesco,
    tess, urdu,
};

/// The corpora that are recognised by their file names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CorpusKind {
    /// The synthetic corpus that emovox makes itself.
    Demo,
    /// RAVDESS, speech part.
    Ravdess,
    /// RAVDESS, the songs of the same actors.
    RavdessSong,
    /// Toronto emotional speech set.
    Tess,
    /// Berlin database of emotional speech.
    Emodb,
    /// Crowd-sourced emotional multimodal actors dataset.
    CremaD,
    /// Surrey audio-visual expressed emotion.
    Savee,
    /// Italian.
    Emovo,
    /// English of New Zealand.
    JlCorpus,
    /// Polish.
    Nemo,
    /// Bangla.
    Subesco,
    /// Persian.
    Shemo,
    /// Urdu.
    Urdu,
    /// A plain folder per class.
    Folders,
    /// A list of recordings, which says what each of them is.
    Manifest,
    /// Several corpora as one.
    Union,
}

impl CorpusKind {
    /// The corpora with a naming rule of their own, in the order in which they are tried.
    pub const NAMED: [CorpusKind; 13] = [
        CorpusKind::Demo,
        CorpusKind::Ravdess,
        CorpusKind::RavdessSong,
        CorpusKind::Tess,
        CorpusKind::Emodb,
        CorpusKind::CremaD,
        CorpusKind::Savee,
        CorpusKind::Emovo,
        CorpusKind::JlCorpus,
        CorpusKind::Nemo,
        CorpusKind::Subesco,
        CorpusKind::Shemo,
        CorpusKind::Urdu,
    ];

    /// Reads a recording's path (relative to the corpus folder) by the corpus' naming rule.
    pub fn parse(self, file: &Path) -> Option<Labels> {
        let stem = file.file_stem()?.to_str()?;
        match self {
            CorpusKind::Demo => demo::parse_name(file.file_name()?.to_str()?)
                .map(|name| Labels::new(name.emotion, name.emotion, name.voice, name.sentence)),
            CorpusKind::Ravdess => ravdess::parse(stem, Channel::Speech),
            CorpusKind::RavdessSong => ravdess::parse(stem, Channel::Song),
            CorpusKind::Tess => tess::parse(stem),
            CorpusKind::Emodb => emodb::parse(stem),
            CorpusKind::CremaD => cremad::parse(stem),
            CorpusKind::Savee => savee::parse(file),
            CorpusKind::Emovo => emovo::parse(stem),
            CorpusKind::JlCorpus => jl::parse(stem),
            CorpusKind::Nemo => nemo::parse(stem),
            CorpusKind::Subesco => subesco::parse(stem),
            CorpusKind::Shemo => shemo::parse(stem),
            CorpusKind::Urdu => urdu::parse(stem),
            CorpusKind::Folders => folders::parse(file),
            CorpusKind::Manifest | CorpusKind::Union => None,
        }
    }

    /// Whether a speaker of this corpus is a woman or a man, where the corpus says so.
    pub fn sex(self, speaker: &str) -> Option<Sex> {
        match self {
            CorpusKind::Ravdess | CorpusKind::RavdessSong => ravdess::sex(speaker),
            CorpusKind::Tess => tess::sex(speaker),
            CorpusKind::Emodb => emodb::sex(speaker),
            CorpusKind::CremaD => cremad::sex(speaker),
            CorpusKind::Savee => savee::sex(speaker),
            CorpusKind::Emovo => emovo::sex(speaker),
            CorpusKind::JlCorpus => jl::sex(speaker),
            CorpusKind::Nemo => nemo::sex(speaker),
            CorpusKind::Subesco => subesco::sex(speaker),
            CorpusKind::Shemo => shemo::sex(speaker),
            CorpusKind::Urdu => urdu::sex(speaker),
            CorpusKind::Demo | CorpusKind::Folders | CorpusKind::Manifest | CorpusKind::Union => {
                None
            }
        }
    }

    /// True where recordings were made by a machine: a number from them says nothing about people.
    pub fn is_synthetic(self) -> bool {
        self == CorpusKind::Demo
    }

    /// True where two corpora are of the same people, as far as their names tell: who speaks in RAVDESS
    /// sings in it, too. Of plain folders nobody knows.
    pub fn has_the_people_of(self, other: CorpusKind) -> bool {
        let people = |kind: CorpusKind| match kind {
            CorpusKind::RavdessSong => CorpusKind::Ravdess,
            kind => kind,
        };
        CorpusKind::NAMED.contains(&self) && people(self) == people(other)
    }

    /// What a clip is called once in its corpus, so that a second one is a copy. Nothing where names
    /// may come again.
    pub(super) fn once<'a>(self, file: &'a Path, labels: &Labels) -> Option<Cow<'a, str>> {
        match self {
            CorpusKind::Folders | CorpusKind::Manifest | CorpusKind::Union => None,
            // In folders each speaker has an a01.
            CorpusKind::Savee => {
                let Labels {
                    speaker, sentence, ..
                } = labels;
                Some(format!("{speaker}_{sentence}").into())
            }
            _ => Some(file.file_name()?.to_string_lossy()),
        }
    }

    /// Why a name is not of this corpus.
    pub(super) fn refusal(self, file: &Path) -> String {
        let is = |kind: CorpusKind| kind.parse(file).is_some();
        match self {
            CorpusKind::Ravdess if is(CorpusKind::RavdessSong) => {
                "sung, not spoken; --corpus ravdess-song takes the songs".into()
            }
            CorpusKind::RavdessSong if is(CorpusKind::Ravdess) => "spoken, not sung".into(),
            _ => format!("its name does not follow the rule of {self}"),
        }
    }
}

impl fmt::Display for CorpusKind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            CorpusKind::Demo => "demo",
            CorpusKind::Ravdess => "ravdess",
            CorpusKind::RavdessSong => "ravdess-song",
            CorpusKind::Tess => "tess",
            CorpusKind::Emodb => "emodb",
            CorpusKind::CremaD => "crema-d",
            CorpusKind::Savee => "savee",
            CorpusKind::Emovo => "emovo",
            CorpusKind::JlCorpus => "jl-corpus",
            CorpusKind::Nemo => "nemo",
            CorpusKind::Subesco => "subesco",
            CorpusKind::Shemo => "shemo",
            CorpusKind::Urdu => "urdu",
            CorpusKind::Folders => "folders",
            CorpusKind::Manifest => "manifest",
            CorpusKind::Union => "union",
        })
    }
}
