//! The architectures compared with their definitions, and the loading of damaged and wrong weights.

mod env;

use std::fs;
use std::path::Path;

use emovox::config::RunConfig;
use emovox::model::{
    Arch, BilstmConfig, EmotionModel, MeanLstmConfig, ModelConfig, TrainOutput, decode, encode,
    load_weights, save_weights,
};
use emovox::random::ClipSeed;
use env::device::device;
use tch::{Device, Kind, Tensor};

const COEFFICIENTS: usize = 6;
const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

/// Floats on the device of the tests.
fn float() -> (Kind, Device) {
    (Kind::Float, device())
}

/// Lengths of clips on the device of the tests.
fn on_device(lengths: &[i64]) -> Tensor {
    Tensor::from_slice(lengths).to_device(device())
}

fn bilstm() -> ModelConfig {
    ModelConfig::Bilstm(BilstmConfig {
        input: 12,
        hidden: 8,
        layers: 2,
        ..Default::default()
    })
}

fn mean_lstm() -> ModelConfig {
    ModelConfig::MeanLstm(MeanLstmConfig {
        hidden: 16,
        ..Default::default()
    })
}

fn classes(count: usize) -> Vec<String> {
    (1..=count)
        .map(|number| format!("class {number}"))
        .collect()
}

fn model(config: &ModelConfig) -> EmotionModel {
    // libtorch looks for GPUs only once, at a seed at the latest.
    let device = device();
    tch::manual_seed(7);
    EmotionModel::new(config, COEFFICIENTS, &classes(4), device)
}

/// Seeds of the dropout of some clips in an epoch.
fn seeds(epoch: usize, clips: usize) -> Vec<ClipSeed> {
    let clips = 0..clips;
    clips.map(|clip| ClipSeed::new(1, epoch, clip, 0)).collect()
}

fn save(model: &EmotionModel, path: &Path) {
    save_weights(model, &model.tensors(), path).unwrap();
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn padding_never_changes_the_prediction_for_a_clip() {
    let lengths = [1i64, 2, 3, 17, 29, 40];
    for config in [bilstm(), mean_lstm()] {
        let model = model(&config);
        // The padding behind a clip is loud noise.
        let batch = Tensor::randn([lengths.len() as i64, 48, COEFFICIENTS as i64], float()) * 5.0;
        let together = model.log_probabilities(&batch, &on_device(&lengths));
        for (row, &length) in lengths.iter().enumerate() {
            let clip = batch.narrow(0, row as i64, 1).narrow(1, 0, length);
            let alone = model.log_probabilities(&clip, &on_device(&[length]));
            let difference = largest_difference(&together.narrow(0, row as i64, 1), &alone);
            assert!(
                difference < 1e-5,
                "{:?}, {length} frames: {difference}",
                config.arch()
            );
        }
    }
}

#[test]
fn dropout_ends_with_the_training() {
    for config in [bilstm(), mean_lstm()] {
        let model = model(&config);
        let clips = Tensor::randn([2, 30, 6], float());
        let lengths = Tensor::full([2], 30, (Kind::Int64, device()));
        let trained = |epoch| {
            let seeds = seeds(epoch, 2);
            model.forward_train(0..1, &clips, &lengths, &seeds).logits
        };
        let asked = || model.log_probabilities(&clips, &lengths);
        assert_eq!(asked(), asked());
        assert_eq!(trained(1), trained(1));
        assert!(
            largest_difference(&trained(1), &trained(2)) > 1e-3,
            "{:?}",
            config.arch()
        );
    }
}

/// The expected value is computed with the same weights by libtorch's bidirectional LSTM, layer
/// norm and softmax.
#[test]
fn the_two_directions_are_libtorchs_bidirectional_lstm() {
    let config = BilstmConfig {
        ensemble_size: 1,
        frame_stacking: 1,
        input: 5,
        hidden: 4,
        heads: 2,
        statistics: false,
        ..Default::default()
    };
    let model = model(&ModelConfig::Bilstm(config));
    let tensors = model.tensors();
    let named = |name: &str| {
        let found = tensors.iter().find(|(known, _)| known == name);
        found
            .unwrap_or_else(|| panic!("no {name}"))
            .1
            .shallow_clone()
    };
    let linear = |x: &Tensor, name: &str| {
        x.matmul(&named(&format!("{name}.weight")).tr()) + named(&format!("{name}.bias"))
    };

    let clip = Tensor::randn([1, 11, COEFFICIENTS as i64], float());
    let x = linear(&clip, "input");
    let (variance, mean) = x.var_mean_dim(-1, false, true);
    let x = (x - mean) / (variance + 1e-5).sqrt() * named("input_norm.weight")
        + named("input_norm.bias");
    let weights: Vec<Tensor> = ["forward", "backward"]
        .iter()
        .flat_map(|direction| {
            ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
                .map(|weight| named(&format!("lstm0.{direction}.{weight}")))
        })
        .collect();
    let zero = Tensor::zeros([2, 1, 4], float());
    let state = [&zero, &zero];
    let weights: Vec<&Tensor> = weights.iter().collect();
    let (steps, _, _) = x
        .relu()
        .lstm(&state, &weights, true, 1, 0.0, false, true, true);
    let attention = linear(&steps, "attention").softmax(1, Kind::Float);
    let pooled = attention.transpose(1, 2).matmul(&steps).flatten(1, 2);
    let expected = linear(&pooled, "output");

    let predicted = model.log_probabilities(&clip, &on_device(&[11i64]));
    let difference = largest_difference(&predicted, &expected.log_softmax(-1, Kind::Float));
    assert!(difference < 1e-5);
}

/// The weights of each network are copied into a model with one network. The mean of these models
/// must equal the ensemble.
#[test]
fn an_ensemble_is_the_mean_of_its_networks_and_each_is_trained_on_its_own_rows() {
    let ensemble_of = |ensemble_size| {
        ModelConfig::Bilstm(BilstmConfig {
            ensemble_size,
            input: 12,
            hidden: 8,
            // Without dropout, the outputs in training and evaluation are equal.
            input_dropout: 0.0,
            dropout: 0.0,
            ..Default::default()
        })
    };
    let ensemble = model(&ensemble_of(3));
    let clips = Tensor::randn([5, 30, COEFFICIENTS as i64], float());
    let lengths = on_device(&[30i64, 7, 21, 1, 30]);
    let rows = clips.repeat([3, 1, 1]) + Tensor::randn([15, 30, COEFFICIENTS as i64], float());
    let trained = ensemble.forward_train(0..3, &rows, &lengths.repeat([3]), &seeds(1, 15));
    let logits = trained.logits.flatten(0, 1);

    let mut predictions = Vec::new();
    for number in 0..3 {
        let alone = model(&ensemble_of(1));
        for (name, mut tensor) in alone.parameters() {
            let name_in_ensemble = format!("member{number}.{name}");
            let tensors = ensemble.tensors();
            let found = tensors.iter().find(|(name, _)| *name == name_in_ensemble);
            tch::no_grad(|| tensor.copy_(&found.unwrap().1));
        }
        predictions.push(alone.log_probabilities(&clips, &lengths));
        let own_rows = rows.narrow(0, 5 * number, 5);
        let own_logits = logits.narrow(0, 5 * number, 5);
        let trained = alone.forward_train(0..1, &own_rows, &lengths, &seeds(1, 5));
        let expected = trained.logits.squeeze_dim(0);
        assert!(largest_difference(&own_logits, &expected) < 1e-5);
    }
    let mean = Tensor::stack(&predictions, 0).mean_dim(0, false, Kind::Float);
    let expected = mean.log_softmax(-1, Kind::Float);
    let together = ensemble.log_probabilities(&clips, &lengths);
    assert!(largest_difference(&together, &expected) < 1e-5);
    assert!(largest_difference(&predictions[0], &predictions[1]) > 1e-3);
}

/// A GPU computes all networks in one call, a CPU each network in its own.
#[test]
fn the_networks_of_an_ensemble_are_the_same_together_and_alone() {
    let ensemble = model(&ModelConfig::Bilstm(BilstmConfig {
        ensemble_size: 3,
        input: 12,
        hidden: 8,
        layers: 2,
        ..Default::default()
    }));
    let rows = Tensor::randn([15, 32, COEFFICIENTS as i64], float());
    let lengths = on_device(&[32i64, 7, 21, 1, 30]).repeat([3]);
    let seeds = seeds(1, 15);
    let parameters = ensemble.parameters();
    let mut parameters: Vec<Tensor> = parameters.into_iter().map(|(_, x)| x).collect();
    // The norms and biases of new networks are all equal.
    tch::no_grad(|| {
        for weights in &mut parameters {
            let _ = weights.g_add_(&(weights.randn_like() * 0.1));
        }
    });
    let parameters: Vec<&Tensor> = parameters.iter().collect();
    let gradients = |output: &TrainOutput| {
        // The factors make the gradients of all embeddings and logits different.
        let sum = [&output.embeddings, &output.logits].map(|x| (x.sin() * x).sum(Kind::Float));
        Tensor::run_backward(&[&sum[0] + &sum[1]], &parameters, false, false)
    };

    let together = ensemble.forward_train(0..3, &rows, &lengths, &seeds);
    let of_all = gradients(&together);
    for network in 0..3 {
        let own = |x: &Tensor| x.narrow(0, 5 * network as i64, 5);
        let own_seeds = &seeds[5 * network..5 * network + 5];
        let range = network..network + 1;
        let alone = ensemble.forward_train(range, &own(&rows), &own(&lengths), own_seeds);
        let of_network = |x: &Tensor| x.narrow(0, network as i64, 1);
        for (alone, together) in [
            (&alone.embeddings, &together.embeddings),
            (&alone.logits, &together.logits),
        ] {
            assert!(largest_difference(alone, &of_network(together)) < 1e-5);
        }
        let own_gradients = gradients(&alone);
        let indices = ensemble.parameters_of(network);
        assert!(!indices.is_empty());
        for index in indices {
            let scale = of_all[index].abs().max().double_value(&[]);
            assert!(scale > 0.0, "parameter {index} has a gradient");
            // The gradient of the attention's bias is 0 but for rounding.
            let most = 1e-5 * scale + 1e-6;
            assert!(largest_difference(&own_gradients[index], &of_all[index]) <= most);
        }
    }
}

#[test]
fn the_default_model_has_the_documented_number_of_parameters() {
    let recipe = RunConfig::recipe(Arch::Bilstm);
    let (width, classes) = (recipe.features.coefficients(), classes(8));
    let model = EmotionModel::new(&recipe.model, width, &classes, Device::Cpu);
    // Three networks: a linear layer from five frames of 86 to 128 and its layer norm, two LSTMs of
    // 64, and an output layer from four heads and two statistics of 128 to eight classes.
    let input = 5 * 86 * 128 + 128 + 2 * 128;
    let lstms = 2 * 4 * 64 * (128 + 64 + 2);
    let output = (128 * 4 + 4) + ((4 * 128 + 2 * 128) * 8 + 8);
    assert_eq!(model.parameter_count(), 3 * (input + lstms + output));
    assert_eq!(model.parameter_count(), 484_260);
}

#[test]
fn the_baseline_model_has_the_documented_number_of_parameters() {
    let model = EmotionModel::new(
        &ModelConfig::MeanLstm(MeanLstmConfig::default()),
        40,
        &classes(8),
        Device::Cpu,
    );
    // An LSTM of 256 over one value a step (libtorch has two biases), dense layers of 128 and 64, 8
    // classes.
    let lstm = 4 * 256 * (1 + 256 + 2);
    let dense = (256 * 128 + 128) + (128 * 64 + 64) + (64 * 8 + 8);
    assert_eq!(model.parameter_count(), lstm + dense);
}

#[test]
fn an_lstm_starts_orthogonal_with_a_forget_bias_of_1() {
    let model = model(&bilstm());
    for (name, tensor) in model.tensors() {
        if name.ends_with("weight_hh_l0") {
            let product = tensor.tr().matmul(&tensor);
            let identity = Tensor::eye(8, float());
            assert!(largest_difference(&product, &identity) < 1e-5, "{name}");
        }
        if name.ends_with("bias_ih_l0") {
            let gates: Vec<f32> = tensor.try_into().unwrap();
            let expected = [vec![0.0; 8], vec![1.0; 8], vec![0.0; 16]].concat();
            assert_eq!(gates, expected, "{name}");
        }
    }
}

#[test]
fn saved_weights_are_loaded_unchanged_and_saved_as_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("1.ot"), folder.path().join("2.ot"));
    let saved = model(&bilstm());
    save(&saved, &first);
    save(&saved, &second);
    assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());

    tch::manual_seed(8);
    let other = EmotionModel::new(&bilstm(), COEFFICIENTS, &classes(4), Device::Cpu);
    load_weights(&other, &first).unwrap();
    for ((name, before), (_, after)) in saved.tensors().iter().zip(other.tensors()) {
        assert_eq!(before.to_device(Device::Cpu), after, "{name}");
    }
}

#[test]
fn weights_of_another_model_are_rejected_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.ot");
    let refusal = |path| format!("{:#}", load_weights(&model(&bilstm()), path).unwrap_err());

    assert!(refusal(&path).contains("cannot read"));

    save(&model(&mean_lstm()), &path);
    assert!(
        refusal(&path).contains("it contains a mean-lstm model, but this model is a bilstm"),
        "{}",
        refusal(&path)
    );

    let deeper = BilstmConfig {
        input: 12,
        hidden: 8,
        layers: 3,
        ..Default::default()
    };
    save(&model(&ModelConfig::Bilstm(deeper)), &path);
    assert!(
        refusal(&path).contains("that this model lacks"),
        "{}",
        refusal(&path)
    );

    let wider = BilstmConfig {
        input: 12,
        hidden: 9,
        layers: 2,
        ..Default::default()
    };
    save(&model(&ModelConfig::Bilstm(wider)), &path);
    assert!(
        refusal(&path).contains("but the model needs"),
        "{}",
        refusal(&path)
    );

    save(&model(&bilstm()), &path);
    let whole = fs::read(&path).unwrap();
    for broken in [
        &whole[..whole.len() / 2],
        &[0; 4096],
        b"",
        b"PK\x03\x04 no weights",
    ] {
        fs::write(&path, broken).unwrap();
        let refusal = refusal(&path);
        assert!(refusal.contains("cannot read the weights"), "{refusal}");
        assert!(!refusal.contains('\n'), "a C++ stack: {refusal}");
    }
}

/// On a GPU all weights of an LSTM are in one block of memory; each tensor is saved as a piece of
/// it.
#[test]
fn tensors_that_share_memory_are_loaded_unchanged() {
    let block = Tensor::arange(24, FLOAT);
    let pieces = vec![
        ("first".to_string(), block.narrow(0, 0, 10).view([2, 5])),
        ("second".to_string(), block.narrow(0, 10, 14)),
    ];
    let back = decode(encode(&pieces).unwrap(), Device::Cpu).unwrap();
    assert_eq!(back.len(), 2);
    for (name, piece) in pieces {
        assert_eq!(back[&name], piece, "{name}");
    }
}
