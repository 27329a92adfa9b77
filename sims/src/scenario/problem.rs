//! What is wrong with a file, where, and what to do about it.

use std::{ops::Range, path::PathBuf};

/// Why a scenario, or a plan, is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be read.
    #[error("{}: cannot be read ({source}): `sim list` names the scenarios that need no file", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is in it makes no sense.
    #[error("{file}:{line}: {message}")]
    Wrong {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and the cure.
        message: String,
    },
}

/// What is wrong with these bytes of a text.
#[derive(Debug)]
pub(crate) struct Complaint {
    span: Range<usize>,
    message: String,
}

impl Complaint {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into() }
    }

    /// Of something that the reader of TOML did not take.
    pub(crate) fn of_toml(error: &toml::de::Error) -> Self {
        Self::new(error.span().unwrap_or(0..0), readable(error.message()))
    }

    /// As said of a file with this text.
    pub(crate) fn in_file(self, file: &str, text: &str) -> Problem {
        let before = text.get(..self.span.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        Problem::Wrong { file: file.into(), line, message: self.message }
    }
}

/// A message of `serde` as a person would say it, with a cure.
fn readable(message: &str) -> String {
    let message = message.trim();
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (what, known) = match names.split_first() {
        Some((name, known)) if message.starts_with("unknown field") => {
            (format!("unknown key `{name}`"), known)
        }
        Some((name, known)) if message.starts_with("unknown variant") => {
            (format!("there is no `{name}`"), known)
        }
        Some((name, _)) if message.starts_with("missing field") => {
            return format!(
                "`{name}` is missing: add it (the documentation of `sims::scenario` has an example)"
            );
        }
        _ => return message.replace('\n', " "),
    };
    match nearest(names[0], known) {
        Some(near) => format!("{what}: did you mean `{near}`?"),
        None if known.is_empty() => format!("{what}: remove it"),
        None => format!("{what}: take one of {}", known.join(", ")),
    }
}

/// The known name that is most like this one, if any is.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|other| (edits(name, other), *other)).min()?;
    let like = near.0 <= name.len().max(near.1.len()) / 3 + 1 && near.0 < name.len();
    like.then_some(near.1)
}

/// Letters to change, add or remove to get from one to the other (Levenshtein 1966).
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_one_that_is_alike() {
        assert_eq!(nearest("durration", &["duration", "about"]), Some("duration"));
        assert_eq!(nearest("group", &["groups", "links"]), Some("groups"));
        assert_eq!(nearest("banana", &["duration", "about"]), None);
        assert_eq!(edits("kitten", "sitting"), 3);
    }

    #[test]
    fn a_line_is_counted_from_one() {
        let at = |start| Complaint::new(start..start, "x").in_file("f", "a\nb\nc").to_string();
        assert_eq!([at(0), at(2), at(5)], ["f:1: x", "f:2: x", "f:3: x"]);
    }
}
