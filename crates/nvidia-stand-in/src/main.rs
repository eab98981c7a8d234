//! A stand-in for the NVIDIA container runtime, for tests on machines without a GPU.
//!
//! It accepts what the real one (toolkit 1.18) accepts, fails as it fails, and attaches device nodes that a machine
//! file lists in place of real ones. Where the real one is lenient in a way that nobody should build on, this one is
//! strict. It attaches nodes only, no libraries; it does not look at `NVIDIA_REQUIRE_*`, IMEX channels or the gated
//! features (GDS, MOFED, …). In mode `legacy` the real one fails in a hook of runc's, this one before runc is reached,
//! with the line that the hook would write.
//!
//! Its configuration is `<its own path>.json`, in the words of the real `config.toml`.

mod config;
mod image;
mod inject;
mod machine;
mod select;

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::Value;

use crate::config::Config;

/// Why no container was started; the text is what the real runtime would say.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("could not use the stand-in's file {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("could not read the stand-in's file {path}: {source}")]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("error getting bundle dir from args: bundle option requires an argument")]
    BundleWithoutValue,
    #[error("failed to construct OCI spec modifier: {0}")]
    Image(#[from] image::ImageError),
    #[error("{0}")]
    Select(#[from] select::SelectError),
    #[error("error locating runtime: {path}: {source}")]
    Exec { path: PathBuf, source: std::io::Error },
}

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    match carry_out(&args) {
        Ok(never) => match never {},
        Err(failure) => {
            report(&args, &failure.to_string());
            ExitCode::FAILURE
        }
    }
}

fn carry_out(args: &[OsString]) -> Result<Infallible, Failure> {
    let mut beside = std::env::current_exe()
        .map_err(|source| Failure::File { path: PathBuf::from("/proc/self/exe"), source })?;
    beside.as_mut_os_string().push(".json");
    let config: Config = read(&beside)?;
    // Like the real one, only the word `create` is looked for: `run` is handed on as it is.
    if has_create(args) {
        let bundle = option(args, &["bundle", "b"]).map_err(|()| Failure::BundleWithoutValue)?;
        let path = Path::new(&bundle.unwrap_or_else(|| ".".into())).join("config.json");
        let mut spec: Value = read(&path)?;
        let machine: machine::Machine = read(&config.machine)?;
        let asked = image::read(&config, &spec)?;
        if let Some(edits) = select::select(&config, &machine, &asked)? {
            inject::inject(&mut spec, &edits);
            let text = spec.to_string();
            std::fs::write(&path, text).map_err(|source| Failure::File { path, source })?;
        }
    }
    let source = Command::new(&config.runtime).args(args).exec();
    Err(Failure::Exec { path: config.runtime, source })
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let text = std::fs::read(path).map_err(|source| Failure::File { path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|source| Failure::Json { path: path.to_owned(), source })
}

/// An option's name, and its value if it is in the same argument.
fn taken_apart(arg: &OsString) -> Option<(&str, Option<&str>)> {
    let body = arg.to_str()?.strip_prefix('-')?;
    let body = body.trim_start_matches('-');
    Some(body.split_once('=').map_or((body, None), |(name, value)| (name, Some(value))))
}

/// Whether `create` is one of the arguments and not the value of `--bundle`.
fn has_create(args: &[OsString]) -> bool {
    let mut after_bundle = false;
    for arg in args {
        if !after_bundle && matches!(taken_apart(arg), Some(("bundle" | "b", None))) {
            after_bundle = true;
            continue;
        }
        if !after_bundle && arg == "create" {
            return true;
        }
        after_bundle = false;
    }
    false
}

/// The last value of an option wherever it stands; an error when it is the last argument.
fn option(args: &[OsString], names: &[&str]) -> Result<Option<OsString>, ()> {
    let mut found = None;
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match taken_apart(arg) {
            Some((name, Some(value))) if names.contains(&name) => found = Some(value.into()),
            Some((name, None)) if names.contains(&name) => found = Some(rest.next().ok_or(())?.clone()),
            _ => {}
        }
    }
    Ok(found)
}

fn report(args: &[OsString], message: &str) {
    let json = option(args, &["log-format"]).ok().flatten().is_some_and(|format| format == "json");
    if let Some(path) = option(args, &["log"]).ok().flatten() {
        let line = if json {
            serde_json::json!({"level": "error", "msg": message, "time": "1970-01-01T00:00:00Z"}).to_string()
        } else {
            format!("level=error msg={message:?}")
        };
        // If the log cannot be written, standard error has to do.
        let _ = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .and_then(|mut log| log.write_all(format!("{line}\n").as_bytes()));
    }
    let _ = writeln!(std::io::stderr(), "{message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn a_create_is_found_as_the_real_one_finds_it() {
        assert!(has_create(&args("--root /r --log /l create --bundle /b id")));
        assert!(has_create(&args("create -b create id")));
        assert!(!has_create(&args("--bundle create start id")));
        assert!(!has_create(&args("run --bundle /b id")));
        assert!(!has_create(&args("--version")));
    }

    #[test]
    fn options_are_found_anywhere() {
        let bundle = |line: &str| option(&args(line), &["bundle", "b"]);
        assert_eq!(bundle("create --bundle /b id"), Ok(Some("/b".into())));
        assert_eq!(bundle("create -b=/b id --bundle /c"), Ok(Some("/c".into())));
        assert_eq!(bundle("create id"), Ok(None));
        assert_eq!(bundle("create --bundle"), Err(()));
    }
}
