//! The feature cache, as a user sees it.

mod env;

use std::fs;

use env::TestEnv;

#[test]
fn cached_features_do_not_change_a_run() {
    // Whether the bytes of a GPU repeat has not been measured.
    let env = TestEnv::with_corpus().on_cpu();
    fs::write(env.path("corpus/broken.wav"), "RIFF").unwrap();
    let class = fs::read_dir(env.path("corpus")).unwrap().flatten();
    let class = class.map(|entry| entry.path()).find(|path| path.is_dir());
    fs::rename(
        env.path("corpus/broken.wav"),
        class.unwrap().join("v01/broken.wav"),
    )
    .unwrap();
    let train = "train --data corpus --config small.toml --epochs 2 --device cpu --run";
    env.run(&format!("{train} plain --no-cache")).success();
    assert!(!env.path("cache").exists());
    for run in ["first", "second"] {
        let output = env.run(&format!("{train} {run}")).success();
        assert!(
            output.error.contains("v01/broken.wav: "),
            "{}",
            output.error
        );
        for file in ["best.ot", "predictions.csv", "skipped.csv"] {
            let of = |run: &str| fs::read(env.path(&format!("runs/{run}/{file}"))).unwrap();
            assert!(of(run) == of("plain"), "{file} of {run}");
        }
    }
    let list = env.run("cache").success().out;
    let corpus = fs::canonicalize(env.path("corpus")).unwrap();
    assert!(
        list.contains("30 clips") && list.contains(" MB in "),
        "{list}"
    );
    assert!(list.contains(&*corpus.to_string_lossy()), "{list}");

    env.run("evaluate second --device cpu").success();
    let cleared = env.run("cache clear").success().out;
    assert!(cleared.starts_with("cleared "), "{cleared}");
    assert!(!env.run("cache").success().out.contains("clips"));
    env.run("evaluate second --device cpu --cache elsewhere")
        .success();
    let elsewhere = env.run("cache --cache elsewhere").success().out;
    assert!(elsewhere.contains("clips"), "{elsewhere}");
}

/// If the cache cannot be written, a training computes its features itself.
#[test]
fn a_training_works_without_a_writable_cache() {
    let env = TestEnv::with_corpus();
    fs::write(env.path("file"), "not a folder").unwrap();
    let train = "train --data corpus --config small.toml --epochs 1 --device cpu --cache file";
    let error = env.run(train).success().error;
    assert!(
        error.contains("the features are not cached: cannot make "),
        "{error}"
    );
}
