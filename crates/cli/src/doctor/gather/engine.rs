//! The Docker Engine: its own socket where root looks, the door where a user does; its process, its file, its sockets.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::Pid;
use serde::Deserialize;
use serde_json::Value;

use super::super::facts::{Engine, EngineSettings, Info, because};
use super::super::finding::{Seen, Unseen};
use super::{Look, files};
use crate::client::{ClientError, Door};

/// Where it has its settings, and containerd's socket, if nobody says otherwise.
const FILE: &str = "/etc/docker/daemon.json";
const CONTAINERD: &str = "/run/containerd/containerd.sock";
/// The one of a containerd that the Engine starts itself.
const OWN_CONTAINERD: &str = "/run/docker/containerd/containerd.sock";

/// A program of the Engine's and its version.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    api_version: String,
    #[serde(default)]
    components: Vec<Component>,
}

pub(super) async fn look(look: &Look) -> (Engine, Seen<Vec<Component>>) {
    let paths = &look.paths;
    let door = Door::at(if look.is_root { &paths.engine } else { &paths.door });
    let info: Seen<Info> = door.get("/info").await.map_err(|error| unseen(&error));
    let version: Seen<Version> = door.get("/version").await.map_err(|error| unseen(&error));
    let told =
        look.as_root(|| Ok(process(look).map(|pid| Told::read(&command_line(pid))).unwrap_or_default()));
    let settings = told.and_then(|told| settings(look, told));
    let sockets = settings.as_ref().map(|(settings, containerd)| {
        let mut sockets = vec![paths.engine.clone()];
        sockets
            .extend(settings.hosts.iter().filter_map(|host| host.strip_prefix("unix://")).map(PathBuf::from));
        sockets.extend([containerd.clone(), OWN_CONTAINERD.into()]);
        sockets.sort();
        sockets.dedup();
        sockets.retain(|socket| *socket != paths.door);
        sockets.into_iter().map(|socket| (socket.clone(), files::way(&socket))).collect()
    });
    let program = |info: &Info| match info.runtimes.get(&paths.runtime) {
        Some(runtime) if runtime.path.is_absolute() => files::program(&runtime.path),
        _ => Ok(None),
    };
    let (api, components) = match version {
        Ok(version) => (Ok(version.api_version), Ok(version.components)),
        Err(unseen) => (Err(unseen.clone()), Err(unseen)),
    };
    let engine = Engine {
        socket: paths.engine.clone(),
        asked_itself: look.is_root,
        api,
        data_root: info.as_ref().map_err(Clone::clone).and_then(|info| files::way(&info.docker_root_dir)),
        runtime: look.as_root(|| info.as_ref().map_err(Clone::clone).and_then(program)),
        info,
        sockets: sockets.map_err(Clone::clone),
        settings: settings.map(|(settings, _)| settings),
    };
    (engine, components)
}

fn unseen(error: &ClientError) -> Unseen {
    let why = match error {
        ClientError::Connect { source, .. } => source.to_string(),
        other => other.to_string(),
    };
    Unseen::Because(why)
}

/// Whose process answers at a socket, and its user id.
pub(super) fn peer(socket: &Path) -> Option<(Pid, u32)> {
    let stream = UnixStream::connect(socket).ok()?;
    let peer = getsockopt(&stream, sockopt::PeerCredentials).ok()?;
    Some((Pid::from_raw(peer.pid()), peer.uid()))
}

/// The Engine's process: who opened its socket, or, where systemd did, the only one of its name.
fn process(look: &Look) -> Option<Pid> {
    let is_engine = |pid: &Pid| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "dockerd")
    };
    if let Some((pid, _)) = peer(&look.paths.engine).filter(|(pid, _)| is_engine(pid)) {
        return Some(pid);
    }
    let numbers =
        look.root.list("/proc").into_iter().filter_map(|path| path.file_name()?.to_str()?.parse().ok());
    let mut engines = numbers.map(Pid::from_raw).filter(is_engine);
    engines.next().filter(|_| engines.next().is_none())
}

fn command_line(pid: Pid) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// What the Engine's process was told by flags.
#[derive(Debug, Default, PartialEq)]
struct Told {
    file: Option<PathBuf>,
    hosts: Vec<String>,
    containerd: Option<PathBuf>,
    userland_proxy: Option<bool>,
    log_opts: BTreeMap<String, String>,
}

impl Told {
    fn read(words: &[String]) -> Self {
        let mut told = Self::default();
        let mut words = words.iter().skip(1).map(String::as_str).peekable();
        while let Some(word) = words.next() {
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value.to_owned())),
                None => (word, None),
            };
            let short = word.strip_prefix("-H").filter(|rest| !rest.is_empty()).map(str::to_owned);
            let mut value = || value.clone().or_else(|| words.next().map(str::to_owned));
            match flag {
                "--config-file" => told.file = value().map(PathBuf::from),
                "--containerd" => told.containerd = value().map(PathBuf::from),
                "-H" | "--host" => told.hosts.extend(value()),
                "--log-opt" => {
                    let pair = value().unwrap_or_default();
                    if let Some((key, value)) = pair.split_once('=') {
                        told.log_opts.insert(key.to_owned(), value.to_owned());
                    }
                }
                // A flag that is true or false takes no word after it.
                "--userland-proxy" => told.userland_proxy = Some(!word.ends_with("=false")),
                _ if short.is_some() && !word.starts_with("--") => told.hosts.extend(short),
                _ => {}
            }
        }
        told
    }
}

fn settings(look: &Look, told: Told) -> Seen<(EngineSettings, PathBuf)> {
    let path = told.file.unwrap_or_else(|| FILE.into());
    let text = look.root.read(&path)?.unwrap_or_else(|| "{}".to_owned());
    let file: Value = match serde_json::from_str(&text) {
        Ok(file) => file,
        Err(error) => return because(format!("{} cannot be read: {error}", path.display())),
    };
    let texts = |key: &str| file.get(key).and_then(Value::as_array).into_iter().flatten();
    let mut settings = EngineSettings {
        hosts: texts("hosts").filter_map(Value::as_str).map(str::to_owned).chain(told.hosts).collect(),
        userland_proxy: told
            .userland_proxy
            .or_else(|| file.get("userland-proxy").and_then(Value::as_bool))
            .unwrap_or(true),
        log_opts: told.log_opts,
        file: path,
    };
    for (key, value) in file.get("log-opts").and_then(Value::as_object).into_iter().flatten() {
        settings.log_opts.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
    }
    let containerd = file.get("containerd").and_then(Value::as_str).map(PathBuf::from);
    let containerd = told.containerd.or(containerd).unwrap_or_else(|| CONTAINERD.into());
    Ok((settings, containerd))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_as_they_are_written() {
        let read = |line: &str| Told::read(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let told = read("dockerd -H fd:// --containerd=/c.sock --host tcp://0.0.0.0:2375 -Hunix:///x");
        assert_eq!(told.hosts, ["fd://", "tcp://0.0.0.0:2375", "unix:///x"]);
        assert_eq!(told.containerd, Some("/c.sock".into()));
        let told =
            read("dockerd --config-file /d.json --userland-proxy=false --log-opt max-size=1m --log-opt=x=y");
        assert_eq!((told.file, told.userland_proxy), (Some("/d.json".into()), Some(false)));
        assert_eq!(told.log_opts.len(), 2);
        assert_eq!(read("dockerd --userland-proxy -H unix:///y").hosts, ["unix:///y"]);
        assert_eq!(read("dockerd"), Told::default());
    }
}
