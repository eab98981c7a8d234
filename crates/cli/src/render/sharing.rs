//! What belongs to whom: `ds01 share`, `unshare`, `shares`, `repair`.

use std::path::Path;

use ds01_api::{Repaired, Share, ShareKind, ShareList};

use super::table::{Cell, Column, table};
use super::words::count;
use super::{TITLE, styled};

/// `ds01 share`.
pub(crate) fn shared(name: &str, with: &[String], write: bool) -> String {
    let with = if with.is_empty() { "everybody on this machine".to_owned() } else { with.join(", ") };
    let how = if write { " may use and write to" } else { " may use" };
    format!("{with}{how} {name} now.\n  ds01 unshare takes it back\n")
}

/// `ds01 unshare`.
pub(crate) fn unshared(name: &str, with: &[String]) -> String {
    match with {
        [] => format!("{name} is shared with nobody now.\n"),
        with => format!("{name} is not shared with {} any more.\n", with.join(", ")),
    }
}

/// `ds01 shares`.
pub(crate) fn shares(shares: &ShareList, columns: Option<u16>) -> String {
    if shares.given.is_empty() && shares.taken.is_empty() {
        return "You share nothing, and nothing is shared with you.\n  ds01 share image NAME --with USER   begins\n"
            .to_owned();
    }
    let mut text = String::new();
    for (title, head, list) in
        [("You share", "WITH", &shares.given), ("Shared with you", "BY", &shares.taken)]
    {
        if list.is_empty() {
            continue;
        }
        let heads =
            [("KIND", 0), ("NAME", 0), (head, 0), ("MAY", 0)].map(|(title, drop)| Column { title, drop });
        let rows: Vec<Vec<Cell>> = list.iter().map(|share| row(share, head == "BY")).collect();
        text += &format!("{}\n{}", styled(TITLE, title), table(&heads, &rows, columns));
    }
    text
}

fn row(share: &Share, taken: bool) -> Vec<Cell> {
    let kind = match share.kind {
        ShareKind::Image => "image",
        ShareKind::Volume => "volume",
    };
    let other = if taken {
        share.owner.as_deref().unwrap_or("the machine")
    } else {
        share.with.as_deref().unwrap_or("everybody")
    };
    let may = match (share.kind, share.write) {
        (ShareKind::Image, _) => "use",
        (ShareKind::Volume, false) => "read",
        (ShareKind::Volume, true) => "read and write",
    };
    vec![kind.into(), share.name.as_str().into(), other.into(), may.into()]
}

/// `ds01 repair`.
pub(crate) fn repaired(path: &Path, repaired: &Repaired, dry_run: bool) -> String {
    let (seen, path) = (count(repaired.seen, "file"), path.display());
    let mut text = match (repaired.changed, dry_run) {
        (0, _) => format!("Of {seen} in {path} none was another number's.\n"),
        (changed, false) => format!("{changed} of {seen} in {path} are yours again.\n"),
        (changed, true) => format!("{changed} of {seen} in {path} would be yours again.\n"),
    };
    if repaired.failed > 0 {
        text += &format!("{} could not be looked at or changed.\n", repaired.failed);
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::plain;
    use super::*;

    #[test]
    fn what_is_shared_both_ways() {
        let share = |kind, name: &str, owner: &str, with: Option<&str>, write| Share {
            kind,
            name: name.to_owned(),
            owner: Some(owner.to_owned()),
            with: with.map(str::to_owned),
            write,
        };
        let list = ShareList {
            given: vec![
                share(ShareKind::Image, "ds01-alice/thesis:latest", "alice", Some("bob"), false),
                share(ShareKind::Volume, "results", "alice", None, true),
            ],
            taken: vec![share(ShareKind::Volume, "datasets", "bob", Some("alice"), false)],
        };
        expect![[r#"
            You share
            KIND     NAME                       WITH        MAY
            image    ds01-alice/thesis:latest   bob         use
            volume   results                    everybody   read and write
            Shared with you
            KIND     NAME       BY    MAY
            volume   datasets   bob   read
        "#]]
        .assert_eq(&plain(&shares(&list, Some(80))));
    }

    #[test]
    fn what_was_given_back() {
        let found = Repaired { seen: 12, changed: 3, failed: 0 };
        let path = Path::new("/home/alice/work");
        assert_eq!(repaired(path, &found, false), "3 of 12 files in /home/alice/work are yours again.\n");
        assert_eq!(repaired(path, &found, true), "3 of 12 files in /home/alice/work would be yours again.\n");
        let none = Repaired { seen: 1, changed: 0, failed: 2 };
        assert_eq!(
            repaired(path, &none, false),
            "Of 1 file in /home/alice/work none was another number's.\n2 could not be looked at or changed.\n"
        );
    }
}
