//! A gateway's receipt. Its signature is its only credential.

use axum::{extract::State, http::StatusCode};
use domain::{
    delivery::{CallBack, Delivery, ReceiptRefused},
    ids::StreamId,
    outcome::Outcome,
};

use crate::{
    endpoint::{About, Access, Kind},
    extract::Posted,
    problem::{Code, Problem},
    receipts::only,
    shapes::told,
    state::App,
};

pub(crate) const ABOUT: About = About {
    access: Access::Anyone,
    kind: Kind::CallBack,
    problems: &[Code::Forbidden, Code::NotFound, Code::InvalidRequest],
};

/// Tell of a delivery
///
/// For gateways. Twilio posts its status call-backs here (`X-Twilio-Signature`), a webhook its receipts, signed as
/// Standard Webhooks has it (`webhook-id`, `webhook-timestamp`, `webhook-signature`). The same receipt again changes
/// nothing, and neither does one that comes late.
#[utoipa::path(post, path = "/v1/receipts/{gateway}", operation_id = "record_receipt", tag = "gateways",
    request_body(description = "What the gateway sends.", content(
        (String = "application/x-www-form-urlencoded"),
        (serde_json::Value = "application/json"),
    )),
    responses((status = 204, description = "Taken, whether or not it was news.")))]
pub(crate) async fn handler(State(app): State<App>, posted: Posted) -> Result<StatusCode, Problem> {
    let verifier = app.config.receipts.of(&posted.gateway).ok_or_else(Problem::not_found)?;
    let header = |name: &str| only(&posted.headers, name);
    let call_back = CallBack { query: &posted.query, header: &header, body: &posted.body, now: app.now() };
    let receipt = verifier.read(&call_back).map_err(|refused| {
        let (outcome, problem) = match refused {
            ReceiptRefused::Forged => ("forged", Problem::new(Code::Forbidden, "The signature is not the gateway's.")),
            ReceiptRefused::Unreadable => ("unreadable", Problem::invalid("body", "names no delivery")),
        };
        count(verifier.gateway(), outcome);
        problem
    })?;
    let stream = StreamId::Delivery(receipt.order_id);
    let known = app.engine.load_stream::<Delivery>(&stream).await?;
    // A gateway speaks of its own tries only. Those before the last one are over, whatever is said of them.
    let is_its_own = known.state.last().is_some_and(|last| {
        receipt.attempt < last.attempt || receipt.attempt == last.attempt && last.provider == verifier.gateway()
    });
    if !is_its_own {
        count(verifier.gateway(), "unknown");
        return Err(Problem::not_found());
    }
    count(verifier.gateway(), receipt.state.name());
    let Some(command) = receipt.command() else { return Ok(StatusCode::NO_CONTENT) };
    let request = posted.request(&app, receipt.order_id)?;
    let executed = app.engine.execute_on::<Delivery>(&stream, &command, &request).await?;
    let ((), _) = told!(executed, "record_receipt", Outcome::Done => ());
    Ok(StatusCode::NO_CONTENT)
}

fn count(gateway: &str, outcome: &'static str) {
    metrics::counter!("countersign_receipts_total", "gateway" => gateway.to_owned(), "outcome" => outcome).increment(1);
}
