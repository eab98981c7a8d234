//! What a new image can begin with and what it is used for: the machine's frameworks, which of them are here, and its lists
//! of packages. No registry is asked.

use std::collections::BTreeSet;

use ds01_api::{Exit, FrameworkList, UseCase, codes, paths};

use crate::args::ImageCreateArgs;
use crate::catalogue::{Choice, choices, use_cases};
use crate::client::Door;
use crate::failure::Failure;

/// What nobody has to choose.
const USUAL: &str = "pytorch";

/// What there is to choose from.
#[derive(Debug, Clone)]
pub(super) struct Market {
    pub(super) choices: Vec<Choice>,
    pub(super) use_cases: Vec<UseCase>,
    here: BTreeSet<String>,
}

/// An image to begin with, and what it is called by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) image: String,
    /// `pytorch 2.8.0`; empty for an image that was named.
    pub(super) called: String,
}

impl Market {
    /// Asks the door.
    pub(super) async fn ask(door: &Door) -> Result<Self, Failure> {
        let list: FrameworkList = door.get(paths::FRAMEWORKS).await?;
        let images = door.images().await?;
        let here = images.iter().flat_map(|image| image.names()).map(str::to_owned).collect();
        Ok(Self { choices: choices(&list.frameworks), use_cases: use_cases(&list), here })
    }

    /// Whether an image is on this machine.
    pub(super) fn is_here(&self, image: &str) -> bool {
        let tagged = image.rsplit('/').next().is_some_and(|name| name.contains([':', '@']));
        if tagged { self.here.contains(image) } else { self.here.contains(&format!("{image}:latest")) }
    }

    /// What the flags say, or the usual.
    pub(super) fn base(&self, args: &ImageCreateArgs) -> Result<Base, Failure> {
        if let Some(image) = &args.base {
            return Ok(Base { image: image.clone(), called: String::new() });
        }
        if let Some(version) = &args.python {
            return self.of("python", Some(version));
        }
        match (&args.framework, self.usual()) {
            (Some(name), _) => self.of(&name.to_ascii_lowercase(), args.version.as_deref()),
            (None, Some(usual)) => self.of(&usual.name, None),
            (None, None) => Err(Failure::usage("this machine has no list of frameworks")
                .with_hint("name an image to begin with: --base IMAGE")),
        }
    }

    /// The purposes of these keys.
    pub(super) fn use_cases_of(&self, keys: &[String]) -> Result<Vec<UseCase>, Failure> {
        let find = |key: &String| {
            let found =
                self.use_cases.iter().find(|use_case| use_case.key.eq_ignore_ascii_case(key)).cloned();
            found.ok_or_else(|| {
                let keys: Vec<&str> = self.use_cases.iter().map(|use_case| use_case.key.as_str()).collect();
                let there = match keys.as_slice() {
                    [] => "this machine has no lists of packages".to_owned(),
                    keys => format!("there are: {}", keys.join(", ")),
                };
                Failure::usage(format!("no packages are known for {key}; {there}"))
                    .with_hint("packages by name: --packages einops wandb")
            })
        };
        keys.iter().map(find).collect()
    }

    /// What nobody has to choose.
    pub(super) fn usual(&self) -> Option<&Choice> {
        self.choices.iter().find(|choice| choice.name == USUAL).or_else(|| self.choices.first())
    }

    /// The image of a framework. `pytorch-2.7.1` is one, too, as `container deploy --framework` has it.
    pub(super) fn of(&self, name: &str, version: Option<&str>) -> Result<Base, Failure> {
        let joined =
            name.rsplit_once('-').filter(|(_, version)| version.starts_with(|c: char| c.is_ascii_digit()));
        let (name, version) = match (version, joined) {
            (None, Some((name, version))) => (name, Some(version)),
            _ => (name, version),
        };
        let Some(choice) = self.choices.iter().find(|choice| choice.name == name) else {
            let names: Vec<&str> = self.choices.iter().map(|choice| choice.name.as_str()).collect();
            return Err(unknown(format!(
                "there is no framework {name} here; there are: {}",
                names.join(", ")
            )));
        };
        let image = match version {
            Some(version) => choice.of_version(version),
            None => choice.best(|image| self.is_here(image)),
        };
        let Some(image) = image else {
            let version = version.unwrap_or_default();
            return Err(unknown(format!(
                "there is no {name} {version} here; there are: {}",
                choice.told_versions()
            )));
        };
        let version =
            choice.versions.iter().find(|(_, known)| known == image).map(|(version, _)| version.as_str());
        let called = version.map_or_else(|| name.to_owned(), |version| format!("{name} {version}"));
        Ok(Base { image: image.to_owned(), called })
    }
}

fn unknown(message: String) -> Failure {
    Failure::new(Exit::NotFound, codes::FRAMEWORK_UNKNOWN, message)
        .with_hint("take one of these, or name an image: --base IMAGE")
}
