//! The development inbox: what was sent, where no gateway is set up. It shows codes, so it is only for
//! programs of the same machine, and not for web pages that a browser there has open: a page elsewhere can
//! point a name of its own at 127.0.0.1, but it cannot change the `Host` that the browser sends. Nor for a proxy of this
//! machine, which asks for everybody.

pub(crate) mod json;
pub(crate) mod page;

use axum::{extract::FromRequestParts, http::request::Parts};
use domain::{secret::SecretText, time::Timestamp, values::Channel};
use operations::InboxMessage;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    extract::is_of_this_machine,
    problem::Problem,
    state::{App, AppState, DevInbox},
    words::ChannelWord,
};

/// Messages of one answer.
const MOST: u32 = 1_000;

/// Proof that the caller may read the inbox.
pub(crate) struct InboxReader;

impl FromRequestParts<App> for InboxReader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let may_read = match app.config.dev_inbox {
            DevInbox::Off => false,
            DevInbox::Exposed => true,
            DevInbox::Loopback => is_of_this_machine(parts),
        };
        if may_read { Ok(Self) } else { Err(Problem::not_found()) }
    }
}

/// Which messages.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Only those to this address or number.
    to: Option<String>,
}

/// A message.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = InboxMessage)]
pub(crate) struct Message {
    /// Names the send.
    #[schema(value_type = Uuid)]
    id: Uuid,
    /// How it would have travelled.
    #[schema(value_type = ChannelWord)]
    channel: Channel,
    /// The address or number.
    to: String,
    /// The subject of a mail.
    subject: Option<String>,
    /// The words.
    #[schema(value_type = String)]
    body: SecretText,
    /// The code within.
    #[schema(value_type = Option<String>)]
    code: Option<SecretText>,
    /// When it was sent.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

impl From<InboxMessage> for Message {
    fn from(message: InboxMessage) -> Self {
        let InboxMessage { id, channel, to, subject, body, code, at } = message;
        Self { id, channel, to, subject, body, code, at }
    }
}

/// The messages, newest first.
async fn messages(app: &AppState, wanted: &Wanted) -> Result<Vec<Message>, Problem> {
    // A `+` of a number is a space to whoever decodes a query by the letter.
    let to = wanted.to.as_deref().map(|to| if to.starts_with(' ') { to.replacen(' ', "+", 1) } else { to.to_owned() });
    let messages = app
        .operations
        .inbox_list(to.as_deref(), MOST)
        .await
        .map_err(|error| Problem::unavailable(error.to_string()))?;
    Ok(messages.into_iter().map(Into::into).collect())
}
