//! Who may ask: the check of `Host`, `Origin` and `Sec-Fetch-Site` before anything else is looked at.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, Uri, Version, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    host::Hosts,
    problem::{Code, Problem},
};

/// Refuses what a page of another site could have sent, and marks every answer so that a browser
/// neither runs nor guesses nor lends it.
pub(super) async fn guard(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    let checked = check(&hosts, request.method(), request.uri(), request.version(), request.headers());
    let mut response = match checked {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn check(
    hosts: &Hosts,
    method: &Method,
    uri: &Uri,
    version: Version,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    let host = host(uri, version, headers)?;
    for name in host.iter().copied().chain(uri.authority().map(Authority::as_str)) {
        if !hosts.answer_for(name) {
            let shown: String = name.chars().take(80).collect();
            let detail = format!(
                "{shown:?} is not one of this server's names: ask for localhost or the address it listens on"
            );
            return Err(Problem::new(Code::BadHost, detail));
        }
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let same = origin.to_str().ok().is_some_and(|origin| is_same(origin, host));
        if !same {
            return Err(Problem::new(Code::BadOrigin, "the request comes from a page of another origin"));
        }
    }
    let cross = headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    let followed_link =
        method.is_safe() && headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    if cross && !followed_link {
        return Err(Problem::new(Code::BadOrigin, "the request comes from a page of another site"));
    }
    Ok(())
}

fn host<'a>(uri: &Uri, version: Version, headers: &'a HeaderMap) -> Result<Option<&'a str>, Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => {
            let text = host.to_str().map_err(|_| Problem::new(Code::BadHost, "`Host` is not ASCII"))?;
            Ok(Some(text))
        }
        // Browsers never speak 1.0, and small scripts that do may leave it out.
        (None, _) if version < Version::HTTP_11 || uri.authority().is_some() => Ok(None),
        _ => Err(Problem::new(Code::MissingHost, "the request needs exactly one `Host`")),
    }
}

fn is_same(origin: &str, host: Option<&str>) -> bool {
    let Some(origin) = origin.strip_prefix("http://") else { return false };
    let plain = |text: &str| text.strip_suffix(":80").unwrap_or(text).to_ascii_lowercase();
    host.is_some_and(|host| plain(host) == plain(origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &Method, headers: &[(&'static str, &str)]) -> Option<&'static str> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).expect("a header"));
        }
        check(&Hosts::loopback(), method, &Uri::from_static("/v1/status"), Version::HTTP_11, &map)
            .err()
            .map(|problem| problem.code().as_str())
    }

    #[test]
    fn a_request_names_this_server_once() {
        assert_eq!(ask(&Method::GET, &[("host", "127.0.0.1:7700")]), None);
        assert_eq!(ask(&Method::GET, &[]), Some("missing_host"));
        assert_eq!(ask(&Method::GET, &[("host", "localhost"), ("host", "localhost")]), Some("missing_host"));
        assert_eq!(ask(&Method::GET, &[("host", "evil.example")]), Some("bad_host"));
        assert_eq!(ask(&Method::GET, &[("host", "")]), Some("bad_host"));
    }

    #[test]
    fn an_absolute_target_is_checked_as_well() {
        let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("localhost"))]);
        let check = |uri| {
            check(&Hosts::loopback(), &Method::GET, &Uri::from_static(uri), Version::HTTP_11, &headers)
                .map_err(|problem| problem.code().as_str())
        };
        assert_eq!(check("http://localhost/x"), Ok(()));
        assert_eq!(check("http://evil.example/x"), Err("bad_host"));
    }

    #[test]
    fn an_old_client_may_leave_the_host_out() {
        let check = check(
            &Hosts::loopback(),
            &Method::GET,
            &Uri::from_static("/x"),
            Version::HTTP_10,
            &HeaderMap::new(),
        );
        assert!(check.is_ok());
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let host = ("host", "localhost:7700");
        for (origin, code) in [
            ("http://localhost:7700", None),
            ("http://LOCALHOST:7700", None),
            ("http://localhost:3000", Some("bad_origin")),
            ("https://localhost:7700", Some("bad_origin")),
            ("http://evil.example", Some("bad_origin")),
            ("null", Some("bad_origin")),
        ] {
            assert_eq!(ask(&Method::PUT, &[host, ("origin", origin)]), code, "{origin}");
        }
        let cross = ("sec-fetch-site", "cross-site");
        assert_eq!(ask(&Method::POST, &[host, cross]), Some("bad_origin"));
        assert_eq!(ask(&Method::GET, &[host, cross]), Some("bad_origin"));
        assert_eq!(ask(&Method::GET, &[host, cross, ("sec-fetch-mode", "navigate")]), None);
        assert_eq!(ask(&Method::POST, &[host, cross, ("sec-fetch-mode", "navigate")]), Some("bad_origin"));
        assert_eq!(ask(&Method::POST, &[host, ("sec-fetch-site", "same-origin")]), None);
    }
}
