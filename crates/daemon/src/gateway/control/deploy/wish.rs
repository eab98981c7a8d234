//! What a deploy comes to: names, image, workspace, GPUs. It must never make or change anything.

use std::path::PathBuf;

use ds01_api::names::{self, Project};
use ds01_api::{DeployRequest, codes};
use ds01_docker::gpu::is_a_model;
use ds01_domain::Want;
use hyper::StatusCode;

use crate::engine::ImageFacts;
use crate::gateway::control::{Ask, Fault};
use crate::gateway::images;

/// Names of frameworks that a refusal lists.
const LISTED_MAX: usize = 24;

/// What a deploy comes to.
pub(super) struct Wish {
    pub(super) project: Project,
    /// The project whose workspace and image it has; mostly the same.
    source: Project,
    pub(super) name: String,
    pub(super) image: String,
    /// Whether that is a framework's, and can be fetched.
    pub(super) is_base: bool,
    pub(super) gpus: u32,
    /// What the GPUs must be.
    pub(super) gpu: Want,
    pub(super) workspace: PathBuf,
    /// What is not as it was asked for.
    pub(super) warnings: Vec<String>,
}

/// Reads a request as the caller means it.
pub(super) async fn of(ask: &Ask, request: &DeployRequest) -> Result<Wish, Fault> {
    let project = named(&request.project)?;
    let source = request.from_project.as_deref().map_or_else(|| Ok(project.clone()), named)?;
    let invalid = |text: &str| Fault::new(StatusCode::BAD_REQUEST, codes::REQUEST_INVALID, text);
    if request.cpu_only && request.gpus.is_some_and(|n| n > 0) {
        return Err(invalid("--cpu-only and --gpus contradict"));
    }
    if request.gpu_model.as_ref().is_some_and(|model| !is_a_model(model)) {
        return Err(invalid("--gpu takes a part of a model's name, or a slice's profile: h100, 2g, 2g.20gb"));
    }
    if request.image.is_some() && request.framework.is_some() {
        return Err(invalid("--image and --framework contradict"));
    }
    let user = &ask.caller.name;
    let workspace = match &request.workspace {
        Some(path) => PathBuf::from(path),
        None => ask.caller.home.join("workspace").join(source.as_str()),
    };
    let gpu = Want {
        min_memory_mib: request.gpu_memory_mib,
        full: request.full_gpu,
        model: request.gpu_model.clone(),
        ..Want::count(request.gpu_count())
    };
    let mut warnings = Vec::new();
    let image = match (&request.image, &request.framework) {
        (Some(image), _) => image.clone(),
        (None, Some(framework)) => base_image(ask, framework, &source, &mut warnings).await?,
        (None, None) => names::image(&source, user),
    };
    let is_base = request.framework.is_some() && !is_own(&image, user);
    let name = names::container(&project, user);
    Ok(Wish { project, source, name, image, is_base, gpus: request.gpu_count(), gpu, workspace, warnings })
}

fn named(project: &str) -> Result<Project, Fault> {
    Project::new(project).map_err(|e| Fault::new(StatusCode::BAD_REQUEST, codes::NAME_INVALID, e.to_string()))
}

/// The image to begin with: the project's own where there is one, else the framework's.
async fn base_image(
    ask: &Ask,
    framework: &str,
    source: &Project,
    warnings: &mut Vec<String>,
) -> Result<String, Fault> {
    let config = ask.door.config();
    let Some(base) = config.frameworks.get(&framework.to_ascii_lowercase()) else {
        let unknown = format!("no framework is called {framework} here");
        let fault = Fault::new(StatusCode::NOT_FOUND, codes::FRAMEWORK_UNKNOWN, unknown);
        return Err(fault.hint(known_frameworks(config.frameworks.keys().map(String::as_str))));
    };
    let own = names::image(source, &ask.caller.name);
    match images::visible(&ask.door, &ask.caller, &own).await {
        Ok(_) => {
            warnings.push(format!("{source} has an image of its own, {own}: that is taken, and not {base}"));
            Ok(own)
        }
        Err(refusal) if refusal.status == StatusCode::NOT_FOUND => Ok(base.clone()),
        Err(refusal) => Err(refusal.into()),
    }
}

fn known_frameworks<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut names: Vec<&str> = names.collect();
    let more = names.len().saturating_sub(LISTED_MAX);
    names.truncate(LISTED_MAX);
    match (names.is_empty(), more) {
        (true, _) => "this machine has no catalogue of frameworks: name an image with --image".to_owned(),
        (_, 0) => format!("there are: {}", names.join(", ")),
        _ => format!("there are: {}, and {more} more", names.join(", ")),
    }
}

/// Whether a text can be meant as a part of a model's name or a profile. It is shown to others who wait.
/// The image's facts; where there is none, how to get one.
pub(super) async fn image(ask: &Ask, wish: &Wish) -> Result<ImageFacts, Fault> {
    match images::visible(&ask.door, &ask.caller, &wish.image).await {
        Ok(facts) => Ok(facts),
        Err(refusal) if refusal.status == StatusCode::NOT_FOUND => {
            let near = images::missing_hint(&ask.door, &ask.caller, &wish.image).await;
            let near = if near.is_empty() { String::new() } else { format!(" (there are: {near})") };
            let get = how_to_get(&wish.image, wish.source.as_str(), &ask.caller.name);
            let base = match ask.door.config().frameworks.keys().find(|name| *name == "pytorch") {
                Some(name) if is_own(&wish.image, &ask.caller.name) => {
                    format!("; or begin with a framework: --framework {name}")
                }
                _ => String::new(),
            };
            Err(Fault::new(
                StatusCode::NOT_FOUND,
                codes::IMAGE_NOT_FOUND,
                format!("there is no image {} on this machine", wish.image),
            )
            .hint(format!(
                "{get}{base}; or name another: container deploy {} --image IMAGE{near}",
                wish.project
            )))
        }
        Err(refusal) => Err(refusal.into()),
    }
}

fn is_own(image: &str, user: &str) -> bool {
    image.starts_with(&format!("{}/", names::image_namespace(user)))
}

/// What gets an image that is not here: one's own is built, any other is fetched.
fn how_to_get(image: &str, project: &str, user: &str) -> String {
    if is_own(image, user) {
        format!("make one: image create {project} (image update {project}, if it has a Dockerfile)")
    } else {
        format!("fetch it: docker pull {image}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_is_not_here_is_built_or_fetched() {
        assert_eq!(how_to_get("pytorch:2", "thesis", "alice"), "fetch it: docker pull pytorch:2");
        assert_eq!(
            how_to_get("ds01-alice/thesis:latest", "thesis", "alice"),
            "make one: image create thesis (image update thesis, if it has a Dockerfile)"
        );
    }

    #[test]
    fn a_catalogue_is_listed_and_not_at_any_length() {
        assert_eq!(known_frameworks(["jax", "pytorch"].into_iter()), "there are: jax, pytorch");
        assert!(known_frameworks(std::iter::repeat_n("x", LISTED_MAX + 3)).ends_with(", x, and 3 more"));
        assert!(known_frameworks(std::iter::empty()).contains("--image"));
    }
}
