//! Classifies recordings like a web server: many threads, one model.
//!
//! `cargo run --release --example serve -- runs/mine clip.wav …` starts a thread for each file,
//! which passes the bytes to `Service::handle` like the body of a request. Instead of a run folder,
//! a bundle works too.

use std::io::Cursor;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result, anyhow};
use emovox::audio::{AudioConfig, SampleRate, read_from, resample, trim_silence};
use emovox::device::DeviceChoice;
use emovox::features::Extractor;
use emovox::inference::{Predictor, Trained};

/// State shared by all threads.
struct Service {
    audio: AudioConfig,
    rate: u32,
    extractor: Extractor,
    /// The model behind a lock: libtorch uses all cores for one request, so two at once would not
    /// be faster.
    predictor: Mutex<Predictor>,
}

impl Service {
    fn open(run: &str) -> Result<Service> {
        let trained = Trained::open(Path::new("runs"), run)?;
        let predictor = Predictor::of(trained, DeviceChoice::Auto.resolve()?)?;
        let config = predictor.config();
        let SampleRate::Hz(rate) = config.audio.sample_rate else {
            anyhow::bail!("this run has no fixed sample rate");
        };
        Ok(Service {
            audio: config.audio.clone(),
            rate,
            extractor: Extractor::new(&config.features, rate)?,
            predictor: Mutex::new(predictor),
        })
    }

    /// Bytes of a WAV file → JSON. The threads compute the features, which take most of the time,
    /// in parallel.
    fn handle(&self, body: &[u8]) -> Result<String> {
        let mut sound = read_from(Cursor::new(body))?;
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
        let response = predictor.classes().iter().zip(&rows[0]);
        let response: std::collections::BTreeMap<_, _> = response.collect();
        Ok(serde_json::to_string(&response)?)
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let run = arguments.next().context("usage: serve RUN FILE.wav …")?;
    let service = Service::open(&run)?;
    std::thread::scope(|threads| {
        for file in arguments {
            let service = &service;
            threads.spawn(move || {
                let body = std::fs::read(&file).map_err(anyhow::Error::from);
                match body.and_then(|body| service.handle(&body)) {
                    Ok(response) => println!("200 {file} {response}"),
                    Err(error) => println!("400 {file} {error:#}"),
                }
            });
        }
    });
    Ok(())
}
