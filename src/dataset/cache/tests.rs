//! The cache must return the same features as a computation, also after damage to its files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Result;
use hound::{SampleFormat, WavSpec, WavWriter};

use super::{CacheWait, FeatureCache, Unfinished};
use crate::audio::{AudioConfig, Excerpt, Segment};
use crate::corpus::ContentHash;
use crate::dataset::{BatchPlan, Extraction, Normalisation, SplitTensors, extract};
use crate::features::{FeatureConfig, Features};
use crate::io::LockFile;

/// The files of a folder as recordings.
fn recordings(folder: &Path) -> Vec<Excerpt> {
    let files = super::entries(folder).into_iter();
    files.map(Excerpt::from).collect()
}

/// A corpus, and a cache beside it.
struct TestEnv {
    folder: tempfile::TempDir,
    config: FeatureConfig,
}

impl TestEnv {
    fn new() -> TestEnv {
        let env = TestEnv {
            folder: tempfile::tempdir().unwrap(),
            config: FeatureConfig {
                prosody: true,
                deltas: 1,
                ..FeatureConfig::default()
            },
        };
        fs::create_dir(env.corpus()).unwrap();
        (1..6).for_each(|n| {
            tone(
                &env.corpus().join(format!("{n}.wav")),
                3000 * n,
                0.02 * n as f32,
            )
        });
        env
    }

    fn corpus(&self) -> PathBuf {
        self.folder.path().join("corpus")
    }

    fn cache(&self) -> FeatureCache {
        FeatureCache::new(self.folder.path())
    }

    /// A corpus whose features are in the cache.
    fn filled() -> TestEnv {
        let env = TestEnv::new();
        env.check(&env.corpus());
        env
    }

    /// The features of a corpus from a cache.
    fn extract(&self, cache: &FeatureCache, corpus: &Path) -> Result<Extraction> {
        let (files, audio) = (recordings(corpus), AudioConfig::default());
        cache.extract(corpus, &files, &audio, &self.config, || {})
    }

    fn take(&self, corpus: &Path) -> Extraction {
        self.extract(&self.cache(), corpus).unwrap()
    }

    /// The features without a cache.
    fn plain(&self, corpus: &Path) -> Vec<(usize, Features)> {
        let files = recordings(corpus);
        let all = extract(&files, &AudioConfig::default(), &self.config, || {});
        all.unwrap().features
    }

    fn check(&self, corpus: &Path) {
        assert_eq!(self.take(corpus).features, self.plain(corpus));
    }

    /// Every shard with its modification time.
    fn shards(&self) -> Vec<(PathBuf, std::time::SystemTime)> {
        let inside = super::entries(self.cache().folder())
            .into_iter()
            .flat_map(|f| super::entries(&f));
        inside
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "shard")
            })
            .map(|path| {
                (
                    path.clone(),
                    fs::metadata(path).unwrap().modified().unwrap(),
                )
            })
            .collect()
    }
}

/// The folder of the only set of settings.
fn folder_of(env: &TestEnv) -> PathBuf {
    let (shard, _) = env.shards().remove(0);
    shard.parent().unwrap().into()
}

fn tone(path: &Path, samples: usize, pitch: f32) {
    let spec = WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut writer = WavWriter::create(path, spec).unwrap();
    for n in 0..samples {
        let sample = 9000.0 * (n as f32 * pitch).sin();
        writer.write_sample(sample as i16).unwrap();
    }
    writer.finalize().unwrap();
}

#[test]
fn what_was_computed_is_found_again_under_any_name() {
    let env = TestEnv::filled();
    let made = env.shards();
    assert_eq!(made.len(), 1);
    env.check(&env.corpus());
    let moved = env.folder.path().join("moved");
    fs::rename(env.corpus(), &moved).unwrap();
    fs::rename(moved.join("1.wav"), moved.join("z.wav")).unwrap();
    env.check(&moved);
    assert_eq!(env.shards(), made);
    let held = env.cache().list();
    assert_eq!((held.len(), held[0].clips), (1, 5));
}

#[test]
fn a_changed_recording_is_computed_anew() {
    let env = TestEnv::filled();
    let changed = env.corpus().join("3.wav");
    let before = fs::metadata(&changed).unwrap();
    // The new file has the same length and modification time as before.
    tone(&changed, 9000, 0.33);
    let file = fs::File::options().write(true).open(&changed).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
    assert_eq!(fs::metadata(&changed).unwrap().len(), before.len());
    env.check(&env.corpus());
    tone(&env.corpus().join("6.wav"), 4000, 0.4);
    env.check(&env.corpus());
    assert_eq!(env.shards().len(), 3);
}

#[test]
fn other_settings_are_other_features() {
    let mut env = TestEnv::filled();
    env.config.hop_length = 300;
    env.check(&env.corpus());
    assert_eq!(env.cache().list().len(), 2);
}

#[test]
fn a_damaged_shard_is_made_again() {
    let env = TestEnv::filled();
    let (shard, _) = env.shards().remove(0);
    let whole = fs::read(&shard).unwrap();
    let last = whole.len() - 1;
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    // Damage to the values, an entry, the note, each number of the tail, the hash; truncated;
    // empty.
    let mut broken: Vec<Vec<u8>> = [1000, last - 150, last - 66, last - 56, last - 48, last - 40]
        .map(flipped)
        .to_vec();
    broken.extend([flipped(last - 33), flipped(last), Vec::new()]);
    broken.extend([1, 64, 80, whole.len() / 2].map(|cut| whole[..whole.len() - cut].to_vec()));
    broken.push([&whole[..], b"more"].concat());
    for bytes in broken {
        fs::write(&shard, &bytes).unwrap();
        env.check(&env.corpus());
        assert!(fs::read(&shard).unwrap() == whole, "{} bytes", bytes.len());
    }
}

#[test]
fn damaged_stamps_are_ignored() {
    let env = TestEnv::new();
    std::thread::sleep(std::time::Duration::from_millis(2100));
    env.check(&env.corpus());
    let mut stamps = super::entries(env.cache().folder());
    stamps.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "stamps")
    });
    let text = fs::read_to_string(&stamps[0]).unwrap();
    assert_eq!(text.matches(".wav").count(), 5, "{text}");
    // The stamps of two recordings are exchanged, and the hash of the file is wrong.
    fs::write(
        &stamps[0],
        text.replace("1.wav", "x")
            .replace("2.wav", "1.wav")
            .replace("x", "2.wav"),
    )
    .unwrap();
    env.check(&env.corpus());
    fs::write(&stamps[0], "").unwrap();
    env.check(&env.corpus());
}

#[test]
fn segments_of_one_file_have_entries_of_their_own() {
    let env = TestEnv::new();
    let path = env.corpus().join("5.wav");
    let segment = |start: u64, end: u64| {
        let time = Duration::from_millis;
        Excerpt {
            path: path.clone(),
            segment: Segment::new(time(start), Some(time(end))),
        }
    };
    let files = [segment(0, 200), path.clone().into(), segment(200, 400)];
    let audio = AudioConfig::default();
    let taken = || {
        env.cache()
            .extract(&env.corpus(), &files, &audio, &env.config, || {})
            .unwrap()
    };
    let plain = extract(&files, &audio, &env.config, || {}).unwrap();
    let (computed, found) = (taken(), taken());
    for cached in [&computed, &found] {
        assert_eq!(cached.features.len(), 3);
        for ((_, cached), (_, plain)) in cached.features.iter().zip(&plain.features) {
            assert_eq!(cached.read().unwrap(), plain.read().unwrap());
        }
        let hashes: Vec<ContentHash> = cached
            .contents
            .iter()
            .flatten()
            .flatten()
            .copied()
            .collect();
        let expected = files
            .each_ref()
            .map(|file| ContentHash::of_excerpt(file).unwrap());
        assert_eq!(hashes, expected);
        assert!(hashes[0] != hashes[2] && hashes[0] != hashes[1]);
    }
    assert_eq!(env.cache().list()[0].clips, 3);
}

#[test]
fn a_bad_recording_is_skipped_every_time() {
    let env = TestEnv::new();
    fs::write(env.corpus().join("2.wav"), "RIFF").unwrap();
    fs::create_dir(env.corpus().join("9.wav")).unwrap();
    for _ in 0..2 {
        let skipped = env.take(&env.corpus()).skipped;
        let names: Vec<String> = skipped
            .iter()
            .map(|skipped| super::name(&skipped.file.path))
            .collect();
        assert_eq!(names, ["2.wav", "9.wav"]);
        assert!(skipped.iter().all(|skipped| !skipped.reason.is_empty()));
        env.check(&env.corpus());
    }
    assert_eq!(env.shards().len(), 1);
}

#[test]
fn several_runs_share_a_cache() {
    let env = TestEnv::new();
    let expected = env.plain(&env.corpus());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(env.take(&env.corpus()).features, expected));
        }
    });
    assert_eq!(env.shards().len(), 1);
}

#[test]
fn clearing_takes_what_is_ours_and_nothing_else() {
    let env = TestEnv::filled();
    let features = env.take(&env.corpus()).features;
    fs::write(env.cache().folder().join("thesis.txt"), "mine").unwrap();
    fs::create_dir(env.cache().folder().join("mine")).unwrap();
    fs::write(env.cache().folder().join("mine/1.npy"), "mine").unwrap();
    env.cache().clear().unwrap();
    assert!(env.cache().list().is_empty());
    let left: Vec<String> = super::entries(env.cache().folder())
        .iter()
        .map(|f| super::name(f))
        .collect();
    assert_eq!(left, ["mine", "thesis.txt"]);
    assert!(env.cache().folder().join("mine/1.npy").exists());
    // A run that reads from the cache is not affected.
    assert_eq!(features, env.plain(&env.corpus()));
}

#[test]
fn a_lock_that_another_process_holds_is_not_waited_for_without_end() {
    let env = TestEnv::filled();
    let folder = folder_of(&env);
    tone(&env.corpus().join("6.wav"), 100, 0.4);
    let mut held = LockFile::open(&folder.join(".lock")).unwrap();
    assert!(held.try_lock().unwrap());
    let cache = env.cache().with_patience(Duration::from_millis(200));
    let error = env.extract(&cache, &env.corpus()).unwrap_err().to_string();
    let holder = format!("process {} holds ", std::process::id());
    assert!(error.starts_with(&holder), "{error}");
    drop(held);
    env.check(&env.corpus());
}

#[test]
fn a_process_that_waits_says_so() {
    static REPORTED: Mutex<Vec<CacheWait>> = Mutex::new(Vec::new());
    let env = TestEnv::filled();
    let lock = folder_of(&env).join(".lock");
    tone(&env.corpus().join("6.wav"), 100, 0.4);
    let mut held = LockFile::open(&lock).unwrap();
    assert!(held.try_lock().unwrap());
    let cache = env
        .cache()
        .with_patience(Duration::from_millis(2500))
        .when_waiting(|wait| REPORTED.lock().unwrap().push(wait.clone()));
    env.extract(&cache, &env.corpus()).unwrap_err();
    let expected = CacheWait {
        lock,
        holder: Some(std::process::id()),
        at_most: Duration::from_millis(2500),
    };
    assert_eq!(*REPORTED.lock().unwrap(), [expected]);
}

#[test]
#[cfg(unix)]
fn a_planted_lock_is_not_followed() {
    let env = TestEnv::filled();
    let folder = folder_of(&env);
    let lock = folder.join(".lock");
    tone(&env.corpus().join("6.wav"), 100, 0.4);
    let victim = env.folder.path().join("thesis.txt");
    fs::write(&victim, "mine").unwrap();
    let error = || {
        let taken = env.extract(&env.cache(), &env.corpus());
        taken.unwrap_err().to_string()
    };
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(&victim, &lock).unwrap();
    assert!(error().contains("is not a regular file"), "a symbolic link");
    fs::remove_file(&lock).unwrap();
    fs::hard_link(&victim, &lock).unwrap();
    assert!(error().contains("has other content"), "a hard link");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    assert!(error().contains("is not a regular file"), "a folder");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
}

#[test]
fn a_shard_that_is_cut_off_in_use_is_an_error() {
    let env = TestEnv::filled();
    let cache = env.cache().with_memory(0);
    let taken = env.extract(&cache, &env.corpus()).unwrap();
    assert_eq!(taken.features, env.plain(&env.corpus()));

    let taken = env.extract(&cache, &env.corpus()).unwrap();
    let clips: Vec<&Features> = taken.features.iter().map(|(_, clip)| clip).collect();
    let columns = clips[0].coefficients() as i64;
    let normalisation = Normalisation::identity(columns);
    let part = SplitTensors::on_disk(&clips, &[0; 5], &normalisation);
    assert!(BatchPlan::by_length(&part, 2).batch(0).is_ok());
    let (shard, _) = env.shards().remove(0);
    let length = fs::metadata(&shard).unwrap().len();
    for length in [length / 2, 100, 0] {
        fs::OpenOptions::new()
            .write(true)
            .open(&shard)
            .unwrap()
            .set_len(length)
            .unwrap();
        let plan = BatchPlan::by_length(&part, 5);
        let error = plan.batch(0).unwrap_err().to_string();
        assert!(
            error.contains("damaged or truncated while it was in use"),
            "{error}"
        );
        assert!(normalisation.fit_clips(&clips).is_err());
    }
    env.check(&env.corpus());
}

#[test]
fn a_shard_that_is_overwritten_in_use_is_an_error() {
    let env = TestEnv::filled();
    let cache = env.cache().with_memory(0);
    let taken = env.extract(&cache, &env.corpus()).unwrap();
    let (shard, _) = env.shards().remove(0);
    let mut bytes = fs::read(&shard).unwrap();
    bytes[0] ^= 1;
    fs::write(&shard, &bytes).unwrap();
    assert!(taken.features[0].1.read().is_err());
    assert!(taken.features[4].1.read().is_ok());
}

#[test]
fn a_shard_that_is_removed_in_use_is_still_read() {
    let env = TestEnv::filled();
    let cache = env.cache().with_memory(0);
    let taken = env.extract(&cache, &env.corpus()).unwrap();
    env.cache().clear().unwrap();
    assert!(env.shards().is_empty());
    assert_eq!(taken.features, env.plain(&env.corpus()));
}

#[test]
fn what_killed_runs_left_is_counted_and_removed() {
    let env = TestEnv::filled();
    let folder = folder_of(&env);
    // A temporary file that nobody has locked is that of a dead writer.
    let left = |folder: &Path| {
        fs::write(folder.join(".writing-dead01.tmp"), [0; 1000]).unwrap();
        fs::write(folder.join(".writing-dead02"), [0; 500]).unwrap();
    };
    let live = folder.join(".writing-live00.tmp");
    let writer = fs::File::create(&live).unwrap();
    writer.lock().unwrap();
    left(&folder);
    left(env.cache().folder());
    let unfinished = env.cache().unfinished();
    assert_eq!((unfinished.files, unfinished.bytes), (4, 3000));
    env.check(&env.corpus());
    assert_eq!(env.cache().unfinished(), Unfinished::default());
    assert!(live.exists());

    left(&folder);
    env.cache().clear().unwrap();
    assert_eq!(super::entries(&folder), std::slice::from_ref(&live));
    drop(writer);
    env.cache().clear().unwrap();
    assert!(!folder.exists());
}
