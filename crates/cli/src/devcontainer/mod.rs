//! `devcontainer.json` and the compose files that it names: one that works here, what would become of any other, and how it is
//! mended.
//!
//! Pure: texts in, texts out. Comments and order of a file are its author's. It must never read or write one.

mod arguments;
mod check;
mod compose;
mod yaml;

use std::path::{Path, PathBuf};

pub(crate) use check::{Effect, Finding, Reader, check, composed, fix};
pub(crate) use compose::{Compose, check as check_compose, fix as fix_compose};

const TEMPLATE: &str = include_str!("template.jsonc");

/// Where editors look for the file, below a directory, first things first.
const PLACES: [&str; 2] = [".devcontainer/devcontainer.json", ".devcontainer.json"];

/// Where DS01's own program lies for containers, below the home.
pub(crate) const PROGRAM: &str = ".local/share/ds01/ds01";

/// What a new file is to say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// What the editor calls it.
    pub(crate) name: &'a str,
    /// The image.
    pub(crate) image: &'a str,
    /// A GPU for as long as it runs.
    pub(crate) gpu: bool,
    /// `ds01 run` inside.
    pub(crate) run: bool,
}

/// A new file.
pub(crate) fn generate(wanted: &Wanted<'_>) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let gpu = if wanted.gpu {
        "  // Its GPU is its own while it runs: it is stopped when the GPU has been idle for too long (check-limits), and after a
  // week. Take these words out, and it is permanent.
  \"runArgs\": [\"--gpus\", \"all\"],
"
    } else {
        "  // Without a GPU it is permanent: nobody stops it.
"
    };
    let mounts = if wanted.run {
        "  // `ds01 run -- python train.py` inside borrows a GPU for one command. For that it sees DS01's door, where it may do
  // whatever you may, and the program itself, which the first line puts in place.
  \"initializeCommand\": \"ds01 devcontainer prepare\",
  \"mounts\": [
    \"source=/var/run/docker.sock,target=/var/run/docker.sock,type=bind\",
    \"source=${localEnv:HOME}/.local/share/ds01/ds01,target=/usr/local/bin/ds01,type=bind,readonly\"
  ],

"
    } else {
        ""
    };
    TEMPLATE
        .replace("{{name}}", &quoted(wanted.name))
        .replace("{{image}}", &quoted(wanted.image))
        .replace("{{mounts}}", mounts)
        .replace("{{gpu}}", gpu)
}

/// Where the file may be, below `directory`.
pub(crate) fn places(directory: &Path) -> Vec<PathBuf> {
    PLACES.iter().map(|place| directory.join(place)).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    const HERE: Reader<'_> =
        Reader { home: "/home/alice", directory: "/home/alice/workspace/thesis", exempt: None };

    #[test]
    fn a_new_file() {
        let text = generate(&Wanted { name: "the \"thesis\"", image: "lab/torch", gpu: false, run: false });
        expect![[r#"
            // Opens this directory in VS Code, Cursor, and whatever else knows Dev Containers (https://containers.dev).
            // `ds01 devcontainer check` tells what a change here would come to.
            {
              "name": "the \"thesis\"",
              "image": "lab/torch",

              // /workspace is what it is in `project launch`: this directory.
              "workspaceMount": "source=${localWorkspaceFolder},target=/workspace,type=bind",
              "workspaceFolder": "/workspace",

              // Without a GPU it is permanent: nobody stops it.

              // Closing the window leaves it running; `container stop` stops it.
              "shutdownAction": "none",

              "customizations": {
                "vscode": {
                  "extensions": ["ms-python.python", "ms-toolsai.jupyter"]
                }
              }
            }
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn our_own_files_have_nothing_wrong_with_them() {
        for (gpu, run) in [(false, false), (false, true), (true, false), (true, true)] {
            let text = generate(&Wanted { name: "thesis", image: "lab/torch", gpu, run });
            let findings = check(&text, &HERE).unwrap();
            let stops: Vec<_> = findings.iter().map(|finding| finding.effect).collect();
            assert_eq!(stops, if gpu { vec![Effect::Stopped] } else { vec![] }, "{text}\n{findings:#?}");
            assert_eq!(text.contains("docker.sock"), run);
        }
    }
}
