//! What would become of a dev container here, by its file; and the smallest change that makes it permanent and allowed.
//!
//! It must never change a word that nothing is wrong with.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstArray, CstNode, CstObject, CstObjectProp, CstRootNode};
use serde::Serialize;
use serde_json::Value;

use super::arguments::{self, Fault, arguments, judge};

/// More changes than a file has words would be going in circles.
const CHANGES_MAX: usize = 1000;

/// Whose file it is, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    /// His home.
    pub(crate) home: &'a str,
    /// The directory that the file is for.
    pub(crate) directory: &'a str,
    /// Until when and why his containers are not stopped, if an administrator has said so.
    pub(crate) exempt: Option<&'a str>,
}

/// What comes of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Effect {
    /// The container is not made.
    Refused,
    /// It is stopped some day.
    Stopped,
    /// It may be refused.
    Doubtful,
    /// It would be stopped, but for an administrator's word.
    Exempt,
}

/// Something that a container of this file would run into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Where: `runArgs: --gpus all`.
    pub(crate) at: String,
    /// What comes of it.
    pub(crate) effect: Effect,
    /// Why.
    pub(crate) why: String,
    /// What to do.
    pub(crate) help: &'static str,
    /// Whether `--fix` does it.
    pub(crate) fixable: bool,
}

/// A change to the file.
enum Change {
    Remove(Vec<CstNode>),
    Add(&'static str, &'static str),
}

struct Problem {
    finding: Finding,
    change: Option<Change>,
}

/// What a container of this file would run into. The error says why it cannot be read.
pub(crate) fn check(text: &str, reader: &Reader<'_>) -> Result<Vec<Finding>, String> {
    let (_root, object) = parse(text)?;
    Ok(problems(&object, reader).into_iter().map(|problem| problem.finding).collect())
}

/// The file with everything changed that can be, and what was.
pub(crate) fn fix(text: &str, reader: &Reader<'_>) -> Result<(String, Vec<Finding>), String> {
    let (root, object) = parse(text)?;
    let mut fixed = Vec::new();
    for _ in 0..CHANGES_MAX {
        // One at a time: a change moves what the next one is about.
        let next = problems(&object, reader).into_iter().find_map(|p| Some((p.finding, p.change?)));
        let Some((finding, change)) = next else { break };
        match change {
            Change::Remove(nodes) => nodes.into_iter().for_each(CstNode::remove),
            Change::Add(name, value) => drop(object.append(name, value.into())),
        }
        if let Some(list) =
            object.get("runArgs").filter(|list| list.array_value().is_some_and(|a| a.elements().is_empty()))
        {
            list.remove();
        }
        fixed.push(finding);
    }
    Ok((root.to_string(), fixed))
}

fn parse(text: &str) -> Result<(CstRootNode, CstObject), String> {
    let root = CstRootNode::parse(text, &ParseOptions::default()).map_err(|error| error.to_string())?;
    let object = root.object_value().ok_or("it is not a JSON object")?;
    Ok((root, object))
}

fn problems(object: &CstObject, reader: &Reader<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    let compose = object.get("dockerComposeFile").is_some();
    if let Some(list) = object.array_value("runArgs").filter(|_| !compose) {
        found.extend(run_arguments(&list, reader));
    }
    if let Some(ignored) = object.get("runArgs").filter(|_| compose) {
        let why = "beside a compose file nobody reads it";
        let help = "say it in the compose file; without a GPU there the container is permanent";
        found.push(problem("runArgs".to_owned(), doubtful(why, help), Some(remove(ignored))));
    }
    if let Some(privileged) = object.get("privileged").filter(|prop| value_of(prop) == Value::Bool(true)) {
        found.push(problem("privileged".to_owned(), arguments::privileged(), Some(remove(privileged))));
    }
    for (name, judge) in
        [("capAdd", arguments::capability as fn(&str) -> Option<Fault>), ("securityOpt", arguments::security)]
    {
        found.extend(each(object, name, judge));
    }
    if let Some(requirements) = object.object_value("hostRequirements") {
        let asks = |prop: &CstObjectProp| !matches!(value_of(prop), Value::Bool(false) | Value::Null);
        if let Some(gpu) = requirements.get("gpu").filter(asks) {
            let fault = Fault::gpu(reader);
            let change = (fault.effect == Effect::Stopped).then(|| remove(gpu));
            found.push(problem("hostRequirements: gpu".to_owned(), fault, change));
        }
    }
    found.extend(mounts(object, reader));
    found.extend(ports(object));
    found.extend(features(object));
    found.extend(shutdown(object));
    found
}

/// The compose files that a file names, and which of their services matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Composed {
    /// As they are named: from the file's own directory on.
    pub(crate) files: Vec<String>,
    /// The service in which people work.
    pub(crate) own: Option<String>,
    /// The services that are started; none: all of them.
    pub(crate) started: Option<Vec<String>>,
}

/// What a file says of compose; nothing where it says nothing.
pub(crate) fn composed(text: &str) -> Result<Composed, String> {
    let (_root, object) = parse(text)?;
    let words = |name: &str| {
        object.get(name).map(|prop| match value_of(&prop) {
            Value::String(one) => vec![one],
            Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        })
    };
    let own = words("service").and_then(|list| list.into_iter().next());
    let mut started = words("runServices");
    if let Some(started) = &mut started {
        started.extend(own.clone());
    }
    Ok(Composed { files: words("dockerComposeFile").unwrap_or_default(), own, started })
}

fn run_arguments(list: &CstArray, reader: &Reader<'_>) -> Vec<Problem> {
    let nodes = list.elements();
    let words: Vec<String> = nodes.iter().map(text_of).collect();
    let problem = |argument: &arguments::Argument<'_>| {
        let fault = judge(argument, reader)?;
        let at = format!("runArgs: {}", words[argument.words.clone()].join(" "));
        let change = matches!(fault.effect, Effect::Refused | Effect::Stopped)
            .then(|| Change::Remove(nodes[argument.words.clone()].to_vec()));
        Some(self::problem(at, fault, change))
    };
    arguments(&words).iter().filter_map(problem).collect()
}

/// The entries of a list of words.
fn each(object: &CstObject, name: &str, judge: fn(&str) -> Option<Fault>) -> Vec<Problem> {
    let nodes = object.array_value(name).map(|list| list.elements()).unwrap_or_default();
    let problem = |node: CstNode| {
        let text = text_of(&node);
        let fault = judge(&text)?;
        Some(self::problem(format!("{name}: {text}"), fault, Some(Change::Remove(vec![node]))))
    };
    nodes.into_iter().filter_map(problem).collect()
}

fn mounts(object: &CstObject, reader: &Reader<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    let workspace = object.get("workspaceMount").map(|prop| ("workspaceMount", value_of(&prop)));
    let others = object.array_value("mounts").map(|list| list.elements()).unwrap_or_default();
    let others = others.iter().map(|node| ("mounts", node.to_serde_value().unwrap_or_default()));
    for (name, value) in workspace.into_iter().chain(others) {
        let fault = match &value {
            Value::String(text) => arguments::mount(text, reader),
            Value::Object(mount) if mount.get("type").and_then(Value::as_str) == Some("bind") => mount
                .get("source")
                .and_then(Value::as_str)
                .and_then(|source| arguments::source_of(source, reader)),
            _ => None,
        };
        found.extend(fault.map(|fault| problem(name.to_owned(), fault, None)));
    }
    found
}

fn ports(object: &CstObject) -> Vec<Problem> {
    let Some(prop) = object.get("appPort") else { return Vec::new() };
    let published = match value_of(&prop) {
        Value::Array(list) => list,
        one => vec![one],
    };
    let fault = |value: &Value| match value {
        // A number alone is the same port on both sides.
        Value::Number(number) => arguments::port(&format!("{number}:{number}")),
        Value::String(text) => arguments::port(text),
        _ => None,
    };
    published.iter().filter_map(fault).map(|fault| problem("appPort".to_owned(), fault, None)).collect()
}

fn features(object: &CstObject) -> Vec<Problem> {
    let features = object.object_value("features").map(|features| features.properties()).unwrap_or_default();
    let inside = features
        .into_iter()
        .filter_map(|prop| prop.decoded_name())
        .find(|id| id.contains("docker-in-docker"));
    let fault = Fault::refused(
        "an Engine inside a container needs --privileged",
        "take docker-outside-of-docker in its place: it speaks to DS01",
    );
    inside.map(|id| problem(format!("features: {id}"), fault, None)).into_iter().collect()
}

/// Editors stop a container when their window closes, unless they are told not to.
fn shutdown(object: &CstObject) -> Vec<Problem> {
    let compose = object.get("dockerComposeFile").is_some();
    let action = object.get("shutdownAction").map(|prop| value_of(&prop));
    if compose || action == Some(Value::from("none")) {
        return Vec::new();
    }
    let fault = Fault {
        effect: Effect::Stopped,
        why: "VS Code stops the container when its window closes, with whatever runs in it".to_owned(),
        help: "\"shutdownAction\": \"none\" leaves it running",
    };
    let change = action.is_none().then_some(Change::Add("shutdownAction", "none"));
    vec![problem("shutdownAction".to_owned(), fault, change)]
}

fn doubtful(why: &str, help: &'static str) -> Fault {
    Fault { effect: Effect::Doubtful, why: why.to_owned(), help }
}

fn problem(at: String, fault: Fault, change: Option<Change>) -> Problem {
    let Fault { effect, why, help } = fault;
    Problem { finding: Finding { at, effect, why, help, fixable: change.is_some() }, change }
}

fn remove(prop: CstObjectProp) -> Change {
    Change::Remove(vec![prop.into()])
}

fn value_of(prop: &CstObjectProp) -> Value {
    prop.value().and_then(|value| value.to_serde_value()).unwrap_or_default()
}

fn text_of(node: &CstNode) -> String {
    node.as_string_lit().and_then(|text| text.decoded_value().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    const HERE: Reader<'_> = Reader { home: "/home/alice", directory: "/home/alice/p", exempt: None };

    #[test]
    fn everything_is_found_and_mended_and_the_rest_is_as_it_was() {
        let text = r#"{
  // my project
  "name": "x", // a name
  "image": "python:3.11",
  "runArgs": [
    "--gpus", "all", // speed
    "--shm-size=8g",
    "--network=host"
  ],
  "privileged": true,
  "capAdd": ["SYS_PTRACE", "SYS_ADMIN"],
  "securityOpt": ["seccomp=unconfined"],
  /* a big machine */
  "hostRequirements": { "cpus": 4, "gpu": "optional" },
  "mounts": ["source=/srv/data,target=/data,type=bind"],
  "features": { "ghcr.io/devcontainers/features/docker-in-docker:2": {} },
}
"#;
        let seen: Vec<_> = check(text, &HERE)
            .unwrap()
            .into_iter()
            .map(|f| format!("{:?} {}{}\n", f.effect, f.at, if f.fixable { "" } else { " (by hand)" }))
            .collect();
        expect![[r#"
            Stopped runArgs: --gpus all
            Refused runArgs: --network=host
            Refused privileged
            Refused capAdd: SYS_ADMIN
            Stopped hostRequirements: gpu
            Doubtful mounts (by hand)
            Refused features: ghcr.io/devcontainers/features/docker-in-docker:2 (by hand)
            Stopped shutdownAction
        "#]]
        .assert_eq(&seen.concat());
        let (fixed, done) = fix(text, &HERE).unwrap();
        assert_eq!(done.len(), 6);
        expect![[r#"
            {
              // my project
              "name": "x", // a name
              "image": "python:3.11",
              "runArgs": [
                "--shm-size=8g"
              ],
              "capAdd": ["SYS_PTRACE"],
              "securityOpt": ["seccomp=unconfined"],
              /* a big machine */
              "hostRequirements": { "cpus": 4 },
              "mounts": ["source=/srv/data,target=/data,type=bind"],
              "features": { "ghcr.io/devcontainers/features/docker-in-docker:2": {} },
              "shutdownAction": "none",
            }
        "#]]
        .assert_eq(&fixed);
        let again = fix(&fixed, &HERE).unwrap();
        assert_eq!((again.0, again.1), (fixed, vec![]), "a second time there is nothing to do");
    }

    #[test]
    fn an_exemption_leaves_gpus_where_they_are() {
        let exempt = Reader { exempt: Some("until Tuesday (a paper)"), ..HERE };
        let text = r#"{"runArgs": ["--gpus=all", "--privileged"], "hostRequirements": {"gpu": true}, "shutdownAction": "none"}"#;
        let seen: Vec<_> = check(text, &exempt).unwrap().iter().map(|f| (f.effect, f.fixable)).collect();
        assert_eq!(seen, [(Effect::Exempt, false), (Effect::Refused, true), (Effect::Exempt, false)]);
        let (fixed, _) = fix(text, &exempt).unwrap();
        assert!(
            fixed.contains("--gpus=all") && fixed.contains("gpu\": true") && !fixed.contains("privileged"),
            "{fixed}"
        );
    }

    #[test]
    fn beside_a_compose_file_the_words_for_docker_run_mean_nothing() {
        let text = r#"{"dockerComposeFile": ["../compose.yml", "compose.extra.yml"], "service": "app", "runServices": ["db"], "runArgs": ["--gpus=all"]}"#;
        let seen: Vec<_> = check(text, &HERE).unwrap().into_iter().map(|f| (f.at, f.effect)).collect();
        assert_eq!(seen, [("runArgs".to_owned(), Effect::Doubtful)]);
        assert!(!fix(text, &HERE).unwrap().0.contains("runArgs"));
        let Composed { files, own, started } = composed(text).unwrap();
        assert_eq!(files, ["../compose.yml", "compose.extra.yml"]);
        assert_eq!((own.as_deref(), started), (Some("app"), Some(vec!["db".to_owned(), "app".to_owned()])));
        assert_eq!(composed("{\"image\": \"x\"}").unwrap(), Composed::default());
    }

    #[test]
    fn a_list_that_is_empty_then_goes() {
        let (fixed, _) =
            fix(r#"{"image": "x", "runArgs": ["--gpus=all"], "shutdownAction": "none"}"#, &HERE).unwrap();
        assert_eq!(fixed, r#"{"image": "x", "shutdownAction": "none"}"#);
    }

    #[test]
    fn what_is_no_file_of_this_kind_is_told() {
        for text in ["", "[]", "{", "{\"a\": }", "1"] {
            assert!(check(text, &HERE).is_err() && fix(text, &HERE).is_err(), "{text}");
        }
        assert_eq!(check("{}", &HERE).unwrap().len(), 1, "only that it is stopped with its window");
    }
}
