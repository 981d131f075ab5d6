//! The built-in demo corpus: what it sounds like, and that it never overwrites what it has not
//! made.

use emovox::corpus::demo::{
    self, DemoName, EMOTIONS, SAMPLE_RATE, SENTENCES, VOICES, parse_name, synthesise,
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
            // The first peak nearly as high as the highest: the period, not twice the period.
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
fn a_clip_follows_from_its_arguments() {
    let clip = synthesise(3, 2, emotion("fear"), 1);
    assert_eq!(clip, synthesise(3, 2, emotion("fear"), 1));
    assert_ne!(clip, synthesise(3, 2, emotion("fear"), 2));
    assert_ne!(clip, synthesise(3, 1, emotion("fear"), 1));
    assert_ne!(clip, synthesise(4, 2, emotion("fear"), 1));
    assert_ne!(clip, synthesise(3, 2, emotion("anger"), 1));
}

/// Levels to a tenth of a percent, not a hash: the last bit of a sine may differ between machines.
#[test]
fn a_clip_stays_what_it_was() {
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
fn clips_are_sound() {
    for (voice, emotion) in (1..=VOICES).zip((0..EMOTIONS.len()).cycle()) {
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
fn the_excited_speak_higher_than_the_dejected() {
    for voice in 1..=VOICES {
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
fn a_name_says_what_the_clip_is() {
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

/// Every file below `folder` with its content's length and the time it was written.
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
fn the_corpus_is_written_once_and_mended_when_broken() {
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
    assert_eq!(beside.len(), 1, "nothing is left beside the corpus");

    let clip = folder.join("v02").join("demo-v02-s01-fear-2.wav");
    let reader = hound::WavReader::open(&clip).unwrap();
    assert_eq!(
        reader.len() as usize,
        synthesise(2, 1, emotion("fear"), 2).len()
    );

    let found = demo::ensure(&folder).unwrap();
    assert!(!found.written);
    assert_eq!((found.clips, found.bytes), (made.clips, made.bytes));
    assert_eq!(files(&folder), first, "a second call touches nothing");

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
        "a complete corpus may have company"
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
fn a_folder_of_something_else_is_left_alone() {
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
fn where_no_folder_can_be_the_error_says_where() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "mine").unwrap();
    for folder in [file.clone(), file.join("demo")] {
        let error = format!("{:#}", demo::ensure(&folder).unwrap_err());
        assert!(error.contains(&folder.display().to_string()), "{error}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}
