//! The `image` commands against a fake `ds01d`: what is written, what is asked for, what is told. Builds against a real
//! Engine are the story of tests/e2e/57-images.sh.

use std::path::PathBuf;

use expect_test::expect;
use serde_json::json;

use crate::pty::Session;
use crate::support::*;

const MADE_ID: &str = "sha256:4071107b3a2f268672a71595519ca7af3e7d4bd0bb988ff4ca1bf930a1d972c0";

/// A home directory that goes with the test.
struct Home(PathBuf);

impl Home {
    fn new() -> Self {
        Self(fresh_dir())
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.0.join(path)).unwrap()
    }

    /// Runs a command in it; what it says has `~` for the directory.
    fn run(&self, door: &Fake, line: &str) -> String {
        let text = run(door.command(line).env("HOME", &self.0).current_dir(&self.0)).text();
        format!("$ {line}\n{}", text.replace(self.0.to_str().unwrap(), "~"))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// So that an age is the same whenever the test runs.
fn two_hours_ago() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_secs() - 7900
}

/// A door before a machine with one framework, an image of alice's and one that bob shares.
fn lab() -> Fake {
    Fake::new(|request| {
        let listed = |name: &str, id: &str| json!({"Id": id, "Created": two_hours_ago(), "Size": 2_000_000_000_u64, "RepoTags": [name], "Labels": null});
        let framework = |name: &str, image: &str| json!({"name": name, "image": image});
        match request.line.as_str() {
            "GET /ds01/v1/whoami" => Reply::ok(json!({
                "uid": 1000, "name": "alice", "docker_name": "alice", "group": "student", "unix_groups": [], "admin": false, "via": {"kind": "host"},
            })),
            "GET /ds01/v1/frameworks" => Reply::ok(json!({"frameworks": [
                framework("python-3.11", "python:3.11-slim"), framework("pytorch", "lab/torch:2.9"), framework("pytorch-2.8.0", "lab/torch:2.8"), framework("pytorch-2.7.1", "lab/torch:2.7"),
            ]})),
            "GET /ds01/v1/shares" => Reply::ok(json!({"given": [], "taken": [
                {"kind": "image", "name": "ds01-bob/tools:latest", "owner": "bob", "with": "alice", "write": false},
            ]})),
            "GET /images/json" => Reply::ok(json!([
                listed("ds01-alice/thesis:latest", MADE_ID),
                listed("ds01-bob/tools:latest", "sha256:b0"),
                listed("lab/torch:2.8", "sha256:28"),
            ])),
            "GET /containers/json?all=1" => {
                Reply::ok(json!([{"Names": ["/eval._.alice"], "ImageID": MADE_ID, "State": "exited"}]))
            }
            "GET /images/ds01-alice%2Fthesis%3Alatest/json" => Reply::ok(json!({
                "Id": MADE_ID, "Created": "2030-01-01T00:00:00Z", "Size": 2_000_000_000_u64, "Config": {"Labels": null},
            })),
            line if line.starts_with("DELETE /images/ds01-alice%2Fthesis%3Alatest") => Reply::ok(json!([])),
            other => Reply::Json(404, json!({"message": format!("No such image: {other}")})),
        }
    })
}

#[test]
fn a_dockerfile_is_written_and_never_over_another() {
    let (home, door) = (Home::new(), lab());
    home.write("workspace/thesis/requirements.txt", "rich\n");
    let mut seen = home.run(
        &door,
        "image-create thesis --use-case cv,ml -s git ffmpeg -p wandb scikit-learn==1.5 -r workspace/thesis/requirements.txt --no-build",
    );
    seen += &home.read("dockerfiles/thesis.Dockerfile");
    seen += &home.run(&door, "image create thesis --base busybox --yes");
    seen += &home.run(&door, "image create thesis --base busybox --force --no-build --yes");
    seen += &home.read("dockerfiles/thesis.Dockerfile");
    seen += &home.run(&door, "image create tools --python 3.11 --dry-run");
    seen += &home.run(&door, "image create tools --python 2.7 --dry-run");
    assert!(home.read("dockerfiles/thesis.Dockerfile.old").contains("What requirements.txt"));
    assert!(!home.0.join("dockerfiles/tools.Dockerfile").exists());
    expect![[r#"
        $ image-create thesis --use-case cv,ml -s git ffmpeg -p wandb scikit-learn==1.5 -r workspace/thesis/requirements.txt --no-build
          image update thesis --edit      change it, and build
          image update thesis --rebuild   build the image
        wrote ~/dockerfiles/thesis.Dockerfile
        exit 0
        # The image of thesis: pytorch 2.8.0, computer vision, machine learning.
        # After a change: image update thesis --rebuild
        FROM lab/torch:2.8

        # An image has one Python for everything: pip may install into it. What a program prints is seen at once.
        ENV PIP_BREAK_SYSTEM_PACKAGES=1 \
            PIP_DISABLE_PIP_VERSION_CHECK=1 \
            PIP_ROOT_USER_ACTION=ignore \
            PYTHONUNBUFFERED=1

        # Packages of the distribution
        RUN apt-get update \
         && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
            ffmpeg \
            git \
         && rm -rf /var/lib/apt/lists/*

        # What the base brings of its framework stays: it was built for this CUDA.
        RUN (pip list --format=freeze 2>/dev/null \
             | grep -E '^(torch|torchvision|torchaudio|tensorflow|jax|jaxlib)==' || true) >/etc/pip-kept.txt
        ENV PIP_CONSTRAINT=/etc/pip-kept.txt

        # Computer vision
        RUN pip install --no-cache-dir \
            opencv-python-headless \
            pillow \
            albumentations \
            "timm~=1.0" \
            scikit-image

        # Machine learning
        RUN pip install --no-cache-dir \
            scipy \
            pandas \
            matplotlib \
            seaborn \
            xgboost \
            lightgbm \
            optuna

        # Packages of this project
        RUN pip install --no-cache-dir \
            wandb \
            scikit-learn==1.5

        # What requirements.txt of the workspace names
        COPY requirements.txt /tmp/requirements.txt
        RUN pip install --no-cache-dir -r /tmp/requirements.txt

        WORKDIR /workspace
        $ image create thesis --base busybox --yes
        error: thesis has a Dockerfile already: ~/dockerfiles/thesis.Dockerfile
        hint: image update thesis changes it and builds; --force writes it anew and keeps the old one beside it
        exit 1
        $ image create thesis --base busybox --force --no-build --yes
          image update thesis --edit      change it, and build
          image update thesis --rebuild   build the image
        the Dockerfile that was there is kept: ~/dockerfiles/thesis.Dockerfile.old
        wrote ~/dockerfiles/thesis.Dockerfile
        exit 0
        # The image of thesis.
        # After a change: image update thesis --rebuild
        FROM busybox

        # An image has one Python for everything: pip may install into it. What a program prints is seen at once.
        ENV PIP_BREAK_SYSTEM_PACKAGES=1 \
            PIP_DISABLE_PIP_VERSION_CHECK=1 \
            PIP_ROOT_USER_ACTION=ignore \
            PYTHONUNBUFFERED=1

        WORKDIR /workspace
        $ image create tools --python 3.11 --dry-run
        # The image of tools: python 3.11.
        # After a change: image update tools --rebuild
        FROM python:3.11-slim

        # An image has one Python for everything: pip may install into it. What a program prints is seen at once.
        ENV PIP_BREAK_SYSTEM_PACKAGES=1 \
            PIP_DISABLE_PIP_VERSION_CHECK=1 \
            PIP_ROOT_USER_ACTION=ignore \
            PYTHONUNBUFFERED=1

        WORKDIR /workspace
        exit 0
        $ image create tools --python 2.7 --dry-run
        error: there is no python 2.7 here; there are: 3.11
        hint: take one of these, or name an image: --base IMAGE
        exit 4
    "#]].assert_eq(&seen);
}

#[test]
fn flags_change_a_dockerfile_that_a_person_wrote() {
    let (home, door) = (Home::new(), lab());
    home.write(
        "workspace/thesis/Dockerfile",
        "FROM lab/torch:2.8\n# tools\nRUN apt-get update && apt-get install -y git curl\nRUN pip install \\\n    numpy==1.26 \\\n    wandb\nCMD bash\n",
    );
    home.write("requirements.txt", "rich\n");
    let mut seen = String::new();
    for line in [
        "image update thesis --add numpy==2.1 einops --remove wandb --add-system ffmpeg --remove-system git --no-build",
        "image-update thesis --add wandb --no-build --json",
        "image update thesis -r requirements.txt --dry-run",
        "image update thesis --remove wandb torch --no-build",
        "image update thesis --add numpy --no-build",
        "image update thesis --add -x",
        "image update nothing --add numpy",
    ] {
        seen += &home.run(&door, line);
    }
    expect![[r#"
        $ image update thesis --add numpy==2.1 einops --remove wandb --add-system ffmpeg --remove-system git --no-build
        The Dockerfile is written; the image is as it was.
          image update thesis --rebuild   build the image
        numpy==2.1 takes the place of numpy==1.26
        --- ~/workspace/thesis/Dockerfile
        +++ ~/workspace/thesis/Dockerfile
        @@ -1,7 +1,16 @@
         FROM lab/torch:2.8
         # tools
        -RUN apt-get update && apt-get install -y git curl
        +RUN apt-get update && apt-get install -y curl
         RUN pip install \
        -    numpy==1.26 \
        -    wandb
        +    numpy==2.1
        +
        +# Packages of the distribution that were added later.
        +RUN apt-get update \
        + && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        +    ffmpeg \
        + && rm -rf /var/lib/apt/lists/*
        +
        +# Added later, and apart: a build takes all above from the one before.
        +RUN pip install --no-cache-dir \
        +    einops
         CMD bash
        exit 0
        $ image-update thesis --add wandb --no-build --json
        {
          "project": "thesis",
          "dockerfile": "~/workspace/thesis/Dockerfile",
          "diff": "--- ~/workspace/thesis/Dockerfile\n+++ ~/workspace/thesis/Dockerfile\n@@ -12,5 +12,6 @@\n \n # Added later, and apart: a build takes all above from the one before.\n RUN pip install --no-cache-dir \\\n-    einops\n+    einops \\\n+    wandb\n CMD bash\n",
          "dry_run": false
        }
        exit 0
        $ image update thesis -r requirements.txt --dry-run
        --- ~/workspace/thesis/Dockerfile
        +++ ~/workspace/thesis/Dockerfile
        @@ -14,4 +14,7 @@
         RUN pip install --no-cache-dir \
             einops \
             wandb
        +
        +COPY requirements.txt /tmp/requirements.txt
        +RUN pip install --no-cache-dir -r /tmp/requirements.txt
         CMD bash
        exit 0
        $ image update thesis --remove wandb torch --no-build
        error: ~/workspace/thesis/Dockerfile does not install torch: nothing was changed
        hint: it installs numpy==2.1 einops
        exit 4
        $ image update thesis --add numpy --no-build
        Nothing was changed.
          image update thesis --rebuild   build the image
        ~/workspace/thesis/Dockerfile installs numpy already
        exit 0
        $ image update thesis --add -x
        error: unexpected argument '-x' found

          tip: to pass '-x' as a value, use '-- -x'

        Usage: image update [OPTIONS] [NAME]

        hint: image update --help shows what it takes
        exit 2
        $ image update nothing --add numpy
        error: nothing has no image, and no Dockerfile to build one from
        hint: image create nothing writes one; or write ~/workspace/nothing/Dockerfile yourself
        exit 4
    "#]].assert_eq(&seen);
}

#[test]
fn lists() {
    let (home, door) = (Home::new(), lab());
    home.write("dockerfiles/plan.Dockerfile", "FROM lab/torch:2.8\n");
    let seen = home.run(&door, "image ls") + &home.run(&door, "image list --all");
    expect![[r#"
        $ image ls
        IMAGE                   STATE           SIZE      BUILT            USED BY   FROM
        plan                    not built       -         -                -         lab/torch:2.8
        thesis                  built           1.8 GiB   2 h 11 min ago   eval      -
        ds01-bob/tools:latest   shared by bob   1.8 GiB   2 h 11 min ago   -         -
          image update plan --rebuild   build what its Dockerfile says
        exit 0
        $ image list --all
        IMAGE                   STATE           SIZE      BUILT            USED BY   FROM
        plan                    not built       -         -                -         lab/torch:2.8
        thesis                  built           1.8 GiB   2 h 11 min ago   eval      -
        ds01-bob/tools:latest   shared by bob   1.8 GiB   2 h 11 min ago   -         -
        lab/torch:2.8           built           1.8 GiB   2 h 11 min ago   -         -
          image update plan --rebuild   build what its Dockerfile says
        exit 0
    "#]]
    .assert_eq(&seen);
}

#[test]
fn deleting_tells_what_depends_on_it() {
    let (home, door) = (Home::new(), lab());
    home.write("workspace/thesis/Dockerfile", "FROM lab/torch:2.8\n");
    let mut seen = String::new();
    for line in [
        "image delete thesis nothing",
        "image rm thesis --force --yes",
        "image delete ds01-alice/thesis:latest --force --yes --json",
        "image delete My-Thesis",
    ] {
        seen += &home.run(&door, line);
    }
    expect![[r#"
        $ image delete thesis nothing
        error: ds01-alice/thesis:latest stays: containers were made of it: eval._.alice (exited)
        hint: container retire eval first, or add --force: they run on with what they have
        error: nothing has no image: there is no ds01-alice/nothing:latest
        hint: image list shows what you have
        exit 1
        $ image rm thesis --force --yes
        ds01-alice/thesis:latest is deleted.
          Still with what it held: eval._.alice
          ~/workspace/thesis/Dockerfile is kept.
          image update thesis --rebuild   builds it again
        exit 0
        $ image delete ds01-alice/thesis:latest --force --yes --json
        {
          "deleted": [
            {
              "image": "ds01-alice/thesis:latest",
              "containers": [
                "eval._.alice"
              ]
            }
          ]
        }
        exit 0
        $ image delete My-Thesis
        error: the project name "My-Thesis" has upper-case letters, which Docker refuses
        hint: call it my-thesis
        exit 2
    "#]]
    .assert_eq(&seen);
    let deleted = door.lines().into_iter().filter(|line| line.starts_with("DELETE")).count();
    assert_eq!(deleted, 2, "one for each that may go");
}

#[test]
fn questions_are_asked_on_a_terminal_and_ctrl_c_leaves_nothing() {
    let (home, door) = (Home::new(), lab());
    let at_home = [("HOME", home.0.to_str().unwrap())];
    let mut session = Session::with(&door, "image create", &at_home);
    session.await_text("Project:");
    session.type_in("notes\r");
    session.await_text("Framework:");
    session.type_in("\r");
    session.await_text("Version:");
    session.type_in("\r");
    session.await_text("What for?");
    session.type_in("\x03");
    session.await_text("broken off; nothing was changed");
    assert_eq!(session.end().0, Some(130));
    assert!(!home.0.join("dockerfiles").exists());

    let mut session = Session::with(&door, "image create notes --framework pytorch --no-build", &at_home);
    session.await_text("What for?");
    // The second of the list.
    session.type_in("\x1b[B \r");
    session.await_text("Python packages besides:");
    session.type_in("wandb\r");
    session.await_text("Packages of the distribution:");
    session.type_in("\r");
    session.await_text("Write it?");
    session.type_in("\r");
    let (code, seen) = session.end();
    assert_eq!(code, Some(0), "{seen}");
    let written = home.read("dockerfiles/notes.Dockerfile");
    assert!(written.contains("FROM lab/torch:2.8\n") && written.contains("# Computer vision"), "{written}");
    assert!(written.contains("RUN pip install --no-cache-dir \\\n    wandb\n"), "{written}");
}

#[test]
fn packages_are_picked_on_a_full_screen() {
    let (home, door) = (Home::new(), lab());
    home.write("dockerfiles/thesis.Dockerfile", "FROM lab/torch:2.8\nRUN pip install numpy\n");
    let at_home = [("HOME", home.0.to_str().unwrap())];
    let mut session = Session::with(&door, "image update", &at_home);
    session.await_shown("which one?");
    session.type_in("\r");
    session.await_shown("[x] numpy");
    session.type_in(" ");
    session.await_shown("1 to remove");
    session.type_in("\x03");
    assert_eq!(session.end().0, Some(0));
    assert!(home.read("dockerfiles/thesis.Dockerfile").contains("numpy"), "Ctrl-C drops what was marked");

    let mut session = Session::with(&door, "image-update", &at_home);
    session.await_shown("which one?");
    session.type_in("\r");
    session.await_shown("[x] numpy");
    session.type_in("einops\r\r");
    session.await_shown("+RUN pip install");
    session.type_in("w");
    session.await_text("The Dockerfile is written");
    assert_eq!(session.end().0, Some(0));
    assert!(
        home.read("dockerfiles/thesis.Dockerfile")
            .ends_with("RUN pip install --no-cache-dir \\\n    einops\n")
    );
    // Named, its packages are there at once.
    let mut session = Session::with(&door, "image update thesis", &at_home);
    session.await_shown("[x] einops");
    session.type_in(" \r");
    session.await_shown("-RUN pip install numpy");
    session.type_in("w");
    session.await_text("The Dockerfile is written");
    assert_eq!(session.end().0, Some(0));
    let written = home.read("dockerfiles/thesis.Dockerfile");
    assert!(written.contains("einops") && !written.contains("numpy"), "{written}");
    // A flag says what is to be done, and a screen that cannot be drawn on shows nothing.
    let mut session = Session::with(&door, "image update thesis --no-build", &at_home);
    session.await_text("Nothing was changed.");
    assert_eq!(session.end().0, Some(0));
    let nobody = home.run(&door, "image update");
    assert!(nobody.contains("which project?") && nobody.contains("exit 2"), "{nobody}");
}

#[test]
fn groups_show_their_commands() {
    let help = run(&mut command("image"));
    assert!(help.err.contains("delete") && help.code == Some(2), "{help:?}");
}
