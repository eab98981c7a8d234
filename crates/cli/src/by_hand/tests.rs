//! Containers as the Engine and their own files tell of them.

use serde_json::json;

use super::*;
use crate::dockerfile::Installer;

/// What is new in a container; a path with `~` before it is one that was changed.
fn changes(paths: &[&str]) -> Vec<Change> {
    let change = |path: &&str| match path.strip_prefix('~') {
        Some(path) => json!({"Path": path, "Kind": 0}),
        None => json!({"Path": path, "Kind": 1}),
    };
    serde_json::from_value(paths.iter().map(change).collect()).unwrap()
}

fn files(files: &[(&str, &str)]) -> Files {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

fn told(changes: &[Change], files: &Files) -> Vec<String> {
    let by = |installer| match installer {
        Installer::Apt => "apt",
        Installer::Conda => "conda",
        Installer::Pip => "pip",
    };
    let found = found(changes, files);
    let packages = found.packages.iter().map(|package| format!("{} {}", by(package.installer), package.text));
    let elsewhere = found.elsewhere.iter().map(|(prefix, texts)| format!("{prefix}: {}", texts.join(" ")));
    packages.chain(elsewhere).collect()
}

#[test]
fn of_pip_only_what_was_asked_for() {
    let changes = changes(&[
        "/home/a/.local/lib/python3.11/site-packages/scikit_learn-1.5.0.dist-info/REQUESTED",
        "/home/a/.local/lib/python3.11/site-packages/scipy-1.1.dist-info/METADATA",
        "~/usr/lib/python3/dist-packages/rich-13.0.dist-info/REQUESTED",
        "/opt/x-1.0.dist-info/REQUESTED",
        "/usr/lib/python3/dist-packages/pip-24.0.dist-info/REQUESTED",
        "/usr/lib/python3/dist-packages/einops-0.8.0.dist-info/REQUESTED",
        "/usr/lib/python3/dist-packages/$(x)-0.8.0.dist-info/REQUESTED",
    ]);
    assert_eq!(telling(&changes), [""; 0], "the marks say it all");
    assert_eq!(told(&changes, &Files::new()), ["pip einops==0.8.0", "pip scikit-learn==1.5.0"]);
}

#[test]
fn of_the_distribution_neither_dependencies_nor_what_is_gone_again() {
    let changes = changes(&[
        "~/var/lib/dpkg/status",
        "/var/lib/dpkg/info/ffmpeg.list",
        "/var/lib/dpkg/info/libavcodec59:amd64.list",
        "/var/lib/dpkg/info/libsndfile1:amd64.list",
        "/var/lib/dpkg/info/nginx.list",
        "~/var/lib/dpkg/info/bash.list",
        "/var/lib/dpkg/info/ffmpeg.md5sums",
    ]);
    assert_eq!(telling(&changes), ["/var/lib/dpkg/status", "/var/lib/apt/extended_states"]);
    let status = |name: &str, status: &str| format!("Package: {name}\nStatus: {status}\nVersion: 1\n\n");
    let installed =
        ["bash", "ffmpeg", "libavcodec59", "libsndfile1"].map(|n| status(n, "install ok installed"));
    let status = installed.concat() + &status("nginx", "deinstall ok config-files");
    let states = "Package: libavcodec59\nArchitecture: amd64\nAuto-Installed: 1\n\nPackage: libsndfile1\nArchitecture: amd64\nAuto-Installed: 0\n";
    let read = files(&[("/var/lib/dpkg/status", &status), ("/var/lib/apt/extended_states", states)]);
    assert_eq!(told(&changes, &read), ["apt ffmpeg", "apt libsndfile1"]);
    assert_eq!(told(&changes, &Files::new()), [""; 0], "what cannot be read is not guessed");
}

const HISTORY: &str = r#"==> 2026-01-02 10:00:00 <==
# cmd: /opt/conda/bin/conda install -y scipy
+defaults/linux-64::scipy-1.11.0-py311_0
# update specs: ['scipy']
==> 2026-11-21 18:00:00 <==
# cmd: /opt/conda/bin/conda install -c conda-forge einops numpy=2
# conda version: 24.1.2
-defaults/linux-64::scipy-1.11.0-py311_0
+conda-forge/linux-64::numpy-2.1.0-py311h43a39b2_0
+conda-forge/linux-64::scipy-1.14.0-py311_1
+conda-forge/noarch::einops-0.8.0-pyhd8ed1ab_0
# update specs: ['einops', "numpy[version='>=2']"]
==> 2026-11-21 18:05:00 <==
# cmd: mamba install jq ripgrep
+https://conda.anaconda.org/pkgs/main/linux-64::jq-1.7-h1_0
# update specs: ["jq", "ripgrep"]
==> 2026-11-21 18:10:00 <==
# cmd: /opt/conda/bin/conda update conda
+conda-forge::zstd-1.5.6-h1_0
+conda-forge::conda-24.9.0-py311_0
# update specs: ['conda', 'zstd']
"#;

#[test]
fn of_conda_what_its_history_was_asked_for_and_the_image_has_not() {
    let changes = changes(&[
        "~/opt/conda/conda-meta/history",
        "/opt/conda/conda-meta/numpy-2.1.0-py311h43a39b2_0.json",
        "/opt/conda/conda-meta/scipy-1.14.0-py311_1.json",
        "/opt/conda/conda-meta/einops-0.8.0-pyhd8ed1ab_0.json",
        "/opt/conda/conda-meta/jq-1.7-h1_0.json",
        "/opt/conda/conda-meta/zstd-1.5.6-h1_0.json",
        "/opt/conda/conda-meta/conda-24.9.0-py311_0.json",
        // What conda brings has pip's mark, too.
        "/opt/conda/lib/python3.11/site-packages/einops-0.8.0.dist-info/REQUESTED",
        "/opt/conda/lib/python3.11/site-packages/wandb-0.17.0.dist-info/REQUESTED",
    ]);
    let info = |name: &str| format!("/opt/conda/lib/python3.11/site-packages/{name}.dist-info/INSTALLER");
    assert_eq!(
        telling(&changes),
        [
            "/opt/conda/conda-meta/history",
            "/opt/conda/bin/conda",
            &info("einops-0.8.0"),
            &info("wandb-0.17.0"),
        ]
    );
    let mut read = files(&[
        ("/opt/conda/conda-meta/history", HISTORY),
        ("/opt/conda/bin/conda", "#!/opt/conda/bin/python"),
        (&info("einops-0.8.0"), "conda"),
        (&info("wandb-0.17.0"), "pip\n"),
    ]);
    let expected = [
        "conda conda-forge::einops=0.8.0",
        "conda conda-forge::numpy=2.1.0",
        "conda conda-forge::zstd=1.5.6",
        "conda jq=1.7",
        "pip wandb==0.17.0",
    ];
    assert_eq!(told(&changes, &read), expected, "scipy came along, and was there before in another version");
    read.remove("/opt/conda/bin/conda");
    assert_eq!(
        told(&changes, &read),
        [
            "pip wandb==0.17.0",
            "/opt/conda: conda-forge::einops=0.8.0 conda-forge::numpy=2.1.0 conda-forge::zstd=1.5.6 jq=1.7"
        ]
    );
}
