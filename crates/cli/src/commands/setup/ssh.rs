//! `ds01 ssh-setup`: a key of one's own, and what one's own computer needs. It must never replace a key, nor a line of a file.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use ds01_api::{Exit, codes};
use tokio::process::Command;

use super::{failed, host, user};
use crate::args::SshSetupArgs;
use crate::commands::{home, spoken};
use crate::failure::Failure;
use crate::render::{QUIET, TITLE, styled};
use crate::ui::Ui;

/// Keys that are there are found by these, best first.
const KEYS: [&str; 3] = ["id_ed25519.pub", "id_ecdsa.pub", "id_rsa.pub"];
/// What a public key begins with.
const KINDS: [&str; 5] = ["ssh-ed25519", "ecdsa-sha2-", "ssh-rsa", "sk-ssh-ed25519@", "sk-ecdsa-sha2-"];

pub(crate) async fn perform(args: &SshSetupArgs, ui: Ui) -> Result<u8, Failure> {
    let directory = home()?.join(".ssh");
    let authorized = args.authorize.as_deref().map(one_line).transpose()?;
    if !directory.exists() && !args.dry_run {
        let made = fs::DirBuilder::new().mode(0o700).create(&directory);
        made.map_err(|error| failed(&directory, &error))?;
    }
    let key = match KEYS.iter().map(|name| directory.join(name)).find(|key| key.exists()) {
        Some(key) => {
            ui.say(&format!("You have a key: {}\n", spoken(&key)));
            Some(key)
        }
        None if args.dry_run => {
            ui.say(&format!("A key would be made: {}\n", spoken(&directory.join(KEYS[0]))));
            None
        }
        None => Some(make(&directory, ui).await?),
    };
    if let Some(authorized) = authorized {
        authorize(&directory, authorized, args.dry_run, ui)?;
    }
    if let Some(key) = key {
        let text = fs::read_to_string(&key).map_err(|error| failed(&key, &error))?;
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        ui.say(&format!("\n{}\n  {text}\n", styled(TITLE, "Its public half, for GitHub and the like")));
    }
    let (host, user) = (host(), user());
    ui.say(&format!(
        "\n{}\n  Host {host}\n      User {user}\n      ServerAliveInterval 30\n\n\
         {QUIET}Where {host} is not found by its name: HostName and its address. To log in by a key of that computer:\n\
         ds01 ssh-setup --authorize 'what stands in its ~/.ssh/id_ed25519.pub'{QUIET:#}\n",
        styled(TITLE, "For ~/.ssh/config on your own computer")
    ));
    Ok(0)
}

/// Makes a key without a passphrase: whoever has this account has its files anyway.
async fn make(directory: &Path, ui: Ui) -> Result<PathBuf, Failure> {
    let key = directory.join("id_ed25519");
    let comment = format!("{}@{}", user(), host());
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", &comment, "-f"]).arg(&key);
    // It asks before it replaces a key; nobody answers, so it never does.
    let made = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let why = match made {
        Ok(made) if made.status.success() => {
            ui.say(&format!("A key is made: {}\n", spoken(&key)));
            return Ok(directory.join(KEYS[0]));
        }
        Ok(made) => {
            String::from_utf8_lossy(&made.stderr).lines().next().unwrap_or("it says nothing").to_owned()
        }
        Err(error) => error.to_string(),
    };
    Err(Failure::new(Exit::Failed, codes::INTERNAL, format!("ssh-keygen made no key: {why}"))
        .with_hint("is it installed? The package is openssh-client"))
}

/// A public key is one line that begins with its kind; options before it would be more than a key.
fn one_line(key: &str) -> Result<&str, Failure> {
    let key = key.trim();
    let known = KINDS.iter().any(|kind| key.starts_with(kind));
    let whole = key.split_whitespace().nth(1).is_some_and(|body| body.len() > 40);
    if known && whole && !key.contains(char::is_control) && !key.contains("PRIVATE") {
        return Ok(key);
    }
    Err(Failure::usage("that is no public key")
        .with_hint("it is the one line in ~/.ssh/id_ed25519.pub of your own computer"))
}

fn authorize(directory: &Path, key: &str, dry_run: bool, ui: Ui) -> Result<(), Failure> {
    let file = directory.join("authorized_keys");
    let there = fs::read_to_string(&file).unwrap_or_default();
    let body = key.split_whitespace().nth(1).unwrap_or(key);
    if there.lines().any(|line| line.split_whitespace().any(|word| word == body)) {
        ui.say("That key is let in already.\n");
        return Ok(());
    }
    if dry_run {
        ui.say(&format!("That key would be let in: a line more in {}\n", spoken(&file)));
        return Ok(());
    }
    let end = if there.is_empty() || there.ends_with('\n') { "" } else { "\n" };
    let opened = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&file);
    let written = opened.and_then(|mut opened| opened.write_all(format!("{end}{key}\n").as_bytes()));
    written.map_err(|error| failed(&file, &error))?;
    ui.say(&format!("That key is let in: a line more in {}\n", spoken(&file)));
    Ok(())
}
