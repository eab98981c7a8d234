//! The catalogue of frameworks: which image stands for `pytorch`. It must never look whether an image is there.

use std::collections::BTreeMap;

use ds01_docker::reference::ImageRef;

use super::mistake::Findings;
use super::read;
use super::yaml::Node;

/// The catalogue that comes with the program: a name and an image a line.
const BUILT_IN: &str = include_str!("frameworks.tsv");
/// The longest name of a framework.
const NAME_BYTES_MAX: usize = 64;

/// Images by the name that people ask for them with, small letters.
pub type Frameworks = BTreeMap<String, String>;

/// The catalogue that holds where the file has none.
pub(super) fn built_in() -> Frameworks {
    let lines = BUILT_IN.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, image)| (name.to_owned(), image.to_owned()))
        .collect()
}

/// Reads `frameworks`, which replaces the built-in catalogue as a whole.
pub(super) fn frameworks(node: &Node, findings: &mut Findings) -> Frameworks {
    let mut frameworks = Frameworks::new();
    for entry in read::map(node, "frameworks", findings).unwrap_or(&[]) {
        if !is_name(&entry.key) {
            findings.mistake(
                entry.place,
                format!("frameworks: {} is not a name; use small letters, digits, dot and dash", entry.key),
            );
            continue;
        }
        let image = read::one(entry, findings, |text| match ImageRef::parse(text) {
            Ok(_) => Ok(text.to_owned()),
            Err(wrong) => Err(wrong.to_string()),
        });
        if let Some(image) = image {
            frameworks.insert(entry.key.clone(), image);
        }
    }
    frameworks
}

fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.chars().all(plain) && !text.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogue_is_sound() {
        let catalogue = built_in();
        let lines = BUILT_IN.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(catalogue.len(), lines, "a line without a tab, or a name twice");
        for (name, image) in &catalogue {
            assert!(is_name(name), "{name}");
            let image = ImageRef::parse(image).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
            // Whoever asks for it may fetch it.
            assert!(ds01_docker::registry::is_allowed(image.domain(), &[]), "{name}");
        }
        assert!(["pytorch", "tensorflow"].iter().all(|name| catalogue.contains_key(*name)));
    }
}
