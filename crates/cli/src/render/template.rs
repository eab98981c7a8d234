//! `container list --format` and `--filter`: the part of Docker's templates that a list needs. It must never guess: a
//! field that is not there is refused, with those that are.

use std::fmt::Write as _;

use ds01_api::{Container, ContainerKind};
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use super::containers::{gpus, state_word, status_text};
use super::words::duration;

/// Blanks between columns.
const GAP: usize = 3;
/// Digits of an id, unless all are wanted.
const ID_DIGITS: usize = 12;

/// What can be said of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Id,
    Name,
    Project,
    User,
    Status,
    State,
    Gpu,
    Want,
    Image,
    Kind,
    Workspace,
    RunningFor,
}

/// Every field with its name in a template, and its title in a table.
const FIELDS: [(Field, &str, &str); 12] = [
    (Field::Id, "ID", "ID"),
    (Field::Name, "Name", "NAME"),
    (Field::Project, "Project", "PROJECT"),
    (Field::User, "User", "USER"),
    (Field::Status, "Status", "STATUS"),
    (Field::State, "State", "STATE"),
    (Field::Gpu, "GPU", "GPU"),
    (Field::Want, "Want", "WANT"),
    (Field::Image, "Image", "IMAGE"),
    (Field::Kind, "Kind", "KIND"),
    (Field::Workspace, "Workspace", "WORKSPACE"),
    (Field::RunningFor, "RunningFor", "CREATED"),
];

impl Field {
    fn named(name: &str) -> Result<Self, String> {
        // Docker's own words for some of them.
        let name = match name {
            "Names" => "Name",
            "Owner" => "User",
            "GPUs" => "GPU",
            name => name,
        };
        FIELDS.iter().find(|(_, known, _)| *known == name).map(|(field, ..)| *field).ok_or_else(|| {
            let names: Vec<String> = FIELDS.iter().map(|(_, name, _)| format!(".{name}")).collect();
            format!("there is no field .{name}; there are {}", names.join(" "))
        })
    }

    fn title(self) -> &'static str {
        FIELDS.iter().find(|(field, ..)| *field == self).map_or("", |(.., title)| title)
    }

    fn of(self, container: &Container, whole: bool) -> String {
        match self {
            Self::Id => id(container, whole).to_owned(),
            Self::Name => container.name.clone(),
            Self::Project => container.project.clone().unwrap_or_default(),
            Self::User => container.owner.clone(),
            Self::Status => status_text(container),
            Self::State => state_word(container.state).to_owned(),
            Self::Gpu => gpus(container),
            Self::Want => container.want.clone().unwrap_or_default(),
            Self::Image => container.image.clone(),
            Self::Kind => kind(container.kind).to_owned(),
            Self::Workspace => container.workspace.clone().unwrap_or_default(),
            Self::RunningFor => format!("{} ago", duration(container.age_seconds)),
        }
    }
}

/// A container's id, as short as Docker shows it or whole.
pub(crate) fn id(container: &Container, whole: bool) -> &str {
    if whole { &container.id } else { container.id.get(..ID_DIGITS).unwrap_or(&container.id) }
}

/// How a container came to be, in a word.
pub(super) fn kind(kind: ContainerKind) -> &'static str {
    match kind {
        ContainerKind::Ds01 => "ds01",
        ContainerKind::DevContainer => "dev container",
        ContainerKind::Compose => "compose",
        ContainerKind::Docker => "docker",
        ContainerKind::Infrastructure => "infrastructure",
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Plain(Field),
    Json(Field),
    /// All fields as one JSON object.
    JsonAll,
}

/// How each container is written, one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
    /// Columns under titles.
    table: bool,
}

impl Template {
    /// Reads `{{.Name}}`, `table {{.Name}}\t{{.Status}}`, `json`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "json" {
            return Ok(Self { pieces: vec![Piece::JsonAll], table: false });
        }
        let (table, text) = match text.strip_prefix("table ") {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text),
        };
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (action, after) = after.split_once("}}").ok_or("a {{ without its }}")?;
            push_text(&mut pieces, before);
            pieces.push(piece(action.trim())?);
            rest = after;
        }
        push_text(&mut pieces, rest);
        if pieces.iter().all(|piece| matches!(piece, Piece::Text(_))) {
            return Err("name a field, as in '{{.Name}}'".to_owned());
        }
        Ok(Self { pieces, table })
    }

    /// Writes the containers; `whole` leaves ids as long as they are.
    pub(crate) fn write(&self, containers: &[Container], whole: bool) -> String {
        let lines = containers.iter().map(|container| self.line(container, whole));
        if self.table {
            let title = self.pieces.iter().map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Plain(field) | Piece::Json(field) => field.title().to_owned(),
                Piece::JsonAll => String::new(),
            });
            let lines: Vec<String> = std::iter::once(title.collect()).chain(lines).collect();
            return columns(&lines);
        }
        lines.map(|line| line + "\n").collect()
    }

    fn line(&self, container: &Container, whole: bool) -> String {
        let mut line = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => line.push_str(text),
                Piece::Plain(field) => line.push_str(&field.of(container, whole)),
                Piece::Json(field) => {
                    let _ = write!(line, "{}", Value::String(field.of(container, whole)));
                }
                Piece::JsonAll => {
                    // Put together by hand: in the order of the fields, which a map need not keep.
                    let all = FIELDS.iter().map(|(field, name, _)| {
                        format!("\"{name}\":{}", Value::String(field.of(container, whole)))
                    });
                    let _ = write!(line, "{{{}}}", all.collect::<Vec<_>>().join(","));
                }
            }
        }
        line
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        // A shell passes both on as they were typed.
        pieces.push(Piece::Text(text.replace("\\t", "\t").replace("\\n", "\n")));
    }
}

fn piece(action: &str) -> Result<Piece, String> {
    let unknown = || format!("{{{{{action}}}}} is not understood; write {{{{.Name}}}} or {{{{json .Name}}}}");
    match action.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["json", "."] => Ok(Piece::JsonAll),
        ["json", field] => Field::named(field.strip_prefix('.').ok_or_else(unknown)?).map(Piece::Json),
        [field] => Field::named(field.strip_prefix('.').ok_or_else(unknown)?).map(Piece::Plain),
        _ => Err(unknown()),
    }
}

/// Lines whose parts between tabs stand below each other.
fn columns(lines: &[String]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for line in lines {
        for (at, part) in line.split('\t').enumerate() {
            if at == widths.len() {
                widths.push(0);
            }
            widths[at] = widths[at].max(part.width());
        }
    }
    let mut text = String::new();
    for line in lines {
        let mut whole = String::new();
        for (at, part) in line.split('\t').enumerate() {
            whole.push_str(part);
            whole.push_str(&" ".repeat(widths[at] - part.width() + GAP));
        }
        text.push_str(whole.trim_end());
        text.push('\n');
    }
    text
}

/// One condition of `--filter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    field: Field,
    value: String,
}

impl Filter {
    /// Reads `status=stopped`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        const KEYS: [(&str, Field); 6] = [
            ("name", Field::Name),
            ("project", Field::Project),
            ("status", Field::State),
            ("kind", Field::Kind),
            ("image", Field::Image),
            ("user", Field::User),
        ];
        let keys = || KEYS.map(|(key, _)| format!("{key}=")).join(", ");
        let (key, value) = text.split_once('=').ok_or_else(|| format!("write one of {}", keys()))?;
        let (_, field) = KEYS
            .into_iter()
            .find(|(known, _)| *known == key)
            .ok_or_else(|| format!("there is no {key}=; write one of {}", keys()))?;
        // Docker says exited where we say stopped.
        let value = if field == Field::State && value == "exited" { "stopped" } else { value };
        Ok(Self { field, value: value.to_owned() })
    }

    /// Whether it can only be so of containers that do not run.
    pub(crate) fn is_for_stopped(&self) -> bool {
        self.field == Field::State && matches!(self.value.as_str(), "stopped" | "created")
    }

    fn fits(&self, container: &Container) -> bool {
        let value = self.field.of(container, true);
        match self.field {
            Field::Name => value.contains(&self.value),
            // A tag need not be named.
            Field::Image => {
                value == self.value || value.strip_prefix(&self.value).is_some_and(|tag| tag.starts_with(':'))
            }
            _ => value == self.value,
        }
    }
}

/// Whether a container is among those that are wanted: of conditions on the same thing one must hold, as Docker has it.
pub(crate) fn fits_all(filters: &[Filter], container: &Container) -> bool {
    filters
        .iter()
        .all(|filter| filters.iter().any(|other| other.field == filter.field && other.fits(container)))
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
