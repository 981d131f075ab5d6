//! The built-in demo corpus: its sound, and that it never overwrites other files.

use emovox::corpus::demo::{
    self, DemoName, EMOTIONS, SAMPLE_RATE, SENTENCES, SPEAKERS, parse_name, synthesise,
};
use std::fs;
use std::path::{Path, PathBuf};

fn emotion(name: &str) -> usize {
    EMOTIONS.iter().position(|&known| known == name).unwrap()
}

fn rms(samples: &[f32]) -> f64 {
    (samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
}

/// Median pitch in Hz of the loud frames, by the highest peak of the autocorrelation between 70 and
/// 500 Hz.
fn pitch(samples: &[f32]) -> f64 {
    let rate = SAMPLE_RATE as usize;
    let loud = rms(samples);
    let mut pitches: Vec<f64> = samples
        .windows(800)
        .step_by(400)
        .filter(|frame| rms(frame) > loud)
        .filter_map(|frame| {
            let alike = |lag: usize| {
                frame[lag..]
                    .iter()
                    .zip(frame)
                    .map(|(a, b)| a * b)
                    .sum::<f32>()
            };
            let lags: Vec<f32> = (rate / 500..rate / 70).map(alike).collect();
            let best = lags.iter().copied().fold(f32::MIN, f32::max);
            // The first peak that is nearly as high as the highest: one period, not two.
            let first = lags
                .windows(3)
                .position(|l| l[1] > 0.85 * best && l[1] >= l[0] && l[1] >= l[2])?;
            Some(rate as f64 / (rate / 500 + first + 1) as f64)
        })
        .collect();
    pitches.sort_by(f64::total_cmp);
    pitches[pitches.len() / 2]
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn a_clip_is_determined_by_its_arguments() {
    let clip = synthesise(3, 2, emotion("fear"), 1);
    assert_eq!(clip, synthesise(3, 2, emotion("fear"), 1));
    assert_ne!(clip, synthesise(3, 2, emotion("fear"), 2));
    assert_ne!(clip, synthesise(3, 1, emotion("fear"), 1));
    assert_ne!(clip, synthesise(4, 2, emotion("fear"), 1));
    assert_ne!(clip, synthesise(3, 2, emotion("anger"), 1));
}

/// Compares levels to 0.1 % and not a hash, because the last bit of a sine differs between machines.
#[test]
fn the_clips_do_not_change() {
    let clip = synthesise(7, 3, emotion("anger"), 2);
    assert_eq!(clip.len(), 14_680);
    let quarters = clip.chunks(clip.len() / 4).map(rms);
    for (level, was) in quarters.zip([0.0163917, 0.1747839, 0.0142087, 0.0071351]) {
        assert!(
            (level / was - 1.0).abs() < 1e-3,
            "{level} was {was}; raise VERSION if meant"
        );
    }
}

#[test]
fn clips_have_plausible_length_level_and_offset() {
    for (voice, emotion) in (1..=SPEAKERS).zip((0..EMOTIONS.len()).cycle()) {
        let clip = synthesise(voice, 1 + voice % SENTENCES, emotion, 1);
        let what = format!("voice {voice}, {}", EMOTIONS[emotion]);
        let seconds = clip.len() as f64 / f64::from(SAMPLE_RATE);
        assert!((0.6..2.2).contains(&seconds), "{what}: {seconds} s");
        assert!(
            clip.iter().all(|s| s.is_finite() && s.abs() < 0.99),
            "{what} clips"
        );
        assert!(rms(&clip) > 0.01, "{what} is hardly to be heard");
        assert!(
            mean(clip.iter().map(|&s| f64::from(s))).abs() < 1e-3,
            "{what} has a DC offset"
        );
    }
}

#[test]
fn excited_emotions_have_a_higher_pitch_than_low_emotions() {
    for voice in 1..=SPEAKERS {
        let average = |names: [&str; 2]| {
            let clips = names
                .into_iter()
                .flat_map(|name| (1..=3).map(move |s| synthesise(voice, s, emotion(name), 1)));
            mean(clips.map(|clip| pitch(&clip)))
        };
        let (high, low) = (
            average(["anger", "happiness"]),
            average(["sadness", "boredom"]),
        );
        assert!(
            high > 1.1 * low,
            "voice {voice}: {high:.0} Hz against {low:.0} Hz"
        );
    }
}

#[test]
fn a_file_name_has_voice_sentence_emotion_and_seed() {
    let name = DemoName {
        voice: "v07".into(),
        sentence: "s03".into(),
        emotion: "anger",
        take: 2,
    };
    assert_eq!(parse_name("demo-v07-s03-anger-2.wav"), Some(name));
    for other in [
        "demo-v07-s03-anger-2.mp3",
        "demo-v07-s03-anger-2",
        "demo-v07-s03-joy-2.wav",
        "demo-v7-s03-anger-2.wav",
        "demo-v07-s03-anger-x.wav",
        "demo-v07-s03-anger-0.wav",
        "demo-v07-s03-anger-2-1.wav",
        "demo-s03-v07-anger-2.wav",
        "03a01Wa.wav",
        "",
    ] {
        assert_eq!(parse_name(other), None, "{other:?}");
    }
}

/// Every file below `folder` with its length and modification time.
fn files(folder: &Path) -> Vec<(PathBuf, u64, std::time::SystemTime)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let data = entry.metadata().unwrap();
        if data.is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push((entry.path(), data.len(), data.modified().unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn the_corpus_is_written_once_and_repaired_if_damaged() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data").join("demo");

    let made = demo::ensure(&folder).unwrap();
    assert!(made.written);
    assert!((700..=900).contains(&made.clips));
    assert!(made.bytes < 28_000_000);
    let first = files(&folder);
    assert_eq!(first.len(), made.clips + 1, "the clips and a README.txt");
    let readme = fs::read_to_string(folder.join("README.txt")).unwrap();
    assert!(readme.contains("synthetic"));
    let names = first
        .iter()
        .map(|(path, ..)| path.file_name().unwrap().to_string_lossy().into_owned());
    assert_eq!(
        names.filter_map(|name| parse_name(&name)).count(),
        made.clips
    );
    let beside: Vec<_> = fs::read_dir(folder.parent().unwrap()).unwrap().collect();
    assert_eq!(beside.len(), 1, "no other files remain beside the corpus");

    let clip = folder.join("v02").join("demo-v02-s01-fear-2.wav");
    let reader = hound::WavReader::open(&clip).unwrap();
    assert_eq!(
        reader.len() as usize,
        synthesise(2, 1, emotion("fear"), 2).len()
    );

    let found = demo::ensure(&folder).unwrap();
    assert!(!found.written);
    assert_eq!((found.clips, found.bytes), (made.clips, made.bytes));
    assert_eq!(files(&folder), first, "a second call changes no file");

    fs::remove_file(&clip).unwrap();
    assert!(demo::ensure(&folder).unwrap().written);
    assert!(clip.exists());

    fs::write(
        folder.join("README.txt"),
        readme.replacen(&format!("version {}", demo::VERSION), "version 0", 1),
    )
    .unwrap();
    assert!(
        demo::ensure(&folder).unwrap().written,
        "an older version is replaced"
    );
    assert_eq!(
        fs::read_to_string(folder.join("README.txt")).unwrap(),
        readme
    );

    fs::write(folder.join("notes.txt"), "mine").unwrap();
    assert!(
        !demo::ensure(&folder).unwrap().written,
        "other files beside a complete corpus are accepted"
    );
    fs::remove_file(&clip).unwrap();
    let error = demo::ensure(&folder).unwrap_err().to_string();
    assert!(error.contains("notes.txt"), "{error}");
    assert_eq!(
        fs::read_to_string(folder.join("notes.txt")).unwrap(),
        "mine"
    );
}

#[test]
fn a_folder_with_other_files_is_not_changed() {
    for name in ["README.txt", "song.wav", "v01"] {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(name), "mine").unwrap();
        let error = demo::ensure(home.path()).unwrap_err().to_string();
        assert!(
            error.contains(name) && error.contains(&home.path().display().to_string()),
            "{error}"
        );
        assert_eq!(fs::read_to_string(home.path().join(name)).unwrap(), "mine");
        assert_eq!(files(home.path()).len(), 1);
    }
}

#[test]
fn an_error_names_the_folder_that_cannot_be_created() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "mine").unwrap();
    for folder in [file.clone(), file.join("demo")] {
        let error = format!("{:#}", demo::ensure(&folder).unwrap_err());
        assert!(error.contains(&folder.display().to_string()), "{error}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}
