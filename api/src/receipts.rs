//! Delivery receipts: the port to whatever reads a gateway's call-backs. Which gateways there are, and how each
//! signs, is not this room's to know.

use std::{fmt, sync::Arc};

use axum::http::HeaderMap;
use domain::{delivery::DeliveryCommand, ids::EventId, time::Timestamp};

/// A request that says it is a gateway's.
#[derive(Clone, Copy)]
pub struct CallBack<'a> {
    /// The query of its address, undecoded, without the question mark.
    pub query: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: &'a [u8],
    /// Now.
    pub now: Timestamp,
}

/// A receipt whose signature is good.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// The order.
    pub order_id: EventId,
    /// The try.
    pub attempt: u32,
    /// What is to be recorded of it, if anything.
    pub command: Option<DeliveryCommand>,
}

/// A call-back that is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptRefused {
    /// It does not come from the gateway.
    Forged,
    /// It names no delivery.
    Unreadable,
}

/// Reads the call-backs of one gateway.
pub trait ReceiptSource: Send + Sync + 'static {
    /// The gateway's name, as in the path.
    fn gateway(&self) -> &str;
    /// The receipt, when the gateway signed it.
    fn read(&self, call_back: &CallBack<'_>) -> Result<Receipt, ReceiptRefused>;
}

/// The gateways that send receipts.
#[derive(Clone, Default)]
pub struct ReceiptSources(Arc<[Arc<dyn ReceiptSource>]>);

impl ReceiptSources {
    /// These gateways.
    pub fn new(sources: Vec<Arc<dyn ReceiptSource>>) -> Self {
        Self(sources.into())
    }
    pub(crate) fn of(&self, gateway: &str) -> Option<Arc<dyn ReceiptSource>> {
        self.0.iter().find(|source| source.gateway() == gateway).cloned()
    }
}

impl fmt::Debug for ReceiptSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|source| source.gateway())).finish()
    }
}
