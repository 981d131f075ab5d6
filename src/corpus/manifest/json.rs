//! Manifests in JSON: one object on each line, an array of objects, or objects by their ids.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::columns::{self, Role, roles};
use super::error::ManifestError;
use super::table::{Cell, MAX_COLUMNS, Row, at, row, too_many};

/// Name of the key for the id of an object, in a file of objects by their ids.
const ID: &str = "id";
/// Maximum depth of nested objects whose keys are columns.
const MAX_DEPTH: usize = 4;

/// The text of one object, with its line.
pub(super) struct Record<'a> {
    text: &'a str,
    line: usize,
    /// The key of the object, in a file of objects by their ids.
    id: Option<String>,
}

/// The objects of a file that is one JSON value. `None` for other files, among them JSON Lines.
pub(super) fn document<'a>(
    path: &Path,
    text: &'a str,
) -> Result<Option<Vec<Record<'a>>>, ManifestError> {
    let start = text.trim_start();
    if start.starts_with('[') {
        let parsed: Result<Vec<&RawValue>, _> = serde_json::from_str(text);
        let items = parsed.map_err(|error| {
            let what = format!(
                "column {}: this is not a JSON array: {}",
                error.column(),
                reason(&error)
            );
            at(path, error.line(), what)
        })?;
        let items = items.into_iter().map(|item| record(text, item, None));
        return Ok(Some(items.collect()));
    }
    let first = text.lines().find(|line| !line.trim().is_empty());
    let is_lines = first.is_some_and(|line| {
        let object: Result<Members, _> = serde_json::from_str(line);
        let is_whole = start.trim_end() == line.trim();
        object.is_ok_and(|object| !is_whole || !(object.are_objects() || object.is_array()))
    });
    if !start.starts_with('{') || is_lines {
        return Ok(None);
    }
    // One object over several lines, or broken JSON Lines: the latter report their own line.
    let Ok(members) = serde_json::from_str::<Members>(text) else {
        return Ok(None);
    };
    // `{"data": [ … ]}` has the array inside.
    if let [(_, only)] = members.0.as_slice()
        && let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(only.get())
    {
        let items = items.into_iter().map(|item| record(text, item, None));
        return Ok(Some(items.collect()));
    }
    if !members.are_objects() {
        return Ok(None);
    }
    let members = members.0.into_iter();
    let records = members.map(|(id, value)| record(text, value, Some(id)));
    Ok(Some(records.collect()))
}

/// The lines of JSON Lines.
pub(super) fn lines(text: &str) -> Vec<Record<'_>> {
    let lines = text.lines().zip(1..);
    let lines = lines.filter(|(line, _)| !line.trim().is_empty());
    lines
        .map(|(text, line)| Record {
            text,
            line,
            id: None,
        })
        .collect()
}

/// A value inside of `text`.
fn record<'a>(text: &'a str, value: &'a RawValue, id: Option<String>) -> Record<'a> {
    let offset = value.get().as_ptr() as usize - text.as_ptr() as usize;
    let line = 1 + text[..offset].bytes().filter(|&byte| byte == b'\n').count();
    Record {
        text: value.get(),
        line,
        id,
    }
}

/// The members of an object, in their order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl Members<'_> {
    /// True for `{"data": [ … ]}`.
    fn is_array(&self) -> bool {
        matches!(self.0.as_slice(), [(_, only)] if only.get().starts_with('['))
    }

    fn are_objects(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|(_, value)| value.get().starts_with('{'))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(InOrder).map(Members)
    }
}

/// The rows of some objects, and notes about their keys. Keys of nested objects are columns such as
/// `audio.path`.
pub(super) fn rows(
    path: &Path,
    records: &[Record],
    renamed: &BTreeMap<Role, String>,
) -> Result<(Vec<Row>, Vec<String>), ManifestError> {
    let mut names: Vec<String> = Vec::new();
    let mut known: HashSet<String> = HashSet::new();
    for record in records {
        for (key, _) in object(path, record)? {
            if known.insert(key.clone()) {
                names.push(key);
            }
        }
        if names.len() > MAX_COLUMNS {
            return Err(at(path, record.line, too_many("keys", names.len())));
        }
    }
    let first = records.first().map_or(1, |record| record.line);
    let wrong = |what| at(path, first, what);
    let has_ids = records.iter().any(|record| record.id.is_some());
    let mut renamed = renamed.clone();
    if has_ids && roles(&names, &renamed).is_err() {
        // The ids may be the names of the recordings.
        renamed.entry(Role::File).or_insert_with(|| ID.into());
    }
    let found = roles(&names, &renamed).map_err(wrong)?;
    let mut rows = Vec::new();
    // The objects are parsed again, because all of them together need many times the memory of the
    // text.
    for record in records {
        let object = object(path, record)?;
        let mut cells = BTreeMap::new();
        for (&role, &place) in &found {
            let key = &names[place];
            let place = format!("{}, line {}, \"{key}\"", path.display(), record.line);
            let text = match object.get(key) {
                Some(Value::String(text)) => text.trim().to_string(),
                Some(Value::Number(number)) => number.to_string(),
                Some(Value::Null) => String::new(),
                None if role.is_time() => String::new(),
                None => {
                    let what = "is missing here, but other lines have it".into();
                    return Err(ManifestError::Wrong { place, what });
                }
                Some(other) => {
                    let what = format!("{other} is not text");
                    return Err(ManifestError::Wrong { place, what });
                }
            };
            cells.insert(role, Cell::new(text, place));
        }
        rows.push(row(path, record.line, |role| cells.remove(&role))?);
    }
    Ok((rows, columns::unused(&names, &found)))
}

/// Parses an object. Nested objects become keys with a dot.
fn object(path: &Path, record: &Record) -> Result<Map<String, Value>, ManifestError> {
    let nested: Map<String, Value> = serde_json::from_str(record.text).map_err(|error| {
        let what = format!(
            "column {}: this is not a JSON object ({}); a manifest in JSON has one object on each line, \
             or is an array of objects",
            error.column(),
            reason(&error)
        );
        at(path, record.line, what)
    })?;
    let mut flat = Map::new();
    if let Some(id) = &record.id {
        flat.insert(ID.into(), Value::String(id.clone()));
    }
    flatten("", nested, MAX_DEPTH, &mut flat);
    Ok(flat)
}

fn flatten(before: &str, object: Map<String, Value>, depth: usize, flat: &mut Map<String, Value>) {
    for (key, value) in object {
        let key = format!("{before}{key}");
        match value {
            Value::Object(inner) if depth > 0 => {
                flatten(&format!("{key}."), inner, depth - 1, flat);
            }
            value => {
                flat.insert(key, value);
            }
        }
    }
}

/// The message of serde without its position, which counts from the start of the object.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.replace(&place, "")
}
