//! What an image can begin with, and what it is used for.

use serde::{Deserialize, Serialize};

/// The answer to `GET frameworks`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameworkList {
    /// By name.
    pub frameworks: Vec<Framework>,
    /// The machine's own lists of packages by purpose, in the order in which they are offered; none where it has none of
    /// its own, and those of the command line hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_cases: Option<Vec<UseCase>>,
}

/// An image to begin with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Framework {
    /// What it is asked for by: `pytorch`, `pytorch-2.7.1`.
    pub name: String,
    /// The image, which need not be on the machine yet.
    pub image: String,
}

/// A purpose, with the packages that serve it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseCase {
    /// What it is asked for by: `cv`.
    pub key: String,
    /// For people: `Computer vision`.
    pub title: String,
    /// Python packages: `timm~=1.0`.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Packages of the distribution.
    #[serde(default)]
    pub system: Vec<String>,
}

/// Whether a word is a package, with or without a version, and nothing that a shell or an installer would take for more.
#[must_use]
pub fn is_package(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-=<>!~,[]@:/#%*".contains(c);
    begins && text.chars().all(plain)
}
