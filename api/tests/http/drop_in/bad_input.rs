//! Whatever is sent, the answer has the contract's form, and nothing is half done.

use api::{ApiConfig, DevInbox};
use engine::testing::FixtureOptions;
use serde_json::json;

use super::with_app;
use crate::server::Server;

const CALLS: [(&str, &str); 12] = [
    ("POST", "tfa/"),
    ("DELETE", "tfa/"),
    ("GET", "tfa/status/"),
    ("POST", "tfa/authorize-new-method/"),
    ("PUT", "tfa/authorize-new-method/"),
    ("POST", "tfa/totp-setup/"),
    ("POST", "tfa/sms/"),
    ("POST", "tfa/sms/resend/"),
    ("POST", "tfa/email/"),
    ("POST", "tfa/confirm-new/"),
    ("PUT", "tfa/update/"),
    ("PUT", "tfa/regen-backup-codes/"),
];

#[tokio::test]
async fn what_is_no_json_object_is_a_bad_request_everywhere() {
    let server = Server::start().await;
    let anna = with_app(&server).await;
    let before = server.fixture.engine.load(anna.account.parse().unwrap()).await.unwrap().version;
    for (method, path) in CALLS {
        for body in ["[]", "7", "null", "{", "\"x\"", "{\"a\": }", "\u{0}", "{}{}"] {
            let call = anna.call(method, &format!("/api/v0/{path}")).raw("application/json", body.into());
            call.send().await.fails(400, "bad_request");
        }
        let huge = format!("{{\"x\": \"{}\"}}", "x".repeat(70_000));
        let call = anna.call(method, &format!("/api/v0/{path}")).raw("application/json", huge.into());
        call.send().await.fails(400, "bad_request");
    }
    let after = server.fixture.engine.load(anna.account.parse().unwrap()).await.unwrap().version;
    assert_eq!(before, after);
}

#[tokio::test]
async fn wrong_types_are_a_bad_request_and_unknown_fields_are_ignored() {
    let server = Server::start().await;
    let anna = with_app(&server).await;
    for (method, path, body) in [
        ("POST", "", json!({"tfa_method": "totp", "code": 123_456})),
        ("POST", "", json!({"tfa_method": 1, "code": "123456"})),
        ("POST", "", json!({"tfa_method_id": "one", "code": "123456"})),
        ("POST", "", json!({"tfa_method_id": -1, "code": "123456"})),
        ("POST", "", json!({"tfa_method_id": 1.5, "code": "123456"})),
        ("POST", "", json!({"tfa_method": "totp", "code": ["123456"]})),
        ("POST", "", json!({"tfa_method": "totp", "code": "x".repeat(65)})),
        ("POST", "", json!({"tfa_method": "totp", "code": "12345"})),
        ("POST", "", json!({"backup_code": {}})),
        ("DELETE", "", json!({"target_id": "x", "code": "123456"})),
        ("POST", "sms/", json!({"phone_number": 436_601_234_567_u64})),
        ("POST", "sms/", json!({"phone_number": "0660 1234567"})),
        ("POST", "authorize-new-method/", json!({"tfa_method": true})),
        ("POST", "confirm-new/", json!({"tfa_method": "totp", "code": "123456", "secret": "AAAA", "label": 1})),
    ] {
        anna.tfa(method, path, body).await.fails(400, "bad_request");
    }
    anna.tfa("POST", "sms/", json!({"phone_number": "+43800123456"})).await.fails(400, "sms_blocked_number");
    let extra = json!({"tfa_method": "totp", "code": anna.fresh_totp(), "unknown": [1], "label": null});
    anna.tfa("POST", "", extra).await.is(200);
}

#[tokio::test]
async fn what_is_missing_has_its_name() {
    let server = Server::start().await;
    let anna = with_app(&server).await;
    for (method, path, body, code) in [
        ("POST", "", json!({}), "missing_auth_value"),
        ("POST", "", json!({"code": ""}), "missing_auth_value"),
        ("DELETE", "", json!({"target_id": 1}), "missing_auth_value"),
        ("PUT", "regen-backup-codes/", json!({"tfa_method": "totp"}), "missing_auth_value"),
        ("POST", "", json!({"code": "123456"}), "missing_params"),
        ("POST", "", json!({"tfa_method": "email", "code": "123456"}), "missing_params"),
        ("POST", "sms/resend/", json!({}), "missing_params"),
        ("POST", "confirm-new/", json!({"code": "123456", "secret": "AAAA"}), "missing_params"),
        ("POST", "confirm-new/", json!({"tfa_method": "totp", "code": "123456"}), "missing_params"),
        ("POST", "confirm-new/", json!({"tfa_method": "totp", "secret": "AAAA"}), "missing_auth_value"),
        ("POST", "confirm-new/", json!({"tfa_method": "email", "code": "1", "secret": "A"}), "invalid_tfa_method"),
        ("POST", "", json!({"tfa_method": "fax", "code": "123456"}), "invalid_tfa_method"),
        ("POST", "", json!({"tfa_method_id": 9, "code": "123456"}), "tfa_method_not_configured"),
        ("POST", "sms/", json!({"tfa_method_id": 1}), "tfa_method_not_configured"),
    ] {
        anna.tfa(method, path, body).await.fails(400, code);
    }
}

#[tokio::test]
async fn an_absent_body_stands_for_an_empty_one_and_the_content_type_is_not_asked_for() {
    let server = Server::start().await;
    let anna = with_app(&server).await;
    anna.post("/api/v0/tfa/totp-setup/").send().await.is(200);
    let body = json!({"tfa_method": "totp", "code": anna.fresh_totp()}).to_string();
    anna.post("/api/v0/tfa/").raw("text/plain", body.into()).send().await.is(200);
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_in_the_same_form() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    anna.get("/api/v0/tfa/nowhere/").send().await.fails(404, "not_found");
    anna.get("/api/v0/instances/").send().await.fails(404, "not_found");
    let not_so = anna.call("PATCH", "/api/v0/tfa/").send().await;
    assert_eq!((not_so.status.as_u16(), &not_so.json["error"]), (405, &json!("bad_request")));
    assert_eq!(not_so.header("cache-control"), "no-store");
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let config = ApiConfig { dev_inbox: DevInbox::Loopback, drop_in: false, ..ApiConfig::default() };
    let server = Server::with(FixtureOptions::default(), config).await;
    let anna = server.person("anna@example.com").await;
    anna.get("/api/v0/tfa/status/").send().await.refuses(404, "not_found");
}
