//! Answers for: telling what becomes of every route and every field, from the tables by which requests are judged.
//!
//! Must never: say what the tables do not.

use std::fmt::Write as _;

use crate::body::tables::{ALL, Named};
use crate::query;
use crate::route::{BodyRule, Class, ROWS, Row};
use crate::version::ApiVersion;

/// What becomes of one field of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldPolicy {
    /// In the Engine's spelling.
    pub name: &'static str,
    /// First minor version of the API that has it; 40 stands for 1.40 and before.
    pub since: u8,
    /// What is done with it, in a word or two.
    pub class: &'static str,
    /// Why.
    pub why: &'static str,
    /// What is said to whom it is refused; it goes on from the field's name.
    pub refusal: Option<&'static str>,
}

/// What becomes of the fields of one object of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectPolicy {
    /// The operation, as the route table writes it.
    pub operation: &'static str,
    /// The object within the body: `HostConfig.LogConfig`, `HostConfig.Mounts[]`; empty for the body itself.
    pub object: &'static str,
    /// Its fields, in the order in which they are judged.
    pub fields: Vec<FieldPolicy>,
}

/// Every object of every body.
#[must_use]
pub fn objects() -> Vec<ObjectPolicy> {
    ALL.iter().map(of_object).collect()
}

fn of_object(named: &Named) -> ObjectPolicy {
    let fields = named.rows.iter().map(|row| {
        let (class, refusal) = row.rule.told();
        FieldPolicy { name: row.name, since: row.since, class, why: row.why, refusal }
    });
    ObjectPolicy { operation: named.operation, object: named.object, fields: fields.collect() }
}

/// What stands above the tables.
const HEAD: &str = "\
# What becomes of a request

Every route of the Engine's API and every field of every body that `ds01d` reads, with what becomes of it. This page is
written from the tables by which requests are judged (`ds01d policy` prints that of the daemon you run), and a test keeps the
two alike. What is in none of these tables does not reach the Engine: a route is answered 404, a key of a query is left out,
and a field that says something is refused by its name.

";

const ROUTES: &str = "\
## Routes

| word | what it means |
| --- | --- |
| passed | the same for everybody; the request is built anew |
| own | only on the caller's own objects; others do not exist for him |
| filtered | the answer, or what is acted on, is cut down to what the caller may see |
| rewritten | the request or the answer is judged and written anew |
| admins | administrators only |
| refused | nobody, with the reason |

";

const FIELDS: &str = "\
## Fields of bodies

| word | what it means |
| --- | --- |
| passed | sent on as it was written, if it is of the right kind |
| judged | looked at; what may not be is refused or left out with a warning |
| listed values | only what is known to do no harm is sent on |
| lowered | sent on, or the limit of the group where that is less |
| set by DS01 | the daemon's own value goes in, alone or beside what was asked |
| refused | refused where it says anything; administrators may |
| refused to all | the same for administrators |
| left out | never sent on, and not missed |

A field in any spelling that Go takes for the same counts as the field; a field sent twice refuses the body.

";

/// The page of the manual.
#[must_use]
pub fn page() -> String {
    let mut page = format!("{HEAD}{ROUTES}");
    page.push_str(
        "| route | API | what becomes of it | body | keys of the query |\n| --- | --- | --- | --- | --- |\n",
    );
    for row in ROWS {
        write_route(&mut page, row);
    }
    write!(page, "\n{FIELDS}").expect("writing to a String cannot fail");
    for object in objects() {
        write_object(&mut page, &object);
    }
    page
}

fn write_route(page: &mut String, row: &Row) {
    let class = match row.class {
        Class::Pass => "passed".to_owned(),
        Class::Own => "own".to_owned(),
        Class::Filtered => "filtered".to_owned(),
        Class::Rewritten => "rewritten".to_owned(),
        Class::Admin => "admins".to_owned(),
        Class::Refused(sentence) => format!("refused: {sentence}"),
    };
    let body = match (row.class, row.body) {
        (Class::Refused(_), _) | (_, BodyRule::None) => "",
        (_, BodyRule::Json) => "fields below",
        (_, BodyRule::Stream) => "a stream",
    };
    let keys: Vec<String> = query::key_names(row.op).map(|key| format!("`{key}`")).collect();
    let keys = if matches!(row.class, Class::Refused(_)) { String::new() } else { keys.join(" ") };
    let since = ApiVersion::from_minor(row.since);
    writeln!(page, "| `{} {}` | {since} | {class} | {body} | {keys} |", row.method.as_str(), row.pattern)
        .expect("writing to a String cannot fail");
}

fn write_object(page: &mut String, object: &ObjectPolicy) {
    let place = if object.object.is_empty() { String::new() } else { format!(": {}", object.object) };
    write!(
        page,
        "### {}{place}\n\n| field | API | what becomes of it | why |\n| --- | --- | --- | --- |\n",
        object.operation
    )
    .expect("writing to a String cannot fail");
    for field in &object.fields {
        let since = ApiVersion::from_minor(field.since.into());
        let said = field.refusal.map(|refusal| format!(". Told: it {refusal}")).unwrap_or_default();
        writeln!(page, "| `{}` | {since} | {} | {}{said} |", field.name, field.class, field.why)
            .expect("writing to a String cannot fail");
    }
    page.push('\n');
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_page_of_the_manual_is_what_the_tables_say() {
        expect_test::expect_file!["../../../docs/admin/policy.md"]
            .assert_eq(&format!("{}\n", page().trim_end()));
    }

    #[test]
    fn every_route_with_a_judged_body_has_a_table() {
        let told: BTreeSet<&str> = ALL.iter().map(|named| named.operation).collect();
        let judged: BTreeSet<String> = ROWS
            .iter()
            .filter(|row| row.body == BodyRule::Json && !matches!(row.class, Class::Refused(_)))
            .map(|row| format!("{} {}", row.method.as_str(), row.pattern))
            // A stream, of which one file is read.
            .chain(["POST /images/load".to_owned()])
            .collect();
        assert_eq!(judged, told.iter().map(|name| (*name).to_owned()).collect());
    }
}
