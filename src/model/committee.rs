//! Several networks of one shape that learn apart and answer together.
//!
//! Trained on few voices, a network is as good as its luck: which of them it learns by heart depends on
//! how it started and on what it was shown when. The mean of several is steadier, and better than most of
//! them. Nothing passes between the members: each learns from a variation of the batch of its own.

use tch::nn::Path;
use tch::{Kind, Tensor};

use super::bilstm::Bilstm;
use super::config::BilstmConfig;

#[derive(Debug)]
pub(super) struct Committee {
    members: Vec<Bilstm>,
}

impl Committee {
    pub(super) fn new(root: &Path, c: &BilstmConfig, coefficients: i64, classes: i64) -> Self {
        let member = |path: &Path| Bilstm::new(path, c, coefficients, classes);
        let members = match c.members {
            1 => vec![member(root)],
            members => (0..members)
                .map(|number| member(&(root / format!("member{number}"))))
                .collect(),
        };
        Committee { members }
    }

    pub(super) fn len(&self) -> i64 {
        self.members.len() as i64
    }

    /// `[members × batch, …]` → `[members × batch, classes]`: each member answers its share of the rows.
    pub(super) fn training_logits(&self, features: &Tensor, lengths: &Tensor) -> Tensor {
        let features = features.chunk(self.len(), 0);
        let lengths = lengths.chunk(self.len(), 0);
        let shares = features.iter().zip(&lengths);
        let logits: Vec<Tensor> = self
            .members
            .iter()
            .zip(shares)
            .map(|(member, (features, lengths))| member.forward(features, lengths, true))
            .collect();
        Tensor::cat(&logits, 0)
    }

    /// `[batch, …]` → `[batch, classes]`: the mean of the members' log-probabilities.
    pub(super) fn log_probabilities(&self, features: &Tensor, lengths: &Tensor) -> Tensor {
        let said = |member: &Bilstm| {
            let logits = member.forward(features, lengths, false);
            logits.log_softmax(-1, Kind::Float)
        };
        let said: Vec<Tensor> = self.members.iter().map(said).collect();
        Tensor::stack(&said, 0)
            .mean_dim(0, false, Kind::Float)
            .log_softmax(-1, Kind::Float)
    }
}
