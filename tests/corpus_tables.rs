//! `emovox corpus fetch --source`: an untrusted table of corpora does no harm.

mod env;

use std::fs;
use std::net::TcpListener;

use env::TestEnv;
use env::server::{archive_at, corpus_table};

fn table(name: &str, address: &str) -> String {
    let archive = archive_at(&format!("http://{address}/corpus.zip"));
    corpus_table(&archive).replace("'emodb'", &format!("'{name}'"))
}

#[test]
fn a_corpus_name_with_a_path_removes_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let env = TestEnv::new();
    let precious = env.path("precious/unpacked");
    fs::create_dir_all(&precious).unwrap();
    fs::write(precious.join("thesis.txt"), "years of work").unwrap();
    fs::create_dir_all(env.path("data/.fetching-x")).unwrap();
    for name in ["x/../../precious", "../precious", "..", "/tmp/x"] {
        let table = table(name, &address);
        fs::write(env.path("table.toml"), table).unwrap();
        env.run(&format!("corpus fetch {name} --yes --source table.toml"))
            .fails_with(&[
                "table.toml is not a table of corpora",
                "is the name of its folder",
            ]);
    }
    assert!(precious.join("thesis.txt").exists());
    assert!(listener.accept().is_err(), "no request was sent");
}

/// Another user with access to the data folder could redirect a fetch to any folder.
#[cfg(unix)]
#[test]
fn a_link_in_place_of_the_download_folder_is_not_followed() {
    let env = TestEnv::new();
    let precious = env.path("precious/unpacked");
    fs::create_dir_all(&precious).unwrap();
    fs::create_dir_all(env.path("data")).unwrap();
    std::os::unix::fs::symlink(env.path("precious"), env.path("data/.fetching-x")).unwrap();
    // No server listens at this port.
    fs::write(env.path("table.toml"), table("x", "127.0.0.1:1")).unwrap();
    env.run("corpus fetch x --yes --source table.toml")
        .fails_with(&["data/.fetching-x is a symbolic link"]);
    assert!(precious.is_dir());
    assert_eq!(fs::read_dir(env.path("precious")).unwrap().count(), 1);
}

#[test]
fn a_range_of_four_billion_speakers_is_rejected() {
    let env = TestEnv::new();
    let table = table("x", "home.example").replace("['03', '08']", "['0-4000000000']");
    fs::write(env.path("table.toml"), table).unwrap();
    for line in [
        "corpus list --source table.toml",
        "corpus fetch x --yes --source table.toml",
        "corpus check . --corpus x --source table.toml",
    ] {
        env.run(line).fails_with(&[
            "table.toml",
            "4000000001 speakers, more than the maximum of 100000",
        ]);
    }
}
