//! Asking a node over HTTP.

use std::{
    io::{BufRead, BufReader, Read},
    time::Duration,
};

use serde::{Deserialize, de::DeserializeOwned};
use ureq::{
    Agent, SendBody,
    http::{HeaderValue, Method, Request, Response, StatusCode, Uri},
};

use super::failure::Failure;
use crate::types::{ContentType, Key, Namespace};

/// How long to wait for somebody to answer the door.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long to wait for an answer; a little more than a node takes at most.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(35);
/// The same for a round of exchanges.
const SYNC_TIME_MAX: Duration = Duration::from_secs(125);

/// What is long is read so many bytes at a time.
const STREAM_PART_BYTES: usize = 64 * 1024;

/// A client of one node and one namespace.
pub(super) struct Client {
    base: String,
    namespace: Namespace,
    token: Option<String>,
}

/// What is asked.
pub(super) struct Ask<'a> {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: &'a [u8],
    content_type: Option<ContentType>,
    /// Whether it is about all namespaces where none is named.
    of_all: bool,
    patience: Duration,
}

/// The beginning of what a node says when it refuses.
#[derive(Deserialize)]
struct Refusal {
    detail: Option<String>,
    code: Option<String>,
}

impl<'a> Ask<'a> {
    /// Asks for `path`, which is encoded already.
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            headers: Vec::new(),
            body: &[],
            content_type: None,
            of_all: false,
            patience: ANSWER_TIME_MAX,
        }
    }

    /// Asks for the value of `key`.
    pub(super) fn key(method: Method, key: &Key) -> Self {
        Self::new(method, format!("/v1/kv/{}", encode(key.as_str(), true)))
    }

    /// Adds a parameter.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Adds a header.
    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sends a body; without a type, the node finds out.
    pub(super) fn body(mut self, bytes: &'a [u8], content_type: Option<ContentType>) -> Self {
        self.body = bytes;
        self.content_type = content_type;
        self
    }

    /// Asks about all namespaces, unless one other than `default` is named.
    pub(super) fn of_all(mut self) -> Self {
        self.of_all = true;
        self
    }

    /// Waits as long as a round of exchanges may take.
    pub(super) fn patiently(mut self) -> Self {
        self.patience = SYNC_TIME_MAX;
        self
    }
}

impl Client {
    /// A client of the node whose API is at `url`.
    pub(super) fn new(url: &str, namespace: Namespace) -> Result<Self, Failure> {
        Ok(Self { base: base(url)?, namespace, token: None })
    }

    /// The same, with a token for an API that asks for one.
    pub(super) fn bearing(self, token: Option<String>) -> Self {
        Self { token, ..self }
    }

    /// The namespace that is asked about.
    pub(super) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Asks for something long: `take` is given its bytes as they come.
    pub(super) fn download(
        &self,
        ask: &Ask<'_>,
        mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let agent = agent(None);
        let mut response = agent.run(self.request(ask)?.map(|_| ())).map_err(|error| self.lost(&error))?;
        if !response.status().is_success() {
            return self.body_of(&mut response).map(drop);
        }
        let (mut reader, mut bytes) = (response.body_mut().as_reader(), vec![0; STREAM_PART_BYTES]);
        loop {
            let read = reader.read(&mut bytes);
            let read =
                read.map_err(|error| Failure::no_answer(format!("{} broke off: {error}", self.base)))?;
            if read == 0 {
                return Ok(());
            }
            take(&bytes[..read])?;
        }
    }

    /// Sends something long in the place of the body, and takes an answer that is no refusal.
    pub(super) fn upload(&self, ask: &Ask<'_>, body: &mut dyn Read) -> Result<Vec<u8>, Failure> {
        let request = self.request(ask)?.map(|_| SendBody::from_reader(body));
        let mut response = agent(None).run(request).map_err(|error| self.lost(&error))?;
        self.body_of(&mut response)
    }

    fn lost(&self, error: &ureq::Error) -> Failure {
        Failure::no_answer(format!("no answer from {}: {error}", self.base))
    }

    /// Asks, and takes an answer that is no refusal.
    pub(super) fn ask(&self, ask: &Ask<'_>) -> Result<Vec<u8>, Failure> {
        let agent = agent(Some(ask.patience));
        let lost = |error: ureq::Error| self.lost(&error);
        let mut response = match self.request(ask)? {
            request if ask.body.is_empty() && ask.method != Method::PUT => {
                agent.run(request.map(|_| ())).map_err(lost)?
            }
            request => agent.run(request).map_err(lost)?,
        };
        self.body_of(&mut response)
    }

    fn body_of(&self, response: &mut Response<ureq::Body>) -> Result<Vec<u8>, Failure> {
        let body = response.body_mut().with_config().limit(u64::MAX).read_to_vec();
        let body = body.map_err(|error| self.lost(&error))?;
        if response.status().is_success() { Ok(body) } else { Err(self.refusal(&body, response.status())) }
    }

    /// Asks for an answer that goes on.
    pub(super) fn stream(&self, ask: &Ask<'_>) -> Result<impl BufRead + use<>, Failure> {
        let sent = agent(None).run(self.request(ask)?.map(|_| ()));
        let mut response = sent.map_err(|error| self.lost(&error))?;
        if !response.status().is_success() {
            self.body_of(&mut response)?;
        }
        Ok(BufReader::new(response.into_body().into_reader()))
    }

    fn refusal(&self, body: &[u8], status: StatusCode) -> Failure {
        match serde_json::from_slice::<Refusal>(body) {
            Ok(Refusal { detail: Some(detail), code: Some(_) }) => Failure::refused(detail),
            _ => Failure::no_answer(format!(
                "{} answers, but not as a node does (status {status})",
                self.base,
            )),
        }
    }

    /// Asks for JSON, and reads it.
    pub(super) fn read<T: DeserializeOwned>(&self, ask: &Ask<'_>) -> Result<T, Failure> {
        self.parse(&self.ask(ask)?)
    }

    /// Reads JSON that this node has answered with.
    pub(super) fn parse<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, Failure> {
        serde_json::from_slice(body).map_err(|error| {
            Failure::no_answer(format!("{} answers, but not as a node does: {error}", self.base))
        })
    }

    fn request<'a>(&self, ask: &Ask<'a>) -> Result<Request<&'a [u8]>, Failure> {
        let mut uri = format!("{}{}?", self.base, ask.path);
        if !(ask.of_all && self.namespace == Namespace::default()) {
            uri.push_str(&format!("ns={}", encode(self.namespace.as_str(), false)));
        }
        for (name, value) in &ask.query {
            uri.push_str(&format!("&{name}={}", encode(value, false)));
        }
        let mut request = Request::builder().method(ask.method.clone()).uri(uri);
        if let Some(content_type) = &ask.content_type {
            request = request.header("content-type", content_type.as_str());
        }
        if let Some(token) = &self.token {
            let value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| Failure::usage("--token cannot stand in a header"))?;
            request = request.header("authorization", value);
        }
        for (name, value) in &ask.headers {
            let value = HeaderValue::from_str(value)
                .map_err(|_| Failure::usage(format!("{value:?} cannot stand in a header")))?;
            request = request.header(*name, value);
        }
        request.body(ask.body).map_err(|error| Failure::usage(format!("--url: {error}")))
    }
}

/// Without a patience it waits as long as something comes or goes.
fn agent(patience: Option<Duration>) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_connect(Some(CONNECT_TIME_MAX))
        .timeout_recv_response(Some(SYNC_TIME_MAX))
        .timeout_global(patience)
        .user_agent(concat!("tidings/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// The URL before the routes: `http://HOST[:PORT][/PATH]`; the scheme may be left out.
fn base(url: &str) -> Result<String, Failure> {
    let wrong = |why: &str| Failure::usage(format!("--url {url:?}: {why}"));
    let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let uri: Uri = full.parse().map_err(|_| wrong("write http://HOST:PORT"))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err(wrong("TLS is not supported; let a proxy on this machine speak it")),
        _ => return Err(wrong("write http://HOST:PORT")),
    }
    if uri.host().is_none_or(str::is_empty) || uri.query().is_some() {
        return Err(wrong("write http://HOST:PORT"));
    }
    Ok(full.trim_end_matches('/').to_owned())
}

/// Percent-encodes all but what RFC 3986 calls unreserved, and separators of a path.
pub(super) fn encode(text: &str, path: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            b'/' if path => out.push('/'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_have_a_path_and_lack_a_scheme() {
        for (url, expected) in [
            ("http://127.0.0.1:7700", "http://127.0.0.1:7700"),
            ("http://127.0.0.1:7700/", "http://127.0.0.1:7700"),
            ("localhost:7700", "http://localhost:7700"),
            ("http://[::1]:7700/ant/", "http://[::1]:7700/ant"),
        ] {
            assert_eq!(base(url), Ok(expected.to_owned()), "{url}");
        }
        for url in ["", "https://x", "ftp://x", "http://", "http://x/?a=b", "a b"] {
            assert_eq!(base(url).expect_err(url).parts().0, 2, "{url}");
        }
    }

    #[test]
    fn everything_odd_is_encoded() {
        assert_eq!(encode("users/a b?ä%", true), "users/a%20b%3F%C3%A4%25");
        assert_eq!(encode("a/b&c=d", false), "a%2Fb%26c%3Dd");
    }

    #[test]
    fn a_request_names_the_namespace_and_its_parameters() {
        let client = Client::new("http://h/x", Namespace::default()).expect("lawful");
        let ask = Ask::key(Method::GET, &Key::new("a b").expect("lawful")).with("meta", "true");
        let request = client.request(&ask).expect("a request");
        assert_eq!(request.uri(), "http://h/x/v1/kv/a%20b?ns=default&meta=true");
    }

    #[test]
    fn nobody_there_is_no_answer() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        drop(listener);
        let client = Client::new(&url, Namespace::default()).expect("lawful");
        let failure = client.ask(&Ask::new(Method::GET, "/v1/status")).expect_err("nobody");
        assert_eq!(failure.parts().0, 3);
    }
}
