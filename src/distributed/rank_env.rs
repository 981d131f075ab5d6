//! Rank and address of this process, from the environment variables that launchers of PyTorch jobs set.

use anyhow::{Context, Result, bail, ensure};

/// Rank of a process, and address of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(not(feature = "distributed"), allow(dead_code))]
pub(super) struct RankEnv {
    pub(super) rank: usize,
    pub(super) size: usize,
    /// Rank among the processes of this machine.
    pub(super) local_rank: usize,
    /// Host of the store.
    pub(super) host: String,
    pub(super) port: u16,
    /// True if rank 0 runs the store; false if the launcher runs it, as torchrun does.
    pub(super) first_keeps_store: bool,
    /// Prefix of the keys in the store. It differs between attempts, so that an attempt does not read the
    /// keys of a failed one.
    pub(super) prefix: String,
}

impl RankEnv {
    /// Reads torchrun's variables, or Slurm's if MASTER_ADDR is set too. `None` for a single process.
    pub(super) fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Option<RankEnv>> {
        let number = |name: &str| -> Result<Option<usize>> {
            let text = variable(name).filter(|text| !text.is_empty());
            let number = text.map(|text| {
                let number = text.trim().parse();
                number.with_context(|| format!("the variable {name} is '{text}', not a number"))
            });
            number.transpose()
        };
        let by_torch = number("WORLD_SIZE")?.is_some();
        let names = match by_torch {
            true => ["WORLD_SIZE", "RANK", "LOCAL_RANK"],
            false if variable("MASTER_ADDR").is_some() => {
                ["SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID"]
            }
            false => return Ok(None),
        };
        let size = number(names[0])?.unwrap_or(1);
        if size <= 1 {
            return Ok(None);
        }
        let given = |name: &str| {
            variable(name).with_context(|| {
                format!(
                    "{} is {size}, but {name} is not set; start the processes with torchrun, which sets \
                     both, or set both yourself",
                    names[0]
                )
            })
        };
        given(names[1])?;
        let rank = number(names[1])?.unwrap_or(0);
        ensure!(
            rank < size,
            "{} is {rank}, but with {size} processes ranks are below {size}",
            names[1]
        );
        let port = given("MASTER_PORT")?;
        let Ok(port) = port.trim().parse() else {
            bail!("the variable MASTER_PORT is '{port}', not a port number");
        };
        let agent = variable("TORCHELASTIC_USE_AGENT_STORE").is_some_and(|word| word == "True");
        let attempt = variable("TORCHELASTIC_RESTART_COUNT").unwrap_or_default();
        Ok(Some(RankEnv {
            rank,
            size,
            local_rank: number(names[2])?.unwrap_or(0),
            host: given("MASTER_ADDR")?,
            port,
            first_keeps_store: !agent,
            prefix: format!("emovox-{attempt}"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<RankEnv>> {
        RankEnv::of(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.to_string())
        })
    }

    #[test]
    fn torchrun_and_srun() {
        let master = [("MASTER_ADDR", "node1"), ("MASTER_PORT", "29500")];
        let with = |more: &[(&'static str, &'static str)]| of(&[&master, more].concat());
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(with(&[]).unwrap(), None);
        assert_eq!(with(&[("WORLD_SIZE", "1"), ("RANK", "0")]).unwrap(), None);
        let place = with(&[("WORLD_SIZE", "4"), ("RANK", "3"), ("LOCAL_RANK", "1")]);
        let place = place.unwrap().unwrap();
        assert_eq!((place.rank, place.size, place.local_rank), (3, 4, 1));
        assert_eq!((place.host.as_str(), place.port), ("node1", 29500));
        assert!(place.first_keeps_store);
        let agent = ("TORCHELASTIC_USE_AGENT_STORE", "True");
        let place = with(&[("WORLD_SIZE", "2"), ("RANK", "0"), agent]);
        assert!(!place.unwrap().unwrap().first_keeps_store);
        let slurm = [
            ("SLURM_NTASKS", "8"),
            ("SLURM_PROCID", "5"),
            ("SLURM_LOCALID", "1"),
        ];
        let place = with(&slurm).unwrap().unwrap();
        assert_eq!((place.rank, place.size, place.local_rank), (5, 8, 1));
        // A Slurm job without MASTER_ADDR is not a distributed training.
        assert_eq!(of(&slurm).unwrap(), None);
    }

    #[test]
    fn an_error_names_the_missing_or_invalid_variable() {
        let error = |variables: &[(&str, &str)]| of(variables).unwrap_err().to_string();
        assert!(error(&[("WORLD_SIZE", "2")]).contains("RANK is not set"));
        assert!(error(&[("WORLD_SIZE", "two")]).contains("'two'"));
        assert!(error(&[("WORLD_SIZE", "2"), ("RANK", "2")]).contains("RANK is 2, but with 2"));
        assert!(error(&[("WORLD_SIZE", "2"), ("RANK", "1")]).contains("MASTER_PORT"));
    }
}
