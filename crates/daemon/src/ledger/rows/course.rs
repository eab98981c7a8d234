//! Rows of what containers were told and why they were stopped.

use ds01_domain::{Cause, Container, Course, Event, Stage, Time};
use serde::{Deserialize, Serialize};

/// What happened on a container's way to its stop.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StepRow {
    Warned { cause: CauseRow, stage: StageRow, stop_at: u64 },
    Spared,
    WouldStop { cause: CauseRow },
    StopDecided { cause: CauseRow },
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum CauseRow {
    Idle,
    Demand,
    Runtime,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StageRow {
    Half,
    Soon,
    Last,
}

/// How far a container has come; absent fields are those of one that is on no such way.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct CourseRow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    warned: Option<(CauseRow, StageRow, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    warned_of_runtime: Option<(CauseRow, StageRow, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stopping: Option<CauseRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stopped_for: Option<CauseRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    would_stop: Option<(CauseRow, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kept_until: Option<u64>,
}

impl CourseRow {
    pub(super) fn of(container: &Container) -> Self {
        let warned = |c: Course| (cause_row(c.cause), stage_row(c.stage), c.stop_at.0);
        Self {
            warned: container.course.map(warned),
            warned_of_runtime: container.runtime_course.map(warned),
            stopping: container.stopping.map(cause_row),
            stopped_for: container.stopped_for.map(cause_row),
            would_stop: container.would_stop.map(|(cause, at)| (cause_row(cause), at.0)),
            kept_until: container.kept_until.map(|at| at.0),
        }
    }

    pub(super) fn put_into(self, container: &mut Container) {
        let course = |(cause, stage, stop_at)| Course {
            cause: cause_of(cause),
            stage: stage_of(stage),
            stop_at: Time(stop_at),
        };
        container.course = self.warned.map(course);
        container.runtime_course = self.warned_of_runtime.map(course);
        container.stopping = self.stopping.map(cause_of);
        container.stopped_for = self.stopped_for.map(cause_of);
        container.would_stop = self.would_stop.map(|(cause, at)| (cause_of(cause), Time(at)));
        container.kept_until = self.kept_until.map(Time);
    }
}

/// The row of an event of this kind.
pub(super) fn step_row(event: &Event) -> Option<StepRow> {
    Some(match event {
        Event::Warned { cause, stage, stop_at, .. } => {
            StepRow::Warned { cause: cause_row(*cause), stage: stage_row(*stage), stop_at: stop_at.0 }
        }
        Event::Spared { .. } => StepRow::Spared,
        Event::WouldStop { cause, .. } => StepRow::WouldStop { cause: cause_row(*cause) },
        Event::StopDecided { cause, .. } => StepRow::StopDecided { cause: cause_row(*cause) },
        _ => return None,
    })
}

/// The event of a row of this kind.
pub(super) fn step_of(
    row: StepRow,
    container: ds01_domain::ContainerId,
    epoch: ds01_domain::Epoch,
    at: Time,
) -> Event {
    match row {
        StepRow::Warned { cause, stage, stop_at } => Event::Warned {
            container,
            epoch,
            cause: cause_of(cause),
            stage: stage_of(stage),
            stop_at: Time(stop_at),
            at,
        },
        StepRow::Spared => Event::Spared { container, epoch, at },
        StepRow::WouldStop { cause } => Event::WouldStop { container, epoch, cause: cause_of(cause), at },
        StepRow::StopDecided { cause } => Event::StopDecided { container, epoch, cause: cause_of(cause), at },
    }
}

fn cause_row(cause: Cause) -> CauseRow {
    match cause {
        Cause::Idle => CauseRow::Idle,
        Cause::Demand => CauseRow::Demand,
        Cause::Runtime => CauseRow::Runtime,
    }
}

fn cause_of(row: CauseRow) -> Cause {
    match row {
        CauseRow::Idle => Cause::Idle,
        CauseRow::Demand => Cause::Demand,
        CauseRow::Runtime => Cause::Runtime,
    }
}

fn stage_row(stage: Stage) -> StageRow {
    match stage {
        Stage::Half => StageRow::Half,
        Stage::Soon => StageRow::Soon,
        Stage::Last => StageRow::Last,
    }
}

fn stage_of(row: StageRow) -> Stage {
    match row {
        StageRow::Half => Stage::Half,
        StageRow::Soon => Stage::Soon,
        StageRow::Last => Stage::Last,
    }
}
