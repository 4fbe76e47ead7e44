//! What a browser sends for a page of another site. Such a page could otherwise sign its visitor in by a sign-in that
//! it began itself: the answer sets a cookie.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

use super::codes::{Code, Refused};
use crate::state::AppState;

/// What browsers say of the page that asks.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a page may have sent it without asking us first: a credential in a header is nothing that a page of
/// another site can add, a cookie comes by itself.
pub(super) fn may_be_a_page(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::AUTHORIZATION) || headers.contains_key(header::COOKIE)
}

/// Refuses what comes from a page of another site. What says nothing of a page comes from none, or from a browser that
/// is held to the content type alone.
pub(super) fn check(headers: &HeaderMap, app: &AppState) -> Result<(), Refused> {
    if !may_be_a_page(headers) {
        return Ok(());
    }
    let of_our_site = |site: &HeaderValue| matches!(site.as_bytes(), b"same-origin" | b"none");
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let is_ours = |origin: &HeaderValue| {
        origin.to_str().is_ok_and(|origin| is_ours(origin, app.config.public_url.as_deref(), host))
    };
    if headers.get_all(FETCH_SITE).iter().all(of_our_site) && headers.get_all(header::ORIGIN).iter().all(is_ours) {
        return Ok(());
    }
    Err(Refused::new(Code::AuthError, "A page of another site may not do that."))
}

/// Whether an origin is the public address, or the host that was asked for: a page of another site has another.
fn is_ours(origin: &str, public_url: Option<&str>, host: Option<&str>) -> bool {
    let Some(origin) = Site::of(origin) else { return false };
    let asked_for = |host| Site::of(&format!("{}://{host}", origin.scheme)).is_some_and(|site| site == origin);
    public_url.and_then(Site::of).is_some_and(|site| site == origin) || host.is_some_and(asked_for)
}

/// Scheme, host and port of an address.
#[derive(Debug, PartialEq, Eq)]
struct Site {
    scheme: String,
    host: String,
    port: u16,
}

impl Site {
    fn of(address: &str) -> Option<Self> {
        let uri: Uri = address.parse().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let usual = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        Some(Self { host: uri.host()?.to_ascii_lowercase(), port: uri.port_u16().unwrap_or(usual), scheme })
    }
}
