//! What containers do with their GPUs: the units each holds, with the figures that the driver last told of them.

use ds01_api::{ContainerGpus, GpuStats, UnitStats};
use ds01_domain::{ContainerId, Uid, Unit};
use hyper::{Response, StatusCode};

use super::machine::{figures, unit_ref};
use super::{Ask, Fault};
use crate::gateway::http::{self, Body};
use crate::inventory::FiguresSeen;

pub(super) async fn stats(ask: Ask) -> Result<Response<Body>, Fault> {
    let (uid, admin) = (Uid(ask.caller.uid), ask.caller.admin);
    let held: Vec<(ContainerId, Vec<Unit>)> = ask
        .door
        .coordinator
        .read(move |state, _, _| {
            let mine = state.holdings().filter(|held| admin || held.owner == uid);
            let units = |held: &ds01_domain::Holding| {
                let units = state.units().filter(|view| held.units.contains(&view.unit.id));
                units.map(|view| view.unit.clone()).collect()
            };
            mine.map(|held| (held.container.clone(), units(held))).collect()
        })
        .await?;
    let seen = ask.door.inventory.figures();
    let containers = held.iter().map(|(id, units)| of_container(id, units, &seen)).collect();
    let age_seconds = seen.age.map(|age| age.as_secs());
    Ok(http::json(StatusCode::OK, &GpuStats { age_seconds, containers }))
}

fn of_container(id: &ContainerId, units: &[Unit], seen: &FiguresSeen) -> ContainerGpus {
    let of_unit = |unit: &Unit| {
        let told = seen.units.get(&unit.id);
        let own = told.and_then(|told| told.of(id));
        UnitStats {
            unit: unit_ref(unit),
            figures: figures(told),
            processes: own.map(|(processes, _)| processes),
            own_memory_mib: own.and_then(|(_, memory)| memory),
        }
    };
    ContainerGpus { id: id.to_string(), units: units.iter().map(of_unit).collect() }
}
