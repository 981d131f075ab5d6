//! Trained models that are part of the program, so that it predicts without a training.

/// A trained model that is part of the program.
#[derive(Debug)]
pub struct BuiltinModel {
    /// Its name, which stands for a run if no run has this name.
    pub name: &'static str,
    /// One line about it.
    pub summary: &'static str,
    /// The model card, in Markdown: data, licences, scores, limits.
    pub card: &'static str,
    /// The content of its bundle.
    pub(super) bundle: &'static [u8],
}

/// All models that are part of the program; the first is the default.
pub const BUILTIN: [BuiltinModel; 1] = [BuiltinModel {
    name: "acted-6",
    summary: "six emotions in acted English and German speech (CREMA-D, EmoDB)",
    card: include_str!("../../data/models/acted-6.md"),
    bundle: include_bytes!("../../data/models/acted-6.emovox"),
}];

/// The model with a name.
pub(super) fn find(name: &str) -> Option<&'static BuiltinModel> {
    BUILTIN.iter().find(|model| model.name == name)
}
