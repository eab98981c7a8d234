//! What a new project consists of: its files as values, made of the templates beside. Pure: it must never write one.

mod place;

use clap::ValueEnum as _;
use ds01_api::UseCase;

use crate::args::ProjectType;
use crate::catalogue::built_in_use_cases;
use crate::dockerfile::{Draft, Installer, Package};

pub(crate) use place::{Place, of_directory, workspace};

/// A file of a new project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewFile {
    /// Below the project's directory; the directories above it come with it.
    pub(crate) path: &'static str,
    /// What stands in it.
    pub(crate) text: String,
}

/// What a project is to begin with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beginning<'a> {
    /// Its name.
    pub(crate) project: &'a str,
    /// What it is about; `None`: directories and a Dockerfile, no more.
    pub(crate) purpose: Option<&'a UseCase>,
    /// The image that its own is made from.
    pub(crate) base: &'a str,
    /// Whether that brings a framework, which pip must leave alone.
    pub(crate) framework: bool,
    /// Whether it has PyTorch, which the program to begin with needs.
    pub(crate) torch: bool,
}

/// Packages that every project is the better for.
const USUAL: [&str; 4] = ["matplotlib", "tqdm", "pytest", "jupyterlab"];

/// Directories that a project has though nothing is in them yet.
const EMPTY: [&str; 5] = [
    "data/raw/.gitkeep",
    "data/processed/.gitkeep",
    "models/.gitkeep",
    "results/.gitkeep",
    "notebooks/.gitkeep",
];

/// The files of a new project.
pub(crate) fn files(beginning: &Beginning<'_>) -> Vec<NewFile> {
    let fill = |text: &str| text.replace("{{project}}", beginning.project);
    let file = |path, text: &str| NewFile { path, text: fill(text) };
    let mut files = vec![
        file(".gitignore", include_str!("templates/gitignore")),
        file(".dockerignore", include_str!("templates/dockerignore")),
        file("data/README.md", include_str!("templates/data-README.md")),
    ];
    files.extend(EMPTY.map(|path| file(path, "")));
    let Some(purpose) = beginning.purpose else {
        files.extend([
            file("README.md", include_str!("templates/README-blank.md")),
            file("Dockerfile", &dockerfile(beginning, None)),
            file("requirements.txt", ""),
            file("src/.gitkeep", ""),
            file("tests/.gitkeep", ""),
        ]);
        return files;
    };
    files.extend([
        file("README.md", include_str!("templates/README.md")),
        file("Dockerfile", &dockerfile(beginning, Some(purpose))),
        file("requirements.txt", &requirements(purpose)),
        file("src/__init__.py", ""),
    ]);
    if beginning.torch {
        files.push(file("src/train.py", include_str!("templates/train.py")));
        files.push(file("tests/test_train.py", include_str!("templates/test_train.py")));
    } else {
        files.push(file("tests/.gitkeep", ""));
    }
    files
}

/// What the machine's list of purposes has for a type, or else the one that comes with the program.
pub(crate) fn purpose(kind: ProjectType, of_machine: &[UseCase]) -> UseCase {
    let value = kind.to_possible_value().expect("no type is hidden");
    let is = |purpose: &&UseCase| purpose.key == value.get_name();
    let found = of_machine.iter().find(is).cloned();
    let found = found.or_else(|| built_in_use_cases().iter().find(is).cloned());
    found.expect("every type is a purpose: a test holds it")
}

/// How the image is built: as `image create` would write it, with the packages that `requirements.txt` names.
fn dockerfile(beginning: &Beginning<'_>, purpose: Option<&UseCase>) -> String {
    let draft = Draft {
        project: beginning.project.to_owned(),
        purpose: purpose.map(|purpose| purpose.title.to_lowercase()).unwrap_or_default(),
        base: beginning.base.to_owned(),
        has_framework: beginning.framework,
        system: purpose.iter().flat_map(|purpose| &purpose.system).cloned().collect(),
        requirements: purpose.map(|_| "requirements.txt".to_owned()),
        ..Draft::default()
    };
    draft.text()
}

/// The packages to begin with, one a line.
fn requirements(purpose: &UseCase) -> String {
    let name = |text: &str| Package::new(Installer::Pip, text).name;
    let named: Vec<String> = purpose.packages.iter().map(|text| name(text)).collect();
    let usual = USUAL.into_iter().filter(|usual| !named.contains(&name(usual)));
    let packages =
        purpose.packages.iter().map(String::as_str).chain(usual).map(|package| format!("{package}\n"));
    let head = "# The Python packages of the image; the framework itself comes with its base. After a change: project launch.\n";
    std::iter::once(head.to_owned()).chain(packages).collect()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    fn paths(files: &[NewFile]) -> Vec<&str> {
        files.iter().map(|file| file.path).collect()
    }

    #[test]
    fn the_documented_structure_is_there() {
        for kind in ProjectType::value_variants() {
            let beginning = Beginning {
                project: "thesis",
                purpose: Some(&purpose(*kind, &[])),
                base: "lab/torch:2.8",
                framework: true,
                torch: true,
            };
            let files = files(&beginning);
            for path in ["README.md", "requirements.txt", ".gitignore", "Dockerfile", "src/__init__.py"] {
                assert!(paths(&files).contains(&path), "{path} of {kind:?}");
            }
            for directory in ["data/raw", "data/processed", "notebooks", "models", "results", "src", "tests"]
            {
                assert!(paths(&files).iter().any(|path| path.starts_with(directory)), "{directory}");
            }
            let all: String = files.iter().map(|file| file.text.as_str()).collect();
            assert!(!all.contains("{{") && all.contains("FROM lab/torch:2.8\n"), "{all}");
        }
    }

    #[test]
    fn what_a_package_list_names_is_named_once() {
        for kind in ProjectType::value_variants() {
            let text = requirements(&purpose(*kind, &[]));
            let names: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
            let mut once = names.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), names.len(), "{kind:?}: {names:?}");
            assert!(names.contains(&"pytest") && names.contains(&"jupyterlab"), "{kind:?}: {names:?}");
        }
    }

    #[test]
    fn every_type_is_a_purpose_of_images() {
        let keys: Vec<String> = built_in_use_cases().into_iter().map(|purpose| purpose.key).collect();
        let types: Vec<String> =
            ProjectType::value_variants().iter().map(|kind| purpose(*kind, &[]).key).collect();
        assert_eq!(types, keys);
    }

    #[test]
    fn the_machines_own_list_goes_before() {
        let own = UseCase {
            key: "cv".to_owned(),
            title: "Our cameras".to_owned(),
            packages: vec!["lab-cameras".to_owned(), "Matplotlib>=3".to_owned()],
            system: Vec::new(),
        };
        let found = purpose(ProjectType::Cv, std::slice::from_ref(&own));
        assert_eq!(found, own);
        let text = requirements(&found);
        assert!(
            text.contains("\nlab-cameras\nMatplotlib>=3\ntqdm\n") && !text.contains("matplotlib"),
            "{text}"
        );
        assert_eq!(purpose(ProjectType::Nlp, &[own]).title, "Natural language");
    }

    #[test]
    fn no_program_where_it_would_not_run() {
        let beginning =
            Beginning { project: "p", purpose: None, base: "busybox", framework: false, torch: true };
        let blank = files(&beginning);
        assert!(!paths(&blank).contains(&"src/train.py"), "blank is blank");
        let dockerfile = blank.iter().find(|file| file.path == "Dockerfile").unwrap();
        assert!(!dockerfile.text.contains("RUN "), "nothing to install: {}", dockerfile.text);
        let other = Beginning { purpose: Some(&purpose(ProjectType::Ml, &[])), torch: false, ..beginning };
        assert!(!paths(&files(&other)).contains(&"src/train.py"), "it needs PyTorch");
    }
}
