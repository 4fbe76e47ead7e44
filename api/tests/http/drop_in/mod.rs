//! The two-factor API of vast.ai: its shapes, its codes, and the oddities that scripts rely on.

mod bad_input;
mod checks;
mod methods;
mod signed_out;

use domain::{time::Seconds, values::Channel};
use serde_json::{Value, json};

use crate::server::{Answer, Person, Server};

const NUMBER: &str = "+436601234567";
const OTHER: &str = "+447400123456";

impl Person<'_> {
    /// One call of the contract, with this person's key.
    pub async fn tfa(&self, method: &str, path: &str, body: Value) -> Answer {
        self.call(method, &format!("/api/v0/tfa/{path}")).json(&body).send().await
    }
    /// The last code that was sent over a channel.
    pub async fn sent(&self, channel: Channel) -> String {
        self.server.code(&self.account, channel).await
    }
    /// The next code of the app: a step later, so that it is not spent.
    pub fn fresh_totp(&self) -> String {
        self.server.fixture.clock.advance(Seconds(60));
        self.server.totp(&self.totp)
    }
    /// An access token: the key of the contract's clients.
    pub async fn key(&self) -> String {
        let id = self.verified("issue_access_token").await;
        let call = self.post("/v1/accounts/me/access-tokens").header("countersign-verification", &id);
        call.json(&json!({"name": "cli"})).send().await.is(201).text_at("/token")
    }
    /// Authorized by the app to add a method.
    pub async fn authorized(&self) {
        let started = self.tfa("POST", "authorize-new-method/", json!({"tfa_method": "totp"})).await.is(200);
        let body = json!({"secret": started.json["secret"], "code": self.fresh_totp()});
        self.tfa("PUT", "authorize-new-method/", body).await.says("Authorization successful.");
    }
    /// A phone beside the app.
    pub async fn with_phone(self) -> Self {
        self.authorized().await;
        let sent = self.tfa("POST", "sms/", json!({"phone_number": NUMBER})).await.says("2FA Sent");
        let code = self.sent(Channel::Sms).await;
        let body = json!({
            "tfa_method": "sms", "code": code, "secret": sent.json["secret"], "phone_number": NUMBER, "label": "Phone",
        });
        self.tfa("POST", "confirm-new/", body).await.is(200);
        self.server.fixture.clock.advance(Seconds(60));
        self
    }
}

impl Answer {
    /// A success that says this.
    #[track_caller]
    fn says(self, msg: &str) -> Self {
        let answer = self.is(200);
        assert_eq!((&answer.json["success"], &answer.json["msg"]), (&json!(true), &json!(msg)), "{}", answer.text);
        answer
    }
    /// An error of the contract.
    #[track_caller]
    fn fails(self, status: u16, code: &str) -> Self {
        let answer = self.is(status);
        assert_eq!((&answer.json["success"], &answer.json["error"]), (&json!(false), &json!(code)), "{}", answer.text);
        assert!(answer.json["msg"].is_string(), "{}", answer.text);
        assert_eq!(answer.header("content-type"), "application/json");
        if status == 429 {
            assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
        }
        answer
    }
    fn secret(&self) -> Value {
        assert!(self.json["secret"].is_string(), "{}", self.text);
        self.json["secret"].clone()
    }
}

async fn with_app(server: &Server) -> Person<'_> {
    server.person_with_totp("ada@example.com").await
}

/// A code that is not this one.
fn another(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000)
}
