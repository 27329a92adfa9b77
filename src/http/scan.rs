//! `/v1/scan/{prefix}`: keys in order, a page at a time.

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
};
use serde::Serialize;

use super::{
    at_least,
    params::{self, Params},
    problem::Problem,
    reply::{Answer, EntryView, json, set_frontier},
    router::App,
};
use crate::{
    node::Scan,
    types::{Key, Prefix},
};

const BASE: &str = "/v1/scan/";
const LIMIT_MAX: usize = 10_000;

/// `GET`.
pub(super) async fn scan(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Answer {
    let params = Params::of(&uri, &["limit", "after", "reverse", "keys_only", "wait"])?;
    let space = params.space(&app.node)?;
    let scan = scan_of(&params, params::prefix(&uri, BASE)?)?;
    let keys_only = scan.keys_only;
    at_least::wait(&app, &space, &headers, &params).await?;
    let frontier = space.frontier()?;
    let page = space.scan(scan).await?;
    let view = if keys_only { EntryView::bare } else { EntryView::whole };
    let mut response = json(&Page {
        entries: page.entries.iter().map(view).collect(),
        next: page.next.as_ref().map(Key::as_str),
    });
    set_frontier(&app, response.headers_mut(), &frontier);
    Ok(response)
}

fn scan_of(params: &Params, prefix: Prefix) -> Result<Scan, Problem> {
    let limit = params.parse("limit")?.unwrap_or(Scan::default().limit);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(params::bad("limit", &format!("1 to {LIMIT_MAX}")).with("limit", LIMIT_MAX));
    }
    Ok(Scan {
        prefix,
        after: params.parse("after")?,
        limit,
        reverse: params.switch("reverse")?,
        keys_only: params.switch("keys_only")?,
    })
}

#[derive(Serialize)]
struct Page<'a> {
    entries: Vec<EntryView<'a>>,
    next: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Result<Scan, Problem> {
        let uri: Uri = format!("/v1/scan/a?{query}").parse().expect("a uri");
        let params = Params::of(&uri, &["limit", "after", "reverse", "keys_only"])?;
        scan_of(&params, params::prefix(&uri, BASE)?)
    }

    #[test]
    fn a_scan_is_read_from_its_query() {
        let scan = of("limit=5&after=a%2Fb&reverse=true&keys_only").expect("lawful");
        assert_eq!(
            scan,
            Scan {
                prefix: Prefix::new("a").expect("lawful"),
                after: Some(Key::new("a/b").expect("lawful")),
                limit: 5,
                reverse: true,
                keys_only: true,
            }
        );
    }

    #[test]
    fn what_it_cannot_mean_is_refused() {
        for query in
            ["limit=0", "limit=10001", "limit=-1", "limit=x", "after=", "after=a//b", "reverse=maybe"]
        {
            assert_eq!(of(query).expect_err(query).code().as_str(), "bad_parameter");
        }
        assert_eq!(of("offset=1").expect_err("unknown").code().as_str(), "unknown_parameter");
    }
}
