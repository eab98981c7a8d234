//! Why a path cannot be bound, told to the person who asked.
//!
//! It answers for the sentences and their HTTP status alone; it decides nothing.

use std::path::PathBuf;

use super::caller::CallerFault;

/// Why a bind source was refused. The text is a sentence for the person who asked.
#[derive(Debug, thiserror::Error)]
pub enum BindRefusal {
    /// The source is not an absolute path, or holds a byte that no path can hold.
    #[error("the bind source {0:?} is not an absolute path; write the whole path, beginning with /")]
    NotAPath(PathBuf),
    /// The source lies outside everything that the caller may bind.
    #[error(
        "you may not bind {}; you may bind what lies under {}. Copy the data there, or ask an administrator to share it",
        path.display(), list(allowed)
    )]
    Outside {
        /// The path asked for, cleaned.
        path: PathBuf,
        /// What may be bound.
        allowed: Vec<PathBuf>,
    },
    /// A symbolic link on the way leads outside everything that the caller may bind.
    #[error(
        "{} leads through a symbolic link to a place that you may not bind; bind the real path, or keep the link within {}",
        path.display(), root.display()
    )]
    LinkLeaves {
        /// The path asked for, cleaned.
        path: PathBuf,
        /// The directory that it had to stay beneath.
        root: PathBuf,
    },
    /// The source lies in a part of the host that is never bound.
    #[error("{} belongs to the container system itself and is never bound; choose a directory of your own", .0.display())]
    Denied(PathBuf),
    /// The source does not exist. Worded as the Engine does.
    #[error("invalid mount config for type \"bind\": bind source path does not exist: {}", .0.display())]
    Missing(PathBuf),
    /// The source does not exist, and the caller may not make it there.
    #[error("{} does not exist and you may not make it ({reason}); make the directory first", path.display())]
    CannotCreate {
        /// The path asked for, cleaned.
        path: PathBuf,
        /// The system's words.
        reason: std::io::Error,
    },
    /// The caller may not go there himself.
    #[error("you have no permission to reach {}; ask its owner to let you in", .0.display())]
    NoPermission(PathBuf),
    /// The source is neither a directory nor a regular file.
    #[error("{} is a {kind}; only directories and regular files can be bound", path.display())]
    WrongKind {
        /// The path asked for, cleaned.
        path: PathBuf,
        /// What it is: "socket", "block device" and so on.
        kind: &'static str,
    },
    /// The source lies on a file system of the kernel's own.
    #[error("{} is on {file_system}, which is never bound into containers; choose a directory of your own", path.display())]
    FileSystem {
        /// The path asked for, cleaned.
        path: PathBuf,
        /// The name of the file system.
        file_system: &'static str,
    },
    /// The door's socket was asked for and is not there.
    #[error("the DS01 socket {} is not there to be bound; tell an administrator", .0.display())]
    NoDoor(PathBuf),
    /// The file system did not answer in time, or too many are waiting for it.
    #[error("{} does not answer ({fault}); try again, and tell an administrator if it stays so", path.display())]
    NoAnswer {
        /// The path asked for, cleaned.
        path: PathBuf,
        /// What went wrong with the thread that looked.
        fault: CallerFault,
    },
    /// Anything else that the system says.
    #[error("{} cannot be bound: {reason}; check the path", path.display())]
    Other {
        /// The path asked for, cleaned.
        path: PathBuf,
        /// The system's words.
        reason: std::io::Error,
    },
}

impl BindRefusal {
    /// The HTTP status that a Docker client expects with it.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::NotAPath(_) | Self::Missing(_) | Self::WrongKind { .. } | Self::Other { .. } => 400,
            Self::Outside { .. }
            | Self::LinkLeaves { .. }
            | Self::Denied(_)
            | Self::CannotCreate { .. }
            | Self::NoPermission(_)
            | Self::FileSystem { .. } => 403,
            Self::NoDoor(_) | Self::NoAnswer { .. } => 503,
        }
    }

    /// A stable word for logs and `--json`: `bind.outside` and so on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAPath(_) => "bind.path",
            Self::Outside { .. } => "bind.outside",
            Self::LinkLeaves { .. } => "bind.link",
            Self::Denied(_) => "bind.denied",
            Self::Missing(_) => "bind.missing",
            Self::CannotCreate { .. } => "bind.create",
            Self::NoPermission(_) => "bind.permission",
            Self::WrongKind { .. } => "bind.kind",
            Self::FileSystem { .. } => "bind.file-system",
            Self::NoDoor(_) => "bind.door",
            Self::NoAnswer { .. } => "bind.no-answer",
            Self::Other { .. } => "bind.other",
        }
    }
}

fn list(paths: &[PathBuf]) -> String {
    if paths.is_empty() {
        return "no directory at all".to_owned();
    }
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
