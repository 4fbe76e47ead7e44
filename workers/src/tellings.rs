//! Who is told of a noticed event, and how. Pure: all of it follows from the account before the event and after it.
//!
//! It is what the account was then, not what it is when a worker gets to it: whoever changes an address right after
//! something else must not be the one who is told of that.

use std::collections::BTreeMap;

use domain::{
    decision::Decider,
    events::{ChangesFrozen, ChangesUnfrozen, Event},
    ids::{EventId, MethodId},
    personal::Personal,
    state::{Account, Device, Phase},
    values::{EmailAddress, PhoneNumber},
};
use messages::{Notice, Undo};
use schemas::envelope::RecordedEvent;

use crate::steps::{second_order, text_order};

/// One message of a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Telling {
    /// Names the send: the event's own id for the first mail, one derived from it for each other message.
    pub order: EventId,
    /// Where it goes.
    pub to: Recipient,
    /// What it says.
    pub notice: Notice,
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recipient {
    Address(EmailAddress),
    Number(PhoneNumber),
}

/// Who is told. `undo` is the way back from a change of address: it goes to the old address and nowhere else. Nobody
/// hears of an account at an address that never was confirmed.
pub(crate) fn tellings(
    recorded: &RecordedEvent,
    notice: &Notice,
    undo: Option<Undo>,
    before: &Account,
) -> Vec<Telling> {
    let (id, event) = (recorded.id, &recorded.event);
    let after = before.clone().evolve(event, recorded.metadata.at);
    // The next method is the primary one by itself once the primary one is removed, and the removal is told.
    let goes_without_saying = matches!(event, Event::PrimaryMethodChanged(_)) && before.primary.is_none();
    if after.phase != Phase::Confirmed || goes_without_saying {
        return Vec::new();
    }
    let mail = |order, to: Option<&Personal<EmailAddress>>, notice| {
        let to = to?.known()?.clone();
        Some(Telling { order, to: Recipient::Address(to), notice })
    };
    let mut all: Vec<Telling> = mail(id, after.email.as_ref(), notice.clone()).into_iter().collect();
    match event {
        Event::EmailChanged(_) => {
            all.extend(mail(second_order(id), before.email.as_ref(), Notice::EmailChangedFrom { undo }));
            all.extend(texts(id, numbers(before), notice));
        }
        Event::EmailChangeUndone(_) => {
            all.extend(mail(second_order(id), before.email.as_ref(), Notice::EmailChangeUndoneFrom));
            all.extend(texts(id, numbers(before).into_iter().chain(numbers(&after)).collect(), notice));
        }
        // Whoever has the old mailbox did that, or should know.
        Event::ChangesFrozen(ChangesFrozen { change, .. }) | Event::ChangesUnfrozen(ChangesUnfrozen { change }) => {
            let change = before.address_changes.iter().find(|known| known.id == *change);
            let old = change.and_then(|change| change.before.email.as_ref());
            all.extend(mail(second_order(id), old, notice.clone()));
        }
        Event::MethodDisabled(_) | Event::TwoFactorReset(_) => all.extend(texts(id, numbers(before), notice)),
        _ => {}
    }
    all
}

/// The numbers on file, by their methods.
fn numbers(account: &Account) -> BTreeMap<MethodId, PhoneNumber> {
    let number = |device: &Device| match device {
        Device::Sms { phone_number, .. } => phone_number.known().cloned(),
        Device::Totp { .. } => None,
    };
    account.methods.iter().filter_map(|(id, method)| Some((*id, number(&method.device)?))).collect()
}

fn texts(id: EventId, numbers: BTreeMap<MethodId, PhoneNumber>, notice: &Notice) -> impl Iterator<Item = Telling> {
    numbers.into_iter().map(move |(method, number)| Telling {
        order: text_order(id, method),
        to: Recipient::Number(number),
        notice: notice.clone(),
    })
}
