//! The sweep file, and the combinations of values that it describes.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;
use toml::{Table, Value};

use super::values::{for_name, is_range, text, values};
use crate::bounded;
use crate::config::RunConfig;
use crate::corpus::first_names;
use crate::corpus::folds::Folds;

/// Largest number of combinations; more are a typing error.
const MAX_COMBINATIONS: usize = 1_000_000;
/// Largest length of a name in bytes. File systems allow 255.
const MAX_NAME: usize = 180;

/// Content of a sweep file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepFile {
    /// Name of the sweep; None for the name of the file.
    pub name: Option<String>,
    /// Folds of each cross-validation: `5`, `loso` …; None for one split.
    folds: Option<Value>,
    /// Seeds: each combination and fold is trained with each of them.
    seeds: Option<Value>,
    /// Values of the combination that all others are compared with.
    baseline: Option<Table>,
    /// Settings that all combinations have in common; they override the recipe.
    #[serde(default)]
    config: Table,
    /// Keys of settings, each with a list or a range of values.
    #[serde(default)]
    sweep: Table,
}

/// One combination of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Combination {
    /// Name of the combination and of its folder.
    pub name: String,
    /// The values by their keys.
    pub values: BTreeMap<String, Value>,
}

impl SweepFile {
    /// Reads a sweep file.
    ///
    /// # Errors
    /// If the file cannot be read or is invalid.
    pub fn read(path: &Path) -> Result<SweepFile> {
        let text = bounded::read_text(path, bounded::SETTINGS)
            .with_context(|| format!("cannot read {}", path.display()))?;
        SweepFile::parse(&text)
            .map_err(|error| anyhow!("{} is not a valid sweep file:\n{error:#}", path.display()))
    }

    /// Parses the text of a sweep file.
    ///
    /// # Errors
    /// If it is not TOML with the keys of a sweep.
    pub fn parse(text: &str) -> Result<SweepFile> {
        Ok(toml::from_str(text)?)
    }

    /// Kind of folds; None for one split.
    ///
    /// # Errors
    /// If there is no such kind.
    pub fn folds(&self) -> Result<Option<Folds>> {
        let folds = self.folds.as_ref().map(text);
        Ok(folds.map(|folds| folds.parse()).transpose()?)
    }

    /// Seeds in ascending order, each once.
    ///
    /// # Errors
    /// If a seed is not a whole number from 0.
    pub fn seeds(&self) -> Result<Vec<u64>> {
        let Some(seeds) = &self.seeds else {
            return Ok(vec![1]);
        };
        let seed = |value: Value| {
            let seed = value.as_integer().and_then(|seed| u64::try_from(seed).ok());
            seed.with_context(|| format!("a seed must be a whole number from 0, not {value}"))
        };
        values("seeds", seeds)?.into_iter().map(seed).collect()
    }

    /// All combinations of values, each once. They do not depend on the order of keys and values in
    /// the file, and their names do not change when values are added.
    ///
    /// # Errors
    /// If a key has no list or range of values, or if there are too many combinations.
    pub fn combinations(&self) -> Result<Vec<Combination>> {
        let mut keys = BTreeMap::new();
        flatten("", &self.sweep, &mut keys);
        ensure!(
            !keys.keys().any(|key| key == "training.seed"),
            "training.seed cannot be in [sweep]: write `seeds = [1, 2, 3]` at the top of the file"
        );
        let mut all = vec![BTreeMap::new()];
        for (key, value) in keys {
            let values = values(&key, &value)?;
            ensure!(
                all.len().saturating_mul(values.len()) <= MAX_COMBINATIONS,
                "the sweep has more than {MAX_COMBINATIONS} settings"
            );
            let with = |one: &BTreeMap<String, Value>| {
                let each = |value: &Value| {
                    let mut one = one.clone();
                    one.insert(key.clone(), value.clone());
                    one
                };
                values.iter().map(each).collect::<Vec<_>>()
            };
            all = all.iter().flat_map(with).collect();
        }
        let named = |values| Combination {
            name: name_of(&values),
            values,
        };
        Ok(all.into_iter().map(named).collect())
    }

    /// Settings of one combination: the recipe, overridden by `[config]`, overridden by its values.
    ///
    /// # Errors
    /// If a key or a value is invalid.
    pub fn config_of(&self, combination: &Combination, file: &Path) -> Result<RunConfig> {
        let mut table = self.config.clone();
        for (key, value) in &combination.values {
            insert(&mut table, key, value.clone())?;
        }
        let config = RunConfig::over_recipe_table(table, file, None);
        let config = config.with_context(|| format!("setting {}", combination.name))?;
        config
            .validate()
            .with_context(|| format!("setting {}", combination.name))?;
        Ok(config)
    }

    /// Index of the combination that all others are compared with: the one with the values of
    /// `[baseline]`, or the one that is equal to `[config]`.
    ///
    /// # Errors
    /// If no combination or several combinations have the values of `[baseline]`.
    pub fn baseline(&self, all: &[Combination], configs: &[RunConfig]) -> Result<Option<usize>> {
        let Some(named) = &self.baseline else {
            let plain =
                RunConfig::over_recipe_table(self.config.clone(), Path::new("[config]"), None)?;
            return Ok(configs.iter().position(|config| *config == plain));
        };
        let mut keys = BTreeMap::new();
        flatten("", named, &mut keys);
        let fits = |one: &Combination| {
            let mut keys = keys.iter();
            keys.all(|(key, value)| one.values.get(key).is_some_and(|v| text(v) == text(value)))
        };
        let fitting: Vec<usize> = (0..all.len()).filter(|&one| fits(&all[one])).collect();
        match fitting[..] {
            [one] => Ok(Some(one)),
            [] => {
                let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
                bail!(
                    "no setting of the sweep has the values of [baseline]; the settings are {}",
                    first_names(&names)
                )
            }
            [first, second, ..] => bail!(
                "[baseline] must match one setting, but matches {}, such as {} and {}",
                fitting.len(),
                all[first].name,
                all[second].name
            ),
        }
    }
}

/// Collects the values by dotted keys (`model.hidden`). A key may be written as `"model.hidden"`,
/// `model.hidden`, or below `[sweep.model]`.
fn flatten(path: &str, table: &Table, into: &mut BTreeMap<String, Value>) {
    for (key, value) in table {
        let path = match path {
            "" => key.clone(),
            _ => format!("{path}.{key}"),
        };
        match value {
            Value::Table(table) if !is_range(value) => flatten(&path, table, into),
            _ => {
                into.insert(path, value.clone());
            }
        }
    }
}

/// Inserts a value under a dotted key.
fn insert(table: &mut Table, key: &str, value: Value) -> Result<()> {
    let Some((first, rest)) = key.split_once('.') else {
        table.insert(key.into(), value);
        return Ok(());
    };
    let inner = table
        .entry(first)
        .or_insert_with(|| Value::Table(Table::new()));
    match inner {
        Value::Table(inner) => insert(inner, rest, value),
        other => bail!("{first} is {other} in [config], so {key} cannot be set"),
    }
}

/// Name of a combination, such as `hidden-32+learning_rate-0.001`: the last part of each key, or
/// the whole key if two keys have the same last part.
fn name_of(values: &BTreeMap<String, Value>) -> String {
    if values.is_empty() {
        return "all".into();
    }
    let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_string();
    let short = |key: &String| {
        let alone = values
            .keys()
            .filter(|other| last(other) == last(key))
            .count()
            == 1;
        for_name(&Value::String(if alone { last(key) } else { key.clone() }))
    };
    let parts: Vec<String> = values
        .iter()
        .map(|(key, value)| format!("{}-{}", short(key), for_name(value)))
        .collect();
    let name = parts.join("+");
    if name.len() <= MAX_NAME {
        name
    } else {
        let digest = blake3::hash(name.as_bytes()).to_hex();
        let kept: String = name.chars().take(MAX_NAME - 20).collect();
        format!("{kept}~{}", &digest[..16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const KEYS: [&str; 5] = [
        "model.hidden",
        "training.learning_rate",
        "training.epochs",
        "features.n_mfcc",
        "split.test_fraction",
    ];

    fn written(keys: &[(usize, Vec<u32>)]) -> String {
        let line = |(key, values): &(usize, Vec<u32>)| {
            let values: Vec<String> = values
                .iter()
                .map(|v| format!("{}", f64::from(*v) / 4.0))
                .collect();
            format!("{} = [{}]\n", KEYS[*key], values.join(", "))
        };
        let lines: Vec<String> = keys.iter().map(line).collect();
        format!("[sweep]\n{}", lines.concat())
    }

    fn names(text: &str) -> Vec<String> {
        let all = SweepFile::parse(text).unwrap().combinations().unwrap();
        all.into_iter().map(|one| one.name).collect()
    }

    proptest! {
        #[test]
        fn combinations_do_not_depend_on_the_order(
            keys in prop::sample::subsequence((0..KEYS.len()).collect::<Vec<_>>(), 1..=3),
            lists in prop::collection::vec(prop::collection::vec(0u32..40, 1..5), 3),
            turn in 0usize..4,
            new in 40u32..44,
        ) {
            let keys: Vec<(usize, Vec<u32>)> = keys.into_iter().zip(lists).collect();
            let here = names(&written(&keys));
            let count: usize = keys
                .iter()
                .map(|(_, values)| values.iter().collect::<BTreeSet<_>>().len())
                .product();
            let apart: BTreeSet<&String> = here.iter().collect();
            prop_assert_eq!((here.len(), apart.len()), (count, count));

            // Keys and values in another order.
            let mut turned = keys.clone();
            turned.reverse();
            for (_, values) in &mut turned {
                let places = turn % values.len();
                values.rotate_left(places);
            }
            prop_assert_eq!(&names(&written(&turned)), &here);

            // An added value changes no name.
            let mut more = keys.clone();
            more[0].1.push(new);
            let more = names(&written(&more));
            prop_assert!(here.iter().all(|name| more.contains(name)));
            prop_assert!(more.len() > here.len());
        }
    }

    #[test]
    fn keys_may_be_written_in_three_ways() {
        let expected = ["hidden-8+seed-1", "hidden-8+seed-2"];
        for text in [
            "[sweep]\n\"model.hidden\" = [8]\nsplit.seed = { from = 1, to = 2 }",
            "[sweep.model]\nhidden = [8]\n[sweep.split]\nseed = [2, 1]",
        ] {
            assert_eq!(names(text), expected);
        }
        assert_eq!(names("seeds = [1]"), ["all"]);
        assert_eq!(
            names("[sweep]\nmodel.dropout = [0.1]\na.dropout = [1]"),
            ["a.dropout-1+model.dropout-0.1"]
        );
    }

    #[test]
    fn the_name_of_a_key_is_a_file_name() {
        for key in ["/tmp/x", "..", "a/b", "x\\y"] {
            let text = format!("[sweep]\ndata.counts_as.'{key}' = ['anger']");
            let name = names(&text).remove(0);
            assert!(crate::io::is_file_name(&name), "{name}");
        }
    }

    #[test]
    fn the_baseline_is_named_or_equal_to_the_configuration() {
        let baseline = |text: &str| {
            let file = SweepFile::parse(text).unwrap();
            let all = file.combinations().unwrap();
            let configs: Vec<RunConfig> = all
                .iter()
                .map(|one| file.config_of(one, Path::new("x")).unwrap())
                .collect();
            file.baseline(&all, &configs)
        };
        let sweep = "[config.model]\nhidden = 32\n[sweep]\nmodel.hidden = [16, 32]\ntraining.epochs = [0, 5]\n";
        assert_eq!(baseline(sweep).unwrap(), Some(2));
        let named = |values: &str| baseline(&format!("{sweep}[baseline]\n{values}"));
        assert_eq!(
            named("model.hidden = 16\ntraining.epochs = 5").unwrap(),
            Some(1)
        );
        let error = named("model.hidden = 16").unwrap_err().to_string();
        assert!(error.contains("matches 2"), "{error}");
        assert!(named("model.hidden = 17").is_err());
        assert_eq!(baseline("[sweep]\nmodel.hidden = [16]").unwrap(), None);
    }

    #[test]
    fn errors_name_invalid_keys() {
        let error = |text: &str| {
            let file = SweepFile::parse(text)?;
            let all = file.combinations()?;
            file.config_of(&all[0], Path::new("x.toml")).map(|_| ())
        };
        for (text, expected) in [
            ("[sweep]\nmodel.hiden = [1]", "hiden"),
            ("[sweep]\ntraining.seed = [1]", "seeds = [1, 2, 3]"),
            ("[swoop]\nmodel.hidden = [1]", "swoop"),
            (
                "[config]\nmodel = 3\n[sweep]\nmodel.hidden = [1]",
                "model.hidden cannot be set",
            ),
            ("[sweep]\nmodel.hidden = [0]", "between 1 and 4096"),
        ] {
            let message = format!("{:#}", error(text).unwrap_err());
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
