//! `emovox corpus fetch` against servers that break off, stall, or send wrong data.

mod env;

use std::fs;
use std::io::{Cursor, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use emovox::corpus::demo;
use emovox::fetch::{CorpusSource, RetryPolicy, fetch, read_sources};
use env::TestEnv;
use env::server::{Request, Server, archive_at, corpus_table, reply, reply_whole};
use md5::{Digest, Md5};
use sha2::Sha256;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Replies with the requested range, but breaks the connection after `sent` bytes of it.
fn reply_part(stream: &mut TcpStream, request: &Request, body: &[u8], sent: usize) {
    let from = request.from.unwrap_or(0);
    let rest = &body[from..];
    let length = format!("Content-Length: {}\r\nETag: \"one\"\r\n", rest.len());
    let sent = &rest[..sent.min(rest.len())];
    match request.from {
        None => reply(stream, "200 OK", &length, sent),
        Some(from) => {
            let range = format!(
                "Content-Range: bytes {from}-{}/{}\r\n",
                body.len() - 1,
                body.len()
            );
            reply(stream, "206 Partial Content", &(length + &range), sent);
        }
    }
}

/// Names of four recordings, in the scheme of EmoDB.
const NAMES: [&str; 4] = ["03a01Wa", "03a02Na", "08a01Wa", "08a02Na"];

fn recording(number: usize) -> Vec<u8> {
    let env = TestEnv::new();
    env.wav("x.wav", 16_000, 1, &demo::synthesise(1 + number, 1, 0, 1));
    fs::read(env.path("x.wav")).unwrap()
}

fn archive(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn corpus() -> Vec<u8> {
    let mut files = vec![("erkennung.txt", b"heard".to_vec())];
    let names = NAMES.map(|name| format!("wav/{name}.wav"));
    for (number, name) in names.iter().enumerate() {
        files.push((name, recording(number)));
    }
    archive(&files)
}

fn md5(bytes: &[u8]) -> String {
    Md5::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A table of corpora with an archive on the server.
fn archived(server: &Server, more: &str) -> String {
    let url = format!("{}/corpus.zip", server.address);
    corpus_table(&(archive_at(&url) + more))
}

fn home(env: &TestEnv, table: &str) -> CorpusSource {
    fs::write(env.path("sources.toml"), table).unwrap();
    read_sources(&env.path("sources.toml")).unwrap().remove(0)
}

fn impatient() -> RetryPolicy {
    RetryPolicy {
        attempts: 4,
        wait: Duration::from_millis(1),
        stall: Duration::from_millis(400),
        ..RetryPolicy::default()
    }
}

/// Fetches into `data/emodb`, and checks that a failed fetch leaves no folder there.
fn try_fetch(env: &TestEnv, table: &str) -> Result<usize, String> {
    let home = home(env, table);
    let into = env.path("data/emodb");
    let fetched = fetch(&home, &into, &impatient(), &|_| ());
    assert_eq!(fetched.is_ok(), into.exists());
    fetched.map_err(|error| format!("{error:#}"))
}

#[track_caller]
fn assert_whole(env: &TestEnv) {
    for (number, name) in NAMES.iter().enumerate() {
        let file = env.path(&format!("data/emodb/wav/{name}.wav"));
        assert_eq!(fs::read(file).unwrap(), recording(number));
    }
    // The temporary folder is removed.
    assert_eq!(fs::read_dir(env.path("data")).unwrap().count(), 1);
}

#[test]
fn a_corpus_is_fetched_and_checked() {
    let bytes = corpus();
    let (length, hash) = (bytes.len(), md5(&bytes));
    let server = Server::new(move |_, request, stream| match request.path.as_str() {
        "/corpus.zip" => reply(
            stream,
            "302 Found",
            "Location: /there\r\nContent-Length: 0\r\n",
            b"",
        ),
        "/there" => reply_whole(stream, &bytes),
        _ => reply(stream, "404 Not Found", "Content-Length: 0\r\n", b""),
    });
    let env = TestEnv::new();
    let text = archived(&server, &format!("bytes = {length}\nmd5 = '{hash}'"));
    fs::write(env.path("sources.toml"), text).unwrap();

    env.run("corpus fetch emodb --source sources.toml")
        .fails_with(&["--yes"]);
    assert!(server.requests().is_empty() && !env.path("data").exists());
    let output = env
        .run("corpus fetch emodb --yes --source sources.toml")
        .success();
    assert!(
        output.out.contains("CC0") && output.out.contains("4 recordings"),
        "{}",
        output.out
    );
    assert_whole(&env);
    env.run("corpus fetch emodb --yes --source sources.toml")
        .fails_with(&["exists already"]);
    env.run("corpus fetch iemocap")
        .fails_with(&["ravdess", "crema-d"]);

    let checked = env
        .run("corpus check data/emodb --source sources.toml")
        .success()
        .out;
    assert!(checked.contains("recordings  4 of 4"), "{checked}");
    let cut = env.path("data/emodb/wav/08a01Wa.wav");
    fs::write(&cut, &fs::read(&cut).unwrap()[..9000]).unwrap();
    fs::remove_file(env.path("data/emodb/wav/08a02Na.wav")).unwrap();
    let checked = env.run("corpus check data/emodb --source sources.toml");
    assert_eq!(checked.code, 1);
    assert!(
        checked.error.contains("08a01Wa.wav: its last"),
        "{}",
        checked.error
    );
    for line in [
        "recordings  2 of 4",
        "speakers    1 of 2",
        "missing     speaker 08: 2 of 2 recordings",
        "missing     class anger: 1 of 2 recordings",
    ] {
        assert!(checked.out.contains(line), "{line}: {}", checked.out);
    }
    let listed = env.run("corpus list").success().out;
    assert!(
        listed.contains("crema-d") && listed.contains("CC BY-NC-SA 4.0"),
        "{listed}"
    );
}

#[test]
fn an_interrupted_or_stalled_download_continues() {
    let bytes = corpus();
    let length = bytes.len();
    let sent = length / 4;
    let server = Server::new(move |number, request, stream| match number {
        // Stalls without closing the connection.
        1 => {
            reply_part(stream, request, &bytes, sent);
            thread::sleep(Duration::from_secs(20));
        }
        2 => reply(
            stream,
            "503 Service Unavailable",
            "Content-Length: 0\r\n",
            b"",
        ),
        _ => reply_part(stream, request, &bytes, sent),
    });
    let env = TestEnv::new();
    assert_eq!(try_fetch(&env, &archived(&server, "")), Ok(4));
    assert_whole(&env);
    let requests = server.requests();
    // Each byte was sent once.
    let mut from: Vec<usize> = requests
        .iter()
        .map(|request| request.from.unwrap_or(0))
        .collect();
    from.dedup();
    assert!(
        from.iter()
            .enumerate()
            .all(|(number, &from)| from == number * sent),
        "{from:?}"
    );
    assert!(
        requests[1..]
            .iter()
            .all(|request| request.if_range.as_deref() == Some("\"one\""))
    );
}

#[test]
fn a_stopped_fetch_continues_in_the_next_process() {
    let bytes = corpus();
    let half = bytes.len() / 2;
    let server = Server::new(move |number, request, stream| match number {
        0 => reply_part(stream, request, &bytes, half),
        1..=4 => reply(
            stream,
            "503 Service Unavailable",
            "Content-Length: 0\r\n",
            b"",
        ),
        _ => reply_part(stream, request, &bytes, usize::MAX),
    });
    let env = TestEnv::new();
    let table = archived(&server, "");
    let error = try_fetch(&env, &table).unwrap_err();
    assert!(
        error.contains("503") && error.contains(&format!("{half} bytes are kept")),
        "{error}"
    );
    assert_eq!(try_fetch(&env, &table), Ok(4));
    assert_whole(&env);
    assert_eq!(server.requests().last().unwrap().from, Some(half));
}

#[test]
fn a_server_without_ranges_or_with_a_wrong_range_sends_the_whole_file() {
    let bytes = corpus();
    let half = bytes.len() / 2;
    // The server always sends the whole file; the first time it breaks off.
    let server = Server::new(move |number, _, stream| {
        let length = format!("Content-Length: {}\r\n", bytes.len());
        let sent = if number == 0 { half } else { bytes.len() };
        reply(stream, "200 OK", &length, &bytes[..sent]);
    });
    let env = TestEnv::new();
    assert_eq!(try_fetch(&env, &archived(&server, "")), Ok(4));
    assert_whole(&env);

    // A range that was not requested would be appended at the wrong position.
    let bytes = corpus();
    let server = Server::new(move |number, request, stream| {
        let wrong = Request {
            from: request.from.map(|from| from + 1),
            ..request.clone()
        };
        match number {
            0 => reply_part(stream, request, &bytes, half),
            1 => reply_part(stream, &wrong, &bytes, usize::MAX),
            _ => reply_part(stream, request, &bytes, usize::MAX),
        }
    });
    let env = TestEnv::new();
    assert_eq!(try_fetch(&env, &archived(&server, "")), Ok(4));
    assert_whole(&env);
}

#[test]
fn wrong_bytes_never_become_a_corpus() {
    let rejected = |more: &str, respond: fn(&mut TcpStream)| {
        let server = Server::new(move |_, _, stream| respond(stream));
        let env = TestEnv::new();
        let error = try_fetch(&env, &archived(&server, more)).unwrap_err();
        (error, server.requests().len(), env)
    };
    let (error, ..) = rejected("md5 = '00000000000000000000000000000000'", |stream| {
        reply_whole(stream, b"something else")
    });
    assert!(
        error.contains("its MD5 is") && error.contains("removed"),
        "{error}"
    );
    let (error, ..) = rejected("bytes = 100", |stream| {
        reply_whole(stream, b"something else")
    });
    assert!(
        error.contains("14 bytes") && error.contains("states 100"),
        "{error}"
    );
    let (error, ..) = rejected("", |stream| {
        reply_whole(stream, b"<!doctype html>Please log in")
    });
    assert!(
        error.contains("not a zip archive") && error.contains("<!doctype"),
        "{error}"
    );
    // Every reply is shorter than announced.
    let (error, requests, _) = rejected("", |stream| {
        reply(stream, "200 OK", "Content-Length: 5000\r\n", b"short")
    });
    assert!(
        error.contains("interrupted") && requests == 4,
        "{error} {requests}"
    );
    // A reply without a length that is too long.
    let (error, ..) = rejected("", |stream| {
        reply(stream, "200 OK", "", &vec![7; 3_000_000])
    });
    assert!(error.contains("more bytes than expected"), "{error}");
    let (error, requests, _) = rejected("", |stream| {
        reply(stream, "404 Not Found", "Content-Length: 0\r\n", b"")
    });
    assert!(error.contains("404") && requests == 1, "{error}");
    let (error, ..) = rejected("", |stream| {
        reply(
            stream,
            "302 Found",
            "Location: /corpus.zip\r\nContent-Length: 0\r\n",
            b"",
        )
    });
    assert!(error.contains("redirects"), "{error}");
    let (error, ..) = rejected("", |stream| {
        reply_whole(stream, &archive(&[("a.wav", recording(0))]))
    });
    assert!(
        error.contains("1 recordings") && error.contains("has 4"),
        "{error}"
    );
}

#[test]
fn hostile_archives_are_rejected() {
    let rejected = |bytes: Vec<u8>| {
        let server = Server::new(move |_, _, stream| reply_whole(stream, &bytes));
        let env = TestEnv::new();
        let error = try_fetch(&env, &archived(&server, "")).unwrap_err();
        // Nothing was unpacked.
        assert_eq!(
            fs::read_dir(env.path("data")).unwrap().count(),
            0,
            "{error}"
        );
        error
    };
    let error = rejected(archive(&[("wav/../../../evil.wav", recording(0))]));
    assert!(error.contains("leads out of its folder"), "{error}");
    let error = rejected(archive(&[("zeros.wav", vec![0; 3_000_000])]));
    assert!(error.contains("more than the 2 MB"), "{error}");
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_symlink("wav", "/etc", SimpleFileOptions::default())
        .unwrap();
    let error = rejected(zip.finish().unwrap().into_inner());
    assert!(error.contains("is a link"), "{error}");
    let mut damaged = corpus();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    let error = rejected(damaged);
    assert!(error.contains("cannot be unpacked"), "{error}");
}

#[test]
fn recordings_in_single_files_are_checked_against_their_hashes() {
    let broken = Arc::new(Mutex::new(true));
    let is_broken = broken.clone();
    let server = Server::new(move |_, request, stream| {
        if request.path == "/table.csv" {
            let table: String = NAMES.iter().map(|name| format!("1,{name},x\n")).collect();
            return reply_whole(
                stream,
                format!("\"\",\"FileName\",\"VoiceVote\"\n{table}").as_bytes(),
            );
        }
        let (folder, file) = request.path[1..].split_once('/').unwrap();
        let name = file.trim_end_matches(".wav");
        let number = NAMES.iter().position(|known| *known == name).unwrap();
        let bytes = recording(number);
        match folder {
            "notes" => {
                let hash: String = Sha256::digest(&bytes)
                    .iter()
                    .map(|b| format!("{b:02x}"))
                    .collect();
                let note = format!(
                    "version https://git-lfs.github.com/spec/v1\noid sha256:{hash}\nsize {}\n",
                    bytes.len()
                );
                reply_whole(stream, note.as_bytes());
            }
            _ if number == 2 && *is_broken.lock().unwrap() => reply_whole(stream, &bytes[1..]),
            _ => reply_whole(stream, &bytes),
        }
    });
    let at = &server.address;
    let table = corpus_table(&format!(
        "[corpus.listed]\ntable = '{at}/table.csv'\ncolumn = 'FileName'\nending = '.wav'\n\
         files = '{at}/files/'\nnotes = '{at}/notes/'\ninto = 'wav'\ncompared = ''\n"
    ));
    let env = TestEnv::new();
    let error = try_fetch(&env, &table).unwrap_err();
    assert!(
        error.contains("08a01Wa.wav") && error.contains("SHA-256"),
        "{error}"
    );
    let before = server.requests().len();
    *broken.lock().unwrap() = false;
    assert_eq!(try_fetch(&env, &table), Ok(4));
    assert_whole(&env);
    let again = server.requests().split_off(before);
    let kept = |name: &str| !again.iter().any(|request| request.path.contains(name));
    assert!(kept(NAMES[0]) && !kept(NAMES[2]), "{again:?}");
}
