//! The administrator's hook: a program of his that is told when a container is warned, spared or stopped, to send mail, say.
//!
//! It reads the journal like anybody else, so that it holds up nobody and nothing waits in memory for it: a slow program
//! hears later. It must never run anything that others than root could have put there.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use ds01_domain::What;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::clock;
use crate::gateway::{Door, event_line};
use crate::ledger::{LedgerError, Line, Reader, Wanted};
use crate::run::LEDGER_FILE;

/// How long the program may take.
const TIME_MAX: Duration = Duration::from_secs(30);
/// How many of it run at a time.
const RUNNING_MAX: usize = 4;
/// Lines that are read at once.
const LINES_READ: u32 = 100;
/// How soon the journal is tried again after it could not be read.
const AGAIN: Duration = Duration::from_secs(10);
/// Whom others may not have changed: neither group nor everybody.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// What the program is told of.
const TOLD: [What; 4] = [What::Warned, What::Spared, What::Stopped, What::WouldStop];

/// Looks whether a program is root's alone, and where it lies in the end.
///
/// # Errors
/// What is wrong with it.
pub fn check(program: &Path) -> Result<PathBuf, String> {
    let shown = program.display();
    let found = program.canonicalize().map_err(|error| format!("{shown}: {error}"))?;
    let file = found.metadata().map_err(|error| format!("{shown}: {error}"))?;
    if !file.is_file() || file.mode() & 0o111 == 0 {
        return Err(format!("{shown} is not a program; chmod 755 makes one of a script"));
    }
    for place in found.ancestors() {
        let of = place.metadata().map_err(|error| format!("{}: {error}", place.display()))?;
        // In a directory like /tmp others cannot change what is root's.
        let sticky = of.is_dir() && of.mode() & 0o1000 != 0;
        if of.uid() != 0 || (of.mode() & WRITABLE_BY_OTHERS != 0 && !sticky) {
            let place = place.display();
            return Err(format!("{shown} would run as root, and others than root can change {place}"));
        }
    }
    Ok(found)
}

/// Tells the program of what happens from now on, until told to stop.
pub async fn follow(door: Arc<Door>, mut stop: watch::Receiver<bool>) {
    let running = Arc::new(Semaphore::new(RUNNING_MAX));
    let mut told = door.coordinator.journal();
    let mut last = None;
    loop {
        told.borrow_and_update();
        if let Err(error) = pass_on(&door, &running, &mut last).await {
            tracing::warn!(error = %crate::Chain(&error), "the lifecycle hook cannot read the journal; it is tried again");
            tokio::time::sleep(AGAIN).await;
            continue;
        }
        tokio::select! {
            changed = told.changed() => if changed.is_err() { return },
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Tells the program of everything since the last line; at first, of nothing.
async fn pass_on(
    door: &Arc<Door>,
    running: &Arc<Semaphore>,
    last: &mut Option<u64>,
) -> Result<(), LedgerError> {
    let path = door.config().paths.state.join(LEDGER_FILE);
    let Some(seen) = *last else {
        let newest = tokio::task::spawn_blocking(move || Reader::open(&path)?.newest()).await;
        *last = newest.ok().transpose()?;
        return Ok(());
    };
    let mut seen = seen;
    loop {
        let path = path.clone();
        let read = move || Reader::open(&path)?.lines(&Wanted::default(), seen, LINES_READ);
        let Ok(lines) = tokio::task::spawn_blocking(read).await else { return Ok(()) };
        let Some(newest) = lines.as_ref().ok().and_then(|lines| lines.last()).map(|line| line.seq) else {
            return lines.map(drop);
        };
        for line in lines?.into_iter().filter(|line| TOLD.contains(&line.entry.what)) {
            let Some(program) = door.config().lifecycle_hook.clone() else { continue };
            let Ok(permit) = running.clone().acquire_owned().await else { return Ok(()) };
            let Ok(now) = door.coordinator.now().await else { return Ok(()) };
            tokio::spawn(tell(program, line, now, permit));
        }
        seen = newest;
        *last = Some(seen);
    }
}

/// Runs the program once.
async fn tell(program: PathBuf, line: Line, now: ds01_domain::Time, _permit: OwnedSemaphorePermit) {
    let event = event_line(&line.entry, now);
    let looked = tokio::task::spawn_blocking(move || check(&program)).await;
    let program = match looked {
        Ok(Ok(program)) => program,
        Ok(Err(problem)) => {
            tracing::warn!(problem, "the lifecycle hook was not run");
            return;
        }
        Err(_) => return,
    };
    let mut command = tokio::process::Command::new(&program);
    command
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("DS01_EVENT", &event.event)
        .env("DS01_USER", event.owner.as_deref().unwrap_or_default())
        .env("DS01_CONTAINER", event.container.as_deref().unwrap_or_default())
        .env("DS01_GPUS", event.units.join(","))
        .env("DS01_TEXT", &event.text)
        .env("DS01_AT", clock::rfc3339(event.at))
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    let json = serde_json::to_vec(&event).unwrap_or_default();
    let done = tokio::time::timeout(TIME_MAX, async {
        let mut child = command.spawn()?;
        let mut group = Group(child.id());
        if let Some(mut stdin) = child.stdin.take() {
            // Who does not read it has the environment.
            let _ = stdin.write_all(&json).await;
        }
        let status = child.wait().await;
        // What it left behind on purpose may go on.
        group.0 = None;
        status
    });
    match done.await {
        Ok(Ok(status)) if status.success() => {
            tracing::debug!(event = event.event, "the lifecycle hook was run");
        }
        Ok(Ok(status)) => {
            tracing::warn!(event = event.event, %status, program = %program.display(), "the lifecycle hook failed");
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, program = %program.display(), "the lifecycle hook could not be run");
        }
        Err(_) => {
            tracing::warn!(event = event.event, program = %program.display(), "the lifecycle hook took longer than 30 s and was killed");
        }
    }
}

/// The program with all that it started: killed together when it takes too long.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.and_then(|group| i32::try_from(group).ok()) {
            // It may be gone by itself.
            let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), nix::sys::signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_what_is_roots_alone_is_run() {
        assert!(check(Path::new("/bin/sh")).is_ok());
        assert!(check(Path::new("/nonexistent")).unwrap_err().contains("No such file"));
        assert!(check(Path::new("/etc")).unwrap_err().contains("is not a program"));
        assert!(check(Path::new("/etc/passwd")).unwrap_err().contains("chmod 755"));
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let directory = std::env::temp_dir().join(format!("ds01-hook-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(&directory, 0o755);
        let program = directory.join("hook");
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        mode(&program, 0o755);
        assert_eq!(check(&program), Ok(program.canonicalize().unwrap()));
        let refused = |what: &Path| {
            let problem = check(&program).unwrap_err();
            assert!(
                problem.ends_with(&format!("others than root can change {}", what.display())),
                "{problem}"
            );
        };
        mode(&program, 0o775);
        refused(&program);
        mode(&program, 0o755);
        mode(&directory, 0o777);
        refused(&directory);
        mode(&directory, 0o755);
        std::os::unix::fs::chown(&program, Some(1234), None).unwrap();
        refused(&program);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
