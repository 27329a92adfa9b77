//! The settings as a file: TOML with the flags as keys.

use std::{collections::BTreeMap, fs, ops::Range, path::Path};

use toml::{Spanned, Value};

use super::{
    Given, NamespaceGiven, Source, StrategyGiven,
    key::{KEYS, Key, Shape},
    namespaces,
    strategies::{self, STRATEGIES},
};
use crate::cli::failure::Failure;

/// What a file says.
pub(super) type Said = (BTreeMap<&'static str, Given>, Vec<StrategyGiven>, Vec<NamespaceGiven>);

/// The table of tables of namespaces.
const NAMESPACES: &str = "namespaces";

/// The settings in the file at `path`.
///
/// # Errors
/// When it cannot be read, is no TOML, or has a key or a value that is not known; with its line.
pub(super) fn read(path: &Path) -> Result<Said, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("{}: the file cannot be read: {error}", path.display())))?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<Said, Failure> {
    let at = |line: usize, why: &str| Failure::usage(format!("{}:{line}: {why}", path.display()));
    let entries: BTreeMap<Spanned<String>, Value> =
        toml::from_str(text).map_err(|error| at(line(text, error.span()), error.message().trim()))?;
    let mut settings = BTreeMap::new();
    // In the order of the file, so that the first mistake is told of first.
    let mut entries: Vec<_> = entries.into_iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in entries {
        let line = line(text, Some(name.span()));
        let name = name.into_inner();
        if name == STRATEGIES || name == NAMESPACES {
            continue;
        }
        let key = KEYS
            .iter()
            .find(|key| key.name == name)
            .ok_or_else(|| at(line, &format!("there is no setting {name:?}{}", hint(&name))))?;
        let values = values(key, value).map_err(|why| at(line, &format!("{name}: {why}")))?;
        settings.insert(key.name, Given { values, source: Source::File(path.to_owned(), line) });
    }
    let source = |span| Source::File(path.to_owned(), line(text, span));
    let mistake = |(span, why): strategies::Mistake| at(line(text, span), &why);
    let strategies = strategies::read(text, source).map_err(mistake)?;
    let namespaces = namespaces::read(text, source).map_err(mistake)?;
    Ok((settings, strategies, namespaces))
}

fn line(text: &str, span: Option<Range<usize>>) -> usize {
    let before = span.and_then(|span| text.as_bytes().get(..span.start)).unwrap_or_default();
    before.split(|byte| *byte == b'\n').count()
}

fn values(key: &Key, value: Value) -> Result<Vec<String>, &'static str> {
    match (key.shape, value) {
        (Shape::One | Shape::Many, Value::String(text)) => Ok(vec![text]),
        (Shape::Switch, Value::Boolean(on)) => Ok(vec![on.to_string()]),
        (Shape::Number, Value::Integer(number)) => Ok(vec![number.to_string()]),
        (Shape::Many, Value::Array(items)) => {
            let text = |item| if let Value::String(text) = item { Some(text) } else { None };
            items.into_iter().map(text).collect::<Option<_>>().ok_or("write a list of texts")
        }
        (Shape::One, _) => Err("write a text, in quotes"),
        (Shape::Many, _) => Err("write a list of texts"),
        (Shape::Switch, _) => Err("write true or false"),
        (Shape::Number, _) => Err("write a number"),
    }
}

/// The key that was probably meant.
fn hint(name: &str) -> String {
    let plain = name.replace('_', "-").to_ascii_lowercase();
    let near = |key: &&Key| {
        key.name == plain
            || key.name.strip_suffix('s') == Some(&*plain)
            || plain.strip_suffix('s') == Some(key.name)
    };
    match KEYS.iter().find(near) {
        Some(key) => format!("; did you mean {:?}?", key.name),
        None => "; `tidings config show` lists all there are".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Prefix;

    fn read(text: &str) -> Result<BTreeMap<&'static str, Given>, Failure> {
        parse(Path::new("t.toml"), text).map(|(settings, ..)| settings)
    }

    fn mistake(text: &str) -> String {
        let failure = read(text).expect_err("refused");
        assert_eq!(failure.parts().0, 2);
        failure.parts().1.to_owned()
    }

    #[test]
    fn keys_are_the_flags_and_know_their_line() {
        let settings = read(
            "# a comment\nname = \"ant\"\n\npeer = [\"/dns/b/tcp/1\",\n  \"/dns/c/tcp/1\"]\nopen = true\nhistory = 3\nlisten = \"/ip4/127.0.0.1/tcp/0\"\n",
        )
        .expect("lawful");
        let of = |name: &str| {
            let given = &settings[name];
            let Source::File(_, line) = given.source else { panic!("{given:?}") };
            (given.values.join(" "), line)
        };
        assert_eq!(of("name"), ("ant".to_owned(), 2));
        assert_eq!(of("peer"), ("/dns/b/tcp/1 /dns/c/tcp/1".to_owned(), 4));
        assert_eq!(of("open"), ("true".to_owned(), 6));
        assert_eq!(of("history"), ("3".to_owned(), 7));
        assert_eq!(of("listen"), ("/ip4/127.0.0.1/tcp/0".to_owned(), 8));
        assert_eq!(settings.len(), 5);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        assert_eq!(
            mistake("name = \"ant\"\n\ndata_dir = \"x\"\n"),
            "t.toml:3: there is no setting \"data_dir\"; did you mean \"data-dir\"?"
        );
        assert!(mistake("x = 1\nz = 1\n").starts_with("t.toml:1: "));
        assert!(mistake("peers = []").ends_with("did you mean \"peer\"?"));
    }

    #[test]
    fn strategies_stand_in_a_table_and_know_their_lines() {
        let text = "name = \"ant\"\n[strategies]\n\"users/log\" = \"keep-all\"\nusers = \"merge-fields\"\n\"\" = \"delete-wins\"\n";
        let (settings, strategies, _) = parse(Path::new("t.toml"), text).expect("lawful");
        assert_eq!(settings.len(), 1);
        let lines: Vec<_> = strategies.iter().map(|row| (row.toml(), row.source.to_string())).collect();
        let expected = [
            ("\"users/log\" = \"keep-all\"", "file t.toml:3"),
            ("\"users\" = \"merge-fields\"", "file t.toml:4"),
            ("\"\" = \"delete-wins\"", "file t.toml:5"),
        ];
        assert_eq!(lines, expected.map(|(row, source)| (row.to_owned(), source.to_owned())));
    }

    #[test]
    fn a_wrong_strategy_is_named_with_its_line_and_what_to_write() {
        for (text, line, part) in [
            ("[strategies]\na = \"b\"", 2, "\"b\" is no strategy: write last-write-wins, "),
            (
                "[strategies]\na = \"keep-all\"\n\"a//b\" = \"keep-all\"",
                3,
                "\"a//b\": this is no prefix of keys",
            ),
            ("[strategies]\na = 1", 2, "\"a\": write the name of a strategy"),
            ("[strategies]\na = \"custom:x\"", 2, "this program has no resolvers"),
            ("[strategies]\na = \"keep-all\"\n\"a/\" = \"keep-all\"", 3, "has a strategy already"),
            ("strategies = 1", 1, "write a table"),
        ] {
            let said = mistake(text);
            assert!(
                said.starts_with(&format!("t.toml:{line}: strategies: ")) && said.contains(part),
                "{said}"
            );
        }
    }

    #[test]
    fn namespaces_stand_in_tables_and_know_their_lines() {
        let text = "[namespaces.birds]\nhistory = 3\nlocal-only = [\"drafts\", \"a/b\"]\n[namespaces.birds.strategies]\nnests = \"keep-all\"\n[namespaces.fish]\n";
        let (settings, strategies, namespaces) = parse(Path::new("t.toml"), text).expect("lawful");
        assert_eq!((settings.len(), strategies.len()), (0, 0));
        let shown = |one: &NamespaceGiven| {
            let rows: Vec<String> = one.strategies.iter().map(StrategyGiven::toml).collect();
            let local: Vec<_> = one.local_only.iter().map(Prefix::as_str).collect();
            (one.name.to_string(), one.history, local.join(" "), rows.join(" "), one.source.to_string())
        };
        let shown: Vec<_> = namespaces.iter().map(shown).collect();
        let row = |name: &str, history, local: &str, rows: &str, source: &str| {
            (name.to_owned(), history, local.to_owned(), rows.to_owned(), source.to_owned())
        };
        let birds = row("birds", Some(3), "drafts a/b", "\"nests\" = \"keep-all\"", "file t.toml:1");
        assert_eq!(shown, [birds, row("fish", None, "", "", "file t.toml:6")]);
    }

    #[test]
    fn a_wrong_namespace_is_named_with_its_line_and_what_to_write() {
        for (text, line, part) in [
            ("[namespaces.Birds]", 1, "\"Birds\": "),
            ("[namespaces.b]\nhistory = -1", 2, "b.history: write a number, 0 to 1000"),
            ("[namespaces.b]\nhistory = 1001", 2, "b.history: write a number, 0 to 1000"),
            ("[namespaces.b]\nlocal-only = [1]", 2, "b.local-only: write a list of prefixes"),
            ("[namespaces.b]\nlocal-only = [\"a//b\"]", 2, "\"a//b\" is no prefix of keys: "),
            ("[namespaces.b]\nx = 1", 2, "unknown field `x`"),
            ("[namespaces.b.strategies]\na = \"b\"", 2, "\"b\" is no strategy"),
            ("namespaces = 1", 1, "write tables such as [namespaces.birds]"),
        ] {
            let said = mistake(text);
            assert!(said.starts_with(&format!("t.toml:{line}: namespaces")) && said.contains(part), "{said}");
        }
    }

    #[test]
    fn a_value_of_another_kind_is_named_with_its_line() {
        assert_eq!(mistake("\nopen = \"yes\""), "t.toml:2: open: write true or false");
        assert_eq!(mistake("name = 1"), "t.toml:1: name: write a text, in quotes");
        assert_eq!(mistake("peer = [1]"), "t.toml:1: peer: write a list of texts");
        assert_eq!(mistake("history = \"3\""), "t.toml:1: history: write a number");
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line() {
        assert!(mistake("name = \"ant\"\nopen = \n").starts_with("t.toml:2: "));
        assert!(mistake("name = \"a\"\nname = \"b\"\n").starts_with("t.toml:2: "));
    }
}
