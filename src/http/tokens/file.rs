//! The file of tokens: a line for each.

use std::str::FromStr;

use thiserror::Error;

use super::{BearerTokens, Grant, Scopes};
use crate::types::Prefix;

/// The most tokens in a file.
const TOKENS_MAX: usize = 1_024;
/// A shorter token could be guessed.
const TOKEN_CHARS_MIN: usize = 16;
const TOKEN_CHARS_MAX: usize = 256;
const FORM: &str =
    "write `TOKEN SCOPES [prefix=P,…] [expires=YYYY-MM-DD]`, the scopes being read, write, admin";

/// A line of a file of tokens says nothing that can be understood. No token of it is in use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {why}")]
pub struct TokensError {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it, and what to write.
    pub why: String,
}

impl FromStr for BearerTokens {
    type Err = TokensError;

    /// Reads what a file of tokens says; see the module for how it is written.
    fn from_str(text: &str) -> Result<Self, TokensError> {
        let mut grants: Vec<Grant> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let wrong = |why: String| TokensError { line: index + 1, why };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let grant = grant(line).map_err(wrong)?;
            if grants.iter().any(|other| other.hash == grant.hash) {
                return Err(wrong("this token stands there twice: remove one of the lines".to_owned()));
            }
            if grants.len() == TOKENS_MAX {
                return Err(wrong(format!("a file has at most {TOKENS_MAX} tokens: remove some")));
            }
            grants.push(grant);
        }
        if grants.is_empty() {
            let why = format!("the file has no token, so nobody could ask anything: {FORM}");
            return Err(TokensError { line: 1, why });
        }
        Ok(Self(grants))
    }
}

fn grant(line: &str) -> Result<Grant, String> {
    let mut words = line.split_whitespace();
    let token = words.next().unwrap_or_default();
    let length = token.chars().count();
    if !(TOKEN_CHARS_MIN..=TOKEN_CHARS_MAX).contains(&length) || !token.chars().all(|c| c.is_ascii_graphic())
    {
        return Err(format!(
            "the token has {length} characters, and needs {TOKEN_CHARS_MIN} to {TOKEN_CHARS_MAX} of visible ASCII: `openssl rand -base64 24` makes a good one"
        ));
    }
    let scopes = scopes(words.next().ok_or_else(|| format!("the token has no scopes: {FORM}"))?)?;
    let mut grant =
        Grant { hash: blake3::hash(token.as_bytes()), scopes, prefixes: Vec::new(), expires: None };
    for word in words {
        match word.split_once('=') {
            Some(("prefix", list)) if grant.prefixes.is_empty() => {
                for text in list.split(',') {
                    // An empty one would select everything, which nobody means who writes `prefix=`.
                    if text.is_empty() {
                        return Err("a prefix is empty: leave `prefix=` out for everything".to_owned());
                    }
                    grant
                        .prefixes
                        .push(Prefix::new(text).map_err(|error| format!("prefix {text:?}: {error}"))?);
                }
            }
            Some(("expires", when)) if grant.expires.is_none() => {
                let why = || format!("{when:?} is no time: write 2027-01-31 or 2027-01-31T18:00:00Z (UTC)");
                grant.expires = Some(time(when).ok_or_else(why)?);
            }
            _ => {
                let word: String = word.chars().take(40).collect();
                return Err(format!("{word:?} is not known or stands there twice: {FORM}"));
            }
        }
    }
    Ok(grant)
}

fn scopes(list: &str) -> Result<Scopes, String> {
    let mut scopes = Scopes::default();
    for name in list.split(',') {
        match name {
            "read" => scopes.read = true,
            "write" => scopes.write = true,
            "admin" => scopes.admin = true,
            other => {
                let other: String = other.chars().take(40).collect();
                return Err(format!("{other:?} is no scope: {FORM}"));
            }
        }
    }
    Ok(scopes)
}

/// Milliseconds since 1970 of a day, or of a second of it, in UTC.
fn time(text: &str) -> Option<u64> {
    let (day, clock) = match text.split_once('T') {
        Some((day, clock)) => (day, clock.strip_suffix('Z')?),
        None => (text, "00:00:00"),
    };
    let [year, month, day] = numbers(day, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let lawful = year >= 1970 && (1..=12).contains(&month) && hour < 24 && minute < 60 && second < 60;
    let before = usize::try_from(month.checked_sub(1)?).ok()?;
    if !lawful || day == 0 || day > *days_of.get(before)? {
        return None;
    }
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let days =
        (year - 1970) * 365 + leaps(year - 1) - leaps(1969) + days_of[..before].iter().sum::<u64>() + day - 1;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000)
}

fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_utc() {
        for (text, expected) in [
            ("1970-01-01", Some(0)),
            ("1970-01-02T00:00:01Z", Some(86_401_000)),
            ("2000-02-29", Some(951_782_400_000)),
            ("2026-11-21T16:05:00Z", Some(1_795_277_100_000)),
            ("2100-03-01", Some(4_107_542_400_000)),
            ("2027-02-29", None),
            ("2027-13-01", None),
            ("2027-00-01", None),
            ("2027-01-00", None),
            ("1969-12-31", None),
            ("2027-1-1", None),
            ("2027-01-01T00:00:00", None),
            ("2027-01-01T24:00:00Z", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(time(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_in_a_file_names_its_line_and_says_what_to_write() {
        for (text, line, why) in [
            ("", 1, "no token"),
            ("# only this\n", 1, "no token"),
            ("short read", 1, "openssl"),
            ("\n0123456789abcdef", 2, "no scopes"),
            ("0123456789abcdef reed", 1, "\"reed\" is no scope"),
            ("0123456789abcdef read,", 1, "\"\" is no scope"),
            ("0123456789abcdef read prefix=", 1, "leave `prefix=` out"),
            ("0123456789abcdef read prefix=a//b", 1, "empty segment"),
            ("0123456789abcdef read expires=tomorrow", 1, "2027-01-31"),
            ("0123456789abcdef read ttl=5", 1, "\"ttl=5\" is not known"),
            ("0123456789abcdef read\n#\n0123456789abcdef write", 3, "twice"),
        ] {
            let error = text.parse::<BearerTokens>().expect_err(text);
            assert_eq!(error.line, line, "{text}");
            assert!(error.why.contains(why), "{text}: {error}");
        }
    }
}
