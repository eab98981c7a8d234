//! Queries and what is read from them.

use proptest::prelude::*;
use serde_json::Value;

use super::build::{BuildBounds, BuildNetwork};
use super::images::ImageSource;
use super::*;
use crate::route::ROWS;

fn judged(op: Op, raw: &str) -> Query {
    Query::judge(op, raw).unwrap_or_else(|refusal| panic!("{raw}: {refusal}"))
}

fn refused(op: Op, raw: &str) -> String {
    match Query::judge(op, raw) {
        Ok(query) => panic!("{raw} was accepted as {query}"),
        Err(refusal) => refusal.to_string(),
    }
}

#[test]
fn every_documented_key_is_known() {
    let api: Value = serde_json::from_str(include_str!("../../tests/data/engine-api.json")).unwrap();
    let shape = |path: &str| {
        path.split('/')
            .map(|part| if part.starts_with('{') { "{}" } else { part })
            .collect::<Vec<_>>()
            .join("/")
    };
    for (name, described) in api["operations"].as_object().unwrap() {
        let row = ROWS
            .iter()
            .find(|row| shape(&format!("{} {}", row.method.as_str(), row.pattern)) == shape(name))
            .unwrap();
        let known = keys::names(row.op);
        for key in described["query"].as_object().unwrap().keys() {
            assert!(known.contains(&key.as_str()), "{name} lacks {key}");
        }
    }
}

#[test]
fn the_first_value_wins_and_spelling_is_canonical() {
    assert_eq!(judged(Op::ContainerList, "all=True&all=0&limit=%2B5").to_string(), "all=1&limit=5");
    assert_eq!(judged(Op::ContainerList, "all=no&size=none&limit=").to_string(), "all=0&size=0");
    assert_eq!(judged(Op::ContainerStop, "t=10&t=99").int("t"), Some(10));
    assert_eq!(judged(Op::ArchiveGet, "path=%2Fa+b%26c").get("path"), Some("/a b&c"));
    assert_eq!(judged(Op::ArchiveGet, "path=/a+b%26c").to_string(), "path=%2Fa%20b%26c");
    assert_eq!(judged(Op::ContainerLogs, "&&stdout=1&&").to_string(), "stdout=1");
}

#[test]
fn booleans_read_as_docker_reads_them() {
    for (raw, expected) in [
        ("", false),
        ("v", false),
        ("v=", false),
        ("v=0", false),
        ("v=No", false),
        ("v=false", false),
        ("v=none", false),
        ("v=1", true),
        ("v=true", true),
        ("v=x", true),
        ("v=%20", false),
    ] {
        assert_eq!(judged(Op::ContainerDelete, raw).bool("v"), expected, "{raw:?}");
    }
    assert!(judged(Op::ContainerStats, "").bool_or("stream", true));
    assert!(!judged(Op::ContainerStats, "stream=0").bool_or("stream", true));
}

/// The body of a create is in the query of some clients as well; what counts, and what is judged, is the body.
#[test]
fn keys_that_mean_nothing_are_not_sent_on() {
    for (op, raw) in [
        (Op::ContainerStart, "x=&y"),
        (Op::ContainerStart, "HostConfig=1"),
        (Op::ContainerList, "All=1"),
        (Op::Ping, "x=1"),
        (Op::ContainerList, "trunc_cmd=0&before=x"),
        (Op::ContainerCreate, "Image=busybox&Cmd=%5B%22sh%22%5D&HostConfig=%7B%22Privileged%22%3Atrue%7D"),
    ] {
        assert_eq!(judged(op, raw).to_string(), "", "{raw}");
    }
    assert_eq!(judged(Op::ContainerCreate, "Image=a&name=web").to_string(), "name=web");
    assert_eq!(judged(Op::ContainerAttach, "stream=true&hijack=true").to_string(), "stream=1");
}

#[test]
fn broken_encodings_are_refused() {
    for raw in ["name=%", "name=%zz", "name=%f", "name=%ff", "a;b", "name=a\tb", "name=é", "name=a#b"] {
        refused(Op::ContainerCreate, raw);
    }
}

#[test]
fn checkpoints_are_refused_and_dropped_when_empty() {
    assert!(refused(Op::ContainerStart, "checkpoint=x").contains("checkpoint"));
    assert!(refused(Op::ContainerStart, "checkpoint-dir=/etc").contains("checkpoint"));
    assert_eq!(judged(Op::ContainerStart, "checkpoint=&detachKeys=").to_string(), "detachKeys=");
}

#[test]
fn names_follow_the_policy() {
    assert_eq!(judged(Op::ContainerRename, "name=/web2").chosen_name().unwrap().as_str(), "web2");
    assert_eq!(judged(Op::ContainerCreate, "name=").to_string(), "");
    assert!(refused(Op::ContainerRename, "").contains("may be empty"));
    assert!(refused(Op::ContainerRename, "name=a%2Fb").contains("Invalid container name"));
    assert!(refused(Op::ContainerCreate, &format!("name={}", "ab".repeat(32))).contains("container id"));
}

#[test]
fn ps_shows_columns_and_nothing_else() {
    for fine in
        ["", "aux", "-ef", "-eo pid,comm", "-o pid,user,etime,args", "o pid", "--forest", "ax -o pid,pcpu"]
    {
        assert!(ps::judge(fine).is_ok(), "{fine}");
    }
    for wrong in [
        "-o comm,pid",
        "-eo ppid=PID",
        "-o pid=PID,cmd",
        "-o pid,cmd=PID",
        "-p 1",
        "-C sshd",
        "--pid 1",
        "-o",
        "-o ''",
        "-U root",
        "--sort=pid",
        "-eo pid,label",
        "$(id)",
        "; id",
        "--",
        "-",
    ] {
        assert!(ps::judge(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn changes_are_plain_instructions() {
    let judge = |change: &str| changes::judge([change].into_iter());
    for fine in
        ["", "ENV A=b", "cmd [\"sh\"]", "USER me", "LABEL a=\"b c\"", "EXPOSE 80\nCMD sh\n", "WORKDIR /w"]
    {
        assert!(judge(fine).is_ok(), "{fine}");
    }
    for wrong in [
        "RUN id",
        "FROM x",
        "ONBUILD RUN id",
        "COPY . /",
        "ENV A=b\nRUN id",
        "ENV A=b\rRUN id",
        "ENV A=b \\",
        "# escape=`",
        "<<EOF",
        "LABEL ds01.token=1",
        "LABEL \"ds\"01.token=1",
        "LABEL DS01.user=bob",
        "LABEL $A=1",
        "LABELds01=1",
    ] {
        assert!(judge(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn images_are_taken_from_registries_or_the_body() {
    let pull = |raw| match images::source(&judged(Op::ImageCreate, raw)) {
        Ok(ImageSource::Pull { image, all_tags }) => (image.as_str().to_owned(), all_tags),
        other => panic!("{other:?}"),
    };
    assert_eq!(pull("fromImage=busybox&tag=1"), ("busybox:1".into(), false));
    assert_eq!(pull("fromImage=busybox:0&tag=1"), ("busybox:1".into(), false));
    assert_eq!(pull("fromImage=busybox"), ("busybox".into(), true));
    let digest = format!("sha256:{}", "0".repeat(64));
    assert_eq!(
        pull(&format!("fromImage=r.example/x&tag={digest}")),
        (format!("r.example/x@{digest}"), false)
    );
    let import = images::source(&judged(Op::ImageCreate, "fromSrc=-&repo=alice/imp%3A2&changes=ENV+A%3Db"));
    assert!(
        matches!(import, Ok(ImageSource::Import { target: Some(target) }) if target.as_str() == "alice/imp:2")
    );
    for wrong in [
        "",
        "fromSrc=http://169.254.169.254/x",
        "fromSrc=-&fromImage=x",
        "fromImage=x&tag=a/b",
        "fromImage=../x",
        "fromSrc=-&tag=1",
        "fromSrc=-&repo=x&changes=RUN+id",
        "fromImage=http://x/y",
    ] {
        refused(Op::ImageCreate, wrong);
    }
    assert!(refused(Op::ImageSearch, "term=169.254.169.254:80/x").contains("Docker Hub"));
    assert!(Query::judge(Op::ImageSearch, "term=alice/x").is_ok());
}

#[test]
fn a_commit_and_a_tag_name_their_target() {
    let commit = judged(Op::Commit, "container=web&repo=docker.io%2Falice%2Fx&tag=1&pause=0&comment=a%0Ab");
    assert_eq!(commit.container().unwrap().as_str(), "web");
    assert_eq!(images::tag_target(&commit).unwrap().unwrap().familiar_tagged().unwrap(), "alice/x:1");
    refused(Op::Commit, "repo=x");
    refused(Op::Commit, "container=a/b");
    refused(Op::ImageTag, "");
    refused(Op::ImageTag, "repo=x&tag=a:b");
    refused(Op::ImageTag, &format!("repo=x@sha256:{}", "0".repeat(64)));
}

#[test]
fn filters_read_in_both_forms_and_only_once() {
    let both = [r#"{"label":["a=b"],"name":["x","x"]}"#, r#"{"label":{"a=b":true},"name":{"x":false}}"#];
    for text in both {
        let filters = Filters::parse(text).unwrap();
        assert_eq!(filters.values("label").collect::<Vec<_>>(), ["a=b"]);
        assert_eq!(filters.to_string(), r#"{"label":{"a=b":true},"name":{"x":true}}"#);
    }
    for none in ["", "null", "{}"] {
        assert!(Filters::parse(none).unwrap().is_empty());
    }
    for wrong in [
        "[]",
        "1",
        "{",
        "{} {}",
        r#"{"label":"x"}"#,
        r#"{"label":[1]}"#,
        r#"{"label":{"x":1}}"#,
        r#"{"label":["a"],"label":["b"]}"#,
    ] {
        assert!(Filters::parse(wrong).is_err(), "{wrong}");
    }
    let mut query = judged(Op::ContainerPrune, "filters=%7B%22until%22%3A%5B%221h%22%5D%7D&filters=x");
    let mut filters = query.filters().clone();
    filters.add("label", "ds01.user=alice");
    query.set_filters(filters);
    assert_eq!(
        query.to_string(),
        "filters=%7B%22label%22%3A%7B%22ds01%2Euser%3Dalice%22%3Atrue%7D%2C%22until%22%3A%7B%221h%22%3Atrue%7D%7D"
            .replace("%2E", ".")
    );
}

#[test]
fn a_build_is_bounded() {
    let raw = "t=alice/x&networkmode=host&cgroupparent=/system.slice&version=1&rm=1&memory=0&cpuquota=400000\
               &labels=%7B%22ds01.user%22%3A%22bob%22%2C%22l%22%3A%22m%22%7D&outputs=null&remote=&session=\
               &buildargs=%7B%22A%22%3Anull%2C%22NVIDIA_VISIBLE_DEVICES%22%3A%22all%22%7D";
    let mut query = judged(Op::Build, raw);
    assert_eq!(build::network(&query), Ok(BuildNetwork::Default));
    assert_eq!(build::tags(&query).unwrap()[0].familiar_tagged().unwrap(), "alice/x:latest");
    let bounds = BuildBounds {
        cgroup_parent: "/ds01/u1".into(),
        memory_bytes: Some(1 << 30),
        cpus_milli: Some(2000),
        labels: [("ds01.user".to_owned(), "alice".to_owned())].into(),
        ..BuildBounds::default()
    };
    build::bound(&mut query, &bounds);
    assert_eq!(query.get("networkmode"), None);
    assert_eq!(query.get("cgroupparent"), Some("/ds01/u1"));
    assert_eq!(query.get("memory"), Some("1073741824"));
    assert_eq!((query.get("cpuperiod"), query.get("cpuquota")), (Some("100000"), Some("200000")));
    assert_eq!(query.get("labels"), Some(r#"{"ds01.user":"alice","l":"m"}"#));
    assert_eq!(query.get("buildargs"), Some(r#"{"A":null}"#));
}

#[test]
fn a_build_that_leaves_its_bounds_is_refused() {
    for (raw, says) in [
        ("version=2&session=abc", "DOCKER_BUILDKIT=0"),
        ("session=abc", "DOCKER_BUILDKIT=0"),
        ("remote=http://169.254.169.254/", "git clone"),
        ("networkmode=container:bob", "network of your own"),
        ("outputs=%5B%7B%22Type%22%3A%22local%22%7D%5D", "output"),
        ("securityopt=seccomp%3Dunconfined", "Security options"),
        ("t=Bad+Name", "invalid reference"),
        ("labels=%5B%5D", "labels"),
        ("ulimits=%7B%7D", "ulimits"),
        ("cachefrom=%22x%22", "cachefrom"),
    ] {
        assert!(refused(Op::Build, raw).contains(says), "{raw}: {}", refused(Op::Build, raw));
    }
    assert_eq!(
        build::network(&judged(Op::Build, "networkmode=n1")),
        Ok(BuildNetwork::Named(ObjectRef::new("n1").unwrap()))
    );
}

#[test]
fn steps_that_find_another_world_are_told_from_everybodys() {
    // As the command line sends it where nobody asked for anything.
    let plain = "t=a&memory=0&memswap=0&shmsize=0&cpuquota=0&cpuperiod=0&cpushares=0&cpusetcpus=&cpusetmems=&ulimits=null\
                 &networkmode=default&buildargs=%7B%22A%22%3A%22b%22%2C%22http_proxy%22%3Anull%7D";
    assert!(!build::has_own_view(&judged(Op::Build, plain)));
    for other in [
        "networkmode=none",
        "networkmode=n1",
        "extrahosts=pypi.org%3A10.0.0.9",
        "buildargs=%7B%22HTTPS_PROXY%22%3A%22http%3A%2F%2Fx%22%7D",
        "ulimits=%5B%7B%22Name%22%3A%22fsize%22%2C%22Soft%22%3A1%2C%22Hard%22%3A1%7D%5D",
        "memory=4194304",
        "shmsize=1",
    ] {
        assert!(build::has_own_view(&judged(Op::Build, other)), "{other}");
    }
}

#[test]
fn a_builds_cache_is_cut_down_to_what_may_be_seen() {
    let mut query = judged(Op::Build, "cachefrom=%5B%22a%22%2C%22b%22%5D");
    assert_eq!(build::cache_sources(&query).unwrap().len(), 2);
    build::set_cache_sources(&mut query, &["b".to_owned()]);
    assert_eq!(query.text("cachefrom"), Some("[\"b\"]"));
    build::set_cache_sources(&mut query, &[]);
    let none = format!("[\"sha256:{}\"]", "0".repeat(64));
    assert_eq!(query.text("cachefrom"), Some(none.as_str()));
    let mut unasked = judged(Op::Build, "t=x");
    build::set_cache_sources(&mut unasked, &[]);
    assert_eq!(unasked.text("cachefrom"), None);
}

#[test]
fn setting_a_key_leaves_one_value() {
    let mut query = judged(Op::Build, "t=a&t=b&q=1");
    query.set("t", "c");
    assert_eq!(query.to_string(), "t=c&q=1");
    query.add("t", "d");
    query.remove("q");
    assert_eq!(query.to_string(), "t=c&t=d");
}

proptest! {
    #[test]
    fn a_judged_query_is_judged_the_same_again(row in 0..ROWS.len(), raw in "[a-z]{1,8}=[ -~]{0,12}(&[a-z]{1,8}=[0-9a-z%+]{0,8}){0,4}") {
        let op = ROWS[row].op;
        if let Ok(query) = Query::judge(op, &raw) {
            let written = query.to_string();
            prop_assert_eq!(Query::judge(op, &written).map(|again| again.to_string()), Ok(written));
        }
    }

    #[test]
    fn filters_survive_a_round_trip(map in proptest::collection::btree_map(".{0,8}", proptest::collection::btree_set(".{0,8}", 0..4), 0..4)) {
        let mut filters = Filters::default();
        for (name, values) in &map {
            filters.set(name.clone(), values.iter().cloned());
        }
        prop_assert_eq!(Filters::parse(&filters.to_string()), Ok(filters));
    }
}
