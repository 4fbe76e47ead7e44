//! The connection string, and who we are to the server.

use domain::secret::SecretText;
use eventstore::{Authentication, ClientSettings};

use crate::port::LogError;

/// How the client looks for a node unless the string says so: it waits this long before the first attempt, too,
/// and its own half a second would be added to every connection.
const DISCOVERY: [(&str, &str); 2] = [("discoveryInterval", "50"), ("maxDiscoverAttempts", "10")];

/// Schemes that the client knows.
const SCHEMES: [&str; 4] = ["esdb", "kurrentdb", "kurrent", "kdb"];

/// The servers and the user of a connection string.
///
/// The client sends a user name and a password as they stand in the string, percent signs and all, so they
/// are taken out and decoded here and go with each call.
pub(super) fn parse(url: &SecretText) -> Result<(ClientSettings, Option<Authentication>), LogError> {
    let text = url.expose().trim();
    // The client's own message repeats the whole string, password and all: it goes nowhere.
    let wrong = || {
        LogError::Unavailable(
            "the KurrentDB url is no connection string such as kurrentdb://user:password@host:2113?tls=true".to_owned(),
        )
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    if !SCHEMES.contains(&scheme.strip_suffix("+discover").unwrap_or(scheme)) {
        return Err(wrong());
    }
    let authority = rest.find(['/', '?']).map_or(rest, |end| &rest[..end]);
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    let Some(user) = user.filter(|user| !user.is_empty()) else {
        return Ok((with_defaults(text).parse().map_err(|_| wrong())?, None));
    };
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let authentication = Authentication::basic(
        decoded(name).ok_or_else(wrong)?.into_bytes(),
        decoded(password).ok_or_else(wrong)?.into_bytes(),
    );
    // It asks for the members of a cluster with the user of its settings. One that it would garble is left
    // out there; servers tell their members without one unless that was switched off.
    let is_plain = !user.contains('%');
    let without_user = format!("{scheme}://{}", &rest[user.len() + 1..]);
    let settings = with_defaults(if is_plain { text } else { &without_user }).parse();
    Ok((settings.map_err(|_| wrong())?, Some(authentication)))
}

/// The string with what it leaves open.
fn with_defaults(url: &str) -> String {
    let mut url = url.to_owned();
    let given = url.to_lowercase();
    for (name, value) in DISCOVERY {
        if !given.contains(&format!("{}=", name.to_lowercase())) {
            let joint = if url.contains('?') { "&" } else { "?" };
            url.extend([joint, name, "=", value]);
        }
    }
    url
}

/// Takes percent signs off; `None` when what comes out is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        if *first == b'%' {
            let digits = others.get(..2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = &others[2..];
        } else {
            bytes.push(*first);
            rest = others;
        }
    }
    String::from_utf8(bytes).ok()
}

/// The hosts, for messages.
pub(super) fn hosts(settings: &ClientSettings) -> String {
    let hosts: Vec<String> = settings.hosts().iter().map(|host| format!("{}:{}", host.host, host.port)).collect();
    hosts.join(", ")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Result<(ClientSettings, Option<Authentication>), LogError> {
        parse(&SecretText::new(url.to_owned()))
    }

    #[test]
    fn every_scheme_of_the_server_is_taken() {
        for scheme in ["esdb", "kurrentdb", "kdb", "kurrent", "esdb+discover", "kurrentdb+discover"] {
            let (settings, user) = parsed(&format!("{scheme}://localhost:2113?tls=false")).unwrap();
            assert_eq!(hosts(&settings), "localhost:2113");
            assert_eq!(user, None);
        }
    }

    #[test]
    fn several_hosts_are_a_cluster() {
        let (settings, _) = parsed("kurrentdb://admin:changeit@one:1,two:2,three:3?tls=true").unwrap();
        assert_eq!(hosts(&settings), "one:1, two:2, three:3");
    }

    #[test]
    fn a_node_is_looked_for_soon_unless_the_url_says_otherwise() {
        let (settings, _) = parsed("esdb://localhost").unwrap();
        assert_eq!((settings.discovery_interval().as_millis(), settings.max_discover_attempts()), (50, 10));
        let (settings, _) = parsed("esdb://localhost?tls=false&DiscoveryInterval=700").unwrap();
        assert_eq!((settings.discovery_interval().as_millis(), settings.max_discover_attempts()), (700, 10));
    }

    #[test]
    fn a_password_is_decoded_and_is_not_left_where_it_would_be_garbled() {
        let (settings, user) = parsed("esdb://us%40er:p%3Aa%2Fss%25@localhost").unwrap();
        assert_eq!(user, Some(Authentication::basic("us@er", "p:a/ss%")));
        assert_eq!(*settings.default_authenticated_user(), None);
        let (settings, user) = parsed("esdb://admin:changeit@localhost").unwrap();
        assert_eq!(user, Some(Authentication::basic("admin", "changeit")));
        assert!(settings.default_authenticated_user().is_some());
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_it() {
        for url in
            ["", "postgres://a:hunter2@b", "esdb://a:hunter2@", "esdb://a:hunter2@host:notaport", "esdb://a%zz@b"]
        {
            let error = parsed(url).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
            assert!(error.contains("connection string"), "{error}");
        }
    }
}
