//! `/v1/namespaces`: what this node carries; join, leave.

use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri},
};
use serde::{Deserialize, Serialize};
use serde_json::json as object;

use super::{
    body::{self, Limit},
    media,
    params::Params,
    percent::{self, Plus},
    problem::{Code, Problem},
    reply::{Answer, json},
    router::App,
};
use crate::{
    node::{Carried, CarryError},
    types::{NAMESPACES_MAX, Namespace},
};

const BASE: &str = "/v1/namespaces/";
const LIMIT: Limit = Limit { bytes: 16 * 1024, code: Code::BodyTooLarge, name: "namespaces_body_bytes_max" };

/// `GET`.
pub(super) async fn list(State(app): State<App>, uri: Uri) -> Answer {
    #[derive(Serialize)]
    struct List {
        namespaces: Vec<Carried>,
        limit: usize,
    }
    Params::of(&uri, &[])?.space(&app.node)?;
    Ok(json(&List { namespaces: app.node.namespaces(), limit: NAMESPACES_MAX }))
}

/// `POST {"name"}`: 201 where it was not carried, else 200.
pub(super) async fn join(State(app): State<App>, request: Request) -> Answer {
    let (head, body) = request.into_parts();
    Params::of(&head.uri, &[])?.space(&app.node)?;
    media::expect_json(&head.headers)?;
    let upload = body::read(&head.headers, body, LIMIT, &app.large).await?;
    let name = parse(&upload.bytes)?;
    let fresh = app.node.join(&name).await?;
    let mut response = json(&object!({ "name": name, "joined": fresh }));
    if fresh {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

/// `DELETE /v1/namespaces/{ns}`: leaves it here only.
pub(super) async fn leave(State(app): State<App>, uri: Uri) -> Answer {
    Params::of(&uri, &[])?.space(&app.node)?;
    let raw = uri.path().strip_prefix(BASE).unwrap_or("");
    let text = percent::decode(raw, Plus::Plus).and_then(|bytes| String::from_utf8(bytes).ok());
    let name = Namespace::new(&text.unwrap_or_else(|| raw.to_owned()))?;
    app.node.leave(&name).await?;
    Ok(json(&object!({ "name": name, "left": true })))
}

fn parse(bytes: &[u8]) -> Result<Namespace, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Join {
        name: String,
    }
    let join: Join = serde_json::from_slice(bytes)
        .map_err(|error| Problem::new(Code::BadJson, format!("send {{\"name\": NAMESPACE}}: {error}")))?;
    Ok(Namespace::new(&join.name)?)
}

impl From<CarryError> for Problem {
    fn from(error: CarryError) -> Self {
        let detail = error.to_string();
        match error {
            CarryError::TooMany => Self::new(Code::TooManyNamespaces, detail).with("limit", NAMESPACES_MAX),
            CarryError::Default => Self::new(Code::AlwaysCarried, detail),
            CarryError::NoNamespace(name) => {
                Self::new(Code::NoSuchNamespace, detail).with("namespace", name.as_str())
            }
            CarryError::Store(error) => error.into(),
            CarryError::Closed => Self::new(Code::Closed, detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_alone_and_is_lawful() {
        assert_eq!(parse(br#"{"name":"birds"}"#).expect("lawful").as_str(), "birds");
        for text in ["", "{}", r#"{"name":1}"#, r#"{"name":"a","x":1}"#, r#""a""#] {
            assert_eq!(parse(text.as_bytes()).expect_err(text).code(), Code::BadJson);
        }
        assert_eq!(parse(br#"{"name":"Birds"}"#).expect_err("refused").code(), Code::BadNamespace);
    }
}
