//! The feature cache, as a user sees it.

mod desk;

use std::fs;

use desk::Desk;

#[test]
fn cached_features_do_not_change_a_run() {
    let desk = Desk::with_corpus();
    fs::write(desk.path("corpus/broken.wav"), "RIFF").unwrap();
    let class = fs::read_dir(desk.path("corpus")).unwrap().flatten();
    let class = class.map(|entry| entry.path()).find(|path| path.is_dir());
    fs::rename(
        desk.path("corpus/broken.wav"),
        class.unwrap().join("v01/broken.wav"),
    )
    .unwrap();
    let train = "train --data corpus --config small.toml --epochs 2 --device cpu --run";
    desk.types(&format!("{train} plain --no-cache")).fine();
    assert!(!desk.path("cache").exists());
    for run in ["first", "second"] {
        let seen = desk.types(&format!("{train} {run}")).fine();
        assert!(seen.error.contains("v01/broken.wav: "), "{}", seen.error);
        for file in ["best.ot", "predictions.csv", "skipped.csv"] {
            let of = |run: &str| fs::read(desk.path(&format!("runs/{run}/{file}"))).unwrap();
            assert!(of(run) == of("plain"), "{file} of {run}");
        }
    }
    let list = desk.types("cache").fine().out;
    let corpus = fs::canonicalize(desk.path("corpus")).unwrap();
    assert!(
        list.contains("30 clips") && list.contains(" MB in "),
        "{list}"
    );
    assert!(list.contains(&*corpus.to_string_lossy()), "{list}");

    desk.types("evaluate second --device cpu").fine();
    let cleared = desk.types("cache clear").fine().out;
    assert!(cleared.starts_with("cleared "), "{cleared}");
    assert!(!desk.types("cache").fine().out.contains("clips"));
    desk.types("evaluate second --device cpu --cache elsewhere")
        .fine();
    let elsewhere = desk.types("cache --cache elsewhere").fine().out;
    assert!(elsewhere.contains("clips"), "{elsewhere}");
}

/// If the cache cannot be written, a training computes its features itself.
#[test]
fn a_training_works_without_a_writable_cache() {
    let desk = Desk::with_corpus();
    fs::write(desk.path("file"), "not a folder").unwrap();
    let train = "train --data corpus --config small.toml --epochs 1 --device cpu --cache file";
    let error = desk.types(train).fine().error;
    assert!(
        error.contains("the features are not cached: cannot make "),
        "{error}"
    );
}
