//! The caller's own account inside an image that has never heard of him: passwd and group entries, an ephemeral home.
//!
//! Pure: archives in, archive out. It must never touch what it does not name.

use std::io::Read;

/// The largest passwd or group file that is read out of an image.
const ACCOUNT_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Who the user is inside the container: exactly who he is outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// Numeric user.
    pub uid: u32,
    /// Numeric primary group.
    pub gid: u32,
    /// Home inside the container, `/home/<name>`; ephemeral.
    pub home: String,
    /// Login shell inside the container.
    pub shell: String,
}

/// The account files of an image as they were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountFiles {
    /// `/etc/passwd`, empty where the image has none.
    pub passwd: Vec<u8>,
    /// `/etc/group`, empty where the image has none.
    pub group: Vec<u8>,
}

/// The first regular file in a tar archive.
#[must_use]
pub fn first_file(archive: &[u8]) -> Option<Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries().ok()? {
        let entry = entry.ok()?;
        if entry.header().entry_type().is_file() {
            let mut content = Vec::new();
            entry.take(ACCOUNT_FILE_BYTES_MAX).read_to_end(&mut content).ok()?;
            return Some(content);
        }
    }
    None
}

/// The lines of an account file with one entry put first; an older entry of the same name goes.
///
/// First, because lookups by number take the first that matches: where the image has a user with the caller's
/// number (`ubuntu` is 1000 in many), the caller is still himself.
fn with_entry(file: &[u8], name: &str, entry: &str) -> Vec<u8> {
    let mut out = format!("{entry}\n").into_bytes();
    for line in file.split(|b| *b == b'\n') {
        let same = line.split(|b| *b == b':').next() == Some(name.as_bytes());
        if !line.is_empty() && !same {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
    }
    out
}

fn append(
    tar: &mut tar::Builder<Vec<u8>>,
    path: &str,
    content: &[u8],
    kind: tar::EntryType,
    mode: u32,
    (uid, gid): (u32, u32),
) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(u64::from(uid));
    header.set_gid(u64::from(gid));
    header.set_size(content.len() as u64);
    header.set_mtime(0);
    tar.append_data(&mut header, path, content)
}

/// The archive that, unpacked at `/`, makes the caller himself inside.
///
/// # Errors
/// When a path does not fit a tar header (an absurdly long user name).
pub fn archive(account: &Account, files: &AccountFiles) -> std::io::Result<Vec<u8>> {
    let Account { name, uid, gid, home, shell } = account;
    let passwd = with_entry(&files.passwd, name, &format!("{name}:x:{uid}:{gid}:{name}:{home}:{shell}"));
    let group = with_entry(&files.group, name, &format!("{name}:x:{gid}:"));
    let mut tar = tar::Builder::new(Vec::new());
    let root = (0, 0);
    append(&mut tar, "etc/passwd", &passwd, tar::EntryType::Regular, 0o644, root)?;
    append(&mut tar, "etc/group", &group, tar::EntryType::Regular, 0o644, root)?;
    append(&mut tar, "home", &[], tar::EntryType::Directory, 0o755, root)?;
    let home = home.trim_start_matches('/');
    append(&mut tar, home, &[], tar::EntryType::Directory, 0o755, (*uid, *gid))?;
    tar.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> Account {
        Account {
            name: "alice".into(),
            uid: 1000,
            gid: 1000,
            home: "/home/alice".into(),
            shell: "/bin/bash".into(),
        }
    }

    #[test]
    fn the_caller_comes_first_and_only_once() {
        let old =
            b"root:x:0:0::/root:/bin/sh\nubuntu:x:1000:1000::/home/ubuntu:/bin/sh\nalice:x:7:7::/:/bin/false";
        let new = with_entry(old, "alice", "alice:x:1000:1000:alice:/home/alice:/bin/bash");
        assert_eq!(
            String::from_utf8(new).unwrap(),
            "alice:x:1000:1000:alice:/home/alice:/bin/bash\nroot:x:0:0::/root:/bin/sh\n\
             ubuntu:x:1000:1000::/home/ubuntu:/bin/sh\n"
        );
    }

    #[test]
    fn the_archive_holds_the_account_and_its_home() {
        let bytes = archive(&alice(), &AccountFiles::default()).unwrap();
        let mut archive = tar::Archive::new(&bytes[..]);
        let seen: Vec<(String, u64, u32)> = archive
            .entries()
            .unwrap()
            .map(|e| {
                let e = e.unwrap();
                (
                    e.path().unwrap().display().to_string(),
                    e.header().uid().unwrap(),
                    e.header().mode().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("etc/passwd".into(), 0, 0o644),
                ("etc/group".into(), 0, 0o644),
                ("home".into(), 0, 0o755),
                ("home/alice".into(), 1000, 0o755)
            ]
        );
        assert!(String::from_utf8(first_file(&bytes).unwrap()).unwrap().starts_with("alice:x:1000:1000:"));
    }
}
