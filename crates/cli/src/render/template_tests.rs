//! Templates and conditions beside what they give.

use expect_test::expect;

use super::super::containers::tests::four;
use super::*;

fn written(template: &str) -> String {
    Template::parse(template).unwrap().write(&four().containers, false)
}

#[test]
fn lines_and_tables() {
    expect![[r#"
        my-project._.alice: running
        exp-a._.alice: waiting
        old._.alice: stopped
        web: running
    "#]]
    .assert_eq(&written("{{.Name}}: {{ .State }}"));
    expect![[r#"
        NAME                 STATUS                     GPU
        my-project._.alice   running 2 h 10 min         1:1 2g.20gb
        exp-a._.alice        waiting, 1 of 3            (1 GPU)
        old._.alice          stopped (137) 2 h 10 min   (1 GPU)
        web                  running 2 h 10 min         -
    "#]]
    .assert_eq(&written(r"table {{.Names}}\t{{.Status}}\t{{.GPU}}"));
    assert_eq!(written(r"{{.ID}}\t{{.User}}").lines().next(), Some("abababababab\talice"));
    assert_eq!(written("{{json .Project}}").lines().next(), Some(r#""my-project""#));
}

#[test]
fn json_has_every_field() {
    let first = Template::parse("json").unwrap().write(&four().containers[..1], true);
    expect![[r#"
        {"ID":"abababababababababababababababababababababababababababababababab","Name":"my-project._.alice","Project":"my-project","User":"alice","Status":"running 2 h 10 min","State":"running","GPU":"1:1 2g.20gb","Want":"1 GPU","Image":"ds01-alice/my-project:latest","Kind":"ds01","Workspace":"/home/alice/workspace/my-project","RunningFor":"2 h 11 min ago"}
    "#]].assert_eq(&first);
    assert_eq!(written("{{json .}}"), written("json"));
    for (_, name, _) in FIELDS {
        assert!(first.contains(&format!("\"{name}\":")), "{name}");
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    let wrong =
        ["{{.Nmae}}", "{{.Name", "{{Name}}", "{{range .}}", "names", "", "table x", "{{upper .Name}}"];
    let said: Vec<String> = wrong.into_iter().map(|text| Template::parse(text).unwrap_err()).collect();
    expect![[r#"
        there is no field .Nmae; there are .ID .Name .Project .User .Status .State .GPU .Want .Image .Kind .Workspace .RunningFor
        a {{ without its }}
        {{Name}} is not understood; write {{.Name}} or {{json .Name}}
        {{range .}} is not understood; write {{.Name}} or {{json .Name}}
        name a field, as in '{{.Name}}'
        name a field, as in '{{.Name}}'
        name a field, as in '{{.Name}}'
        {{upper .Name}} is not understood; write {{.Name}} or {{json .Name}}"#]]
    .assert_eq(&said.join("\n"));
}

#[test]
fn conditions() {
    let names = |texts: &[&str]| -> String {
        let filters: Vec<Filter> = texts.iter().map(|text| Filter::parse(text).unwrap()).collect();
        let all = four().containers.into_iter().filter(|container| fits_all(&filters, container));
        all.map(|container| container.short_name().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&[]), "my-project exp-a old web");
    assert_eq!(names(&["status=running"]), "my-project web");
    assert_eq!(names(&["status=running", "status=exited"]), "my-project old web");
    assert_eq!(names(&["status=running", "kind=docker"]), "web");
    assert_eq!(names(&["name=o"]), "my-project old");
    assert_eq!(names(&["project=old", "user=alice"]), "old");
    assert_eq!(names(&["image=ds01-alice/old"]), "old");
    assert_eq!(names(&["image=ds01-alice/ol"]), "");
    assert!(Filter::parse("status=exited").unwrap().is_for_stopped());
    assert!(!Filter::parse("name=stopped").unwrap().is_for_stopped());
    assert!(Filter::parse("running").is_err() && Filter::parse("colour=red").is_err());
}
