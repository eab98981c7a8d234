//! Answers for: the form of the policy tables, and the one function that judges an object by one.
//!
//! Must never: let a key through that has no row.

use super::desk::Desk;
use super::refusal::Refusal;
use super::shape::Shape;
use crate::json::{Json, Object, folds_alike};

/// How one field is judged.
pub(crate) type Judgement =
    fn(&mut Desk<'_>, path: &str, value: Option<&Json>) -> Result<Option<Json>, Refusal>;

/// What becomes of a field.
pub(crate) enum Rule {
    /// Sent on as the caller wrote it, once it has this shape.
    Pass(Shape),
    /// The daemon's value goes in, whatever the caller wrote.
    Set(Judgement),
    /// Sent on, lowered to the limit where it is more.
    Clamp(Judgement),
    /// Only listed values are sent on.
    Allow(Judgement),
    /// The value is looked at, and often taken apart for the daemon.
    Check(Judgement),
    /// Refused for users if it says anything; admins may say it in this shape. The text is the
    /// rest of the sentence that begins with the field's name.
    Refuse(Shape, &'static str),
    /// Refused for everybody if it says anything.
    Never(&'static str),
    /// Never sent on, and not missed.
    Drop,
}

impl Rule {
    /// The word for what becomes of the field, and what is said to whom it is refused.
    pub(crate) fn told(&self) -> (&'static str, Option<&'static str>) {
        match self {
            Rule::Pass(_) => ("passed", None),
            Rule::Set(_) => ("set by DS01", None),
            Rule::Clamp(_) => ("lowered", None),
            Rule::Allow(_) => ("listed values", None),
            Rule::Check(_) => ("judged", None),
            Rule::Refuse(_, sentence) => ("refused", Some(sentence)),
            Rule::Never(sentence) => ("refused to all", Some(sentence)),
            Rule::Drop => ("left out", None),
        }
    }
}

/// One row: a field of the Engine API and what becomes of it.
pub(crate) struct Field {
    /// Spelling of the Engine.
    pub(crate) name: &'static str,
    /// First minor API version that has it; 40 stands for 1.40 and before.
    pub(crate) since: u8,
    pub(crate) rule: Rule,
    /// Why the row says what it says.
    pub(crate) why: &'static str,
}

/// A table of rows for one object of the Engine API.
pub(crate) type Table = &'static [Field];

pub(crate) const fn row(name: &'static str, since: u8, rule: Rule, why: &'static str) -> Field {
    Field { name, since, rule, why }
}

/// Whether Go would take the key for this field.
pub(crate) fn same_field(key: &str, name: &str) -> bool {
    folds_alike(key, name)
}

/// Refuses two keys that Go would take for the same field.
pub(crate) fn check_keys(path: &str, object: &Object) -> Result<(), Refusal> {
    match object.folded_duplicate() {
        Some((first, second)) => Err(Refusal::bad(format!(
            "{first:?} and {second:?} are the same field of {}; send it once",
            if path.is_empty() { "the body" } else { path }
        ))),
        None => Ok(()),
    }
}

/// `HostConfig` and `Memory` make `HostConfig.Memory`.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Judges an object field by field, in the order of the table, and writes it anew.
pub(crate) fn judge_object(
    table: Table,
    desk: &mut Desk<'_>,
    path: &str,
    value: &Json,
) -> Result<Object, Refusal> {
    let empty = Object::new();
    let object = match value {
        Json::Null => &empty,
        Json::Object(object) => object,
        other => {
            let name = if path.is_empty() { "the body" } else { path };
            return Err(Refusal::wrong_kind(name, "an object", other.kind()));
        }
    };
    check_keys(path, object)?;
    let mut given: Vec<Option<&Json>> = vec![None; table.len()];
    for (key, value) in object.iter() {
        match table.iter().position(|field| same_field(key, field.name)) {
            Some(index) => given[index] = Some(value),
            None if value.is_neutral() => {}
            None => return Err(Refusal::unknown_field(&join(path, key))),
        }
    }
    let mut out = Object::new();
    for (field, value) in table.iter().zip(given) {
        let path = join(path, field.name);
        if let Some(judged) = judge_field(&field.rule, desk, &path, value)? {
            out.set(field.name, judged);
        }
    }
    Ok(out)
}

fn judge_field(
    rule: &Rule,
    desk: &mut Desk<'_>,
    path: &str,
    value: Option<&Json>,
) -> Result<Option<Json>, Refusal> {
    match rule {
        Rule::Pass(shape) => match value {
            Some(value) => shape.read(path, value),
            None => Ok(None),
        },
        Rule::Set(judge) | Rule::Clamp(judge) | Rule::Allow(judge) | Rule::Check(judge) => {
            judge(desk, path, value)
        }
        Rule::Refuse(shape, sentence) => match value {
            None => Ok(None),
            Some(value) if value.is_neutral() => Ok(None),
            Some(value) if desk.rules.admin => shape.read(path, value),
            Some(_) => Err(Refusal::forbidden(format!("\"{path}\" {sentence}"))),
        },
        Rule::Never(sentence) => match value {
            Some(value) if !value.is_neutral() => Err(Refusal::forbidden(format!("\"{path}\" {sentence}"))),
            _ => Ok(None),
        },
        Rule::Drop => Ok(None),
    }
}
