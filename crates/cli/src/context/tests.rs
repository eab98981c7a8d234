//! Contexts of real directories.

use std::fs;
use std::io::Read as _;

use super::*;

struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ds01-context-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn with(self, path: &str, content: &str) -> Self {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn paths(&self, dockerfile: &str) -> String {
        let context = Context::gather(dockerfile.to_owned(), &self.0).unwrap();
        context.entries.iter().map(|entry| entry.path.as_str()).collect::<Vec<_>>().join(" ")
    }

    fn digest(&self, dockerfile: &str) -> String {
        Context::gather(dockerfile.to_owned(), &self.0).unwrap().digest().unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn only_what_is_copied_is_taken() {
    let dir = Dir::new("copied")
        .with("requirements.txt", "numpy\n")
        .with("data/raw/1.csv", "1")
        .with("src/train.py", "")
        .with("src/notes.md", "")
        .with("Dockerfile", "not this one");
    assert_eq!(dir.paths("FROM x\nRUN true\n"), "");
    assert_eq!(dir.paths("FROM x\nCOPY requirements.txt /tmp/\n"), "requirements.txt");
    assert_eq!(dir.paths("FROM x\nCOPY ./src/ /src\n"), "src src/notes.md src/train.py");
    assert_eq!(dir.paths("FROM x\nCOPY src/*.py /src/\n"), "src/train.py");
    assert_eq!(dir.paths("FROM x\nCOPY [\"src/train.py\", \"/a b/\"]\n"), "src/train.py");
    assert_eq!(dir.paths("FROM x\nCOPY --from=y /data /data\n"), "");
    let all = "data data/raw data/raw/1.csv requirements.txt src src/notes.md src/train.py";
    assert_eq!(dir.paths("FROM x\nCOPY . /workspace\n"), all);
    assert_eq!(dir.paths("FROM x\nCOPY $WHAT /workspace\n"), all, "it cannot be told");
    let dir = dir.with(".dockerignore", "data\n**/*.md\n.dockerignore\n");
    assert_eq!(dir.paths("FROM x\nCOPY . /workspace\n"), "requirements.txt src src/train.py");
    fs::remove_file(dir.0.join(".dockerignore")).unwrap();
    let dir = dir.with(".dockerignore", "*\n!src/train.py\n");
    assert_eq!(dir.paths("FROM x\nCOPY . /workspace\n"), "src/train.py");
    std::os::unix::fs::symlink("src", dir.0.join("code")).unwrap();
    assert_eq!(dir.paths("FROM x\nCOPY code /code\n"), "src/train.py", "what a link leads to is sent, too");
}

#[test]
fn a_directory_that_is_not_there_has_nothing() {
    let nowhere = Path::new("/nonexistent/thesis");
    let context = Context::gather("FROM x\nCOPY a /a\n".to_owned(), nowhere).unwrap();
    assert_eq!(context.entries.len(), 0);
}

#[test]
fn any_change_of_what_is_copied_is_a_change() {
    let dir = Dir::new("digest").with("requirements.txt", "numpy\n").with("notes", "x");
    let dockerfile = "FROM x\nCOPY requirements.txt /\n";
    let before = dir.digest(dockerfile);
    assert_eq!(before, dir.digest(dockerfile));
    assert_ne!(before, dir.digest("FROM y\nCOPY requirements.txt /\n"));
    let dir = dir.with("notes", "y");
    assert_eq!(before, dir.digest(dockerfile), "nobody copies it");
    let dir = dir.with("requirements.txt", "pandas\n");
    assert_ne!(before, dir.digest(dockerfile));
    let large = "x".repeat(usize::try_from(READ_BYTES_MAX).unwrap() + 1);
    let dir = dir.with("requirements.txt", &large);
    let before = dir.digest(dockerfile);
    let dir = dir.with("requirements.txt", &(large + "x"));
    assert_ne!(before, dir.digest(dockerfile));
}

#[tokio::test]
async fn the_archive_holds_the_dockerfile_and_what_it_copies() {
    let dir = Dir::new("pack").with("src/train.py", "print(1)").with("src/run.sh", "true");
    let context = Context::gather("FROM x\nCOPY src /src\n".to_owned(), &dir.0).unwrap();
    let mut pieces = pack(context);
    let mut packed = Vec::new();
    while let Some(piece) = pieces.recv().await {
        packed.extend_from_slice(&piece.unwrap());
    }
    let mut archive = tar::Archive::new(packed.as_slice());
    let mut seen = String::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        let header = entry.header();
        seen += &format!(
            "{} {}:{} {content:?}\n",
            entry.path().unwrap().display(),
            header.uid().unwrap(),
            header.gid().unwrap()
        );
    }
    assert_eq!(
        seen,
        "Dockerfile 0:0 \"FROM x\\nCOPY src /src\\n\"\nsrc/ 0:0 \"\"\nsrc/run.sh 0:0 \"true\"\nsrc/train.py 0:0 \"print(1)\"\n"
    );
}
