//! An archive of images, as `docker save` makes it: which files it holds, and which names it gives.
//!
//! The Engine finds names in one file, `manifest.json`; old ones and containerd look into others as well. That one is sent
//! on, written anew, and the others are left out. It must never let an entry pass by which the Engine finds another
//! `manifest.json` than was read, or another configuration than was measured.

use std::collections::{HashMap, HashSet};

use ds01_docker::body::{JudgedManifest, MANIFEST_BYTES_MAX, Rules, judge_manifest};

use super::http::Refusal;
use super::tarball::{self, Content, Entry, Judge, Kind};

/// The file that says which files are images, and what they are called.
const MANIFEST: &[u8] = b"manifest.json";
/// Other files in which readers of archives find names: of Docker before 1.10, and of OCI.
const OTHER_LISTS: [&[u8]; 3] = [b"repositories", b"index.json", b"oci-layout"];
/// Entries of one archive: a layer has four at most.
const ENTRIES_MAX: usize = 16 * 1024;
/// The paths of all of them together, in bytes.
const PATHS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The configuration of an image, which the Engine reads into its memory. Large ones have a hundredth of it.
const CONFIG_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What has come of an archive.
#[derive(Debug)]
pub(super) struct Saved {
    rules: Rules,
    manifest: Option<JudgedManifest>,
    /// Sizes of the files so far.
    files: HashMap<Vec<u8>, u64>,
    /// Symbolic links so far: what stands beneath one is elsewhere.
    links: HashSet<Vec<u8>>,
    entries: usize,
    path_bytes: usize,
}

impl Saved {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            manifest: None,
            files: HashMap::new(),
            links: HashSet::new(),
            entries: 0,
            path_bytes: 0,
        }
    }

    /// The archive's manifest, when everything has come: every file that it names is there.
    pub(super) fn complete(&self) -> Result<&JudgedManifest, Refusal> {
        let Some(manifest) = &self.manifest else {
            return Err(Refusal::bad(
                "the archive holds no manifest.json, so docker save did not make it; docker import takes the archive of \
                 a file system",
            ));
        };
        let missing =
            |name: &str| Refusal::bad(format!("{name}, which manifest.json names, is not in the archive"));
        for image in manifest.images() {
            let config = image.config.as_bytes();
            let size = self.files.get(config).filter(|_| !self.is_behind_link(config));
            if *size.ok_or_else(|| missing(&image.config))? > CONFIG_BYTES_MAX {
                return Err(Refusal::bad(format!(
                    "{}, the configuration of an image, is larger than {} MiB",
                    image.config,
                    CONFIG_BYTES_MAX >> 20
                )));
            }
            let has =
                |name: &str| self.files.contains_key(name.as_bytes()) || self.links.contains(name.as_bytes());
            if let Some(layer) = image.layers.iter().find(|layer| !has(layer)) {
                return Err(missing(layer));
            }
        }
        Ok(manifest)
    }

    fn is_behind_link(&self, path: &[u8]) -> bool {
        tarball::parents(path).any(|parent| self.links.contains(parent))
    }

    fn count(&mut self, entry: &Entry) -> Result<(), Refusal> {
        self.entries += 1;
        self.path_bytes = self.path_bytes.saturating_add(entry.path.len());
        if self.entries > ENTRIES_MAX || self.path_bytes > PATHS_BYTES_MAX {
            return Err(Refusal::bad(format!(
                "the archive holds more than {ENTRIES_MAX} files, or their paths are longer than {} MiB; docker save \
                 makes a few hundred. docker import takes the archive of a file system",
                PATHS_BYTES_MAX >> 20
            )));
        }
        Ok(())
    }
}

impl Judge for Saved {
    fn entry(&mut self, entry: &mut Entry) -> Result<Content, Refusal> {
        self.count(entry)?;
        let bad = |wrong: &str| Refusal::bad(format!("{} in the archive {wrong}", entry.shown()));
        match entry.kind {
            Kind::Special(_) => return Err(tarball::special(entry)),
            Kind::HardLink => {
                return Err(bad("is a hard link, of which docker save makes none; leave it out"));
            }
            Kind::File | Kind::Directory | Kind::SymbolicLink => {}
        }
        if self.is_behind_link(&entry.path) {
            return Err(bad("lies behind a link; leave it out"));
        }
        let is_manifest = entry.path == MANIFEST;
        if is_manifest && (entry.kind != Kind::File || self.manifest.is_some()) {
            return Err(Refusal::bad("the archive must hold one manifest.json, and it must be a file"));
        }
        if OTHER_LISTS.contains(&entry.path.as_slice()) {
            return Ok(Content::LeftOut);
        }
        // A later entry takes the place of an earlier one.
        self.files.remove(&entry.path);
        self.links.remove(&entry.path);
        match entry.kind {
            Kind::File => drop(self.files.insert(entry.path.clone(), entry.size)),
            Kind::SymbolicLink => drop(self.links.insert(entry.path.clone())),
            _ => {}
        }
        // The Engine unpacks it as root, reads it and throws it away: whose the files were says nothing.
        entry.attributes.clear();
        (entry.uid, entry.gid) = (0, 0);
        Ok(if is_manifest { Content::Whole(MANIFEST_BYTES_MAX) } else { Content::Stream })
    }

    fn content(&mut self, _entry: &Entry, content: Vec<u8>) -> Result<Vec<u8>, Refusal> {
        let manifest = judge_manifest(&content, &self.rules)?;
        let written = manifest.to_bytes();
        self.manifest = Some(manifest);
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: Kind, path: &str, size: u64) -> Entry {
        Entry {
            kind,
            path: path.as_bytes().to_vec(),
            link: b"elsewhere".to_vec(),
            mode: 0o644,
            uid: 1000,
            gid: 1000,
            mtime: 0,
            size,
            attributes: vec![("security.capability".to_owned(), vec![1])],
        }
    }

    const LIST: &str = r#"[{"Config":"c/ab.json","RepoTags":["a:1"],"Layers":["l/layer.tar"]}]"#;

    /// What is said of an archive of these entries; `manifest.json` is [`LIST`].
    fn judged(entries: &[(Kind, &str, u64)]) -> Result<(), String> {
        let mut saved = Saved::new(Rules::lab(1000, 1000, Vec::new()));
        for (kind, path, size) in entries {
            let mut entry = entry(*kind, path, *size);
            match saved.entry(&mut entry).map_err(|r| r.message)? {
                Content::Whole(_) => drop(saved.content(&entry, LIST.into()).map_err(|r| r.message)?),
                Content::Stream => assert!(entry.attributes.is_empty() && entry.uid == 0, "{path}"),
                Content::LeftOut => assert_ne!(*path, "manifest.json"),
            }
        }
        saved.complete().map(drop).map_err(|r| r.message)
    }

    const MANIFEST_FILE: (Kind, &str, u64) = (Kind::File, "manifest.json", 80);
    const CONFIG: (Kind, &str, u64) = (Kind::File, "c/ab.json", 3000);
    const LAYER: (Kind, &str, u64) = (Kind::File, "l/layer.tar", 1 << 33);

    #[test]
    fn an_archive_may_come_in_any_order() {
        let others =
            [(Kind::Directory, "l", 0), (Kind::File, "l/VERSION", 3), (Kind::File, "repositories", 90)];
        assert_eq!(judged(&[&others[..], &[CONFIG, LAYER, MANIFEST_FILE]].concat()), Ok(()));
        assert_eq!(judged(&[&[MANIFEST_FILE, LAYER, CONFIG], &others[..]].concat()), Ok(()));
        // Docker 20.10 has each layer once, and links to it.
        assert_eq!(judged(&[CONFIG, MANIFEST_FILE, (Kind::SymbolicLink, "l/layer.tar", 0)]), Ok(()));
    }

    #[test]
    fn other_lists_of_names_are_left_out() {
        let mut saved = Saved::new(Rules::lab(1000, 1000, Vec::new()));
        for list in ["repositories", "index.json", "oci-layout"] {
            for kind in [Kind::File, Kind::Directory, Kind::SymbolicLink] {
                assert_eq!(saved.entry(&mut entry(kind, list, 0)), Ok(Content::LeftOut), "{list}");
            }
        }
        assert_eq!(saved.entry(&mut entry(Kind::File, "x/index.json", 0)), Ok(Content::Stream));
    }

    #[test]
    fn there_is_one_manifest() {
        for (entries, words) in [
            (&[CONFIG, LAYER][..], "no manifest.json"),
            (&[CONFIG, LAYER, MANIFEST_FILE, MANIFEST_FILE], "one manifest.json"),
            (&[CONFIG, LAYER, MANIFEST_FILE, (Kind::SymbolicLink, "manifest.json", 0)], "one manifest.json"),
            (&[(Kind::SymbolicLink, "manifest.json", 0), CONFIG, LAYER], "one manifest.json"),
            (&[(Kind::Directory, "manifest.json", 0)], "one manifest.json"),
            (&[CONFIG, LAYER, MANIFEST_FILE, (Kind::HardLink, "manifest.json", 0)], "hard link"),
            (
                &[MANIFEST_FILE, (Kind::SymbolicLink, "d", 0), (Kind::File, "d/manifest.json", 9)],
                "behind a link",
            ),
            (&[CONFIG, LAYER, MANIFEST_FILE, (Kind::Special("device"), "disk", 0)], "a device"),
        ] {
            let said = judged(entries).expect_err(words);
            assert!(said.contains(words), "{words}: {said}");
        }
    }

    #[test]
    fn every_file_that_is_named_is_there_and_is_what_was_measured() {
        let link = |path| (Kind::SymbolicLink, path, 0);
        for (entries, words) in [
            (&[MANIFEST_FILE, LAYER][..], "c/ab.json, which manifest.json names, is not"),
            (&[MANIFEST_FILE, CONFIG], "l/layer.tar, which manifest.json names, is not"),
            (&[MANIFEST_FILE, LAYER, link("c/ab.json")], "c/ab.json, which"),
            (&[MANIFEST_FILE, LAYER, CONFIG, link("c/ab.json")], "c/ab.json, which"),
            (&[MANIFEST_FILE, LAYER, CONFIG, link("c")], "c/ab.json, which"),
            (&[MANIFEST_FILE, LAYER, CONFIG, (Kind::Directory, "c/ab.json", 0)], "c/ab.json, which"),
            (&[MANIFEST_FILE, LAYER, CONFIG, (Kind::File, "c/ab.json", (4 << 20) + 1)], "larger than 4 MiB"),
        ] {
            let said = judged(entries).expect_err(words);
            assert!(said.contains(words), "{words}: {said}");
        }
    }

    #[test]
    fn what_is_remembered_of_an_archive_is_bounded() {
        let mut saved = Saved::new(Rules::lab(1000, 1000, Vec::new()));
        let mut take = |path: &str| saved.entry(&mut entry(Kind::File, path, 0));
        let refused = (0..=ENTRIES_MAX).map(|n| take(&n.to_string())).position(|said| said.is_err());
        assert_eq!(refused, Some(ENTRIES_MAX));
        let mut saved = Saved::new(Rules::lab(1000, 1000, Vec::new()));
        let long = "d/".repeat(32 * 1024);
        let refused = (0..=64).map(|n| saved.entry(&mut entry(Kind::File, &format!("{long}{n}"), 0)));
        assert!(refused.last().is_some_and(|said| said.is_err()));
    }
}
