//! Classifies recordings as a web server would: many threads, one model.
//!
//! `cargo run --release --example serve -- runs/mine clip.wav …` A thread per file hands its bytes to
//! `Service::handle`, as a request's body would be; a bundle serves as well as a run's folder.

use std::io::Cursor;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result, anyhow};
use emovox::audio::{AudioConfig, SampleRate, read_wav_from, resample, trim_silence};
use emovox::device::DeviceChoice;
use emovox::features::Extractor;
use emovox::inference::{Predictor, Trained};

/// What all handlers share.
struct Service {
    audio: AudioConfig,
    rate: u32,
    extractor: Extractor,
    /// libtorch uses all cores for one request; two at once would be no faster.
    predictor: Mutex<Predictor>,
}

impl Service {
    fn open(run: &str) -> Result<Service> {
        let trained = Trained::open(Path::new("runs"), run)?;
        let predictor = Predictor::of(trained, DeviceChoice::Auto.resolve()?)?;
        let config = predictor.config();
        let SampleRate::Hz(rate) = config.audio.sample_rate else {
            anyhow::bail!("this run takes recordings at their own rates");
        };
        Ok(Service {
            audio: config.audio.clone(),
            rate,
            extractor: Extractor::new(&config.features, rate)?,
            predictor: Mutex::new(predictor),
        })
    }

    /// A WAV file's bytes → JSON. What it costs, the features, every thread does for itself.
    fn handle(&self, body: &[u8]) -> Result<String> {
        let mut sound = read_wav_from(Cursor::new(body))?;
        if sound.sample_rate != self.rate {
            sound = resample(&sound, self.rate)?;
        }
        if let Some(top_db) = self.audio.trim_db {
            sound = trim_silence(&sound, top_db);
        }
        let features = self.extractor.extract(&sound);
        let predictor = self.predictor.lock();
        let predictor = predictor.map_err(|_| anyhow!("another request failed"))?;
        let rows = predictor.probabilities(&[&features])?;
        let answer = predictor.classes().iter().zip(&rows[0]);
        let answer: std::collections::BTreeMap<_, _> = answer.collect();
        Ok(serde_json::to_string(&answer)?)
    }
}

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let service = Service::open(&words.next().context("which run?")?)?;
    std::thread::scope(|threads| {
        for file in words {
            let service = &service;
            threads.spawn(move || {
                let body = std::fs::read(&file).map_err(anyhow::Error::from);
                match body.and_then(|body| service.handle(&body)) {
                    Ok(answer) => println!("200 {file} {answer}"),
                    Err(error) => println!("400 {file} {error:#}"),
                }
            });
        }
    });
    Ok(())
}
