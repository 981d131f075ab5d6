//! Names in untrusted files: no name leads out of its folder.

mod env;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use emovox::model::ModelConfig;
use emovox::run::RunFolder;
use env::TestEnv;
use env::bundle::changed_bundle;
use env::process::run_command;
use env::tiny::{tiny_bilstm, tiny_config, tiny_run};

#[test]
fn a_bundle_cannot_write_outside_the_folder() {
    let env = TestEnv::new();
    let config = tiny_config(ModelConfig::Bilstm(tiny_bilstm()), &["anger", "joy"]);
    tiny_run(&env, "mine", &config);
    env.run("export mine").success();
    let bundle = fs::read(env.path("mine.emovox")).unwrap();
    fs::create_dir_all(env.path("inside")).unwrap();
    let put = |name: &str| {
        let renamed = changed_bundle(&bundle, |header, _| header["run"] = name.into());
        fs::write(env.path("inside/x.emovox"), renamed)
    };
    let export = |format: &str| {
        let mut command = env.command(&format!("export x.emovox --format {format}"));
        run_command(command.current_dir(env.path("inside")))
    };
    // Control: another valid name is accepted.
    put("a friend's run").unwrap();
    export("bundle").success();
    assert!(env.path("inside/a friend's run.emovox").is_file());
    fs::remove_file(env.path("inside/a friend's run.emovox")).unwrap();

    let long = "x".repeat(300);
    let absolute = env.path("outside").display().to_string();
    let names = [
        "../outside",
        &absolute,
        "",
        ".",
        "..",
        ".hidden",
        "x.",
        "x ",
        "x\\",
        "a/b",
        "x\n",
        "\u{1b}]0;title\u{7}",
        "x\0",
        &long,
    ];
    let before = fs::read_dir(env.path("")).unwrap().count();
    for name in names {
        put(name).unwrap();
        let result = export("bundle")
            .fails_with(&["x.emovox cannot be used", "cannot be the name of a run"]);
        assert!(!result.error.contains('\u{1b}'), "{name:?}");
        assert_eq!(
            fs::read_dir(env.path("inside")).unwrap().count(),
            1,
            "{name:?}"
        );
        assert_eq!(
            fs::read_dir(env.path("")).unwrap().count(),
            before,
            "{name:?}"
        );
    }

    // A run folder with an invalid name cannot be exported, because nobody could read the bundle.
    fs::rename(env.path("runs/mine"), env.path("runs/mine.")).unwrap();
    env.run("export mine.")
        .fails_with(&["rename the folder", "'mine.' cannot be the name of a run"]);
}

#[test]
fn a_corpus_name_cannot_be_a_path() {
    let env = TestEnv::with_corpus();
    for (number, name) in ["../../outside", "/outside", "", "x."]
        .into_iter()
        .enumerate()
    {
        let config = format!(
            "{}\n[data]\nfolder = ''\n[[data.sources]]\nname = '{name}'\nfolder = 'corpus/anger'\n\
             [[data.sources]]\nname = 'b'\nfolder = 'corpus/happiness'\n",
            env::SMALL
        );
        let file = format!("{number}.toml");
        fs::write(env.path(&file), config).unwrap();
        for command in ["train", "cross-corpus", "cross-validate"] {
            env.run(&format!("{command} --config {file} --device cpu"))
                .fails_with(&["cannot be the name of a corpus"]);
        }
        assert!(!env.path("runs").exists());
    }
}

#[test]
fn a_planted_lock_of_a_run_is_not_followed() {
    let env = TestEnv::new();
    let runs = env.path("runs");
    let (run, lock) = RunFolder::create(&runs, "mine", |_| Ok(())).unwrap();
    drop(lock);
    let victim = env.path("thesis.txt");
    fs::write(&victim, "mine").unwrap();
    let planted = run.path().join(".lock");
    let plants: [&dyn Fn(); 4] = [
        &|| symlink(&victim, &planted).unwrap(),
        &|| symlink(env.path("not-there"), &planted).unwrap(),
        &|| fs::hard_link(&victim, &planted).unwrap(),
        &|| drop(run_command(Command::new("mkfifo").arg(&planted)).success()),
    ];
    for plant in plants {
        fs::remove_file(&planted).unwrap();
        plant();
        let error = run.lock().unwrap_err().to_string();
        assert!(error.contains(".lock is not a"), "{error}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        assert!(!env.path("not-there").exists());
    }
    fs::remove_file(&planted).unwrap();
    run.lock().unwrap();
}
