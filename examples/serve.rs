//! Classifies recordings like a web server: many threads, one model.
//!
//! `cargo run --release --example serve -- runs/mine clip.wav …` starts a thread for each file,
//! which passes the bytes to `answer` like the body of a request. Instead of a run folder, a bundle
//! works too.

use std::path::Path;

use anyhow::{Context, Result};
use emovox::device::DeviceChoice;
use emovox::inference::{InMemory, Predictor, Trained};

/// Longest accepted recording, in seconds.
const LONGEST: f64 = 600.0;

/// Bytes of a recording → JSON, as `emovox predict --json` prints it.
fn answer(predictor: &Predictor, name: &str, body: &[u8]) -> Result<String> {
    let recording = InMemory {
        name,
        bytes: body,
        windowing: None,
        channel: None,
        longest: LONGEST,
    };
    // A server would stop here if its client has left.
    let is_needed = || true;
    let answers = predictor.answers(&recording, is_needed)?.answers;
    let answer = answers.first().context("no prediction")?;
    Ok(answer.object(predictor.classes()).to_string())
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let run = arguments.next().context("usage: serve RUN FILE.wav …")?;
    let trained = Trained::open(Path::new("runs"), &run)?;
    let predictor = &Predictor::of(trained, DeviceChoice::Auto.resolve()?)?;
    std::thread::scope(|threads| {
        for file in arguments {
            threads.spawn(move || {
                let body = std::fs::read(&file).map_err(anyhow::Error::from);
                match body.and_then(|body| answer(predictor, &file, &body)) {
                    Ok(answer) => println!("200 {file} {answer}"),
                    Err(error) => println!("400 {file} {error:#}"),
                }
            });
        }
    });
    Ok(())
}
