//! The known corpora and their rules of file names.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::names::{ASED, BAVED, CAFE, TUREV_DB, cafe_sex};
use super::ravdess::Channel;
use super::{
    Labels, Layout, Sex, casia, cremad, demo, emodb, emovo, esd, jl, label_tables, nemo, ravdess,
    savee, shemo, subesco, tess, urdu,
};
use crate::audio::rank_of_name;

/// Kind of a corpus, which determines how labels are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum CorpusKind {
    /// The synthetic corpus that emovox computes itself.
    Demo,
    /// RAVDESS, speech only (English).
    Ravdess,
    /// RAVDESS, the songs of the same actors.
    RavdessSong,
    /// TESS, the Toronto emotional speech set (English).
    Tess,
    /// EmoDB, the Berlin database of emotional speech (German).
    Emodb,
    /// CREMA-D, the crowd-sourced emotional multimodal actors dataset (English).
    CremaD,
    /// SAVEE, Surrey audio-visual expressed emotion (English).
    Savee,
    /// EMOVO (Italian).
    Emovo,
    /// JL-Corpus (English of New Zealand).
    JlCorpus,
    /// nEMO (Polish).
    Nemo,
    /// SUBESCO (Bangla).
    Subesco,
    /// ShEMO (Persian).
    Shemo,
    /// URDU (Urdu).
    Urdu,
    /// ESD, the emotional speech database (English and Chinese).
    Esd,
    /// CASIA (Chinese).
    Casia,
    /// CaFE (Canadian French).
    Cafe,
    /// ASED (Amharic).
    Ased,
    /// TurEV-DB (Turkish).
    TurevDb,
    /// BAVED (Arabic); its labels are levels of emotion.
    Baved,
    /// IEMOCAP (English); its labels are in the folders EmoEvaluation.
    Iemocap,
    /// MSP-Podcast (English); its labels are in labels_consensus.csv.
    MspPodcast,
    /// MELD (English, from a series); its labels are in train_sent_emo.csv and others.
    Meld,
    /// Emozionalmente (Italian); its labels are in metadata/samples.csv.
    Emozionalmente,
    /// One folder per class.
    Folders,
    /// A manifest, which has the labels of all recordings.
    #[value(skip)]
    Manifest,
    /// Several merged corpora.
    #[value(skip)]
    Union,
}

impl CorpusKind {
    /// The corpora that are recognised by their file names, in the order in which they are tried.
    pub const NAMED: [CorpusKind; 22] = [
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
        CorpusKind::Esd,
        CorpusKind::Casia,
        CorpusKind::Cafe,
        CorpusKind::Ased,
        CorpusKind::TurevDb,
        CorpusKind::Baved,
        CorpusKind::Iemocap,
        CorpusKind::MspPodcast,
        CorpusKind::Meld,
    ];

    /// Parses the path of a recording, relative to the corpus folder, by the rule of the corpus.
    /// `None` if the path does not follow the rule. The label is empty for a corpus whose labels are in
    /// tables beside the recordings.
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
            CorpusKind::Esd => esd::parse(stem),
            CorpusKind::Casia => casia::parse(file),
            CorpusKind::Cafe => CAFE.parse(stem),
            CorpusKind::Ased => ASED.parse(stem),
            CorpusKind::TurevDb => TUREV_DB.parse(stem),
            CorpusKind::Baved => BAVED.parse(stem),
            CorpusKind::Iemocap | CorpusKind::MspPodcast | CorpusKind::Meld => {
                label_tables::parse(self, stem)
            }
            CorpusKind::Folders => Layout::default().labels(file),
            CorpusKind::Emozionalmente | CorpusKind::Manifest | CorpusKind::Union => None,
        }
    }

    /// True if a recording in the folder of the corpus may belong to it.
    pub(super) fn may_have(self, file: &Path) -> bool {
        match self {
            // Their recordings have any names.
            CorpusKind::Emozionalmente | CorpusKind::Manifest => true,
            _ => self.parse(file).is_some(),
        }
    }

    /// Sex of a speaker of this corpus; `None` if the corpus does not have this information.
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
            CorpusKind::Esd => esd::sex(speaker),
            CorpusKind::Cafe => cafe_sex(speaker),
            CorpusKind::Iemocap => label_tables::iemocap_sex(speaker),
            CorpusKind::Demo
            | CorpusKind::Casia
            | CorpusKind::Ased
            | CorpusKind::TurevDb
            | CorpusKind::Baved
            | CorpusKind::MspPodcast
            | CorpusKind::Meld
            | CorpusKind::Emozionalmente
            | CorpusKind::Folders
            | CorpusKind::Manifest
            | CorpusKind::Union => None,
        }
    }

    /// Language of a corpus with one language; `None` if it is not known.
    pub fn language(self) -> Option<&'static str> {
        Some(match self {
            CorpusKind::Ravdess
            | CorpusKind::RavdessSong
            | CorpusKind::Tess
            | CorpusKind::CremaD
            | CorpusKind::Savee
            | CorpusKind::JlCorpus
            | CorpusKind::Iemocap
            | CorpusKind::MspPodcast
            | CorpusKind::Meld => "English",
            CorpusKind::Emodb => "German",
            CorpusKind::Emovo | CorpusKind::Emozionalmente => "Italian",
            CorpusKind::Nemo => "Polish",
            CorpusKind::Subesco => "Bangla",
            CorpusKind::Shemo => "Persian",
            CorpusKind::Urdu => "Urdu",
            CorpusKind::Casia => "Chinese",
            CorpusKind::Cafe => "French",
            CorpusKind::Ased => "Amharic",
            CorpusKind::TurevDb => "Turkish",
            CorpusKind::Baved => "Arabic",
            CorpusKind::Demo
            | CorpusKind::Esd
            | CorpusKind::Folders
            | CorpusKind::Manifest
            | CorpusKind::Union => return None,
        })
    }

    /// True for synthetic recordings: a score on them does not predict a score on people.
    pub fn is_synthetic(self) -> bool {
        self == CorpusKind::Demo
    }

    /// True for a published corpus, in which each name belongs to one person.
    pub fn is_published(self) -> bool {
        ![CorpusKind::Folders, CorpusKind::Manifest, CorpusKind::Union].contains(&self)
    }

    /// True if two corpora are known to have the same speakers: the speakers of RAVDESS also sing
    /// in it. For folders per class this is not known.
    pub fn has_speakers_of(self, other: CorpusKind) -> bool {
        let people = |kind: CorpusKind| match kind {
            CorpusKind::RavdessSong => CorpusKind::Ravdess,
            kind => kind,
        };
        self.is_published() && people(self) == people(other)
    }

    /// A name that is unique in the corpus, so that a second clip with this name is a copy. `None`
    /// if names can repeat.
    pub(super) fn once<'a>(self, file: &'a Path, labels: &Labels) -> Option<Cow<'a, str>> {
        match self {
            CorpusKind::Folders | CorpusKind::Manifest | CorpusKind::Union => None,
            // The speakers have the same numbers.
            CorpusKind::Casia => None,
            // The subsets have the same numbers.
            CorpusKind::Meld => {
                let stem = file.file_stem()?.to_string_lossy();
                Some(format!("{}_{stem}", label_tables::meld_subset(file)?).into())
            }
            // With one folder per speaker, each speaker has an a01.
            CorpusKind::Savee => {
                let Labels {
                    speaker, sentence, ..
                } = labels;
                Some(format!("{speaker}_{sentence}").into())
            }
            // The first field is the medium: with a picture (01), or sound alone (03).
            CorpusKind::Ravdess | CorpusKind::RavdessSong => {
                let stem = file.file_stem()?.to_str()?;
                Some(stem.split_once('-').map_or(stem, |(_, rest)| rest).into())
            }
            _ => Some(file.file_stem()?.to_string_lossy()),
        }
    }

    /// Rank of a recording among those with the same name: the smallest is used.
    pub(super) fn rank(self, file: &Path) -> (bool, usize) {
        let is_ravdess = [CorpusKind::Ravdess, CorpusKind::RavdessSong].contains(&self);
        let name = file.file_name().unwrap_or_default();
        let has_picture = is_ravdess && !name.as_encoded_bytes().starts_with(b"03");
        (has_picture, rank_of_name(file).unwrap_or(usize::MAX))
    }

    /// The reason that a file name does not belong to this corpus.
    pub(super) fn refusal(self, file: &Path) -> String {
        let is = |kind: CorpusKind| kind.parse(file).is_some();
        match self {
            CorpusKind::Ravdess if is(CorpusKind::RavdessSong) => {
                "sung, not spoken; --corpus ravdess-song selects the songs".into()
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
            CorpusKind::Esd => "esd",
            CorpusKind::Casia => "casia",
            CorpusKind::Cafe => "cafe",
            CorpusKind::Ased => "ased",
            CorpusKind::TurevDb => "turev-db",
            CorpusKind::Baved => "baved",
            CorpusKind::Iemocap => "iemocap",
            CorpusKind::MspPodcast => "msp-podcast",
            CorpusKind::Meld => "meld",
            CorpusKind::Emozionalmente => "emozionalmente",
            CorpusKind::Folders => "folders",
            CorpusKind::Manifest => "manifest",
            CorpusKind::Union => "union",
        })
    }
}
