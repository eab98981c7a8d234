//! `POST deploy`: a project's container, in which the user is himself and `/workspace` is his project.

mod outlook;
mod wish;

use ds01_api::{ContainerState, DeployRequest, Deployed, codes};
use ds01_docker::body;
use ds01_domain::Want;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use self::wish::Wish;
use super::list::state_of;
use super::{Ask, Fault, denied};
use crate::deploy::account::{self, Account, AccountFiles};
use crate::engine::EngineError;
use crate::gateway::containers::forget;
use crate::gateway::create::{DeployFacts, MakeRefusal, Making, make};
use crate::gateway::forward::to_the_end;
use crate::gateway::http::{self, Body, Refusal};
use crate::gateway::own::Own;
use crate::gateway::{person_of, rules_of_create};
use crate::staging::as_caller;

/// What keeps a container alive that nobody works in: it ends at once when it is told to.
const IDLE_COMMAND: [&str; 3] =
    ["/bin/sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"];

pub(super) async fn deploy(mut ask: Ask) -> Result<Response<Body>, Fault> {
    let request: DeployRequest = ask.read().await?;
    let mut wish = wish::of(&ask, &request).await?;
    let existing = ask.container_if_any(&wish.name).await?;
    if let (Some(own), false) = (&existing, request.force) {
        return reuse(&ask, &request, &wish, own).await;
    }
    let workspace_created = match is_directory(&ask, &wish.workspace).await? {
        Some(false) => {
            let why = format!("{} is a file, and a workspace is a directory", wish.workspace.display());
            return Err(Fault::new(StatusCode::BAD_REQUEST, codes::REQUEST_INVALID, why)
                .hint("move it away, or name a directory with --workspace DIR"));
        }
        there => there.is_none(),
    };
    let image_id = match wish::image(&ask, &wish).await {
        Ok(facts) => facts.id,
        // Nothing is fetched for a dry run; whoever deploys in earnest fetches it first.
        Err(fault) if fault.error.code == codes::IMAGE_NOT_FOUND && wish.is_base && request.dry_run => {
            let later = format!("{} is not on this machine yet: it would be fetched first", wish.image);
            wish.warnings.push(later);
            String::new()
        }
        Err(fault) => return Err(fault),
    };
    let replaced = existing.is_some();
    // Last: what could be known to fail has not.
    if let (Some(own), false) = (&existing, request.dry_run) {
        remove(&ask, own).await?;
    }
    let mut deployed = Deployed {
        id: String::new(),
        name: wish.name.clone(),
        project: wish.project.to_string(),
        image: wish.image.clone(),
        gpus: wish.gpus,
        workspace: wish.workspace.display().to_string(),
        workspace_created,
        data: request.data.clone(),
        state: ContainerState::Created,
        reused: false,
        replaced,
        dry_run: request.dry_run,
        outlook: None,
        warnings: wish.warnings.clone(),
    };
    if request.dry_run {
        deployed.outlook = Some(outlook::outlook(&ask, wish.gpu).await?);
        return Ok(http::json(StatusCode::OK, &deployed));
    }
    let making = making(&ask, &request, &wish).await?;
    let (door, caller) = (ask.door.clone(), ask.caller.clone());
    let made = make(&door, making).await.map_err(|refusal| match refusal {
        MakeRefusal::Denied(denial) => Fault { status: StatusCode::CONFLICT, error: denied(&denial) },
        MakeRefusal::Other(refusal) => workspace_fault(refusal),
    })?;
    let id = made.id.clone();
    to_the_end(async move {
        let moved_in = move_in(&door, &made.id, &image_id, &caller).await;
        if let Err(error) = &moved_in {
            tracing::warn!(error = %crate::Chain(error), container = %made.id, "the account could not be put in place");
        }
        moved_in.map_err(Refusal::from)
    })
    .await?;
    deployed.id = id.to_string();
    deployed.warnings.extend(made.warnings);
    Ok(http::json(StatusCode::CREATED, &deployed))
}

/// Whether a path leads to a directory; `None` where there is nothing, as far as the caller can see: what he cannot see is
/// not told.
async fn is_directory(ask: &Ask, path: &std::path::Path) -> Result<Option<bool>, Fault> {
    let (credentials, path) = (ask.caller.credentials(), path.to_owned());
    let looked = tokio::task::spawn_blocking(move || {
        as_caller(&credentials, move || path.metadata().ok().map(|found| found.is_dir()))
    })
    .await;
    match looked {
        Ok(Ok(there)) => Ok(there),
        Ok(Err(fault)) => Err(Fault::new(
            StatusCode::BAD_REQUEST,
            codes::WORKSPACE_DENIED,
            format!("the workspace cannot be looked at: {fault}"),
        )),
        Err(_) => Err(Refusal::fault("DS01 met a fault of its own; tell an admin what you did").into()),
    }
}

fn workspace_fault(refusal: Refusal) -> Fault {
    let fault = Fault::from(refusal);
    match fault.status {
        StatusCode::FORBIDDEN => Fault::new(fault.status, codes::WORKSPACE_DENIED, fault.error.message),
        _ => fault,
    }
}

impl Ask {
    /// The caller's container of this very name, if there is one.
    async fn container_if_any(&self, name: &str) -> Result<Option<Own>, Fault> {
        match crate::gateway::own::find_own(&self.door, &self.caller, name).await {
            Ok(own) => Ok(Some(own)),
            Err(refusal) if refusal.status == StatusCode::NOT_FOUND => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

/// A container that is there already is the answer, if it is what was asked for.
async fn reuse(ask: &Ask, request: &DeployRequest, wish: &Wish, own: &Own) -> Result<Response<Body>, Fault> {
    let remembered = ask.door.records.one(&ask.door, own.token()).await?;
    let record = &remembered.record;
    let want = own.container.as_ref().and_then(|c| c.want.as_ref());
    let had = want.map_or(0, Want::units);
    // Nothing at all is no want, and a count of none.
    let other_gpus = match want {
        Some(want) => *want != wish.gpu,
        None => wish.gpus > 0,
    };
    let of_another = request.from_project.is_some();
    let names_image = request.image.is_some() || request.framework.is_some() || of_another;
    let names_workspace = request.workspace.is_some() || of_another;
    let differs = (names_image && record.image != wish.image)
        || (request.mentions_gpus() && other_gpus)
        || (names_workspace && record.workspace.as_ref() != Some(&wish.workspace));
    if differs {
        return Err(Fault::new(
            StatusCode::CONFLICT,
            codes::CONTAINER_CONFLICT,
            format!("{} exists already and was made with other settings", wish.project),
        )
        .hint(format!(
            "container retire {} first, or add --force, which replaces it; /workspace stays as it is",
            wish.project
        )));
    }
    let look = ask.door.engine.look(&own.id).await?;
    let deployed = Deployed {
        id: own.id.to_string(),
        name: wish.name.clone(),
        project: wish.project.to_string(),
        image: record.image.clone(),
        gpus: u32::try_from(had).unwrap_or(u32::MAX),
        workspace: record.workspace.as_ref().unwrap_or(&wish.workspace).display().to_string(),
        workspace_created: false,
        data: Vec::new(),
        state: state_of(look.state),
        reused: true,
        replaced: false,
        dry_run: request.dry_run,
        outlook: None,
        warnings: wish.warnings.clone(),
    };
    Ok(http::json(StatusCode::OK, &deployed))
}

async fn remove(ask: &Ask, own: &Own) -> Result<(), Fault> {
    let door = ask.door.clone();
    door.coordinator.stop_asked(&own.id).await?;
    let own = own.clone();
    Ok(to_the_end(async move {
        match door.engine.stop(&own.id, std::time::Duration::from_secs(3)).await {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
        door.engine.remove(&own.id).await?;
        forget(&door, &own).await;
        Ok(())
    })
    .await?)
}

/// The create body of a project's container, judged like any other.
async fn making(ask: &Ask, request: &DeployRequest, wish: &Wish) -> Result<Making, Fault> {
    let caller = &ask.caller;
    let mut binds = vec![format!("{}:/workspace", wish.workspace.display())];
    for data in &request.data {
        binds.push(format!("{}:{}:ro", data.source, data.target));
    }
    let requests = if wish.gpus > 0 {
        json!([{ "Driver": "", "Count": wish.gpus, "Capabilities": [["gpu"]] }])
    } else {
        Value::Null
    };
    let body = json!({
        "Image": wish.image,
        "Hostname": wish.project.as_str(),
        "User": format!("{}:{}", caller.uid, caller.gid),
        "WorkingDir": "/workspace",
        "Entrypoint": IDLE_COMMAND,
        "Cmd": [],
        "Env": [
            format!("HOME=/home/{}", caller.name),
            format!("USER={}", caller.name),
            format!("LOGNAME={}", caller.name),
            // Plain parameter expansion: every shell reads it the same.
            format!("PS1={}@{}:$PWD$ ", caller.name, wish.project),
        ],
        "HostConfig": {
            "Binds": binds,
            "Init": true,
            "DeviceRequests": requests,
        },
    });
    let rules = rules_of_create(&ask.door, caller).await.map_err(Refusal::from)?;
    let judged = body::judge_create(body.to_string().as_bytes(), &rules).map_err(Refusal::from)?;
    Ok(Making {
        caller: caller.clone(),
        person: person_of(caller),
        rules,
        name: Some(wish.name.clone()),
        judged,
        target: "/v1.40/containers/create".to_owned(),
        deploy: Some(DeployFacts {
            project: wish.project.to_string(),
            workspace: wish.workspace.clone(),
            gpu: wish.gpu.clone(),
        }),
    })
}

/// Makes the user himself inside: name, number, home.
async fn move_in(
    door: &crate::gateway::Door,
    id: &ds01_domain::ContainerId,
    image: &str,
    caller: &crate::identity::Caller,
) -> Result<(), EngineError> {
    let files = match door.account_files.get(image) {
        Some(files) => files,
        None => {
            let files = read_account_files(door, id).await?;
            door.account_files.put(image.to_owned(), files.clone());
            files
        }
    };
    let account = Account {
        name: caller.name.clone(),
        uid: caller.uid,
        gid: caller.gid,
        home: format!("/home/{}", caller.name),
        shell: files.shell.clone(),
    };
    let tar = account::archive(&account, &files.files)
        .map_err(|_| EngineError::Rubbish { what: "the account archive".to_owned() })?;
    door.engine.unpack_at_root(id, tar.into()).await
}

async fn read_account_files(
    door: &crate::gateway::Door,
    id: &ds01_domain::ContainerId,
) -> Result<crate::gateway::ImageAccounts, EngineError> {
    let read = async |path: &str| match door.engine.archive_of(id, path).await {
        Ok(archive) => Ok(account::first_file(&archive).unwrap_or_default()),
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    let files = AccountFiles { passwd: read("/etc/passwd").await?, group: read("/etc/group").await? };
    let shell = if door.engine.has_path(id, "/bin/bash").await? { "/bin/bash" } else { "/bin/sh" };
    Ok(crate::gateway::ImageAccounts { files, shell: shell.to_owned() })
}
