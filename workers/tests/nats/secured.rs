//! Servers that ask who we are and prove who they are: JWT, `NKey`, TLS.

use std::{fs, path::PathBuf};

use async_nats::rustls;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::secret::Secret;
use event_store::testing::Scratch;
use nkeys::KeyPair;
use serde_json::{Value, json};
use servers::nats::NatsServer;
use workers::nats::{Auth, Broker, NatsOptions};

/// A JWT as NATS has them: signed by an `NKey`, made by hand.
fn jwt(issuer: &KeyPair, subject: &KeyPair, name: &str, nats: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(&json!({"typ": "JWT", "alg": "ed25519-nkey"}));
    let claims = part(&json!({
        "jti": name,
        "iat": 1_790_000_000,
        "iss": issuer.public_key(),
        "sub": subject.public_key(),
        "name": name,
        "nats": nats,
    }));
    let signature = issuer.sign(format!("{header}.{claims}").as_bytes()).unwrap();
    format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn credentials(jwt: &str, user: &KeyPair) -> String {
    format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        user.seed().unwrap()
    )
}

#[tokio::test]
async fn a_credentials_file_with_a_jwt_logs_in() {
    let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let unlimited = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
        "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let operator_jwt = jwt(&operator, &operator, "operator", &json!({"type": "operator", "version": 2}));
    let account_jwt = jwt(
        &operator,
        &account,
        "countersign",
        &json!({"type": "account", "version": 2, "limits": unlimited, "default_permissions": {"pub": {}, "sub": {}}}),
    );
    // With operators, JetStream asks for an account of the server's own.
    let system = KeyPair::new_account();
    let system_claims = json!({"type": "account", "version": 2, "limits": {"subs": -1, "conn": -1, "data": -1,
        "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "leaf": -1}});
    let system_jwt = jwt(&operator, &system, "SYS", &system_claims);
    let user_claims =
        json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {}});
    let user_jwt = jwt(&account, &user, "countersign", &user_claims);
    let server = NatsServer::start_with(&format!(
        "operator: \"{operator_jwt}\"\nsystem_account: {1}\nresolver: MEMORY\n\
         resolver_preload: {{ {0}: \"{account_jwt}\", {1}: \"{system_jwt}\" }}",
        account.public_key(),
        system.public_key(),
    ))
    .await;

    let scratch = Scratch::new().unwrap();
    let file = scratch.file("countersign.creds");
    fs::write(&file, credentials(&user_jwt, &user)).unwrap();
    let with = |auth| NatsOptions { auth, ..NatsOptions::new(server.url()) };
    Broker::connect(&with(Auth::CredentialsFile(file))).await.unwrap();
    let text = Secret::new(credentials(&user_jwt, &user));
    Broker::connect(&with(Auth::Credentials(text))).await.unwrap();

    let stranger = KeyPair::new_account();
    let forged = credentials(&jwt(&stranger, &user, "countersign", &user_claims), &user);
    let error = Broker::connect(&with(Auth::Credentials(Secret::new(forged)))).await.unwrap_err();
    assert_eq!(error.setting(), "nats.credentials_file");
    let missing = Auth::CredentialsFile(scratch.file("nowhere.creds"));
    let error = Broker::connect(&with(missing)).await.unwrap_err();
    assert_eq!(error.setting(), "nats.credentials_file");
    let nonsense = Auth::Credentials(Secret::new("no credentials".to_owned()));
    assert_eq!(Broker::connect(&with(nonsense)).await.unwrap_err().setting(), "nats.credentials_file");
}

#[tokio::test]
async fn an_nkey_logs_in() {
    let (user, stranger) = (KeyPair::new_user(), KeyPair::new_user());
    let server =
        NatsServer::start_with(&format!("authorization {{ users: [{{ nkey: {} }}] }}", user.public_key())).await;
    let with = |seed: String| NatsOptions { auth: Auth::NKey(Secret::new(seed)), ..NatsOptions::new(server.url()) };
    Broker::connect(&with(user.seed().unwrap())).await.unwrap();
    let error = Broker::connect(&with(stranger.seed().unwrap())).await.unwrap_err();
    assert_eq!(error.setting(), "nats.nkey_seed");
    let error = Broker::connect(&with("no seed".to_owned())).await.unwrap_err();
    assert_eq!(error.setting(), "nats.nkey_seed");
}

/// A certificate authority with a server's and a client's certificate.
struct Certificates {
    folder: Scratch,
}

impl Certificates {
    fn make() -> Self {
        let folder = Scratch::new().unwrap();
        let mut ca = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.distinguished_name.push(rcgen::DnType::CommonName, "Example CA");
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
        let issuer = rcgen::Issuer::new(ca, ca_key);
        fs::write(folder.file("ca.pem"), ca_pem).unwrap();
        for (name, names) in [("server", vec!["localhost".to_owned()]), ("client", vec!["countersign".to_owned()])] {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::new(names).unwrap();
            params.extended_key_usages =
                vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth, rcgen::ExtendedKeyUsagePurpose::ClientAuth];
            let certificate = params.signed_by(&key, &issuer).unwrap();
            fs::write(folder.file(&format!("{name}.pem")), certificate.pem()).unwrap();
            fs::write(folder.file(&format!("{name}.key")), key.serialize_pem()).unwrap();
        }
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.file(name)
    }

    fn server_tls(&self, more: &str) -> String {
        format!(
            "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", {more} }}",
            self.file("server.pem").display(),
            self.file("server.key").display(),
            self.file("ca.pem").display(),
        )
    }
}

#[tokio::test]
async fn a_server_is_believed_when_its_certificate_is_vouched_for_and_names_it() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let certificates = Certificates::make();
    let server = NatsServer::start_with(&certificates.server_tls("")).await;
    let at = |host: &str| NatsOptions {
        ca_file: Some(certificates.file("ca.pem")),
        ..NatsOptions::new(format!("nats://{host}:{}", server.port()))
    };
    Broker::connect(&at("localhost")).await.unwrap();
    let error = Broker::connect(&at("127.0.0.1")).await.unwrap_err();
    assert_eq!(error.setting(), "nats.ca_file", "{error}");
    let unknown = NatsOptions { ca_file: None, require_tls: true, ..at("localhost") };
    let error = Broker::connect(&unknown).await.unwrap_err();
    assert_eq!(error.setting(), "nats.ca_file", "{error}");
    let missing = NatsOptions { ca_file: Some(certificates.file("nowhere.pem")), ..at("localhost") };
    assert_eq!(Broker::connect(&missing).await.unwrap_err().setting(), "nats.ca_file");
}

#[tokio::test]
async fn a_server_that_asks_for_our_certificate_gets_it() {
    let certificates = Certificates::make();
    let server = NatsServer::start_with(&certificates.server_tls("verify: true")).await;
    let with = NatsOptions {
        ca_file: Some(certificates.file("ca.pem")),
        client_cert_file: Some(certificates.file("client.pem")),
        client_key_file: Some(certificates.file("client.key")),
        ..NatsOptions::new(format!("tls://localhost:{}", server.port()))
    };
    Broker::connect(&with).await.unwrap();
    let without = NatsOptions { client_cert_file: None, client_key_file: None, ..with };
    let error = Broker::connect(&without).await.unwrap_err();
    assert_eq!(error.setting(), "nats.client_cert_file", "{error}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let certificates = Certificates::make();
    let server = NatsServer::start().await;
    let options = NatsOptions { ca_file: Some(certificates.file("ca.pem")), ..NatsOptions::new(server.url()) };
    let error = Broker::connect(&options).await.unwrap_err();
    assert_eq!(error.setting(), "nats.ca_file", "{error}");
}
