//! Strategies in the file, and `conflicts` and `explain`, as people use them.

use std::fs;

use crate::program::{Program, Site};

/// Runs a command that asks `program`.
fn tell(site: &Site, program: &Program, arguments: &[&str]) -> String {
    let output = site.command().env("TIDINGS_URL", &program.url).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn people_see_what_readers_do_not_and_why() {
    let site = Site::new();
    let file = site.path("t.toml");
    fs::write(&file, "[strategies]\n\"names\" = \"first-write-wins\"\nprofiles = \"merge-fields\"\n")
        .unwrap();
    let config = ["--config", file.to_str().unwrap()];
    let shown = site.command().args(["config", "show", "--open", "--origin"]).args(config).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("[strategies]\n\"names\" = \"first-write-wins\""), "{shown}");
    assert!(shown.contains("t.toml:3"), "{shown}");

    let ant = site.start("ant", &config);
    tell(&site, &ant, &["put", "names/a", "ant"]);
    let again = site.command().env("TIDINGS_URL", &ant.url).args(["put", "names/a", "bat"]).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    let why = String::from_utf8(again.stderr).unwrap();
    assert!(why.contains("the first write wins"), "{why}");

    // Two versions beside each other: the second was made from what the first replaced.
    tell(&site, &ant, &["put", "nest", "empty"]);
    let meta: serde_json::Value =
        serde_json::from_str(&tell(&site, &ant, &["get", "nest", "--json"])).unwrap();
    let base = format!("\"{}\"", meta["etag"].as_str().unwrap());
    tell(&site, &ant, &["put", "nest", "three eggs"]);
    let put = ureq::put(format!("{}/v1/kv/nest", ant.url)).header("Tidings-Base", &base).send("for rent");
    assert_eq!(put.unwrap().status().as_u16(), 200);

    assert_eq!(tell(&site, &ant, &["get", "nest"]), "for rent");
    let list = tell(&site, &ant, &["conflicts"]);
    assert!(list.starts_with("nest\tlast-write-wins: the greatest by stamp"), "{list}");
    let row =
        |text: &str| list.lines().find(|line| line.contains(text)).unwrap().trim_start().starts_with('*');
    assert!(row("for rent") && !row("three eggs"), "{list}");
    assert_eq!(tell(&site, &ant, &["conflicts", "names"]), "");
    let story = tell(&site, &ant, &["explain", "nest"]);
    assert!(story.contains("accounted for up to") && story.contains("remembered since"), "{story}");
    assert_eq!(story.lines().filter(|line| line.contains(": written, at 20")).count(), 2, "{story}");
    let meta = tell(&site, &ant, &["get", "nest", "--meta"]);
    assert!(meta.contains("three eggs") && meta.contains("for rent"), "{meta}");
    let json: serde_json::Value = serde_json::from_str(&tell(&site, &ant, &["conflicts", "--json"])).unwrap();
    assert_eq!(json["conflicts"][0]["versions"].as_array().unwrap().len(), 2);

    // The loser comes back as a new write.
    tell(&site, &ant, &["put", "nest", "three eggs"]);
    assert_eq!(tell(&site, &ant, &["conflicts"]), "");
}
