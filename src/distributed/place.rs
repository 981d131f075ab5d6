//! Which process this is among those that train together, by the variables that whoever starts PyTorch
//! jobs sets.

use anyhow::{Context, Result, bail, ensure};

/// One of the processes that train together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(not(feature = "distributed"), allow(dead_code))]
pub(super) struct Place {
    pub(super) rank: usize,
    pub(super) size: usize,
    /// Among those of this machine.
    pub(super) local_rank: usize,
    /// Where the store is.
    pub(super) host: String,
    pub(super) port: u16,
    /// False where the program that started this one keeps the store, as torchrun does.
    pub(super) first_keeps_store: bool,
    /// Before the store's keys: those of an attempt that failed must not be found by the next.
    pub(super) prefix: String,
}

impl Place {
    /// From torchrun's variables, or Slurm's where MASTER_ADDR is set beside them. `None` of a process
    /// that is alone.
    pub(super) fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Place>> {
        let number = |name: &str| -> Result<Option<usize>> {
            let text = variable(name).filter(|text| !text.is_empty());
            let number = text.map(|text| {
                let number = text.trim().parse();
                number.with_context(|| format!("the variable {name} is '{text}', and no number"))
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
                    "{} is {size}, but {name} is not set; torchrun sets both, and so must whoever \
                     starts these processes",
                    names[0]
                )
            })
        };
        given(names[1])?;
        let rank = number(names[1])?.unwrap_or(0);
        ensure!(rank < size, "{} is {rank}, of {size} processes", names[1]);
        let port = given("MASTER_PORT")?;
        let Ok(port) = port.trim().parse() else {
            bail!("the variable MASTER_PORT is '{port}', and no port");
        };
        let agent = variable("TORCHELASTIC_USE_AGENT_STORE").is_some_and(|word| word == "True");
        let attempt = variable("TORCHELASTIC_RESTART_COUNT").unwrap_or_default();
        Ok(Some(Place {
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

    fn of(variables: &[(&str, &str)]) -> Result<Option<Place>> {
        Place::of(|name| {
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
        // A job of Slurm that is no such training.
        assert_eq!(of(&slurm).unwrap(), None);
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = |variables: &[(&str, &str)]| of(variables).unwrap_err().to_string();
        assert!(error(&[("WORLD_SIZE", "2")]).contains("RANK is not set"));
        assert!(error(&[("WORLD_SIZE", "two")]).contains("'two'"));
        assert!(error(&[("WORLD_SIZE", "2"), ("RANK", "2")]).contains("RANK is 2, of 2"));
        assert!(error(&[("WORLD_SIZE", "2"), ("RANK", "1")]).contains("MASTER_PORT"));
    }
}
