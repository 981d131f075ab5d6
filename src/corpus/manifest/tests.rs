use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;
use unicode_normalization::UnicodeNormalization;

use super::super::speakers;
use super::*;
use crate::corpus::subset_words::SubsetUse;

/// A folder with recordings (empty files, because these tests read no audio) and manifests.
struct TestEnv(TempDir);

impl TestEnv {
    fn with(files: &[&str]) -> TestEnv {
        let env = TestEnv(tempfile::tempdir().unwrap());
        for file in files {
            env.write(file, "");
        }
        env
    }

    fn write(&self, file: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn manifest(&self, name: &str, text: &str) -> Manifest {
        Manifest {
            file: self.write(name, text),
            root: self.0.path().into(),
            ..Manifest::default()
        }
    }

    /// Reads a manifest; every recording has a duration of two seconds.
    fn read(&self, name: &str, text: &str) -> Result<Corpus, ManifestError> {
        self.manifest(name, text).read(|_| Some(2.0))
    }

    #[track_caller]
    fn assert_rejects(&self, name: &str, text: &str, words: &[&str]) {
        let error = self.read(name, text).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "lacks '{word}': {error}");
        }
    }
}

fn clips(corpus: &Corpus) -> Vec<[&str; 3]> {
    let each = corpus.clips.iter();
    each.map(|clip| {
        [
            clip.file.path.to_str().unwrap(),
            clip.label.as_str(),
            clip.speaker.as_str(),
        ]
    })
    .collect()
}

const AB: [[&str; 3]; 2] = [["a.wav", "anger", "ann"], ["b.wav", "happiness", "bob"]];

#[test]
fn tables_of_every_form_give_the_same_clips() {
    let env = TestEnv::with(&["a.wav", "b.wav"]);
    let tables = [
        "file,label,speaker\na.wav,anger,ann\nb.wav,Happy,bob\n",
        "a.wav,anger,ann\nb.wav,happy,bob",
        "File;Emotion;Speaker\r\na.wav;ANGRY;ann\r\nb.wav;joy;bob\r\n",
        "speaker\tpath\temo\nann\ta.wav\tangry\nbob\tb.wav\thappiness\n",
        "\u{feff}file,label,speaker\n\n a.wav , anger ,ann\n,,\nb.wav,happiness,bob\n\n",
        "\"file\",\"label\",\"speaker\"\n\"a.wav\",\"anger\",\"ann\"\n\"b.wav\",\"happy\",\"bob\"\n",
        ",file,emotion,speaker,gender\n0,a.wav,anger,ann,female\n1,b.wav,happy,bob,male\n",
        "file,start,end,emotion,speaker\na.wav,0 days,NaT,anger,ann\n\
         b.wav,0 days 00:00:00,0 days 00:00:02,happiness,bob\n",
        "file,emotion,speaker,text\na.wav,anger,ann,\"no, you;\n said \"\"no\"\"\"\nb.wav,happy,bob,yes\n",
        "{\"wav\": \"a.wav\", \"emo\": \"angry\", \"spk\": \"ann\"}\n\n\
         {\"spk\": \"bob\", \"wav\": \"b.wav\", \"emo\": \"happy\", \"more\": [1]}\n",
        "sep=;\r\nfile;label;speaker\r\na.wav;anger;ann\r\nb.wav;happy;bob\r\n",
        "\"sep=\t\"\nfile\tlabel\tspeaker\na.wav\tanger\tann\nb.wav\thappy\tbob\n",
        "sep=|\nfile|label|speaker\na.wav|anger|ann\nb.wav|happy|bob\n",
        "[\n {\"file\": \"a.wav\", \"label\": \"anger\", \"speaker\": \"ann\"},\n\
         {\"file\": \"b.wav\", \"label\": \"happy\", \"speaker\": \"bob\"}\n]",
        "{\"data\": [{\"file\": \"a.wav\", \"label\": \"anger\", \"speaker\": \"ann\"}, \
         {\"file\": \"b.wav\", \"label\": \"happy\", \"speaker\": \"bob\"}]}",
        "{\n \"utt0\": {\n  \"wav\": \"{data_root}/a.wav\", \"length\": 1.2, \"emo\": \"angry\",\n  \
         \"spk_id\": \"ann\"\n },\n \"utt1\": {\"wav\": \"{data_root}/b.wav\", \"length\": 1, \
         \"emo\": \"joy\", \"spk_id\": \"bob\"}\n}",
        "{\"a\": {\"emo\": \"angry\", \"spk\": \"ann\"}, \"b\": {\"emo\": \"joy\", \"spk\": \"bob\"}}",
        "{\"audio\": {\"path\": \"a.wav\", \"bytes\": null}, \"label\": \"anger\", \"speaker\": \"ann\"}\n\
         {\"audio\": {\"path\": \"b.wav\", \"bytes\": null}, \"label\": \"joy\", \"speaker\": \"bob\"}\n",
    ];
    for table in tables {
        for name in ["list.csv", "list.txt"] {
            let corpus = env.read(name, table).unwrap();
            assert_eq!(clips(&corpus), AB, "{table}");
            assert!(
                corpus.given.is_empty() && corpus.skipped.is_empty(),
                "{table}"
            );
        }
    }
}

#[test]
fn an_error_has_line_and_column() {
    let env = TestEnv::with(&["a.wav", "b.wav", "c.wav"]);
    let assert_rejects = |text: &str, words: &[&str]| env.assert_rejects("list.csv", text, words);
    let head = "file,label,speaker,split\na.wav,anger,ann,train\n";
    let with = |line: &str| format!("{head}{line}\n");
    assert_rejects(
        &with("b.wav,fear,bob"),
        &["list.csv, line 3", "3 values, but the first line has 4"],
    );
    assert_rejects(
        &with("b.wav,,bob,test"),
        &["list.csv, line 3, column 2 (label)", "empty"],
    );
    assert_rejects(
        &with(",fear,bob,test"),
        &["line 3, column 1 (file)", "empty"],
    );
    assert_rejects(
        &with("b.wav,fear,,test"),
        &["line 3, column 3 (speaker)", "name every speaker"],
    );
    assert_rejects(
        &with("b.wav,fear,bob,tets"),
        &["line 3, column 4 (split)", "'tets'", "validation"],
    );
    assert_rejects(
        &with("b.wav,fear,bob,"),
        &["line 3, column 4 (split)", "empty"],
    );
    assert_rejects(
        &with("b.wav,fear,bob,test\na.wav,anger,ann,train"),
        &[
            "line 4, column 1 (file)",
            "a.wav is listed already",
            "line 2, column 1 (file)",
        ],
    );
    assert_rejects(&with("b.wav,\"fear,bob,test"), &["line 3", "never closed"]);
    assert_rejects(
        "file,speaker\na.wav,ann\n",
        &[
            "list.csv, line 1",
            "a name for the label",
            "--column label=",
        ],
    );
    assert_rejects(
        "file,label,emotion\na.wav,1,anger\n",
        &[
            "line 1",
            "both label and emotion may be the label",
            "--column label=NAME",
        ],
    );
    assert_rejects("x,y\n1,2\n", &["line 1", "a name for the file"]);
    assert_rejects("ann,a.wav,anger\n", &["line 1", "in this order"]);
    assert_rejects("", &["lists no recordings", "clips/a.wav,anger,anna"]);
    assert_rejects("file,label\n", &["lists no recordings"]);
    assert_rejects(
        "file,label\na.wav,anger\nb.wav,angry\n",
        &["one class only ('anger'); a classifier"],
    );
    assert_rejects(
        "file,label\na.wav,anger\nlost.wav,fear\n",
        &[
            "('anger') apart from 1 recording that is left out, such as lost.wav: there is no such file",
        ],
    );
    assert_rejects(
        "file,label\nx.wav,anger\ny.wav,fear\n",
        &["line 2, column 1 (file)", "no recording x.wav", "--root"],
    );

    let line = "{\"wav\": \"a.wav\", \"emo\": \"anger\"}\n";
    let json = |second: &str| format!("{line}{second}\n");
    assert_rejects(
        &json("{\"wav\": \"b.wav\"}"),
        &["line 2, \"emo\"", "missing here"],
    );
    assert_rejects(
        &json("{\"wav\": \"b.wav\", \"emo\": null}"),
        &["line 2, \"emo\"", "empty"],
    );
    assert_rejects(
        &json("{\"wav\": \"b.wav\", \"emo\": [\"x\"]}"),
        &["line 2, \"emo\"", "[\"x\"] is not text"],
    );
    assert_rejects(
        &json("{\"wav\": \"b.wav\" \"emo\": 1}"),
        &["line 2", "column 17", "not a JSON object"],
    );
    assert_rejects(
        "[{\"wav\": \"a.wav\"}]",
        &["line 1", "a name for the label"],
    );
    assert_rejects("{\n\"a\": {}\n}", &["line 2", "a name for the label"]);
    assert_rejects(
        "[{\"wav\": \"a.wav\"},\n1]",
        &["line 2", "not a JSON object"],
    );
    assert_rejects("[{\"wav\": \"a.wav\"},", &["line 1", "not a JSON array"]);

    fs::write(env.0.path().join("bad.csv"), b"file,label\na.wav,\xff\n").unwrap();
    let bad = Manifest {
        file: env.0.path().join("bad.csv"),
        ..Manifest::default()
    };
    let error = bad.read(|_| None).unwrap_err().to_string();
    assert!(
        error.contains("bad.csv, line 2") && error.contains("UTF-8"),
        "{error}"
    );
}

#[test]
fn an_unbalanced_quote_is_an_error() {
    let env = TestEnv::with(&["a.wav", "b.wav", "c.wav"]);
    let list = |last: &str| format!("file,label,speaker\na.wav,anger,ann\n{last}");
    for (last, words) in [
        (
            "b.wav,fear,\"bob\nc.wav,anger,cem\n",
            ["line 3", "never closed"],
        ),
        (
            "\"b.wav\"x,fear,bob\n",
            ["line 3", "behind a closing quote"],
        ),
        (
            "b.wav,fear,\"bob\nc.wav,anger,\"cem\n",
            ["line 4", "behind a closing quote"],
        ),
        (
            "b.wav,fear,\"bob\ncem\"\nc.wav,fear,bob\n",
            ["line 3, column 3", "several lines"],
        ),
    ] {
        env.assert_rejects("list.csv", &list(last), &words);
    }
    // A text can extend over several lines, and a value can contain a quote as the sign for inches.
    let text = "file,label,text\na.wav,anger,\"Go,\n\"\"now\"\"\"\nb.wav,fear,12\" record\n";
    assert_eq!(env.read("list.csv", text).unwrap().clips.len(), 2);
}

#[test]
fn a_key_that_only_later_lines_have_is_used() {
    let env = TestEnv::with(&["a.wav", "b.wav"]);
    let first = r#"{"wav":"a.wav","emo":"anger"}"#;
    let split = format!(
        "{first}\n{}",
        r#"{"wav":"b.wav","emo":"fear","split":"test"}"#
    );
    env.assert_rejects(
        "list.jsonl",
        &split,
        &["line 1, \"split\"", "other lines have it"],
    );
    let piece = r#"{"wav":"b.wav","emo":"fear","start":0.1,"end":0.2}"#;
    let corpus = env
        .read("list.jsonl", &format!("{first}\n{piece}"))
        .unwrap();
    let files = corpus.clips.iter().map(|clip| clip.file.to_string());
    assert!(files.eq(["a.wav", "b.wav (0.1–0.2 s)"]));
}

#[test]
fn a_recording_with_two_spellings_of_its_path_is_a_duplicate() {
    let env = TestEnv::with(&["day/a.wav", "b.wav"]);
    let folder = env.0.path().canonicalize().unwrap();
    let whole = format!("{}/day/a.wav", folder.display());
    for again in ["day/../day/a.wav", whole.as_str()] {
        let list = format!("file,label\nday/a.wav,anger\nb.wav,fear\n{again},fear\n");
        env.assert_rejects(
            "list.csv",
            &list,
            &["line 4", "is listed already", "line 2"],
        );
    }
}

#[test]
fn existing_recordings_are_found_after_missing_ones() {
    let files: Vec<String> = (0..210).map(|n| format!("{n}.wav")).collect();
    let env = TestEnv::with(&files.iter().map(String::as_str).collect::<Vec<_>>());
    let mut list = "file,label\n".to_string();
    list.extend((0..200).map(|n| format!("gone/{n}x.wav,anger\n")));
    list.extend((0..210).map(|n| format!("{n}.wav,{}\n", ["anger", "fear"][n % 2])));
    let corpus = env.read("list.csv", &list).unwrap();
    assert_eq!((corpus.clips.len(), corpus.skipped.len()), (210, 200));
}

#[test]
fn subsets_come_from_a_column_or_from_two_manifests() {
    let env = TestEnv::with(&["a.wav", "b.wav", "c.wav"]);
    let text = "file,label,part\na.wav,anger,Train\nb.wav,fear,dev\nc.wav,anger,test\n";
    let given = env.read("list.csv", text).unwrap().given;
    let subsets: Vec<Subset> = given.into_values().collect();
    assert_eq!(subsets, Subset::ALL);

    let mut two = env.manifest("train.csv", "file,label\na.wav,anger\nb.wav,fear\n");
    two.test = Some(env.write("test.csv", "file,label\nc.wav,anger\n"));
    let corpus = two.read(|_| None).unwrap();
    let subsets: Vec<Subset> = corpus.given.into_values().collect();
    assert_eq!(subsets, [Subset::Train, Subset::Train, Subset::Test]);

    env.write("test.csv", "file,label\na.wav,anger\n");
    let error = two.read(|_| None).unwrap_err().to_string();
    assert!(
        error.contains("test.csv, line 2") && error.contains("train.csv, line 2"),
        "{error}"
    );
    env.write("test.csv", "file,label,speaker\nc.wav,anger,ann\n");
    let error = two.read(|_| None).unwrap_err().to_string();
    assert!(
        error.contains("train.csv, line 2") && error.contains("has no speakers"),
        "{error}"
    );
    env.write("test.csv", "file,label,split\nc.wav,anger,train\n");
    let error = two.read(|_| None).unwrap_err().to_string();
    assert!(
        error.contains("test.csv, line 2, column 3 (split)"),
        "{error}"
    );
}

/// A manifest with two whole recordings and a line for `a.wav` with these times.
fn with_times(times: &str) -> String {
    format!("file,start,end,label\nb.wav,,,fear\na.wav,{times},anger\n")
}

/// The segments of the clips in `a.wav`.
fn segments(corpus: &Corpus) -> Vec<String> {
    let clips = corpus.clips.iter();
    let clips = clips.filter(|clip| clip.file.path.ends_with("a.wav"));
    let segment = |clip: &Clip| clip.file.segment.map(|segment| segment.to_string());
    clips
        .map(|clip| segment(clip).unwrap_or("whole".into()))
        .collect()
}

#[test]
fn times_of_the_whole_recording_are_no_segment() {
    let env = TestEnv::with(&["a.wav", "b.wav"]);
    for times in [
        "0,2.0",
        "0.0,NaT",
        "0 days 00:00:00,0 days 00:00:01.960000",
        "0 days,2.04",
        ",",
        "00:00:00,0:02",
        ",2",
    ] {
        let corpus = env.read("list.csv", &with_times(times)).unwrap();
        assert_eq!(segments(&corpus), ["whole"], "{times}");
    }
}

#[test]
fn a_line_with_times_is_a_segment() {
    let env = TestEnv::with(&["a.wav", "b.wav"]);
    for (times, expected) in [
        ("0.5,1.5", "0.5–1.5 s"),
        ("0 days 00:00:00.500000,0 days 00:00:01.5", "0.5–1.5 s"),
        ("0:00.5,0:01.5", "0.5–1.5 s"),
        ("0.5,NaT", "0.5–end s"),
        ("0.5,2.04", "0.5–end s"),
        ("0.5,1.96", "0.5–1.96 s"),
        ("0,1.5", "0–1.5 s"),
        (",1.5", "0–1.5 s"),
    ] {
        let corpus = env.read("list.csv", &with_times(times)).unwrap();
        assert_eq!(segments(&corpus), [expected], "{times}");
    }
}

#[test]
fn a_duration_gives_the_end_of_a_line_without_an_end() {
    let env = TestEnv::with(&["a.wav", "b.wav"]);
    let text = "file,start,duration,label\nb.wav,,,fear\na.wav,0.5,0.75,anger\n";
    assert_eq!(
        segments(&env.read("list.csv", text).unwrap()),
        ["0.5–1.25 s"]
    );
    // The duration of the recording, in a table with the times of the clips or without them.
    let text = "file,start,end,duration,label\nb.wav,,,2,fear\na.wav,0.5,1,2,anger\n";
    assert_eq!(segments(&env.read("list.csv", text).unwrap()), ["0.5–1 s"]);
    let text = "file,duration,label\nb.wav,soon,fear\na.wav,1.5,anger\n";
    assert_eq!(segments(&env.read("list.csv", text).unwrap()), ["whole"]);
    let mut manifest = env.manifest(
        "list.csv",
        "file,from,length,label\nb.wav,,,fear\na.wav,0.5,0.75,anger\n",
    );
    let names = [(Role::Start, "from"), (Role::Duration, "length")];
    manifest.columns = names.map(|(role, name)| (role, name.into())).into();
    let corpus = manifest.read(|_| Some(2.0)).unwrap();
    assert_eq!(segments(&corpus), ["0.5–1.25 s"]);
}

#[test]
fn impossible_times_are_errors_with_their_line() {
    let env = TestEnv::with(&["a.wav", "b.wav"]);
    for (times, words) in [
        (
            "soon,2",
            ["line 3, column 2 (start)", "'soon' is not a time"],
        ),
        ("0,1:2:3:4", ["line 3, column 3 (end)", "is not a time"]),
        ("-1,2", ["line 3, column 2 (start)", "'-1' is negative"]),
        (
            "1.5,0.5",
            [
                "line 3, column 3 (end)",
                "ends at 0.5 s, but starts at 1.5 s",
            ],
        ),
        ("1.5,1.5", ["line 3, column 3 (end)", "ends at 1.5 s"]),
        (
            "1,1.02",
            [
                "line 3, column 3 (end)",
                "only 0.02 s, less than one frame (0.025 s)",
            ],
        ),
    ] {
        env.assert_rejects("list.csv", &with_times(times), &words);
    }
}

#[test]
fn segments_of_one_file_are_clips_and_the_same_segment_twice_is_an_error() {
    let env = TestEnv::with(&["a.wav", "b.wav"]);
    let text = "file,start,end,label\na.wav,0,0.5,fear\na.wav,0.5,1.25,anger\na.wav,1.25,,joy\n";
    let corpus = env.read("list.csv", text).unwrap();
    assert_eq!(segments(&corpus), ["0–0.5 s", "0.5–1.25 s", "1.25–end s"]);
    let twice = format!("{text}./a.wav,0 days 00:00:00.5,1.250,joy\n");
    env.assert_rejects(
        "list.csv",
        &twice,
        &["line 5", "./a.wav (0.5–1.25 s) is listed already", "line 3"],
    );
}

#[test]
fn overlapping_segments_are_noted() {
    let env = TestEnv::with(&["a.wav", "b.wav"]);
    let text = "file,start,end,label\na.wav,0,1.5,fear\na.wav,0.5,0.75,anger\na.wav,1,2,joy\nb.wav,,,joy\n";
    let notes = env.read("list.csv", text).unwrap().notes;
    let note = "2 segments overlap another clip of the same file, such as a.wav (0–1.5 s) and a.wav \
                (0.5–0.75 s)";
    assert!(
        notes.iter().any(|found| found.starts_with(note)),
        "{notes:?}"
    );
    let text = "file,start,end,label\na.wav,0,1,fear\na.wav,1,2,anger\nb.wav,,,joy\n";
    assert!(env.read("list.csv", text).unwrap().notes.is_empty());
}

#[test]
fn segments_behind_the_end_are_left_out_and_counted() {
    let env = TestEnv::with(&["a.wav", "b.wav"]);
    let text = "file,start,end,label\nb.wav,,,fear\na.wav,0,1,anger\na.wav,1.5,2.5,anger\n";
    let corpus = env.read("list.csv", text).unwrap();
    assert_eq!(corpus.clips.len(), 2);
    assert_eq!(corpus.skipped[0].file.to_string(), "a.wav (1.5–2.5 s)");
    let reason = &corpus.skipped[0].reason;
    assert!(
        reason.contains("which has 2.000 s") && reason.contains("line 4"),
        "{reason}"
    );
    assert!(!reason.contains("milliseconds"), "{reason}");
    let note = "1 of the 3 clips is left out, because their segments are not in their recordings";
    assert!(corpus.notes[0].starts_with(note), "{:?}", corpus.notes);
    // Most segments: the unit is wrong.
    env.assert_rejects(
        "list.csv",
        "file,start,end,label\nb.wav,0,1500,fear\na.wav,200,1000,anger\n",
        &[
            "2 of the 2 segments are not in their recordings",
            "b.wav",
            "divide them by 1000 if they are milliseconds",
        ],
    );
}

#[test]
fn a_file_is_measured_once() {
    let env = TestEnv::with(&["a.wav", "b.wav"]);
    let measured = std::cell::RefCell::new(Vec::new());
    let text = "file,start,end,label\na.wav,0,1,fear\na.wav,1,2,anger\nb.wav,0,NaT,joy\n";
    let manifest = env.manifest("list.csv", text);
    let seconds = |path: &Path| {
        measured.borrow_mut().push(path.to_path_buf());
        Some(2.0)
    };
    manifest.read(seconds).unwrap();
    let measured = measured.into_inner();
    assert!(
        measured.len() == 1 && measured[0].ends_with("a.wav"),
        "{measured:?}"
    );
}

#[test]
fn missing_recordings_are_left_out_and_reported() {
    let env = TestEnv::with(&["a.wav", "b.wav"]);
    let text = "file,label\na.wav,anger\nlost.wav,fear\nb.wav,fear\n";
    let corpus = env.read("list.csv", text).unwrap();
    assert_eq!(corpus.clips.len(), 2);
    assert_eq!(corpus.skipped[0].file, "lost.wav".into());
    let most = format!("{text}x.wav,fear\ny.wav,fear\n");
    env.assert_rejects(
        "list.csv",
        &most,
        &[
            "3 of the 5 recordings are not in",
            "lost.wav",
            "line 3, column 1 (file)",
            "--root",
        ],
    );
    let reason = &corpus.skipped[0].reason;
    assert!(
        reason.contains("no such file") && reason.contains("line 3, column 1 (file)"),
        "{reason}"
    );
}

#[test]
fn a_table_without_a_header_may_list_recordings_of_any_format() {
    let env = TestEnv::with(&["a.flac", "b.MP3"]);
    let table = "a.flac,anger,anna\nb.MP3,sadness,ben\n";
    let corpus = env.read("list.csv", table).unwrap();
    let expected = [["a.flac", "anger", "anna"], ["b.MP3", "sadness", "ben"]];
    assert_eq!(clips(&corpus), expected);
}

/// A manifest of EmoBox for URDU: it has the folders of its authors, letters for labels, and no
/// speakers.
#[test]
fn manifests_of_emobox_are_read() {
    let line = |folder: &str, name: &str, emo: &str| {
        format!(
            "{{\"key\": \"urdu-{name}\", \"dataset\": \"urdu\", \"wav\": \"downloads/urdu/{folder}/{name}.wav\", \
             \"type\": \"raw\", \"sample_rate\": 44100, \"num_frame\": 88200.0, \"task\": \"category\", \
             \"length\": 2.0, \"emo\": \"{emo}\", \"channel\": 1}}\n"
        )
    };
    let env = TestEnv::with(&["Angry/SM1_F1_A01.wav", "Sad/SM24_F19_S031.wav"]);
    let map = "{\"A\": \"Angry\", \"S\": \"Sad\"}";
    env.write("lists/label_map.json", map);
    let text = line("Angry", "SM1_F1_A01", "A") + &line("Sad", "SM24_F19_S031", "S");
    let corpus = env.read("lists/fold_1/train.jsonl", &text).unwrap();
    let expected = [
        ["Angry/SM1_F1_A01.wav", "anger", "SM1"],
        ["Sad/SM24_F19_S031.wav", "sadness", "SM24"],
    ];
    assert_eq!(clips(&corpus), expected);
    let notes = corpus.notes.join("\n");
    for word in ["first 2 folders", "label_map.json", "the rule of urdu"] {
        assert!(notes.contains(word), "{notes}");
    }
    let strange = text.clone() + &line("Sad", "SM24_F19_S032", "X");
    env.assert_rejects(
        "lists/fold_1/train.jsonl",
        &strange,
        &["line 3, \"emo\"", "no meaning for 'X', only for A, S"],
    );
    env.write("lists/label_map.json", "{\"A\": \"Angry\", \"S\": \" \"}");
    env.assert_rejects(
        "lists/fold_1/train.jsonl",
        &text,
        &["line 2, \"emo\"", "an empty meaning for 'S'"],
    );
    env.write("lists/label_map.json", "[1]");
    env.assert_rejects(
        "lists/fold_1/train.jsonl",
        &text,
        &["label_map.json", "not a JSON object"],
    );
}

#[test]
fn columns_can_have_any_name() {
    let env = TestEnv::with(&["a.wav", "b.wav"]);
    let text = "recording,felt,label,who\na.wav,anger,1,ann\nb.wav,happy,2,bob\n";
    let mut manifest = env.manifest("list.csv", text);
    manifest.columns = [
        (Role::File, "recording"),
        (Role::Label, "felt"),
        (Role::Speaker, "who"),
    ]
    .map(|(role, name)| (role, name.to_string()))
    .into();
    assert_eq!(clips(&manifest.read(|_| None).unwrap()), AB);
    manifest.columns.insert(Role::Split, "fold".into());
    let error = manifest.read(|_| None).unwrap_err().to_string();
    assert!(
        error.contains("no column 'fold' for the split; the columns are recording, felt"),
        "{error}"
    );
}

#[test]
fn a_row_without_a_label_is_left_out_and_reported() {
    let env = TestEnv::with(&["a.wav", "b.wav", "c.wav", "d.wav", "e.wav", "f.wav"]);
    let text = "file,label,speaker\na.wav,anger,ann\nb.wav,NaN,ann\nc.wav,Unknown,bob\n\
                d.wav,n/a,bob\ne.wav,fear,bob\nf.wav,other,ann\n";
    let corpus = env.read("list.csv", text).unwrap();
    assert_eq!(classes(&corpus.clips), ["anger", "fear", "other"]);
    let skipped: Vec<&str> = corpus
        .skipped
        .iter()
        .map(|one| one.file.path.to_str().unwrap())
        .collect();
    assert_eq!(skipped, ["b.wav", "c.wav", "d.wav"]);
    let reason = &corpus.skipped[0].reason;
    for words in [
        "'NaN', which is not a class",
        "list.csv, line 3, column 2 (label)",
        "--map 'nan=nan'",
    ] {
        assert!(reason.contains(words), "lacks {words}: {reason}");
    }

    let mut manifest = env.manifest("list.csv", text);
    manifest.classes.insert("unknown".into());
    let corpus = manifest.read(|_| None).unwrap();
    assert_eq!(
        classes(&corpus.clips),
        ["anger", "fear", "other", "unknown"]
    );

    let text = "file,label\na.wav,nan\nb.wav,None\n";
    env.assert_rejects(
        "list.csv",
        text,
        &["list.csv has no recording with a class"],
    );
}

#[test]
fn a_label_map_can_define_a_word_for_a_missing_value() {
    let env = TestEnv::with(&["a.wav", "b.wav", "c.wav"]);
    let mut manifest = env.manifest("list.csv", "file,label\na.wav,na\nb.wav,h\nc.wav,x\n");
    let map = "{\"na\": \"neutral\", \"h\": \"happy\", \"x\": \"unknown\"}";
    manifest.label_map = Some(env.write("map.json", map));
    let corpus = manifest.read(|_| None).unwrap();
    assert_eq!(classes(&corpus.clips), ["happiness", "neutral"]);
    assert!(
        corpus.skipped[0]
            .reason
            .contains("'x', which is not a class")
    );
}

#[test]
fn spellings_of_one_speaker_are_merged() {
    let env = TestEnv::with(&["a.wav", "b.wav", "c.wav", "d.wav"]);
    let list = |speakers: [&str; 4]| {
        let mut text = "file,label,speaker\n".to_string();
        for (place, speaker) in speakers.iter().enumerate() {
            let label = ["anger", "fear"][place % 2];
            text += &format!("{}.wav,{label},{speaker}\n", ["a", "b", "c", "d"][place]);
        }
        text
    };
    let corpus = env
        .read("list.csv", &list(["03", "3", "03", "N/A"]))
        .unwrap();
    assert_eq!(speakers(&corpus.clips), ["", "03"]);
    assert_eq!(
        corpus.notes,
        [
            "'N/A' is not the name of a speaker: the speaker of 1 clip is unknown",
            "speaker '03' is also written '3': 2 spellings of one speaker",
        ]
    );
    let json = "{\"file\":\"a.wav\",\"label\":\"anger\",\"speaker\":3}\n\
                {\"file\":\"b.wav\",\"label\":\"fear\",\"speaker\":3.0}\n\
                {\"file\":\"c.wav\",\"label\":\"fear\",\"speaker\":\"03\"}\n";
    let corpus = env.read("list.jsonl", json).unwrap();
    assert_eq!(speakers(&corpus.clips).len(), 1);
    env.assert_rejects(
        "list.csv",
        &list(["spk03", "3", "ann", "ann"]),
        &["list.csv: the speakers '3' and 'spk03' may be one person or several"],
    );
}

#[test]
fn spellings_are_merged_across_two_manifests() {
    let env = TestEnv::with(&["a.wav", "b.wav", "c.wav", "d.wav"]);
    let train = "file,label,speaker\na.wav,anger,Ann\nb.wav,fear,bob\n";
    let mut manifest = env.manifest("train.csv", train);
    let test = "file,label,speaker\nc.wav,anger,ANN\nd.wav,fear,cid\n";
    manifest.test = Some(env.write("test.csv", test));
    let corpus = manifest.read(|_| None).unwrap();
    assert_eq!(speakers(&corpus.clips), ["ANN", "bob", "cid"]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// A damaged manifest is read or rejected, and all recordings that are read are in the folder.
    #[test]
    fn a_damaged_manifest_gives_only_files_of_the_folder(
        name in proptest::sample::select(vec!["list.csv", "list.tsv", "list.jsonl"]),
        damages in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..8),
    ) {
        let env = TestEnv::with(&["a.wav", "b.wav"]);
        let whole = match name {
            "list.csv" => "file,label,speaker,split\n\"a.wav\",anger,ann,train\nb.wav,fear,bob,test\n",
            "list.tsv" => "file\tlabel\tspeaker\na.wav\tanger\tann\nb.wav\tfear\tbob\n",
            _ => "{\"wav\":\"a.wav\",\"emo\":\"anger\",\"key\":\"x-a\"}\n{\"wav\":\"b.wav\",\"emo\":\"fear\"}\n",
        };
        let mut bytes = whole.as_bytes().to_vec();
        for (place, value, how) in damages {
            match how {
                0 => bytes.insert(place.index(bytes.len() + 1), value),
                1 if !bytes.is_empty() => { let place = place.index(bytes.len()); bytes[place] = value; }
                _ => bytes.truncate(place.index(bytes.len() + 1)),
            }
        }
        let mut manifest = env.manifest(name, "");
        manifest.file = env.0.path().join(name);
        fs::write(&manifest.file, &bytes).unwrap();
        match manifest.read(|_| Some(2.0)) {
            Ok(corpus) => {
                for clip in &corpus.clips {
                    prop_assert!(["a.wav", "b.wav"].iter().any(|file| clip.file.path.ends_with(file)));
                }
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    /// Any text that the csv crate writes is read back unchanged, and an error has the line number
    /// of the text.
    #[test]
    fn any_label_and_speaker_is_read_back(
        words in proptest::collection::vec("[^\\s\0]([^\0\r\n]{0,12}[^\\s\0])?", 2..8),
        delimiter in proptest::sample::select(vec![b',', b';', b'\t']),
        windows: bool,
    ) {
        let files: Vec<String> = (0..words.len()).map(|n| format!("{n}.wav")).collect();
        let env = TestEnv::with(&files.iter().map(String::as_str).collect::<Vec<_>>());
        let end = if windows { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new()
            .delimiter(delimiter)
            .terminator(end)
            .from_writer(Vec::new());
        writer.write_record(["file", "label", "speaker"]).unwrap();
        for (n, (file, word)) in files.iter().zip(&words).enumerate() {
            // The number makes at least two classes and as many speakers, for any words.
            let (label, speaker) = (format!("{n} {word}"), format!("{n}x{word}"));
            writer.write_record([file, &label, &speaker]).unwrap();
        }
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let corpus = env.read("list.csv", &text).unwrap();
        for ((n, clip), word) in corpus.clips.iter().enumerate().zip(&words) {
            prop_assert_eq!(&clip.speaker, &format!("{n}x{word}"));
            let label: String = format!("{n} {word}").trim().to_lowercase().nfc().collect();
            prop_assert_eq!(&clip.label, &label);
        }
        let broken = format!("{text}lost.wav");
        let line = broken.matches('\n').count() + 1;
        let error = env.read("list.csv", &broken).unwrap_err().to_string();
        let expected = format!("line {line}: 1 values");
        prop_assert!(error.contains(&expected), "{} {}", error, expected);
    }
}

#[test]
fn a_number_and_its_fraction_are_one_class() {
    let env = TestEnv::with(&["a.wav", "b.wav", "c.wav", "d.wav"]);
    let csv = "file,label\na.wav,0.0\nb.wav,0\nc.wav,1.0\nd.wav,01\n";
    let corpus = env.read("list.csv", csv).unwrap();
    assert_eq!(classes(&corpus.clips), ["0", "01"]);
    assert!(corpus.notes[0].contains("label '01' is also written '1'"));
    let json = "{\"file\":\"a.wav\",\"label\":0}\n{\"file\":\"b.wav\",\"label\":0.0}\n\
                {\"file\":\"c.wav\",\"label\":\"1\"}\n";
    let corpus = env.read("list.jsonl", json).unwrap();
    assert_eq!(classes(&corpus.clips), ["0", "1"]);
    let mut mapped = env.manifest("list.csv", csv);
    mapped.label_map = Some(env.write(
        "map.json",
        "{\"0\": \"fear\", \"1\": \"sad\", \"01\": \"sad\"}",
    ));
    assert_eq!(
        classes(&mapped.read(|_| None).unwrap().clips),
        ["fear", "sadness"]
    );
}

#[test]
fn unicode_forms_of_a_label_are_one_class() {
    let env = TestEnv::with(&["a.wav", "b.wav", "c.wav"]);
    let text = "file,label\na.wav,\u{e4}rger\nb.wav,a\u{308}rger\nc.wav,angst\n";
    let corpus = env.read("list.csv", text).unwrap();
    assert_eq!(classes(&corpus.clips), ["angst", "\u{e4}rger"]);
}

#[test]
fn words_for_subsets_have_given_meanings() {
    let env = TestEnv::with(&["a.wav", "b.wav", "c.wav", "d.wav"]);
    let text = "file,label,split\na.wav,anger,Train\nb.wav,fear,Test1\nc.wav,fear,Test2\n\
                d.wav,anger,train\n";
    env.assert_rejects(
        "list.csv",
        text,
        &[
            "line 3, column 3 (split)",
            "'Test1'",
            "--map-split 'Test1=test'",
        ],
    );
    let mut manifest = env.manifest("list.csv", text);
    manifest
        .subset_words
        .insert("test1".into(), SubsetUse::Test);
    manifest
        .subset_words
        .insert("Test2".into(), SubsetUse::None);
    let corpus = manifest.read(|_| None).unwrap();
    let subsets: Vec<Subset> = corpus.given.into_values().collect();
    assert_eq!(subsets, [Subset::Train, Subset::Test, Subset::Train]);
    assert_eq!(corpus.skipped.len(), 1);
    assert!(
        corpus.skipped[0]
            .reason
            .contains("subset 'Test2', which is not used")
    );
}

#[test]
fn paths_of_another_machine_are_found_and_reported() {
    let env = TestEnv::with(&["angry/03/a.wav", "sad/08/b.wav", "sad/08/c.wav"]);
    let text = "file,label\nC:\\me\\Angry\\03\\A.wav,angry\nsad\\08\\b,sad\nc.wav,sad\nlost,sad\n";
    let corpus = env.read("list.csv", text).unwrap();
    let files: Vec<&str> = corpus
        .clips
        .iter()
        .map(|c| c.file.path.to_str().unwrap())
        .collect();
    assert_eq!(files, ["angry/03/a.wav", "sad/08/b.wav", "sad/08/c.wav"]);
    let note = &corpus.notes[0];
    assert!(
        note.starts_with("3 paths are not written as on this disk"),
        "{note}"
    );
    assert!(corpus.skipped[0].reason.contains("line 5, column 1 (file)"));
    // Two recordings have the name.
    let env = TestEnv::with(&["x/1.wav", "y/1.wav", "x/2.wav", "x/3.wav"]);
    let text = "file,label\n1.wav,angry\n2.wav,sad\n3.wav,angry\n";
    let corpus = env.read("list.csv", text).unwrap();
    assert_eq!((corpus.clips.len(), corpus.skipped.len()), (2, 1));
    let reason = &corpus.skipped[0].reason;
    assert!(
        reason.contains("2 recordings may be meant: x/1.wav, y/1.wav"),
        "{reason}"
    );
}

#[test]
fn the_table_of_msp_podcast_is_read() {
    let env = TestEnv::with(&["a.wav", "b.wav", "c.wav", "d.wav"]);
    let text = "FileName,EmoClass,EmoAct,SpkrID,Gender,Split_Set\na.wav,A,4.1,12,Male,Train\n\
                b.wav,N,4,Unknown,Male,Development\nc.wav,S,4,13,Female,Test1\nd.wav,X,4,13,Female,Train\n";
    let mut manifest = env.manifest("labels_consensus.csv", text);
    manifest
        .subset_words
        .insert("Test1".into(), SubsetUse::Test);
    let corpus = manifest.read(|_| None).unwrap();
    let expected = [
        ["a.wav", "anger", "12"],
        ["b.wav", "neutral", ""],
        ["c.wav", "sadness", "13"],
    ];
    assert_eq!(clips(&corpus), expected);
    assert!(
        corpus.skipped[0]
            .reason
            .contains("'X', which is not a class")
    );
}

/// nEMO's `data.tsv` has blanks before each speaker.
#[test]
fn blanks_around_a_speaker_are_no_part_of_the_name() {
    let env = TestEnv::with(&["samples/WR0_surprised_64.wav", "samples/EB0_neutral_13.wav"]);
    let text = "file_id\temotion\traw_text\tspeaker_id\tgender\n\
                WR0_surprised_64.wav\tsurprised\tUcho\t        WR0\tmale\n\
                EB0_neutral_13.wav\tneutral\tHistoria\t        EB0\tfemale\n";
    let corpus = env.read("data.tsv", text).unwrap();
    assert_eq!(speakers(&corpus.clips), ["EB0", "WR0"]);
    assert_eq!(corpus.clips[0].file, "samples/WR0_surprised_64.wav".into());
}

/// A workbook as Excel stores it: shared strings, numbers as floats, cells that are not there.
fn workbook(sheets: &[&str]) -> Vec<u8> {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let mut add = |name: &str, text: &str| {
        zip.start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    };
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let relations = "http://schemas.openxmlformats.org/package/2006/relationships";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let mut types = String::new();
    let (mut names, mut targets) = (String::new(), String::new());
    for (number, rows) in sheets.iter().enumerate() {
        let number = number + 1;
        types += &format!(
            "<Override PartName=\"/xl/worksheets/sheet{number}.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml\"/>"
        );
        names += &format!("<sheet name=\"S{number}\" sheetId=\"{number}\" r:id=\"rId{number}\"/>");
        targets += &format!(
            "<Relationship Id=\"rId{number}\" Type=\"{office}/worksheet\" Target=\"worksheets/sheet{number}.xml\"/>"
        );
        let sheet =
            format!("<worksheet xmlns=\"{main}\"><sheetData>{rows}</sheetData></worksheet>");
        add(&format!("xl/worksheets/sheet{number}.xml"), &sheet);
    }
    add(
        "[Content_Types].xml",
        &format!(
            "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"><Default Extension=\"xml\" ContentType=\"application/xml\"/><Override PartName=\"/xl/workbook.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/>{types}</Types>"
        ),
    );
    add(
        "_rels/.rels",
        &format!(
            "<Relationships xmlns=\"{relations}\"><Relationship Id=\"rId1\" Type=\"{office}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
        ),
    );
    add(
        "xl/workbook.xml",
        &format!(
            "<workbook xmlns=\"{main}\" xmlns:r=\"{office}\"><sheets>{names}</sheets></workbook>"
        ),
    );
    add(
        "xl/_rels/workbook.xml.rels",
        &format!("<Relationships xmlns=\"{relations}\">{targets}</Relationships>"),
    );
    zip.finish().unwrap().into_inner()
}

fn text_cell(place: &str, text: &str) -> String {
    format!("<c r=\"{place}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
}

#[test]
fn the_first_sheet_of_a_workbook_is_a_table() {
    let env = TestEnv::with(&["a.wav", "b.wav", "c.wav"]);
    let row = |line: usize, cells: String| format!("<row r=\"{line}\">{cells}</row>");
    let header = ["file", "label", "speaker", "remark"].map(|name| name.to_string());
    let header: String = ["A1", "B1", "C1", "D1"]
        .iter()
        .zip(&header)
        .map(|(place, name)| text_cell(place, name))
        .collect();
    let rows = row(1, header)
        + &row(
            2,
            text_cell("A2", "a.wav") + &text_cell("B2", "anger") + "<c r=\"C2\"><v>3</v></c>",
        )
        + &row(
            4,
            text_cell("A4", "b.wav") + &text_cell("B4", "fear") + "<c r=\"C4\"><v>12.0</v></c>",
        )
        + &row(
            5,
            text_cell("A5", "c.wav") + &text_cell("B5", " fear ") + "<c r=\"C5\"><v>3</v></c>",
        );
    let mut manifest = env.manifest("list.xlsx", "");
    fs::write(
        &manifest.file,
        workbook(&["", &rows, &row(1, text_cell("A1", "more"))]),
    )
    .unwrap();
    let corpus = manifest.read(|_| None).unwrap();
    let expected = [
        ["a.wav", "anger", "3"],
        ["b.wav", "fear", "12"],
        ["c.wav", "fear", "3"],
    ];
    assert_eq!(clips(&corpus), expected);
    let note = "the sheet 'S2' of the workbook is read; the other sheets are not used (S3)";
    assert_eq!(corpus.notes, [note]);

    // An error has the line of the sheet.
    let broken = rows.replace("fear</t>", "</t>");
    fs::write(&manifest.file, workbook(&[&broken])).unwrap();
    let error = manifest.read(|_| None).unwrap_err().to_string();
    assert!(
        error.contains("list.xlsx, line 4, column 2 (label)"),
        "{error}"
    );
    // A cell at the far end of a sheet takes no memory.
    let far = row(1, text_cell("XFD1", "far"));
    fs::write(&manifest.file, workbook(&[&far])).unwrap();
    let error = manifest.read(|_| None).unwrap_err().to_string();
    assert!(error.contains("columns, more than the maximum"), "{error}");
    for bytes in [&b"PK\x03\x04"[..], b"PK\x03\x04 and more"] {
        fs::write(&manifest.file, bytes).unwrap();
        let error = manifest.read(|_| None).unwrap_err().to_string();
        assert!(error.contains("not a workbook that can be read"), "{error}");
    }
    manifest.columns.clear();
}
