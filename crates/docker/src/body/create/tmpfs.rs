//! Answers for: options of memory file systems: no larger than the memory limit, no set-uid, no devices.
//!
//! Must never: pass an option on that it does not know.

use super::super::desk::Desk;
use super::super::fields::integer;
use super::super::refusal::Refusal;
use super::super::shape::Shape;
use super::super::size::{parse_size, show_size};
use crate::json::Json;

type Judged = Result<Option<Json>, Refusal>;

/// The longest options of one mount; the kernel takes no more than a page.
const OPTIONS_BYTES_MAX: usize = 1024;

fn most(desk: &Desk<'_>) -> Option<u64> {
    desk.rules.limits.memory_bytes
}

fn lowered(desk: &mut Desk<'_>, most: u64) {
    desk.warn(format!("Size of a tmpfs lowered to {}, the memory limit.", show_size(most)));
}

/// Options as `mount -o` writes them, with `nosuid` and `nodev` for users.
pub(crate) fn tmpfs_options(desk: &mut Desk<'_>, path: &str, options: &str) -> Result<String, Refusal> {
    if desk.rules.admin {
        return Ok(options.to_owned());
    }
    if options.len() > OPTIONS_BYTES_MAX {
        return Err(Refusal::bad(format!(
            "\"{path}\" has options of more than {OPTIONS_BYTES_MAX} bytes; leave some out"
        )));
    }
    let mut out = vec!["nosuid".to_owned(), "nodev".to_owned()];
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=').unwrap_or((option, "")) {
            ("nosuid" | "nodev" | "defaults", "") => {}
            ("suid" | "dev", "") => {
                desk.warn(format!("Option {option} of a tmpfs was dropped: it stays off here."));
            }
            (
                "ro" | "rw" | "exec" | "noexec" | "sync" | "async" | "dirsync" | "atime" | "noatime"
                | "diratime" | "nodiratime" | "relatime" | "norelatime" | "strictatime" | "nostrictatime",
                "",
            ) => out.push(option.to_owned()),
            ("size", size) => out.push(sized(desk, path, option, size)?),
            ("mode" | "uid" | "gid" | "nr_inodes", number)
                if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
            {
                out.push(option.to_owned());
            }
            _ => {
                return Err(Refusal::bad(format!(
                    "\"{path}\" has the option {option:?}, which is not available here; leave it out"
                )));
            }
        }
    }
    Ok(out.join(","))
}

fn sized(desk: &mut Desk<'_>, path: &str, option: &str, size: &str) -> Result<String, Refusal> {
    // A share of the host's memory is not a share of the container's.
    let asked = if size.ends_with('%') { Some(0) } else { parse_size(size) };
    let Some(asked) = asked else {
        return Err(Refusal::bad(format!("\"{path}\": {option:?} is not a size; write size=64m")));
    };
    match most(desk) {
        Some(most) if asked == 0 || asked > most => {
            lowered(desk, most);
            Ok(format!("size={most}"))
        }
        _ => Ok(option.to_owned()),
    }
}

/// `TmpfsOptions.SizeBytes`
pub(crate) fn tmpfs_size(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let Some(asked) = integer(path, value)? else { return Ok(None) };
    match most(desk) {
        Some(most) if asked < 0 || asked.unsigned_abs() > most => {
            lowered(desk, most);
            Ok(Some(Json::int(i64::try_from(most).unwrap_or(i64::MAX))))
        }
        _ => Ok(Some(Json::int(asked))),
    }
}

/// `TmpfsOptions.Options`: each is a flag, or a name and a value.
pub(crate) fn tmpfs_flags(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let Some(read) = value.map(|value| Shape::List(&Shape::Texts).read(path, value)).transpose()?.flatten()
    else {
        return Ok(None);
    };
    if desk.rules.admin {
        return Ok(Some(read));
    }
    for option in read.as_array().unwrap_or_default() {
        let words: Vec<&str> =
            option.as_array().unwrap_or_default().iter().filter_map(Json::as_str).collect();
        if !matches!(
            words.as_slice(),
            ["exec" | "noexec" | "nosuid" | "nodev" | "ro" | "rw" | "noatime" | "nodiratime" | "relatime"]
        ) {
            return Err(Refusal::bad(format!(
                "\"{path}\" has the option {:?}, which is not available here; leave it out",
                words.join("=")
            )));
        }
    }
    Ok(Some(read))
}
