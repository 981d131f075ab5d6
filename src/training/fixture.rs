//! A small training for the tests of this module.

use tch::{Device, Kind, Tensor};

use super::TrainData;
use crate::augment::Augmentation;
use crate::config::{Arch, BilstmConfig, ModelConfig, RunConfig, TrainingConfig};
use crate::dataset::SplitTensors;
use crate::features::Features;
use crate::model::EmotionModel;

/// Number of coefficients of a frame.
pub const COEFFICIENTS: usize = 2;

/// A small model of an architecture, with two classes. The ensemble has three networks. Its weights do
/// not come from libtorch's generator, which other tests use at the same time.
pub fn model(arch: Arch) -> EmotionModel {
    let classes = ["a".to_string(), "b".to_string()];
    let config = match RunConfig::recipe(arch).model {
        ModelConfig::Bilstm(config) => ModelConfig::Bilstm(BilstmConfig {
            ensemble_size: 3,
            input: 6,
            hidden: 4,
            ..config
        }),
        config @ ModelConfig::MeanLstm(_) => config,
    };
    let model = EmotionModel::new(&config, COEFFICIENTS, &classes, Device::Cpu);
    tch::no_grad(|| {
        for (index, (_, mut weights)) in model.parameters().into_iter().enumerate() {
            let numbers = Tensor::arange(weights.numel() as i64, (Kind::Float, Device::Cpu));
            let numbers = (numbers * 1.7 + index as f64).sin() * 0.3;
            weights.copy_(&numbers.view_as(&weights));
        }
    });
    model
}

/// Clips of different lengths, whose labels alternate.
pub fn data(train: usize, validation: usize, model: &EmotionModel) -> TrainData {
    let clips = |first: usize, count: usize| {
        let clips = first..first + count;
        let labels: Vec<usize> = clips.clone().map(|clip| clip % 2).collect();
        let clip = |clip: usize| {
            let frames = 3 + clip;
            let values = (0..COEFFICIENTS * frames).map(|i| ((i * i + clip) as f32).sin());
            Features::new(frames, COEFFICIENTS, values.collect()).unwrap()
        };
        let clips: Vec<Features> = clips.map(clip).collect();
        let clips: Vec<&Features> = clips.iter().collect();
        SplitTensors::new(&clips, &labels, model.normalisation(), Device::Cpu).unwrap()
    };
    TrainData {
        identity: Vec::new(),
        train: clips(0, train),
        train_names: vec![String::new(); train],
        groups: Vec::new(),
        corpora: Vec::new(),
        validation: clips(train, validation),
        spec_augment: None,
    }
}

/// The augmentation of a training with this data.
pub fn augmentation<'a>(data: &'a TrainData, config: &'a TrainingConfig) -> Augmentation<'a> {
    Augmentation {
        classes: 2,
        spec_augment: data.spec_augment.as_ref(),
        config: &config.augmentation,
    }
}
