//! Delivery receipts: who reads each gateway's call-backs. Which gateways there are, and how each signs, is not this
//! room's to know.

use std::{fmt, sync::Arc};

use axum::http::HeaderMap;
use domain::delivery::ReceiptVerifier;

/// The gateways that send receipts.
#[derive(Clone, Default)]
pub struct ReceiptVerifiers(Arc<[Arc<dyn ReceiptVerifier>]>);

impl ReceiptVerifiers {
    /// These gateways.
    pub fn new(verifiers: Vec<Arc<dyn ReceiptVerifier>>) -> Self {
        Self(verifiers.into())
    }
    pub(crate) fn of(&self, gateway: &str) -> Option<&dyn ReceiptVerifier> {
        self.0.iter().find(|verifier| verifier.gateway() == gateway).map(AsRef::as_ref)
    }
}

impl fmt::Debug for ReceiptVerifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|verifier| verifier.gateway())).finish()
    }
}

/// The value of a header. One that is given twice may be signed once: it is as if it were not there.
pub(crate) fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
}
