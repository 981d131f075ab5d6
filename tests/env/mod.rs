//! A temporary folder in which tests run emovox, like a user at a command line.

#![allow(dead_code, reason = "no test uses all helpers")]

pub mod bundle;
pub mod device;
pub mod process;
pub mod serve;
pub mod server;
pub mod stubs;
pub mod tiny;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use emovox::corpus::demo;
use emovox::evaluation::EpochMetrics;
use emovox::run::read_metrics;
use hound::{SampleFormat, WavSpec, WavWriter};
use tempfile::TempDir;

/// A temporary folder with recordings, runs and a small configuration.
pub struct TestEnv {
    folder: TempDir,
    /// True if command lines run on the CPU, whatever the device of the tests is.
    on_cpu: bool,
}

impl TestEnv {
    pub fn new() -> TestEnv {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("small.toml"), SMALL).unwrap();
        TestEnv {
            folder,
            on_cpu: false,
        }
    }

    /// The same folder, for a test about the CPU: command lines run as they are, without a GPU.
    pub fn on_cpu(mut self) -> TestEnv {
        self.on_cpu = true;
        self
    }

    /// With a corpus of five voices, three emotions and two sentences: `corpus/EMOTION/vNN/N.wav`.
    pub fn with_corpus() -> TestEnv {
        let env = TestEnv::new();
        for voice in 1..=5 {
            for emotion in [0, 5, 6] {
                for sentence in 1..=2 {
                    let samples = demo::synthesise(voice, sentence, emotion, 1);
                    let class = demo::EMOTIONS[emotion];
                    let file = format!("corpus/{class}/v{voice:02}/{sentence}.wav");
                    env.wav(&file, 16_000, 1, &samples);
                }
            }
        }
        env
    }

    /// With a corpus, and the run folders that a command makes in it. All tests that share `runs` train
    /// only once; each gets its own copy.
    pub fn with_runs(runs: &OnceLock<Files>, line: &str) -> TestEnv {
        // The configuration of a run has the path of its recordings.
        const FOLDER: &str = "FOLDER-OF-THE-TEST";
        let replace = |file: &Path, bytes: Vec<u8>, from: &str, to: &str| {
            if file.extension().is_none_or(|extension| extension != "toml") {
                return bytes;
            }
            let text = String::from_utf8(bytes).unwrap();
            text.replace(from, to).into_bytes()
        };
        let runs = runs.get_or_init(|| {
            let env = TestEnv::with_corpus();
            env.run(line).success();
            let found = files(&env.path("runs")).into_iter();
            found
                .map(|(file, bytes)| {
                    let bytes = replace(&file, bytes, env.folder(), FOLDER);
                    (file, bytes)
                })
                .collect()
        });
        let env = TestEnv::with_corpus();
        for (file, bytes) in runs {
            let path = env.path("runs").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let bytes = replace(file, bytes.clone(), FOLDER, env.folder());
            fs::write(path, bytes).unwrap();
        }
        env
    }

    fn folder(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    /// Moves two of the five voices from `corpus` to a second corpus, `other`.
    pub fn split_corpus(&self) {
        for emotion in ["anger", "neutral", "sadness"] {
            for voice in ["v04", "v05"] {
                let other = self.path(&format!("other/{emotion}"));
                fs::create_dir_all(&other).unwrap();
                let from = self.path(&format!("corpus/{emotion}/{voice}"));
                fs::rename(from, other.join(voice)).unwrap();
            }
        }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub fn wav(&self, file: &str, sample_rate: u32, channels: u16, samples: &[f32]) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let spec = WavSpec {
            channels,
            sample_rate,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut writer = WavWriter::create(path, spec).unwrap();
        for sample in samples {
            for _ in 0..channels {
                writer.write_sample((sample * 32767.0) as i16).unwrap();
            }
        }
        writer.finalize().unwrap();
    }

    /// Runs a command line of emovox and returns its output.
    #[track_caller]
    pub fn run(&self, line: &str) -> CommandOutput {
        process::run_command(&mut self.command(line))
    }

    /// A command line of emovox that has not started yet.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_emovox"));
        if self.on_cpu {
            command.args(line.split_whitespace());
            command.env("CUDA_VISIBLE_DEVICES", "");
        } else {
            device::add_line(&mut command, line);
        }
        command
            .current_dir(self.folder.path())
            .env("EMOVOX_CACHE", self.folder.path().join("cache"))
            // Without this, a command could wait for the terminal in which the tests run.
            .stdin(Stdio::null());
        command
    }

    /// Number of run folders.
    pub fn runs(&self) -> usize {
        fs::read_dir(self.path("runs")).map_or(0, Iterator::count)
    }

    /// The rows of a CSV file in the folder of runs, as maps from column to value.
    pub fn table(&self, file: &str) -> Vec<BTreeMap<String, String>> {
        let table = csv::Reader::from_path(self.path("runs").join(file)).unwrap();
        table.into_deserialize().map(Result::unwrap).collect()
    }
}

/// Files by their path in a folder.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

/// All files below a folder, without following links.
pub fn files(folder: &Path) -> Files {
    let mut found = Files::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().into();
                found.insert(name, fs::read(&path).unwrap_or_default());
            }
        }
    }
    found
}

/// The epochs of a run, with 0 as their seconds, which differ from run to run.
pub fn metrics_without_seconds(run: &Path) -> Vec<EpochMetrics> {
    let mut epochs = read_metrics(&run.join("metrics.csv")).unwrap();
    for epoch in &mut epochs {
        epoch.seconds = 0.0;
    }
    epochs
}

pub struct CommandOutput {
    pub line: String,
    pub code: i32,
    /// Standard output.
    pub bytes: Vec<u8>,
    /// Standard output as text.
    pub out: String,
    pub error: String,
}

impl CommandOutput {
    /// The output of a process that has ended.
    pub fn of(line: &str, output: Output) -> CommandOutput {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        CommandOutput {
            line: line.into(),
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            error: text(&output.stderr),
            bytes: output.stdout,
        }
    }

    #[track_caller]
    pub fn success(self) -> CommandOutput {
        assert_eq!(self.code, 0, "{}\n{}\n{}", self.line, self.out, self.error);
        self
    }

    /// Asserts that the command failed: exit code 1, an error with all of these words, and no C++ stack or
    /// Rust panic.
    #[track_caller]
    pub fn fails_with(self, words: &[&str]) -> CommandOutput {
        let CommandOutput {
            line, code, error, ..
        } = &self;
        assert_eq!(*code, 1, "{line}\n{error}");
        for word in words {
            assert!(error.contains(word), "{line}\nlacks '{word}': {error}");
        }
        for inside in ["panicked", "Exception raised", ".cpp:", "unwrap()"] {
            assert!(!error.contains(inside), "{line}\n{error}");
        }
        self
    }

    /// Asserts that the command failed like [`Self::fails_with`], with only one line of error.
    #[track_caller]
    pub fn fails_with_one_line(self, words: &[&str]) -> CommandOutput {
        let output = self.fails_with(words);
        let CommandOutput { line, error, .. } = &output;
        assert_eq!(error.trim().lines().count(), 1, "{line}\n{error}");
        output
    }
}

pub const SMALL: &str = "
[features]
n_mfcc = 13
n_mels = 32
hop_length = 400
[model]
arch = \"bilstm\"
input = 16
hidden = 16
heads = 2
[training]
disturbance = { copies = 1 }
epochs = 3
batch_size = 8
";

pub const TRAIN: &str = "train --data corpus --config small.toml --device cpu --run mine";

/// Noise at 16 kHz whose RMS is `level`, in decibels of full scale.
pub fn noise(seconds: f64, level: f64) -> Vec<f32> {
    let amplitude = 10f64.powf(level / 20.0) * 3f64.sqrt();
    let mut state = 1u32;
    (0..(seconds * 16_000.0) as usize)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (amplitude * (f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0)) as f32
        })
        .collect()
}

/// At least `seconds` of speech at 16 kHz: several voices in turn, with pauses between them.
pub fn talk(seconds: f64) -> Vec<f32> {
    let mut samples = noise(2.0, -65.0);
    for turn in 0.. {
        if samples.len() as f64 >= seconds * 16_000.0 {
            break;
        }
        let (voice, sentence) = (1 + turn / 2 % demo::SPEAKERS, 1 + turn % demo::SENTENCES);
        let emotion = [0, 5, 6][turn / 3 % 3];
        samples.extend(demo::synthesise(voice, sentence, emotion, 1));
        samples.extend(noise([0.6, 1.3, 2.9][turn % 3], -65.0));
    }
    samples
}
