//! Delivery receipts: what a gateway says, later and by itself, of a message that it took.
//!
//! A call-back names the order and the try, and is signed with a secret of the gateway. Reading one is pure; what
//! it says is recorded by the commands of the delivery stream, which take a repeated, late or out-of-order receipt
//! for what it is.

use super::DeliveryCommand;
use crate::{ids::EventId, time::Timestamp};

/// A receipt that is genuine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The order.
    pub order_id: EventId,
    /// The try.
    pub attempt: u32,
    /// What became of it.
    pub state: ReceiptState,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptState {
    /// On its way: nothing to record.
    Pending,
    /// It arrived.
    Delivered,
    /// It will not arrive.
    Failed {
        /// As `CodeDeliveryFailed` keeps it: `hard.` and a short stable word.
        reason: &'static str,
    },
}

impl ReceiptState {
    /// A short stable word, for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed { .. } => "failed",
        }
    }
}

impl Receipt {
    /// What is to be recorded of it, if anything.
    pub fn command(&self) -> Option<DeliveryCommand> {
        let attempt = self.attempt;
        match self.state {
            ReceiptState::Pending => None,
            ReceiptState::Delivered => Some(DeliveryCommand::RecordDelivery { attempt }),
            ReceiptState::Failed { reason } => {
                Some(DeliveryCommand::RecordDeliveryFailure { attempt, reason: reason.to_owned() })
            }
        }
    }
}

/// A request that says it is a receipt.
#[derive(Clone, Copy)]
pub struct CallBack<'a> {
    /// The query of its address, undecoded, without the question mark.
    pub query: &'a str,
    /// The value of a header by its lower-case name; `None` when it is absent, no text, or given twice.
    pub header: &'a (dyn Fn(&str) -> Option<&'a str> + Sync),
    /// Its body.
    pub body: &'a [u8],
    /// Now.
    pub now: Timestamp,
}

/// A call-back that is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptRefused {
    /// It does not come from the gateway, or too late; which of it is nobody's business.
    #[error("the call-back is not signed by the gateway")]
    Forged,
    /// It comes from the gateway, and names nothing that can be read.
    #[error("the call-back names no delivery")]
    Unreadable,
}

/// Reads the receipts of one gateway.
pub trait ReceiptVerifier: Send + Sync + 'static {
    /// The gateway's name, as it stands in the path and in history.
    fn gateway(&self) -> &str;
    /// The receipt, when it is genuine.
    fn read(&self, call_back: &CallBack<'_>) -> Result<Receipt, ReceiptRefused>;
}
