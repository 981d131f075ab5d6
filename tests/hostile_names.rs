//! Names in untrusted files: no name leads out of its folder.

mod desk;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

use desk::Desk;
use emovox::model::{from_safetensors, safetensors_metadata, to_safetensors};
use emovox::run::RunFolder;
use tch::{Device, Tensor};

/// The hash in a bundle, over its header and its tensors.
fn hash(header: &str, tensors: &BTreeMap<String, Tensor>) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(header.as_bytes());
    for (name, tensor) in tensors {
        part(name.as_bytes());
        part(format!("{:?} {:?}", tensor.kind(), tensor.size()).as_bytes());
        let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
        tensor.copy_data_u8(&mut bytes, tensor.numel());
        part(&bytes);
    }
    hasher.finalize().as_bytes().to_vec()
}

/// The same bundle with another run name and the correct hash.
fn renamed(bundle: &[u8], name: &str) -> Vec<u8> {
    let mut header: serde_json::Value =
        serde_json::from_str(&safetensors_metadata(bundle).unwrap()).unwrap();
    header["run"] = name.into();
    let header = header.to_string();
    let mut tensors = from_safetensors(bundle, Device::Cpu).unwrap();
    drop(tensors.remove("blake3").expect("the hash"));
    let hash = Tensor::from_slice(&hash(&header, &tensors));
    tensors.insert("blake3".into(), hash);
    let tensors: Vec<(String, Tensor)> = tensors.into_iter().collect();
    to_safetensors(&tensors, &header).unwrap()
}

#[test]
fn a_bundle_cannot_write_outside_the_folder() {
    let desk = Desk::with_corpus();
    desk.types(&format!("{} --epochs 1", desk::TRAIN)).fine();
    desk.types("export mine").fine();
    let bundle = fs::read(desk.path("mine.emovox")).unwrap();
    fs::create_dir_all(desk.path("inside")).unwrap();
    let put = |name: &str| fs::write(desk.path("inside/x.emovox"), renamed(&bundle, name));
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
