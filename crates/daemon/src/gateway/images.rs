//! Images: whose tag is it, who may see it, who may move it.
//!
//! A tag belongs to whoever made it first through the door; tags in another user's namespace (`ds01-<user>/…`) are
//! his. What nobody owns is shared: everybody may use it, nobody but an admin may change it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ds01_docker::query::images::{ImageSource, names, source, tag_target};
use ds01_docker::reference::ImageRef;
use ds01_docker::route::Op;
use ds01_docker::{body, present};
use hyper::{Method, Response, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::http::{self, Body, Refusal};
use super::{Call, Door, forward};
use crate::coordinator::Fault;
use crate::identity::Caller;
use crate::ledger::{Ledger, LedgerError, ObjectKind};

/// Hex digits of an id that the Engine shows to whoever built an image.
const ID_DIGITS_TOLD: usize = 12;
/// Tags that one user may own.
const TAGS_MAX: usize = 1000;
/// Rows of images without a name that a user may have before those of images that are gone are looked for.
const UNNAMED_ROWS_MAX: usize = 64;
/// How lists of older Engines call an image without a name.
pub(super) const UNTAGGED: &str = "<none>:<none>";

/// Which image tags a caller sees and owns.
pub(crate) struct Sight {
    owners: HashMap<String, u32>,
    /// Tags that others share with the caller.
    shared: HashSet<String>,
    /// Images that had their last name from the caller, by id.
    unnamed: HashSet<String>,
    uid: u32,
    admin: bool,
    namespace: String,
}

impl Sight {
    /// Reads the owners.
    pub(crate) async fn of(door: &Door, caller: &Caller) -> Result<Self, Refusal> {
        let read = |ledger: &mut Ledger| {
            let (tags, unnamed) = (ledger.owned(ObjectKind::Tag)?, ledger.owned(ObjectKind::UnnamedImage)?);
            Ok((tags, ledger.shared(ObjectKind::Tag)?, unnamed))
        };
        let (tags, shared, unnamed) =
            door.coordinator.ledger(read).await?.map_err(|e: LedgerError| Fault::from(e))?;
        Ok(Self {
            owners: tags.into_iter().map(|o| (o.name, o.uid)).collect(),
            shared: shared.into_iter().filter(|s| s.taker.is(caller.uid)).map(|s| s.name).collect(),
            unnamed: unnamed.into_iter().filter(|o| o.uid == caller.uid).map(|o| o.name).collect(),
            uid: caller.uid,
            admin: caller.admin,
            namespace: format!("{}/", ds01_api::names::image_namespace(&caller.name)),
        })
    }

    /// Whether the caller may use a tag, given as `repository:tag`.
    pub(crate) fn sees(&self, tag: &str) -> bool {
        if self.admin || tag == UNTAGGED {
            return self.admin;
        }
        match self.owners.get(tag) {
            Some(uid) => *uid == self.uid || self.shared.contains(tag),
            None => !in_a_namespace(tag) || tag.starts_with(&self.namespace) || self.shared.contains(tag),
        }
    }

    /// Whether a tag is the caller's own to share.
    pub(super) fn owns(&self, tag: &str) -> bool {
        match self.owners.get(tag) {
            Some(uid) => self.admin || *uid == self.uid,
            None => tag.starts_with(&self.namespace) || (self.admin && in_a_namespace(tag)),
        }
    }

    /// Whether somebody else owns a tag of this repository.
    fn has_others_in(&self, repository: &str) -> bool {
        !self.admin
            && self.owners.iter().any(|(tag, uid)| {
                *uid != self.uid && tag.rsplit_once(':').is_some_and(|(name, _)| name == repository)
            })
    }

    /// How many tags the caller owns.
    fn owned(&self) -> usize {
        self.owners.values().filter(|uid| **uid == self.uid).count()
    }

    /// Whether an image, by id, was the caller's when it lost its last name. It may have got another since.
    pub(crate) fn owns_unnamed(&self, id: &str) -> bool {
        self.unnamed.contains(id)
    }

    /// Whether the caller may make, move or remove a tag.
    pub(super) fn may_change(&self, tag: &str, exists: bool) -> bool {
        if self.admin {
            return true;
        }
        match self.owners.get(tag) {
            Some(uid) => *uid == self.uid,
            None if tag.starts_with(&self.namespace) => true,
            None => !exists && !in_a_namespace(tag),
        }
    }
}

/// Whether a tag stands in some user's namespace: `ds01-<user>/…`.
fn in_a_namespace(tag: &str) -> bool {
    tag.starts_with("ds01-") && tag.contains('/')
}

/// The tag that a reference means, `repository:tag`; a digest or an id means none.
pub(super) fn tagged(image: &ImageRef) -> Option<String> {
    image.familiar_tagged()
}

/// Docker's own words, in which a name without a tag has got one.
pub(super) fn absent(name: &str) -> Refusal {
    let tagged = ImageRef::parse(name).ok().and_then(|image| tagged(&image));
    Refusal::no_such("image", tagged.as_deref().unwrap_or(name))
}

/// Makes sure that the caller may use an image; answers what the door must know of it.
pub(crate) async fn visible(
    door: &Door,
    caller: &Caller,
    reference: &str,
) -> Result<crate::engine::ImageFacts, Refusal> {
    ImageRef::parse(reference).map_err(|error| Refusal::bad(error.to_string()))?;
    let facts = match door.engine.image(reference).await {
        Ok(facts) => facts,
        Err(error) if error.is_not_found() => return Err(absent(reference)),
        Err(error) => return Err(error.into()),
    };
    let sight = Sight::of(door, caller).await?;
    let read = ImageRef::parse(reference).ok();
    // Short prefixes can be tried one after the other; who was told an id knows more of it.
    let told =
        read.as_ref().and_then(ImageRef::id_digits).is_none_or(|digits| digits.len() >= ID_DIGITS_TOLD);
    let seen = match read.and_then(|r| tagged(&r)) {
        // The name itself is what is judged; another's tag is not seen although its image may be.
        Some(tag) if facts.tags.contains(&tag) => sight.sees(&tag),
        // By id or digest: an image without tags is a build's own result, known only to whoever was told its id.
        _ => sight.admin || (facts.tags.is_empty() && told) || facts.tags.iter().any(|t| sight.sees(t)),
    };
    if seen { Ok(facts) } else { Err(absent(reference)) }
}

/// Claims a tag before the Engine makes or moves it.
pub(super) async fn claim(call: &Call, image: &ImageRef) -> Result<(), Refusal> {
    claim_for(&call.door, &call.caller, image).await.map(drop)
}

/// As [`claim`]; answers with the tag where it was nobody's before.
pub(super) async fn claim_for(
    door: &Door,
    caller: &Caller,
    image: &ImageRef,
) -> Result<Option<String>, Refusal> {
    let Some(tag) = tagged(image) else { return Ok(None) };
    let there = match door.engine.image(&tag).await {
        Ok(facts) => Some(facts),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error.into()),
    };
    let sight = Sight::of(door, caller).await?;
    if !sight.may_change(&tag, there.is_some()) {
        return Err(Refusal::forbidden(format!(
            "the image tag {tag} is not yours to change; use one of your own, such as {}/{}",
            ds01_api::names::image_namespace(&caller.name),
            image.path().rsplit('/').next().unwrap_or("image"),
        )));
    }
    if caller.admin {
        return Ok(None);
    }
    let is_new = !sight.owners.contains_key(&tag);
    if is_new && sight.owned() >= TAGS_MAX {
        return Err(Refusal::conflict(format!(
            "you own {TAGS_MAX} image tags, the most that one user may; remove some with docker rmi"
        )));
    }
    let (key, uid) = (tag.clone(), caller.uid);
    let owner =
        door.coordinator.ledger(move |l| l.own(ObjectKind::Tag, &key, uid)).await?.map_err(Fault::from)?;
    // The tag may move away from an image that has no other name then.
    if let Some(facts) = there.filter(|facts| owner == uid && facts.tags == [tag.as_str()]) {
        own_unnamed(door, uid, facts.id, &sight).await?;
    }
    if owner != uid {
        return Err(Refusal::forbidden(format!("the image tag {tag} was just taken")));
    }
    Ok(is_new.then_some(tag))
}

/// Writes down whose an image is that loses its name, or never gets one.
async fn own_unnamed(door: &Door, uid: u32, id: String, sight: &Sight) -> Result<(), Refusal> {
    door.coordinator
        .ledger(move |l| l.own(ObjectKind::UnnamedImage, &id, uid))
        .await?
        .map_err(Fault::from)?;
    if sight.unnamed.len() > UNNAMED_ROWS_MAX {
        // Rows of images that are gone. They were read before this list was: what it lacks is gone.
        let list = door.engine.ask(Method::GET, "/v1.40/images/json?all=1", None).await?;
        let listed: HashSet<&str> =
            list.as_array().into_iter().flatten().filter_map(|i| i.get("Id")?.as_str()).collect();
        for id in sight.unnamed.iter().filter(|id| !listed.contains(id.as_str())) {
            disown(door, id).await?;
        }
    }
    Ok(())
}

/// Writes down whose an image is that was built without a name. One that has a name is whose the name is.
pub(super) async fn own_built(door: Arc<Door>, caller: Arc<Caller>, id: String) -> Result<(), Refusal> {
    if door.engine.image(&id).await?.tags.is_empty() {
        own_unnamed(&door, caller.uid, id, &Sight::of(&door, &caller).await?).await?;
    }
    Ok(())
}

/// Forgets whose a tag, or an image by id, was that is gone.
pub(super) async fn disown(door: &Door, name: &str) -> Result<(), Refusal> {
    let kind = if name.starts_with("sha256:") { ObjectKind::UnnamedImage } else { ObjectKind::Tag };
    let name = name.to_owned();
    door.coordinator.ledger(move |l| l.disown(kind, &name)).await?.map_err(Fault::from)?;
    Ok(())
}

/// What buildx, and compose 2 with it, fetches where it finds no BuildKit: a builder of its own that has to be privileged.
/// The words must come here: those for a privileged container would not tell what to do.
const BUILDERS_IMAGE: &str = "moby/buildkit";

/// The Engine's path of an image of its own lists.
pub(super) fn path_of(name: &str) -> String {
    format!("/v1.40/images/{}", utf8_percent_encode(name, NON_ALPHANUMERIC))
}

/// `GET /images/json`.
pub(super) async fn list(call: Call) -> Result<Response<Body>, Refusal> {
    for key in ["before", "since"] {
        // The reply would tell whether there is an image of that name.
        for asked in call.route.query.filters().clone().remove(key) {
            visible(&call.door, &call.caller, &asked).await?;
        }
    }
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let (status, reply) = forward::read_json(forward::bare(&call, &target).await?).await?;
    if call.caller.admin {
        return Ok(http::json(status, &reply));
    }
    let sight = Sight::of(&call.door, &call.caller).await?;
    Ok(http::json(status, &present::image_list(reply, |tag| sight.sees(tag), |id| sight.owns_unnamed(id))?))
}

/// Inspect, history, export: of images that the caller sees.
pub(super) async fn look(call: Call) -> Result<Response<Body>, Refusal> {
    let name =
        call.route.image().ok_or_else(|| Refusal::fault("the route names no image"))?.as_str().to_owned();
    if let Err(mut refusal) = visible(&call.door, &call.caller, &name).await {
        if call.route.op == Op::ImageInspect && refusal.status == StatusCode::NOT_FOUND {
            // As older Engines say it here: the name as it was asked before the name as it was understood.
            if call.door.engine_facts().await?.api.minor() < 42 {
                refusal.message = format!("no such image: {name}: {}", refusal.message);
            }
        }
        return Err(refusal);
    }
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let op = call.route.op;
    if !matches!(op, Op::ImageInspect | Op::ImageHistory) {
        let request = forward::upstream_request(&call, &target, http::empty())?;
        return Ok(forward::reply(call.door.engine.send_along(request).await?));
    }
    let (status, reply) = forward::read_json(forward::bare(&call, &target).await?).await?;
    let sight = Sight::of(&call.door, &call.caller).await?;
    let sees = |tag: &str| sight.sees(tag);
    let shown = match op {
        Op::ImageHistory => present::image_history(reply, sees)?,
        _ => present::image_inspect(reply, sees)?,
    };
    Ok(http::json(status, &shown))
}

/// `GET /images/get?names=…`.
pub(super) async fn export(call: Call) -> Result<Response<Body>, Refusal> {
    for image in names(&call.route.query).map_err(|e| Refusal::bad(e.to_string()))? {
        visible(&call.door, &call.caller, image.as_str()).await?;
    }
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let request = forward::upstream_request(&call, &target, http::empty())?;
    Ok(forward::reply(call.door.engine.send_along(request).await?))
}

/// `POST /images/create`: a pull, or an import from the client.
pub(super) async fn create(call: Call) -> Result<Response<Body>, Refusal> {
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    match source(&call.route.query).map_err(|e| Refusal::bad(e.to_string()))? {
        ImageSource::Pull { image, all_tags } => {
            super::registries::judge(&call, image.domain())?;
            if image.familiar_repository() == BUILDERS_IMAGE && !call.caller.admin {
                return Err(Refusal::forbidden(ds01_docker::BUILDKIT));
            }
            // A pull of a tag that is there renews it: for shared tags that is the admin's to do.
            claim_pull(&call, &image, all_tags).await?;
            let request = forward::upstream_request(&call, &target, http::empty())?;
            Ok(forward::reply(call.door.engine.send(request).await?))
        }
        ImageSource::Import { target: tag } => {
            if let Some(tag) = tag {
                claim(&call, &tag).await?;
            }
            forward::stream(call, &target).await
        }
    }
}

/// A pull makes a shared tag where there was none; over somebody's own tag it is refused.
async fn claim_pull(call: &Call, image: &ImageRef, all_tags: bool) -> Result<(), Refusal> {
    let Some(tag) = tagged(image) else { return Ok(()) };
    let sight = Sight::of(&call.door, &call.caller).await?;
    if all_tags && sight.has_others_in(&image.familiar_repository()) {
        return Err(Refusal::forbidden(format!(
            "pulling every tag of {} would move a tag that is another user's; name the tag that you need",
            image.familiar_repository()
        )));
    }
    if sight.sees(&tag) {
        Ok(())
    } else {
        Err(Refusal::forbidden(format!("the image tag {tag} is another user's")))
    }
}

/// `POST /images/{name}/tag`.
pub(super) async fn tag(call: Call) -> Result<Response<Body>, Refusal> {
    let name =
        call.route.image().ok_or_else(|| Refusal::fault("the route names no image"))?.as_str().to_owned();
    visible(&call.door, &call.caller, &name).await?;
    let wanted = tag_target(&call.route.query)
        .map_err(|e| Refusal::bad(e.to_string()))?
        .ok_or_else(|| Refusal::bad("a new tag is needed: docker tag IMAGE NEW[:TAG]"))?;
    claim(&call, &wanted).await?;
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    Ok(forward::reply(forward::bare(&call, &target).await?))
}

/// `DELETE /images/{name}`: by an own tag; by id only where every tag is the caller's.
pub(super) async fn delete(call: Call) -> Result<Response<Body>, Refusal> {
    let image = call.route.image().ok_or_else(|| Refusal::fault("the route names no image"))?.clone();
    let facts = visible(&call.door, &call.caller, image.as_str()).await?;
    let sight = Sight::of(&call.door, &call.caller).await?;
    let tag = tagged(&image).filter(|t| facts.tags.contains(t));
    let own = match &tag {
        Some(tag) => sight.may_change(tag, true),
        None => {
            let all = facts.tags.iter().all(|t| sight.may_change(t, true));
            sight.admin || (all && (!facts.tags.is_empty() || sight.owns_unnamed(&facts.id)))
        }
    };
    if !own {
        return Err(Refusal::forbidden(format!(
            "the image {} is shared: everybody may use it, only an admin removes it",
            image.as_str()
        )));
    }
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let request = forward::upstream_request(&call, &target, http::empty())?;
    let door = call.door.clone();
    super::forward::to_the_end(async move {
        let response = door.engine.send(request).await?;
        if response.status().is_success() {
            for name in tag.map_or_else(|| [facts.tags, vec![facts.id]].concat(), |t| vec![t]) {
                disown(&door, &name).await?;
            }
        }
        Ok(forward::reply(response))
    })
    .await
}

/// `POST /images/{name}/push`: own tags only.
pub(super) async fn push(call: Call) -> Result<Response<Body>, Refusal> {
    let image = call.route.image().ok_or_else(|| Refusal::fault("the route names no image"))?.clone();
    super::registries::judge(&call, image.domain())?;
    visible(&call.door, &call.caller, image.as_str()).await?;
    let mut tag = image.as_str().to_owned();
    if let Some(named) = call.route.query.text("tag") {
        tag = format!("{tag}:{named}");
    }
    let sight = Sight::of(&call.door, &call.caller).await?;
    let own = ImageRef::parse(&tag).ok().and_then(|r| tagged(&r)).is_some_and(|t| sight.may_change(&t, true));
    if !own {
        return Err(Refusal::forbidden(format!(
            "{tag} is not yours to push; tag it into your own namespace first"
        )));
    }
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let request = forward::upstream_request(&call, &target, http::empty())?;
    Ok(forward::reply(call.door.engine.send(request).await?))
}

/// `POST /commit`: an own container to an own tag.
pub(super) async fn commit(mut call: Call) -> Result<Response<Body>, Refusal> {
    let reference =
        call.route.query.container().ok_or_else(|| Refusal::bad("the container to commit is missing"))?;
    let own = super::own::find_own(&call.door, &call.caller, reference.as_str()).await?;
    let wanted = tag_target(&call.route.query).map_err(|e| Refusal::bad(e.to_string()))?;
    if let Some(tag) = &wanted {
        claim(&call, tag).await?;
    }
    let bytes = call.json_body().await?;
    let judged = body::judge_commit(&bytes, &call.rules())?;
    call.route.query.set("container", own.id.to_string());
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let response = forward::with_json(&call, &target, judged.into_body()).await?;
    if wanted.is_some() || call.caller.admin || !response.status().is_success() {
        return Ok(forward::reply(response));
    }
    let (status, reply) = forward::read_json(response).await?;
    if let Some(id) = reply.get("Id").and_then(Value::as_str) {
        let sight = Sight::of(&call.door, &call.caller).await?;
        own_unnamed(&call.door, call.caller.uid, id.to_owned(), &sight).await?;
    }
    Ok(http::json(status, &reply))
}

/// The names under which people look for an image that is not there.
pub(crate) async fn missing_hint(door: &Door, caller: &Caller, reference: &str) -> String {
    let sight = match Sight::of(door, caller).await {
        Ok(sight) => sight,
        Err(_) => return String::new(),
    };
    let Ok(reply) = door.engine.ask(Method::GET, "/v1.40/images/json", None).await else {
        return String::new();
    };
    let mut tags: Vec<String> = reply
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|i| i.get("RepoTags").and_then(Value::as_array))
        .flatten()
        .filter_map(Value::as_str)
        .filter(|t| sight.sees(t))
        .map(str::to_owned)
        .collect();
    let likeness = |tag: &String| strsim::jaro_winkler(tag, reference);
    tags.sort_by(|a, b| likeness(b).total_cmp(&likeness(a)));
    tags.truncate(3);
    tags.join(", ")
}
