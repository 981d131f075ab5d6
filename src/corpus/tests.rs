use super::*;

fn labels(kind: CorpusKind, file: &str) -> Option<(String, String, String)> {
    kind.parse(Path::new(file))
        .map(|l| (l.label, l.speaker, l.sentence))
}

fn some(label: &str, speaker: &str, sentence: &str) -> Option<(String, String, String)> {
    Some((label.into(), speaker.into(), sentence.into()))
}

#[test]
fn the_word_of_the_corpus_is_kept() {
    for (kind, file, word) in [
        (CorpusKind::Ravdess, "03-01-06-01-02-01-12.wav", "fearful"),
        (CorpusKind::Tess, "OAF_back_PS.wav", "ps"),
        (CorpusKind::Emodb, "03a01Fa.wav", "F"),
        (CorpusKind::CremaD, "1001_DFA_ANG_XX.wav", "ANG"),
        (CorpusKind::Savee, "DC_su01.wav", "su"),
        (CorpusKind::Emovo, "gio-f1-b1.wav", "gio"),
        (CorpusKind::JlCorpus, "female1_angry_10a_1.wav", "angry"),
        (CorpusKind::Shemo, "F01W02.wav", "W"),
        (CorpusKind::Urdu, "SM1_F10_A10.wav", "A"),
        (CorpusKind::Folders, "Joyful/ann/1.wav", "Joyful"),
    ] {
        let labels = kind.parse(Path::new(file));
        assert_eq!(
            labels.map(|l| l.corpus_label).as_deref(),
            Some(word),
            "{file}"
        );
    }
}

#[test]
fn ravdess_names() {
    let parse = |file| labels(CorpusKind::Ravdess, file);
    assert_eq!(
        parse("Actor_12/03-01-06-01-02-01-12.wav"),
        some("fear", "12", "02")
    );
    assert_eq!(
        parse("03-01-01-01-01-02-01.wav"),
        some("neutral", "01", "01")
    );
    assert_eq!(
        parse("03-01-08-02-02-01-24.wav"),
        some("surprise", "24", "02")
    );
    // Song, an emotion that does not exist, an actor that does not exist, a field too many.
    assert_eq!(parse("03-02-06-01-02-01-12.wav"), None);
    assert_eq!(parse("03-01-09-01-02-01-12.wav"), None);
    assert_eq!(parse("03-01-06-01-02-01-25.wav"), None);
    assert_eq!(parse("03-01-06-01-02-01-12-01.wav"), None);
}

#[test]
fn tess_names_with_their_quirks() {
    let parse = |file| labels(CorpusKind::Tess, file);
    assert_eq!(
        parse("OAF_angry/OAF_back_angry.wav"),
        some("anger", "OAF", "back")
    );
    assert_eq!(
        parse("YAF_pleasant_surprised/YAF_youth_ps.wav"),
        some("pleasant-surprise", "YAF", "youth")
    );
    assert_eq!(
        parse("OAF_neutral/OA_bite_neutral.wav"),
        some("neutral", "OAF", "bite")
    );
    assert_eq!(
        parse("oaf_Sad/OAF_week_SAD.wav"),
        some("sadness", "OAF", "week")
    );
    assert_eq!(parse("OAF_back_jolly.wav"), None);
    assert_eq!(parse("XAF_back_angry.wav"), None);
}

#[test]
fn emodb_names() {
    let parse = |file| labels(CorpusKind::Emodb, file);
    assert_eq!(parse("wav/03a01Fa.wav"), some("happiness", "03", "a01"));
    assert_eq!(parse("16b10Wb.wav"), some("anger", "16", "b10"));
    assert_eq!(parse("16b10Lb.wav"), some("boredom", "16", "b10"));
    assert_eq!(parse("16b10Xb.wav"), None);
    assert_eq!(parse("16b1Wb.wav"), None);
}

#[test]
fn a_folder_per_class() {
    let parse = |file| labels(CorpusKind::Folders, file);
    assert_eq!(parse("Angry/anna/1.wav"), some("anger", "anna", ""));
    assert_eq!(parse("bored stiff/1.wav"), some("bored stiff", "", ""));
    assert_eq!(parse("angry/anna/monday/1.wav"), some("anger", "anna", ""));
    assert_eq!(parse("1.wav"), None);
}

/// File names of each corpus, with label, speaker and sentence.
const NAMES: [(CorpusKind, &str, [&str; 3]); 51] = [
    (
        CorpusKind::Demo,
        "v04/demo-v04-s01-happiness-1.wav",
        ["happiness", "v04", "s01"],
    ),
    (
        CorpusKind::Ravdess,
        "Actor_12/03-01-06-01-02-01-12.wav",
        ["fear", "12", "02"],
    ),
    (
        CorpusKind::RavdessSong,
        "Actor_12/03-02-06-02-02-01-12.wav",
        ["fear", "12", "02"],
    ),
    (
        CorpusKind::RavdessSong,
        "03-02-01-01-01-02-24.wav",
        ["neutral", "24", "01"],
    ),
    (
        CorpusKind::Tess,
        "OAF_Fear/OAF_back_fear.wav",
        ["fear", "OAF", "back"],
    ),
    (
        CorpusKind::Emodb,
        "wav/03a01Fa.wav",
        ["happiness", "03", "a01"],
    ),
    (
        CorpusKind::CremaD,
        "AudioWAV/1001_DFA_ANG_XX.wav",
        ["anger", "1001", "DFA"],
    ),
    (
        CorpusKind::CremaD,
        "1091_WSI_HAP_HI.wav",
        ["happiness", "1091", "WSI"],
    ),
    (
        CorpusKind::CremaD,
        "1040_ITH_SAD_X.wav",
        ["sadness", "1040", "ITH"],
    ),
    (CorpusKind::Savee, "DC_a01.wav", ["anger", "DC", "a01"]),
    (
        CorpusKind::Savee,
        "AudioData/KL/su15.wav",
        ["surprise", "KL", "su15"],
    ),
    (CorpusKind::Savee, "JE/n30.wav", ["neutral", "JE", "n30"]),
    (CorpusKind::Savee, "JK_sa09.wav", ["sadness", "JK", "sa09"]),
    (
        CorpusKind::Emovo,
        "EMOVO/f1/dis-f1-b1.wav",
        ["disgust", "f1", "b1"],
    ),
    (
        CorpusKind::Emovo,
        "gio-m3-n5.wav",
        ["happiness", "m3", "n5"],
    ),
    (CorpusKind::Emovo, "sor-m1-d1.wav", ["surprise", "m1", "d1"]),
    (
        CorpusKind::JlCorpus,
        "JL(wav+txt)/female1_angry_10a_1.wav",
        ["anger", "female1", "10a"],
    ),
    (
        CorpusKind::JlCorpus,
        "male2_excited_4b_2.wav",
        ["excitement", "male2", "4b"],
    ),
    (
        CorpusKind::JlCorpus,
        "male1_encouraging_15b_2.wav",
        ["encouraging", "male1", "15b"],
    ),
    (
        CorpusKind::Nemo,
        "samples/EB0_anger_1.wav",
        ["anger", "EB0", "1"],
    ),
    (
        CorpusKind::Nemo,
        "WR0_surprised_90.wav",
        ["surprise", "WR0", "90"],
    ),
    (
        CorpusKind::Subesco,
        "F_01_OISHI_S_10_ANGRY_1.wav",
        ["anger", "F01", "10"],
    ),
    (
        CorpusKind::Subesco,
        "M_12_ABC_S_5_SURPRISE_1.wav",
        ["surprise", "M12", "5"],
    ),
    (CorpusKind::Shemo, "female/F01A01.wav", ["anger", "F01", ""]),
    (
        CorpusKind::Shemo,
        "male/M56W103.wav",
        ["surprise", "M56", ""],
    ),
    (CorpusKind::Shemo, "F24F02.wav", ["fear", "F24", ""]),
    (
        CorpusKind::Urdu,
        "Angry/SM1_F1_A01.wav",
        ["anger", "SM1", ""],
    ),
    (
        CorpusKind::Urdu,
        "Sad/SM24_F19_S031.wav",
        ["sadness", "SM24", ""],
    ),
    (
        CorpusKind::Urdu,
        "SF11_F10_N010.wav",
        ["neutral", "SF11", ""],
    ),
    (
        CorpusKind::Urdu,
        "Angry/SM25_F7_A0100.wav",
        ["anger", "SM25", ""],
    ),
    (
        CorpusKind::Esd,
        "ESD/0011/Angry/train/0011_000401.wav",
        ["anger", "0011", "051"],
    ),
    (
        CorpusKind::Esd,
        "0001_000001.wav",
        ["neutral", "0001", "001"],
    ),
    (
        CorpusKind::Esd,
        "0020_001750.wav",
        ["surprise", "0020", "350"],
    ),
    (
        CorpusKind::Casia,
        "CASIA/liuchanhg/angry/201.wav",
        ["anger", "liuchanhg", "201"],
    ),
    (
        CorpusKind::Casia,
        "ZhaoZuoxiang/surprise/250.wav",
        ["surprise", "ZhaoZuoxiang", "250"],
    ),
    (
        CorpusKind::Cafe,
        "Colère/Faible/01-C-1-1.wav",
        ["anger", "01", "1"],
    ),
    (CorpusKind::Cafe, "12-T-2-6.wav", ["sadness", "12", "6"]),
    (
        CorpusKind::Ased,
        "Angry/a5-03-01-02-50.wav",
        ["anger", "50", "03"],
    ),
    (
        CorpusKind::Ased,
        "S4-07-02-01-65.wav",
        ["sadness", "65", "07"],
    ),
    (
        CorpusKind::TurevDb,
        "Sound Source/Happy/1234_mt_acik.wav",
        ["happiness", "1234", "acik"],
    ),
    (
        CorpusKind::TurevDb,
        "1157_hl_zeytin.wav",
        ["sadness", "1157", "zeytin"],
    ),
    (
        CorpusKind::Baved,
        "2/12-F-23-1-2-245.wav",
        ["high", "12", "1"],
    ),
    (CorpusKind::Baved, "0-m-21-0-0-1.wav", ["low", "0", "0"]),
    (
        CorpusKind::Iemocap,
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M002.wav",
        ["", "Ses01M", ""],
    ),
    (
        CorpusKind::Iemocap,
        "Ses05M_script01_1b_F034.wav",
        ["", "Ses05F", ""],
    ),
    (
        CorpusKind::MspPodcast,
        "Audios/MSP-PODCAST_0001_0008.wav",
        ["", "", ""],
    ),
    (
        CorpusKind::Meld,
        "train_splits/dia0_utt10.wav",
        ["", "", ""],
    ),
    (
        CorpusKind::Folders,
        "Angry/anna/1.wav",
        ["anger", "anna", ""],
    ),
    (
        CorpusKind::Folders,
        "Bored/anna/1.wav",
        ["boredom", "anna", ""],
    ),
    (CorpusKind::Folders, "JOY/1.wav", ["happiness", "", ""]),
    (CorpusKind::Folders, "mocking/1.wav", ["mocking", "", ""]),
];

#[test]
fn each_name_is_read_by_its_own_rule_and_by_no_other() {
    for (kind, file, [label, speaker, sentence]) in NAMES {
        assert_eq!(
            labels(kind, file),
            some(label, speaker, sentence),
            "{kind} {file}"
        );
        for other in CorpusKind::NAMED {
            assert!(
                other == kind || labels(other, file).is_none(),
                "{other} reads {file}"
            );
        }
    }
    for kind in CorpusKind::NAMED {
        assert!(NAMES.iter().any(|(known, ..)| *known == kind), "{kind}");
    }
}

#[test]
fn names_with_one_wrong_field_follow_no_rule() {
    let strange = [
        // Too few and too many fields, and actors, emotions, levels and takes that do not exist.
        "1001_DFA_ANG.wav",
        "1001_DFA_ANG_XX_1.wav",
        "1092_DFA_ANG_XX.wav",
        "1001_ABC_ANG_XX.wav",
        "1001_DFA_CAL_XX.wav",
        "1001_DFA_ANG_VX.wav",
        "+001_DFA_ANG_XX.wav",
        "1001_DFA_ang_XX.wav",
        "XX_a01.wav",
        "a01.wav",
        "PQ/a01.wav",
        "DC_a16.wav",
        "DC_a00.wav",
        "DC_n31.wav",
        "DC_x01.wav",
        "DC_a1.wav",
        "DC_é1.wav",
        "DC_.wav",
        "JE_su1é.wav",
        "dis-f4-b1.wav",
        "dis-f1-x1.wav",
        "dis-f1-b.wav",
        "dis-f1-b12.wav",
        "ang-f1-b1.wav",
        "female3_angry_10a_1.wav",
        "female1_furious_10a_1.wav",
        "female1_angry_10c_1.wav",
        "female1_angry_a_1.wav",
        "female1_angry_100a_1.wav",
        "female1_angry_10a_é.wav",
        "XX0_anger_1.wav",
        "EB0_anger_91.wav",
        "EB0_anger_0.wav",
        "EB0_anger_+1.wav",
        "EB0_joy_1.wav",
        "F_1_OISHI_S_10_ANGRY_5.wav",
        "X_12_OISHI_S_10_ANGRY_5.wav",
        "F_12_OISHI_T_10_ANGRY_5.wav",
        "F_12_OISHI_S_10_FURY_5.wav",
        "F_12__S_10_ANGRY_5.wav",
        "F_12_tuni_S_10_ANGRY_5.wav",
        "X01A01.wav",
        "F01B01.wav",
        "F1A01.wav",
        "F01A1.wav",
        "F01A0001.wav",
        "F01A01b.wav",
        "SX1_F1_A01.wav",
        "SM_F1_A01.wav",
        "SM1_G1_A01.wav",
        "SM1_F1_X01.wav",
        "SM1_F1_A.wav",
        "SM1_F1_é1.wav",
        "SM1_F+1_A01.wav",
        "SM1_F1_A00100.wav",
        "0021_000001.wav",
        "0000_000001.wav",
        "0011_001751.wav",
        "0011_000000.wav",
        "0011_00001.wav",
        "liuchanhg/201.wav",
        "liuchanhg/disgust/201.wav",
        "nobody/angry/201.wav",
        "liuchanhg/angry/20.wav",
        "13-C-1-1.wav",
        "01-X-1-1.wav",
        "01-C-3-1.wav",
        "01-C-1-7.wav",
        "b5-03-01-02-50.wav",
        "a5-03-01-03-50.wav",
        "a5-03-01-02-66.wav",
        "a-03-01-02-50.wav",
        "é5-03-01-02-50.wav",
        "1157_xx_acik.wav",
        "157_kz_acik.wav",
        "1157_kz_.wav",
        "12-X-23-1-0-245.wav",
        "12-F-23-7-0-245.wav",
        "12-F-23-1-3-245.wav",
        "Ses06F_impro01_M002.wav",
        "Ses01X_impro01_M002.wav",
        "Ses01F_impro01_M02.wav",
        "Ses01F_impro01.wav",
        "Ses01F_impro01_XX02.wav",
        "MSP-PODCAST_0001.wav",
        "MSP-PODCAST_01_0008.wav",
        "dia_utt1.wav",
        "dia1_utt.wav",
        "dia1.wav",
        // Sung disgust, and field values that RAVDESS does not have.
        "03-02-07-01-01-01-01.wav",
        "03-03-05-01-01-01-01.wav",
        "03-01-05-03-01-01-01.wav",
        "04-01-05-01-01-01-01.wav",
        "03-01-05-01-01-01-00.wav",
        "03-01-00-01-01-01-01.wav",
    ];
    for file in strange {
        for kind in CorpusKind::NAMED {
            assert_eq!(labels(kind, file), None, "{kind} reads {file}");
        }
    }
}

#[test]
fn every_kind_is_displayed_as_it_is_parsed() {
    for kind in CorpusKind::NAMED {
        let written = serde_json::to_value(kind).unwrap();
        assert_eq!(written.as_str().unwrap(), kind.to_string());
    }
}

#[test]
fn women_and_men_are_counted_if_known() {
    let count = |kind: CorpusKind, speakers: &[&str]| {
        let speakers: Vec<String> = speakers.iter().map(|s| s.to_string()).collect();
        women_and_men(kind, &speakers)
    };
    let actors: Vec<String> = (1001..=1091).map(|actor| actor.to_string()).collect();
    let published = Some("43 women, 48 men".to_string());
    assert_eq!(women_and_men(CorpusKind::CremaD, &actors), published);
    let emodb = ["03", "08", "09", "10", "11", "12", "13", "14", "15", "16"];
    assert_eq!(count(CorpusKind::Emodb, &emodb).unwrap(), "5 women, 5 men");
    assert_eq!(
        count(CorpusKind::Ravdess, &["01", "02"]).unwrap(),
        "1 woman, 1 man"
    );
    assert_eq!(
        count(CorpusKind::Urdu, &["SF1", "SM2"]).unwrap(),
        "1 woman, 1 man"
    );
    assert_eq!(count(CorpusKind::Tess, &["OAF", "YAF"]).unwrap(), "2 women");
    assert_eq!(count(CorpusKind::Savee, &["DC"]).unwrap(), "1 man");
    assert_eq!(count(CorpusKind::Savee, &[]), None);
    assert_eq!(count(CorpusKind::Folders, &["anna"]), None);
}

#[test]
fn each_corpus_is_recognised_among_foreign_files() {
    let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
    let cases = [
        (
            paths(&["Actor_01/03-01-06-01-02-01-01.wav", "noise.wav"]),
            Some(CorpusKind::Ravdess),
        ),
        (
            paths(&["x/OAF_back_angry.wav", "x/YAF_back_sad.wav"]),
            Some(CorpusKind::Tess),
        ),
        (
            paths(&["wav/03a01Fa.wav", "wav/03a01Wa.wav"]),
            Some(CorpusKind::Emodb),
        ),
        (
            paths(&["v01/demo-v01-s03-anger-2.wav"]),
            Some(CorpusKind::Demo),
        ),
        (
            paths(&["happy/a.wav", "sad/b.wav", "c.wav"]),
            Some(CorpusKind::Folders),
        ),
        (
            paths(&["DC/a01.wav", "JE/a01.wav", "Info.wav"]),
            Some(CorpusKind::Savee),
        ),
        // More speech than song: the songs are foreign files.
        (
            paths(&[
                "03-01-05-01-01-01-01.wav",
                "03-01-06-01-01-01-01.wav",
                "03-02-05-01-01-01-01.wav",
            ]),
            Some(CorpusKind::Ravdess),
        ),
        (
            paths(&["Angry/SM1_F1_A01.wav", "Sad/SM24_F19_S031.wav"]),
            Some(CorpusKind::Urdu),
        ),
        (paths(&["a.wav", "b.wav"]), None),
    ];
    for (files, kind) in cases {
        let found = recognise(Path::new("data"), &files, &ScanOptions::default());
        assert_eq!(found.ok().map(|reading| reading.kind), kind, "{files:?}");
    }
}

#[test]
fn second_copies_are_left_out_if_names_are_unique() {
    let folder = tempfile::tempdir().unwrap();
    let touch = |file: &str| {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    };
    for copy in ["a", "b/Actor_01"] {
        touch(&format!("{copy}/03-01-06-01-02-01-01.wav"));
        touch(&format!("{copy}/03-01-05-01-02-01-01.wav"));
    }
    let corpus = scan(folder.path(), None).unwrap();
    assert_eq!((corpus.clips.len(), corpus.skipped.len()), (2, 2));
    let plain = scan(folder.path(), Some(CorpusKind::Folders)).unwrap();
    assert_eq!((plain.clips.len(), plain.skipped.len()), (4, 0));
}

#[test]
fn the_best_sound_of_a_recording_in_two_formats_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let crema_d = [
        "AudioMP3/1001_DFA_ANG_XX.mp3",
        "AudioMP3/1001_DFA_SAD_XX.mp3",
        "AudioWAV/1001_DFA_ANG_XX.wav",
        "AudioWAV/1001_DFA_SAD_XX.wav",
    ];
    let ravdess = [
        "Actor_01/03-01-06-01-02-01-01.wav",
        "Actor_01/03-01-05-01-02-01-01.wav",
        "Video/01-01-05-01-02-01-01.mp4",
        "Video/01-01-06-01-02-01-01.mp4",
    ];
    for (name, files) in [("crema-d", crema_d), ("ravdess", ravdess)] {
        let (_, corpus) = written(folder.path(), name, &files);
        assert_eq!((corpus.clips.len(), corpus.skipped.len()), (2, 2), "{name}");
        let is_wav = |clip: &Clip| clip.file.path.extension().unwrap() == "wav";
        assert!(corpus.clips.iter().all(is_wav), "{name}");
        assert!(corpus.skipped[0].reason.contains("second copy"));
    }
}

#[test]
fn the_speakers_of_every_published_corpus_are_known() {
    let kinds = CorpusKind::value_variants().iter().copied();
    for kind in kinds.filter(|kind| kind.is_published()) {
        assert!(kind.has_speakers_of(kind), "{kind}");
    }
    assert!(CorpusKind::Emozionalmente.is_published());
    assert!(!CorpusKind::Folders.has_speakers_of(CorpusKind::Folders));
}

#[test]
fn songs_are_not_speech_and_one_name_in_two_folders_can_be_two_speakers() {
    let folder = tempfile::tempdir().unwrap();
    let touch = |file: &str| {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    };
    for channel in ["01", "02"] {
        for emotion in ["03", "04"] {
            touch(&format!("ravdess/03-{channel}-{emotion}-01-01-01-01.wav"));
        }
    }
    touch("ravdess/03-01-05-01-01-01-01.wav");
    let at = folder.path().join("ravdess");
    let corpus = scan(&at, None).unwrap();
    assert_eq!((corpus.kind, corpus.clips.len()), (CorpusKind::Ravdess, 3));
    let reason = &corpus.skipped[0].reason;
    assert!(reason.contains("--corpus ravdess-song"), "{reason}");
    let songs = scan(&at, Some(CorpusKind::RavdessSong)).unwrap();
    assert_eq!((songs.clips.len(), songs.skipped.len()), (2, 3));

    for file in ["DC/a01.wav", "DC/h01.wav", "JE/a01.wav", "again/JE_a01.wav"] {
        touch(&format!("savee/{file}"));
    }
    let savee = scan(&folder.path().join("savee"), None).unwrap();
    assert_eq!((savee.clips.len(), savee.skipped.len()), (3, 1));
}

#[test]
fn the_error_for_a_folder_without_recordings_gives_the_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let error = scan(folder.path(), None).unwrap_err().to_string();
    assert!(error.contains("no recording"), "{error}");
    let error = scan(&folder.path().join("missing"), None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("there is no folder"), "{error}");
}

/// A corpus of empty files below a folder.
fn written(folder: &Path, name: &str, files: &[&str]) -> (String, Corpus) {
    for file in files {
        let path = folder.join(name).join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    (name.into(), scan(&folder.join(name), None).unwrap())
}

#[test]
fn folders_of_one_speaker_with_different_spellings_are_merged() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        "happy/Ann/1.wav",
        "sad/ann/1.wav",
        "sad/ann/2.wav",
        "sad/unknown/1.wav",
    ];
    let (name, corpus) = written(folder.path(), "mine", &files);
    assert_eq!(speakers(&corpus.clips), ["", "ann"]);
    let notes = [
        "'unknown' is not the name of a speaker: the speaker of 1 clip is unknown",
        "speaker 'ann' is also written 'Ann': 2 spellings of one speaker",
    ];
    assert_eq!(corpus.notes, notes);

    let other = written(
        folder.path(),
        "other",
        &["happy/bob/1.wav", "sad/bob/1.wav"],
    );
    let union = merge(vec![(name, corpus), other]).unwrap();
    assert_eq!(union.notes, notes.map(|note| format!("mine: {note}")));
    assert_eq!(speakers(&union.clips), ["", "mine:ann", "other:bob"]);
}

#[test]
fn folders_that_may_be_of_one_speaker_or_of_two_are_rejected() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["happy/3/1.wav", "sad/speaker_03/1.wav"] {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    let error = scan(folder.path(), None).unwrap_err().to_string();
    for words in [
        "'3' and 'speaker_03' may be one person",
        "the folders inside those of the classes",
    ] {
        assert!(error.contains(words), "lacks {words}: {error}");
    }
}

#[test]
fn codes_of_a_named_corpus_are_not_merged() {
    let folder = tempfile::tempdir().unwrap();
    let (_, corpus) = written(folder.path(), "berlin", &["03a01Na.wav", "08a01Wa.wav"]);
    assert_eq!(speakers(&corpus.clips), ["03", "08"]);
    assert!(corpus.notes.is_empty());
}

const RAVDESS: [&str; 4] = [
    "Actor_01/03-01-01-01-01-01-01.wav",
    "Actor_01/03-01-02-01-01-01-01.wav",
    "Actor_02/03-01-05-01-01-01-02.wav",
    "Actor_02/03-01-08-01-01-01-02.wav",
];
const EMODB: [&str; 4] = ["03a01Na.wav", "03a01La.wav", "08a01Wa.wav", "08a01Ea.wav"];

#[test]
fn merged_corpora_have_separate_speakers_and_aligned_labels() {
    let folder = tempfile::tempdir().unwrap();
    let both = || {
        vec![
            written(folder.path(), "ravdess", &RAVDESS),
            written(folder.path(), "berlin", &EMODB),
        ]
    };
    let mut union = merge(both()).unwrap();
    assert_eq!((union.kind, union.clips.len()), (CorpusKind::Union, 8));
    assert_eq!(union.name(), "ravdess+berlin");
    let expected = ["berlin:03", "berlin:08", "ravdess:01", "ravdess:02"];
    assert_eq!(speakers(&union.clips), expected);
    for clip in &union.clips {
        assert!(union.recording(clip).path.is_file());
        let place = source_of(&union.sources, clip).unwrap();
        assert!(clip.file.path.starts_with(&union.sources[place].folder));
    }

    // Only one corpus has surprise and disgust; calm and boredom count as neutral.
    union.choose(&[], &BTreeMap::new()).unwrap();
    assert_eq!(classes(&union.clips), ["anger", "neutral"]);
    assert_eq!(union.clips.len(), 6);
    let notes = union.notes.join("\n");
    for words in [
        "calm counts as neutral",
        "boredom counts as neutral",
        "2 clips are left out (labels: disgust, surprise)",
    ] {
        assert!(notes.contains(words), "{notes}");
    }
    let counts: Vec<Vec<&str>> = union
        .counts_as
        .iter()
        .map(|pairs| pairs.keys().map(String::as_str).collect())
        .collect();
    assert_eq!(counts, [["calm"], ["boredom"]]);

    // A requested label keeps its name.
    let wanted = ["anger", "calm", "neutral", "disgust"].map(String::from);
    let mut union = merge(both()).unwrap();
    union.choose(&wanted, &BTreeMap::new()).unwrap();
    assert_eq!(
        classes(&union.clips),
        ["anger", "calm", "disgust", "neutral"]
    );
    let mut union = merge(both()).unwrap();
    union.choose(&["all".into()], &BTreeMap::new()).unwrap();
    let all = ["anger", "boredom", "calm", "disgust", "neutral", "surprise"];
    assert_eq!(classes(&union.clips), all);
    let mut union = merge(both()).unwrap();
    let map = [("calm".to_string(), "neutral".to_string())].into();
    union.choose(&["all".into()], &map).unwrap();
    let all = ["anger", "boredom", "disgust", "neutral", "surprise"];
    assert_eq!(classes(&union.clips), all);

    let mut union = merge(both()).unwrap();
    let map = [("surprise", "disgust"), ("boredom", "disgust")];
    let map = map
        .map(|(from, to)| (from.to_string(), to.to_string()))
        .into();
    union.choose(&[], &map).unwrap();
    assert_eq!(classes(&union.clips), ["anger", "disgust", "neutral"]);
    assert_eq!(union.counts_as[0].len(), 2);
    assert_eq!(union.counts_as[1]["boredom"], "disgust");

    let mut union = merge(both()).unwrap();
    let error = union
        .choose(&["joy".into()], &BTreeMap::new())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no recording has the label joy; the labels are anger"),
        "{error}"
    );
    let error = union
        .choose(&["anger".into()], &BTreeMap::new())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("only anger is left") && error.contains("--labels"),
        "{error}"
    );
}

#[test]
fn corpora_without_a_common_label_are_an_error_that_names_the_flags() {
    let folder = tempfile::tempdir().unwrap();
    let fear_and_surprise = ["03-01-06-01-01-01-01.wav", "03-01-08-01-01-01-01.wav"];
    let disgust_and_anger = ["03a01Ea.wav", "08a01Wa.wav"];
    let both = vec![
        written(folder.path(), "ravdess", &fear_and_surprise),
        written(folder.path(), "berlin", &disgust_and_anger),
    ];
    let mut union = merge(both).unwrap();
    let error = union.choose(&[], &BTreeMap::new()).unwrap_err().to_string();
    for words in ["no label in common", "--labels all", "--map"] {
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn one_corpus_is_restricted_and_no_label_is_mapped_by_default() {
    let folder = tempfile::tempdir().unwrap();
    let (_, mut corpus) = written(folder.path(), "ravdess", &RAVDESS);
    corpus
        .choose(&["anger".into(), "neutral".into()], &BTreeMap::new())
        .unwrap();
    assert_eq!(
        (classes(&corpus.clips), corpus.clips.len()),
        (vec!["anger".into(), "neutral".into()], 2)
    );
}

#[test]
fn speech_and_song_have_the_same_speakers_and_a_recording_is_in_one_corpus() {
    let folder = tempfile::tempdir().unwrap();
    let songs = [
        "Actor_01/03-02-04-01-01-01-01.wav",
        "Actor_03/03-02-05-01-01-01-03.wav",
    ];
    let all = [&RAVDESS[..], &songs[..]].concat();
    let speech = written(folder.path(), "both", &all);
    let at = folder.path().join("both");
    let song = (
        "song".to_string(),
        scan(&at, Some(CorpusKind::RavdessSong)).unwrap(),
    );
    let union = merge(vec![speech, song]).unwrap();
    assert_eq!(union.clips.len(), 6);
    assert!(union.skipped.is_empty(), "each is in one of them");
    assert_eq!(speakers(&union.clips), ["both:01", "both:02", "both:03"]);
    assert!(union.notes[0].contains("song has the same speakers as both"));
    for clip in &union.clips {
        let sung = clip.file.path.to_str().unwrap().contains("03-02-");
        assert_eq!(source_of(&union.sources, clip), Some(usize::from(sung)));
    }

    let one = written(folder.path(), "a", &["happy/x/1.wav", "sad/x/1.wav"]);
    let inner = written(folder.path(), "a/sad", &["y/1.wav", "z/2.wav"]);
    let error = merge(vec![one, inner]).unwrap_err().to_string();
    assert!(
        error.contains("in a/sad as well as in an earlier"),
        "{error}"
    );
}

#[test]
fn a_folder_named_like_a_missing_value_is_not_a_class() {
    let of = |wanted: &[String], map: &[(&str, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        for class in ["anger", "joy", "unknown", "NaN"] {
            let folder = folder.path().join(class).join("ann");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("1.wav"), "").unwrap();
        }
        let mut corpus = scan(folder.path(), Some(CorpusKind::Folders)).unwrap();
        let map = map
            .iter()
            .map(|(from, to)| (from.to_string(), to.to_string()));
        corpus.choose(wanted, &map.collect()).unwrap();
        (classes(&corpus.clips), corpus.skipped.len())
    };
    assert_eq!(of(&[], &[]).1, 2, "both are listed");
    assert_eq!(of(&[], &[]).0, ["anger", "happiness"]);
    let (named, skipped) = of(&[], &[("unknown", "unknown")]);
    assert_eq!(named, ["anger", "happiness", "unknown"]);
    assert_eq!(skipped, 1);
    let wanted = ["anger", "unknown"].map(String::from);
    assert_eq!(of(&wanted, &[]).0, wanted);
}

#[test]
fn a_long_list_of_names_is_cut() {
    let names: Vec<String> = (1..=185).map(|n| n.to_string()).collect();
    assert_eq!(first_names(&names[..2]), "1, 2");
    assert!(first_names(&names[..31]).ends_with("30, 31"));
    assert!(first_names(&names).ends_with("29, 30 and 155 more"));
}
