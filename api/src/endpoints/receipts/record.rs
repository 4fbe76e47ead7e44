//! A gateway's receipt. Its signature is its only credential.

use axum::{extract::State, http::StatusCode};
use domain::{
    delivery::{Delivery, DeliveryCommand},
    ids::StreamId,
    outcome::Outcome,
};

use crate::{
    endpoint::{About, Access, Kind},
    extract::Posted,
    problem::{Code, Problem},
    receipts::{CallBack, ReceiptRefused},
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
    let source = app.config.receipts.of(&posted.gateway).ok_or_else(Problem::not_found)?;
    let call_back = CallBack { query: &posted.query, headers: &posted.headers, body: &posted.body, now: app.now() };
    let receipt = source.read(&call_back).map_err(|refused| {
        let outcome = if refused == ReceiptRefused::Forged { "forged" } else { "unreadable" };
        count(source.gateway(), outcome);
        match refused {
            ReceiptRefused::Forged => Problem::new(Code::Forbidden, "The signature is not the gateway's."),
            ReceiptRefused::Unreadable => Problem::invalid("body", "names no delivery"),
        }
    })?;
    let stream = StreamId::Delivery(receipt.order_id);
    let known = app.engine.load_stream::<Delivery>(&stream).await?;
    // A gateway speaks of its own tries only. Those before the last one are over, whatever is said of them.
    let is_its_own = known.state.last.as_ref().is_some_and(|last| {
        receipt.attempt < last.attempt || receipt.attempt == last.attempt && last.provider == source.gateway()
    });
    if !is_its_own {
        count(source.gateway(), "unknown");
        return Err(Problem::not_found());
    }
    let Some(command) = receipt.command else {
        count(source.gateway(), "pending");
        return Ok(StatusCode::NO_CONTENT);
    };
    count(
        source.gateway(),
        if matches!(command, DeliveryCommand::RecordDelivery { .. }) { "delivered" } else { "failed" },
    );
    let request = posted.request(&app, receipt.order_id)?;
    let executed = app.engine.execute_on::<Delivery>(&stream, &command, &request).await?;
    let ((), _) = told!(executed, "record_receipt", Outcome::Done => ());
    Ok(StatusCode::NO_CONTENT)
}

fn count(gateway: &str, outcome: &'static str) {
    metrics::counter!("countersign_receipts_total", "gateway" => gateway.to_owned(), "outcome" => outcome).increment(1);
}
