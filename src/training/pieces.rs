//! The pieces of a step: each computes some clips for some networks of the ensemble, on a thread of
//! its own.
//!
//! The pieces of a step do not depend on the number of threads, and their gradients are added in a
//! fixed order, so the same seed gives the same bytes with any number of threads.

use std::ops::Range;
use std::{iter, mem};

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use super::epoch::EpochPlan;
use crate::augment::MIXUP_GROUP;
use crate::dataset::Batch;
use crate::model::{EmotionModel, TrainOutput};
use crate::parallel::{self, Shared};

/// Number of clips of a piece on a CPU. A batch of 32 clips and three networks gives six pieces.
const CLIPS: usize = MIXUP_GROUP;

/// Networks of a piece, and the positions of its clips in the order of the epoch.
#[derive(Debug, Clone)]
struct Piece {
    networks: Range<usize>,
    clips: Range<usize>,
}

/// The trainable tensors of a model.
pub(super) struct Parameters {
    /// In the order of [`EmotionModel::parameters`].
    all: Vec<Tensor>,
    /// Indices of the tensors of each network.
    of_networks: Vec<Vec<usize>>,
}

impl Parameters {
    /// The trainable tensors of a model, which the gradients of every step are computed for.
    pub fn of(model: &EmotionModel) -> Parameters {
        let networks = 0..model.ensemble_size();
        Parameters {
            all: model.parameters().into_iter().map(|(_, x)| x).collect(),
            of_networks: networks
                .map(|network| model.parameters_of(network))
                .collect(),
        }
    }
}

/// The forward passes of a step. Their outputs are joined without the history of the pieces, so
/// that the loss of the whole batch gives the gradients that the pieces continue with.
pub(super) struct Forward {
    step: usize,
    pieces: Vec<(Piece, TrainOutput)>,
    /// Outputs for all networks and clips of this process.
    pub output: TrainOutput,
    /// Class probabilities after mixup, `[networks × batch, classes]`.
    pub targets: Tensor,
}

/// The clips of a piece, which all networks share, or the error of a file that cannot be read.
type Gathered = Result<(Range<usize>, Batch)>;

/// The steps of an epoch, computed in pieces.
pub(super) struct Pieces<'a> {
    model: &'a EmotionModel,
    plan: &'a EpochPlan<'a>,
    parameters: &'a Parameters,
    /// The device that the pieces are made for.
    device: Device,
    /// The clips of the next step, if they have been gathered.
    ahead: Vec<Gathered>,
}

impl<'a> Pieces<'a> {
    /// The steps of an epoch.
    pub fn new(
        model: &'a EmotionModel,
        plan: &'a EpochPlan<'a>,
        parameters: &'a Parameters,
    ) -> Pieces<'a> {
        Pieces {
            model,
            plan,
            parameters,
            device: model.device(),
            ahead: Vec::new(),
        }
    }

    /// Gathers and augments the clips of a step, and computes the outputs of all networks. Each
    /// network has its own augmentation.
    ///
    /// # Errors
    /// If the features of a clip are in a file that cannot be read.
    pub fn forward(&mut self, step: usize) -> Result<Forward> {
        let mut gathered = mem::take(&mut self.ahead);
        if gathered.is_empty() {
            let shared = Shared::new(self.plan);
            gathered = parallel::map(self.of_clips(step), |clips| gather(shared.get(), clips));
        }
        let gathered = gathered.into_iter().collect::<Result<Vec<_>>>()?;
        let pieces: Vec<(Piece, Batch)> = self
            .of_networks()
            .into_iter()
            .flat_map(|networks| {
                gathered.iter().map(move |(clips, batch)| {
                    let batch = repeated(batch, networks.len());
                    let (networks, clips) = (networks.clone(), clips.clone());
                    (Piece { networks, clips }, batch)
                })
            })
            .collect();
        drop(gathered);
        let shared = Shared::new((self.model, self.plan));
        let computed = parallel::map(pieces, |(piece, batch)| {
            let &(model, plan) = shared.get();
            let (networks, clips) = (piece.networks.clone(), piece.clips.clone());
            let seeds = plan.seeds(networks.clone(), clips.clone());
            let numbers = plan.numbers(step, &seeds, clips.len());
            let input = plan.augmentation.apply(&batch, &numbers, &seeds);
            let output = model.forward_train(networks, &input.features, &batch.lengths, &seeds);
            (piece, output, input.targets)
        });
        Ok(Forward::joined(step, computed))
    }

    /// The gradients of a loss that was computed from the [`Forward::output`] of a step, one for each
    /// of the parameters. A parameter without an effect on the loss has an undefined tensor.
    ///
    /// On a CPU, further pieces gather the clips of the next step, so that its forward pass need not
    /// wait for them.
    pub fn backward(&mut self, forward: Forward, loss: &Tensor) -> Vec<Tensor> {
        loss.backward();
        let Forward {
            step,
            pieces,
            output,
            ..
        } = forward;
        let start = pieces.first().map_or(0, |(piece, _)| piece.clips.start);
        let mut work: Vec<Work> = pieces
            .into_iter()
            .map(|(piece, output)| Work::Backward(piece, output))
            .collect();
        if self.device == Device::Cpu && step + 1 < self.plan.steps() {
            work.extend(self.of_clips(step + 1).into_iter().map(Work::Gather));
        }
        let of_output = [output.embeddings.grad(), output.logits.grad()];
        let shared = Shared::new((of_output, self.parameters, self.plan));
        let done = parallel::map(work, |work| {
            let (of_output, parameters, plan) = shared.get();
            match work {
                Work::Backward(piece, output) => {
                    Done::Gradients(parameters.gradients(piece, output, of_output, start))
                }
                Work::Gather(clips) => Done::Gathered(gather(plan, clips)),
            }
        });
        let mut sums: Vec<Tensor> = self.parameters.all.iter().map(|_| Tensor::new()).collect();
        for done in done {
            match done {
                Done::Gathered(clips) => self.ahead.push(clips),
                Done::Gradients(gradients) => add(&mut sums, gradients),
            }
        }
        sums
    }

    /// The networks of each piece. A GPU computes all networks at once.
    fn of_networks(&self) -> Vec<Range<usize>> {
        let count = self.model.ensemble_size();
        match self.device {
            Device::Cpu => (0..count).map(|network| network..network + 1).collect(),
            _ => iter::once(0..count).collect(),
        }
    }

    /// The clips of each piece of a step. A GPU computes all clips at once.
    fn of_clips(&self, step: usize) -> Vec<Range<usize>> {
        let positions = self.plan.positions(step);
        if self.device != Device::Cpu {
            return vec![positions];
        }
        let Range { start, end } = positions;
        (start..end)
            .step_by(CLIPS)
            .map(|first| first..(first + CLIPS).min(end))
            .collect()
    }
}

/// A piece of work in the second half of a step.
enum Work {
    Backward(Piece, TrainOutput),
    Gather(Range<usize>),
}

/// The result of a [`Work`].
enum Done {
    /// Gradients with the indices of their parameters.
    Gradients(Vec<(usize, Tensor)>),
    Gathered(Gathered),
}

impl Parameters {
    /// The gradients of a piece, with the indices of their parameters. `of_output` are those of the
    /// embeddings and logits of the whole step, whose clips begin at the position `start`.
    fn gradients(
        &self,
        piece: Piece,
        output: TrainOutput,
        of_output: &[Tensor; 2],
        start: usize,
    ) -> Vec<(usize, Tensor)> {
        let indices = self.of_networks[piece.networks.clone()].concat();
        let inputs: Vec<&Tensor> = indices.iter().map(|&index| &self.all[index]).collect();
        let outputs = [output.embeddings, output.logits];
        // The gradient of Σ output · gradient is the product that backpropagation needs.
        let products = outputs.iter().zip(of_output).filter(|(_, g)| g.defined());
        let products = products.map(|(output, gradient)| {
            let own = gradient
                .narrow(0, piece.networks.start as i64, piece.networks.len() as i64)
                .narrow(
                    1,
                    (piece.clips.start - start) as i64,
                    piece.clips.len() as i64,
                );
            (output * own).sum(Kind::Float)
        });
        let Some(sum) = products.reduce(|a, b| a + b) else {
            return Vec::new();
        };
        let gradients = Tensor::run_backward(&[sum], &inputs, false, false);
        indices.into_iter().zip(gradients).collect()
    }
}

/// Adds the gradients of a piece to the sums.
fn add(sums: &mut [Tensor], gradients: Vec<(usize, Tensor)>) {
    for (index, gradient) in gradients {
        if sums[index].defined() && gradient.defined() {
            let _ = sums[index].g_add_(&gradient);
        } else if gradient.defined() {
            sums[index] = gradient;
        }
    }
}

fn gather(plan: &EpochPlan, clips: Range<usize>) -> Gathered {
    let batch = plan.gather(clips.clone())?;
    Ok((clips, batch))
}

impl Forward {
    fn joined(step: usize, computed: Vec<(Piece, TrainOutput, Tensor)>) -> Forward {
        let (mut pieces, mut targets) = (Vec::new(), Vec::new());
        for (piece, output, of_piece) in computed {
            let networks = piece.networks.len() as i64;
            targets.push(of_piece.view([networks, piece.clips.len() as i64, -1]));
            pieces.push((piece, output));
        }
        let join = |tensors: Vec<Tensor>| {
            let mut tensors = tensors.into_iter();
            // The pieces of one network follow one another.
            let by_network = pieces.chunk_by(|(a, _), (b, _)| a.networks == b.networks);
            let rows: Vec<Tensor> = by_network
                .map(|pieces| {
                    let clips: Vec<Tensor> = tensors.by_ref().take(pieces.len()).collect();
                    Tensor::cat(&clips, 1)
                })
                .collect();
            Tensor::cat(&rows, 0)
        };
        let leaf = |of: fn(&TrainOutput) -> &Tensor| {
            let tensors = pieces.iter().map(|(_, output)| of(output).detach());
            join(tensors.collect()).set_requires_grad(true)
        };
        let output = TrainOutput {
            embeddings: leaf(|output| &output.embeddings),
            logits: leaf(|output| &output.logits),
        };
        let targets = join(targets).flatten(0, 1);
        Forward {
            step,
            pieces,
            output,
            targets,
        }
    }
}

/// The batch once for each network, one after the other.
fn repeated(batch: &Batch, networks: usize) -> Batch {
    let times = networks as i64;
    let repeated = |x: &Tensor| match times {
        1 => x.shallow_clone(),
        _ => x.repeat([&[times], &vec![1; x.dim() - 1][..]].concat()),
    };
    Batch {
        features: repeated(&batch.features),
        lengths: repeated(&batch.lengths),
        labels: repeated(&batch.labels),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;
    use crate::audio::SampleRate;
    use crate::augment::SpecAugment;
    use crate::config::{Arch, RunConfig, TrainingConfig};
    use crate::dataset::SplitTensors;
    use crate::distributed::ProcessGroup;
    use crate::features::{FeatureConfig, Features, StoredValues};
    use crate::training::criterion::Criterion;
    use crate::training::fit::Setup;
    use crate::training::{AdamW, fixture};

    /// A GPU computes a step in one piece, with random numbers that were drawn for the whole epoch.
    #[test]
    fn a_step_as_on_a_gpu_has_the_outputs_and_gradients_of_its_pieces() {
        for arch in [Arch::Bilstm, Arch::MeanLstm] {
            let mut config = RunConfig::recipe(arch).training;
            config.batch_size = 32;
            // Everything that a step can do at random.
            let recipe = &mut config.augmentation;
            (recipe.noise, recipe.mixup, recipe.speed) = (0.1, 0.5, 0.1);
            (recipe.frequency_warp, recipe.frequency_masks) = (0.1, 2);
            (recipe.time_masks, recipe.time_mask_frames) = (2, 8);
            (recipe.frequency_mask_bands, recipe.cepstral_offset) = (4, 0.2);
            let model = fixture::model(arch);
            let mut data = fixture::data(45, 0, &model);
            let features = FeatureConfig {
                n_mfcc: fixture::COEFFICIENTS,
                n_mels: 32,
                deltas: 0,
                prosody: false,
                ..FeatureConfig::default()
            };
            let rate = SampleRate::Hz(16_000);
            let (augmentation, device) = (&config.augmentation, Device::Cpu);
            data.spec_augment =
                SpecAugment::new(augmentation, &features, rate, model.normalisation(), device)
                    .unwrap();
            let group = ProcessGroup::single();
            let setup = Setup {
                model: &model,
                data: &data,
                config: &config,
                group: &group,
            };
            let augmentation = fixture::augmentation(&data, &config);
            let criterion = Criterion::new(&model, &data, &config);
            let parameters = Parameters::of(&model);
            let mut plan = EpochPlan::draw(&setup, augmentation, 3);
            let compute = |plan: &EpochPlan, device| -> Vec<_> {
                let mut pieces = Pieces::new(&model, plan, &parameters);
                pieces.device = device;
                let mut compute = |step| {
                    let forward = pieces.forward(step).unwrap();
                    let batch = plan.batch(step);
                    let loss = criterion.loss(&forward.output, &forward.targets, &batch, &group);
                    let output = forward.output.logits.copy();
                    let count = forward.pieces.len();
                    let gradients = pieces.backward(forward, &loss.unwrap().total);
                    (count, output, gradients)
                };
                (0..plan.steps()).map(&mut compute).collect()
            };
            let of_pieces = compute(&plan, Device::Cpu);
            plan.draw_numbers(Device::Cpu);
            let of_whole = compute(&plan, Device::Cuda(0));
            assert_eq!(of_whole.len(), 2);
            for (whole, pieces) in of_whole.iter().zip(&of_pieces) {
                assert_eq!(whole.0, 1);
                assert_eq!(pieces.0, 2 * model.ensemble_size());
                let difference = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
                assert!(difference(&whole.1, &pieces.1) < 1e-5, "{arch:?}");
                let updated = [&whole.2, &pieces.2].map(|gradients| step_of(&model, gradients));
                for (whole, pieces) in updated[0].iter().zip(&updated[1]) {
                    assert!(difference(whole, pieces) < 1e-5, "{arch:?}");
                }
                for (whole, pieces) in whole.2.iter().zip(&pieces.2) {
                    assert_eq!(whole.defined(), pieces.defined());
                    if whole.defined() {
                        let scale = pieces.abs().max().double_value(&[]);
                        let difference = difference(whole, pieces);
                        assert!(difference < 1e-5 + 1e-4 * scale, "{arch:?}: {difference}");
                    }
                }
            }
        }
    }

    struct CutOff;

    impl StoredValues for CutOff {
        fn read(&self) -> io::Result<Vec<f32>> {
            Err(io::Error::other("cut off"))
        }
    }

    #[test]
    fn a_clip_that_cannot_be_read_fails_in_its_own_step() {
        let model = fixture::model(Arch::MeanLstm);
        let mut config = RunConfig::recipe(Arch::MeanLstm).training;
        config.batch_size = 4;
        let mut data = fixture::data(12, 0, &model);
        let clips: Vec<Features> = (0..12)
            .map(|clip| match clip {
                5 => Features::in_file(4, fixture::COEFFICIENTS, Arc::new(CutOff)),
                _ => Features::new(4, fixture::COEFFICIENTS, vec![0.5; 8]).unwrap(),
            })
            .collect();
        let clips: Vec<&Features> = clips.iter().collect();
        data.train = SplitTensors::on_disk(&clips, &[0; 12], model.normalisation());
        let setup = Setup {
            model: &model,
            data: &data,
            config: &config,
            group: &ProcessGroup::single(),
        };
        let augmentation = fixture::augmentation(&data, &config);
        let plan = (1..)
            .map(|epoch| EpochPlan::draw(&setup, augmentation, epoch))
            .find(|plan| plan.batch(1).clips.contains(&5));
        let plan = plan.unwrap();
        let parameters = Parameters::of(&model);
        let mut pieces = Pieces::new(&model, &plan, &parameters);
        let forward = pieces.forward(0).unwrap();
        let loss = forward.output.logits.sum(Kind::Float);
        let gradients = pieces.backward(forward, &loss);
        assert!(gradients.iter().any(Tensor::defined));
        let error = pieces.forward(1).err().unwrap();
        assert!(format!("{error:#}").contains("cut off"), "{error:#}");
    }

    /// The weights of a model after a step of the optimizer, which leaves the model as it is.
    fn step_of(model: &EmotionModel, gradients: &[Tensor]) -> Vec<Tensor> {
        let copies = model.parameters().into_iter();
        let copies: Vec<(String, Tensor)> = copies.map(|(name, x)| (name, x.copy())).collect();
        let weights = copies.iter().map(|(_, x)| x.shallow_clone()).collect();
        let config = RunConfig::recipe(model.arch()).training;
        // With a large ε the step is nearly proportional to the gradient.
        let config = TrainingConfig {
            epsilon: 1.0,
            ..config
        };
        AdamW::new(copies, &config).step(gradients, 0.1, 0.0);
        weights
    }
}
