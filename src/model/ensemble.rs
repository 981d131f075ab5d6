//! Several networks of one shape that learn apart and answer together.
//!
//! Heard on few voices, a network is as good as its luck: which of them it learns by heart depends on
//! how it started and on what it was shown when. The mean of several is steadier, and better than most of
//! them. Nothing passes between the members: each learns from a variation of the batch of its own.

use tch::nn::Path;
use tch::{Kind, Tensor};

use super::Heard;
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

    /// `[members × batch, …]` → what each member makes of its share of the rows.
    pub(super) fn training(&self, features: &Tensor, lengths: &Tensor) -> Heard {
        let features = features.chunk(self.len(), 0);
        let lengths = lengths.chunk(self.len(), 0);
        let shares = features.iter().zip(&lengths);
        let (embeddings, logits): (Vec<Tensor>, Vec<Tensor>) = self
            .members
            .iter()
            .zip(shares)
            .map(|(member, (features, lengths))| {
                let embedded = member.embed(features, lengths, true);
                let logits = member.classify(&embedded, true);
                (embedded, logits)
            })
            .unzip();
        Heard {
            embeddings: Tensor::stack(&embeddings, 0),
            logits: Tensor::cat(&logits, 0),
        }
    }

    /// `[batch, …]` → `[batch, classes]`: the mean of the members' log-probabilities.
    pub(super) fn log_probabilities(&self, features: &Tensor, lengths: &Tensor) -> Tensor {
        let said = |member: &Bilstm| {
            let embedded = member.embed(features, lengths, false);
            let logits = member.classify(&embedded, false);
            logits.log_softmax(-1, Kind::Float)
        };
        let said: Vec<Tensor> = self.members.iter().map(said).collect();
        Tensor::stack(&said, 0)
            .mean_dim(0, false, Kind::Float)
            .log_softmax(-1, Kind::Float)
    }
}
