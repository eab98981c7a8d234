//! `POST deploy`: a project's container, in which the user is himself and `/workspace` is his project.

use std::path::PathBuf;

use ds01_api::names::{self, Project};
use ds01_api::{ContainerState, DeployRequest, Deployed, codes};
use ds01_docker::body;
use ds01_domain as domain;
use ds01_domain::Want;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::list::state_of;
use super::{Ask, Fault, denied};
use crate::deploy::account::{self, Account, AccountFiles};
use crate::engine::EngineError;
use crate::gateway::containers::forget;
use crate::gateway::create::{DeployFacts, MakeRefusal, Making, make};
use crate::gateway::forward::to_the_end;
use crate::gateway::http::{self, Body, Refusal};
use crate::gateway::own::Own;
use crate::gateway::{images, person_of, rules_of};
use crate::staging::as_caller;

/// What keeps a container alive that nobody works in: it ends at once when it is told to.
const IDLE_COMMAND: [&str; 3] =
    ["/bin/sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"];

/// Characters of `--gpu`.
const MODEL_CHARACTERS_MAX: usize = 64;

/// What a deploy comes to.
struct Wish {
    project: Project,
    name: String,
    image: String,
    gpus: u32,
    /// What the GPUs must be.
    gpu: Want,
    workspace: PathBuf,
}

pub(super) async fn deploy(mut ask: Ask) -> Result<Response<Body>, Fault> {
    let request: DeployRequest = ask.read().await?;
    let wish = wish(&ask, &request)?;
    let existing = ask.container_if_any(&wish.name).await?;
    let mut replaced = false;
    if let Some(own) = existing {
        if !request.force {
            return reuse(&ask, &request, &wish, &own).await;
        }
        replaced = true;
        if !request.dry_run {
            remove(&ask, &own).await?;
        }
    }
    let workspace_created = !is_there(&ask, &wish.workspace).await?;
    let facts = image(&ask, &wish).await?;
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
        warnings: Vec::new(),
    };
    if request.dry_run {
        deployed.outlook = Some(outlook(&ask, wish.gpu).await?);
        return Ok(http::json(StatusCode::OK, &deployed));
    }
    let making = making(&ask, &request, &wish)?;
    let (door, caller) = (ask.door.clone(), ask.caller.clone());
    let made = make(&door, making).await.map_err(|refusal| match refusal {
        MakeRefusal::Denied(denial) => Fault { status: StatusCode::CONFLICT, error: denied(&denial) },
        MakeRefusal::Other(refusal) => workspace_fault(refusal),
    })?;
    let id = made.id.clone();
    let image_id = facts.id;
    to_the_end(async move {
        let moved_in = move_in(&door, &made.id, &image_id, &caller).await;
        if let Err(error) = &moved_in {
            tracing::warn!(error = %crate::Chain(error), container = %made.id, "the account could not be put in place");
        }
        moved_in.map_err(Refusal::from)
    })
    .await?;
    deployed.id = id.to_string();
    deployed.warnings = made.warnings;
    Ok(http::json(StatusCode::CREATED, &deployed))
}

/// Whether there is something at a path, as far as the caller can see: what he cannot see is not told.
async fn is_there(ask: &Ask, path: &std::path::Path) -> Result<bool, Fault> {
    let (credentials, path) = (ask.caller.credentials(), path.to_owned());
    let looked = tokio::task::spawn_blocking(move || {
        as_caller(&credentials, move || path.try_exists().unwrap_or(false))
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

fn wish(ask: &Ask, request: &DeployRequest) -> Result<Wish, Fault> {
    let project = Project::new(&request.project)
        .map_err(|e| Fault::new(StatusCode::BAD_REQUEST, codes::NAME_INVALID, e.to_string()))?;
    let invalid = |text: &str| Fault::new(StatusCode::BAD_REQUEST, codes::REQUEST_INVALID, text);
    if request.cpu_only && request.gpus.is_some_and(|n| n > 0) {
        return Err(invalid("--cpu-only and --gpus contradict"));
    }
    if request.gpu_model.as_ref().is_some_and(|model| !is_a_model(model)) {
        return Err(invalid("--gpu takes a part of a model's name, or a slice's profile: h100, 2g, 2g.20gb"));
    }
    let user = &ask.caller.name;
    let workspace = match &request.workspace {
        Some(path) => PathBuf::from(path),
        None => ask.caller.home.join("workspace").join(project.as_str()),
    };
    let gpu = Want {
        min_memory_mib: request.gpu_memory_mib,
        full: request.full_gpu,
        model: request.gpu_model.clone(),
        ..Want::count(request.gpu_count())
    };
    Ok(Wish {
        gpu,
        name: names::container(&project, user),
        image: request.image.clone().unwrap_or_else(|| names::image(&project, user)),
        gpus: request.gpu_count(),
        workspace,
        project,
    })
}

/// Whether a text can be meant as a part of a model's name or a profile. It is shown to others who wait.
fn is_a_model(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || " .+-_".contains(c);
    (1..=MODEL_CHARACTERS_MAX).contains(&text.len()) && text.chars().all(plain) && !text.trim().is_empty()
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

async fn image(ask: &Ask, wish: &Wish) -> Result<crate::engine::ImageFacts, Fault> {
    match images::visible(&ask.door, &ask.caller, &wish.image).await {
        Ok(facts) => Ok(facts),
        Err(refusal) if refusal.status == StatusCode::NOT_FOUND => {
            let near = images::missing_hint(&ask.door, &ask.caller, &wish.image).await;
            let near = if near.is_empty() { String::new() } else { format!(" (there are: {near})") };
            Err(Fault::new(
                StatusCode::NOT_FOUND,
                codes::IMAGE_NOT_FOUND,
                format!("there is no image {} on this machine", wish.image),
            )
            .hint(format!(
                "{}; or name another: container deploy {} --image IMAGE{near}",
                how_to_get(&wish.image, wish.project.as_str(), &ask.caller.name),
                wish.project
            )))
        }
        Err(refusal) => Err(refusal.into()),
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
    let differs = (request.image.is_some() && record.image != wish.image)
        || (request.mentions_gpus() && other_gpus)
        || (request.workspace.is_some() && record.workspace.as_ref() != Some(&wish.workspace));
    if differs {
        return Err(Fault::new(
            StatusCode::CONFLICT,
            codes::CONTAINER_CONFLICT,
            format!("{} exists already and was made with other settings", wish.project),
        )
        .hint(format!(
            "container retire {0} and deploy again, or container deploy {0} --force; /workspace stays as it is",
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
        warnings: Vec::new(),
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

/// What a start would meet now, in a sentence; a denial that no wait would change is one here, too.
async fn outlook(ask: &Ask, gpu: Want) -> Result<String, Fault> {
    let person = person_of(&ask.caller);
    let running_containers = crate::gateway::running_containers(&ask.door, ask.caller.uid).await?;
    let gpus = gpu.units();
    let wanted = (gpus > 0).then_some(gpu);
    let (decision, free, waiting, used, limits) = ask
        .door
        .coordinator
        .read(move |state, policy, now| {
            let request =
                domain::Request::Create { person: &person, want: wanted.as_ref(), running_containers };
            let is_free = |unit: &&domain::Unit| state.unit(&unit.id).is_some_and(|view| view.is_free());
            let sufficient = wanted.as_ref().map_or_else(Vec::new, |want| domain::fitting(state, want));
            let free = sufficient.iter().filter(|unit| is_free(unit)).count();
            let decision = domain::decide(policy, state, &request, now);
            (decision, free, state.waiters().count(), state.used_by(person.uid), policy.resolve(&person))
        })
        .await?;
    if let domain::Decision::Denial(denial) = decision {
        return Err(Fault { status: StatusCode::CONFLICT, error: denied(&denial) });
    }
    if gpus == 0 {
        return Ok("it needs no GPU: it would start at once".to_owned());
    }
    if let Some(max) = limits.max_gpu_equivalents.filter(|max| used >= *max) {
        return Ok(format!("you hold {used} of {max} GPUs: it would be denied until you stop something"));
    }
    Ok(outlook_in_words(free, waiting, gpus))
}

/// What gets an image that is not here: one's own is built, any other is fetched.
fn how_to_get(image: &str, project: &str, user: &str) -> String {
    let own = format!("{}/", ds01_api::names::image_namespace(user));
    if image.starts_with(&own) {
        format!(
            "write ~/workspace/{project}/Dockerfile and build it: docker build -t {image} ~/workspace/{project}"
        )
    } else {
        format!("fetch it: docker pull {image}")
    }
}

fn outlook_in_words(free: usize, waiting: usize, gpus: usize) -> String {
    let units = match free {
        0 => "no GPU is free".to_owned(),
        1 => "1 GPU unit is free".to_owned(),
        n => format!("{n} GPU units are free"),
    };
    match waiting {
        0 if free >= gpus => format!("{units}: it would start at once"),
        0 => format!("{units}: it would wait, first in line"),
        1 => format!("{units} and 1 start waits: it would wait in line"),
        n => format!("{units} and {n} starts wait: it would wait in line"),
    }
}

/// The create body of a project's container, judged like any other.
fn making(ask: &Ask, request: &DeployRequest, wish: &Wish) -> Result<Making, Fault> {
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
    let rules = rules_of(&ask.door, caller);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_is_not_here_is_built_or_fetched() {
        assert_eq!(how_to_get("pytorch:2", "thesis", "alice"), "fetch it: docker pull pytorch:2");
        assert_eq!(
            how_to_get("ds01-alice/thesis:latest", "thesis", "alice"),
            "write ~/workspace/thesis/Dockerfile and build it: docker build -t ds01-alice/thesis:latest ~/workspace/thesis"
        );
    }

    #[test]
    fn the_outlook_is_a_sentence() {
        assert_eq!(outlook_in_words(3, 0, 1), "3 GPU units are free: it would start at once");
        assert_eq!(outlook_in_words(1, 0, 1), "1 GPU unit is free: it would start at once");
        assert_eq!(outlook_in_words(0, 0, 1), "no GPU is free: it would wait, first in line");
        assert_eq!(outlook_in_words(1, 0, 2), "1 GPU unit is free: it would wait, first in line");
        assert_eq!(outlook_in_words(0, 1, 1), "no GPU is free and 1 start waits: it would wait in line");
        assert_eq!(outlook_in_words(0, 2, 1), "no GPU is free and 2 starts wait: it would wait in line");
    }
}
