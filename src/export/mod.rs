//! Export to other programs: trained models (weights as safetensors, a complete model as
//! TorchScript) and the features of corpora.
//!
//! An exported model does not read recordings. Its input is the features of the run's `[features]`
//! before normalisation, as `emovox features --run` or another program computes them.
//! docs/export.md shows how.
//!
//! ```no_run
//! use emovox::{export, inference::{Precision, Predictor, Trained}, io::write_bytes};
//!
//! let run = Trained::open("runs".as_ref(), "ravdess-bilstm")?;
//! write_bytes("ravdess-bilstm.emovox".as_ref(), &run.bundle(Precision::Single)?)?;
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
    Described, FeatureFormat, LabeledFile, check_features, describe, is_own_matrix, write_features,
    write_matrix,
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
use crate::model::{Arch, ModelConfig};

/// Metadata of an exported model, stored as JSON.
#[derive(Serialize)]
struct Card<'a> {
    /// Version of emovox.
    emovox: &'a str,
    run: &'a str,
    /// Licence of the training recordings.
    licence: String,
    /// Everything that a reader of the run's scores must know.
    notes: Vec<String>,
    /// Class names in the order of the logits.
    classes: &'a [String],
    audio: &'a AudioConfig,
    features: &'a FeatureConfig,
    coefficients: usize,
    model: serde_json::Value,
    vocal_tracts: &'a [f64],
    /// Divisor of the mean log-probabilities.
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
        model: sizes(&config.model)?,
        vocal_tracts: &config.inference.vtlp_warps,
        temperature: config.calibration.temperature,
    })?)
}

/// Architecture and sizes of a model. Programs that read the card know these settings by their first
/// names, so the card keeps them.
fn sizes(model: &ModelConfig) -> Result<serde_json::Value> {
    let mut sizes = serde_json::to_value(model)?;
    for (name, in_card) in [("ensemble_size", "members"), ("frame_stacking", "stack")] {
        if let Some(value) = sizes.as_object_mut().and_then(|sizes| sizes.remove(name)) {
            sizes[in_card] = value;
        }
    }
    if model.arch() == Arch::MeanLstm {
        sizes["arch"] = "seed".into();
    }
    Ok(sizes)
}

/// VTLP warps of normalised features x as x · matrix + addition: matrices `[warps, coefficients,
/// coefficients]` and additions `[warps, 1, coefficients]`. Without test-time augmentation the only
/// warp is the identity, which changes no bit.
fn warps(predictor: &Predictor) -> [Tensor; 2] {
    let coefficients = predictor.config().features.coefficients() as i64;
    if let Some(warps) = predictor.warps() {
        return warps.matrices(coefficients).into();
    }
    let options = (Kind::Float, predictor.model().device());
    [
        Tensor::eye(coefficients, options).unsqueeze(0),
        Tensor::zeros([1, 1, coefficients], options),
    ]
}
