//! What a container beside is made of: taken from the container in which the command was typed, or from the project in whose
//! directory. It must never make one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ds01_api::names::{self, Project};
use ds01_api::{Exit, WhoAmI, codes};
use nix::unistd::{getgid, getuid};
use serde_json::{Map, Value, json};

use crate::args::{BorrowArgs, GpuArgs};
use crate::client::Door;
use crate::commands::deploy::data_mounts;
use crate::commands::image;
use crate::commands::image::build::{When, ensure};
use crate::failure::Failure;
use crate::project::{Place, of_directory, workspace};
use crate::ui::Ui;

/// Where a project is seen inside.
const WORKSPACE: &str = "/workspace";
/// What is the container's own, and not its sibling's.
const NOT_HANDED_ON: [&str; 5] =
    ["HOSTNAME", "DOCKER_HOST", "NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "SHLVL"];
/// Of names, so much stands before what makes them differ.
const NAME_BYTES_MAX: usize = 40;

/// A container that is to be made.
#[derive(Debug, PartialEq)]
pub(super) struct Sibling {
    /// What it is called.
    pub(super) name: String,
    image: String,
    directory: PathBuf,
    environment: Vec<String>,
    /// Of its `HostConfig` what says what it sees: binds, mounts, network, shared memory.
    sees: Map<String, Value>,
}

impl Sibling {
    /// Of the container in which we are.
    pub(super) fn of_container(inspected: &Value, name: &str, args: &BorrowArgs) -> Result<Self, Failure> {
        if args.project.is_some() {
            return Err(Failure::usage(
                "--project is for the server itself; in a container it is this one's image and workspace",
            ));
        }
        if !args.data.is_empty() {
            return Err(Failure::usage(
                "--data is for the server itself; in a container it sees what this one sees",
            )
            .with_hint("mount the directory into this container: \"mounts\" in devcontainer.json"));
        }
        let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let environment = std::env::vars().filter(|(name, _)| !NOT_HANDED_ON.contains(&name.as_str()));
        let environment = environment.map(|(name, value)| format!("{name}={value}")).collect();
        let image = args.image.clone().or_else(|| inspected["Config"]["Image"].as_str().map(str::to_owned));
        let image = image.ok_or_else(|| {
            Failure::new(Exit::Failed, codes::INTERNAL, format!("{name} has no image that could be named"))
                .with_hint("name one: --image IMAGE")
        })?;
        Ok(Self {
            name: differing(name),
            image,
            directory: here,
            environment,
            sees: seen(&inspected["HostConfig"]),
        })
    }

    /// Of the project in whose directory we are, or that is named.
    pub(super) async fn of_project(door: &Door, args: &BorrowArgs, me: &WhoAmI) -> Result<Self, Failure> {
        let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let project = match args.project.as_deref() {
            Some(name) => image::project(name)?,
            None => of_directory(&here, &workspace()?).ok_or_else(|| {
                Failure::usage(
                    "you are in no project's directory, so there is nothing that the command could work on",
                )
                .with_hint("cd ~/workspace/<project>, or name one: ds01 run --project NAME -- COMMAND")
            })?,
        };
        let place = Place::of(&project)?;
        let image = match &args.image {
            Some(image) => image.clone(),
            None => own_image(door, &project, me).await?,
        };
        let below = here.strip_prefix(&place.directory).map(Path::to_owned).unwrap_or_default();
        let mut binds = vec![format!("{}:{WORKSPACE}", place.directory.display())];
        let data = data_mounts(&args.data)?.into_iter();
        binds.extend(data.map(|data| format!("{}:{}:ro", data.source, data.target)));
        let sees = json!({ "Binds": binds });
        let mut environment: Vec<String> = ["TERM", "LANG", "TZ"]
            .iter()
            .filter_map(|name| Some(format!("{name}={}", std::env::var(name).ok()?)))
            .collect();
        // Its home goes with it; nobody of this number need be known in the image.
        environment.extend([
            format!("USER={}", me.name),
            format!("LOGNAME={}", me.name),
            "HOME=/tmp".to_owned(),
        ]);
        Ok(Self {
            name: differing(project.as_str()),
            image,
            directory: Path::new(WORKSPACE).join(below),
            environment,
            sees: sees.as_object().cloned().unwrap_or_default(),
        })
    }

    /// As Docker is asked for it.
    pub(super) fn body(&self, args: &BorrowArgs, interactive: bool) -> Result<Value, Failure> {
        let mut environment = self.environment.clone();
        for wanted in &args.env {
            environment.push(match wanted.split_once('=') {
                Some(_) => wanted.clone(),
                None => match std::env::var(wanted) {
                    Ok(value) => format!("{wanted}={value}"),
                    Err(_) => {
                        return Err(Failure::usage(format!(
                            "--env {wanted}: there is no such variable here"
                        )));
                    }
                },
            });
        }
        let mut host = self.sees.clone();
        host.insert("AutoRemove".to_owned(), true.into());
        host.insert("Init".to_owned(), true.into());
        host.insert("DeviceRequests".to_owned(), json!([device_request(&args.gpu)]));
        Ok(json!({
            "Image": self.image,
            "Entrypoint": args.command,
            "Cmd": [],
            "WorkingDir": self.directory.to_string_lossy(),
            "User": format!("{}:{}", getuid(), getgid()),
            "Env": environment,
            "Tty": interactive,
            "OpenStdin": true,
            "StdinOnce": true,
            "AttachStdin": true,
            "AttachStdout": true,
            "AttachStderr": true,
            "HostConfig": host,
        }))
    }
}

/// As Docker is asked for GPUs. What they must be are options of the request, which the door reads in the words that plain
/// `docker run --gpus` has for them.
fn device_request(gpu: &GpuArgs) -> Value {
    let memory = gpu.gpu_memory.map(|mib| ("memory", format!("{mib}m")));
    let model = gpu.gpu_model.clone().map(|model| ("model", model));
    let full = gpu.full_gpu.then(|| ("full", "true".to_owned()));
    let options: BTreeMap<&str, String> = [memory, model, full].into_iter().flatten().collect();
    json!({ "Driver": "", "Count": gpu.gpus.unwrap_or(1), "Capabilities": [["gpu"]], "Options": options })
}

/// The project's own image; built where there is none yet. One that is older than its Dockerfile will do: nobody waits for a
/// build who wanted to run something.
async fn own_image(door: &Door, project: &Project, me: &WhoAmI) -> Result<String, Failure> {
    let own = names::image(project, &me.name);
    if door.image(&own).await?.is_none() {
        // Its progress goes to standard error: the output is the command's.
        ensure(door, project, When::Needed, Ui { json: false }).await?;
    }
    Ok(own)
}

/// What a container sees, for one that is to see the same.
fn seen(host: &Value) -> Map<String, Value> {
    const ALIKE: [&str; 5] = ["Binds", "Mounts", "NetworkMode", "ShmSize", "ExtraHosts"];
    let alike = ALIKE.iter().filter_map(|key| Some(((*key).to_owned(), host.get(key)?.clone())));
    alike.filter(|(_, value)| !value.is_null()).collect()
}

/// A name that says whose sibling it is, and is no other's: `thesis-run-1f3a9c`.
fn differing(name: &str) -> String {
    let name = name.split("._.").next().unwrap_or(name).trim_start_matches('/');
    let short: String = name.chars().take(NAME_BYTES_MAX).collect();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mark = now.subsec_nanos() ^ (std::process::id() << 12);
    format!("{short}-run-{:06x}", mark & 0xff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sibling_sees_what_its_container_sees_and_takes_no_more_of_it() {
        let host = json!({
            "Binds": ["/home/alice/p:/workspace"], "Mounts": null, "NetworkMode": "default", "ShmSize": 67_108_864,
            "RestartPolicy": { "Name": "always" }, "DeviceRequests": null, "AutoRemove": false, "Privileged": false,
        });
        let keys: Vec<String> = seen(&host).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["Binds", "NetworkMode", "ShmSize"]);
    }

    #[test]
    fn names_differ_and_say_whose_they_are() {
        let name = differing("/thesis._.alice");
        assert!(name.starts_with("thesis-run-") && name.len() == "thesis-run-".len() + 6, "{name}");
        assert_eq!(differing(&"x".repeat(200)).len(), NAME_BYTES_MAX + "-run-".len() + 6);
    }
}
