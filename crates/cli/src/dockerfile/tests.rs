//! Dockerfiles as people write them.

use proptest::prelude::*;

use super::*;

#[test]
fn pieces_are_whole_instructions() {
    let text = "\
# escape=\\
FROM python:3.11 AS base

RUN apt-get update \\
    # what we need
    && apt-get install -y git \\

    curl
COPY <<EOF <<-\"END\" /etc/
RUN is no instruction here
EOF
\tEND
CMD [\"bash\"]";
    let dockerfile = Dockerfile::parse(text);
    let names: Vec<&str> =
        dockerfile.pieces.iter().filter_map(|piece| piece.instruction.as_deref()).collect();
    assert_eq!(names, ["FROM", "RUN", "COPY", "CMD"]);
    assert_eq!(dockerfile.to_string(), text);
    assert_eq!(dockerfile.base().as_deref(), Some("python:3.11"));
}

#[test]
fn the_last_stage_makes_the_image() {
    let base = |text: &str| Dockerfile::parse(text).base();
    assert_eq!(base("FROM a AS one\nFROM --platform=linux/amd64 b\n").as_deref(), Some("b"));
    assert_eq!(base("from a\r\n").as_deref(), Some("a"));
    assert_eq!(base("# nothing\n"), None);
    assert_eq!(base("FROM"), None);
}

proptest! {
    #[test]
    fn what_is_read_is_printed(text in "(?s)(RUN|COPY|FROM|#|<<EOF|EOF|\\\\|`|escape=|\"|'|\n|\r\n|\t| |a|&&|;|\u{e9})*") {
        prop_assert_eq!(Dockerfile::parse(&text).to_string(), text);
    }

    #[test]
    fn any_text_at_all(text in any::<String>()) {
        let dockerfile = Dockerfile::parse(&text);
        let _ = (dockerfile.base(), dockerfile.copied());
        prop_assert_eq!(dockerfile.to_string(), text);
    }

    #[test]
    fn words_stand_where_they_say(text in "(?s)(RUN|pip|\\\\|\n|\"|'| |a|&&|;|#|\u{e9})*") {
        for word in words::shell(&text, '\\').into_iter().chain(words::plain(&text, '\\')) {
            prop_assert!(text.get(word.at.clone()).is_some());
            prop_assert!(!word.at.is_empty());
        }
    }
}

fn packages(text: &str) -> String {
    let told = |package: Package| format!("{:?} {} ({})", package.installer, package.name, package.text);
    Dockerfile::parse(text).packages().into_iter().map(told).collect::<Vec<_>>().join("\n")
}

#[test]
fn packages_are_found_however_they_are_installed() {
    let text = r#"
FROM python:3.11 AS tools
RUN pip install black
FROM tools AS other
RUN pip install never
FROM tools
# the usual
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -o A=b \
        git=1:2.3 \
        # for videos
        ffmpeg \
    && rm -rf /var/lib/apt/lists/*
RUN --mount=type=cache,target=/root/.cache python3 -m pip --quiet install -i https://x/simple "Torch[cuda]>=2" 'numpy<2' \
    -r requirements.txt git+https://example.org/x.git 2>&1 >/dev/null | tail -1
RUN conda install -y -c conda-forge conda-forge::Faiss-GPU=1.8 && conda clean -a
RUN ["pip", "install", "not-read"]
RUN pip install $WHAT uv; uv pip install polars
RUN echo pip install nothing
CMD pip install nothing
"#;
    expect_test::expect![[r#"
        Pip black (black)
        Apt git (git=1:2.3)
        Apt ffmpeg (ffmpeg)
        Pip torch (Torch[cuda]>=2)
        Pip numpy (numpy<2)
        Pip git+https://example.org/x.git (git+https://example.org/x.git)
        Conda faiss-gpu (conda-forge::Faiss-GPU=1.8)
        Pip uv (uv)
        Pip polars (polars)"#]]
    .assert_eq(&packages(text));
}

fn changed(text: &str, change: impl FnOnce(&mut Dockerfile)) -> String {
    let mut dockerfile = Dockerfile::parse(text);
    change(&mut dockerfile);
    assert_eq!(Dockerfile::parse(&dockerfile.to_string()), dockerfile, "it is read as it was changed");
    shown(text, &dockerfile.to_string())
}

/// The difference, without blanks at the ends of lines.
fn shown(before: &str, after: &str) -> String {
    difference("Dockerfile", before, after).lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

const USUAL: &str = "\
FROM pytorch/pytorch:2.8.0
ENV A=1

# Tools
RUN apt-get update && apt-get install -y git && rm -rf /var/lib/apt/lists/*

RUN pip install --no-cache-dir \\
    timm \\
    # from the paper
    einops==0.7 \\
    wandb
COPY . /opt
WORKDIR /workspace
CMD [\"bash\"]
";

#[test]
fn what_is_added_stands_apart() {
    let mut after = Dockerfile::parse(USUAL);
    assert_eq!(after.add(Installer::Pip, "Timm"), Added::Already);
    assert_eq!(after.add(Installer::Pip, "wandb"), Added::Already);
    assert_eq!(after.add(Installer::Pip, "Einops==0.8"), Added::Instead("einops==0.7".to_owned()));
    assert_eq!(after.add(Installer::Pip, "rich>=13"), Added::New);
    assert_eq!(after.add(Installer::Pip, "polars"), Added::New);
    assert_eq!(after.add(Installer::Apt, "ffmpeg"), Added::New);
    assert_eq!(after.add(Installer::Apt, "htop"), Added::New);
    assert_eq!(after.add_requirements("requirements.txt"), Added::New);
    assert_eq!(after.add_requirements("requirements.txt"), Added::Already);
    expect_test::expect![[r#"
        --- Dockerfile
        +++ Dockerfile
        @@ -7,8 +7,23 @@
         RUN pip install --no-cache-dir \
             timm \
             # from the paper
        -    einops==0.7 \
        +    Einops==0.8 \
             wandb
        +
        +# Packages of the distribution that were added later.
        +RUN apt-get update \
        + && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        +    ffmpeg \
        +    htop \
        + && rm -rf /var/lib/apt/lists/*
        +
        +# Added later, and apart: a build takes all above from the one before.
        +RUN pip install --no-cache-dir \
        +    "rich>=13" \
        +    polars
        +
        +COPY requirements.txt /tmp/requirements.txt
        +RUN pip install --no-cache-dir -r /tmp/requirements.txt
         COPY . /opt
         WORKDIR /workspace
         CMD ["bash"]
    "#]]
    .assert_eq(&shown(USUAL, &after.to_string()));
}

#[test]
fn what_is_removed_leaves_the_rest_as_it_was() {
    let removed = |text: &str, installer, names: &[&str]| {
        changed(text, |dockerfile| {
            names.iter().for_each(|name| assert!(dockerfile.remove(installer, name), "{name}"))
        })
    };
    let mut all = String::new();
    for (text, installer, names) in [
        (USUAL, Installer::Pip, &["einops"][..]),
        (USUAL, Installer::Pip, &["wandb", "timm"]),
        (USUAL, Installer::Pip, &["wandb", "timm", "einops"]),
        (USUAL, Installer::Apt, &["git"]),
        ("FROM a\nRUN pip install x && make install\n", Installer::Pip, &["x"]),
        ("FROM a\nRUN make && \\\n    pip install x \\\n  && rm y\n", Installer::Pip, &["x"]),
        ("FROM a\nRUN pip install -r r.txt x\n", Installer::Pip, &["x"]),
        ("FROM a\nRUN pip install x", Installer::Pip, &["x"]),
        ("FROM a\nRUN conda install -y x\n", Installer::Pip, &["X"]),
    ] {
        all += &format!("{names:?}\n{}", removed(text, installer, names));
    }
    expect_test::expect![[r#"
        ["einops"]
        --- Dockerfile
        +++ Dockerfile
        @@ -7,7 +7,6 @@
         RUN pip install --no-cache-dir \
             timm \
             # from the paper
        -    einops==0.7 \
             wandb
         COPY . /opt
         WORKDIR /workspace
        ["wandb", "timm"]
        --- Dockerfile
        +++ Dockerfile
        @@ -5,10 +5,8 @@
         RUN apt-get update && apt-get install -y git && rm -rf /var/lib/apt/lists/*
 
         RUN pip install --no-cache-dir \
        -    timm \
             # from the paper
        -    einops==0.7 \
        -    wandb
        +    einops==0.7
         COPY . /opt
         WORKDIR /workspace
         CMD ["bash"]
        ["wandb", "timm", "einops"]
        --- Dockerfile
        +++ Dockerfile
        @@ -4,11 +4,6 @@
         # Tools
         RUN apt-get update && apt-get install -y git && rm -rf /var/lib/apt/lists/*
 
        -RUN pip install --no-cache-dir \
        -    timm \
        -    # from the paper
        -    einops==0.7 \
        -    wandb
         COPY . /opt
         WORKDIR /workspace
         CMD ["bash"]
        ["git"]
        --- Dockerfile
        +++ Dockerfile
        @@ -2,7 +2,6 @@
         ENV A=1
 
         # Tools
        -RUN apt-get update && apt-get install -y git && rm -rf /var/lib/apt/lists/*
 
         RUN pip install --no-cache-dir \
             timm \
        ["x"]
        --- Dockerfile
        +++ Dockerfile
        @@ -1,2 +1,2 @@
         FROM a
        -RUN pip install x && make install
        +RUN make install
        ["x"]
        --- Dockerfile
        +++ Dockerfile
        @@ -1,4 +1,3 @@
         FROM a
        -RUN make && \
        -    pip install x \
        +RUN make \
           && rm y
        ["x"]
        --- Dockerfile
        +++ Dockerfile
        @@ -1,2 +1,2 @@
         FROM a
        -RUN pip install -r r.txt x
        +RUN pip install -r r.txt
        ["x"]
        --- Dockerfile
        +++ Dockerfile
        @@ -1,2 +1 @@
        -FROM a
        -RUN pip install x
        \ No newline at end of file
        +FROM a
        \ No newline at end of file
        ["X"]
        --- Dockerfile
        +++ Dockerfile
        @@ -1,2 +1 @@
         FROM a
        -RUN conda install -y x
    "#]]
    .assert_eq(&all);
    assert!(!Dockerfile::parse(USUAL).remove(Installer::Pip, "git"));
}

#[test]
fn only_packages_are_written_down() {
    for good in
        ["numpy", "torch>=2,<3", "scikit-learn[all]==1.*", "libgl1", "git+https://x.org/a.git@v1", "g++"]
    {
        assert!(checked(good).is_ok(), "{good}");
    }
    for bad in ["", "-e", "a b", "a;b", "$(x)", "a\nb", "a\"", "`a`", "a&&b", "../x"] {
        assert!(checked(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_draft_reads_as_a_person_would_have_written_it() {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let draft = Draft {
        project: "thesis".to_owned(),
        purpose: "pytorch 2.8.0, computer vision".to_owned(),
        base: "aimehub/pytorch-2.8.0-cuda12.6.3".to_owned(),
        has_framework: true,
        system: words("ffmpeg libgl1"),
        groups: vec![Group { title: "Computer vision".to_owned(), packages: words("timm~=1.0 pillow") }],
        requirements: Some("requirements.txt".to_owned()),
        packages: words("einops wandb"),
    };
    expect_test::expect![[r##"
        # The image of thesis: pytorch 2.8.0, computer vision.
        # After a change: image update thesis --rebuild
        FROM aimehub/pytorch-2.8.0-cuda12.6.3

        # An image has one Python for everything: pip may install into it. What a program prints is seen at once.
        ENV PIP_BREAK_SYSTEM_PACKAGES=1 \
            PIP_DISABLE_PIP_VERSION_CHECK=1 \
            PIP_ROOT_USER_ACTION=ignore \
            PYTHONUNBUFFERED=1

        # Packages of the distribution
        RUN apt-get update \
         && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
            ffmpeg \
            libgl1 \
         && rm -rf /var/lib/apt/lists/*

        # What the base brings of its framework stays: it was built for this CUDA.
        RUN (pip list --format=freeze 2>/dev/null \
             | grep -E '^(torch|torchvision|torchaudio|tensorflow|jax|jaxlib)==' || true) >/etc/pip-kept.txt
        ENV PIP_CONSTRAINT=/etc/pip-kept.txt

        # Computer vision
        RUN pip install --no-cache-dir \
            "timm~=1.0" \
            pillow

        # Packages of this project
        RUN pip install --no-cache-dir \
            einops \
            wandb

        # What requirements.txt of the workspace names
        COPY requirements.txt /tmp/requirements.txt
        RUN pip install --no-cache-dir -r /tmp/requirements.txt

        WORKDIR /workspace
    "##]].assert_eq(&draft.text());
    let mut emptied = Dockerfile::parse(&draft.text());
    assert!(["einops", "wandb"].iter().all(|name| emptied.remove(Installer::Pip, name)));
    assert!(
        !emptied.to_string().contains("# Packages of this project"),
        "a title goes with what it stood above"
    );
    let least = Draft { project: "p".to_owned(), base: "busybox".to_owned(), ..Draft::default() };
    expect_test::expect![[r#"
        # The image of p.
        # After a change: image update p --rebuild
        FROM busybox

        # An image has one Python for everything: pip may install into it. What a program prints is seen at once.
        ENV PIP_BREAK_SYSTEM_PACKAGES=1 \
            PIP_DISABLE_PIP_VERSION_CHECK=1 \
            PIP_ROOT_USER_ACTION=ignore \
            PYTHONUNBUFFERED=1

        WORKDIR /workspace
    "#]].assert_eq(&least.text());
}

/// Dockerfiles as people may have written them.
fn dockerfiles() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("FROM base\n"),
        Just("FROM base AS one\n"),
        Just("USER me\n"),
        Just("\n"),
        Just("# a comment\n"),
        Just("ENV A=1\n"),
        Just("RUN pip install --no-cache-dir \\\n    numpy \\\n    # why\n    pandas\n"),
        Just("RUN pip install one two && echo x\n"),
        Just(
            "RUN apt-get update && \\\n  apt-get install -y git curl \\\n  && rm -rf /var/lib/apt/lists/*\n"
        ),
        Just("COPY . /x\n"),
        Just("RUN echo <<EOF\nEOF\n"),
        Just("WORKDIR /workspace\n"),
    ];
    (proptest::collection::vec(line, 0..12), any::<bool>()).prop_map(|(lines, ended)| {
        let text = format!("# mine\n\nFROM first\n{}", lines.concat());
        if ended { text } else { text.trim_end_matches('\n').to_owned() }
    })
}

proptest! {
    #[test]
    fn added_and_removed_again_it_is_as_it_was(
        text in dockerfiles(),
        adds in proptest::collection::vec((any::<bool>(), "[a-d]x[0-9]"), 1..4),
    ) {
        let mut dockerfile = Dockerfile::parse(&text);
        let mut added = Vec::new();
        for (system, package) in &adds {
            let installer = if *system { Installer::Apt } else { Installer::Pip };
            if dockerfile.add(installer, package) == Added::New {
                added.push((installer, package));
            }
        }
        if dockerfile.last_from().is_some() {
            let names: Vec<_> = dockerfile.packages().into_iter().map(|package| package.name).collect();
            prop_assert!(adds.iter().all(|(_, package)| names.contains(package)), "{}", dockerfile);
        }
        for (installer, package) in added.iter().rev() {
            prop_assert!(dockerfile.remove(*installer, package), "{}", dockerfile);
        }
        prop_assert_eq!(dockerfile.to_string(), text);
    }
}
