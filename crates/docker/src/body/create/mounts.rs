//! Answers for: taking binds and volumes out of a create body, as `Binds` strings and as `Mounts`.
//!
//! Must never: leave a path of the host in what is sent on; only the daemon's staged paths go there.

use super::super::desk::{Desk, VolumeSent};
use super::super::fields::{map_json, text, text_map, texts};
use super::super::paths::clean;
use super::super::refusal::Refusal;
use super::super::shape::Shape;
use super::super::shape::Shape::{Bool, Integer, Text};
use super::super::table::Rule::{Allow, Check, Clamp, Drop, Pass};
use super::super::table::{Table, judge_object, row};
use super::tmpfs::{tmpfs_flags, tmpfs_options, tmpfs_size};
use super::{BindAsk, BindForm, ContainerRef, ContainerRole, VolumeAsk, VolumeForm};
use crate::json::{Json, Object};

type Judged = Result<Option<Json>, Refusal>;

/// `Mount`
pub(crate) const MOUNT: Table = &[
    row("Type", 40, Pass(Text), "bind, volume, tmpfs or image"),
    row("Source", 40, Pass(Text), "taken out: the daemon answers"),
    row("Target", 40, Check(target), "a path in the container"),
    row("ReadOnly", 40, Pass(Bool), "tightening"),
    row("Consistency", 40, Drop, "has no effect on Linux"),
    row("BindOptions", 40, Check(bind_options), "propagation reaches the host"),
    row("VolumeOptions", 40, Check(volume_options), "a driver's options mount anything"),
    row("TmpfsOptions", 40, Check(tmpfs_mount_options), "memory, and set-uid files"),
    row("ImageOptions", 48, Check(image_options), "the daemon looks whether the caller may see the image"),
];

/// `Mount.BindOptions`
pub(crate) const BIND_OPTIONS: Table = &[
    row("Propagation", 40, Allow(propagation), "shared mounts show on the host"),
    row("NonRecursive", 40, Pass(Bool), "tightening"),
    row("CreateMountpoint", 42, Pass(Bool), "taken out: the daemon creates, as the caller"),
    row("ReadOnlyNonRecursive", 44, Pass(Bool), "about mounts beneath, of which a stage has none"),
    row("ReadOnlyForceRecursive", 44, Pass(Bool), "tightening"),
];

/// `Mount.VolumeOptions`
pub(crate) const VOLUME_OPTIONS: Table = &[
    row("NoCopy", 40, Pass(Bool), "whether the image's files are copied in"),
    row("Labels", 40, Check(super::super::fields::short_labels), "of the volume, when it is made"),
    row("DriverConfig", 40, Allow(driver_config), "the local driver's options mount anything"),
    row("Subpath", 45, Pass(Text), "the Engine keeps it inside the volume"),
];

/// `Mount.VolumeOptions.DriverConfig`
pub(crate) const DRIVER_CONFIG: Table =
    &[row("Name", 40, Pass(Text), "local only"), row("Options", 40, Pass(Shape::TextMap), "none")];

/// `Mount.TmpfsOptions`
pub(crate) const TMPFS_OPTIONS: Table = &[
    row("SizeBytes", 40, Clamp(tmpfs_size), "memory"),
    row("Mode", 40, Pass(Integer), "of the directory"),
    row("Options", 46, Allow(tmpfs_flags), "suid and dev stay off"),
];

/// `Mount.ImageOptions`
pub(crate) const IMAGE_OPTIONS: Table =
    &[row("Subpath", 48, Pass(Text), "the Engine keeps it inside the image")];

fn target(_desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = text(path, value)?;
    check_target(path, &given)?;
    Ok(Some(Json::text(given)))
}

fn check_target(path: &str, given: &str) -> Result<(), Refusal> {
    match clean(given).as_deref() {
        None => Err(Refusal::bad(format!(
            "\"{path}\": invalid mount path: '{given}' mount path must be absolute"
        ))),
        Some("/") => Err(Refusal::bad(format!("\"{path}\" {given:?}: destination can't be '/'"))),
        Some(_) => Ok(()),
    }
}

fn propagation(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = text(path, value)?;
    if desk.rules.admin || matches!(given.as_str(), "" | "private" | "rprivate") {
        return Ok((!given.is_empty()).then(|| Json::text(given)));
    }
    Err(propagation_refused(path, &given))
}

fn propagation_refused(path: &str, given: &str) -> Refusal {
    Refusal::forbidden(format!(
        "\"{path}\" {given:?} would let mounts pass between host and container; leave it out (rprivate)"
    ))
}

fn options(table: Table, desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    match value {
        None | Some(Json::Null) => Ok(None),
        Some(value) => Ok(Some(Json::Object(judge_object(table, desk, path, value)?))),
    }
}

fn bind_options(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    options(BIND_OPTIONS, desk, path, value)
}

fn volume_options(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    options(VOLUME_OPTIONS, desk, path, value)
}

fn tmpfs_mount_options(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    options(TMPFS_OPTIONS, desk, path, value)
}

fn image_options(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    options(IMAGE_OPTIONS, desk, path, value)
}

fn driver_config(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let Some(Json::Object(judged)) = options(DRIVER_CONFIG, desk, path, value)? else { return Ok(None) };
    let driver = judged.get("Name").and_then(Json::as_str).unwrap_or_default();
    let bare = judged.get("Options").is_none_or(Json::is_neutral);
    if desk.rules.admin || (bare && matches!(driver, "" | "local")) {
        return Ok(Some(Json::Object(judged)));
    }
    Err(Refusal::forbidden(format!(
        "\"{path}\" chooses a volume driver or its options, which mount parts of the host; \
         leave it out, or ask the admin"
    )))
}

pub(crate) fn volume_driver(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = text(path, value)?;
    if desk.rules.admin || matches!(given.as_str(), "" | "local") {
        return Ok((!given.is_empty()).then(|| Json::text(given)));
    }
    Err(Refusal::forbidden(format!("\"{path}\" {given:?} is not available here; leave it out (local)")))
}

/// What the mode of a `Binds` entry says.
#[derive(Default)]
struct Mode {
    read_only: bool,
    no_copy: bool,
    propagation: String,
}

fn read_mode(desk: &Desk<'_>, path: &str, mode: &str) -> Result<Mode, Refusal> {
    let mut read = Mode::default();
    for word in mode.split(',') {
        match word {
            "ro" => read.read_only = true,
            // Labels and consistency have no effect on what is mounted here.
            "rw" | "z" | "Z" | "consistent" | "cached" | "delegated" | "default" => {}
            "nocopy" => read.no_copy = true,
            "private" | "rprivate" => {}
            "shared" | "rshared" | "slave" | "rslave" if desk.rules.admin => {
                word.clone_into(&mut read.propagation);
            }
            "shared" | "rshared" | "slave" | "rslave" => return Err(propagation_refused(path, word)),
            other => return Err(Refusal::bad(format!("\"{path}\": invalid mode: {other}"))),
        }
    }
    Ok(read)
}

pub(crate) fn binds(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    for (position, raw) in texts(path, value)?.into_iter().enumerate() {
        if desk.found.strip.binds.contains(&position) {
            continue;
        }
        let path = format!("{path}[{position}]");
        let parts: Vec<&str> = raw.splitn(4, ':').collect();
        let (source, target, mode) = match parts.as_slice() {
            [target] if !target.is_empty() => ("", *target, "rw"),
            [source, target] if !source.is_empty() => (*source, *target, "rw"),
            [source, target, mode] if !source.is_empty() => (*source, *target, *mode),
            _ => return Err(Refusal::bad(format!("\"{path}\": invalid volume specification: '{raw}'"))),
        };
        check_target(&path, target)?;
        let mode = read_mode(desk, &path, mode)?;
        if source.starts_with('/') {
            let options = (!mode.propagation.is_empty()).then(|| {
                Json::Object(Object::from_iter([(
                    "Propagation".to_owned(),
                    Json::text(mode.propagation.as_str()),
                )]))
            });
            add_bind(desk, BindForm::Binds { position }, source, target, mode.read_only, true, options);
        } else {
            let mut modes = Vec::new();
            modes.extend(mode.read_only.then_some("ro"));
            modes.extend(mode.no_copy.then_some("nocopy"));
            let sent = VolumeSent::Bind { modes: modes.join(",") };
            add_volume(desk, VolumeForm::Binds { position }, &path, source, target, mode.read_only, sent)?;
        }
    }
    Ok(None)
}

fn add_bind(
    desk: &mut Desk<'_>,
    form: BindForm,
    source: &str,
    target: &str,
    read_only: bool,
    create_source: bool,
    options: Option<Json>,
) {
    let slot = desk.found.binds.len();
    desk.found.binds.push(BindAsk {
        slot,
        form,
        source: source.to_owned(),
        target: target.to_owned(),
        read_only,
        create_source,
    });
    desk.found.bind_options.push(options);
}

fn add_volume(
    desk: &mut Desk<'_>,
    form: VolumeForm,
    path: &str,
    name: &str,
    target: &str,
    read_only: bool,
    sent: VolumeSent,
) -> Result<(), Refusal> {
    if !name.is_empty() {
        check_volume_name(path, name)?;
    }
    let slot = desk.found.volumes.len();
    desk.found.volumes.push(VolumeAsk {
        slot,
        form,
        name: (!name.is_empty()).then(|| name.to_owned()),
        target: target.to_owned(),
        read_only,
    });
    desk.found.volumes_sent.push(sent);
    Ok(())
}

/// Docker's grammar for the names of volumes.
pub(crate) fn check_volume_name(path: &str, name: &str) -> Result<(), Refusal> {
    let mut letters = name.chars();
    let good = name.len() > 1
        && letters.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-'));
    if good {
        return Ok(());
    }
    Err(Refusal::bad(format!(
        "\"{path}\": {name:?} is neither an absolute path nor the name of a volume; \
         to mount a directory give its absolute path"
    )))
}

pub(crate) fn mounts(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let items = match value {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::Array(items)) => items,
        Some(other) => return Err(Refusal::wrong_kind(path, "a list", other.kind())),
    };
    for (position, item) in items.iter().enumerate() {
        if desk.found.strip.mounts.contains(&position) {
            continue;
        }
        let path = format!("{path}[{position}]");
        let judged = judge_object(MOUNT, desk, &path, item)?;
        place_mount(desk, &path, position, judged)?;
    }
    Ok(None)
}

fn place_mount(desk: &mut Desk<'_>, path: &str, position: usize, mut mount: Object) -> Result<(), Refusal> {
    let string =
        |mount: &Object, name: &str| mount.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    let kind = string(&mount, "Type");
    let source = string(&mount, "Source");
    let target = string(&mount, "Target");
    let read_only = mount.get("ReadOnly").and_then(Json::as_bool).unwrap_or_default();
    let own_options = match kind.as_str() {
        "bind" => "BindOptions",
        "volume" => "VolumeOptions",
        "tmpfs" => "TmpfsOptions",
        "image" => "ImageOptions",
        _ => {
            return Err(Refusal::forbidden(format!(
                "\"{path}.Type\" {kind:?} is not available here; use bind, volume or tmpfs"
            )));
        }
    };
    for options in ["BindOptions", "VolumeOptions", "TmpfsOptions", "ImageOptions"] {
        if options != own_options && mount.remove(options).is_some_and(|options| !options.is_neutral()) {
            return Err(Refusal::bad(format!(
                "\"{path}.{options}\" does not belong to a mount of type {kind}"
            )));
        }
    }
    match kind.as_str() {
        "bind" => {
            if !source.starts_with('/') {
                return Err(Refusal::bad(format!("\"{path}.Source\" {source:?} is not an absolute path")));
            }
            let mut options = mount.remove("BindOptions");
            let mut create = false;
            if let Some(Json::Object(options)) = &mut options {
                create = options.remove("CreateMountpoint") == Some(Json::Bool(true));
            }
            let options = options.filter(|options| !options.is_neutral());
            add_bind(desk, BindForm::Mounts { position }, &source, &target, read_only, create, options);
        }
        "volume" => {
            mount.remove("Source");
            add_volume(
                desk,
                VolumeForm::Mounts { position },
                path,
                &source,
                &target,
                read_only,
                VolumeSent::Mount(mount),
            )?;
        }
        _ => {
            if kind == "image" {
                desk.found.images.push(source);
            }
            desk.found.other_mounts.push(Json::Object(mount));
        }
    }
    Ok(())
}

pub(crate) fn volumes_from(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    for (position, given) in texts(path, value)?.into_iter().enumerate() {
        let path = format!("{path}[{position}]");
        let (name, mode) = given.split_once(':').unwrap_or((&given, ""));
        let name = super::spaces::container_name(&path, name)?;
        let read = if mode.is_empty() { Mode::default() } else { read_mode(desk, &path, mode)? };
        let mode = match (mode.is_empty(), read.read_only) {
            (true, _) => "",
            (false, true) => "ro",
            (false, false) => "rw",
        };
        let slot = desk.found.containers.len();
        desk.found.containers.push(ContainerRef {
            slot,
            role: ContainerRole::VolumesFrom,
            name,
            mode: mode.to_owned(),
        });
    }
    Ok(None)
}

/// `HostConfig.Tmpfs`: path in the container to mount options.
pub(crate) fn tmpfs(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = text_map(path, value)?;
    let mut out = Vec::with_capacity(given.len());
    for (target, options) in given {
        let path = format!("{path}[{target:?}]");
        check_target(&path, &target)?;
        out.push((target, tmpfs_options(desk, &path, &options)?));
    }
    Ok((!out.is_empty()).then(|| map_json(&out)))
}
