//! A person with an account, and what people do again and again.

use serde_json::{Value, json};

use super::{Answer, Client, Server};

/// A password that nobody guesses.
pub const PASSWORD: &str = "korrekt-Pferd-Batterie-9";

/// Someone with an account.
#[derive(Debug, Clone)]
pub struct Person {
    /// The address.
    pub email: String,
    /// The account.
    pub account: String,
    /// A client with this person's session.
    pub client: Client,
    /// Keys of authenticator apps.
    pub totp: Option<String>,
    /// Recovery codes, as shown.
    pub recovery_codes: Vec<String>,
}

impl Person {
    /// Signs up, confirms the address, and signs in with the password alone.
    pub async fn sign_up(server: &Server, name: &str) -> Self {
        Self::register(server, &format!("{name}@example.com"), 1).await
    }

    /// The same with an address that an erased account had: one code went there before, and the next is mailed once
    /// ten minutes have passed.
    pub async fn sign_up_again(server: &Server, email: &str) -> Self {
        let codes = server.client().inbox(email).await.iter().filter(|message| message["code"].is_string()).count();
        server.advance(600);
        Self::register(server, email, codes + 1).await
    }

    async fn register(server: &Server, email: &str, nth_code: usize) -> Self {
        let client = server.client();
        let email = email.to_owned();
        let registered = client.post("/v1/accounts", json!({"email": email, "password": PASSWORD})).await.expect(201);
        assert_eq!(registered["email_verified"], false);
        let account = registered["account_id"].as_str().expect("an id").to_owned();
        let code = client.code(&email, nth_code).await;
        let verified =
            client.post(&format!("/v1/accounts/{account}/email/verify"), json!({"code": code})).await.expect(200);
        assert_eq!(verified["email_verified"], true);
        let session = client.post("/v1/sign-in", json!({"email": email, "password": PASSWORD})).await.expect(200);
        assert_eq!(session["aal"], "aal1");
        let client = client.with(session["session_token"].as_str().expect("a token"));
        Self { email, account, client, totp: None, recovery_codes: Vec::new() }
    }

    /// The same with an authenticator app.
    pub async fn with_totp(server: &Server, name: &str) -> Self {
        let mut person = Self::sign_up(server, name).await;
        person.authorize_first().await;
        person.add_totp(server).await;
        person
    }

    /// The same with a phone.
    pub async fn with_sms(server: &Server, name: &str, number: &str) -> Self {
        let mut person = Self::sign_up(server, name).await;
        person.authorize_first().await;
        person.add_sms(number).await;
        person
    }

    /// Starts a verification with the person's credential.
    pub async fn start(&self, purpose: &str) -> Value {
        self.client.post("/v1/verifications", json!({"purpose": purpose})).await.expect(201)
    }

    /// Tries a code in a verification.
    pub async fn attempt(&self, verification: &str, method: &str, code: &str) -> Answer {
        let path = format!("/v1/verifications/{verification}/attempts");
        self.client.post(&path, json!({"method": method, "code": code})).await
    }

    /// The identity check before the first method: the code comes by email by itself.
    pub async fn authorize_first(&self) {
        let codes = self.codes_mailed().await;
        let verification = self.start("add_method").await;
        let code = self.client.code(&self.email, codes + 1).await;
        let answer = self.attempt(id(&verification), "email", &code).await.expect(200);
        assert_eq!(answer["status"], "verified");
    }

    /// A verification by TOTP.
    pub async fn verify_by_totp(&self, server: &Server, purpose: &str) -> String {
        let verification = self.start(purpose).await;
        let code = server.fresh_totp(self.totp.as_deref().expect("an app"));
        let answer = self.attempt(id(&verification), "totp", &code).await.expect(200);
        assert_eq!(answer["status"], "verified");
        id(&verification).to_owned()
    }

    /// A verification by a code to the address, the password typed again: all that an account without methods has.
    pub async fn verify_by_mail(&self, purpose: &str) -> String {
        let codes = self.codes_mailed().await;
        let body = json!({"purpose": purpose, "password": PASSWORD});
        let started = self.client.post("/v1/verifications", body).await.expect(201);
        let path = format!("/v1/verifications/{}/codes", id(&started));
        if purpose != "add_method" {
            self.client.post(&path, json!({"channel": "email"})).await.expect(202);
        }
        let code = self.client.code(&self.email, codes + 1).await;
        self.attempt(id(&started), "email", &code).await.expect(200);
        id(&started).to_owned()
    }

    /// An access token, by a verification that was completed for it.
    pub async fn access_token(&self, name: &str, verification: &str) -> Value {
        let acting = self.client.header("Countersign-Verification", verification);
        acting.post("/v1/accounts/me/access-tokens", json!({"name": name})).await.expect(201)
    }

    /// Where the answer has a new token, the session goes on under it.
    pub fn go_on_with(&mut self, answer: &Value) {
        if let Some(token) = answer["session_token"].as_str() {
            self.client = self.client.with(token);
        }
    }

    /// How many mails with a code have come so far.
    pub async fn codes_mailed(&self) -> usize {
        self.codes_mailed_to(&self.client).await
    }

    /// The same, asked by another client of the same server.
    pub async fn codes_mailed_to(&self, client: &Client) -> usize {
        client.inbox(&self.email).await.iter().filter(|message| message["code"].is_string()).count()
    }

    /// Enrolls an authenticator app; authorized before.
    pub async fn add_totp(&mut self, server: &Server) -> Value {
        let started = self.client.post("/v1/accounts/me/methods/totp", json!({})).await.expect(201);
        let secret = started["secret"].as_str().expect("a key").to_owned();
        let code = server.fresh_totp(&secret);
        let path = format!("/v1/accounts/me/methods/{}/enable", started["method_id"]);
        let enabled = self.client.post(&path, json!({"code": code, "label": "phone app"})).await.expect(200);
        self.totp = Some(secret);
        self.remember_codes(&enabled);
        self.go_on_with(&enabled);
        enabled
    }

    /// Enrolls a number; authorized before.
    pub async fn add_sms(&mut self, number: &str) -> Value {
        let started =
            self.client.post("/v1/accounts/me/methods/sms", json!({"phone_number": number})).await.expect(201);
        let code = self.client.code(number, 1).await;
        let path = format!("/v1/accounts/me/methods/{}/enable", started["method_id"]);
        let enabled = self.client.post(&path, json!({"code": code})).await.expect(200);
        self.remember_codes(&enabled);
        self.go_on_with(&enabled);
        enabled
    }

    fn remember_codes(&mut self, enabled: &Value) {
        if let Some(codes) = enabled["recovery_codes"].as_array() {
            self.recovery_codes = codes.iter().map(|code| code.as_str().expect("a code").to_owned()).collect();
        }
    }

    /// The first step of a sign-in with 2FA: the verification, and a client that holds its token.
    pub async fn begin_sign_in(&self, server: &Server) -> (Value, Client) {
        let client = server.client();
        let body = json!({"email": self.email, "password": PASSWORD});
        let answer = client.post("/v1/sign-in", body).await.expect(202);
        let verification = answer["verification"].clone();
        let token = verification["token"].as_str().expect("its own token").to_owned();
        (verification, client.with(&token))
    }

    /// Signs in with a code of the app; the person acts with the new session from then on.
    pub async fn sign_in_by_totp(&mut self, server: &Server) -> Value {
        let (verification, client) = self.begin_sign_in(server).await;
        let code = server.fresh_totp(self.totp.as_deref().expect("an app"));
        let path = format!("/v1/verifications/{}/attempts", id(&verification));
        let answer = client.post(&path, json!({"method": "totp", "code": code})).await.expect(200);
        assert_eq!(answer["aal"], "aal2");
        self.client = client.with(answer["session_token"].as_str().expect("a session"));
        answer
    }
}

/// The id of an answer's object.
pub fn id(value: &Value) -> &str {
    value["id"].as_str().or_else(|| value["verification"]["id"].as_str()).expect("an id")
}
