//! Tests of the rules by which folders are read.

use std::collections::BTreeMap;
use std::path::Path;

use super::split::Subset;
use super::*;

/// A folder with empty recordings.
fn folder(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        write(folder.path(), file, "");
    }
    folder
}

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn scanned(files: &[&str]) -> Result<Corpus, String> {
    scan(folder(files).path(), None).map_err(|error| error.to_string())
}

/// Label and speaker of each clip.
fn labels(corpus: &Corpus) -> Vec<[&str; 2]> {
    let clips = corpus.clips.iter();
    clips
        .map(|clip| [clip.label.as_str(), clip.speaker.as_str()])
        .collect()
}

#[track_caller]
fn assert_has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "lacks '{word}': {text}");
    }
}

#[test]
fn speakers_above_the_classes_are_read_the_right_way_round() {
    let corpus = scanned(&[
        "ann/Angry/1.wav",
        "ann/sad/2.wav",
        "bob/Angry/1.wav",
        "bob/sad/2.wav",
    ]);
    let corpus = corpus.unwrap();
    let expected = [
        ["anger", "ann"],
        ["sadness", "ann"],
        ["anger", "bob"],
        ["sadness", "bob"],
    ];
    assert_eq!(labels(&corpus), expected);
    assert_eq!(
        corpus.rules,
        ["the folders are read as SPEAKER/CLASS (classes Angry, sad; speakers ann, bob)"]
    );
}

#[test]
fn folders_for_training_and_test_are_a_split() {
    let corpus = scanned(&[
        "train/angry/ann/1.wav",
        "val/sad/bob/1.wav",
        "Test/sad/cid/1.wav",
    ])
    .unwrap();
    assert_eq!(
        labels(&corpus),
        [["sadness", "cid"], ["anger", "ann"], ["sadness", "bob"]]
    );
    let given: Vec<(&str, Subset)> = corpus
        .given
        .iter()
        .map(|(file, &subset)| (file.path.to_str().unwrap(), subset))
        .collect();
    assert_eq!(
        given,
        [
            ("Test/sad/cid/1.wav", Subset::Test),
            ("train/angry/ann/1.wav", Subset::Train),
            ("val/sad/bob/1.wav", Subset::Validation),
        ]
    );
    // The same for a corpus with a rule for its file names.
    let corpus = scanned(&["train/03a01Wa.wav", "train/08a01Na.wav", "test/09a01Wa.wav"]).unwrap();
    assert_eq!((corpus.kind, corpus.given.len()), (CorpusKind::Emodb, 3));
    // Without these folders there is no split.
    assert!(
        scanned(&["angry/ann/1.wav", "sad/ann/1.wav"])
            .unwrap()
            .given
            .is_empty()
    );
}

#[test]
fn a_folder_for_evaluation_needs_a_meaning() {
    let files = ["train/angry/1.wav", "train/sad/1.wav", "eval/sad/2.wav"];
    let error = scanned(&files).unwrap_err();
    assert_has(&error, &["'eval' is not known", "--map-split 'eval=test'"]);
    let folder = folder(&files);
    let with = |subset| {
        let options = ScanOptions {
            subset_words: BTreeMap::from([("eval".to_string(), subset)]),
            ..ScanOptions::default()
        };
        scan_with(folder.path(), &options).unwrap()
    };
    let corpus = with(SubsetUse::Test);
    assert_eq!(corpus.given[&"eval/sad/2.wav".into()], Subset::Test);
    let corpus = with(SubsetUse::None);
    assert_eq!((corpus.clips.len(), corpus.skipped.len()), (2, 1));
}

#[test]
fn extra_levels_above_the_classes_are_descended_through() {
    for file in [
        "{}/1.wav",
        "mine/{}/1.wav",
        "mine/audio/{}/1.wav",
        "mine/{}/ann/1.wav",
    ] {
        let files = ["angry", "sad"].map(|class| file.replace("{}", class));
        let corpus = scanned(&files.each_ref().map(String::as_str)).unwrap();
        assert_eq!(classes(&corpus.clips), ["anger", "sadness"], "{file}");
    }
}

#[test]
fn folders_without_a_meaning_are_refused_with_the_line_to_type() {
    let files = [
        "mocking/ann/1.wav",
        "mocking/bob/1.wav",
        "praising/ann/1.wav",
    ];
    let error = scanned(&files).unwrap_err();
    assert_has(
        &error,
        &[
            "(mocking, praising)",
            "(ann, bob)",
            "--layout SPEAKER/CLASS",
            "--layout CLASS/SPEAKER",
        ],
    );
    assert_has(
        &scanned(&["01/a.wav", "02/a.wav"]).unwrap_err(),
        &["(01, 02) may be classes or speakers"],
    );
    assert_has(
        &scanned(&["a.wav", "b.wav"]).unwrap_err(),
        &["and they are in no folders.", "emozionalmente"],
    );
    // The user can insist.
    let folder = folder(&files);
    let corpus = scan(folder.path(), Some(CorpusKind::Folders)).unwrap();
    assert_eq!(labels(&corpus)[0], ["mocking", "ann"]);
    let options = ScanOptions {
        layout: Some("SPEAKER/CLASS".parse().unwrap()),
        ..ScanOptions::default()
    };
    let corpus = scan_with(folder.path(), &options).unwrap();
    assert_eq!(labels(&corpus)[0], ["ann", "mocking"]);
    let folder = self::folder(&["01/a.wav", "02/a.wav"]);
    let error = scan_with(folder.path(), &options).unwrap_err().to_string();
    assert_has(
        &error,
        &["--layout SPEAKER/CLASS", "01/a.wav", "in 1 folder"],
    );
}

#[test]
fn names_that_contradict_the_folders_do_not_win() {
    // The names look like EmoDB (W anger, T sadness, N neutral); the folders say otherwise.
    let files = [
        "happy/ann/03a01Wa.wav",
        "happy/bob/03a01Ta.wav",
        "fear/ann/08a01Na.wav",
    ];
    let corpus = scanned(&files).unwrap();
    assert_eq!(corpus.kind, CorpusKind::Folders);
    assert_eq!(labels(&corpus)[0], ["fear", "ann"]);
    assert_has(
        &corpus.notes[0],
        &["look like emodb", "3 recordings", "--corpus emodb"],
    );
    let folder = folder(&files);
    let corpus = scan(folder.path(), Some(CorpusKind::Emodb)).unwrap();
    assert_eq!(labels(&corpus)[0], ["neutral", "08"]);
    // A few names that happen to follow a rule, among many that do not.
    let files = [
        "angry/F01A01.wav",
        "angry/F02A01.wav",
        "sad/one.wav",
        "sad/F01S01.wav",
    ];
    let corpus = scanned(&files).unwrap();
    assert_eq!(corpus.kind, CorpusKind::Folders);
    assert_has(
        &corpus.notes[0],
        &["only 3 of 4 file names look like shemo"],
    );
}

#[test]
fn names_that_agree_with_the_folders_win() {
    let files = [
        "Anger/03a01Wa.wav",
        "Neutral/08a01Na.wav",
        "neutral/08a01La.wav",
        "sad/09a01Wa.wav",
    ];
    let corpus = scanned(&files).unwrap();
    assert_eq!((corpus.kind, corpus.clips.len()), (CorpusKind::Emodb, 4));
    assert_eq!(
        corpus.rules,
        ["the names of 4 of 4 files follow the rule of emodb"]
    );
    // Boredom counts as neutral by default.
    assert_has(
        &corpus.notes[0],
        &["1 recording (sad/09a01Wa.wav)", "--corpus folders"],
    );
}

const EMODB: [&str; 3] = ["03a01Wa.wav", "03a01Na.wav", "08a01Wa.wav"];
const RAVDESS: [&str; 3] = [
    "03-01-05-01-01-01-01.wav",
    "03-01-04-01-01-01-01.wav",
    "03-01-04-01-01-01-02.wav",
];

#[test]
fn corpora_side_by_side_are_named_with_the_line_to_type() {
    for (emodb, ravdess) in [("emodb/wav/", "ravdess/"), ("all/a/", "all/b/")] {
        let files = EMODB.iter().map(|file| format!("{emodb}{file}"));
        let files: Vec<String> = files
            .chain(RAVDESS.iter().map(|f| format!("{ravdess}{f}")))
            .collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let folder = folder(&files);
        let error = scan(folder.path(), None).unwrap_err().to_string();
        let place = |part: &str| {
            let top = if part.starts_with("all") {
                &part[..5]
            } else {
                part.split('/').next().unwrap()
            };
            folder.path().join(top).display().to_string()
        };
        let flags = format!(
            "--data emodb={} --data ravdess={}",
            place(emodb),
            place(ravdess)
        );
        assert_has(&error, &["several corpora", &flags, "emodb with 3"]);
        let one = scan(folder.path(), Some(CorpusKind::Emodb)).unwrap();
        assert_eq!((one.clips.len(), one.skipped.len()), (3, 3));
    }
}

#[test]
fn mixed_corpora_are_named_with_the_line_to_type() {
    let files = [EMODB, RAVDESS].concat();
    let folder = folder(&files);
    let error = scan(folder.path(), None).unwrap_err().to_string();
    let place = folder.path().display();
    assert_has(
        &error,
        &[&format!("--data emodb={place} --data ravdess={place}")],
    );
    // Speech and songs of RAVDESS are one publication.
    let corpus = scanned(&[
        "a/03-01-05-01-01-01-01.wav",
        "a/03-01-04-01-01-01-01.wav",
        "b/03-02-05-01-01-01-01.wav",
        "b/03-02-04-01-01-01-01.wav",
    ]);
    assert_eq!(corpus.unwrap().kind, CorpusKind::Ravdess);
}

#[test]
fn a_corpus_that_only_looks_like_ravdess_is_refused() {
    let banglaser = [
        "03-01-01-02-03-01-01.wav",
        "03-01-02-01-01-01-30.wav",
        "03-01-03-01-02-02-02.wav",
        "03-01-05-01-01-03-51.wav",
        "03-01-04-01-01-01-07.wav",
    ];
    for kind in [None, Some(CorpusKind::Ravdess)] {
        let error = scan(folder(&banglaser).path(), kind)
            .unwrap_err()
            .to_string();
        assert_has(
            &error,
            &[
                "only looks like RAVDESS",
                "3 of 5",
                "01 happy",
                "--manifest",
            ],
        );
    }
    // Some of its clips are within the numbers of RAVDESS, except for neutral with strong intensity.
    let some = ["03-01-01-02-01-01-01.wav", "03-01-02-01-01-01-02.wav"];
    assert_has(&scanned(&some).unwrap_err(), &["neutral has only 01"]);
    // In folders of classes, it is read by them.
    let sorted = [
        "Happy/03-01-01-02-03-01-01.wav",
        "Sad/03-01-02-01-03-01-30.wav",
    ];
    assert_eq!(
        classes(&scanned(&sorted).unwrap().clips),
        ["happiness", "sadness"]
    );
    // One misnamed file does not make another corpus of RAVDESS.
    let mut many: Vec<String> = (1..=24)
        .map(|n| format!("03-01-0{}-01-01-01-{n:02}.wav", n % 3 + 3))
        .collect();
    many.push("03-01-05-01-01-01-42.wav".into());
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let corpus = scanned(&many).unwrap();
    assert_eq!((corpus.clips.len(), corpus.skipped.len()), (24, 1));
}

#[test]
fn iemocap_has_the_labels_of_its_evaluations() {
    let wav = "Session1/sentences/wav/Ses01F_impro01";
    let utterances = ["F000", "F001", "M000", "M001", "M002"];
    let files = utterances.map(|name| format!("{wav}/Ses01F_impro01_{name}.wav"));
    let mut files: Vec<&str> = files.iter().map(String::as_str).collect();
    files.push("Session1/dialog/wav/Ses01F_impro01.wav");
    let folder = folder(&files);
    let without = scan(folder.path(), None).unwrap_err().to_string();
    assert_has(&without, &["the labels of iemocap", "EmoEvaluation"]);
    let text = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n\
                [6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5, 2.5, 2.5]\nC-E2:\tNeutral;\t()\n\
                [8 - 9]\tSes01F_impro01_F001\texc\t[2, 2, 2]\n[9 - 10]\tSes01F_impro01_M000\thap\t[2, 2, 2]\n\
                [9 - 10]\tSes01F_impro01_M001\txxx\t[2, 2, 2]\n";
    write(
        folder.path(),
        "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt",
        text,
    );
    let mut corpus = scan(folder.path(), None).unwrap();
    let expected = [
        ["neutral", "Ses01F"],
        ["excitement", "Ses01F"],
        ["happiness", "Ses01M"],
        ["unknown", "Ses01M"],
    ];
    assert_eq!(labels(&corpus), expected);
    let reasons: Vec<&str> = corpus
        .skipped
        .iter()
        .map(|one| one.reason.as_str())
        .collect();
    assert_has(reasons[0], &["the rule of iemocap"]);
    assert_has(reasons[1], &["the tables of iemocap have no label for it"]);
    assert_eq!(corpus.kind.sex("Ses01F"), Some(Sex::Female));
    // The convention of four classes.
    corpus.clips[3].label = "anger".into();
    corpus.clips.push(Clip {
        label: "sadness".into(),
        ..corpus.clips[0].clone()
    });
    corpus
        .choose(&["iemocap-4".into()], &BTreeMap::new())
        .unwrap();
    assert_eq!(
        classes(&corpus.clips),
        ["anger", "happiness", "neutral", "sadness"]
    );
    assert_eq!(
        corpus
            .clips
            .iter()
            .filter(|clip| clip.label == "happiness")
            .count(),
        2
    );
    assert!(
        corpus
            .notes
            .contains(&"excitement counts as happiness".to_string())
    );
}

#[test]
fn msp_podcast_has_the_labels_and_the_split_of_its_table() {
    let names = ["0001_0001", "0001_0002", "0002_0001", "0003_0001"];
    let files = names.map(|name| format!("Audios/MSP-PODCAST_{name}.wav"));
    let folder = folder(&files.each_ref().map(String::as_str));
    let text = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n\
                MSP-PODCAST_0001_0001.wav,A,4,4,4,12,Male,Train\nMSP-PODCAST_0001_0002.wav,N,4,4,4,Unknown,Male,Development\n\
                MSP-PODCAST_0002_0001.wav,H,4,4,4,13,Male,Test1\nMSP-PODCAST_0003_0001.wav,H,4,4,4,14,Male,Test2\n";
    write(folder.path(), "Labels/labels_consensus.csv", text);
    let corpus = scan(folder.path(), None).unwrap();
    assert_eq!(
        labels(&corpus),
        [["anger", "12"], ["neutral", ""], ["happiness", "13"]]
    );
    let subsets: Vec<Subset> = corpus.given.values().copied().collect();
    assert_eq!(subsets, [Subset::Train, Subset::Validation, Subset::Test]);
    assert_has(&corpus.skipped[0].reason, &["'Test2', which is not used"]);
}

#[test]
fn meld_has_the_labels_and_subsets_of_its_tables() {
    let files = [
        "train_splits",
        "dev_splits_complete",
        "output_repeated_splits_test",
    ];
    let files = files.map(|folder| format!("{folder}/dia0_utt0.wav"));
    let folder = folder(&files.each_ref().map(String::as_str));
    for (name, speaker, emotion) in [
        ("train", "Chandler", "neutral"),
        ("dev", "Ross", "joy"),
        ("test", "Monica", "anger"),
    ] {
        let text = format!(
            "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,StartTime,EndTime\n\
             1,\"Oh, hi\",{speaker},{emotion},neutral,0,0,\"00:16:16,059\",\"00:16:21,731\"\n"
        );
        write(folder.path(), &format!("{name}_sent_emo.csv"), &text);
    }
    let corpus = scan(folder.path(), None).unwrap();
    let expected = [
        ["happiness", "Ross"],
        ["anger", "Monica"],
        ["neutral", "Chandler"],
    ];
    assert_eq!(labels(&corpus), expected);
    let subsets: Vec<Subset> = corpus.given.values().copied().collect();
    assert_eq!(subsets, [Subset::Validation, Subset::Test, Subset::Train]);
}

#[test]
fn emozionalmente_has_the_labels_of_its_samples() {
    let folder = folder(&["audio/x1.wav", "audio/x2.wav", "audio/x3.wav"]);
    let text = "file_name,timestamp,actor,sentence,emotion_expressed\nx1.wav,1,u7,ciao,joy\nx2.wav,2,u8,ciao,neutrality\n";
    write(folder.path(), "metadata/samples.csv", text);
    let corpus = scan(folder.path(), None).unwrap();
    assert_eq!(corpus.kind, CorpusKind::Emozionalmente);
    assert_eq!(labels(&corpus), [["happiness", "u7"], ["neutral", "u8"]]);
    assert_eq!(corpus.skipped.len(), 1);
    // With a second corpus, its clips still belong to it.
    let other = folder.path().join("audio");
    assert!(other.is_dir());
    let union = merge(vec![
        ("a".into(), corpus),
        (
            "b".into(),
            scanned(&["angry/ann/1.wav", "sad/ann/1.wav"])
                .map(|c| Corpus {
                    clips: Vec::new(),
                    folder: other,
                    ..c
                })
                .unwrap(),
        ),
    ])
    .unwrap();
    assert_eq!(source_of(&union.sources, &union.clips[0]), Some(0));
}

#[test]
fn the_published_split_of_esd_is_used_on_request_or_by_its_folders() {
    let flat = [
        "0011/Angry/0011_000351.wav",
        "0011/Angry/0011_000371.wav",
        "0012/Sad/0012_001101.wav",
    ];
    let corpus = scanned(&flat).unwrap();
    assert_eq!(corpus.kind, CorpusKind::Esd);
    let subsets: Vec<Subset> = corpus.given.values().copied().collect();
    assert_eq!(subsets, [Subset::Validation, Subset::Test, Subset::Train]);
    assert!(corpus.given_on_request);
    assert_has(&corpus.notes[0], &["--split given", "shares its speakers"]);
    let sorted = [
        "0011/Angry/evaluation/0011_000351.wav",
        "0011/Angry/test/0011_000371.wav",
        "0012/Sad/train/0012_001101.wav",
    ];
    let corpus = scanned(&sorted).unwrap();
    assert!(!corpus.given_on_request);
    assert!(corpus.given.values().copied().eq(subsets));
}
