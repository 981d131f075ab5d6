//! The file that describes a sweep, and the settings that it comes to.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;
use toml::{Table, Value};

use super::values::{for_name, is_range, text, values};
use crate::bounded;
use crate::config::RunConfig;
use crate::corpus::folds::Folds;

/// More cells than this are a slip of the pen.
const MOST: usize = 1_000_000;
/// No file system takes a longer name than 255 bytes.
const LONGEST_NAME: usize = 180;

/// A sweep as its file describes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridFile {
    /// What it is called; the file's own name where it does not say.
    pub name: Option<String>,
    /// `5`, `loso` …; each setting is cross-validated over them. Without, each has one split.
    folds: Option<Value>,
    /// Each setting and fold is trained with each of these.
    seeds: Option<Value>,
    /// The values of the setting that all others are compared with.
    baseline: Option<Table>,
    /// What all settings have in common, over the recipe.
    #[serde(default)]
    config: Table,
    /// Keys of the configuration, each with a list or a range of values.
    #[serde(default)]
    sweep: Table,
}

/// One combination of the values of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Combination {
    /// The name of its folder.
    pub name: String,
    /// Its values by their keys.
    pub values: BTreeMap<String, Value>,
}

impl GridFile {
    /// Reads the description of a sweep.
    pub fn read(path: &Path) -> Result<GridFile> {
        let text = bounded::read_text(path, bounded::SETTINGS)
            .with_context(|| format!("cannot read {}", path.display()))?;
        GridFile::parse(&text)
            .map_err(|error| anyhow!("{} describes no grid:\n{error:#}", path.display()))
    }

    /// The same from its text.
    pub fn parse(text: &str) -> Result<GridFile> {
        Ok(toml::from_str(text)?)
    }

    /// Which folds.
    pub fn folds(&self) -> Result<Option<Folds>> {
        let folds = self.folds.as_ref().map(text);
        Ok(folds.map(|folds| folds.parse()).transpose()?)
    }

    /// Each of them once, in ascending order.
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

    /// Every combination of the values of the sweep, each once. The same whatever the order in which
    /// keys and values were written down; a value that is added changes no other's name.
    pub fn combinations(&self) -> Result<Vec<Combination>> {
        let mut keys = BTreeMap::new();
        flatten("", &self.sweep, &mut keys);
        ensure!(
            !keys.keys().any(|key| key == "training.seed"),
            "training.seed is swept by `seeds = [1, 2, 3]` at the top of the file"
        );
        let mut all = vec![BTreeMap::new()];
        for (key, value) in keys {
            let values = values(&key, &value)?;
            ensure!(
                all.len().saturating_mul(values.len()) <= MOST,
                "the sweep has more than {MOST} settings"
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

    /// The settings of one combination: the recipe, what `[config]` says over it, its values over both.
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

    /// Which of the combinations all others are compared with: the one that `[baseline]` names, or
    /// the one that is `[config]` as it stands.
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
            [] => bail!("no setting of the sweep has the values of [baseline]"),
            [first, second, ..] => bail!(
                "[baseline] must name one setting, and fits {} of them, such as {} and {}",
                fitting.len(),
                all[first].name,
                all[second].name
            ),
        }
    }
}

/// `model.hidden` = 32 and so on: a key may be written as `"model.hidden"`, `model.hidden`, or below
/// `[sweep.model]`.
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

/// Puts a value where a dotted key says.
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
        other => bail!("{first} is {other} in [config], so there is no {key}"),
    }
}

/// `hidden-32+learning_rate-0.001`: the last words of the keys, or more of them where two end alike.
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
    match name.len() <= LONGEST_NAME {
        true => name,
        false => {
            let digest = blake3::hash(name.as_bytes()).to_hex();
            let kept: String = name.chars().take(LONGEST_NAME - 20).collect();
            format!("{kept}~{}", &digest[..16])
        }
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
        let all = GridFile::parse(text).unwrap().combinations().unwrap();
        all.into_iter().map(|one| one.name).collect()
    }

    proptest! {
        #[test]
        fn every_combination_once_whatever_the_order(
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

            // One value more changes no name.
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
    fn a_key_leads_to_no_other_folder() {
        for key in ["/tmp/x", "..", "a/b", "x\\y"] {
            let text = format!("[sweep]\ndata.counts_as.'{key}' = ['anger']");
            let name = names(&text).remove(0);
            assert!(crate::io::is_file_name(&name), "{name}");
        }
    }

    #[test]
    fn the_baseline_is_named_or_the_configuration_as_it_stands() {
        let baseline = |text: &str| {
            let file = GridFile::parse(text).unwrap();
            let all = file.combinations().unwrap();
            let configs: Vec<RunConfig> = all
                .iter()
                .map(|one| file.config_of(one, Path::new("x")).unwrap())
                .collect();
            file.baseline(&all, &configs)
        };
        let sweep = "[config.model]\nhidden = 32\n[sweep]\nmodel.hidden = [16, 32]\ntraining.epochs = [5, 100]\n";
        assert_eq!(baseline(sweep).unwrap(), Some(3));
        let named = |values: &str| baseline(&format!("{sweep}[baseline]\n{values}"));
        assert_eq!(
            named("model.hidden = 16\ntraining.epochs = 5").unwrap(),
            Some(0)
        );
        let error = named("model.hidden = 16").unwrap_err().to_string();
        assert!(error.contains("fits 2 of them"), "{error}");
        assert!(named("model.hidden = 17").is_err());
        assert_eq!(baseline("[sweep]\nmodel.hidden = [16]").unwrap(), None);
    }

    #[test]
    fn wrong_keys_are_named() {
        let error = |text: &str| {
            let file = GridFile::parse(text)?;
            let all = file.combinations()?;
            file.config_of(&all[0], Path::new("x.toml")).map(|_| ())
        };
        for (text, told) in [
            ("[sweep]\nmodel.hiden = [1]", "hiden"),
            ("[sweep]\ntraining.seed = [1]", "seeds = [1, 2, 3]"),
            ("[swoop]\nmodel.hidden = [1]", "swoop"),
            (
                "[config]\nmodel = 3\n[sweep]\nmodel.hidden = [1]",
                "no model.hidden",
            ),
            ("[sweep]\nmodel.hidden = [0]", "between 1 and 4096"),
        ] {
            let told_us = format!("{:#}", error(text).unwrap_err());
            assert!(told_us.contains(told), "{text}: {told_us}");
        }
    }
}
