//! The output of commands: on a full disk, into a closed pipe, and with names that would control a terminal.

#![cfg(target_os = "linux")]

mod env;

use std::fs::{self, File, OpenOptions};
use std::io::{Read, pipe};
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;

use env::process::{run_command, run_redirected, wait_for_exit};
use env::server::{Server, corpus_table, reply_whole};
use env::{CommandOutput, Files, TRAIN, TestEnv};
use serde_json::Value;

/// Commands that take a few seconds at most, each with the file for its standard input.
const COMMANDS: &[(&str, &str)] = &[
    ("--help", ""),
    ("--version", ""),
    ("train --help", ""),
    ("completions zsh", ""),
    ("man", ""),
    ("man --out pages", ""),
    ("doctor", ""),
    ("doctor --data corpus", ""),
    ("corpus list", ""),
    ("features x.wav --out x.npy", ""),
    ("features corpus/anger --out anger.npz", ""),
    ("cache", ""),
    ("plot mine", ""),
    ("report mine", ""),
    ("export mine --out mine.emovox", ""),
    ("predict mine x.wav", ""),
    ("predict mine corpus/anger --csv", ""),
    ("predict mine corpus/anger --json", ""),
    ("predict mine x.wav --window 0.5", ""),
    ("evaluate mine", ""),
    ("evaluate mine --json", ""),
    ("inspect x.wav", ""),
    ("inspect corpus --out pictures", ""),
    ("grid sweep.toml", ""),
    ("collect sweep.toml", ""),
    ("collect sweep.toml --json", ""),
    ("listen mine", "x.wav"),
    ("listen mine --json", "x.wav"),
    ("train --resume mine", ""),
    ("cache clear", ""),
];

/// A corpus, the run `mine`, a recording and a sweep.
fn with_run() -> TestEnv {
    static RUNS: OnceLock<Files> = OnceLock::new();
    let env = TestEnv::with_runs(&RUNS, TRAIN);
    fs::copy(env.path("corpus/anger/v01/1.wav"), env.path("x.wav")).unwrap();
    let sweep = "[config]\ndata.folder = 'corpus'\n[sweep]\ntraining.epochs = [1, 2]\n";
    fs::write(env.path("sweep.toml"), sweep).unwrap();
    env
}

fn with_output(
    env: &TestEnv,
    (line, input): (&str, &str),
    output: impl Into<Stdio>,
) -> CommandOutput {
    let mut command = env.command(line);
    command.stdout(output);
    match input {
        "" => command.stdin(Stdio::null()),
        _ => command.stdin(File::open(env.path(input)).unwrap()),
    };
    run_redirected(command.stderr(Stdio::piped()))
}

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

#[test]
fn a_full_standard_output_is_an_error() {
    let env = &with_run();
    for &command in COMMANDS {
        let result = with_output(env, command, full());
        assert_eq!(result.code, 1, "{}: {}", result.line, result.error);
        let errors: Vec<&str> = result
            .error
            .lines()
            .filter(|line| line.starts_with("error"))
            .collect();
        let expected = "error: cannot write to standard output: No space left on device";
        assert!(
            errors.len() == 1 && errors[0].starts_with(expected),
            "{}: {}",
            result.line,
            result.error
        );
    }
}

#[test]
fn a_closed_standard_output_is_not_an_error() {
    let env = &with_run();
    for &command in COMMANDS {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let result = with_output(env, command, writer);
        assert_eq!(result.code, 0, "{}: {}", result.line, result.error);
        assert!(
            !result.error.contains("error") && !result.error.contains("pipe"),
            "{}: {}",
            result.line,
            result.error
        );
    }
}

/// The reader closes the pipe after the first byte; the remaining output is discarded.
#[test]
fn a_reader_that_closes_the_pipe_causes_no_error() {
    let env = TestEnv::new();
    for line in ["corpus list", "doctor", "man", "completions bash", "--help"] {
        let mut child = env.command(line).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        output.read_exact(&mut [0]).unwrap();
        drop(output);
        assert_eq!(wait_for_exit(&mut child).code(), Some(0), "{line}");
    }
}

#[test]
fn a_training_continues_without_its_output_and_fails_at_the_end() {
    let env = TestEnv::with_corpus();
    let report = |run: &str| fs::read(env.path(&format!("runs/{run}/report.txt"))).unwrap();
    let line = TRAIN.replace("mine", "full");
    let result = with_output(&env, (&line, ""), full());
    assert_eq!(result.code, 1, "{}", result.error);
    assert!(result.error.contains("cannot write to standard output"));
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let line = TRAIN.replace("mine", "closed");
    let result = with_output(&env, (&line, ""), writer);
    assert_eq!(result.code, 0, "{}", result.error);
    assert!(report("full") == report("closed"));

    let line = "cross-validate --data corpus --config small.toml --epochs 1 --device cpu --folds 2 \
                --jobs 2 --name folds";
    let result = with_output(&env, (line, ""), full());
    assert_eq!(result.code, 1, "{}", result.error);
    assert!(result.error.contains("cannot write to standard output"));
    assert!(env.path("runs/folds/report.txt").exists());
}

#[test]
fn a_full_standard_error_does_not_change_the_exit_code() {
    let env = with_run();
    let broken = env.path("corpus/anger/v01/broken.wav");
    fs::write(&broken, b"").unwrap();
    let printed = env.run("predict mine corpus/anger --csv");
    assert!(printed.code == 1 && printed.error.contains("broken.wav"));
    let with_full_error = |line: &str| {
        let mut command = env.command(line);
        run_redirected(command.stdout(Stdio::piped()).stderr(full()))
    };
    let output = with_full_error("predict mine corpus/anger --csv");
    assert_eq!((output.code, output.out), (1, printed.out));
    fs::remove_file(&broken).unwrap();
    with_full_error("predict mine x.wav").success();
}

/// A hostile label, speaker or name: it sets the title of the window, changes the colour, overwrites the
/// line, and imitates an error.
const HOSTILE: &str =
    "a\u{1b}]0;pwned\u{7}\u{1b}[31m\u{9b}5m\r\nerror:_faked\u{202e}\u{7f}\u{2066}z";
/// The hostile name as emovox prints it.
const SHOWN: &str =
    "a\\u{1b}]0;pwned\\u{7}\\u{1b}[31m\\u{9b}5m\\u{d}\\u{a}error:_faked\\u{202e}\\u{7f}\\u{2066}z";

#[track_caller]
fn assert_harmless(output: &CommandOutput) {
    for text in [&output.out, &output.error] {
        let controls = |c: char| {
            (c.is_control() && !"\n\t".contains(c))
                || ('\u{202a}'..='\u{202e}').contains(&c)
                || ('\u{2066}'..='\u{2069}').contains(&c)
        };
        assert!(!text.contains(controls), "{}: {text:?}", output.line);
        let faked = text.lines().find(|line| line.starts_with("error:_faked"));
        assert_eq!(faked, None, "{}: {text}", output.line);
    }
}

#[test]
fn no_label_speaker_or_name_controls_a_terminal() {
    let env = TestEnv::with_corpus();
    let hostile = |text: &str| text.replace("HOSTILE", HOSTILE);
    fs::rename(
        env.path("corpus/anger"),
        env.path(&hostile("corpus/HOSTILE")),
    )
    .unwrap();
    // A speaker and a recording also have this name.
    for class in [HOSTILE, "neutral", "sadness"] {
        let folder = env.path("corpus").join(class);
        fs::rename(folder.join("v05"), folder.join(HOSTILE)).unwrap();
        let file = folder.join(HOSTILE).join("1.wav");
        fs::rename(&file, file.with_file_name(hostile("HOSTILE.wav"))).unwrap();
    }
    let shown = |result: CommandOutput| {
        assert_harmless(&result);
        // Of an error each line but the first is indented.
        let in_error = SHOWN.replace("\\u{a}", "\n  ");
        assert!(
            [SHOWN, &in_error]
                .iter()
                .any(|shown| result.out.contains(*shown) || result.error.contains(*shown)),
            "{}: {} {}",
            result.line,
            result.out,
            result.error
        );
        result
    };
    shown(env.run(TRAIN).success());
    for line in [
        "doctor --data corpus",
        "evaluate mine",
        "predict mine corpus",
        "predict mine corpus/neutral/v01/1.wav",
    ] {
        shown(env.run(line).success());
    }
    // These commands shorten long names, or print only the most probable class.
    assert_harmless(&env.run("inspect corpus --out pictures").success());
    assert_harmless(
        &env.run("predict mine corpus/neutral/v01/1.wav --window 0.5")
            .success(),
    );
    let wav = File::open(env.path("corpus/neutral/v01/1.wav")).unwrap();
    assert_harmless(&run_command(env.command("listen mine").stdin(wav)).success());
    // A manifest may contain every character except line breaks.
    let label = HOSTILE.replace(['\r', '\n'], "");
    fs::write(
        env.path("list.csv"),
        format!("file,label,speaker\ncorpus/neutral/v01/1.wav,\"{label}\",\"{label}\"\n"),
    )
    .unwrap();
    let result = env.run("doctor --manifest list.csv");
    assert_harmless(&result);
    assert!(
        result.error.contains(&SHOWN.replace("\\u{d}\\u{a}", "")),
        "{}",
        result.error
    );

    // Output for programs: JSON has the same values, CSV the same bytes.
    let json = env.run("evaluate mine --json").success();
    assert_harmless(&json);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    let classes: Vec<&str> = json["classes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|class| class.as_str().unwrap())
        .collect();
    assert!(classes.contains(&HOSTILE), "{classes:?}");
    let csv = env.run("predict mine corpus --csv").success().out;
    assert!(csv.contains(HOSTILE), "{csv:?}");

    // An unreadable recording, a missing run and an invalid argument.
    fs::write(env.path(&hostile("corpus/HOSTILE.wav")), b"").unwrap();
    let result = shown(env.run("predict mine corpus"));
    assert_eq!(result.code, 1);
    let run = |arguments: &[&str]| run_command(env.command("").args(arguments));
    assert_eq!(shown(run(&["evaluate", HOSTILE])).code, 1);
    // clap removes control sequences from quoted arguments.
    let result = run(&["evaluate", "mine", "--part", HOSTILE]);
    assert_harmless(&result);
    assert_eq!(result.code, 2);

    // The run itself has the hostile name.
    fs::rename(env.path("runs/mine"), env.path("runs").join(HOSTILE)).unwrap();
    shown(run(&["evaluate", "other"]));
    shown(run(&["plot", HOSTILE]).success());
    shown(run(&["report", HOSTILE]).success());
    // A run with this name cannot be exported.
    let result =
        run(&["export", HOSTILE, "--out", "x.emovox"]).fails_with(&["cannot be the name of a run"]);
    assert_harmless(&result);
}

/// Licence and title in an untrusted table, and the reply of a server.
#[test]
fn no_table_of_corpora_and_no_server_controls_a_terminal() {
    let server = Server::new(|_, _, stream| {
        reply_whole(stream, format!("name\n\"{HOSTILE}\"\n").as_bytes());
    });
    let address = &server.address;
    let env = TestEnv::new();
    let text = serde_json::to_string(HOSTILE)
        .unwrap()
        .replace("\u{7f}", "\\u007f");
    let mut table = corpus_table(&format!(
        "[corpus.listed]
table = '{address}/table.csv'
column = 'name'
ending = '.wav'
files = '{address}/'
notes = '{address}/'
into = 'wav'
compared = ''
"
    ));
    for value in [
        "'A small EmoDB'",
        "'http://home.example'",
        "'CC0'",
        "'nobody'",
    ] {
        table = table.replace(value, &text);
    }
    fs::write(env.path("table.toml"), table).unwrap();
    for line in [
        "corpus list --source table.toml",
        "corpus fetch emodb --yes --source table.toml",
    ] {
        let output = env.run(line);
        assert_harmless(&output);
        assert!(
            output.out.contains(SHOWN),
            "{line}: {} {}",
            output.out,
            output.error
        );
    }
    let output = env.run("corpus fetch emodb --yes --source table.toml");
    // Of an error each line but the first is indented.
    let shown = SHOWN.replace("\\u{a}", "\n  ");
    assert!(
        output.code == 1 && output.error.contains(&shown),
        "{}",
        output.error
    );
}

/// On a terminal, CSV is escaped too. `listen` overwrites the line of a silence with a sequence of its own.
#[test]
fn a_terminal_gets_only_control_sequences_of_emovox() {
    let env = with_run();
    let file = format!("{}.wav", HOSTILE.replace('\n', ""));
    fs::copy(env.path("x.wav"), env.path(&file)).unwrap();
    let mut command = env.command("predict mine --csv");
    let output = on_terminal(command.arg(&file));
    assert!(
        output.contains("pwned\\u{7}") && !output.contains('\u{1b}'),
        "{output:?}"
    );
    let silence = File::open(silent(&env)).unwrap();
    let mut command = env.command("listen mine");
    let output = on_terminal(command.stdin(silence));
    let shown = output.replace("\r\u{1b}[2K", "");
    assert!(shown != output && shown.contains("silence") && !shown.contains('\u{1b}'));
}

fn silent(env: &TestEnv) -> std::path::PathBuf {
    env.wav("silence.wav", 16_000, 1, &[0.0; 32_000]);
    env.path("silence.wav")
}

/// The output of a command on a pseudo-terminal.
#[allow(unsafe_code)] // calls openpty
fn on_terminal(command: &mut Command) -> String {
    let (mut master, mut slave) = (-1, -1);
    // SAFETY: openpty writes two new descriptors, which have no other owner.
    let (master, slave) = unsafe {
        let null = std::ptr::null_mut();
        let opened = libc::openpty(&mut master, &mut slave, null, null.cast(), null.cast());
        assert_eq!(opened, 0);
        (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave))
    };
    let mut child = command.stdout(slave).stderr(Stdio::null()).spawn().unwrap();
    // The command also owns a copy of the other end.
    command.stdout(Stdio::null());
    let reader = thread::spawn(move || {
        let (mut master, mut output) = (File::from(master), Vec::new());
        // Reading ends with an error when the other end is closed.
        let _ = master.read_to_end(&mut output);
        String::from_utf8_lossy(&output).into_owned()
    });
    assert_eq!(wait_for_exit(&mut child).code(), Some(0));
    reader.join().unwrap()
}

#[test]
fn help_follows_the_variables_for_colours() {
    let env = TestEnv::new();
    let help = |name: &str| run_command(env.command("train --help").env(name, "1")).out;
    assert!(
        help("CLICOLOR_FORCE").contains("\u{1b}[32m")
            || help("CLICOLOR_FORCE").contains("\u{1b}[1m")
    );
    assert!(!help("NO_COLOR").contains('\u{1b}'));
}
