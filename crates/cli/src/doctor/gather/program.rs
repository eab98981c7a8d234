//! Programs that are asked one question: by their path, without an environment, for a few seconds, and only where nobody
//! but root could have put another in their place.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::unistd::Pid;
use tokio::process::Command;

use super::super::facts::because;
use super::super::finding::Seen;
use super::files;

/// How long an answer may take; a driver that hangs takes its programs with it.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// The longest answer that is kept, in bytes.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// What a program writes to its standard output, whatever it ends with.
pub(super) async fn output(program: &Path, args: &[&OsStr]) -> Seen<String> {
    let Some(found) = files::program(program)? else {
        return because(format!("there is no {}", program.display()));
    };
    if let Some(step) = found.unsafe_step {
        return because(format!(
            "{} is not run, as others than root can write {}",
            program.display(),
            step.display()
        ));
    }
    run(program, args).await
}

/// The same for the program of a process of root's, which runs as root already.
pub(super) async fn output_of_process(pid: Pid, args: &[&OsStr]) -> Seen<String> {
    run(Path::new(&format!("/proc/{pid}/exe")), args).await
}

async fn run(program: &Path, args: &[&OsStr]) -> Seen<String> {
    let mut command = Command::new(program);
    command.args(args).env_clear().env("LC_ALL", "C.UTF-8").current_dir("/");
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(ANSWER_MAX, command.output()).await {
        Err(_) => because(format!("{} does not answer", program.display())),
        Ok(Err(error)) => because(format!("{} cannot be run: {error}", program.display())),
        Ok(Ok(done)) if done.stdout.is_empty() => because(format!("{} says nothing", program.display())),
        Ok(Ok(mut done)) => {
            done.stdout.truncate(ANSWER_BYTES_MAX);
            Ok(String::from_utf8_lossy(&done.stdout).into_owned())
        }
    }
}

/// The word after `version`, or the last one of the first line: `ds01d 0.1.0`, `… CLI version 1.17.8`.
pub(super) fn version_in(said: &str) -> Option<String> {
    let line = said.lines().next()?;
    let after = line.split_once("version ").map_or(line, |(_, rest)| rest);
    let word = if after == line { line.split_whitespace().last() } else { after.split_whitespace().next() };
    word.map(|word| word.trim_end_matches(',').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        for (said, version) in [
            ("ds01d 0.1.0\n", "0.1.0"),
            ("NVIDIA Container Toolkit CLI version 1.17.8\ncommit: f202b80a\n", "1.17.8"),
            ("Docker version 28.2.2, build e6534b4", "28.2.2"),
        ] {
            assert_eq!(version_in(said).as_deref(), Some(version));
        }
        assert_eq!(version_in(""), None);
    }

    #[tokio::test]
    async fn a_program_that_others_can_replace_is_not_run() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = std::env::temp_dir().join(format!("ds01-doctor-program-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let echo = dir.join("echo");
        std::fs::copy("/bin/echo", &echo).unwrap();
        let mode = |mode| std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o755);
        let said = output(&echo, &["yes".as_ref()]).await;
        mode(0o777);
        let refused = output(&echo, &["yes".as_ref()]).await;
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(said, Ok("yes\n".to_owned()));
        let why = format!("{} is not run, as others than root can write {}", echo.display(), dir.display());
        assert_eq!(refused, because(why));
    }
}
