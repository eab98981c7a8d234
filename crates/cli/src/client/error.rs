//! What can go wrong between the command line and the door, in words for its user. It must never print.

use std::io;
use std::path::{Path, PathBuf};

use ds01_api::{ApiError, Exit, codes};

/// A request that did not end in the answer hoped for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// `DOCKER_HOST` names something that is not a unix socket.
    #[error("DOCKER_HOST is {0:?}, and ds01 speaks only through a unix socket of this machine")]
    DockerHost(String),
    /// Nothing listens at the socket.
    #[error("ds01d does not answer at {}", socket.display())]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// What connecting came to.
        source: io::Error,
    },
    /// The socket is a plain Engine's.
    #[error("{} belongs to a plain Docker Engine, not to ds01d", .0.display())]
    PlainEngine(PathBuf),
    /// `ds01d` answered with an error.
    #[error("{error}")]
    Api {
        /// The HTTP status.
        status: u16,
        /// The answer.
        error: ApiError,
    },
    /// The Engine could not fetch an image.
    #[error("{0}")]
    Pull(String),
    /// The connection broke, or what came makes no sense.
    #[error("the answer from ds01d broke off ({0})")]
    Broken(String),
    /// The answer to a mere question makes no sense.
    #[error("what answers at {} makes no sense ({what})", socket.display())]
    Garbled {
        /// The socket.
        socket: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The answer took too long.
    #[error("ds01d has not answered for {0} seconds")]
    Late(u64),
}

impl ClientError {
    pub(crate) fn broken(error: impl std::fmt::Display) -> Self {
        Self::Broken(error.to_string())
    }

    /// The stable code, for scripts.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::DockerHost(_) => codes::REQUEST_INVALID,
            Self::Connect { .. } => "door.unreachable",
            Self::PlainEngine(_) => "door.plain-engine",
            Self::Api { error, .. } => &error.code,
            Self::Pull(_) => codes::IMAGE_NOT_FOUND,
            Self::Broken(_) | Self::Garbled { .. } => "door.broken",
            Self::Late(_) => "door.late",
        }
    }

    /// The next step.
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::DockerHost(_) => "unset DOCKER_HOST, or set it to unix:///run/ds01/docker.sock".to_owned(),
            Self::Connect { source, socket } => connect_hint(source, socket),
            Self::PlainEngine(_) => {
                "set DOCKER_HOST to the socket of ds01d, or ask an admin to start ds01d".to_owned()
            }
            Self::Api { error, .. } => return error.hint.clone(),
            Self::Pull(_) => return None,
            Self::Broken(_) => {
                "what you asked for may have happened: container list --all shows it".to_owned()
            }
            Self::Garbled { .. } => "is it ds01d? If so, tell an admin: its log says more".to_owned(),
            Self::Late(_) => {
                "try again; if it stays so, tell an admin: the log of ds01d says more".to_owned()
            }
        })
    }

    /// The exit code of the command that ends in it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::DockerHost(_) => Exit::Usage,
            Self::Connect { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Exit::NotPermitted
            }
            Self::Api { status, error } => error.exit(*status),
            Self::Pull(_) => Exit::NotFound,
            Self::Connect { .. }
            | Self::PlainEngine(_)
            | Self::Broken(_)
            | Self::Garbled { .. }
            | Self::Late(_) => Exit::Failed,
        }
    }

    /// Whether it says that there is no such container (or none of the caller's).
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Api { .. }) && self.exit() == Exit::NotFound
    }
}

/// Whether it is where the door is where nobody says otherwise.
fn is_usual(socket: &Path) -> bool {
    super::SOCKETS.iter().any(|usual| socket == Path::new(usual))
}

fn connect_hint(error: &io::Error, socket: &Path) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "you may not use this socket: ask an admin to let you in".to_owned()
        }
        io::ErrorKind::NotFound if is_usual(socket) && Path::new("/.dockerenv").exists() => {
            "this is a container, and it does not see DS01: run the command on the server, or give a dev container \
             ds01 devcontainer init --gpu-on-demand"
                .to_owned()
        }
        io::ErrorKind::NotFound => {
            format!("there is no {}: ask an admin to start ds01d, or set DOCKER_HOST", socket.display())
        }
        _ => "it is not running: ask an admin to start ds01d".to_owned(),
    }
}
