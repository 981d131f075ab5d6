//! Values of a key of a sweep: a list, or a range.

use std::cmp::Ordering;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use toml::Value;

/// Largest number of values; more are a typing error.
const MAX_VALUES: usize = 10_000;

/// `{ from = 1, to = 9, step = 2 }`, or `{ from = 1e-4, to = 1e-2, count = 5, log = true }`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    from: Value,
    to: Value,
    step: Option<Value>,
    count: Option<usize>,
    #[serde(default)]
    log: bool,
}

/// True if a value is a range, and not a table of further keys.
pub(super) fn is_range(value: &Value) -> bool {
    value
        .as_table()
        .is_some_and(|table| table.contains_key("from") && table.contains_key("to"))
}

/// The values of a list or a range, each once, numbers in ascending order. The sweep does not
/// depend on their order in the file.
pub(super) fn values(key: &str, value: &Value) -> Result<Vec<Value>> {
    let mut values = match value {
        Value::Array(list) => list.clone(),
        _ if is_range(value) => range(value).with_context(|| format!("the range of {key}"))?,
        other => bail!(
            "{key} is {other}, but a sweep needs a list ({key} = [{other}]) or a range \
             ({key} = {{ from = 1, to = 9, step = 2 }}); a setting that all trials have in common \
             belongs into [config]"
        ),
    };
    ensure!(!values.is_empty(), "{key} has no values");
    values.sort_by(|a, b| match (number(a), number(b)) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => text(a).cmp(&text(b)),
    });
    values.dedup_by_key(|value| text(value));
    Ok(values)
}

fn range(value: &Value) -> Result<Vec<Value>> {
    let range = Range::deserialize(value.clone())?;
    let ends = (number(&range.from), number(&range.to));
    let (Some(from), Some(to)) = ends else {
        bail!("from and to must be numbers");
    };
    ensure!(
        from <= to && from.is_finite() && to.is_finite(),
        "from must not be greater than to"
    );
    let whole = |value: &Value| matches!(value, Value::Integer(_));
    let step = match &range.step {
        Some(step) => number(step).context("step must be a number")?,
        None => 1.0,
    };
    let all_whole = whole(&range.from) && whole(&range.to) && !range.log;
    let (all_whole, values): (bool, Vec<f64>) = match range.count {
        Some(count) => {
            ensure!(range.step.is_none(), "step and count cannot be combined");
            ensure!(
                (2..=MAX_VALUES).contains(&count),
                "count must be between 2 and {MAX_VALUES}"
            );
            ensure!(
                !range.log || from > 0.0,
                "from must be greater than 0 on a logarithmic scale"
            );
            let share = |index: usize| index as f64 / (count - 1) as f64;
            let at = |index: usize| {
                if range.log {
                    from * (to / from).powf(share(index))
                } else {
                    from + (to - from) * share(index)
                }
            };
            (false, (0..count).map(at).collect())
        }
        None => {
            ensure!(!range.log, "a logarithmic range needs a count");
            ensure!(step > 0.0, "step must be greater than 0");
            let steps = ((to - from) / step + 1e-9).floor();
            ensure!(steps < MAX_VALUES as f64, "more than {MAX_VALUES} values");
            let at = |index: usize| from + step * index as f64;
            let whole = all_whole && range.step.as_ref().is_none_or(whole);
            (whole, (0..=steps as usize).map(at).collect())
        }
    };
    let value = |value: f64| {
        if all_whole {
            Value::Integer(value as i64)
        } else {
            Value::Float(rounded(value))
        }
    };
    Ok(values.into_iter().map(value).collect())
}

/// Rounds to six significant digits: 0.3 instead of 0.30000000000000004.
fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(value) => Some(*value as f64),
        Value::Float(value) => Some(*value),
        _ => None,
    }
}

/// Text of a value in tables.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::String(value) => value.clone(),
        Value::Boolean(value) => value.to_string(),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(text).collect();
            values.join("_")
        }
        other => other.to_string(),
    }
}

/// Text of a value in the name of a folder. If characters had to be replaced, a digest is added, so
/// that different values have different names.
pub(super) fn for_name(value: &Value) -> String {
    const MAX_LENGTH: usize = 40;
    let text = text(value);
    let plain = |c: char| c.is_ascii_alphanumeric() || "._".contains(c);
    let name: String = text
        .chars()
        .map(|c| if plain(c) || c == '-' { c } else { '_' })
        .take(MAX_LENGTH)
        .collect();
    if name == text && !name.is_empty() {
        name
    } else {
        let digest = blake3::hash(value.to_string().as_bytes()).to_hex();
        format!("{name}~{}", &digest[..8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Vec<String>> {
        let table: toml::Table = format!("key = {text}").parse().unwrap();
        Ok(values("key", &table["key"])?
            .iter()
            .map(super::text)
            .collect())
    }

    #[test]
    fn lists_and_ranges() {
        assert_eq!(of("[3, 1, 2, 1]").unwrap(), ["1", "2", "3"]);
        assert_eq!(of("[1, 1.0]").unwrap(), ["1"]);
        assert_eq!(of("['b', 'a']").unwrap(), ["a", "b"]);
        assert_eq!(of("{ from = 1, to = 3 }").unwrap(), ["1", "2", "3"]);
        assert_eq!(
            of("{ from = 1, to = 8, step = 3 }").unwrap(),
            ["1", "4", "7"]
        );
        assert_eq!(
            of("{ from = 0.1, to = 0.3, step = 0.1 }").unwrap(),
            ["0.1", "0.2", "0.3"]
        );
        assert_eq!(
            of("{ from = 0, to = 1, count = 3 }").unwrap(),
            ["0", "0.5", "1"]
        );
        assert_eq!(
            of("{ from = 1e-4, to = 1e-2, count = 3, log = true }").unwrap(),
            ["0.0001", "0.001", "0.01"]
        );
    }

    #[test]
    fn invalid_values_are_rejected() {
        for (text, expected) in [
            ("4", "belongs into [config]"),
            ("[]", "no values"),
            ("{ from = 3, to = 1 }", "from must not be greater than to"),
            ("{ from = 'a', to = 'b' }", "must be numbers"),
            (
                "{ from = 0, to = 1, count = 3, log = true }",
                "greater than 0",
            ),
            ("{ from = 0, to = 1, log = true }", "needs a count"),
            ("{ from = 0, to = 1, step = 0 }", "greater than 0"),
            ("{ from = 0, to = 1e9, step = 0.1 }", "more than"),
            ("{ from = 0, to = 1, by = 1 }", "unknown field"),
        ] {
            let error = format!("{:#}", of(text).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn different_values_have_different_folder_names() {
        let name = |text: &str| for_name(&Value::String(text.into()));
        assert_eq!(name("one-cycle"), "one-cycle");
        assert!(name("a/b").starts_with("a_b~"));
        assert_ne!(name("a/b"), name("a b"));
        assert_ne!(name(&"x".repeat(50)), name(&"x".repeat(51)));
    }
}
