//! Where a port of one room is served by another room that does not know it.

use std::sync::Arc;

use async_trait::async_trait;
use projections::operations::{self, Operations};
use workers::{Inbox, InboxMessage, InboxUnavailable};

/// The development inbox of the workers, kept sealed beside the views.
#[derive(Debug, Clone)]
pub struct SealedInbox(pub Arc<Operations>);

#[async_trait]
impl Inbox for SealedInbox {
    async fn put(&self, message: InboxMessage) -> Result<(), InboxUnavailable> {
        let InboxMessage { id, channel, to, subject, body, code, at } = message;
        let kept = operations::InboxMessage { id, channel, to, subject, body, code, at };
        self.0.inbox_put(kept).await.map_err(|_| InboxUnavailable)
    }
}
