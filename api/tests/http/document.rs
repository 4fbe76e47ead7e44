//! The OpenAPI document: complete, checked in, browsable.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

use crate::server::Server;

#[test]
fn the_document_is_the_one_that_is_checked_in() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/openapi.json");
    let mut written = serde_json::to_string_pretty(&api::openapi()).unwrap();
    written.push('\n');
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(known == written, "schemas/openapi.json differs: UPDATE_GOLDEN=1 cargo test -p api writes it anew");
}

#[tokio::test]
async fn it_is_served_as_openapi_3_1() {
    let server = Server::start().await;
    let answer = server.get("/openapi.json").send().await.is(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json["openapi"], "3.1.0");
    assert_eq!(&answer.json, server.document());
}

/// Every route is described: what is described answers, and what answers otherwise is in this list.
#[tokio::test]
async fn routes_and_document_are_the_same() {
    let server = Server::start().await;
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    for (path, item) in server.document()["paths"].as_object().unwrap() {
        let concrete = path.replace("{account}", "me").replace("{id}", "1");
        for method in methods {
            let status = server.call(method, &concrete).header("host", "localhost").send().await.status;
            let is_described = item.get(method.to_ascii_lowercase()).is_some();
            assert_eq!(status != 405, is_described, "{method} {path} answers {status}");
        }
    }
    for path in ["/openapi.json", "/docs/"] {
        server.get(path).send().await.is(200);
    }
}

#[tokio::test]
async fn every_operation_has_a_name_a_summary_and_its_problems() {
    let server = Server::start().await;
    let mut names = BTreeSet::new();
    for (path, item) in server.document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name), "{name} twice");
            assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{method} {path}");
            let responses = operation["responses"].as_object().unwrap();
            for status in ["500", "503"] {
                assert!(responses.contains_key(status), "{method} {path} without {status}");
            }
            for (status, response) in responses {
                let is_problem = response["content"].get("application/problem+json").is_some();
                assert_eq!(is_problem, status.as_str() >= "400", "{method} {path} {status}");
            }
        }
    }
}

#[tokio::test]
async fn references_lead_somewhere() {
    let server = Server::start().await;
    let mut references = BTreeSet::new();
    collect(server.document(), &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(server.document().pointer(pointer).is_some(), "{reference}");
    }
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            references.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|inner| collect(inner, references));
        }
        Value::Array(items) => items.iter().for_each(|inner| collect(inner, references)),
        _ => {}
    }
}

#[tokio::test]
async fn the_viewer_comes_from_the_binary_and_asks_nobody_else() {
    let server = Server::start().await;
    let moved = server.get("/docs").send().await.is(303);
    assert_eq!(moved.header("location"), "/docs/");
    let page = server.get("/docs/").send().await.is(200);
    let policy = page.header("content-security-policy");
    assert!(policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!page.text.contains("http://") && !page.text.contains("https://"));
    assert!(!page.text.contains("<script>"), "inline scripts would be blocked");
    let script = server.get("/docs/swagger-initializer.js").send().await.is(200);
    assert!(script.text.contains("\"/openapi.json\""), "{}", script.text);
    assert!(
        script.text.contains("\"validatorUrl\": \"none\"") || script.text.contains("validatorUrl"),
        "{}",
        script.text
    );
    server.get("/docs/swagger-ui.css").send().await.is(200);
    server.get("/docs/nothing").send().await.is(404);
}
