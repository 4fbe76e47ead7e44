//! Where a port of one room is served by another room that does not know it.

use std::sync::Arc;

use api::ReceiptSource;
use async_trait::async_trait;
use domain::delivery::DeliveryCommand;
use operations::{self, Operations};
use workers::{
    Inbox, InboxMessage, InboxUnavailable,
    gateways::receipts::{CallBack, ReceiptRefused, ReceiptState, ReceiptVerifier},
};

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

/// What the workers' gateways know of their receipts, for the HTTP interface.
pub struct GatewayReceipts(pub Arc<dyn ReceiptVerifier>);

impl ReceiptSource for GatewayReceipts {
    fn gateway(&self) -> &str {
        self.0.gateway()
    }

    fn read(&self, call_back: &api::CallBack<'_>) -> Result<api::Receipt, api::ReceiptRefused> {
        let headers = call_back.headers;
        // A header that is given twice may be signed once: it is as if it were not there.
        let header = |name: &str| {
            let mut values = headers.get_all(name).iter();
            values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
        };
        let asked = CallBack { query: call_back.query, header: &header, body: call_back.body, now: call_back.now };
        let receipt = self.0.read(&asked).map_err(|refused| match refused {
            ReceiptRefused::Forged => api::ReceiptRefused::Forged,
            ReceiptRefused::Unreadable => api::ReceiptRefused::Unreadable,
        })?;
        let attempt = receipt.attempt;
        let command = match receipt.state {
            ReceiptState::Pending => None,
            ReceiptState::Delivered => Some(DeliveryCommand::RecordDelivery { attempt }),
            ReceiptState::Failed { reason } => {
                let reason = reason.to_owned();
                Some(DeliveryCommand::RecordDeliveryFailure { attempt, reason, is_final: false })
            }
        };
        Ok(api::Receipt { order_id: receipt.order_id, attempt, command })
    }
}
