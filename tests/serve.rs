//! `emovox serve`: predictions over HTTP, equal to those of the command line, within its limits.

mod env;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use emovox::model::ModelConfig;
use env::process::run_command;
use env::serve::{Reply, Served, end_of, form};
use env::tiny::{tiny_bilstm, tiny_config, tiny_run};
use env::{TestEnv, talk};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

const TOKEN: &str = "0123456789abcdef/+==";

/// The run `mine` with random weights, and `talk.wav`: 12 seconds of speech at 16 kHz.
fn with_run() -> TestEnv {
    let env = TestEnv::new();
    let classes = ["anger", "joy", "sadness"];
    tiny_run(
        &env,
        "mine",
        &tiny_config(ModelConfig::Bilstm(tiny_bilstm()), &classes),
    );
    env.wav("talk.wav", 16_000, 1, &talk(12.0));
    env
}

fn talk_wav(env: &TestEnv) -> Vec<u8> {
    fs::read(env.path("talk.wav")).unwrap()
}

/// The output of `emovox predict --json` with these arguments.
#[track_caller]
fn predicted(env: &TestEnv, arguments: &str) -> Value {
    let output = env.run(&format!("predict mine --json --device cpu {arguments}"));
    serde_json::from_str(&output.success().out).unwrap()
}

#[test]
fn a_recording_has_the_same_prediction_as_on_the_command_line() {
    let env = with_run();
    let server = Served::start(&env, "mine");
    let talk = talk_wav(&env);
    for (query, arguments) in [
        ("", ""),
        ("window=3", "--window 3"),
        ("window=1.5&hop=0.5", "--window 1.5 --hop 0.5"),
        ("window=0.5", "--window 0.5"),
        (
            "window=2&hop=0.5&smooth=3",
            "--window 2 --hop 0.5 --smooth 3",
        ),
        ("channel=left", "--channel left"),
    ] {
        let expected = predicted(&env, &format!("{arguments} talk.wav"));
        assert!(!expected.as_array().unwrap().is_empty());
        let named = server.post(&format!("/v1/predict?name=talk.wav&{query}"), &talk);
        assert_eq!(named.value(), expected, "{query}");
        let (header, body) = form(&[("talk.wav", &talk)]);
        let sent = server.send("POST", &format!("/v1/predict?{query}"), &header, &body);
        assert_eq!(sent.value(), expected, "form, {query}");
    }
}

#[test]
fn every_channel_is_predicted_as_on_the_command_line() {
    let env = with_run();
    let stereo = talk(4.0);
    env.wav("stereo.wav", 22_050, 2, &stereo);
    let server = Served::start(&env, "mine");
    let bytes = fs::read(env.path("stereo.wav")).unwrap();
    let reply = server.post("/v1/predict?name=stereo.wav&channel=each", &bytes);
    let value = reply.value();
    assert_eq!(value, predicted(&env, "--channel each stereo.wav"));
    assert_eq!(value.as_array().unwrap().len(), 2);
}

#[test]
fn a_recording_without_a_name_is_that_of_standard_input() {
    let env = with_run();
    let server = Served::start(&env, "mine");
    let value = server.post("/v1/predict", &talk_wav(&env)).value();
    assert_eq!(value[0]["file"], "-");
}

#[test]
fn a_silent_recording_has_no_label() {
    let env = with_run();
    env.wav("silence.wav", 16_000, 1, &[0.0; 32_000]);
    let server = Served::start(&env, "mine");
    let silence = fs::read(env.path("silence.wav")).unwrap();
    let value = server
        .post("/v1/predict?name=silence.wav", &silence)
        .value();
    assert_eq!(value[0]["label"], Value::Null);
    assert_eq!(value, predicted(&env, "silence.wav"));
}

#[test]
fn a_pause_of_a_recording_has_no_label() {
    let env = with_run();
    // It begins with two seconds of noise.
    let speech = &talk(3.0)[32_000..];
    let pause = [speech, &[0.0; 4 * 16_000], speech].concat();
    env.wav("pause.wav", 16_000, 1, &pause);
    let middle = (speech.len() + 2 * 16_000) as f64 / 16_000.0;
    let server = Served::start(&env, "mine");
    let bytes = fs::read(env.path("pause.wav")).unwrap();
    let path = "/v1/predict?name=pause.wav&window=2&peaks=10";
    let value = server.post(path, &bytes).value();
    assert_eq!(
        value["predictions"],
        predicted(&env, "--window 2 pause.wav")
    );
    let range = |segment: &Value| {
        let [start, end] = ["start", "end"].map(|key| segment[key].as_f64().unwrap());
        start..end
    };
    let silent: Vec<_> = value["predictions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|segment| segment["speech"] == false)
        .map(range)
        .collect();
    let of_pause = silent.iter().find(|range| range.contains(&middle)).unwrap();
    let length = of_pause.end - of_pause.start;
    assert!((2.0..=6.0).contains(&length), "{value}");
    let hops = value["hops"].as_array().unwrap();
    for (hop, probabilities) in hops.iter().enumerate() {
        let is_silent = silent.iter().any(|range| range.contains(&(hop as f64)));
        assert_eq!(probabilities.is_null(), is_silent, "{hop}: {value}");
    }
    let track = env.run("predict mine pause.wav --window 2 --format webvtt --device cpu");
    assert_eq!(
        track.success().out.matches("no speech").count(),
        silent.len()
    );
}

#[test]
fn the_picture_is_of_the_chosen_channel_and_tells_that_channels_cancel_each_other() {
    let env = with_run();
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(env.path("opposite.wav"), spec).unwrap();
    for sample in talk(3.0) {
        for sample in [sample, -sample] {
            writer.write_sample((sample * 32_767.0) as i16).unwrap();
        }
    }
    writer.finalize().unwrap();
    let server = Served::start(&env, "mine");
    let bytes = fs::read(env.path("opposite.wav")).unwrap();
    let path = "/v1/predict?window=2&peaks=10";
    let highest = |value: &Value| {
        let peaks = value["peaks"].as_array().unwrap().iter();
        peaks.map(|peak| peak.as_f64().unwrap()).fold(0.0, f64::max)
    };
    let mix = server.post(path, &bytes).value();
    assert_eq!(mix["cancelled"], true);
    assert!(highest(&mix) < 1e-3, "{mix}");
    let left = server.post(&format!("{path}&channel=left"), &bytes).value();
    assert_eq!(left["cancelled"], false);
    assert!(highest(&left) > 0.05, "{left}");
}

#[test]
fn the_picture_of_a_recording_has_its_course_its_whole_and_its_peaks() {
    let env = with_run();
    let server = Served::start(&env, "mine");
    let talk = talk_wav(&env);
    let path = "/v1/predict?name=talk.wav&window=2&hop=0.5&peaks=100";
    let value = server.post(path, &talk).value();
    assert_eq!(
        value["predictions"],
        predicted(&env, "--window 2 --hop 0.5 talk.wav")
    );
    assert_eq!(value["whole"], predicted(&env, "talk.wav")[0]);
    let samples = emovox::audio::read(&env.path("talk.wav")).unwrap();
    let seconds = value["seconds"].as_f64().unwrap();
    assert_eq!(seconds, samples.seconds());
    let hops = value["hops"].as_array().unwrap();
    assert_eq!(hops.len(), (seconds / 0.5).ceil() as usize);
    for hop in hops {
        let Some(hop) = hop.as_array() else {
            assert!(hop.is_null(), "{hop}");
            continue;
        };
        let sum: f64 = hop.iter().map(|p| p.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{hop:?}");
    }
    let peaks = value["peaks"].as_array().unwrap();
    let loudest = samples.samples.iter().fold(0f32, |a, b| a.max(b.abs()));
    let highest = peaks
        .iter()
        .map(|peak| peak.as_f64().unwrap())
        .fold(0.0, f64::max);
    assert_eq!(peaks.len(), 100);
    assert!(
        (highest - f64::from(loudest)).abs() < 1e-3,
        "{highest} {loudest}"
    );
}

#[test]
fn a_bad_file_of_a_batch_does_not_affect_the_others() {
    let env = with_run();
    let server = Served::start(&env, "mine");
    let talk = talk_wav(&env);
    let (header, body) = form(&[
        ("talk.wav", &talk),
        ("bad.wav", b"RIFF"),
        ("talk.wav", &talk),
    ]);
    let value = server
        .send("POST", "/v1/predict/batch?window=3", &header, &body)
        .value();
    let expected = predicted(&env, "--window 3 talk.wav");
    assert_eq!(value.as_array().unwrap().len(), 3);
    for index in [0, 2] {
        assert_eq!(value[index]["file"], "talk.wav");
        assert_eq!(value[index]["predictions"], expected);
    }
    assert_eq!(value[1]["file"], "bad.wav");
    assert_eq!(value[1]["error"]["code"], "not-audio");
    assert!(value[1].get("predictions").is_none());
}

#[test]
fn a_name_of_a_file_is_any_text_and_is_not_in_the_log() {
    let env = with_run();
    let server = Served::start(&env, "mine --log");
    let talk = talk_wav(&env);
    // A browser writes a quotation mark as %22.
    for name in [
        "../../etc/passwd",
        "a%22b.wav",
        "ä\u{202e}.wav",
        "<img src=x>",
        "a;b=c, d",
    ] {
        let (header, body) = form(&[(name, &talk)]);
        let value = server.send("POST", "/v1/predict", &header, &body).value();
        assert_eq!(value[0]["file"], name);
    }
    let (header, body) = form(&[("\u{1b}[31mhidden-name", &talk)]);
    let control = server.send("POST", "/v1/predict/batch", &header, &body);
    control.fails_with(400, "bad-request");
    server
        .get("/%1b%5b31m?\u{61}=secret")
        .fails_with(404, "not-found");
    let log = server.stop();
    assert_eq!(log.matches(" POST /v1/predict 200 ").count(), 5, "{log}");
    assert!(log.contains(" GET /%1b%5b31m 404 "), "{log}");
    for hidden in ["passwd", "hidden-name", "img", "secret", "\u{1b}"] {
        assert!(!log.contains(hidden), "{hidden}: {log}");
    }
}

#[test]
fn a_stream_has_the_events_of_listen() {
    let env = with_run();
    let server = Served::start(&env, "mine");
    let talk = talk_wav(&env);
    let pcm = talk[44..].to_vec();
    for (query, arguments, bytes) in [
        ("?", "", &talk),
        (
            "?window=2&hop=0.5&gate=6",
            "--window 2 --hop 0.5 --gate 6",
            &talk,
        ),
        (
            "?encoding=s16le&rate=16000",
            "--raw s16le --rate 16000",
            &pcm,
        ),
        (
            "?encoding=s16le&rate=8000&channels=2",
            "--raw s16le --rate 8000 --channels 2",
            &pcm,
        ),
    ] {
        fs::write(env.path("input"), bytes).unwrap();
        let mut listen = env.command(&format!("listen mine --json --device cpu {arguments}"));
        let input = fs::File::open(env.path("input")).unwrap();
        let output = run_command(listen.stdin(input)).success().out;
        let expected: Vec<Value> = output
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(expected.len() > 4, "{output}");

        let mut stream = server.stream(query, "").unwrap();
        // Pieces of a length that divides neither the header nor a sample.
        for piece in bytes.chunks(4_999) {
            stream.send(Message::binary(piece.to_vec()));
        }
        stream.send(Message::text("end"));
        let (events, close) = stream.rest();
        assert_eq!(events, expected, "{query}");
        assert_eq!(u16::from(close.unwrap().code), 1000);
    }
    server.wait_for_metric("emovox_streams", 0.0);
    assert!(server.metric("emovox_audio_seconds_total{source=\"stream\"}") > 36.0);
}

#[test]
fn the_header_of_a_stream_may_arrive_byte_by_byte() {
    let env = with_run();
    let server = Served::start(&env, "mine");
    let talk = talk_wav(&env);
    let mut whole = server.stream("", "").unwrap();
    whole.send(Message::binary(talk.clone()[..96_044].to_vec()));
    whole.send(Message::text("end"));
    let mut slow = server.stream("", "").unwrap();
    for byte in &talk[..60] {
        slow.send(Message::binary(vec![*byte]));
    }
    slow.send(Message::binary(talk[60..96_044].to_vec()));
    slow.send(Message::text("end"));
    let (expected, _) = whole.rest();
    // Both end before the length in the header.
    assert!(expected.len() >= 3 && expected.last().unwrap()["error"]["code"] == "not-audio");
    assert_eq!(slow.rest().0, expected);
}

#[test]
fn a_stream_that_is_not_audio_ends_with_an_error() {
    let env = with_run();
    let server = Served::start(&env, "mine");
    let end = |query: &str, messages: Vec<Message>| {
        let mut stream = server.stream(query, "").unwrap();
        messages
            .into_iter()
            .for_each(|message| stream.send(message));
        let (events, close) = stream.rest();
        let code = events.last().unwrap()["error"]["code"]
            .as_str()
            .unwrap()
            .to_string();
        (code, u16::from(close.unwrap().code))
    };
    let words = Message::binary(b"this is a text and not audio".to_vec());
    assert_eq!(end("", vec![words]), ("not-audio".into(), 1007));
    assert_eq!(
        end("", vec![Message::text("end")]),
        ("not-audio".into(), 1007)
    );
    assert_eq!(
        end("", vec![Message::text("{}")]),
        ("bad-request".into(), 1008)
    );
    let long = Message::binary(vec![0; 300_000]);
    assert_eq!(end("", vec![long]), ("too-large".into(), 1008));
    let infinite = Message::binary([f32::INFINITY.to_le_bytes(); 100].concat());
    assert_eq!(
        end("?encoding=f32le&rate=8000", vec![infinite]),
        ("not-audio".into(), 1007)
    );
    // The server still works.
    server.get("/healthz").value();
}

#[test]
fn a_request_that_is_not_understood_says_why() {
    let env = with_run();
    let server = Served::start(&env, "mine --max-streams 1");
    let talk = talk_wav(&env);
    for (query, words) in [
        ("window=x", "window"),
        ("window=NaN", "0.1 to 60 s"),
        ("window=3&hop=5", "a hop of 5 s"),
        ("window=60&hop=0.05", "less than a 60th of the window"),
        ("window=3&smooth=1", "at least two hops"),
        ("hop=1", "give window too"),
        ("channel=middle", "neither mix"),
        ("windows=3", "unknown field"),
        ("window=3&peaks=0", "1 to 4000"),
        ("peaks=10", "peaks need window"),
    ] {
        let reply = server.post(&format!("/v1/predict?{query}"), &talk);
        let message = reply.fails_with(400, "bad-request");
        assert!(message.contains(words), "{query}: {message}");
    }
    server
        .post("/v1/predict?channel=7", &talk)
        .fails_with(422, "not-audio");
    server.post("/v1/predict", b"").fails_with(422, "not-audio");
    let message = server
        .post("/v1/predict", b"hello world, hello")
        .fails_with(422, "not-audio");
    assert!(message.contains("not a WAV file"), "{message}");
    for (query, words) in [
        ("?encoding=mp3", "encoding"),
        ("?encoding=s16le", "rate=16000"),
        ("?encoding=s16le&rate=0", "sample rate"),
        ("?rate=16000", "in the header"),
        ("?encoding=s16le&rate=8000&channels=65", "1 to 64"),
        ("?gate=0", "1 to 60 dB"),
        ("?window=0", "0.1 to 60 s"),
    ] {
        let reply = server.stream(query, "").err().expect(query);
        let message = reply.fails_with(400, "bad-request");
        assert!(message.contains(words), "{query}: {message}");
    }
    let plain = server.get("/v1/stream");
    plain.fails_with(426, "not-a-websocket");
    assert_eq!(plain.headers["sec-websocket-version"], "13");
    assert_eq!(plain.headers["upgrade"], "websocket");
    let (header, body) = form(&[("a.wav", &talk), ("b.wav", &talk)]);
    let several = server.send("POST", "/v1/predict", &header, &body);
    assert!(
        several
            .fails_with(400, "bad-request")
            .contains("/v1/predict/batch")
    );
    for body in [&b"--limit--\r\n"[..], b"", b"--limit\r\n\r\n", b"no form"] {
        server
            .send("POST", "/v1/predict/batch", &header, body)
            .fails_with(400, "bad-request");
    }
    let many: Vec<(&str, &[u8])> = vec![("a.wav", b"x"); 65];
    let (header, body) = form(&many);
    let many = server.send("POST", "/v1/predict/batch", &header, &body);
    assert!(
        many.fails_with(400, "bad-request")
            .contains("more than 64 files")
    );
}

#[test]
fn wrong_paths_and_methods_are_errors_in_json() {
    let env = with_run();
    let server = Served::start(&env, "mine");
    for path in [
        "/nothing",
        "/v1",
        "/v1/predict/",
        "/../../etc/passwd",
        "/serve.css/..",
        "//",
        "/%00",
    ] {
        server.get(path).fails_with(404, "not-found");
    }
    let wrong = server.get("/v1/predict");
    wrong.fails_with(405, "wrong-method");
    assert_eq!(wrong.headers["allow"], "POST");
    let wrong = server.send("DELETE", "/healthz", "", b"");
    wrong.fails_with(405, "wrong-method");
    assert_eq!(wrong.headers["allow"], "GET,HEAD");
}

#[test]
fn the_page_loads_only_its_own_files() {
    let env = with_run();
    let server = Served::start(&env, "mine");
    let page = server.get("/");
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = &page.headers["content-security-policy"];
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    for unsafe_word in ["unsafe", "http", "data:", "*"] {
        assert!(!policy.contains(unsafe_word), "{policy}");
    }
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    for file in ["/serve.js", "/serve.css", "/favicon.svg"] {
        assert_eq!(server.get(file).status, 200, "{file}");
    }
}

#[test]
fn the_description_leads_to_the_routes() {
    let env = with_run();
    let server = Served::start(&env, "mine");
    let description = server.get("/openapi.json").value();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let status = server.send(&method.to_uppercase(), path, "", b"").status;
            assert!(
                ![404, 405, 500].contains(&status),
                "{method} {path}: {status}"
            );
        }
    }
}

#[test]
fn the_model_has_its_classes_its_corpora_and_its_limits() {
    let env = with_run();
    let server = Served::start(&env, "mine --max-body 3");
    let model = server.get("/v1/model").value();
    assert_eq!(model["name"], "mine");
    assert_eq!(
        model["classes"],
        serde_json::json!(["anger", "joy", "sadness"])
    );
    assert_eq!(model["speakers_shared"], false);
    assert_eq!(model["adapted"], false);
    assert_eq!(model["calibrated"], false);
    // One of the three recordings is in the training subset.
    assert_eq!(model["corpora"][0]["recordings"], 1);
    assert_eq!(model["corpora"][0]["speakers"], 1);
    assert_eq!(model["limits"]["body_bytes"], 3_000_000);
    assert!(
        model["not_for"][0]
            .as_str()
            .unwrap()
            .contains("Decisions about people")
    );
}

#[test]
fn the_built_in_model_is_served_with_its_card() {
    let env = TestEnv::new();
    let server = Served::start(&env, "");
    let model = server.get("/v1/model").value();
    assert_eq!(model["name"], "acted-6");
    assert_eq!(model["classes"].as_array().unwrap().len(), 6);
    assert_eq!(model["scores"]["clips"], 1262);
    assert_eq!(model["speakers_shared"], false);
    assert_eq!(model["calibrated"], true);
    // The numbers of the card.
    let sum = |key: &str| -> u64 {
        let corpora = model["corpora"].as_array().unwrap();
        corpora.iter().map(|one| one[key].as_u64().unwrap()).sum()
    };
    assert_eq!((sum("speakers"), sum("recordings")), (77, 6085));
    assert_eq!(model["not_for"].as_array().unwrap().len(), 4);
    assert!(model["card"].as_str().unwrap().starts_with("# acted-6\n"));
}

/// A server whose tokens are in a file.
fn with_token(env: &TestEnv, arguments: &str) -> Served {
    let file = env.path("tokens");
    fs::write(&file, format!("# mine\n{TOKEN}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    Served::start(env, &format!("mine --token-file tokens {arguments}"))
}

#[test]
fn the_interface_needs_the_token_and_the_page_does_not() {
    let env = with_run();
    let server = with_token(&env, "");
    let talk = talk_wav(&env);
    for path in ["/", "/serve.js", "/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    for path in ["/v1/model", "/metrics", "/v1/stream"] {
        let reply = server.get(path);
        reply.fails_with(401, "token-required");
        assert_eq!(reply.headers["www-authenticate"], "Bearer");
    }
    server
        .post("/v1/predict", &talk)
        .fails_with(401, "token-required");
    let wrong = "Authorization: Bearer 0123456789abcdef/+=\r\n";
    server
        .send("POST", "/v1/predict", wrong, &talk)
        .fails_with(401, "token-wrong");
    server
        .stream("", wrong)
        .err()
        .unwrap()
        .fails_with(401, "token-wrong");
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    let value = server
        .send("POST", "/v1/predict?name=talk.wav", &right, &talk)
        .value();
    assert_eq!(value, predicted(&env, "talk.wav"));
    // A browser cannot set the header of a WebSocket.
    let encoded = BASE64_URL_SAFE_NO_PAD.encode(TOKEN);
    let offered = format!("Sec-WebSocket-Protocol: emovox.v1, emovox.token.{encoded}\r\n");
    let stream = server.stream("", &offered).unwrap();
    assert_eq!(stream.reply.headers["sec-websocket-protocol"], "emovox.v1");
    drop(stream);
    let log = server.stop();
    assert!(!log.contains(TOKEN), "{log}");
}

#[test]
fn a_token_file_for_everyone_is_a_warning() {
    let env = with_run();
    let file = env.path("open");
    fs::write(&file, TOKEN).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let server = Served::start(&env, "mine --token-file open");
    let log = server.stop();
    assert!(
        log.contains("chmod 600 open") && !log.contains(TOKEN),
        "{log}"
    );
}

#[test]
fn an_address_for_other_machines_needs_a_token() {
    let env = with_run();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let output = env.run(&format!("serve mine --device cpu --address {address}"));
        output.fails_with(&["other machines can reach", "--token-file", "--allow-anyone"]);
    }
    let output = env.run("serve mine --device cpu --address nowhere");
    output.fails_with(&["--address nowhere is not a host and a port"]);
    fs::write(env.path("short"), "secret").unwrap();
    let output = env.run("serve mine --device cpu --token-file short");
    let output = output.fails_with(&["short, line 1: a token has 16 to 512 characters"]);
    assert!(!output.error.contains("secret"));
}

#[test]
fn a_busy_port_is_an_error() {
    let env = with_run();
    let server = Served::start(&env, "mine");
    let output = env.run(&format!(
        "serve mine --device cpu --address {}",
        server.address
    ));
    output.fails_with(&["cannot listen on 127.0.0.1:", "--address gives another one"]);
}

#[test]
fn only_pages_of_this_server_may_use_it() {
    let env = with_run();
    let server = Served::start(
        &env,
        "mine --allow-origin https://app.example --allow-host proxy.example",
    );
    let talk = talk_wav(&env);
    let own = format!("Origin: http://{}\r\n", server.address);
    let allowed = "Origin: https://app.example\r\n";
    let evil = "Origin: https://evil.example\r\n";
    assert!(server.stream("", &own).is_ok() && server.stream("", allowed).is_ok());
    server
        .stream("", evil)
        .err()
        .unwrap()
        .fails_with(403, "wrong-origin");
    server
        .send("POST", "/v1/predict", evil, &talk)
        .fails_with(403, "wrong-origin");
    let reply = server.send("POST", "/v1/predict", allowed, &talk);
    assert_eq!(
        reply.headers["access-control-allow-origin"],
        "https://app.example"
    );
    reply.value();
    let ask =
        "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n";
    let preflight = server.send("OPTIONS", "/v1/predict", &format!("{allowed}{ask}"), b"");
    assert_eq!(preflight.status, 200);
    assert_eq!(
        preflight.headers["access-control-allow-headers"],
        "authorization,content-type"
    );
    let preflight = server.send("OPTIONS", "/v1/predict", &format!("{evil}{ask}"), b"");
    assert!(
        !preflight
            .headers
            .contains_key("access-control-allow-origin")
    );

    let with_host = |host: &str| {
        let mut stream = server.connect();
        let request =
            format!("GET /v1/model HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        Reply::read(stream)
    };
    with_host("proxy.example").value();
    with_host(&format!("localhost:{}", server.address.port())).value();
    let message = with_host("rebound.example").fails_with(403, "wrong-host");
    assert!(
        message.contains("proxy.example or localhost or 127.0.0.1 or [::1], or start"),
        "{message}"
    );
    let without_host = |path: &str, headers: &str| {
        let mut stream = server.connect();
        let request = format!("GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        Reply::read(stream)
    };
    without_host("/v1/model", "").fails_with(400, "bad-request");
    let two = "Host: localhost\r\nHost: localhost\r\n";
    without_host("/v1/model", two).fails_with(400, "bad-request");
    // A program that observes the server may know only its number.
    for path in ["/healthz", "/readyz"] {
        without_host(path, "Host: 10.1.2.3:8080\r\n").value();
    }
}

#[test]
fn a_setting_that_cannot_work_is_an_error() {
    let env = with_run();
    for host in ["proxy.example:8443", "https://proxy.example"] {
        let output = env.run(&format!("serve mine --device cpu --allow-host {host}"));
        assert_eq!(output.code, 2);
        let reason = "a host is a name without a scheme and a port";
        assert!(output.error.contains(reason), "{}", output.error);
    }
    let output = env.run("serve mine --device cpu --max-body 300");
    output.fails_with(&["--max-body 300 is more than --max-uploads 256"]);
}

#[test]
fn answers_are_compressed_for_clients_that_ask_for_it() {
    let env = with_run();
    let server = Served::start(&env, "mine");
    let plain = server.get("/serve.js");
    assert!(!plain.headers.contains_key("content-encoding"));
    let reply = server.send("GET", "/serve.js", "Accept-Encoding: gzip\r\n", b"");
    assert_eq!(reply.headers["content-encoding"], "gzip");
}

#[test]
fn without_allowed_origins_there_is_no_cors() {
    let env = with_run();
    let server = Served::start(&env, "mine");
    let headers = "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n";
    let reply = server.send("OPTIONS", "/v1/predict", headers, b"");
    reply.fails_with(403, "wrong-origin");
    assert!(
        reply
            .headers
            .keys()
            .all(|name| !name.starts_with("access-control"))
    );
}

#[test]
fn a_body_that_is_too_large_is_rejected() {
    let env = with_run();
    let server = Served::start(&env, "mine --max-body 1");
    let large = vec![0; 1_200_000];
    server
        .post("/v1/predict", &large)
        .fails_with(413, "too-large");
    // Without a stated length.
    let mut stream = server.connect();
    let header = server.header("POST", "/v1/predict", "Transfer-Encoding: chunked\r\n");
    stream.write_all(header.as_bytes()).unwrap();
    stream
        .write_all(format!("{:x}\r\n", large.len()).as_bytes())
        .unwrap();
    stream.write_all(&large).unwrap();
    stream.write_all(b"\r\n0\r\n\r\n").unwrap();
    Reply::read(stream).fails_with(413, "too-large");
    // In a form.
    let (header, body) = form(&[("a.wav", &large)]);
    server
        .send("POST", "/v1/predict/batch", &header, &body)
        .fails_with(413, "too-large");
    // A length that no body has.
    let mut stream = server.connect();
    let header = server.header(
        "POST",
        "/v1/predict",
        "Content-Length: 18446744073709551615\r\n",
    );
    stream.write_all(header.as_bytes()).unwrap();
    assert!([400, 413, 431].contains(&Reply::read(stream).status));
    server.wait_for_metric("emovox_upload_bytes", 0.0);
}

#[test]
fn a_recording_that_is_too_long_is_rejected() {
    let env = with_run();
    let server = Served::start(&env, "mine --max-seconds 5 --threads 1");
    let talk = talk_wav(&env);
    for query in ["", "?window=3", "?window=3&peaks=10", "?channel=each"] {
        let reply = server.post(&format!("/v1/predict{query}"), &talk);
        let message = reply.fails_with(413, "too-long");
        assert!(message.contains("longer than 5 s"), "{message}");
    }
    // Five seconds are accepted.
    env.wav(
        "five.wav",
        16_000,
        1,
        &emovox::audio::read(&env.path("talk.wav")).unwrap().samples[..80_000],
    );
    let five = fs::read(env.path("five.wav")).unwrap();
    server.post("/v1/predict", &five).value();
    server.post("/v1/predict?window=3", &five).value();
    // The limit is for all predicted channels together, and a number of samples.
    env.wav("stereo.wav", 16_000, 2, &[0.1; 3 * 16_000]);
    let stereo = fs::read(env.path("stereo.wav")).unwrap();
    server.post("/v1/predict", &stereo).value();
    for query in ["channel=each", "channel=each&window=3"] {
        let message = server
            .post(&format!("/v1/predict?{query}"), &stereo)
            .fails_with(413, "too-long");
        assert!(
            message.contains("longer than 2.5 s, the limit for each of 2 channels"),
            "{message}"
        );
    }
    env.wav("fine.wav", 96_000, 1, &[0.1; 3 * 96_000]);
    let fine = fs::read(env.path("fine.wav")).unwrap();
    for query in ["", "?window=3"] {
        let reply = server.post(&format!("/v1/predict{query}"), &fine);
        reply.fails_with(413, "too-long");
    }
    env.wav("many.wav", 16_000, 65, &[0.1; 100]);
    let many = fs::read(env.path("many.wav")).unwrap();
    let message = server
        .post("/v1/predict?channel=each", &many)
        .fails_with(422, "not-audio");
    assert!(message.contains("65 channels"), "{message}");
    server.post("/v1/predict?channel=65", &many).value();
}

/// The sum of the durations of the pieces that are read is not exact.
#[test]
fn a_recording_of_exactly_the_limit_is_accepted_with_windows() {
    let env = with_run();
    let server = Served::start(&env, "mine --max-seconds 60");
    for rate in [8_000, 11_025, 16_000, 24_000] {
        env.wav("limit.wav", rate, 1, &vec![0.1; 60 * rate as usize]);
        let limit = fs::read(env.path("limit.wav")).unwrap();
        server.post("/v1/predict?window=30", &limit).value();
    }
}

#[test]
fn a_length_that_is_wrong_harms_only_its_own_request() {
    let env = with_run();
    let server = Served::start(&env, "mine");
    let talk = talk_wav(&env);
    // A body that ends too early.
    let mut stream = server.connect();
    let header = server.header("POST", "/v1/predict", "Content-Length: 1000000\r\n");
    stream.write_all(header.as_bytes()).unwrap();
    stream.write_all(&talk[..1000]).unwrap();
    end_of(&stream);
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    assert!(
        reply.is_empty() || reply.starts_with(b"HTTP/1.1 400"),
        "{}",
        String::from_utf8_lossy(&reply)
    );
    // A body that continues behind its length.
    let mut stream = server.connect();
    let host = server.address;
    let header = format!(
        "POST /v1/predict HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n",
        talk.len()
    );
    stream.write_all(header.as_bytes()).unwrap();
    stream.write_all(&talk).unwrap();
    stream.write_all(b"more of it \x00\r\n\r\n").unwrap();
    let mut replies = Vec::new();
    stream.read_to_end(&mut replies).unwrap();
    let replies = String::from_utf8_lossy(&replies);
    assert!(
        replies.starts_with("HTTP/1.1 200") && replies.contains("HTTP/1.1 400"),
        "{replies}"
    );
    // Two lengths, and an encoding that is not understood: ways to smuggle a request.
    for headers in [
        "Transfer-Encoding: gzip, identity\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x10\r\n",
    ] {
        let mut stream = server.connect();
        stream
            .write_all(server.header("POST", "/v1/predict", headers).as_bytes())
            .unwrap();
        stream.write_all(b"hello!").unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        assert!(
            reply.starts_with(b"HTTP/1.1 400"),
            "{headers}: {}",
            String::from_utf8_lossy(&reply)
        );
    }
    server.post("/v1/predict", &talk).value();
    server.wait_for_metric("emovox_upload_bytes", 0.0);
}

#[test]
fn slow_clients_are_given_up() {
    let env = with_run();
    let server = Served::start(&env, "mine --timeout 1 --threads 1");
    let read = |mut stream: TcpStream| {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    // No request, a part of a header, and an idle connection after an answer.
    assert_eq!(read(server.connect()), "");
    let mut stream = server.connect();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHo").unwrap();
    assert_eq!(read(stream), "");
    let mut stream = server.connect();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    stream.write_all(request.as_bytes()).unwrap();
    assert!(read(stream).ends_with("{\"status\":\"ok\"}"));
    // A body that stops. The only worker is free meanwhile.
    let mut stream = server.connect();
    let header = server.header("POST", "/v1/predict", "Content-Length: 100000\r\n");
    stream.write_all(header.as_bytes()).unwrap();
    stream.write_all(&[0; 1000]).unwrap();
    server.post("/v1/predict", &talk_wav(&env)).value();
    Reply::read(stream).fails_with(408, "timeout");
    // A client that does not read its answers.
    let mut stream = server.connect();
    let request = format!(
        "GET /openapi.json HTTP/1.1\r\nHost: {}\r\n\r\n",
        server.address
    );
    let error = (0..100_000).find_map(|_| stream.write_all(request.as_bytes()).err());
    let kind = error.expect("the server stops reading").kind();
    assert!(
        [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&kind),
        "{kind}"
    );
    // A stream without audio.
    let mut stream = server.stream("", "").unwrap();
    stream.send(Message::binary(Vec::new()));
    stream.send(Message::Ping(Vec::new().into()));
    let (events, close) = stream.rest();
    assert_eq!(events[0]["error"]["code"], "timeout");
    assert_eq!(u16::from(close.unwrap().code), 1008);
    server.wait_for_metric("emovox_upload_bytes", 0.0);
    server.wait_for_metric("emovox_streams", 0.0);
}

/// Ten minutes of audio, whose windows take a worker much longer than any test waits for.
fn long_wav(env: &TestEnv) -> Vec<u8> {
    env.wav("long.wav", 8_000, 1, &talk(60.0).repeat(5)[..8_000 * 590]);
    fs::read(env.path("long.wav")).unwrap()
}

/// Sends a request without waiting for its answer.
fn begin(server: &Served, path: &str, body: &[u8]) -> TcpStream {
    let mut stream = server.connect();
    let header = server.header("POST", path, &format!("Content-Length: {}\r\n", body.len()));
    stream.write_all(header.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    stream
}

#[test]
fn a_full_queue_is_an_answer_and_a_client_that_leaves_frees_its_place() {
    let env = with_run();
    let long = long_wav(&env);
    let server = Served::start(&env, "mine --threads 1 --max-queue 1 --grace 1");
    let talk = talk_wav(&env);
    let running = begin(&server, "/v1/predict?window=3&hop=0.1", &long);
    server.wait_for_metric("emovox_workers_busy", 1.0);
    let waiting = begin(&server, "/v1/predict", &talk);
    server.wait_for_metric("emovox_queue_length", 1.0);
    let full = server.post("/v1/predict", &talk);
    full.fails_with(503, "queue-full");
    assert_eq!(full.headers["retry-after"], "1");
    let (header, body) = form(&[("a.wav", &talk)]);
    server
        .send("POST", "/v1/predict/batch", &header, &body)
        .fails_with(503, "queue-full");
    // Requests that need no worker get their answers.
    server.get("/healthz").value();
    server.get("/readyz").value();
    // The client of the running prediction leaves, so the waiting one gets its answer.
    drop(running);
    Reply::read(waiting).value();
    server.wait_for_metric("emovox_workers_busy", 0.0);
    assert_eq!(
        server.metric("emovox_requests_total{route=\"/v1/predict\",status=\"499\"}"),
        1.0
    );
    assert_eq!(
        server.metric("emovox_requests_total{route=\"/v1/predict\",status=\"503\"}"),
        1.0
    );
    let log = server.stop();
    assert!(
        !log.contains("error"),
        "a client that leaves is no error: {log}"
    );
}

#[test]
fn requests_whose_clients_leave_do_not_fill_the_queue() {
    let env = with_run();
    let long = long_wav(&env);
    let server = Served::start(&env, "mine --threads 1 --max-queue 1 --grace 1");
    let talk = talk_wav(&env);
    let _running = begin(&server, "/v1/predict?window=3&hop=0.1", &long);
    server.wait_for_metric("emovox_workers_busy", 1.0);
    for _ in 0..5 {
        let waiting = begin(&server, "/v1/predict", &talk);
        server.wait_for_metric("emovox_queue_length", 1.0);
        drop(waiting);
        server.wait_for_metric("emovox_queue_length", 0.0);
    }
    server.wait_for_metric("emovox_upload_bytes", long.len() as f64);
}

#[test]
fn uploads_together_have_a_limit() {
    let env = with_run();
    let server = Served::start(&env, "mine --max-body 1 --max-uploads 1");
    let mut stream = server.connect();
    let talk = talk_wav(&env);
    let header = server.header(
        "POST",
        "/v1/predict",
        &format!("Content-Length: {}\r\n", 800_000),
    );
    stream.write_all(header.as_bytes()).unwrap();
    stream.write_all(&vec![0; 799_999]).unwrap();
    server.wait_for_metric("emovox_upload_bytes", 799_999.0);
    server
        .post("/v1/predict", &talk)
        .fails_with(503, "uploads-full");
    stream.write_all(&[0]).unwrap();
    Reply::read(stream).fails_with(422, "not-audio");
    server.wait_for_metric("emovox_upload_bytes", 0.0);
    server.post("/v1/predict", &talk).value();
}

#[test]
fn streams_have_a_limit() {
    let env = with_run();
    let server = Served::start(&env, "mine --max-streams 2");
    let first = server.stream("", "").unwrap();
    let _second = server.stream("", "").unwrap();
    server
        .stream("", "")
        .err()
        .unwrap()
        .fails_with(503, "too-many-streams");
    drop(first);
    server.wait_for_metric("emovox_streams", 1.0);
    assert!(server.stream("", "").is_ok());
}

#[test]
fn connections_above_their_limit_wait() {
    let env = with_run();
    let server = Served::start(&env, "mine --max-connections 2");
    let (first, second) = (server.connect(), server.connect());
    let mut third = server.connect();
    let request = server.header("GET", "/healthz", "");
    third.write_all(request.as_bytes()).unwrap();
    drop(first);
    assert_eq!(Reply::read(third).status, 200);
    drop(second);
}

#[test]
fn sigterm_finishes_the_running_request_and_refuses_new_ones() {
    let env = with_run();
    let server = Served::start(&env, "mine");
    let talk = talk_wav(&env);
    // A request that is not complete yet runs as long as the test wants.
    let mut running = server.connect();
    let header = server.header(
        "POST",
        "/v1/predict",
        &format!("Content-Length: {}\r\n", talk.len()),
    );
    running.write_all(header.as_bytes()).unwrap();
    running.write_all(&talk[..1000]).unwrap();
    server.wait_for_metric("emovox_upload_bytes", 1000.0);
    let idle = server.connect();
    let stream = server.stream("", "").unwrap();
    server.signal(libc::SIGTERM);
    let (events, close) = stream.rest();
    assert_eq!(events[0]["error"]["code"], "shutting-down");
    assert_eq!(u16::from(close.unwrap().code), 1001);
    let reply = server.get("/readyz");
    reply.fails_with(503, "shutting-down");
    assert_eq!(reply.headers["retry-after"], "1");
    server
        .post("/v1/predict", &talk)
        .fails_with(503, "shutting-down");
    server.get("/healthz").value();
    running.write_all(&talk[1000..]).unwrap();
    let value = Reply::read(running).value();
    assert_eq!(
        value[0]["probabilities"],
        predicted(&env, "talk.wav")[0]["probabilities"]
    );
    let (code, log) = server.end();
    assert_eq!(code, 0, "{log}");
    assert!(!log.contains("--grace"), "{log}");
    drop(idle);
}

#[test]
fn the_grace_ends_a_request_that_does_not() {
    let env = with_run();
    let long = long_wav(&env);
    let server = Served::start(&env, "mine --threads 1 --grace 1");
    let _running = begin(&server, "/v1/predict?window=3&hop=0.1", &long);
    server.wait_for_metric("emovox_workers_busy", 1.0);
    server.signal(libc::SIGINT);
    let (code, log) = server.end();
    assert_eq!(code, 0, "{log}");
    assert!(
        log.contains("some requests did not end within --grace 1 s"),
        "{log}"
    );
}

#[test]
fn metrics_count_requests_and_audio() {
    let env = with_run();
    let server = Served::start(&env, "mine");
    let talk = talk_wav(&env);
    let seconds = emovox::audio::read(&env.path("talk.wav"))
        .unwrap()
        .seconds();
    for _ in 0..3 {
        server.post("/v1/predict", &talk).value();
    }
    server
        .post("/v1/predict", b"x")
        .fails_with(422, "not-audio");
    for path in ["/a", "/b", "/c"] {
        server.get(path).fails_with(404, "not-found");
    }
    let count = |route: &str, status: u16| {
        server.metric(&format!(
            "emovox_requests_total{{route=\"{route}\",status=\"{status}\"}}"
        ))
    };
    assert_eq!(count("/v1/predict", 200), 3.0);
    assert_eq!(count("/v1/predict", 422), 1.0);
    assert_eq!(count("other", 404), 3.0);
    assert_eq!(
        server.metric("emovox_request_seconds_count{route=\"/v1/predict\"}"),
        4.0
    );
    assert_eq!(server.metric("emovox_prediction_seconds_count"), 4.0);
    let audio = server.metric("emovox_audio_seconds_total{source=\"predict\"}");
    assert!((audio - 3.0 * seconds).abs() < 0.01, "{audio}");
    assert_eq!(server.metric("emovox_panics_total"), 0.0);
    let text = server.get("/metrics").text();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(
            name.starts_with("emovox_") && value.parse::<f64>().is_ok(),
            "{line}"
        );
    }
}

#[test]
fn random_bytes_harm_nobody() {
    let env = with_run();
    let server = Served::start(&env, "mine --timeout 2");
    let talk = talk_wav(&env);
    let expected = server.post("/v1/predict", &talk).value();
    let mut state = 1u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    for round in 0..60 {
        let bytes: Vec<u8> = (0..1 + round * 7).map(|_| random()).collect();
        // As a connection, as a recording, as a form, and as a WAV file with a damaged part.
        let mut stream = server.connect();
        // The server may close the connection during the write.
        let _ = stream.write_all(&bytes);
        drop(stream);
        assert!([413, 422].contains(&server.post("/v1/predict?window=1", &bytes).status));
        let form = "Content-Type: multipart/form-data; boundary=x\r\n";
        assert_eq!(
            server
                .send("POST", "/v1/predict/batch", form, &bytes)
                .status,
            400
        );
        let mut damaged = talk[..40_000].to_vec();
        for byte in bytes.iter().take(20) {
            let place = usize::from(*byte) % 60;
            damaged[place] = random();
        }
        let status = server.post("/v1/predict", &damaged).status;
        assert!([200, 413, 422].contains(&status), "{status}");
        if let Ok(mut stream) = server.stream("", "") {
            stream.send(Message::binary(damaged));
            stream.send(Message::text("end"));
            stream.rest();
        }
    }
    assert_eq!(server.post("/v1/predict", &talk).value(), expected);
    assert_eq!(server.metric("emovox_panics_total"), 0.0);
    server.stop();
}
