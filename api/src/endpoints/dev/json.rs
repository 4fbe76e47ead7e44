//! The inbox for programs.

use axum::extract::State;

use super::{InboxReader, Message, Wanted, messages};
use crate::{
    endpoint::{About, Access, Kind},
    extract::Query,
    problem::{Code, Problem},
    shapes::Answer,
    state::App,
    views::Page,
};

pub(crate) const ABOUT: About =
    About { access: Access::Anyone, kind: Kind::Read, problems: &[Code::NotFound, Code::InvalidRequest] };

/// List what was sent
///
/// Development only: 404 unless messages go to the inbox, and then only for programs of this machine.
#[utoipa::path(get, path = "/dev/inbox.json", operation_id = "dev_inbox", tag = "development", params(Wanted),
    responses((status = 200, description = "Newest first.", body = Page<Message>)))]
pub(crate) async fn handler(
    State(app): State<App>,
    _reader: InboxReader,
    Query(wanted): Query<Wanted>,
) -> Result<Answer<Page<Message>>, Problem> {
    Ok(Answer::ok(Page::whole(messages(&app, &wanted).await?)))
}
