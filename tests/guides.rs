//! Holds the guides to what they say of tests: each one that they name exists.

use std::{collections::BTreeSet, fs, path::Path};

/// The guides that name tests, by their paths.
const GUIDES: [&str; 2] = ["src/docs/acceptance.md", "src/docs/seeds.md"];
/// Where what they name lies: what a path begins with, and the directory.
const ROOTS: [(&str, &str); 2] = [("it", "tests/it"), ("sims", "sims/tests")];

/// What is in sources: functions, and modules by the paths of their files, such as `it::mesh`.
#[derive(Default)]
struct Sources {
    functions: BTreeSet<String>,
    modules: BTreeSet<String>,
}

impl Sources {
    fn read(&mut self, path: &Path, module: &str) {
        if path.is_dir() {
            self.modules.insert(module.to_owned());
            for entry in fs::read_dir(path).expect("a readable directory") {
                let entry = entry.expect("a readable directory").path();
                let stem = entry.file_stem().and_then(|stem| stem.to_str()).expect("a name");
                let inner = match (module, stem) {
                    (_, "mod") => module.to_owned(),
                    ("", _) => stem.to_owned(),
                    _ => format!("{module}::{stem}"),
                };
                self.read(&entry, &inner);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            self.add(&fs::read_to_string(path).expect("a readable file"), module);
        }
    }

    /// A function is known by its module and its name; inner modules of a file count as the file.
    fn add(&mut self, text: &str, module: &str) {
        self.modules.insert(module.to_owned());
        let name =
            |text: &str| text.chars().take_while(|c| *c == '_' || c.is_alphanumeric()).collect::<String>();
        for line in text.lines().map(str::trim_start) {
            if let Some((_, after)) = line.split_once("fn ").filter(|(before, _)| !before.contains("//")) {
                self.functions.insert(format!("{module}::{}", name(after)));
            } else if let Some((_, after)) = line.split_once("mod ") {
                self.modules.insert(format!("{module}::{}", name(after)));
            }
        }
    }

    /// Whether there is a module of this path, or a function in it or below it.
    fn know(&self, path: &str) -> bool {
        let (module, last) = path.rsplit_once("::").unwrap_or(("", path));
        let file = module.rsplit_once("::").map_or(module, |(file, _)| file);
        let within = |module| self.functions.contains(&format!("{module}::{last}"));
        self.modules.contains(path) || self.modules.contains(module) && (within(module) || within(file))
    }
}

/// The paths of tests and modules that `guide` names between backticks. One that begins with `…` stands in
/// the module of the one before.
fn named(guide: &str) -> Vec<(usize, String)> {
    let (mut found, mut module) = (Vec::new(), String::new());
    for (index, line) in guide.lines().enumerate() {
        for code in line.split('`').skip(1).step_by(2) {
            let path = match code.strip_prefix('…') {
                Some(last) => format!("{module}::{last}"),
                None => code.to_owned(),
            };
            let is_path = path.contains("::")
                && !path.ends_with("::")
                && path.chars().all(|c| c == '_' || c == ':' || c.is_lowercase() || c.is_numeric());
            if is_path {
                module = path.rsplit_once("::").expect("just looked at").0.to_owned();
                found.push((index + 1, path));
            }
        }
    }
    found
}

fn sources() -> Sources {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Sources::default();
    sources.read(&root.join("src"), "");
    ROOTS.iter().for_each(|(name, directory)| sources.read(&root.join(directory), name));
    sources
}

#[test]
fn every_test_that_a_guide_names_exists() {
    let (root, sources) = (Path::new(env!("CARGO_MANIFEST_DIR")), sources());
    let mut missing = Vec::new();
    for guide in GUIDES {
        let text = fs::read_to_string(root.join(guide)).expect("a guide");
        let named = named(&text);
        assert!(named.len() > 20, "{guide} names its tests");
        let unknown = named.into_iter().filter(|(_, path)| !sources.know(path));
        missing.extend(unknown.map(|(line, path)| format!("{guide}:{line}: there is no {path}")));
    }
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

#[test]
fn a_test_that_is_not_there_is_found() {
    let mut sources = Sources::default();
    sources.add("mod over_http {\n    async fn a_thing_holds() {}\n}\nfn another() {}", "it::hooks");
    let guide = "| x | `it::hooks::another`, `…gone`, `it::hooks::over_http::a_thing_holds`, `Node::put` |";
    let unknown = |(_, path): (usize, String)| (!sources.know(&path)).then_some(path);
    assert_eq!(named(guide).into_iter().filter_map(unknown).collect::<Vec<_>>(), ["it::hooks::gone"]);
}
