//! Percent-encoding (RFC 3986, section 2.1), decoded here and not by the router, for a key must
//! arrive as it was sent.

/// How `+` is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plus {
    /// As itself: in paths.
    Plus,
    /// As a space: in queries, where browsers and `curl --data-urlencode` write one so.
    Space,
}

/// The bytes that `text` stands for; nothing if a `%` is not followed by two hex digits.
pub(super) fn decode(text: &str, plus: Plus) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => digit(bytes.next()?)? << 4 | digit(bytes.next()?)?,
            b'+' if plus == Plus::Space => b' ',
            other => other,
        });
    }
    Some(out)
}

/// `text` as it stands in a path, its separators as they are.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(byte.into());
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hex_digits_are_a_byte_and_the_rest_is_itself() {
        assert_eq!(decode("a%2Fb%2fc", Plus::Plus).as_deref(), Some(&b"a/b/c"[..]));
        assert_eq!(decode("%ff%00", Plus::Plus).as_deref(), Some(&[0xff, 0][..]));
        assert_eq!(decode("%2541", Plus::Plus).as_deref(), Some(&b"%41"[..]), "once only");
        assert_eq!(decode("a+b", Plus::Plus).as_deref(), Some(&b"a+b"[..]));
        assert_eq!(decode("a+b", Plus::Space).as_deref(), Some(&b"a b"[..]));
    }

    #[test]
    fn what_is_encoded_is_decoded_again() {
        for text in ["a/b c", "ä%?#", "plain-._~"] {
            assert_eq!(decode(&encode(text), Plus::Plus).as_deref(), Some(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn half_an_escape_is_none() {
        for text in ["%", "%4", "%zz", "a%4", "%+1", "%%41"] {
            assert_eq!(decode(text, Plus::Plus), None, "{text}");
        }
    }
}
