//! The pieces of a step: each computes some clips for some networks of the ensemble, on a thread of
//! its own.
//!
//! The pieces of a step do not depend on the number of threads, and their gradients are added in a
//! fixed order, so the same seed gives the same bytes with any number of threads.

use std::iter;
use std::ops::Range;

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

/// The clips of a step, gathered in pieces that all networks share.
pub(super) struct Gathered {
    pieces: Vec<(Range<usize>, Batch)>,
}

impl Gathered {
    /// Gathers the clips of a step. [`Forward::backward`] does it for the next step.
    ///
    /// # Errors
    /// If the features of a clip are in a file that cannot be read.
    pub fn of_step(plan: &EpochPlan, step: usize, device: Device) -> Result<Gathered> {
        let shared = Shared::new(plan);
        let gathered = parallel::map(of_clips(plan.positions(step), device), |clips| {
            gather(shared.get(), clips)
        });
        let pieces = gathered.into_iter().collect::<Result<_>>()?;
        Ok(Gathered { pieces })
    }
}

/// A piece of work in the second half of a step.
enum Work {
    Backward(Piece, TrainOutput),
    /// Gathers clips for the next step.
    Gather(Range<usize>),
}

/// The result of a [`Work`].
enum Done {
    /// Indices of parameters, and their gradients.
    Gradients(Vec<usize>, Vec<Tensor>),
    Gathered(Result<(Range<usize>, Batch)>),
}

/// The forward passes of a step. Their outputs are joined without the history of the pieces, so
/// that the loss of the whole batch gives the gradients that the pieces continue with.
pub(super) struct Forward {
    pieces: Vec<(Piece, TrainOutput)>,
    /// Outputs for all networks and clips of this process.
    pub output: TrainOutput,
    /// Class probabilities after mixup, `[networks × batch, classes]`.
    pub targets: Tensor,
}

impl Forward {
    /// Augments the clips of a step, and computes the outputs of all networks. Each network has its
    /// own augmentation.
    pub fn compute(
        model: &EmotionModel,
        plan: &EpochPlan,
        step: usize,
        clips: &Gathered,
    ) -> Forward {
        Forward::compute_as_on(model.device(), model, plan, step, clips)
    }

    /// [`Forward::compute`] with the pieces that a step has on a device.
    fn compute_as_on(
        device: Device,
        model: &EmotionModel,
        plan: &EpochPlan,
        step: usize,
        clips: &Gathered,
    ) -> Forward {
        let pieces: Vec<(Piece, Batch)> = of_networks(model.ensemble_size(), device)
            .into_iter()
            .flat_map(|networks| {
                clips.pieces.iter().map(move |(clips, batch)| {
                    let batch = repeated(batch, networks.len());
                    let (networks, clips) = (networks.clone(), clips.clone());
                    (Piece { networks, clips }, batch)
                })
            })
            .collect();
        let shared = Shared::new((model, plan));
        let computed = parallel::map(pieces, |(piece, batch)| {
            let &(model, plan) = shared.get();
            let (networks, clips) = (piece.networks.clone(), piece.clips.clone());
            let seeds = plan.seeds(networks.clone(), clips.clone());
            let draws = plan.draws(step, networks.clone(), clips);
            let input = plan.augmentation.apply(&batch, &draws, &seeds);
            let output = model.forward_train(networks, &input.features, &batch.lengths, &seeds);
            (piece, output, input.targets)
        });
        Forward::joined(computed)
    }

    fn joined(computed: Vec<(Piece, TrainOutput, Tensor)>) -> Forward {
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
            pieces,
            output,
            targets,
        }
    }

    /// The gradients of a loss that was computed from [`Forward::output`], one for each of
    /// the parameters. A parameter without an effect on the loss has an undefined tensor. On a CPU
    /// the clips of the step `next` are gathered beside.
    ///
    /// # Errors
    /// If the features of a clip are in a file that cannot be read.
    pub fn backward(
        self,
        loss: &Tensor,
        parameters: &Parameters,
        plan: &EpochPlan,
        next: Option<usize>,
        device: Device,
    ) -> Result<(Vec<Tensor>, Option<Gathered>)> {
        loss.backward();
        let gradients = [self.output.embeddings.grad(), self.output.logits.grad()];
        let shared = Shared::new((gradients, parameters, plan));
        let first = self
            .pieces
            .first()
            .map_or(0, |(piece, _)| piece.clips.start);
        let backward = |piece: Piece, output: TrainOutput| {
            let (gradients, parameters, _) = shared.get();
            let indices: Vec<usize> = parameters.of_networks[piece.networks.clone()].concat();
            let inputs = indices.iter().map(|&index| &parameters.all[index]);
            let inputs: Vec<&Tensor> = inputs.collect();
            let outputs = [output.embeddings, output.logits];
            // The gradient of Σ output · gradient is the product that backpropagation needs.
            let products = outputs.iter().zip(gradients).filter(|(_, g)| g.defined());
            let products = products.map(|(output, gradient)| {
                let start = (piece.clips.start - first) as i64;
                let own = gradient
                    .narrow(0, piece.networks.start as i64, piece.networks.len() as i64)
                    .narrow(1, start, piece.clips.len() as i64);
                (output * own).sum(Kind::Float)
            });
            let sum = products.reduce(|a, b| a + b);
            let gradients = match sum {
                Some(sum) => Tensor::run_backward(&[sum], &inputs, false, false),
                None => Vec::new(),
            };
            Done::Gradients(indices, gradients)
        };
        let pieces = self.pieces.into_iter();
        let mut work: Vec<Work> = pieces.map(|(piece, x)| Work::Backward(piece, x)).collect();
        // A GPU gathers when its turn comes, without a thread that waits for it.
        let next = next.filter(|_| device == Device::Cpu);
        let ahead = next.map(|step| of_clips(plan.positions(step), device));
        work.extend(ahead.into_iter().flatten().map(Work::Gather));
        let done = parallel::map(work, |work| match work {
            Work::Backward(piece, output) => backward(piece, output),
            Work::Gather(clips) => Done::Gathered(gather(shared.get().2, clips)),
        });
        let mut sums: Vec<Tensor> = parameters.all.iter().map(|_| Tensor::new()).collect();
        let mut gathered = Vec::new();
        for done in done {
            match done {
                Done::Gathered(clips) => gathered.push(clips?),
                Done::Gradients(indices, gradients) => add(&mut sums, indices, gradients),
            }
        }
        Ok((sums, next.map(|_| Gathered { pieces: gathered })))
    }
}

/// Adds the gradients of a piece to the sums.
fn add(sums: &mut [Tensor], indices: Vec<usize>, gradients: Vec<Tensor>) {
    for (index, gradient) in indices.into_iter().zip(gradients) {
        if sums[index].defined() && gradient.defined() {
            let _ = sums[index].g_add_(&gradient);
        } else if gradient.defined() {
            sums[index] = gradient;
        }
    }
}

/// Gathers the clips of a piece.
fn gather(plan: &EpochPlan, clips: Range<usize>) -> Result<(Range<usize>, Batch)> {
    let batch = plan.gather(clips.clone())?;
    Ok((clips, batch))
}

/// The networks of each piece. A GPU computes all networks at once.
fn of_networks(count: usize, device: Device) -> Vec<Range<usize>> {
    match device {
        Device::Cpu => (0..count).map(|network| network..network + 1).collect(),
        _ => iter::once(0..count).collect(),
    }
}

/// The clips of each piece. A GPU computes all clips at once.
fn of_clips(positions: Range<usize>, device: Device) -> Vec<Range<usize>> {
    if device != Device::Cpu {
        return vec![positions];
    }
    let Range { start, end } = positions;
    (start..end)
        .step_by(CLIPS)
        .map(|first| first..(first + CLIPS).min(end))
        .collect()
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
    use super::*;
    use crate::audio::SampleRate;
    use crate::augment::{Augmentation, SpecAugment};
    use crate::config::{Arch, RunConfig};
    use crate::distributed::ProcessGroup;
    use crate::features::FeatureConfig;
    use crate::training::criterion::Criterion;
    use crate::training::fit::Setup;
    use crate::training::fixture;

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
            let augmentation = Augmentation {
                classes: 2,
                spec_augment: data.spec_augment.as_ref(),
                config: &config.augmentation,
            };
            let criterion = Criterion::new(&model, &data, &config);
            let parameters = Parameters::of(&model);
            let mut plan = EpochPlan::draw(&setup, augmentation, 3);
            let steps: Vec<usize> = (0..plan.steps()).collect();
            assert_eq!(steps, [0, 1]);
            let compute = |plan: &EpochPlan, step, device| {
                let clips = Gathered::of_step(plan, step, device).unwrap();
                let forward = Forward::compute_as_on(device, &model, plan, step, &clips);
                let batch = plan.batch(step);
                let loss = criterion.loss(&forward.output, &forward.targets, &batch, &group);
                let output = forward.output.logits.copy();
                let pieces = forward.pieces.len();
                let loss = loss.unwrap().total;
                let (gradients, _) = forward
                    .backward(&loss, &parameters, plan, None, device)
                    .unwrap();
                (pieces, output, gradients)
            };
            let of_pieces = steps.iter().map(|&step| compute(&plan, step, Device::Cpu));
            let of_pieces: Vec<_> = of_pieces.collect();
            plan.draw_all(Device::Cpu);
            for (step, (pieces, output, gradients)) in of_pieces.into_iter().enumerate() {
                let whole = compute(&plan, step, Device::Cuda(0));
                assert_eq!(whole.0, 1);
                assert_eq!(pieces, [2, 1][step] * model.ensemble_size());
                let difference = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
                assert!(difference(&whole.1, &output) < 1e-5, "{arch:?}");
                for (of_whole, of_pieces) in whole.2.iter().zip(&gradients) {
                    assert_eq!(of_whole.defined(), of_pieces.defined());
                    if of_whole.defined() {
                        let scale = of_pieces.abs().max().double_value(&[]);
                        let difference = difference(of_whole, of_pieces);
                        assert!(difference < 1e-5 + 1e-4 * scale, "{arch:?}: {difference}");
                    }
                }
            }
        }
    }
}
