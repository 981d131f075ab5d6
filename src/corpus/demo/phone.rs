//! Phonetics of the corpus: the sentences, the sounds of their letters, and the articulation of
//! each sound.

/// The sentences, which have no meaning. One letter is one sound, a capital vowel is accented, `S`
/// is the sh in "ship" and `j` is the y in "yes".
pub const SENTENCES: [&str; 7] = [
    "malUno tekAsi",
    "bidO lumEra",
    "SonA vetIgu",
    "gurEn dilAmo",
    "nezI torAku",
    "wajEl pukIsa",
    "hamIn dofUle",
];

/// A period of time with one articulation target.
#[derive(Clone)]
pub struct Step {
    /// Duration.
    pub seconds: f64,
    /// Targets of the first three formants in Hz, for an adult male vocal tract.
    pub formants: [f64; 3],
    /// Amplitude of the voice.
    pub voicing: f64,
    /// Amplitude of the breath noise, which passes through the formants.
    pub aspiration: f64,
    /// Amplitude of the noise of a constriction.
    pub friction: f64,
    /// Centre and width in Hz of the noise band of the constriction.
    pub band: (f64, f64),
    /// Opening of the nasal tract, 0 to 1.
    pub nasal: f64,
    /// Class of the sound, on which accents and lengthening depend.
    pub kind: Kind,
}

/// Class of a sound.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Vowel { accented: bool },
    Consonant,
    Pause,
}

/// Formants of a vocal tract at rest, which is a uniform tube closed at one end.
pub const SCHWA: [f64; 3] = [500.0, 1500.0, 2500.0];

const REST: Step = Step {
    seconds: 0.0,
    formants: SCHWA,
    voicing: 0.0,
    aspiration: 0.0,
    friction: 0.0,
    band: (3000.0, 2000.0),
    nasal: 0.0,
    kind: Kind::Consonant,
};

/// Steps of a sentence, with a pause of `pause` seconds between words and none around the sentence.
pub fn steps(sentence: &str, pause: f64) -> Vec<Step> {
    let spell = |word: &str| word.chars().flat_map(sound).collect::<Vec<_>>();
    let gap = Step {
        seconds: pause,
        kind: Kind::Pause,
        ..REST
    };
    sentence
        .split(' ')
        .map(spell)
        .collect::<Vec<_>>()
        .join(&[gap][..])
}

/// Steps of one letter. The vowel formants are those of Peterson & Barney (1952). The consonants
/// are simpler than in Klatt (1980): one locus for each place of articulation, one noise band for
/// each sound.
fn sound(letter: char) -> Vec<Step> {
    match letter {
        'a' | 'A' => vowel(letter, [730.0, 1200.0, 2500.0]),
        'e' | 'E' => vowel(letter, [490.0, 1850.0, 2500.0]),
        'i' | 'I' => vowel(letter, [290.0, 2250.0, 2950.0]),
        'o' | 'O' => vowel(letter, [490.0, 900.0, 2450.0]),
        'u' | 'U' => vowel(letter, [320.0, 870.0, 2250.0]),

        'm' => murmur(0.060, [280.0, 1000.0, 2200.0], 0.45, 1.0),
        'n' => murmur(0.055, [280.0, 1600.0, 2600.0], 0.45, 1.0),
        'l' => murmur(0.055, [350.0, 1100.0, 2800.0], 0.60, 0.0),
        'r' => murmur(0.050, [420.0, 1250.0, 1700.0], 0.55, 0.0),
        'w' => murmur(0.060, [300.0, 700.0, 2200.0], 0.65, 0.0),
        'j' => murmur(0.060, [280.0, 2200.0, 2950.0], 0.65, 0.0),

        's' => fricative(0.085, [320.0, 1500.0, 2600.0], 0.0, 0.50, (5800.0, 2200.0)),
        'S' => fricative(0.090, [320.0, 1800.0, 2500.0], 0.0, 0.50, (3100.0, 1400.0)),
        'f' => fricative(0.080, [340.0, 1100.0, 2100.0], 0.0, 0.16, (4500.0, 6000.0)),
        'z' => fricative(0.065, [300.0, 1500.0, 2600.0], 0.4, 0.28, (5800.0, 2200.0)),
        'v' => fricative(0.055, [300.0, 1100.0, 2100.0], 0.5, 0.08, (4500.0, 6000.0)),
        'h' => vec![Step {
            seconds: 0.055,
            aspiration: 0.6,
            ..REST
        }],

        'p' => stop([300.0, 900.0, 2200.0], 0.0, 0.30, (900.0, 1500.0)),
        't' => stop([300.0, 1700.0, 2600.0], 0.0, 0.60, (4200.0, 2500.0)),
        'k' => stop([300.0, 1900.0, 2300.0], 0.0, 0.55, (1900.0, 900.0)),
        'b' => stop([280.0, 900.0, 2200.0], 0.18, 0.22, (900.0, 1500.0)),
        'd' => stop([280.0, 1700.0, 2600.0], 0.18, 0.40, (4200.0, 2500.0)),
        'g' => stop([280.0, 1900.0, 2300.0], 0.18, 0.40, (1900.0, 900.0)),
        _ => unreachable!("{letter:?} is in no sentence"),
    }
}

fn vowel(letter: char, formants: [f64; 3]) -> Vec<Step> {
    let accented = letter.is_uppercase();
    let seconds = if accented { 0.115 } else { 0.085 };
    vec![Step {
        seconds,
        formants,
        voicing: 1.0,
        kind: Kind::Vowel { accented },
        ..REST
    }]
}

/// A nasal, liquid or glide: voiced, but weaker than a vowel.
fn murmur(seconds: f64, formants: [f64; 3], voicing: f64, nasal: f64) -> Vec<Step> {
    vec![Step {
        seconds,
        formants,
        voicing,
        nasal,
        ..REST
    }]
}

fn fricative(
    seconds: f64,
    formants: [f64; 3],
    voicing: f64,
    friction: f64,
    band: (f64, f64),
) -> Vec<Step> {
    vec![Step {
        seconds,
        formants,
        voicing,
        friction,
        band,
        ..REST
    }]
}

/// A stop: closure (with a faint voice bar if voiced), burst and, if voiceless, aspiration before
/// the next sound.
fn stop(formants: [f64; 3], voicing: f64, burst: f64, band: (f64, f64)) -> Vec<Step> {
    let voiceless = voicing == 0.0;
    let closure = Step {
        seconds: if voiceless { 0.060 } else { 0.045 },
        formants,
        voicing,
        ..REST
    };
    let burst = Step {
        seconds: 0.008,
        formants,
        friction: burst,
        band,
        ..REST
    };
    let breath = Step {
        seconds: 0.028,
        formants,
        aspiration: 0.5,
        ..REST
    };
    if voiceless {
        vec![closure, burst, breath]
    } else {
        vec![closure, burst]
    }
}
