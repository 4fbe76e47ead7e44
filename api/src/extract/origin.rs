//! Where a request comes from: the peer, or what trusted proxies say.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, Version, header, request::Parts, uri::Authority},
};
use domain::{
    ids::DeviceId,
    values::{Caller, Origin, PresentedDevice},
};
use vault::{Token, TokenKind};

use crate::{
    headers,
    problem::Problem,
    state::{App, AppState},
};

/// The source of all whose address a proxy of ours told in a way that cannot be read. Nobody has it (RFC 6666), so it
/// shares its limits with no proxy and with no other client.
const UNREADABLE: IpAddr = IpAddr::V6(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0));

/// The origin of a request that is no command.
pub(crate) struct From(pub Origin);

impl FromRequestParts<App> for From {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Ok(Self(origin(parts, app)))
    }
}

/// The source, the user agent and the device of a request.
pub(crate) fn origin(parts: &Parts, app: &AppState) -> Origin {
    let ip = peer(parts).map(|peer| source(peer, &parts.headers, |ip| app.is_trusted_proxy(ip)));
    let user_agent = parts
        .headers
        .get(header::USER_AGENT)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).chars().take(200).collect());
    Origin { ip, user_agent, device: device(&parts.headers), end_user_ip: None }
}

/// The device that the client says it is. What is no device's token makes a stranger of it, as none does.
fn device(headers: &HeaderMap) -> Option<PresentedDevice> {
    let mut lines = headers.get_all(headers::DEVICE).iter();
    let token = Token::parse(lines.next()?.to_str().ok()?.trim())?;
    let is_device = token.kind == TokenKind::Device && lines.next().is_none();
    is_device.then(|| PresentedDevice { id: DeviceId(token.id), token_hash: token.hash() })
}

/// Whom an API client asks for. It is the client's word, so nobody else has a say in it.
pub(crate) fn end_user(headers: &HeaderMap, caller: &Caller) -> Result<Option<IpAddr>, Problem> {
    let mut lines = headers.get_all(headers::END_USER_IP).iter();
    let (Caller::ApiClient(..), Some(line)) = (caller, lines.next()) else { return Ok(None) };
    let ip = line.to_str().ok().and_then(|text| text.trim().parse::<IpAddr>().ok()).filter(|_| lines.next().is_none());
    ip.map(|ip| Some(ip.to_canonical()))
        .ok_or_else(|| Problem::invalid("Countersign-End-User-IP", "must be an IP address"))
}

/// Whether a program of this machine asks, and no proxy on it for somebody else. One that rewrites `Host` and adds no
/// header cannot be told from a program: whoever has such a proxy says so by `public_url` or `trusted_proxies`.
pub(crate) fn is_of_this_machine(parts: &Parts) -> bool {
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    peer(parts).is_none_or(|peer| peer.is_loopback())
        && host.is_some_and(is_loopback)
        && parts.headers.get_all(header::HOST).iter().count() == 1
        && !was_forwarded(parts)
}

fn peer(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_canonical())
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// What proxies and content networks add.
const OF_PROXIES: [&str; 9] = [
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-envoy-external-address",
];
/// What the names of the rest begin with.
const OF_PROXIES_BEGIN: [&str; 2] = ["x-forwarded", "x-original-"];

/// Whether anything tells of a proxy. HTTP/1.0 does: proxies speak it that were told nothing else, clients do not.
fn was_forwarded(parts: &Parts) -> bool {
    let of_a_proxy =
        |name: &str| OF_PROXIES.contains(&name) || OF_PROXIES_BEGIN.iter().any(|own| name.starts_with(own));
    parts.version < Version::HTTP_11 || parts.headers.keys().any(|name| of_a_proxy(name.as_str()))
}

/// Proxies append on the right, so the rightmost address that is not one of ours is the last one that
/// someone we trust has seen. What stands left of it is the client's own word. What cannot be read is none of ours, and
/// where a proxy told nothing but nothings it told nothing that can be read.
fn source(peer: IpAddr, headers: &HeaderMap, trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let lines: Vec<_> = headers.get_all(headers::FORWARDED_FOR).iter().collect();
    if !trusted(peer) || lines.is_empty() {
        return peer;
    }
    let hops = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    let mut source = UNREADABLE;
    for hop in hops.map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty()) {
        source = address(hop).unwrap_or(UNREADABLE);
        if !trusted(source) {
            break;
        }
    }
    source
}

/// An address, perhaps with a port, in brackets, or with a zone, which means something only to who wrote it.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(hop).ok()?;
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let ip = match bracketed {
        Some((ip, "")) => zoneless(ip)?.into(),
        Some((ip, port)) => port.strip_prefix(':')?.parse::<u16>().ok().and_then(|_| zoneless(ip))?.into(),
        None => text
            .parse()
            .ok()
            .or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
            .or_else(|| zoneless(text).map(IpAddr::V6))?,
    };
    Some(ip.to_canonical())
}

fn zoneless(text: &str) -> Option<Ipv6Addr> {
    text.split_once('%').map_or(text, |(ip, _)| ip).parse().ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use axum::http::HeaderValue;

    use super::*;

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(headers::FORWARDED_FOR, HeaderValue::from_bytes(line.as_bytes()).unwrap());
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
    fn without_a_word_of_the_proxy_the_proxy_itself_asks() {
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }

    #[test]
    fn what_cannot_be_read_is_a_source_of_its_own() {
        for unreadable in [
            "nonsense",
            "unknown",
            "caf\u{e9}",
            "198.51.100.999",
            "010.0.0.1",
            "unix:",
            "1.1.1.1 2.2.2.2",
            "[10.0.0.9",
            "[::1]9",
            "[[::1]]",
            "\"10.0.0.9\"",
        ] {
            let told = format!("198.51.100.7, {unreadable}, 10.0.0.2");
            assert_eq!(seen("10.0.0.1", &[&told]), UNREADABLE.to_string(), "{unreadable}");
            assert_eq!(seen("10.0.0.1", &["198.51.100.7", unreadable]), UNREADABLE.to_string(), "{unreadable}");
        }
        for nothing in ["", " ", ",", " , ,\t", "10.0.0.9", ", 10.0.0.9 ,"] {
            let told = seen("10.0.0.1", &[nothing, ""]);
            assert_eq!(told, if nothing.contains('9') { "10.0.0.9".to_owned() } else { UNREADABLE.to_string() });
        }
    }

    #[test]
    fn what_the_client_wrote_hides_nothing_that_a_proxy_added() {
        for own in ["caf\u{e9}", "\u{ff}\u{fe}", "", ",,,", "nonsense, 10.0.0.8", "[", "::ffff:10.0.0.8", "10.0.0.8"] {
            assert_eq!(seen("10.0.0.1", &[&format!("{own}, 198.51.100.7")]), "198.51.100.7", "{own}");
            assert_eq!(seen("10.0.0.1", &[&format!("{own}, 198.51.100.7, 10.0.0.2")]), "198.51.100.7", "{own}");
            assert_eq!(seen("10.0.0.1", &[own, "198.51.100.7"]), "198.51.100.7", "{own}");
        }
        assert_eq!(seen("10.0.0.1", &["1.1.1.1", "198.51.100.7,"]), "198.51.100.7");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 198.51.100.7", " "]), "198.51.100.7");
    }

    #[test]
    fn ports_brackets_zones_and_mapped_addresses_are_understood() {
        for (told, address) in [
            ("198.51.100.7:4711", "198.51.100.7"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:DB8::A", "2001:db8::a"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%eth0]", "fe80::1"),
            ("[fe80::1%eth0]:4711", "fe80::1"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
            ("::FFFF:198.51.100.7", "198.51.100.7"),
            ("[::ffff:198.51.100.7]:4711", "198.51.100.7"),
            ("\t198.51.100.7 ", "198.51.100.7"),
        ] {
            assert_eq!(seen("10.0.0.1", &[told]), address, "{told}");
        }
        // A proxy of ours under another of its names is still one of ours.
        assert_eq!(seen("10.0.0.1", &["198.51.100.7, ::ffff:10.0.0.2, 10.0.0.3:99"]), "198.51.100.7");
    }

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080", "127.9.9.9"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["example.com", "localhost.example.com", "10.0.0.1", "127.0.0.1.nip.io", "", "local host"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
