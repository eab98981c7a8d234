//! `docker run`'s own words in `runArgs`: which of them are refused here, and which make a container one that is stopped.
//!
//! It must never know more of them than the manual's table of what is refused.

use super::check::{Effect, Reader};

/// Flags without a value, so that the next word is not theirs.
const SWITCHES: [&str; 10] = [
    "--privileged",
    "--init",
    "--rm",
    "--read-only",
    "--no-healthcheck",
    "--publish-all",
    "-P",
    "-d",
    "-i",
    "-t",
];
/// Capabilities that may be added.
const CAPABILITIES: [&str; 2] = ["SYS_PTRACE", "IPC_LOCK"];
/// The lowest port that may be published.
const PORT_MIN: u16 = 1024;

/// A flag and its value, and which words of the list they are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Argument<'w> {
    pub(super) flag: &'w str,
    pub(super) value: &'w str,
    pub(super) words: std::ops::Range<usize>,
}

/// What is wrong with something: what comes of it, why, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) effect: Effect,
    pub(super) why: String,
    pub(super) help: &'static str,
}

impl Fault {
    pub(super) fn refused(why: impl Into<String>, help: &'static str) -> Self {
        Self { effect: Effect::Refused, why: why.into(), help }
    }

    /// Of whatever asks for a GPU.
    pub(super) fn gpu(reader: &Reader<'_>) -> Self {
        if let Some(exempt) = reader.exempt {
            return Self {
                effect: Effect::Exempt,
                why: format!("asks for a GPU, and is not stopped for that: you are exempt {exempt}"),
                help: "leave it; afterwards the container is stopped when the GPU is idle",
            };
        }
        Self {
            effect: Effect::Stopped,
            why: "asks for a GPU: the container is stopped when that is idle for too long, and after a week"
                .to_owned(),
            help: "without it the container is permanent; ds01 run borrows a GPU for one command",
        }
    }
}

/// The words of `runArgs` as flags with their values.
pub(super) fn arguments(words: &[String]) -> Vec<Argument<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let next = words.get(at + 1).map(String::as_str).filter(|next| !next.starts_with('-'));
        let argument = match (word.split_once('='), next) {
            (Some((flag, value)), _) if flag.starts_with("--") => Argument { flag, value, words: at..at + 1 },
            (_, Some(value)) if word.starts_with('-') && !SWITCHES.contains(&word.as_str()) => {
                Argument { flag: word, value, words: at..at + 2 }
            }
            _ => Argument { flag: word, value: "", words: at..at + 1 },
        };
        at = argument.words.end;
        found.push(argument);
    }
    found
}

/// What is wrong with a flag, if anything is.
pub(super) fn judge(argument: &Argument<'_>, reader: &Reader<'_>) -> Option<Fault> {
    let value = argument.value;
    match argument.flag {
        "--gpus" => Some(Fault::gpu(reader)),
        "--runtime" if value == "nvidia" => Some(Fault::gpu(reader)),
        "--runtime" if value != "runc" => {
            Some(Fault::refused(format!("the runtime {value} is not available here"), "leave it out"))
        }
        "--device" if value.contains("nvidia") => Some(Fault::gpu(reader)),
        "--device" | "--device-cgroup-rule" => {
            Some(Fault::refused("devices of the host other than GPUs are not available", "leave it out"))
        }
        "--privileged" if value != "false" => Some(privileged()),
        "--cap-add" => capability(value),
        "--security-opt" => security(value),
        "--network" | "--net" | "--pid" | "--uts" | "--userns" | "--cgroupns" if value == "host" => {
            Some(Fault::refused(
                "would show the container the host itself",
                "leave it out; ports are forwarded without it",
            ))
        }
        "--ipc" if value == "host" => Some(Fault::refused(
            "would show the container the host itself",
            "leave it out; more shared memory: --shm-size=8g",
        )),
        "-p" | "--publish" => port(value),
        "-v" | "--volume" => {
            let source = value.split(':').next().unwrap_or_default();
            if source.starts_with('/') || source.starts_with("${") { source_of(source, reader) } else { None }
        }
        "--mount" => mount(value, reader),
        "--volumes-from" | "--link" | "--volume-driver" => {
            Some(Fault::refused("other containers and drivers are out of reach", "leave it out"))
        }
        _ => None,
    }
}

pub(super) fn privileged() -> Fault {
    Fault::refused(
        "would make the container root on the host",
        "leave it out; usually nothing is needed in its place",
    )
}

pub(super) fn capability(name: &str) -> Option<Fault> {
    let plain = name.to_ascii_uppercase();
    let plain = plain.strip_prefix("CAP_").unwrap_or(&plain);
    (!CAPABILITIES.contains(&plain)).then(|| {
        Fault::refused(
            format!("the capability {plain} is not available here"),
            "leave it out; debuggers need SYS_PTRACE, which is",
        )
    })
}

pub(super) fn security(option: &str) -> Option<Fault> {
    let fine =
        ["no-new-privileges", "seccomp=unconfined", "seccomp:unconfined", "label=disable", "label:disable"];
    let fine = fine.iter().any(|known| option == *known || option.strip_prefix(known) == Some("=true"));
    (!fine).then(|| {
        Fault::refused(format!("the security option {option} is not available here"), "leave it out")
    })
}

/// A port that is published: of `127.0.0.1:80:8080` the 80.
pub(super) fn port(value: &str) -> Option<Fault> {
    let mut parts = value.rsplit(':').skip(1);
    let host: u16 = parts.next()?.split('-').next()?.parse().ok()?;
    (host != 0 && host < PORT_MIN)
        .then(|| Fault::refused(format!("port {host} of the host is not for users"), "choose one from 1024"))
}

/// A mount in the words of `--mount`.
pub(super) fn mount(value: &str, reader: &Reader<'_>) -> Option<Fault> {
    let part = |names: &[&str]| {
        value
            .split(',')
            .filter_map(|part| part.split_once('='))
            .find(|(name, _)| names.contains(name))
            .map(|(_, is)| is)
    };
    if part(&["type"]) != Some("bind") {
        return None;
    }
    source_of(part(&["source", "src"])?, reader)
}

/// A directory of the host that is mounted. What the administrator shares is not known here: only a doubt is told.
pub(super) fn source_of(source: &str, reader: &Reader<'_>) -> Option<Fault> {
    let path = source
        .replace("${localWorkspaceFolder}", reader.directory)
        .replace("${localEnv:HOME}", reader.home)
        .replace("${env:HOME}", reader.home);
    let own = path == reader.home || path.strip_prefix(reader.home).is_some_and(|rest| rest.starts_with('/'));
    let door = matches!(path.as_str(), "/var/run/docker.sock" | "/run/docker.sock");
    if own || door || path.contains("${") {
        return None;
    }
    Some(Fault {
        effect: Effect::Doubtful,
        why: format!("{path} is not in your home: it is mounted only if the administrator shares it"),
        help: "copy the data to your home, or ask",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn flags_and_their_values() {
        let words = words("--gpus all --privileged --cap-add=SYS_ADMIN -p 80:80 --rm image");
        let found: Vec<_> =
            arguments(&words).into_iter().map(|a| (a.flag.to_owned(), a.value.to_owned(), a.words)).collect();
        let told = |flag: &str, value: &str, words| (flag.to_owned(), value.to_owned(), words);
        assert_eq!(
            found,
            [
                told("--gpus", "all", 0..2),
                told("--privileged", "", 2..3),
                told("--cap-add", "SYS_ADMIN", 3..4),
                told("-p", "80:80", 4..6),
                told("--rm", "", 6..7),
                told("image", "", 7..8),
            ]
        );
    }

    #[test]
    fn what_is_refused_and_what_is_not() {
        let reader = Reader { home: "/home/alice", directory: "/home/alice/p", exempt: None };
        let effect = |text: &str| {
            let words = words(text);
            let found: Vec<_> =
                arguments(&words).iter().filter_map(|a| judge(a, &reader)).map(|f| f.effect).collect();
            assert!(found.len() <= 1, "{text}");
            found.first().copied()
        };
        for text in [
            "--gpus=1",
            "--runtime=nvidia",
            "--runtime nvidia",
            "--device /dev/nvidia0",
            "--device=nvidia.com/gpu=0",
        ] {
            assert_eq!(effect(text), Some(Effect::Stopped), "{text}");
        }
        for text in [
            "--privileged",
            "--cap-add SYS_ADMIN",
            "--cap-add=cap_net_admin",
            "--security-opt apparmor=unconfined",
            "--network=host",
            "--net host",
            "--pid=host",
            "--ipc host",
            "--device /dev/fuse",
            "-p 80:80",
            "--publish=127.0.0.1:443:443",
            "--volumes-from x",
            "--runtime runsc",
        ] {
            assert_eq!(effect(text), Some(Effect::Refused), "{text}");
        }
        for text in [
            "--cap-add=SYS_PTRACE",
            "--cap-add cap_ipc_lock",
            "--security-opt seccomp=unconfined",
            "--network bridge",
            "-p 8080:80",
            "-p 80",
            "--ipc=private",
            "--shm-size=8g",
            "--memory 4g",
            "-v name:/data",
            "-v /home/alice/data:/data",
            "-v /var/run/docker.sock:/var/run/docker.sock",
            "--mount type=volume,source=x,target=/x",
            "--runtime=runc",
            "-v ${localWorkspaceFolder}/x:/x",
            "--security-opt no-new-privileges=true",
            "--privileged=false",
        ] {
            assert_eq!(effect(text), None, "{text}");
        }
        for text in ["-v /srv/data:/data", "--mount type=bind,src=/etc,target=/x", "-v /home/alicex:/x"] {
            assert_eq!(effect(text), Some(Effect::Doubtful), "{text}");
        }
    }
}
