//! What a request asks for in its path and query.

use std::str::FromStr;

use axum::http::Uri;

use super::{
    percent::{self, Plus},
    problem::{Code, Problem},
};
use crate::{
    node::{Node, Space},
    types::{Key, KeyError, Namespace, Prefix},
};

/// The parameters of a query: each known to its route and there at most once.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// The parameters of `uri`; `ns` is known to every route.
    pub(super) fn of(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let mut params: Vec<(String, String)> = Vec::new();
        for pair in uri.query().unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (text(name)?, text(value)?);
            if name != "ns" && !known.contains(&&*name) {
                return Err(unknown(&name, known));
            }
            if params.iter().any(|(earlier, _)| *earlier == name) {
                return Err(bad(&name, "it stands there twice"));
            }
            params.push((name, value));
        }
        Ok(Self(params))
    }

    /// The value of a parameter, if it is there.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }

    /// Whether a switch is on: `true`, `1` or nothing behind it; off: `false` or `0`.
    pub(super) fn switch(&self, name: &str) -> Result<bool, Problem> {
        match self.get(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1" | "") => Ok(true),
            Some(_) => Err(bad(name, "write `true` or `false`")),
        }
    }

    /// A parameter as something that can be read from text.
    pub(super) fn parse<T: FromStr<Err: ToString>>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.get(name).map(|text| text.parse().map_err(|e: T::Err| bad(name, &e.to_string()))).transpose()
    }

    /// The namespace that is asked for.
    pub(super) fn space(&self, node: &Node) -> Result<Space, Problem> {
        Ok(node.space(&self.namespace()?)?)
    }

    fn namespace(&self) -> Result<Namespace, Problem> {
        Ok(self.get("ns").map(Namespace::new).transpose()?.unwrap_or_default())
    }
}

/// The namespace that the query of `uri` asks for, whatever else stands there.
pub(super) fn namespace(uri: &Uri) -> Result<Namespace, Problem> {
    let pairs = uri.query().unwrap_or("").split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    for (name, value) in pairs {
        if text(name)? == "ns" {
            return Ok(Namespace::new(&text(value)?)?);
        }
    }
    Ok(Namespace::default())
}

fn text(raw: &str) -> Result<String, Problem> {
    percent::decode(raw, Plus::Space)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Problem::new(Code::BadParameter, "the query is not percent-encoded UTF-8"))
}

fn unknown(name: &str, known: &[&str]) -> Problem {
    let name: String = name.chars().take(80).collect();
    let known = known.iter().fold("ns".to_owned(), |list, name| list + ", " + name);
    let detail = format!("the parameter {name:?} is not known here; known are: {known}");
    Problem::new(Code::UnknownParameter, detail).with("parameter", name)
}

/// A parameter that is known and malformed.
pub(super) fn bad(name: &str, why: &str) -> Problem {
    Problem::new(Code::BadParameter, format!("{name}: {why}")).with("parameter", name)
}

/// The key behind `base` in the path of `uri`, decoded once: so `%2F` separates as `/` does, and
/// `%2e%2e` is refused as `..` is.
pub(super) fn key(uri: &Uri, base: &str) -> Result<Key, Problem> {
    Ok(Key::from_bytes(&rest(uri, base)?)?)
}

/// The prefix behind `base` in the path of `uri`.
pub(super) fn prefix(uri: &Uri, base: &str) -> Result<Prefix, Problem> {
    let bytes = rest(uri, base)?;
    Ok(Prefix::new(str::from_utf8(&bytes).map_err(|_| KeyError::NotUtf8)?)?)
}

/// The prefix behind `base` in the path of `uri`, which ends in a separator: a key is to be made there.
pub(super) fn folder(uri: &Uri, base: &str) -> Result<Prefix, Problem> {
    let bytes = rest(uri, base)?;
    if bytes.last().is_some_and(|last| *last != b'/') {
        let detail = "a key is made below a prefix: end the path with `/`, or PUT to this key";
        return Err(Problem::new(Code::BadKey, detail));
    }
    Ok(Prefix::new(str::from_utf8(&bytes).map_err(|_| KeyError::NotUtf8)?)?)
}

fn rest(uri: &Uri, base: &str) -> Result<Vec<u8>, Problem> {
    let raw = uri.path().strip_prefix(base).unwrap_or("");
    percent::decode(raw, Plus::Plus)
        .ok_or_else(|| Problem::new(Code::BadKey, "a `%` in the path is not followed by two hex digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().expect("a uri")
    }

    fn code<T>(result: Result<T, Problem>) -> Option<&'static str> {
        result.err().map(|problem| problem.code().as_str())
    }

    #[test]
    fn a_key_is_decoded_once_and_keeps_the_rules_of_keys() {
        let key = |path: &str| key(&uri(path), "/v1/kv/");
        for (path, expected) in [
            ("/v1/kv/users/1", "users/1"),
            ("/v1/kv/users%2F1", "users/1"),
            ("/v1/kv/a%20b+c", "a b+c"),
            ("/v1/kv/%C3%A4", "ä"),
            ("/v1/kv/a%252Fb", "a%2Fb"),
            ("/v1/kv/a%3Fb", "a?b"),
        ] {
            assert_eq!(key(path).expect("a key").as_str(), expected, "{path}");
        }
        for path in [
            "/v1/kv/",
            "/v1/kv/a/",
            "/v1/kv//a",
            "/v1/kv/a%2F",
            "/v1/kv/%2e%2e/a",
            "/v1/kv/a/../b",
            "/v1/kv/./a",
            "/v1/kv/%ff",
            "/v1/kv/%zz",
            "/v1/kv/a%00",
            "/v1/kv/a%0a",
        ] {
            assert_eq!(code(key(path)), Some("bad_key"), "{path}");
        }
    }

    #[test]
    fn a_prefix_may_be_empty_and_may_end_in_a_separator() {
        for (path, expected) in [
            ("/v1/scan", ""),
            ("/v1/scan/", ""),
            ("/v1/scan/users", "users"),
            ("/v1/scan/users/", "users"),
            ("/v1/scan/a%2Fb", "a/b"),
        ] {
            assert_eq!(prefix(&uri(path), "/v1/scan/").expect("a prefix").as_str(), expected, "{path}");
        }
        for path in ["/v1/scan//", "/v1/scan/a//", "/v1/scan/..", "/v1/scan/%ff"] {
            assert_eq!(code(prefix(&uri(path), "/v1/scan/")), Some("bad_key"), "{path}");
        }
    }

    #[test]
    fn a_query_is_read_strictly() {
        let of = |query: &str| Params::of(&uri(&format!("/x?{query}")), &["limit", "meta"]);
        assert_eq!(of("limit=5&ns=a").expect("known").get("limit"), Some("5"));
        assert_eq!(of("ns=a%2Db&").expect("known").get("ns"), Some("a-b"));
        assert_eq!(code(of("limits=5")), Some("unknown_parameter"));
        assert_eq!(code(of("limit=5&limit=6")), Some("bad_parameter"));
        assert_eq!(code(of("limit=%f")), Some("bad_parameter"));
        assert_eq!(code(of("ns=Photos").expect("known").namespace()), Some("bad_namespace"));
        assert_eq!(code(of("ns=").expect("known").namespace()), Some("bad_namespace"));
        assert_eq!(of("").expect("none").namespace().expect("default"), Namespace::default());
        assert_eq!(code(of("limit=x").expect("known").parse::<usize>("limit")), Some("bad_parameter"));
    }

    #[test]
    fn a_switch_is_on_or_off() {
        let switch = |query: &str| Params::of(&uri(&format!("/x?{query}")), &["meta"])?.switch("meta");
        for (query, on) in
            [("", false), ("meta", true), ("meta=true", true), ("meta=1", true), ("meta=false", false)]
        {
            assert_eq!(switch(query).expect("lawful"), on, "{query}");
        }
        assert_eq!(code(switch("meta=yes")), Some("bad_parameter"));
    }
}
