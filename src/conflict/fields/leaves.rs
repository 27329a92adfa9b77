//! An object as its leaves, and back.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Names from the root of an object to one of its fields, as they stand in its text.
pub(crate) type Path<'a> = Vec<Cow<'a, str>>;

/// Objects are looked into so many levels deep; what lies below is one leaf.
pub const DEPTH_MAX: usize = 32;

/// The only leaf of an object without fields.
pub(crate) const EMPTY: &str = "{}";

/// The leaves of the object in `bytes`, by ascending path, each as JSON without white space; nothing if it
/// is none.
pub(crate) fn leaves(bytes: &[u8]) -> Option<Vec<(Path<'_>, Cow<'_, str>)>> {
    let text = str::from_utf8(bytes).ok()?.trim_ascii();
    if !text.starts_with('{') {
        return None;
    }
    let mut found = Vec::new();
    walk(text, &mut Path::new(), &mut found)?;
    Some(found)
}

fn walk<'a>(text: &'a str, path: &mut Path<'a>, found: &mut Vec<(Path<'a>, Cow<'a, str>)>) -> Option<()> {
    if !text.starts_with('{') || path.len() >= DEPTH_MAX {
        found.push((path.clone(), minified(text)));
        return Some(());
    }
    let Fields(fields) = serde_json::from_str(text).ok()?;
    if fields.is_empty() {
        found.push((path.clone(), EMPTY.into()));
    }
    for (Name(name), value) in fields {
        path.push(name);
        walk(value.get(), path, found)?;
        path.pop();
    }
    Some(())
}

/// The fields of one object by ascending name; of equal names the last one counts.
struct Fields<'a>(Vec<(Name<'a>, &'a RawValue)>);

/// Borrowed, unless it stands in its text with escapes.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    fields.push(field);
                }
                fields.sort_by(|(a, _), (b, _)| a.cmp(b));
                fields.dedup_by(|later, earlier| {
                    let same = later.0 == earlier.0;
                    if same {
                        earlier.1 = later.1;
                    }
                    same
                });
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// JSON without the white space between its parts, so that equal values are equal texts.
fn minified(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return text.into();
    }
    let (mut out, mut in_text, mut escaped) = (String::with_capacity(text.len()), false, false);
    for c in text.chars() {
        if in_text || !c.is_ascii_whitespace() {
            out.push(c);
        }
        if in_text {
            in_text = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else {
            in_text = c == '"';
        }
    }
    out.into()
}

/// The object that has these leaves, none of which lies below another; fields in the order of their
/// names.
pub(crate) fn object<'a>(leaves: impl Iterator<Item = (&'a Path<'a>, &'a str)>) -> String {
    let leaves: Vec<_> = leaves.collect();
    let mut out = String::new();
    put(&leaves, 0, &mut out);
    out
}

fn put(leaves: &[(&Path<'_>, &str)], depth: usize, out: &mut String) {
    if let [(path, text)] = leaves
        && path.len() == depth
    {
        out.push_str(text);
        return;
    }
    out.push('{');
    for (index, below) in leaves.chunk_by(|a, b| a.0.get(depth) == b.0.get(depth)).enumerate() {
        let Some(name) = below[0].0.get(depth) else { continue };
        if index > 0 {
            out.push(',');
        }
        out.push_str(&serde_json::to_string(name).expect("a text serialises"));
        out.push(':');
        put(below, depth + 1, out);
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(text: &str) -> String {
        let leaves = leaves(text.as_bytes()).expect("an object");
        object(leaves.iter().map(|(path, text)| (path, &**text)))
    }

    #[test]
    fn an_object_is_its_leaves() {
        for (text, same) in [
            ("{}", "{}"),
            (
                r#" { "b" : [ 1, "a b\" c" ] , "a" : {"y":{},"x":1.50} } "#,
                r#"{"a":{"x":1.50,"y":{}},"b":[1,"a b\" c"]}"#,
            ),
            (r#"{"a":12345678901234567890.10,"\u0062":null}"#, r#"{"a":12345678901234567890.10,"b":null}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        ] {
            assert_eq!(again(text), same);
        }
        for text in ["", "1", "[{}]", "{", r#"{"a":{"b"}}"#, "null"] {
            assert_eq!(leaves(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_lies_too_deep_is_one_leaf() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(9_000), "}".repeat(9_000));
        let found = leaves(deep.as_bytes()).expect("an object");
        assert_eq!(found.iter().map(|(path, _)| path.len()).collect::<Vec<_>>(), [DEPTH_MAX]);
        assert_eq!(again(&deep), deep);
    }
}
