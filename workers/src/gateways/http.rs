//! What the gateways over HTTP share: the client, one request, and what its failure means.

use std::{net::IpAddr, path::Path, time::Duration};

use reqwest::{Certificate, Client, RequestBuilder, Url, redirect};
use zeroize::Zeroizing;

use super::InvalidOption;
use crate::gateway::GatewayError;

/// Most bytes of an answer that are read.
const MOST_BYTES: usize = 64 * 1024;

/// A connection is begun within this; what has no connection has sent nothing, and is better tried elsewhere soon.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// An answer.
pub(super) struct Reply {
    pub status: u16,
    pub body: Zeroizing<Vec<u8>>,
}

impl Reply {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A client that follows no redirect: where it leads to, credentials and codes have no business.
pub(super) fn client(timeout: Duration, ca_file: Option<&Path>) -> Result<Client, InvalidOption> {
    super::checked_timeout(timeout)?;
    let mut builder = Client::builder()
        .timeout(timeout)
        .connect_timeout(CONNECT_WITHIN.min(timeout))
        .redirect(redirect::Policy::none())
        .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")));
    if let Some(file) = ca_file {
        let cure = "name a PEM file with the certificates of those who may vouch for the gateway";
        let pem = std::fs::read(file)
            .map_err(|error| InvalidOption::new("ca_file", format!("cannot be read: {}", error.kind()), cure))?;
        let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if certificates.is_empty() {
            return Err(InvalidOption::new("ca_file", "holds no certificate", cure));
        }
        builder = builder.tls_certs_only(certificates);
    }
    builder.build().map_err(|_| {
        InvalidOption::new("ca_file", "leads to no working TLS", "see that the system has root certificates")
    })
}

/// The address of a gateway: TLS, or this machine.
pub(super) fn address(option: &'static str, text: &str, allow_http: bool) -> Result<Url, InvalidOption> {
    let cure = "give a web address such as https://sms.example.com/send";
    let url: Url = text.parse().map_err(|_| InvalidOption::new(option, "is no web address", cure))?;
    let is_plain = url.scheme() == "http";
    if !is_plain && url.scheme() != "https" || url.host_str().is_none() {
        return Err(InvalidOption::new(option, "is no web address", cure));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidOption::new(option, "holds credentials", "give them as secrets of their own"));
    }
    if is_plain && !allow_http && !is_loopback(&url) {
        return Err(InvalidOption::new(
            option,
            "begins with http://, so codes would travel in clear",
            "begin it with https://",
        ));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Sends a request once. Without a connection nothing was sent; whatever fails later may have arrived.
pub(super) async fn send(request: RequestBuilder) -> Result<Reply, GatewayError> {
    let mut response = match request.send().await {
        Ok(response) => response,
        Err(error) if error.is_builder() => return Err(GatewayError::hard("unsendable")),
        Err(error) if error.is_connect() => return Err(GatewayError::transient("unreachable")),
        Err(_) => return Err(GatewayError::timed_out()),
    };
    // The status is the answer. What of the body does not arrive only leaves a detail unknown.
    let status = response.status().as_u16();
    let mut body = Zeroizing::new(Vec::new());
    while let Ok(Some(chunk)) = response.chunk().await {
        if body.len() + chunk.len() > MOST_BYTES {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status, body })
}

/// What a status means that the gateway's own codes do not explain.
pub(super) const fn failure(status: u16) -> GatewayError {
    match status {
        401 | 403 => GatewayError::hard("credentials_refused"),
        408 | 425 | 429 => GatewayError::transient("busy"),
        300..=399 => GatewayError::hard("redirected"),
        500..=599 => GatewayError::transient("gateway_error"),
        _ => GatewayError::hard("refused"),
    }
}

/// A gateway's id of a message, when it is one: an id that quotes the number, or is as long as a message, is not
/// worth having in the history.
pub(super) fn provider_id(id: &str, to: &str) -> Option<String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    let number = to.trim_start_matches('+');
    let quotes = !number.is_empty() && id.contains(number);
    ((1..=80).contains(&id.len()) && id.bytes().all(is_plain) && !quotes).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use domain::delivery::FailureKind;

    use super::*;

    #[test]
    fn an_address_is_tls_or_this_machine_and_holds_no_credentials() {
        for good in
            ["https://sms.example.com/send?x=1", "http://127.0.0.1:8080", "http://[::1]:1/", "http://localhost:1"]
        {
            assert!(address("url", good, false).is_ok(), "{good}");
        }
        for (bad, problem) in [
            ("sms.example.com", "url is no web address"),
            ("ftp://sms.example.com", "url is no web address"),
            ("http://sms.example.com", "url begins with http://"),
            ("http://10.0.0.1", "url begins with http://"),
            ("https://user:hunter2@sms.example.com", "url holds credentials"),
        ] {
            let error = address("url", bad, false).map(drop).map_err(|error| error.to_string());
            assert!(
                error.as_ref().is_err_and(|error| error.starts_with(problem) && !error.contains("hunter2")),
                "{bad}"
            );
        }
        assert!(address("url", "http://sms-gateway:8080", true).is_ok(), "unless it is allowed");
    }

    #[test]
    fn a_status_says_whether_to_ask_again() {
        for (status, kind) in [
            (400, FailureKind::Hard),
            (401, FailureKind::Hard),
            (404, FailureKind::Hard),
            (307, FailureKind::Hard),
            (408, FailureKind::Transient),
            (429, FailureKind::Transient),
            (500, FailureKind::Transient),
            (503, FailureKind::Transient),
        ] {
            assert_eq!(failure(status).kind, kind, "{status}");
        }
    }

    #[test]
    fn an_id_that_quotes_the_number_is_not_kept() {
        assert_eq!(provider_id("SM0123", "+436601234567").as_deref(), Some("SM0123"));
        for bad in ["", "to-436601234567-1", "two words", "a\nb", &"x".repeat(81)] {
            assert_eq!(provider_id(bad, "+436601234567"), None, "{bad}");
        }
    }
}
