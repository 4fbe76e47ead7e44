//! The production shape: `countersign.toml`, as `compose.yaml` starts it, one process for each of its roles, over
//! servers of the tests. What is replaced is where things are: hosts by the environment, secrets by files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use servers::postgres::TestDatabase;

use crate::support::{Broker, Engines, MailCatcher, Person, ROLES, Server, Settings, Watcher, binary, eventually};

/// Where the log is in PostgreSQL, KurrentDB is not needed.
const NOT_NEEDED: &str = "kurrentdb";

fn checked_in(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// What stands below a heading of `compose.yaml`: names, each with its lines.
fn below(heading: &str) -> BTreeMap<String, Vec<String>> {
    let compose = checked_in("compose.yaml");
    let mut entries: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut last = String::new();
    let from = format!("{heading}:");
    let lines = compose.lines().skip_while(|line| *line != from).skip(1);
    for line in lines.take_while(|line| line.is_empty() || line.starts_with([' ', '#'])) {
        match line.strip_prefix("  ").filter(|line| !line.starts_with([' ', '#'])).and_then(|line| line.split_once(':'))
        {
            Some((name, _)) => {
                name.clone_into(&mut last);
                entries.entry(last.clone()).or_default().push(line.to_owned());
            }
            None => entries.entry(last.clone()).or_default().push(line.trim().to_owned()),
        }
    }
    entries.remove("");
    assert!(!entries.is_empty(), "compose.yaml has nothing below {heading}");
    entries
}

/// The roles that `compose.yaml` starts, one service after the other. Who is started on demand has none.
fn roles_of_compose() -> Vec<String> {
    let mut roles = Vec::new();
    for (service, lines) in below("services") {
        let has = |start: &str| lines.iter().any(|line| line.starts_with(start));
        if !has("<<: *countersign") || has("profiles:") {
            continue;
        }
        let role = lines.iter().find_map(|line| line.split_once("COUNTERSIGN__ROLES: "));
        let role = role.unwrap_or_else(|| panic!("{service} names no role, so it does everything")).1;
        let role = role.split([',', '}']).next().unwrap().trim().to_owned();
        assert!(!role.is_empty() && !role.starts_with(['"', '\'', '[']), "{service}: one role each, plainly: {role}");
        roles.push(role);
    }
    roles
}

/// Every text of the settings with its name: `postgres.url`.
fn texts(settings: &toml::Table) -> Vec<(String, String)> {
    let of = |(name, value): (&String, &toml::Value)| match value {
        toml::Value::Table(table) => {
            texts(table).into_iter().map(|(inner, text)| (format!("{name}.{inner}"), text)).collect()
        }
        toml::Value::String(text) => vec![(name.clone(), text.clone())],
        _ => Vec::new(),
    };
    settings.iter().flat_map(of).collect()
}

/// The hosts that the settings name, each with the setting.
fn hosts() -> Vec<(String, String)> {
    let settings: toml::Table = checked_in("countersign.toml").parse().unwrap();
    let host = |(name, text): (String, String)| match text.parse::<reqwest::Url>() {
        Ok(url) => Some((name, url.host_str()?.to_owned())),
        Err(_) => (name.rsplit('.').next() == Some("host")).then_some((name, text)),
    };
    texts(&settings).into_iter().filter_map(host).collect()
}

#[test]
fn compose_starts_every_role_once() {
    let roles = roles_of_compose();
    let unique: BTreeSet<&str> = roles.iter().map(String::as_str).collect();
    assert_eq!(unique, BTreeSet::from(ROLES));
    assert_eq!(roles.len(), ROLES.len(), "each is one service, that is scaled by itself");
}

#[test]
fn every_host_and_secret_of_the_settings_is_in_compose() {
    let (services, secrets) = (below("services"), below("secrets"));
    let hosts = hosts();
    assert!(hosts.len() >= 4, "{hosts:?}");
    for (setting, host) in hosts {
        assert!(services.contains_key(&host), "{setting} names {host}, which is no service of compose.yaml");
    }
    let settings: toml::Table = checked_in("countersign.toml").parse().unwrap();
    let files = texts(&settings)
        .into_iter()
        .filter_map(|(name, text)| Some((name, text.strip_prefix("/run/secrets/")?.to_owned())));
    for (setting, secret) in files {
        assert!(secrets.contains_key(&secret), "{setting} names {secret}, which is no secret of compose.yaml");
    }
}

/// The checked-in settings, led to these servers.
struct Production {
    engines: Engines,
    settings: Settings,
    mail: MailCatcher,
    nats_password: String,
    /// Where the secrets are, for as long as this lives.
    folder: tempfile::TempDir,
}

impl Production {
    async fn prepared() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();

        let database = TestDatabase::fresh().await;
        let (address, password) = without_password(database.url());
        fs::write(file("postgres_password"), format!("{password}\n")).unwrap();
        let nats_password =
            uuid::Builder::from_random_bytes(*runtime::Runtime::system().unwrap().random_bytes::<16>().unwrap())
                .into_uuid()
                .to_string();
        fs::write(file("nats_password"), &nats_password).unwrap();
        let user = format!("authorization {{ user: countersign, password: \"{nats_password}\" }}");
        let broker = Broker::start_with(&user).await;
        let mail = MailCatcher::start();
        // As the operator makes it before the first start.
        let made = binary().args(["keyring", "create", &file("keyring.toml")]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

        let settings = Settings::of_file(&Path::new(env!("CARGO_MANIFEST_DIR")).join("countersign.toml"))
            .with("event_log", "postgres")
            .with("postgres.url", &address)
            .with("postgres.password_file", &file("postgres_password"))
            .with("nats.url", &broker.url)
            .with("nats.password_file", &file("nats_password"))
            .with("smtp.host", "127.0.0.1")
            .with("smtp.port", &mail.port().to_string())
            .with("key_ring_file", &file("keyring.toml"))
            // As compose.yaml has it unless it is asked for more.
            .with("dev_inbox", "off");
        for (setting, host) in hosts().into_iter().filter(|(_, host)| host != NOT_NEEDED) {
            let replaced = settings.get(&setting).unwrap_or_else(|| panic!("{setting} still leads to {host}"));
            assert!(replaced.contains("127.0.0.1"), "{setting}");
        }
        let engines =
            Engines { database: Some(Arc::new(database)), broker: Some(Arc::new(broker)), mail: Some(mail.clone()) };
        Self { engines, settings, mail, nats_password, folder }
    }
}

/// The address of a database without its password, and that.
fn without_password(url: &str) -> (String, String) {
    let mut url: reqwest::Url = url.parse().unwrap();
    let password = url.password().expect("a password").to_owned();
    url.set_password(None).unwrap();
    (url.to_string(), password)
}

#[tokio::test]
async fn the_production_settings_serve_with_the_roles_of_compose() {
    let Production { engines, settings, mail, nats_password, folder: _secrets } = Production::prepared().await;
    let server = Server::launch_on(engines, settings);
    server.remember(&nats_password);
    let started: BTreeSet<String> = server.roles().into_iter().collect();
    assert_eq!(started, roles_of_compose().into_iter().collect(), "what runs is what compose.yaml starts");

    // Sign up, confirm, enroll, sign in: the codes come by mail, over the broker, from another process.
    let mut person = Person::with_totp(&server, "vera").await;
    assert_eq!(person.recovery_codes.len(), 10);
    person.sign_in_by_totp(&server).await;
    let own = person.client.get("/v1/accounts/me").await.expect(200);
    assert_eq!(own["two_factor_enabled"], true);
    eventually("the notice", || async {
        mail.inbox(&person.email).iter().any(|mail| mail["code"].is_null()).then_some(())
    })
    .await;
    for mail in mail.inbox(&person.email) {
        assert!(mail["from"].as_str().unwrap().contains("no-reply@countersign.localhost"), "{}", mail["from"]);
    }
    server.client().get("/dev/inbox.json").await.refused(404, "not_found");

    // What an operator looks at: history, doctor, and the health checks of the containers.
    let history = Watcher::new(&server).own_history(&person.account).await;
    let types: Vec<&str> = history.iter().filter_map(|event| event["type"].as_str()).collect();
    for expected in ["AccountRegistered", "EmailVerified", "MethodEnabled", "TwoFactorEnabled", "SignedIn"] {
        assert!(types.contains(&expected), "{expected} is not in {types:?}");
    }
    let (ok, out, err) = server.try_command(&["doctor"]);
    assert!(ok, "{out}{err}");
    for (role, address, metrics) in server.addresses() {
        let ask = |settings: Settings| {
            let settings = settings.with("roles", &role).with("metrics_listen", &metrics);
            address.as_ref().map_or(settings.clone(), |address| settings.with("listen", address))
        };
        let asked = server.run_with(&["healthcheck"], ask);
        assert!(asked.status.success(), "{role}: {}", String::from_utf8_lossy(&asked.stderr));
    }
    let told: Vec<String> = server.log().lines().filter(|line| line.starts_with("  Data")).map(str::to_owned).collect();
    assert_eq!(told, ["  Data      PostgreSQL"; ROLES.len()], "no folder is named that is not used");
    assert!(!server.data().exists(), "nothing is written beside the servers: the containers are read-only");
    server.leaves_nothing_behind().await;
}
