//! Entity tags and preconditions (RFC 9110, sections 8.8.3 and 13.1).

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::problem::{Code, Problem};
use crate::node::VersionHash;

/// The name of a record in hex.
pub(super) fn hex(hash: VersionHash) -> String {
    hash.0.iter().fold(String::with_capacity(64), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).expect("four bits are a hex digit"));
        }
        text
    })
}

/// The name of a record as a strong entity tag.
pub(super) fn header_value(hash: VersionHash) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{}\"", hex(hash))).expect("quotes and hex digits are a header")
}

const BASE: &str = "tidings-base";

/// What `If-Match` or `If-None-Match` asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Any value.
    Any,
    /// One of these records. A tag that cannot be one of ours is left out: it matches nothing.
    OneOf(Vec<Tag>),
}

/// An entity tag as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    /// Whether it was marked `W/`: good for reads, never for writes.
    pub(super) weak: bool,
    /// The record it names.
    pub(super) hash: VersionHash,
}

impl Condition {
    /// What the header `name` asks, if it is there.
    pub(super) fn of(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, Problem> {
        let malformed = || {
            let detail = format!("{name}: write `*`, or ETags as they were sent, in quotes");
            Problem::new(Code::BadHeader, detail).with("header", name.as_str())
        };
        let mut tags = None;
        let alone = headers.get_all(name).iter().count() == 1;
        for value in headers.get_all(name) {
            let text = value.to_str().map_err(|_| malformed())?.trim();
            if text == "*" && alone {
                return Ok(Some(Self::Any));
            }
            let tags = tags.get_or_insert_with(Vec::new);
            for item in text.split(',').map(str::trim) {
                tags.extend(tag(item).ok_or_else(malformed)?);
            }
        }
        Ok(tags.map(Self::OneOf))
    }

    /// Whether a record fits, with strong comparison or weak.
    pub(super) fn fits(&self, record: Option<VersionHash>, strong: bool) -> bool {
        match (self, record) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::OneOf(tags), Some(hash)) => {
                tags.iter().any(|tag| tag.hash == hash && !(strong && tag.weak))
            }
        }
    }
}

/// What `If-Match` asks, and what `If-None-Match` asks.
pub(super) fn conditions(headers: &HeaderMap) -> Result<(Option<Condition>, Option<Condition>), Problem> {
    Ok((Condition::of(headers, &header::IF_MATCH)?, Condition::of(headers, &header::IF_NONE_MATCH)?))
}

/// The version that `Tidings-Base` says a write was made from.
pub(super) fn base(headers: &HeaderMap) -> Result<Option<VersionHash>, Problem> {
    let refuse = |code, detail: &str| Err(Problem::new(code, detail).with("header", BASE));
    let mut values = headers.get_all(BASE).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let malformed = "Tidings-Base: write one ETag as it was sent, in quotes";
    let Some(tag) = value.to_str().ok().and_then(|text| tag(text.trim())).filter(|_| values.next().is_none())
    else {
        return refuse(Code::BadHeader, malformed);
    };
    match tag {
        Some(Tag { weak: false, hash }) => Ok(Some(hash)),
        Some(Tag { weak: true, .. }) => refuse(Code::BadHeader, "Tidings-Base: a weak ETag names no version"),
        None => refuse(
            Code::UnknownBase,
            "Tidings-Base: this is no ETag of a node; read the key, and send the ETag of that answer",
        ),
    }
}

/// Nothing if it is malformed; nothing within if it is no tag of ours. The quotes may be missing, for
/// shells eat them.
#[expect(clippy::option_option, reason = "malformed, foreign and ours are three cases")]
fn tag(item: &str) -> Option<Option<Tag>> {
    let (weak, opaque) = match item.strip_prefix("W/") {
        Some(rest) => (true, rest),
        None => (false, item),
    };
    let quoted = opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match (quoted, unhex(quoted.unwrap_or(opaque))) {
        (_, Some(hash)) => Some(Some(Tag { weak, hash })),
        (Some(text), None) if !text.contains('"') => Some(None),
        _ => None,
    }
}

fn unhex(text: &str) -> Option<VersionHash> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(VersionHash(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANT: VersionHash = VersionHash([0xab; 32]);
    const BAT: VersionHash = VersionHash([7; 32]);

    fn condition(text: &str) -> Result<Option<Condition>, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_MATCH, HeaderValue::from_str(text).expect("a header"));
        Condition::of(&headers, &header::IF_MATCH)
    }

    #[test]
    fn a_tag_reads_as_it_is_written() {
        let text = header_value(ANT);
        assert_eq!(text, format!("\"{}\"", "ab".repeat(32)));
        let condition = condition(text.to_str().expect("ascii")).expect("lawful").expect("there");
        assert!(condition.fits(Some(ANT), true));
        assert!(!condition.fits(Some(BAT), true));
        assert!(!condition.fits(None, true));
    }

    #[test]
    fn lists_weak_tags_and_bare_ones_are_understood() {
        let list = format!("\"x\", \"{}\",W/\"{}\"", hex(BAT), hex(ANT));
        let list = condition(&list).expect("lawful").expect("there");
        assert!(list.fits(Some(BAT), true));
        assert!(list.fits(Some(ANT), false));
        assert!(!list.fits(Some(ANT), true), "a weak tag is not good enough for a write");
        let bare = condition(&hex(ANT)).expect("lawful").expect("there");
        assert!(bare.fits(Some(ANT), true));
        let foreign = condition("\"v1\"").expect("lawful").expect("there");
        assert!(!foreign.fits(Some(ANT), false));
        assert_eq!(condition("*").expect("lawful"), Some(Condition::Any));
        assert!(!Condition::Any.fits(None, true));
    }

    #[test]
    fn a_base_is_one_strong_tag() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(BASE, HeaderValue::from_str(text).expect("a header"));
            base(&headers).map_err(|problem| problem.code())
        };
        assert_eq!(of(&format!("\"{}\"", hex(ANT))), Ok(Some(ANT)));
        assert_eq!(of(&hex(ANT)), Ok(Some(ANT)));
        assert_eq!(of(&format!("W/\"{}\"", hex(ANT))), Err(Code::BadHeader));
        assert_eq!(of("*"), Err(Code::BadHeader));
        assert_eq!(of(&format!("\"{}\", \"{}\"", hex(ANT), hex(BAT))), Err(Code::BadHeader));
        assert_eq!(of("\"v1\""), Err(Code::UnknownBase));
        assert_eq!(base(&HeaderMap::new()).expect("none is lawful"), None);
    }

    #[test]
    fn any_stands_alone_in_one_line_or_several() {
        for (first, second) in [("*", "\"a\""), ("\"a\"", "*"), ("*", "*")] {
            let mut headers = HeaderMap::new();
            headers.append(header::IF_MATCH, HeaderValue::from_static(first));
            headers.append(header::IF_MATCH, HeaderValue::from_static(second));
            let refused = Condition::of(&headers, &header::IF_MATCH).expect_err(first);
            assert_eq!(refused.code(), Code::BadHeader, "{first}, {second}");
        }
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        for text in ["", "x", "\"x", "\"a\"b\"", "a b", "\"a\",", &"+a".repeat(32)] {
            assert!(condition(text).is_err(), "{text}");
        }
    }
}
