//! The history: listed, streamed, replayed. Reading it beyond a list is history too.

pub(crate) mod events;
pub(crate) mod history;
mod present;
pub(crate) mod state;
mod steps;
pub(crate) mod stream;

use domain::{
    audit_access::{AuditAccess, RecordAccess},
    events::HistoryAccess,
    ids::{AccountId, StreamId},
    values::{Caller, Scope},
};
use projections::queries::Reveal;

use crate::{problem::Problem, state::AppState};

/// Records how the history is read, before anything of it is answered.
async fn record(
    app: &AppState,
    access: HistoryAccess,
    account_id: Option<AccountId>,
    request: &engine::Request,
) -> Result<(), Problem> {
    let Caller::ApiClient(reader, _) = &request.caller else { return Err(Problem::forbidden()) };
    let stream = StreamId::AuditAccess(reader.to_string());
    let command = RecordAccess { access, account_id };
    let executed = app.engine.execute_on::<AuditAccess>(&stream, &command, request).await?;
    executed.outcome.map(drop).map_err(Problem::from)
}

/// What the reader may see of addresses and numbers: masked, or in clear when asked for, which needs a scope
/// and is recorded.
async fn reveal(
    app: &AppState,
    in_clear: bool,
    account_id: Option<AccountId>,
    request: &engine::Request,
) -> Result<Reveal, Problem> {
    if !in_clear {
        return Ok(Reveal::Masked);
    }
    if !request.caller.has(Scope::AuditPii) {
        return Err(Problem::forbidden());
    }
    record(app, HistoryAccess::Pii, account_id, request).await?;
    Ok(Reveal::Clear)
}
