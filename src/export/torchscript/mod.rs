//! A complete model as TorchScript: features → log-probabilities, without Python code of emovox.
//!
//! libtorch writes an archive with the weights (a module without methods), and emovox adds the
//! source of the methods to it; TorchScript is the code in such an archive. Tracing is not used,
//! because it records the operations on one batch with a fixed number of clips and frames.

use std::io::{Cursor, Write};

use anyhow::{Result, bail};
use tch::Tensor;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{card, names, warps};
use crate::inference::Predictor;
use crate::model::{self, BilstmConfig, ModelConfig};

/// The file in the archive that holds the classes and settings.
pub(super) const CARD: &str = "extra/emovox.json";

const MODULE: &str = include_str!("module.py");
const BILSTM: &str = include_str!("bilstm.py");
const SEED: &str = include_str!("seed.py");

/// Bytes of a file for `torch.jit.load`. Its `forward` takes features `[batch, frames,
/// coefficients]` before normalisation and lengths `[batch]` in frames. It returns
/// log-probabilities `[batch, classes]`, which equal those of `emovox predict`: averaged over all
/// VTLP warps and at the run's temperature.
///
/// # Errors
/// If libtorch cannot write the archive, or cannot read it again.
pub fn torchscript(predictor: &Predictor) -> Result<Vec<u8>> {
    let [matrices, additions] = warps(predictor);
    let tensors = predictor.model().tensors();
    let weights = tensors
        .iter()
        .map(|(name, tensor)| (names::in_script(name), on_cpu(tensor)));
    let mut tensors: Vec<(String, Tensor)> = weights.collect();
    tensors.push(("tract_matrices".into(), on_cpu(&matrices)));
    tensors.push(("tract_additions".into(), on_cpu(&additions)));

    let archive = model::encode(&tensors)?;
    let entries = model::archive_entries(&archive)?;
    let code = code(predictor, &tensors);
    let card = card(predictor)?;
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut put = |name: &str, bytes: &[u8]| -> Result<()> {
        let plain = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file(format!("archive/{name}"), plain)?;
        Ok(zip.write_all(bytes)?)
    };
    for (name, bytes) in entries {
        // The archive of weights has debug information in `code/`, which does not match the new
        // source.
        if !name.starts_with("code/") {
            put(name, bytes)?;
        }
    }
    put("code/__torch__.py", code.as_bytes())?;
    put(CARD, card.as_bytes())?;
    let bytes = zip.finish()?.into_inner();
    check(&bytes)?;
    Ok(bytes)
}

fn on_cpu(tensor: &Tensor) -> Tensor {
    tensor.detach().to_device(tch::Device::Cpu)
}

/// Loads the archive, which makes libtorch compile the source.
fn check(bytes: &[u8]) -> Result<()> {
    let module = tch::CModule::load_data(&mut Cursor::new(bytes));
    if let Err(error) = module {
        let text = error.to_string();
        bail!(
            "this libtorch cannot read the exported file: {}",
            text.lines().next().unwrap_or_default()
        );
    }
    Ok(())
}

/// Source of the module: attributes for the weights, `forward`, and the network.
fn code(predictor: &Predictor, tensors: &[(String, Tensor)]) -> String {
    let config = predictor.config();
    let quoted = |(name, _): &(String, Tensor)| format!("\"{name}\", ");
    let typed = |(name, _): &(String, Tensor)| format!("  {name} : Tensor\n");
    let module = MODULE
        .replace(
            "PARAMETERS",
            &tensors.iter().map(quoted).collect::<String>(),
        )
        .replace(
            "ATTRIBUTES\n",
            &tensors.iter().map(typed).collect::<String>(),
        )
        .replace(
            "TEMPERATURE",
            &format!("{:?}", config.calibration.temperature),
        );
    let network = match &config.model {
        ModelConfig::MeanLstm(_) => SEED.to_string(),
        ModelConfig::Bilstm(config) => BILSTM
            .replace("MEMBERS", &members(config))
            .replace("STACK", &config.frame_stacking.to_string())
            .replace(
                "STATISTICS",
                if config.statistics { "True" } else { "False" },
            ),
    };
    module + &network
}

/// Source of the calls of all networks of the ensemble, separated by commas.
fn members(config: &BilstmConfig) -> String {
    let call = |number: Option<i64>| {
        let prefix = number.map(|number| format!("member{number}_"));
        let prefix = format!("self.{}", prefix.unwrap_or_default());
        let list = |names: Vec<String>| {
            let names = names.iter().map(|name| format!("{prefix}{name}"));
            format!("[{}]", names.collect::<Vec<_>>().join(", "))
        };
        let shared = ["input", "input_norm", "attention", "output"]
            .iter()
            .flat_map(|layer| [format!("{layer}_weight"), format!("{layer}_bias")]);
        let lstms = |direction: &str| {
            let layer = |layer: i64| {
                let weight = |name: &str| format!("lstm{layer}_{direction}_{name}_l0");
                list(
                    ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
                        .map(weight)
                        .to_vec(),
                )
            };
            let layers: Vec<String> = (0..config.layers).map(layer).collect();
            format!("[{}]", layers.join(", "))
        };
        let (ahead, back) = (lstms("forward"), lstms("backward"));
        let shared = list(shared.collect());
        format!("self.member(features, lengths, {shared}, {ahead}, {back})")
    };
    let calls: Vec<String> = match config.ensemble_size {
        1 => vec![call(None)],
        count => (0..count).map(|number| call(Some(number))).collect(),
    };
    calls.join(", ")
}
