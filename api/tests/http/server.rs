//! A whole service in a directory of its own, without a listener: requests go straight to the router. Every
//! answer is held against the OpenAPI document on the way back.

use std::{net::SocketAddr, path::Path, sync::Arc};

use api::{ApiConfig, ApiState, DevInbox};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version, header},
};
use domain::{
    api_key::{ApiKey, ApiKeyCommand},
    ids::{AccountId, ApiKeyId, StreamId},
    outcome::Outcome,
    time::Timestamp,
    values::{Caller, Channel, FreeText, Scope},
};
use engine::testing::{Fixture, FixtureOptions};
use event_store::testing::Scratch;
use operations::Operations;
use projections::{ViewParts, Views};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;
use vault::{KeyRing, Token, TokenKind};

pub const PASSWORD: &str = "correct horse battery staple";

pub struct Server {
    pub fixture: Fixture,
    pub operations: Arc<Operations>,
    router: Router,
    document: Value,
    _scratch: Scratch,
    _stop: DropGuard,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    pub json: Value,
}

impl Answer {
    /// The same, when it has this status.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }
    /// The same, when it is this problem.
    #[track_caller]
    pub fn refuses(self, status: u16, code: &str) -> Self {
        let answer = self.is(status);
        assert_eq!(answer.json["code"], code, "{}", answer.text);
        assert_eq!(answer.json["status"], status);
        assert_eq!(answer.json["type"], format!("urn:countersign:problem:{code}"));
        assert_eq!(answer.header("content-type"), "application/problem+json");
        if status == 429 || status == 503 {
            assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
        }
        answer
    }
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
    #[track_caller]
    pub fn text_at(&self, pointer: &str) -> String {
        let value = self.json.pointer(pointer);
        value.and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {pointer} in {}", self.text)).to_owned()
    }
}

/// A request to be.
pub struct Call<'a> {
    server: &'a Server,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Body,
    peer: SocketAddr,
    version: Version,
}

impl Call<'_> {
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        self
    }
    pub fn peer(mut self, address: &str) -> Self {
        self.peer = address.parse().unwrap();
        self
    }
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }
    pub fn json(self, body: &Value) -> Self {
        self.raw("application/json", body.to_string().into_bytes())
    }
    pub fn raw(mut self, content_type: &str, body: Vec<u8>) -> Self {
        if !content_type.is_empty() {
            self.headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        }
        self.body = Body::from(body);
        self
    }
    pub fn request(self) -> Request<Body> {
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.path.parse().unwrap();
        *request.headers_mut() = self.headers;
        *request.version_mut() = self.version;
        request.extensions_mut().insert(ConnectInfo(self.peer));
        request
    }
    /// Sends it to the router alone; its status.
    pub async fn send_unread(self) -> u16 {
        let router = self.server.router.clone();
        router.oneshot(self.request()).await.unwrap().status().as_u16()
    }
    pub async fn send(self) -> Answer {
        let server = self.server;
        let (method, path) = (self.method.clone(), self.path.clone());
        let response = server.router.clone().oneshot(self.request()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 10_000_000).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        let answer = Answer { status: parts.status, headers: parts.headers, text, json };
        server.is_documented(&method, &path, &answer);
        answer
    }
}

impl Server {
    pub async fn start() -> Self {
        Self::with(FixtureOptions::default(), ApiConfig { dev_inbox: DevInbox::Loopback, ..ApiConfig::default() }).await
    }

    pub async fn with(options: FixtureOptions, config: ApiConfig) -> Self {
        Self::over(Fixture::with(options).await, config).await
    }

    /// The service of another process over the same log, with nothing in memory.
    pub async fn beside(&self) -> Self {
        Self::over(self.fixture.beside().await, ApiConfig::default()).await
    }

    async fn over(fixture: Fixture, config: ApiConfig) -> Self {
        let scratch = Scratch::new().unwrap();
        let cancel = CancellationToken::new();
        let parts = ViewParts {
            log: fixture.store.clone(),
            keys: Arc::clone(&fixture.keys),
            runtime: fixture.engine.runtime().clone(),
        };
        let views = Arc::new(Views::sqlite(&scratch.file("views.db"), parts).await.unwrap());
        tokio::spawn(Arc::clone(&views).run(cancel.clone()));
        let operations = Self::operations(&scratch.file("operations.db")).await;
        let state = ApiState {
            engine: fixture.engine.clone(),
            views,
            operations: Arc::clone(&operations),
            config,
            shutdown: cancel.clone(),
        };
        let router = api::router(state).unwrap();
        let document = serde_json::to_value(api::openapi()).unwrap();
        Self { fixture, operations, router, document, _scratch: scratch, _stop: cancel.drop_guard() }
    }

    async fn operations(path: &Path) -> Arc<Operations> {
        Arc::new(
            Operations::sqlite(path, Arc::new(KeyRing::generate(&runtime::Runtime::system().unwrap()).unwrap()))
                .await
                .unwrap(),
        )
    }

    pub fn call(&self, method: &str, path: &str) -> Call<'_> {
        Call {
            server: self,
            method: method.parse().unwrap(),
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Body::empty(),
            peer: SocketAddr::from(([127, 0, 0, 1], 40_000)),
            version: Version::HTTP_11,
        }
    }
    pub fn get(&self, path: &str) -> Call<'_> {
        self.call("GET", path)
    }
    pub fn post(&self, path: &str) -> Call<'_> {
        self.call("POST", path)
    }
    pub fn delete(&self, path: &str) -> Call<'_> {
        self.call("DELETE", path)
    }
    pub fn router(&self) -> Router {
        self.router.clone()
    }
    pub fn document(&self) -> &Value {
        &self.document
    }
    pub fn now(&self) -> Timestamp {
        self.fixture.clock.now()
    }

    /// Every answer of an endpoint is one that the document promises.
    #[track_caller]
    fn is_documented(&self, method: &Method, path: &str, answer: &Answer) {
        let path = path.split('?').next().unwrap();
        let Some(operation) = self.operation(method, path) else { return };
        let response = &operation["responses"][answer.status.as_str()];
        assert!(!response.is_null(), "{method} {path} answers {} undocumented: {}", answer.status, answer.text);
        if let Some(code) = answer.json["code"].as_str().filter(|_| answer.status.as_u16() >= 400) {
            let codes = response["description"].as_str().unwrap();
            assert!(codes.contains(&format!("`{code}`")), "{method} {path} answers {code} undocumented");
        }
    }

    fn operation(&self, method: &Method, path: &str) -> Option<&Value> {
        let fits = |template: &str| {
            let (wanted, given): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
            let same =
                |(wanted, given): (&&str, &&str)| wanted == given || (wanted.starts_with('{') && !given.is_empty());
            wanted.len() == given.len() && wanted.iter().zip(&given).all(same)
        };
        let paths = self.document["paths"].as_object().unwrap();
        let exact = paths.get(path).or_else(|| paths.iter().find(|(template, _)| fits(template)).map(|(_, item)| item));
        exact?.get(method.as_str().to_ascii_lowercase())
    }

    /// A key with these scopes.
    pub async fn api_key(&self, scopes: &[Scope]) -> String {
        let id = ApiKeyId(self.fixture.uuid());
        let command = ApiKeyCommand::IssueApiKey {
            api_key_id: id,
            name: FreeText::parse("test").unwrap(),
            scopes: scopes.iter().copied().collect(),
            expires_at: None,
        };
        let request = self.fixture.request(Caller::Operator);
        let executed =
            self.fixture.engine.execute_on::<ApiKey>(&StreamId::ApiKey(id), &command, &request).await.unwrap();
        let Outcome::ApiKeyIssued { secret, .. } = executed.outcome.unwrap() else { panic!("no key") };
        Token { kind: TokenKind::ApiKey, stream: id.0, id: id.0, secret }.encode().expose().clone()
    }

    /// The last code that was ordered for an account over a channel.
    pub async fn code(&self, account: &str, channel: Channel) -> String {
        let account: AccountId = account.parse().unwrap();
        self.fixture.last_code(account, channel).await.unwrap().expose().clone()
    }

    /// The code that an authenticator app shows now.
    pub fn totp(&self, secret: &str) -> String {
        let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
        totp_rs::Builder::new()
            .with_algorithm(totp_rs::Algorithm::SHA1)
            .with_digits(6)
            .with_step_duration(30)
            .with_secret(secret)
            .build()
            .unwrap()
            .generate(self.now().as_seconds())
            .to_string()
    }

    /// Signs up and confirms the address.
    pub async fn sign_up(&self, email: &str) -> String {
        let body = json!({"email": email, "password": PASSWORD});
        let account = self.post("/v1/accounts").json(&body).send().await.is(201).text_at("/account_id");
        let code = self.code(&account, Channel::Email).await;
        let path = format!("/v1/accounts/{account}/email/verify");
        self.post(&path).json(&json!({"code": code})).send().await.is(200);
        account
    }

    /// Signs in where no second factor is asked for.
    pub async fn sign_in(&self, email: &str) -> String {
        let body = json!({"email": email, "password": PASSWORD});
        self.post("/v1/sign-in").json(&body).send().await.is(200).text_at("/session_token")
    }

    /// The session of a sign-in with the password and the app.
    pub async fn sign_in_by_totp(&self, person: &Person<'_>, email: &str) -> String {
        let body = json!({"email": email, "password": PASSWORD});
        let started = self.post("/v1/sign-in").json(&body).send().await.is(202);
        let path = format!("/v1/verifications/{}/attempts", started.text_at("/verification/id"));
        let attempt = json!({"method": "totp", "code": self.totp(&person.totp)});
        let token = started.text_at("/verification/token");
        self.post(&path).bearer(&token).json(&attempt).send().await.is(200).text_at("/session_token")
    }

    /// A person with an account and a session.
    pub async fn person(&self, email: &str) -> Person<'_> {
        let account = self.sign_up(email).await;
        let session = self.sign_in(email).await;
        Person {
            server: self,
            email: email.to_owned(),
            account,
            session,
            totp: String::new(),
            recovery_codes: Vec::new(),
        }
    }

    /// A person with an authenticator app.
    pub async fn person_with_totp(&self, email: &str) -> Person<'_> {
        let mut person = self.person(email).await;
        person.add_totp().await;
        person
    }
}

/// Someone with an account and a session.
pub struct Person<'a> {
    pub server: &'a Server,
    pub email: String,
    pub account: String,
    pub session: String,
    pub totp: String,
    pub recovery_codes: Vec<String>,
}

impl Person<'_> {
    pub fn get(&self, path: &str) -> Call<'_> {
        self.server.get(path).bearer(&self.session)
    }
    pub fn post(&self, path: &str) -> Call<'_> {
        self.server.post(path).bearer(&self.session)
    }
    pub fn call(&self, method: &str, path: &str) -> Call<'_> {
        self.server.call(method, path).bearer(&self.session)
    }
    pub async fn verification(&self, purpose: &str) -> String {
        let body = json!({"purpose": purpose});
        self.post("/v1/verifications").json(&body).send().await.is(201).text_at("/verification/id")
    }
    /// A verification that was completed by the app.
    pub async fn verified(&self, purpose: &str) -> String {
        let id = self.verification(purpose).await;
        self.server.fixture.clock.advance(domain::time::Seconds(60));
        let body = json!({"method": "totp", "code": self.server.totp(&self.totp)});
        self.post(&format!("/v1/verifications/{id}/attempts")).json(&body).send().await.is(200);
        id
    }
    /// A verification that was completed by a code to the address, the password typed again: all that an account
    /// without methods has.
    pub async fn mailed(&self, purpose: &str) -> String {
        self.mailed_for(purpose, json!({"purpose": purpose, "password": PASSWORD})).await
    }
    /// A verification that is no change, completed by a code to the address.
    pub async fn mailed_without_password(&self, purpose: &str) -> String {
        self.mailed_for(purpose, json!({"purpose": purpose})).await
    }
    async fn mailed_for(&self, purpose: &str, body: Value) -> String {
        let id = self.post("/v1/verifications").json(&body).send().await.is(201).text_at("/verification/id");
        if purpose != "add_method" {
            let path = format!("/v1/verifications/{id}/codes");
            self.post(&path).json(&json!({"channel": "email"})).send().await.is(202);
        }
        let code = self.server.code(&self.account, Channel::Email).await;
        let path = format!("/v1/verifications/{id}/attempts");
        self.post(&path).json(&json!({"method": "email", "code": code})).send().await.is(200);
        id
    }
    /// An access token of an account without methods.
    pub async fn access_token(&self, name: &str) -> Answer {
        let id = self.mailed("issue_access_token").await;
        let call = self.post("/v1/accounts/me/access-tokens").header("countersign-verification", &id);
        call.json(&json!({"name": name})).send().await
    }
    /// The first method: an authenticator app.
    pub async fn add_totp(&mut self) {
        self.mailed("add_method").await;
        let started = self.post("/v1/accounts/me/methods/totp").send().await.is(201);
        self.totp = started.text_at("/secret");
        let path = format!("/v1/accounts/me/methods/{}/enable", started.json["method_id"]);
        let body = json!({"code": self.server.totp(&self.totp), "label": "Phone"});
        let enabled = self.post(&path).json(&body).send().await.is(200);
        self.recovery_codes = serde_json::from_value(enabled.json["recovery_codes"].clone()).unwrap();
        self.session = enabled.text_at("/session_token");
    }
}
