//! Who gets in, and what a browser is told of how to treat what it gets.
//!
//! A token that somebody has typed in is kept by the browser as a cookie that no script and no other site can use; programs send it as they do
//! over gRPC. Where the doors are open, only pages of this machine may ask: else any site in the browser could, by giving its own name the
//! address of loopback.

use std::net::IpAddr;

use axum::{
    Form,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode, Uri,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, HeaderName, REFERRER_POLICY,
            SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use rpc::Visitor;
use serde::Deserialize;
use tonic::{Code, Status};

use super::{Dashboard, Door, now};

/// What the figures need over gRPC, too.
const PERMISSION: &str = "analytics.read";
const COOKIE_NAME: &str = "bramble-token";

/// Everything from here, and no script within a page. Trusted types: no text becomes markup, whatever a script does.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
const HEADERS: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Around every answer.
pub(super) async fn guard(State(dashboard): Door, request: Request, next: Next) -> Response {
    let mut answer = if dashboard.keeper.is_open() && !is_of_this_machine(&request) {
        let why =
            "This dashboard is open to its own machine only: ask for localhost or 127.0.0.1.\n";
        (StatusCode::MISDIRECTED_REQUEST, why).into_response()
    } else {
        next.run(request).await
    };
    let headers = answer.headers_mut();
    headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

impl Dashboard {
    pub(super) fn visitor(&self, headers: &HeaderMap) -> Result<Visitor, Status> {
        if let Some(token) = rpc::token(headers) {
            return self.keeper.admit(Some(&token), PERMISSION);
        }
        let kept = self.keeper.admit(cookie(headers).as_deref(), PERMISSION);
        // A cookie may be that of another Bramble: ports share them.
        kept.or_else(|refusal| match self.keeper.is_open() {
            true => self.keeper.admit(None, PERMISSION),
            false => Err(refusal),
        })
    }

    fn cookie(&self, headers: &HeaderMap, token: &str, age_s: i64) -> String {
        // In front of a plain dashboard there may be somebody who speaks TLS.
        let forwarded = headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
        let secure = if self.tls || forwarded { "; Secure" } else { "" };
        format!("{COOKIE_NAME}={token}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict{secure}")
    }
}

pub(super) async fn login_page(State(dashboard): Door, headers: HeaderMap) -> Response {
    match dashboard.visitor(&headers) {
        Ok(_) => Redirect::to("/").into_response(),
        Err(_) => dashboard.assets.login(""),
    }
}

#[derive(Deserialize)]
pub(super) struct Login {
    token: String,
}

/// Keeps a token that opens the door.
pub(super) async fn login(
    State(dashboard): Door,
    headers: HeaderMap,
    Form(login): Form<Login>,
) -> Response {
    if is_of_another_site(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let token = login.token.trim();
    match dashboard.keeper.admit(Some(token), PERMISSION) {
        Ok(visitor) => {
            let until = visitor.until.unwrap_or(i64::MAX);
            let age_s = until.saturating_sub(now().timestamp()).max(0);
            let cookie = dashboard.cookie(&headers, token, age_s);
            ([(SET_COOKIE, cookie)], Redirect::to("/")).into_response()
        }
        Err(refusal) => {
            tracing::info!(%refusal, "a login was refused");
            let (status, why) = match refusal.code() {
                Code::PermissionDenied => (
                    StatusCode::FORBIDDEN,
                    "This token may not see the figures: it lacks analytics.read.",
                ),
                _ => (StatusCode::UNAUTHORIZED, "This is no token of ours, or its time is over."),
            };
            (status, dashboard.assets.login(why)).into_response()
        }
    }
}

/// Forgets it.
pub(super) async fn logout(State(dashboard): Door, headers: HeaderMap) -> Response {
    if is_of_another_site(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let cookie = dashboard.cookie(&headers, "", 0);
    ([(SET_COOKIE, cookie)], Redirect::to("/login")).into_response()
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
    let (_, token) = pairs.find(|(name, _)| name.trim() == COOKIE_NAME)?;
    (!token.trim().is_empty()).then(|| token.trim().to_owned())
}

/// Browsers say so; programs say nothing.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    site.is_some_and(|site| site != "same-origin" && site != "none")
}

fn is_of_this_machine(request: &Request) -> bool {
    let named = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = match (named, request.uri().host()) {
        // Of HTTP/2, where it is in the address.
        (None, Some(host)) => Some(host.to_owned()),
        (Some(named), _) => named.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)),
        (None, None) => None,
    };
    host.is_some_and(|host| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn asked(host: &str) -> bool {
        is_of_this_machine(&Request::builder().header(HOST, host).body(Body::empty()).unwrap())
    }

    #[test]
    fn only_this_machine_is_this_machine() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080"] {
            assert!(asked(host), "{host}");
        }
        for host in [
            "evil.example:8080",
            "localhost.evil.example",
            "10.0.0.1",
            "127.0.0.1.nip.io",
            "",
            "::",
        ] {
            assert!(!asked(host), "{host}");
        }
        let nameless = Request::builder().uri("/").body(Body::empty()).unwrap();
        assert!(!is_of_this_machine(&nameless));
        let http2 = Request::builder().uri("http://localhost:8080/").body(Body::empty()).unwrap();
        assert!(is_of_this_machine(&http2));
    }

    #[test]
    fn a_token_is_found_among_other_cookies() {
        let found = |cookies: &[&str]| {
            let pairs = cookies.iter().map(|value| (COOKIE, HeaderValue::from_str(value).unwrap()));
            cookie(&pairs.collect())
        };
        assert_eq!(found(&["a=b; bramble-token=x.y.z ; c=d"]).as_deref(), Some("x.y.z"));
        assert_eq!(found(&["a=b", "bramble-token=q"]).as_deref(), Some("q"));
        for none in ["", "bramble-token", "bramble-token=", "xbramble-token=y"] {
            assert_eq!(found(&[none]), None, "{none}");
        }
    }
}
