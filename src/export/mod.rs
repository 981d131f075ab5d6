//! For other programs: trained runs (weights as safetensors, a whole model as TorchScript), and features
//! of whole corpora.
//!
//! Neither kind of model knows WAV files: both take the features of a run's `[features]`, as `emovox features --run`
//! or a program of one's own computes them, before any normalisation. docs/export.md shows how.
//!
//! ```no_run
//! use emovox::{export, inference::{Predictor, Trained}, run::write_bytes};
//!
//! let run = Trained::open("runs".as_ref(), "ravdess-bilstm")?;
//! write_bytes("ravdess-bilstm.emovox".as_ref(), &run.bundle()?)?;
//! let predictor = Predictor::of(run, tch::Device::Cpu)?;
//! write_bytes("ravdess-bilstm.pt".as_ref(), &export::torchscript(&predictor)?)?;
//! # Ok::<(), anyhow::Error>(())
//! ```

mod features;
mod names;
mod safetensors;
mod torchscript;
mod written;

pub use features::{
    Described, FeatureFormat, check_features, describe, is_own_matrix, write_features, write_matrix,
};
pub use safetensors::safetensors;
pub use torchscript::torchscript;
pub use written::{is_bundle, is_safetensors, is_torchscript};

use anyhow::Result;
use serde::Serialize;
use tch::{Kind, Tensor};

use crate::audio::AudioConfig;
use crate::features::FeatureConfig;
use crate::inference::Predictor;
use crate::model::ModelConfig;

/// What goes with the weights, as JSON.
#[derive(Serialize)]
struct Card<'a> {
    emovox: &'a str,
    run: &'a str,
    /// Of the recordings that it was trained on.
    licence: String,
    /// Everything that a reader of the run's scores must know.
    notes: Vec<String>,
    /// In the order of the logits.
    classes: &'a [String],
    audio: &'a AudioConfig,
    features: &'a FeatureConfig,
    coefficients: usize,
    model: &'a ModelConfig,
    vocal_tracts: &'a [f64],
    /// What the mean log-probabilities are divided by.
    temperature: f64,
}

fn card(predictor: &Predictor) -> Result<String> {
    let config = predictor.config();
    Ok(serde_json::to_string(&Card {
        emovox: env!("CARGO_PKG_VERSION"),
        run: predictor.trained().name(),
        licence: predictor.trained().licence(),
        notes: predictor.trained().caveats()?.notes(),
        classes: predictor.classes(),
        audio: &config.audio,
        features: &config.features,
        coefficients: config.features.coefficients(),
        model: &config.model,
        vocal_tracts: &config.inference.vocal_tracts,
        temperature: config.calibration.temperature,
    })?)
}

/// What each vocal tract does to normalised features: x · matrix + addition. Where a clip is heard as it
/// is, the one tract changes nothing, to the last bit.
fn tracts(predictor: &Predictor) -> [Tensor; 2] {
    let coefficients = predictor.config().features.coefficients() as i64;
    if let Some(tracts) = predictor.tracts() {
        return tracts.matrices(coefficients).into();
    }
    let options = (Kind::Float, predictor.model().device());
    [
        Tensor::eye(coefficients, options).unsqueeze(0),
        Tensor::zeros([1, 1, coefficients], options),
    ]
}
