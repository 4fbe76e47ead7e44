//! Where a request comes from: the peer, or what trusted proxies say.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::ConnectInfo,
    http::{HeaderMap, header, request::Parts},
};
use domain::values::Origin;

use crate::{headers, state::AppState};

/// The source and the user agent of a request.
pub(crate) fn origin(parts: &Parts, app: &AppState) -> Origin {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_canonical());
    let ip = peer.map(|peer| source(peer, &parts.headers, |ip| app.is_trusted_proxy(ip)));
    let user_agent = parts
        .headers
        .get(header::USER_AGENT)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).chars().take(200).collect());
    Origin { ip, user_agent }
}

/// Proxies append on the right, so the rightmost address that is not one of ours is the last one that
/// someone we trust has seen. What stands left of it is the client's own word.
fn source(peer: IpAddr, headers: &HeaderMap, trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    if !trusted(peer) {
        return peer;
    }
    let mut source = peer;
    let lines: Vec<_> = headers.get_all(headers::FORWARDED_FOR).iter().collect();
    let hops = lines.iter().rev().flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    for hop in hops {
        match address(hop.trim()) {
            Some(ip) if trusted(ip) => source = ip,
            Some(ip) => return ip,
            None => return source,
        }
    }
    source
}

fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.parse::<IpAddr>();
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    let bracketed = || text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    bare().or_else(|_| with_port()).or_else(|_| bracketed()).ok().map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(headers::FORWARDED_FOR, line.parse().unwrap());
        }
        let trusted = |ip: IpAddr| ip.to_string().starts_with("10.");
        source(peer.parse().unwrap(), &headers, trusted).to_string()
    }

    #[test]
    fn a_stranger_cannot_say_where_it_comes_from() {
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
    }

    #[test]
    fn the_rightmost_untrusted_address_counts() {
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1", "198.51.100.7"]), "198.51.100.7");
    }

    #[test]
    fn what_cannot_be_read_is_not_believed() {
        assert_eq!(seen("10.0.0.1", &["198.51.100.7, nonsense"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_understood() {
        assert_eq!(seen("10.0.0.1", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(seen("10.0.0.1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(seen("10.0.0.1", &["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(seen("10.0.0.1", &["::ffff:198.51.100.7"]), "198.51.100.7");
    }
}
