//! The built-in model: predictions without a training.

mod env;

use emovox::inference::{BUILTIN, Precision, Predictor, Trained};
use emovox::model::ModelConfig;
use env::TestEnv;
use env::device::device;
use env::tiny::{tiny_bilstm, tiny_config, tiny_run};
use serde_json::Value;

fn env() -> TestEnv {
    let env = TestEnv::new();
    env.wav("voice.wav", 16_000, 1, &env::talk(5.0));
    env.wav("talk/1.wav", 44_100, 2, &env::talk(4.0));
    env
}

/// A run whose model only knows two other classes.
fn own_run(env: &TestEnv, name: &str) {
    let config = tiny_config(ModelConfig::Bilstm(tiny_bilstm()), &["loud", "quiet"]);
    tiny_run(env, name, &config);
}

fn answers(out: &str) -> Vec<Value> {
    serde_json::from_str(out).unwrap()
}

fn classes(answer: &Value) -> Vec<String> {
    let probabilities = answer["probabilities"].as_object().unwrap();
    probabilities.keys().cloned().collect()
}

#[test]
fn a_recording_is_predicted_without_a_run() {
    let env = env();
    let one = env.run("predict voice.wav --json").success();
    assert!(
        one.error.contains("built-in model acted-6"),
        "{}",
        one.error
    );
    let six = [
        "anger",
        "disgust",
        "fear",
        "happiness",
        "neutral",
        "sadness",
    ];
    assert_eq!(classes(&answers(&one.out)[0]), six);
    let both = env.run("predict voice.wav talk --json").success();
    assert_eq!(answers(&both.out).len(), 2);
    // Longer recordings in the same batch change the last bits.
    assert_eq!(
        answers(&both.out)[0]["label"],
        answers(&one.out)[0]["label"]
    );
    let absolute = env.path("voice.wav").display().to_string();
    let absolute = env.run(&format!("predict {absolute} --json")).success();
    assert_eq!(
        answers(&absolute.out)[0]["label"],
        answers(&one.out)[0]["label"]
    );
    // The name of the model stands for a run.
    let named = env.run("predict acted-6 voice.wav --json").success();
    assert_eq!(named.out, one.out);
    let library = Predictor::of(Trained::of_builtin(&BUILTIN[0]).unwrap(), device()).unwrap();
    let prediction = library.predict_one(&env.path("voice.wav")).unwrap();
    assert_eq!(answers(&one.out)[0]["label"], prediction.label);
}

#[test]
fn the_name_of_a_run_takes_precedence() {
    let env = env();
    own_run(&env, "acted-6");
    own_run(&env, "voice.wav");
    for run in ["acted-6", "voice.wav"] {
        let out = env.run(&format!("predict {run} talk --json")).success();
        assert_eq!(classes(&answers(&out.out)[0]), ["loud", "quiet"], "{run}");
        assert!(!out.error.contains("built-in"), "{}", out.error);
    }
}

#[test]
fn a_word_that_is_nothing_is_named() {
    let env = env();
    env.run("predict nothing.wav")
        .fails_with(&["no recording and no run 'nothing.wav'"]);
    env.run("predict nothing voice.wav")
        .fails_with(&["nothing"]);
    env.run("predict acted-6")
        .fails_with(&["emovox predict acted-6 FILE"]);
    env.run("models nothing")
        .fails_with(&["nothing", "acted-6"]);
    env.run("evaluate nothing")
        .fails_with(&["there is no run 'nothing'", "the built-in model is acted-6"]);
}

/// The recordings of the built-in model are on another machine.
#[test]
fn commands_that_need_more_than_a_model_say_what_a_builtin_model_lacks() {
    let env = env();
    for command in ["evaluate acted-6", "stress acted-6 --subset validation"] {
        env.run(command)
            .fails_with(&["acted-6 is a built-in model", "--data DIR"]);
    }
    for command in ["report acted-6", "plot acted-6"] {
        env.run(command)
            .fails_with(&["acted-6 is a built-in model", "emovox models acted-6"]);
    }
}

#[test]
fn models_are_listed_with_their_cards() {
    let env = env();
    let list = env.run("models").success().out;
    for words in [
        "acted-6",
        "CREMA-D (ODbL",
        "EmoDB, Berlin (CC0",
        "sadness",
        "34 of 40 checks",
    ] {
        assert!(list.contains(words), "{list}");
    }
    let card = env.run("models acted-6").success().out;
    for heading in ["Training data", "Scores", "Not for"] {
        assert!(card.contains(heading), "{card}");
    }
}

/// Sixteen bits have a relative precision of 2⁻¹¹.
#[test]
fn weights_with_16_bits_predict_nearly_the_same_from_a_smaller_file() {
    let env = env();
    own_run(&env, "mine");
    let run = Trained::open(&env.path("runs"), "mine").unwrap();
    let sizes = [Precision::Single, Precision::Half].map(|precision| {
        let file = env.path("mine.emovox");
        std::fs::write(&file, run.bundle(precision).unwrap()).unwrap();
        let read = Trained::of_bundle(&file).unwrap();
        let predictor = Predictor::of(read, device()).unwrap();
        let prediction = predictor.predict_one(&env.path("voice.wav")).unwrap();
        (
            std::fs::metadata(&file).unwrap().len(),
            prediction.probabilities,
        )
    });
    let [(single, exact), (half, rounded)] = sizes;
    assert!(half < single * 3 / 4, "{half} and {single} bytes");
    for (exact, rounded) in exact.iter().zip(&rounded) {
        assert!((exact - rounded).abs() < 5e-3, "{exact} {rounded}");
    }
    assert_ne!(exact, rounded);
    env.run("export mine --half --out half.emovox").success();
    assert_eq!(
        std::fs::metadata(env.path("half.emovox")).unwrap().len(),
        half
    );
    env.run("export mine --half --format torchscript")
        .fails_with(&["--half is for bundles"]);
}
