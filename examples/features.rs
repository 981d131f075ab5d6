//! The features of a recording: `cargo run --example features -- clip.wav`

use std::path::PathBuf;

use emovox::audio::{self, AudioConfig};
use emovox::features::{Extractor, FeatureConfig};

fn main() -> anyhow::Result<()> {
    let Some(file) = std::env::args_os().nth(1).map(PathBuf::from) else {
        anyhow::bail!("usage: features FILE.wav");
    };
    // The defaults: 22 050 Hz, 40 MFCCs every 512 samples.
    let config = FeatureConfig::default();
    let waveform = audio::load(&file, &AudioConfig::default())?;
    // One extractor is enough for all recordings of its sample rate, from any thread.
    let extractor = Extractor::new(&config, waveform.sample_rate)?;
    let features = extractor.extract(&waveform);

    println!(
        "{:.2} s: {} frames × {} coefficients",
        waveform.seconds(),
        features.frames(),
        features.coefficients()
    );
    for frame in 0..features.frames().min(5) {
        let seconds = (frame * config.hop_length) as f64 / f64::from(waveform.sample_rate);
        println!("{seconds:.3} s {:8.2?} …", &features.row(frame)[..4]);
    }
    Ok(())
}
