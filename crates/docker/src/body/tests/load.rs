//! Manifests of archives as Docker's and other programs write them, and as nobody but an attacker does.

use serde_json::{Value, json};

use super::super::{JudgedManifest, Refusal, judge_manifest};
use super::alice;

fn judged(manifest: &Value) -> Result<JudgedManifest, Refusal> {
    judge_manifest(&serde_json::to_vec(manifest).expect("json"), &alice())
}

fn sent(manifest: &Value) -> Value {
    serde_json::from_slice(&judged(manifest).expect("judged").to_bytes()).expect("json")
}

fn refused(manifest: &[u8]) -> String {
    judge_manifest(manifest, &alice()).expect_err("refused").message
}

#[test]
fn what_docker_saves_is_written_anew() {
    // Docker 20.10; 25 and later, with a list of where layers are from; and an image without a name.
    let old = json!([{"Config": "ab.json", "RepoTags": ["docker.io/library/a:1", "x/b:latest"], "Layers": ["ab/layer.tar"]}]);
    assert_eq!(
        sent(&old),
        json!([{"Config": "ab.json", "RepoTags": ["a:1", "x/b:latest"], "Layers": ["ab/layer.tar"]}])
    );
    let new = json!([{
        "Config": "blobs/sha256/ab", "RepoTags": null, "Layers": ["blobs/sha256/cd"],
        "LayerSources": {"sha256:cd": {"mediaType": "m", "size": 3, "digest": "sha256:cd", "urls": ["http://x"]}}
    }]);
    assert_eq!(
        sent(&new),
        json!([{"Config": "blobs/sha256/ab", "RepoTags": [], "Layers": ["blobs/sha256/cd"]}])
    );
}

#[test]
fn no_loaded_image_is_the_child_of_another() {
    let sent = sent(&json!([
        {"Config": "a.json", "RepoTags": ["a:1"], "Layers": []},
        {"Config": "b.json", "RepoTags": ["b:1"], "Layers": ["l"], "Parent": format!("sha256:{}", "a".repeat(64))}
    ]));
    assert!(!sent.to_string().contains("Parent"), "{sent}");
}

#[test]
fn images_without_a_name_come_last_so_that_the_engine_tells_them() {
    let manifest = json!([
        {"Config": "nameless.json", "Layers": []},
        {"Config": "a.json", "RepoTags": ["a:1"], "Layers": []},
        {"Config": "b.json", "RepoTags": ["b:1"], "Layers": []}
    ]);
    let judged = judged(&manifest).expect("judged");
    let order: Vec<&str> = judged.images().iter().map(|image| image.config.as_str()).collect();
    assert_eq!(order, ["a.json", "b.json", "nameless.json"]);
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    for (manifest, words) in [
        (r#"[{"Config":"a","RepoTags":["a:1"],"repotags":["bob:1"]}]"#, "the same field"),
        // LATIN SMALL LETTER LONG S folds to s.
        ("[{\"Config\":\"a\",\"RepoTags\":[\"a:1\"],\"RepoTag\u{17f}\":[\"bob:1\"]}]", "the same field"),
        (r#"[{"Config":"a","RepoTags":["a:1"],"RepoTags":["bob:1"]}]"#, "occurs twice"),
        (r#"[{"Config":"a"}] [{"Config":"b"}]"#, "after its JSON value"),
        (r#"[{"Config":"a","Names":["bob:1"]}]"#, "not known to DS01"),
        (r#"{"Config":"a"}"#, "not a list"),
        ("", "empty"),
        ("null", "not a list"),
        ("[]", "no image"),
    ] {
        let said = refused(manifest.as_bytes());
        assert!(said.contains(words), "{manifest}: {said}");
    }
    // One that folds and stands alone is read as Go reads it.
    let folded = "[{\"config\":\"a\",\"RepoTag\u{17f}\":[\"bob:1\"]}]";
    let judged = judge_manifest(folded.as_bytes(), &alice()).expect("judged");
    assert_eq!(judged.images()[0].tags[0].as_str(), "bob:1");
}

#[test]
fn names_are_names_with_a_tag() {
    let digest = format!("a:1@sha256:{}", "a".repeat(64));
    for name in ["a", "", "A:1", "a:1:2", "a:", "../a:1", &digest, &"a".repeat(64)] {
        assert!(judged(&json!([{"Config": "c", "RepoTags": [name]}])).is_err(), "{name}");
    }
}

#[test]
fn files_lie_in_the_archive() {
    for name in ["", "/etc/shadow", "../x", "a/../b", "./a", "a//b", "a/", "a\0"] {
        assert!(judged(&json!([{"Config": name}])).is_err(), "{name:?} as a configuration");
        assert!(judged(&json!([{"Config": "a", "Layers": [name]}])).is_err(), "{name:?} as a layer");
    }
}

#[test]
fn everything_is_bounded() {
    let image = json!({"Config": "a", "RepoTags": ["a:1", "a:2", "a:3"]});
    assert!(judged(&Value::Array(vec![image.clone(); 85])).is_ok());
    assert!(judged(&Value::Array(vec![image; 86])).expect_err("names").message.contains("256 names"));
    let nameless = json!({"Config": "a"});
    assert!(judged(&Value::Array(vec![nameless; 129])).expect_err("images").message.contains("128 images"));
    let layers = json!([{"Config": "a", "Layers": vec!["l"; 257]}]);
    assert!(judged(&layers).expect_err("layers").message.contains("256 layers"));
}
