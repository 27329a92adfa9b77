//! Holds the sources to the layers of `src/docs/architecture.md`: who may import whom, and which
//! words have no place where.

use std::{fs, path::Path};

const CORE: &[&str] = &["types", "causality", "conflict", "digest", "reconcile", "replica", "report", "wire"];

/// Per module, what it may import beside itself. Imports point down: core, ports and adapters,
/// actors, faces.
const LAYERS: &[(&[&str], &[&[&str]])] = &[
    (CORE, &[CORE]),
    (&["ports"], &[CORE]),
    (&["storage", "network"], &[CORE, &["ports"]]),
    (&["actors"], &[CORE, &["ports", "storage", "network"]]),
    (&["node"], &[CORE, &["ports", "storage", "network", "actors"]]),
    (&["http"], &[&["types", "causality", "node"]]),
    // Its tasks end with the node's.
    (&["host"], &[&["types", "causality", "ports", "node"]]),
    // The program serves its node over HTTP; else it knows it as any other program does.
    (&["cli"], &[&["types", "causality", "node", "http"]]),
];

/// Per module, words that have no place in it, and why.
const WORDS: &[(&[&str], &[&str], &str)] = &[
    (CORE, &["tokio", "async fn", ".await"], "the core waits for nothing"),
    (CORE, &["Instant::now", "SystemTime"], "the core is told the time"),
    (CORE, &["rand::"], "the core throws no dice"),
    (CORE, &["HashMap", "HashSet"], "the core has one order for everything"),
    (&["actors"], &["fjall", "libp2p::"], "actors know ports, not adapters"),
    (&["storage"], &["libp2p"], "a store knows no network"),
    (&["network"], &["fjall"], "a network knows no store"),
];

/// The modules of this crate that `code` names in `crate::…` paths, each with its line.
fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = vec![];
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c == '_' || c.is_alphanumeric()) {
            continue;
        }
        let line = |offset: usize| code[..offset].matches('\n').count() + 1;
        let (path, mut offset) = (&code[at + 7..], at + 7);
        let name = |text: &str| text.chars().take_while(|c| *c == '_' || c.is_alphanumeric()).collect();
        let Some(group) = path.strip_prefix('{') else {
            found.push((line(at), name(path)));
            continue;
        };
        offset += 1;
        let (mut depth, mut start) = (0, true);
        for (index, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                c if start && c.is_alphabetic() => {
                    found.push((line(offset + index), name(&group[index..])));
                    start = false;
                }
                _ => {}
            }
        }
    }
    found
}

/// What is wrong with the source `text` of the file `name` in `module`: file, line and rule.
fn violations(module: &str, name: &str, text: &str) -> Vec<String> {
    // Comments may name what they like; lines keep their numbers.
    let code = text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n");
    let mut out = vec![];
    let allowed = LAYERS.iter().find(|(modules, _)| modules.contains(&module)).map(|(_, allowed)| allowed);
    for (line, import) in imports(&code) {
        let names_item = import.starts_with(char::is_uppercase);
        let lawful = |allowed: &&[&[&str]]| allowed.iter().any(|names| names.contains(&&*import));
        if import != module && !names_item && allowed.is_some_and(|allowed| !lawful(allowed)) {
            out.push(format!("{name}:{line}: `{module}` may not import `{import}`"));
        }
    }
    for (_, words, why) in WORDS.iter().filter(|(modules, ..)| modules.contains(&module)) {
        for (index, line) in code.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(**word)) {
                out.push(format!("{name}:{}: `{word}` has no place here: {why}", index + 1));
            }
        }
    }
    out
}

fn check(module: &str, path: &Path, out: &mut Vec<String>) {
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("a readable directory");
        entries.for_each(|entry| check(module, &entry.expect("a readable directory").path(), out));
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        let text = fs::read_to_string(path).expect("a readable file");
        out.extend(violations(module, &path.display().to_string(), &text));
    }
}

#[test]
fn imports_point_down_and_every_module_keeps_to_its_words() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut out = vec![];
    for entry in fs::read_dir(&src).expect("a readable directory") {
        let path = entry.expect("a readable directory").path();
        let module = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let known = LAYERS.iter().any(|(modules, _)| modules.contains(&&*module));
        if !known && !["lib", "main", "docs"].contains(&&*module) {
            out.push(format!("{}: this module has no layer yet", path.display()));
        }
        check(&module, &path, &mut out);
    }
    out.sort();
    assert!(out.is_empty(), "\n{}", out.join("\n"));
}

#[test]
fn a_planted_line_is_found() {
    let found = |module: &str, text: &str| violations(module, "x.rs", text);
    let planted = [
        ("wire", "\nuse crate::storage::Store;", "x.rs:2: `wire` may not import `storage`"),
        (
            "storage",
            "use crate::{\n    types::{Key, Value},\n    actors::Mesh,\n};",
            "x.rs:3: `storage` may not import `actors`",
        ),
        ("http", "fn f() { crate::actors::f() }", "x.rs:1: `http` may not import `actors`"),
        (
            "types",
            "fn f() { std::time::Instant::now(); }",
            "x.rs:1: `Instant::now` has no place here: the core is told the time",
        ),
        (
            "actors",
            "use libp2p::Swarm;",
            "x.rs:1: `libp2p::` has no place here: actors know ports, not adapters",
        ),
    ];
    for (module, text, expected) in planted {
        assert_eq!(found(module, text), [expected]);
    }
    assert_eq!(found("wire", "// tokio\nuse crate::{types::Key, causality::{Dot, Origin}};"), [""; 0]);
}
