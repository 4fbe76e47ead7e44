//! Ids of what workers do, derived from the order: the same step of the same order is the same command on
//! every machine and after every restart.

use domain::ids::{CommandId, EventId, MethodId};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What a worker records of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Dispatched,
    Delivered,
    Failed,
}

impl Step {
    const fn name(self) -> &'static str {
        match self {
            Self::Dispatched => "dispatched",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// The command that records a step.
///
/// Claims have no derived id: the same command twice is told the same outcome, and two workers must never
/// both be told that the order is theirs. A claim's id is random.
pub(crate) fn command_id(order: EventId, step: Step, attempt: u32) -> CommandId {
    CommandId(derive(order, step.name(), attempt))
}

/// A second order of one event: the mail to the other address, when an address was changed.
pub(crate) fn second_order(order: EventId) -> EventId {
    EventId(derive(order, "previous address", 0))
}

/// A further order of one event: the text to the number of a method.
pub(crate) fn text_order(order: EventId, method: MethodId) -> EventId {
    EventId(derive(order, "text to a number", method.0))
}

/// The orders of a farewell, one for each address.
pub(crate) fn farewell_order(order: EventId, number: u32) -> EventId {
    if number == 0 { order } else { EventId(derive(order, "farewell", number)) }
}

/// The command that notes an unfinished sign-in.
pub(crate) fn unfinished(begun: EventId) -> CommandId {
    CommandId(derive(begun, "unfinished sign-in", 0))
}

/// `UUIDv8` (RFC 9562, 5.8) of a hash.
fn derive(order: EventId, what: &str, number: u32) -> Uuid {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(b"countersign worker\0")
        .chain_update(order.0.as_bytes())
        .chain_update(number.to_be_bytes())
        .chain_update(what.as_bytes())
        .finalize()
        .into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_of_every_try_has_its_own_id_and_always_the_same() {
        let order = EventId(Uuid::from_u128(1));
        let ids = [
            command_id(order, Step::Dispatched, 1),
            command_id(order, Step::Delivered, 1),
            command_id(order, Step::Failed, 1),
            command_id(order, Step::Failed, 2),
            command_id(EventId(Uuid::from_u128(2)), Step::Failed, 2),
            CommandId(second_order(order).0),
            CommandId(text_order(order, MethodId(1)).0),
            CommandId(text_order(order, MethodId(2)).0),
            unfinished(order),
            CommandId(farewell_order(order, 1).0),
        ];
        assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len());
        assert_eq!(ids[0], command_id(order, Step::Dispatched, 1));
        assert_eq!(ids[0].0.get_version_num(), 8);
    }
}
