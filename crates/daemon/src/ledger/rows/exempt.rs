//! Rows of exemptions.

use ds01_domain::{Exempt, Exemption, Uid};
use serde::{Deserialize, Serialize};

use super::{Row, id};

/// What is exempt: a container, or all containers of a person.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ExemptRow {
    Container(String),
    Person(u32),
}

pub(super) fn exempt_row(of: &Exempt) -> ExemptRow {
    match of {
        Exempt::Container(container) => ExemptRow::Container(container.to_string()),
        Exempt::Person(owner) => ExemptRow::Person(owner.0),
    }
}

pub(super) fn exempt_of(row: ExemptRow) -> Result<Exempt, String> {
    Ok(match row {
        ExemptRow::Container(container) => Exempt::Container(id(&container)?),
        ExemptRow::Person(owner) => Exempt::Person(Uid(owner)),
    })
}

pub(super) fn exempted_row(exemption: &Exemption) -> Row {
    Row::Exempted {
        of: exempt_row(&exemption.of),
        owner_name: exemption.owner_name.clone(),
        name: exemption.name.clone(),
        until: exemption.until.0,
        reason: exemption.reason.clone(),
        by: exemption.by.clone(),
        at: exemption.at.0,
    }
}
