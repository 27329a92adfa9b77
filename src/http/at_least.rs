//! `Tidings-At-Least`: a read that waits until the node has seen what a write elsewhere answered with.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::http::HeaderMap;

use super::{
    params::{self, Params},
    problem::{Code, Problem},
    router::App,
};
use crate::{
    causality::NodeId,
    node::{Frontier, Space, WaitError},
};

const AT_LEAST: &str = "tidings-at-least";
/// A read waits so long if it does not say how long.
const WAIT: Duration = Duration::from_secs(5);
/// The longest that a read may wait; less than a request may take.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(25);
/// A token begins so; base64url has no dots.
const TOKEN: &str = "here.";
/// The most frontiers kept under tokens; the oldest go first, …
const TOKENS_MAX: usize = 256;
/// … and so many bytes of them, as they would stand in a header.
const TOKEN_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Frontiers (or cursors) that were too long for a header, by their tokens.
#[derive(Debug)]
pub(super) struct Tokens<T = Frontier>(Mutex<VecDeque<(String, usize, T)>>);

impl<T> Default for Tokens<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Tokens<T> {
    /// Keeps `frontier`, which is `text` when written out, and answers with its token.
    pub(super) fn keep(&self, node: NodeId, text: &str, frontier: &T) -> String {
        let hash = blake3::hash(text.as_bytes()).to_hex();
        let token = format!("{TOKEN}{node}.{}", &hash[..32]);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(other, ..)| *other != token);
        kept.push_back((token.clone(), text.len(), frontier.clone()));
        while kept.len() > TOKENS_MAX
            || (kept.len() > 1 && kept.iter().map(|(_, bytes, _)| bytes).sum::<usize>() > TOKEN_BYTES_MAX)
        {
            kept.pop_front();
        }
        token
    }

    fn get(&self, token: &str) -> Option<T> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(other, ..)| other == token).map(|(.., frontier)| frontier.clone())
    }

    /// What `text` stands for; nothing if it is no token.
    pub(super) fn find(&self, node: NodeId, text: &str) -> Result<Option<T>, Problem> {
        let Some(rest) = text.strip_prefix(TOKEN) else { return Ok(None) };
        let issuer = rest.split('.').next().unwrap_or_default();
        if issuer.parse::<NodeId>().is_err() {
            return Err(malformed("a token that names no node"));
        }
        let detail = if issuer == node.to_string() {
            match self.get(text) {
                Some(frontier) => return Ok(Some(frontier)),
                None => "this node does not keep this token any more: send that of a newer answer".to_owned(),
            }
        } else {
            format!(
                "a token of {issuer}, valid on that node only: ask there, or send what a shorter answer gave"
            )
        };
        Err(Problem::new(Code::ForeignFrontier, detail))
    }
}

impl Tokens {
    /// The frontier that a parameter names.
    pub(super) fn read_parameter(
        &self,
        node: NodeId,
        name: &'static str,
        text: &str,
    ) -> Result<Frontier, Problem> {
        let why = "send a frontier as this node, or an export, has answered with";
        self.read(node, text.trim()).map_err(|problem| match problem.code() {
            Code::ForeignFrontier => problem,
            _ => params::bad(name, why),
        })
    }

    /// The frontier that a header names.
    fn read(&self, node: NodeId, text: &str) -> Result<Frontier, Problem> {
        match self.find(node, text) {
            Ok(Some(frontier)) => Ok(frontier),
            Ok(None) => text.parse().map_err(|error| malformed(&format!("{error}"))),
            Err(problem) => Err(problem.with("header", AT_LEAST)),
        }
    }
}

/// Waits until what the request asks for was seen.
pub(super) async fn wait(
    app: &App,
    space: &Space,
    headers: &HeaderMap,
    params: &Params,
) -> Result<(), Problem> {
    let patience = params.get("wait").map(duration).transpose()?.unwrap_or(WAIT);
    let mut values = headers.get_all(AT_LEAST).iter();
    let Some(value) = values.next() else { return Ok(()) };
    if values.next().is_some() {
        return Err(malformed("it stands there twice"));
    }
    let text = value.to_str().map_err(|_| malformed("not base64url"))?;
    let frontier = app.tokens.read(app.node.id(), text.trim())?;
    Ok(space.wait_for(&frontier, patience).await?)
}

fn malformed(why: &str) -> Problem {
    let detail = format!("{AT_LEAST}: {why}; send a Tidings-Frontier as it was answered");
    Problem::new(Code::BadHeader, detail).with("header", AT_LEAST)
}

/// `5s`, `250ms`, or seconds without a unit.
fn duration(text: &str) -> Result<Duration, Problem> {
    let (digits, unit) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (text.strip_suffix('s').unwrap_or(text), 1_000),
    };
    let wait = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    wait.map(Duration::from_millis).filter(|wait| *wait <= WAIT_MAX).ok_or_else(|| {
        params::bad("wait", &format!("write `5s` or `250ms`, at most {} s", WAIT_MAX.as_secs()))
            .with("limit_ms", u64::try_from(WAIT_MAX.as_millis()).unwrap_or(u64::MAX))
    })
}

impl From<WaitError> for Problem {
    fn from(error: WaitError) -> Self {
        let detail = error.to_string();
        match error {
            WaitError::Missing { missing, count } => Self::new(Code::NotSeen, detail)
                .with("missing", missing.iter().map(ToString::to_string).collect::<Vec<_>>())
                .with("count", count),
            WaitError::Closed => Self::new(Code::Closed, detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::causality::{Dot, Origin, SeenSet};

    fn frontier(epoch: u64) -> Frontier {
        Frontier(SeenSet::from_iter([Dot::new(Origin { node: NodeId([7; 32]), epoch }, 1)]))
    }

    #[test]
    fn a_token_is_good_where_it_was_given_and_while_it_is_kept() {
        let (here, there) = (NodeId([1; 32]), NodeId([2; 32]));
        let tokens = Tokens::default();
        let first = tokens.keep(here, "a long one", &frontier(0));
        assert_eq!(tokens.read(here, &first).expect("kept"), frontier(0));
        let foreign = Tokens::default().read(there, &first).expect_err("of another node");
        assert_eq!(foreign.code(), Code::ForeignFrontier);
        for n in 0..TOKENS_MAX {
            tokens.keep(here, &format!("text {n}"), &frontier(n as u64));
        }
        assert_eq!(tokens.read(here, &first).expect_err("gone").code(), Code::ForeignFrontier);
        assert_eq!(tokens.0.lock().expect("whole").len(), TOKENS_MAX);
        assert_eq!(tokens.read(here, "here.x.y").expect_err("no node").code(), Code::BadHeader);
    }

    #[test]
    fn a_wait_is_bounded() {
        for (text, millis) in [("5s", 5_000), ("5", 5_000), ("250ms", 250), ("0", 0), ("25s", 25_000)] {
            assert_eq!(duration(text).expect(text), Duration::from_millis(millis));
        }
        for text in ["26s", "", "s", "-1s", "soon", "99999999999999999999s"] {
            assert_eq!(duration(text).expect_err(text).code(), Code::BadParameter);
        }
    }
}
