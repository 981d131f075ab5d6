//! Names in untrusted files: no name leads out of its folder.

mod desk;

use std::fs;
use std::os::unix::fs::symlink;

use desk::Desk;
use desk::bundle::changed_bundle;
use desk::tiny::{tiny_bilstm, tiny_config, tiny_run};
use emovox::model::ModelConfig;
use emovox::run::RunFolder;

#[test]
fn a_bundle_cannot_write_outside_the_folder() {
    let desk = Desk::new();
    let config = tiny_config(ModelConfig::Bilstm(tiny_bilstm()), &["anger", "joy"]);
    tiny_run(&desk, "mine", &config);
    desk.types("export mine").fine();
    let bundle = fs::read(desk.path("mine.emovox")).unwrap();
    fs::create_dir_all(desk.path("inside")).unwrap();
    let put = |name: &str| {
        let renamed = changed_bundle(&bundle, |header, _| header["run"] = name.into());
        fs::write(desk.path("inside/x.emovox"), renamed)
    };
    let export = |format: &str| {
        let mut command = desk.command(&format!("export x.emovox --format {format}"));
        let output = command.current_dir(desk.path("inside")).output().unwrap();
        desk::Seen::of(format, output)
    };
    // Control: another valid name is accepted.
    put("a friend's run").unwrap();
    export("bundle").fine();
    assert!(desk.path("inside/a friend's run.emovox").is_file());
    fs::remove_file(desk.path("inside/a friend's run.emovox")).unwrap();

    let long = "x".repeat(300);
    let absolute = desk.path("outside").display().to_string();
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
    let before = fs::read_dir(desk.path("")).unwrap().count();
    for name in names {
        put(name).unwrap();
        let seen = export("bundle")
            .fails_with(&["x.emovox cannot be used", "cannot be the name of a run"]);
        assert!(!seen.error.contains('\u{1b}'), "{name:?}");
        assert_eq!(
            fs::read_dir(desk.path("inside")).unwrap().count(),
            1,
            "{name:?}"
        );
        assert_eq!(
            fs::read_dir(desk.path("")).unwrap().count(),
            before,
            "{name:?}"
        );
    }

    // A run folder with an invalid name cannot be exported, because nobody could read the bundle.
    fs::rename(desk.path("runs/mine"), desk.path("runs/mine.")).unwrap();
    desk.types("export mine.")
        .fails_with(&["rename the folder", "'mine.' cannot be the name of a run"]);
}

#[test]
fn a_corpus_name_cannot_be_a_path() {
    let desk = Desk::with_corpus();
    for (number, name) in ["../../outside", "/outside", "", "x."]
        .into_iter()
        .enumerate()
    {
        let config = format!(
            "{}\n[data]\nfolder = ''\n[[data.sources]]\nname = '{name}'\nfolder = 'corpus/anger'\n\
             [[data.sources]]\nname = 'b'\nfolder = 'corpus/happiness'\n",
            desk::SMALL
        );
        let file = format!("{number}.toml");
        fs::write(desk.path(&file), config).unwrap();
        for command in ["train", "cross-corpus", "cross-validate"] {
            desk.types(&format!("{command} --config {file} --device cpu"))
                .fails_with(&["cannot be the name of a corpus"]);
        }
        assert!(!desk.path("runs").exists());
    }
}

#[test]
fn a_planted_lock_of_a_run_is_not_followed() {
    let desk = Desk::new();
    let runs = desk.path("runs");
    let (run, lock) = RunFolder::create(&runs, "mine", |_| Ok(())).unwrap();
    drop(lock);
    let victim = desk.path("thesis.txt");
    fs::write(&victim, "mine").unwrap();
    let planted = run.path().join(".lock");
    let plants: [&dyn Fn(); 4] = [
        &|| symlink(&victim, &planted).unwrap(),
        &|| symlink(desk.path("not-there"), &planted).unwrap(),
        &|| fs::hard_link(&victim, &planted).unwrap(),
        &|| {
            let made = std::process::Command::new("mkfifo").arg(&planted).status();
            assert!(made.unwrap().success());
        },
    ];
    for plant in plants {
        fs::remove_file(&planted).unwrap();
        plant();
        let error = run.lock().unwrap_err().to_string();
        assert!(error.contains(".lock is not a"), "{error}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        assert!(!desk.path("not-there").exists());
    }
    fs::remove_file(&planted).unwrap();
    run.lock().unwrap();
}
