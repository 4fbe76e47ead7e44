//! What settings are taken, and which stop the start.
#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;

fn read(file: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("countersign.toml");
    std::fs::write(&path, file).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let config = Config::read(Some(&path), environment).and_then(|config| config.validate().map(|()| config));
    config.map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))
}

#[test]
fn the_environment_comes_after_the_file() {
    let config = read(
        "listen = \"127.0.0.1:9000\"\nissuer = \"Shop\"\n[policy]\ncode_lives = 300\n",
        &[("COUNTERSIGN__LISTEN", "127.0.0.1:9001"), ("COUNTERSIGN__POLICY__TOTP_ATTEMPTS", "7"), ("HOME", "/")],
    )
    .unwrap();
    assert_eq!(config.listen.port(), 9001);
    assert_eq!(config.issuer, "Shop");
    assert_eq!(config.policy.code_lives.0, 300);
    assert_eq!(config.policy.totp_attempts, 7);
    assert_eq!(config.policy.code_attempts, Policy::default().code_attempts);
}

#[test]
fn lists_and_nested_values_can_stand_in_the_environment() {
    let config = read(
        "",
        &[
            ("COUNTERSIGN__ROLES", "api,projections"),
            ("COUNTERSIGN__TRUSTED_PROXIES", "[\"10.0.0.0/8\"]"),
            ("COUNTERSIGN__POLICY__LIMITS__SENDS_PER_SOURCE", "{ count = 9, window = 60 }"),
        ],
    )
    .unwrap();
    assert_eq!(config.roles(), [Role::Api, Role::Projections]);
    assert_eq!(config.trusted_proxies.len(), 1);
    assert_eq!(config.policy.limits.sends_per_source.count, 9);
}

#[test]
fn an_unknown_setting_stops_the_start_and_is_named() {
    let error = read("[policy]\ncode_live = 300\n", &[]).unwrap_err();
    assert!(error.starts_with("setting policy.code_live in FILE: unknown field `code_live`"), "{error}");
    assert!(error.ends_with("remove it, or correct its name"), "{error}");
    let error = read("", &[("COUNTERSIGN__LISTN", "127.0.0.1:1")]).unwrap_err();
    assert!(error.starts_with("setting COUNTERSIGN__LISTN: unknown field"), "{error}");
    let error = read("", &[("COUNTERSIGN__LISTEN__PORT", "1")]).unwrap_err();
    assert!(error.starts_with("setting"), "{error}");
}

#[test]
fn a_value_of_another_kind_stops_the_start_and_is_named() {
    let error = read("", &[("COUNTERSIGN__POLICY__CODE_LIVES", "soon")]).unwrap_err();
    assert!(error.starts_with("setting COUNTERSIGN__POLICY__CODE_LIVES: invalid type"), "{error}");
    let error = read("dev_inbox = \"public\"", &[]).unwrap_err();
    assert!(error.contains("dev_inbox") && error.contains("exposed"), "{error}");
    assert!(read("listen = \n", &[]).unwrap_err().contains("line 1 is no TOML"));
}

#[test]
fn impossible_values_stop_the_start() {
    for (file, setting) in [
        ("issuer = \"a:b\"", "issuer"),
        ("public_url = \"example.com\"", "public_url"),
        ("roles = []", "roles"),
        ("key_ring = \"x\"\nkey_ring_file = \"y\"", "key_ring"),
        ("[otlp]\nendpoint = \"https://collector\"", "otlp.endpoint"),
        ("[hashing]\nqueue = 0", "hashing.queue"),
        ("[hashing]\nqueue_per_source = 0", "hashing.queue_per_source"),
        ("[http]\nconnections = 0", "http.connections"),
        ("[http]\nconnections_per_source = 0", "http.connections_per_source"),
        ("[http]\nhead_timeout = 0", "http.head_timeout"),
        ("[http]\nbody_timeout = 3601", "http.body_timeout"),
        ("[http]\nidle_timeout = 0", "http.idle_timeout"),
        ("[http]\nwrite_timeout = 0", "http.write_timeout"),
        ("roles = [\"relay\"]", "nats.url"),
        ("event_log = \"postgres\"", "postgres.url"),
        ("[postgres]\nurl = \"postgres://db\"", "event_log"),
        ("event_log = \"postgres\"\n[postgres]\nurl = \"postgres://db\"", "key_ring_file"),
        ("event_log = \"kurrentdb\"\nkey_ring = \"x\"\n[postgres]\nurl = \"postgres://db\"", "kurrentdb.url"),
        ("[postgres]\nurl = \"mysql://db\"", "postgres.url"),
        ("[postgres]\nurl = \"postgres://db\"\nurl_file = \"x\"", "postgres.url"),
        ("[postgres]\npassword_file = \"/nowhere\"", "postgres.password_file"),
        ("[postgres]\npool_size = 1", "postgres.pool_size"),
        ("[kurrentdb]\nurl = \"https://db\"", "kurrentdb.url"),
        ("[nats]\nuser = \"a\"", "nats.user"),
        ("[nats]\nuser = \"a\"\npassword = \"b\"\ntoken = \"c\"", "nats"),
        ("[nats]\nclient_cert_file = \"a\"", "nats.client_cert_file"),
        ("[nats]\nreplicas = 6", "nats.replicas"),
        ("[smtp]\nhost = \"mail\"", "smtp.from"),
        ("[smtp]\nfrom = \"a@example.com\"", "smtp.host"),
        ("[smtp]\nhost = \"mail\"\nfrom = \"a@example.com\"\nuser = \"a\"", "smtp.user"),
        (
            "[smtp]\nhost = \"mail\"\nfrom = \"a@example.com\"\ntls = \"none\"\nuser = \"a\"\npassword = \"b\"",
            "smtp.tls",
        ),
        ("[[sms]]\nkind = \"twilio\"\naccount_sid = \"AC\"\nfrom = \"+1\"", "sms[0].auth_token"),
        ("[[sms]]\nkind = \"twilio\"\naccount_sid = \"AC\"\nauth_token = \"x\"", "sms[0].from"),
        ("[[sms]]\nkind = \"webhook\"\nurl = \"https://sms\"", "sms[0].secret"),
        (
            "[[sms]]\nkind = \"twilio\"\naccount_sid = \"AC\"\nfrom = \"+1\"\nauth_token = \"x\"\n\
             other_auth_tokens = [\"\"]",
            "sms[0].other_auth_tokens",
        ),
        (
            "[[sms]]\nkind = \"twilio\"\naccount_sid = \"AC\"\nfrom = \"+1\"\nauth_token = \"x\"\n\
             other_auth_tokens_file = \"/nowhere\"",
            "sms[0].other_auth_tokens_file",
        ),
        ("[[sms]]\nkind = \"inbox\"\n[[sms]]\nkind = \"inbox\"", "sms[1].name"),
        (
            "[[sms]]\nkind = \"webhook\"\nurl = \"https://a\"\nsecret = \"x\"\n\
             [[sms]]\nkind = \"webhook\"\nurl = \"https://b\"\nsecret = \"x\"",
            "sms[1].name",
        ),
        ("[policy]\ncode_lives = 0", "policy.code_lives"),
        ("[policy]\ntotp_skew_steps = 600", "policy.totp_skew_steps"),
    ] {
        let error = read(file, &[]).unwrap_err();
        assert!(error.starts_with(&format!("setting {setting}: ")), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn a_proxy_shuts_the_inbox_unless_it_is_exposed() {
    let readers = |file: &str, is_loopback| read(file, &[]).unwrap().inbox_readers(is_loopback);
    assert_eq!(readers("", true), api::DevInbox::Loopback);
    assert_eq!(readers("", false), api::DevInbox::Off);
    for proxy in ["public_url = \"http://127.0.0.1\"", "trusted_proxies = [\"10.0.0.0/8\"]"] {
        assert_eq!(readers(proxy, true), api::DevInbox::Off, "{proxy}");
        assert_eq!(readers(&format!("dev_inbox = \"off\"\n{proxy}"), true), api::DevInbox::Off, "{proxy}");
        let exposed = format!("dev_inbox = \"exposed\"\n{proxy}");
        assert_eq!(readers(&exposed, false), api::DevInbox::Exposed, "{proxy}");
    }
}

#[test]
fn secrets_can_stand_in_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "hunter2\n").unwrap();
    let named = format!("[postgres]\npassword_file = {file:?}");
    assert_eq!(read(&named, &[]).unwrap().postgres.password.unwrap().expose(), "hunter2");
    std::fs::write(&file, "\n").unwrap();
    assert!(read(&named, &[]).unwrap_err().contains("is empty"));
}

#[test]
fn a_file_may_hold_several_tokens_one_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    std::fs::write(&file, "one\ntwo\n").unwrap();
    let twilio = "[[sms]]\nkind = \"twilio\"\naccount_sid = \"AC\"\nfrom = \"+1\"\nauth_token = \"x\"\n";
    let config = read(&format!("{twilio}other_auth_tokens_file = {file:?}\nother_auth_tokens = [\"zero\"]"), &[]);
    let config = config.unwrap();
    let Sms::Twilio { other_auth_tokens, .. } = &config.sms[0] else { panic!("another kind") };
    let tokens: Vec<&str> = other_auth_tokens.iter().map(|token| token.expose().as_str()).collect();
    assert_eq!(tokens, ["zero", "one", "two"]);
}

#[test]
fn a_password_of_digits_is_text() {
    let config = read("", &[("COUNTERSIGN__POSTGRES__PASSWORD", "0_1")]).unwrap();
    assert_eq!(config.postgres.password.unwrap().expose(), "0_1");
}

#[test]
fn without_nats_everything_is_done_but_the_relay() {
    assert!(!read("", &[]).unwrap().roles().contains(&Role::Relay));
    assert!(read("[nats]\nurl = \"nats://127.0.0.1\"", &[]).unwrap().roles().contains(&Role::Relay));
}

#[test]
fn an_unknown_setting_of_a_gateway_is_named() {
    let error = read("[[sms]]\nkind = \"webhook\"\nurl = \"https://sms\"\nsecret = \"x\"\nretries = 3", &[]);
    let error = error.unwrap_err();
    assert!(error.contains("retries") && !error.contains("https://sms"), "{error}");
}

#[test]
fn a_secret_never_shows_in_debug() {
    let config = read("key_ring = \"hunter2\"", &[]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}
