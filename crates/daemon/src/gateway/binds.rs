//! Bind mounts on their way from a path that a user names to a stage that the Engine is given.
//!
//! The path is fixed at create; what it leads to is pinned then, and again after a reboot, with the user's own rights.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ds01_domain::{ContainerId, Token};

use super::Door;
use super::http::Refusal;
use crate::config::{Config, Root};
use crate::deploy::account;
use crate::identity::Caller;
use crate::ledger::{Record, RecordedBind};
use crate::staging::{
    self, BindRules, Credentials, IdMap, Missing, SUBGID, SUBUID, Stage, StageError, SubIds,
};

/// The paths under which clients expect the Engine's socket: here they mean the door.
const CLIENT_SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/docker.sock"];

/// A bind that is to be staged.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) slot: u32,
    pub(crate) source: PathBuf,
    pub(crate) read_only: bool,
    /// Whether a missing source is made, as `-v` does.
    pub(crate) create: bool,
}

/// With whose rights binds are staged, and into whose subordinate ids.
#[derive(Debug, Clone)]
pub(crate) struct Rights {
    credentials: Credentials,
    name: String,
    admin: bool,
}

/// Whose the files of the container are, and what may be done where owners cannot be translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inside {
    /// The user inside, in numbers, who is the caller outside.
    pub(crate) user: (u32, u32),
    /// Nobody else is inside, and he has no capabilities: where he is the caller in number, owners need no translation.
    pub(crate) confined: bool,
}

/// Why binds were not staged.
#[derive(Debug)]
pub(crate) enum NotStaged {
    /// A file system cannot translate owners, and the container is not confined.
    CannotIdmap { path: PathBuf, file_system: &'static str },
    /// Everything else.
    Refused(Refusal),
}

impl From<Refusal> for NotStaged {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<NotStaged> for Refusal {
    fn from(refused: NotStaged) -> Self {
        match refused {
            NotStaged::Refused(refusal) => refusal,
            NotStaged::CannotIdmap { path, file_system } => Self::bad(format!(
                "{} lies on {file_system}, where DS01 cannot make files of the container yours; use a directory on a \
                 local disk, or ask an admin",
                path.display()
            )),
        }
    }
}

impl Rights {
    /// A caller's own.
    pub(crate) fn of(caller: &Caller) -> Self {
        Self { credentials: caller.credentials(), name: caller.name.clone(), admin: caller.admin }
    }

    /// Those of a container's owner, who is not there: as at create.
    async fn of_owner(door: &Door, record: &Record) -> Result<Self, Refusal> {
        let owner = door.identities.names().lookup(record.uid).await;
        let account = owner.account().ok_or_else(|| {
            Refusal::conflict(
                "the owner of this container is not known to the system now; its files cannot be mounted",
            )
        })?;
        let credentials = Credentials {
            uid: record.uid,
            gid: record.gid,
            groups: account.groups.clone(),
            home: account.home.clone(),
        };
        let admin = record.admin || record.uid == 0;
        Ok(Self { credentials, name: account.name.clone(), admin })
    }
}

/// Who is staging: one at a time for each create. Two starts of one container would take each other's mounts away.
#[derive(Debug, Default)]
pub struct Turns {
    taken: Mutex<HashMap<Token, Weak<tokio::sync::Mutex<()>>>>,
}

/// A turn at staging, for as long as it is kept.
type Turn = tokio::sync::OwnedMutexGuard<()>;

impl Turns {
    async fn wait_for(&self, token: &Token) -> Turn {
        let turn = {
            // Every change is one insertion or removal: a panic elsewhere leaves the map whole.
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.retain(|_, turn| turn.strong_count() > 0);
            let known = taken.get(token).and_then(Weak::upgrade);
            let turn = known.unwrap_or_default();
            taken.insert(token.clone(), Arc::downgrade(&turn));
            turn
        };
        turn.lock_owned().await
    }
}

/// What a person may bind, by the configuration.
pub(super) fn rules(config: &Config, admin: bool) -> BindRules {
    let mut names: Vec<PathBuf> = CLIENT_SOCKETS.iter().map(PathBuf::from).collect();
    names.push(config.paths.socket.clone());
    let roots = if admin {
        vec![PathBuf::from("/")]
    } else {
        let paths = config.binds.roots.iter().filter_map(|root| match root {
            Root::Path(path) => Some(path.clone()),
            Root::Home(_) => None,
        });
        let open = config.binds.shares.iter().filter(|share| !share.read_only);
        paths.chain(open.map(|share| share.path.clone())).collect()
    };
    let closed = config.binds.shares.iter().filter(|share| share.read_only);
    BindRules {
        roots,
        shares: closed.map(|share| share.path.clone()).collect(),
        denied: vec![config.paths.run.clone(), config.paths.state.clone(), config.paths.engine.clone()],
        door: Some(staging::Door { names, socket: config.paths.socket.clone() }),
    }
}

fn refused(error: StageError) -> NotStaged {
    match error {
        StageError::CannotIdmap { path, file_system } => NotStaged::CannotIdmap { path, file_system },
        StageError::Foreign(_) => Refusal::forbidden(error.to_string()).into(),
        other => {
            tracing::error!(error = %crate::Chain(&other), "a bind mount could not be staged");
            Refusal::fault("a bind mount could not be prepared; tell an admin").into()
        }
    }
}

/// Stages binds for a create; on failure nothing of it stays mounted. Answers what was staged, with the sources as they
/// were cleaned; another's directory is read-only whatever was asked, because root inside could take its files over.
pub(crate) async fn stage(
    door: &Door,
    token: &Token,
    rights: Rights,
    inside: Inside,
    wanted: Vec<Wanted>,
) -> Result<Vec<RecordedBind>, NotStaged> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let turn = door.turns.wait_for(token).await;
    stage_in_turn(door, token, rights, inside, wanted, turn).await.map(|(recorded, _)| recorded)
}

/// Stages binds. The turn goes along and comes back: whoever gives up waiting must not let others in meanwhile.
async fn stage_in_turn(
    door: &Door,
    token: &Token,
    rights: Rights,
    inside: Inside,
    wanted: Vec<Wanted>,
    turn: Turn,
) -> Result<(Vec<RecordedBind>, Turn), NotStaged> {
    let Rights { credentials, name, admin } = rights;
    let rules = rules(&door.config(), admin);
    let (stage, token) = (door.stage.clone(), token.clone());
    tokio::task::spawn_blocking(move || {
        let (subordinate, _) = SubIds::read(Path::new(SUBUID), Path::new(SUBGID), &name, credentials.uid);
        let map = IdMap::for_user(Some(inside.user), &credentials, subordinate)
            .map_err(|e| Refusal::bad(e.to_string()))?;
        let untranslated =
            inside.confined.then(|| IdMap::for_forced_user(inside.user, &credentials)).flatten();
        let hand = Hand {
            stage: &stage,
            token: &token,
            credentials,
            rules,
            map,
            confined: inside.confined,
            untranslated,
        };
        let staged: Result<Vec<RecordedBind>, NotStaged> =
            wanted.iter().map(|bind| hand.stage_one(bind, inside.user)).collect();
        match staged {
            Ok(recorded) => Ok((recorded, turn)),
            Err(refusal) => {
                drop(stage.unmount(&token));
                Err(refusal)
            }
        }
    })
    .await
    .map_err(|_| Refusal::fault("a bind mount could not be prepared; tell an admin"))?
}

/// What all binds of one create are staged with.
struct Hand<'a> {
    stage: &'a Stage,
    token: &'a Token,
    credentials: Credentials,
    rules: BindRules,
    map: IdMap,
    confined: bool,
    /// Instead of `map`, where a file system has no translation and none is needed.
    untranslated: Option<IdMap>,
}

impl Hand<'_> {
    fn stage_one(&self, bind: &Wanted, effective: (u32, u32)) -> Result<RecordedBind, NotStaged> {
        let missing = if bind.create { Missing::Create } else { Missing::Refuse };
        let pinned = staging::pin(&self.credentials, &bind.source, missing, &self.rules).map_err(|e| {
            let status = hyper::StatusCode::from_u16(e.status()).unwrap_or(hyper::StatusCode::BAD_REQUEST);
            Refusal::new(status, e.to_string())
        })?;
        // Whoever has no CAP_CHOWN has in another's directory what its owner gave him, and no more.
        let pinned = if self.confined { pinned.for_container_without_chown() } else { pinned };
        let foreign = pinned.is_foreign() && self.credentials.uid != 0 && !self.confined;
        let read_only = bind.read_only || pinned.read_only() || foreign;
        let mount = |map| self.stage.mount(self.token, bind.slot, &pinned, map, read_only);
        let plain = match (mount(&self.map), &self.untranslated) {
            (Ok(_), _) => false,
            (Err(StageError::CannotIdmap { .. }), Some(untranslated)) => {
                mount(untranslated).map_err(refused)?;
                true
            }
            (Err(error), _) => return Err(refused(error)),
        };
        let source = pinned.path().to_path_buf();
        Ok(RecordedBind { slot: bind.slot, source, read_only, effective, plain })
    }
}

/// Whether a bind's source means the door's own socket.
fn is_door(config: &Config, source: &Path) -> bool {
    source == config.paths.socket || CLIENT_SOCKETS.iter().any(|s| source == Path::new(s))
}

/// Takes everything of a create off the stage.
pub(crate) async fn unstage(door: &Arc<Door>, token: &Token) {
    let (stage, key) = (door.stage.clone(), token.clone());
    let result = tokio::task::spawn_blocking(move || stage.unmount(&key)).await;
    if let Ok(Err(error)) = result {
        tracing::warn!(error = %crate::Chain(&error), %token, "a stage could not be unmounted; it is tried again later");
    }
}

/// Stages again what is missing, as after a reboot: with the owner's rights, as at create.
pub(crate) async fn ensure_staged(door: &Arc<Door>, token: &Token, record: &Record) -> Result<(), Refusal> {
    let turn = door.turns.wait_for(token).await;
    if record.binds.iter().any(|b| is_door(&door.config(), &b.source)) {
        // The door's socket is a new one after each start of the daemon: the old one answers nobody.
        unstage(door, token).await;
    }
    let missing: Vec<&RecordedBind> =
        record.binds.iter().filter(|b| !door.stage.is_mounted(token, b.slot)).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let inside = Inside { user: first.effective, confined: record.confined };
    let wanted = missing.into_iter().map(again).collect();
    let rights = Rights::of_owner(door, record).await?;
    Ok(stage_in_turn(door, token, rights, inside, wanted, turn).await.map(drop)?)
}

/// Takes off the stage what has been removed since, for a container that is at rest: its owner means what is there now, a
/// workspace brought back from a backup, say.
pub(crate) async fn forget_removed(door: &Arc<Door>, token: &Token, record: &Record) {
    let _turn = door.turns.wait_for(token).await;
    if record.binds.iter().any(|bind| door.stage.is_gone(token, bind.slot)) {
        unstage(door, token).await;
    }
}

/// As [`ensure_staged`], for a container that is to run: a user whom its create knew by name only is looked up first,
/// if nobody has done so yet.
pub(crate) async fn ensure_staged_to_run(
    door: &Arc<Door>,
    token: &Token,
    id: &ContainerId,
    record: &Record,
) -> Result<(), Refusal> {
    if record.user.is_some() && !record.binds.is_empty() {
        let rights = Rights::of_owner(door, record).await?;
        stage_for_user(door, token, id, record, rights).await?;
    }
    ensure_staged(door, token, record).await
}

/// Stages the binds again for a user that was known by name only: his files are the caller's, not root's.
pub(crate) async fn stage_for_user(
    door: &Arc<Door>,
    token: &Token,
    id: &ContainerId,
    record: &Record,
    rights: Rights,
) -> Result<(), Refusal> {
    let Some(user) = record.user.as_ref().filter(|_| !record.binds.is_empty()) else { return Ok(()) };
    // Of somebody who is not there the Engine will say the same at start, in its own words.
    let Ok(effective) = looked_up(door, id, user).await else { return Ok(()) };
    let turn = door.turns.wait_for(token).await;
    unstage(door, token).await;
    let mut record = record.clone();
    let wanted = record.binds.iter().map(again).collect();
    let inside = Inside { user: effective, confined: record.confined };
    let (staged, _turn) = stage_in_turn(door, token, rights, inside, wanted, turn).await?;
    (record.binds, record.user) = (staged, None);
    super::made::keep(door, token, &record).await
}

/// A bind that was staged before.
fn again(bind: &RecordedBind) -> Wanted {
    Wanted { slot: bind.slot, source: bind.source.clone(), read_only: bind.read_only, create: false }
}

/// The numeric user that a container's processes run as: `--user`, else the image's, a name looked up inside.
///
/// `None` where a name, or the group of a lone number, has to be looked up in a container that does not exist yet.
pub(crate) fn numeric(user: &str) -> Option<(u32, u32)> {
    let number = |text: &str| if text == "root" { Some(0) } else { text.parse().ok() };
    match user.split_once(':') {
        Some((uid, gid)) => Some((number(uid)?, number(gid)?)),
        None if user.is_empty() || number(user) == Some(0) => Some((0, 0)),
        None => None,
    }
}

/// Looks a user up in a container's own account file, by name or number, as the Engine will; a number that is not
/// there has group 0.
pub(crate) async fn looked_up(door: &Door, id: &ContainerId, user: &str) -> Result<(u32, u32), Refusal> {
    let wanted = user.split(':').next().unwrap_or(user);
    let archive = door.engine.archive_of(id, "/etc/passwd").await?;
    let passwd = account::first_file(&archive).unwrap_or_default();
    let text = String::from_utf8_lossy(&passwd);
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let uid: u32 = fields.nth(1)?.parse().ok()?;
            let gid: u32 = fields.next()?.parse().ok()?;
            (name == wanted || uid.to_string() == wanted).then_some((uid, gid))
        })
        .next()
        .or_else(|| wanted.parse().ok().map(|uid| (uid, 0)))
        .ok_or_else(|| {
            Refusal::bad(format!("unable to find user {wanted}: no matching entries in passwd file"))
        })
}

#[cfg(test)]
mod tests {
    use super::numeric;

    #[test]
    fn users_by_number() {
        assert_eq!(numeric(""), Some((0, 0)));
        assert_eq!(numeric("root"), Some((0, 0)));
        assert_eq!(numeric("1000"), None);
        assert_eq!(numeric("1000:100"), Some((1000, 100)));
        assert_eq!(numeric("vscode"), None);
    }
}
