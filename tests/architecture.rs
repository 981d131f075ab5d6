//! The dependencies between the modules are those of docs/architecture.md: a module uses only the
//! modules below it in the table.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of docs/architecture.md, from top to bottom, with their position. Modules in one row
/// may use each other.
fn documented_order() -> BTreeMap<String, usize> {
    let page = fs::read_to_string("docs/architecture.md").unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `src/"));
    let mut order = BTreeMap::new();
    for (position, row) in rows.enumerate() {
        let cell = row.split('|').nth(1).unwrap();
        for name in cell.split('`').filter(|part| part.starts_with("src/")) {
            let name = name.trim_start_matches("src/").trim_end_matches(".rs");
            order.insert(name.to_string(), position);
        }
    }
    order
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

/// The names that follow `crate::` or `emovox::` in the code of a file, without its tests and
/// comments.
fn used_modules(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let code: Vec<&str> = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code.join("\n");
    let mut used = Vec::new();
    for root in ["crate::", "emovox::"] {
        for after in code.split(root).skip(1) {
            // `use crate::{audio, features};`
            let names = match after.strip_prefix('{') {
                Some(list) => list.split('}').next().unwrap().split(',').collect(),
                None => vec![after],
            };
            for name in names {
                let name = name.trim_start();
                let end = name.find(|c: char| !c.is_alphanumeric() && c != '_');
                used.push(name[..end.unwrap_or(name.len())].to_string());
            }
        }
    }
    used
}

/// Dependencies on a module above, as "file uses module".
fn upward(order: &BTreeMap<String, usize>, sources: &[(PathBuf, String)]) -> Vec<String> {
    let mut upward = Vec::new();
    for (file, source) in sources {
        let module = file.iter().next().unwrap().to_string_lossy();
        let module = module.trim_end_matches(".rs");
        let Some(position) = order.get(module) else {
            upward.push(format!("{module} is missing in docs/architecture.md"));
            continue;
        };
        for used in used_modules(source) {
            if order.get(&used).is_some_and(|other| other < position) {
                upward.push(format!("src/{} uses {used}", file.display()));
            }
        }
    }
    upward
}

#[test]
fn a_module_uses_only_modules_below_it() {
    let order = documented_order();
    assert!(order.len() > 20, "{order:?}");
    let mut files = Vec::new();
    rust_files(Path::new("src"), &mut files);
    let sources: Vec<(PathBuf, String)> = files
        .iter()
        .filter(|file| *file != Path::new("src/lib.rs") && !file.ends_with("tests.rs"))
        .map(|file| {
            let relative = file.strip_prefix("src").unwrap().to_path_buf();
            (relative, fs::read_to_string(file).unwrap())
        })
        .collect();
    assert!(sources.len() > 200, "{}", sources.len());
    let upward = upward(&order, &sources);
    assert!(upward.is_empty(), "{upward:#?}");
}

#[test]
fn an_upward_dependency_is_found() {
    let order = documented_order();
    let file = |name: &str, source: &str| (PathBuf::from(name), source.to_string());
    let sources = [
        file("audio/mod.rs", "use crate::io::write_bytes;\n"),
        file("corpus/mod.rs", "/// See crate::report.\nfn f() {}\n"),
        file(
            "features/mod.rs",
            "use crate::{\n    audio,\n    training::train,\n};\n",
        ),
        file("io/lock.rs", "fn f() { crate::run::read_metrics() }\n"),
        file(
            "dataset/mod.rs",
            "#[cfg(test)]\nmod tests {\n    use crate::model;\n}\n",
        ),
    ];
    assert_eq!(
        upward(&order, &sources),
        [
            "src/features/mod.rs uses training",
            "src/io/lock.rs uses run"
        ]
    );
}
