//! Corpora from their homes.

mod home;

pub use home::{Archive, Home, Listed, home, homes, read_homes};
