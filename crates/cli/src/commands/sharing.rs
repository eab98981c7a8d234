//! `ds01 share`, `unshare`, `shares` and `repair`: what belongs to whom.

use std::time::Duration;

use ds01_api::{Exit, RepairRequest, Repaired, ShareList, ShareRequest, codes, paths};
use nix::unistd::User;

use crate::args::{RepairArgs, ShareArgs, ShareKind, UnshareArgs};
use crate::client::Door;
use crate::failure::Failure;
use crate::render;
use crate::ui::Ui;

/// A tree of millions of files takes minutes; nobody waits for longer than this.
const REPAIR_MAX: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn share(door: &Door, args: &ShareArgs, ui: Ui) -> Result<u8, Failure> {
    if args.write && args.kind == ShareKind::Image {
        return Err(Failure::usage("--write is for volumes: an image is never written to"));
    }
    let users = if args.with_everybody { None } else { Some(numbers(&args.with)?) };
    let request = ShareRequest {
        kind: kind(args.kind),
        name: args.name.clone(),
        users,
        write: args.write,
        withdraw: false,
    };
    let shared: ShareList = door.post(paths::SHARES, &request).await?;
    ui.answer(&shared, |_| render::shared(&args.name, &args.with, args.write));
    Ok(0)
}

pub(super) async fn unshare(door: &Door, args: &UnshareArgs, ui: Ui) -> Result<u8, Failure> {
    let users = if args.with.is_empty() { None } else { Some(numbers(&args.with)?) };
    let request =
        ShareRequest { kind: kind(args.kind), name: args.name.clone(), users, write: false, withdraw: true };
    let shared: ShareList = door.post(paths::SHARES, &request).await?;
    ui.answer(&shared, |_| render::unshared(&args.name, &args.with));
    Ok(0)
}

pub(super) async fn shares(door: &Door, ui: Ui) -> Result<u8, Failure> {
    let shares: ShareList = door.get(paths::SHARES).await?;
    ui.answer(&shares, |shares| render::shares(shares, ui.columns()));
    Ok(0)
}

pub(super) async fn repair(door: &Door, args: &RepairArgs, ui: Ui) -> Result<u8, Failure> {
    let failed = |reason: std::io::Error| {
        Failure::new(Exit::NotFound, codes::REQUEST_INVALID, format!("{}: {reason}", args.path.display()))
    };
    let path = std::path::absolute(&args.path).map_err(failed)?;
    let request = RepairRequest { path: path.display().to_string(), dry_run: args.dry_run };
    let repaired: Repaired = door.post_within(paths::REPAIR, &request, REPAIR_MAX).await?;
    ui.answer(&repaired, |repaired| render::repaired(&path, repaired, args.dry_run));
    Ok(if repaired.failed == 0 { 0 } else { 1 })
}

fn kind(kind: ShareKind) -> ds01_api::ShareKind {
    match kind {
        ShareKind::Image => ds01_api::ShareKind::Image,
        ShareKind::Volume => ds01_api::ShareKind::Volume,
    }
}

/// The numbers of users by name, as the system knows them; a number stands for itself.
fn numbers(names: &[String]) -> Result<Vec<u32>, Failure> {
    let number = |name: &String| match User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        _ => name.parse().map_err(|_| {
            Failure::new(
                Exit::NotFound,
                codes::REQUEST_INVALID,
                format!("there is no user {name} on this machine"),
            )
        }),
    };
    names.iter().map(number).collect()
}
