//! Deliveries, claims, API keys, reads of the history.

use domain::{
    events::{
        ApiKeyIssued, ApiKeyRevoked, CodeDelivered, CodeDeliveryFailed, CodeDispatched, EmailClaimed, EmailReleased,
        Event, FarewellOrdered, HistoryAccess, HistoryAccessed, NumbersReserved, RevocationReason, SendOutcomeUnknown,
        SendStarted,
    },
    ids::{AccountId, AccountNumber, ApiKeyId, EventId, VerificationId},
    personal::Personal,
    values::{Channel, InvalidValue, Purpose, Scope},
};

use super::{at, email, free, hash, phone, uuid};

pub(super) fn events() -> Result<Vec<Event>, InvalidValue> {
    let number = phone()?;
    let provider = "inbox".to_owned();
    Ok(vec![
        SendStarted {
            order_id: EventId(uuid(0x50)),
            account_id: AccountId(uuid(0x01)),
            verification_id: Some(VerificationId(uuid(0x10))),
            subject: Purpose::SignIn.name().to_owned(),
            channel: Channel::Sms,
            country: Some(number.country()),
            prefix: Some(number.prefix()),
            provider: provider.clone(),
            attempt: 1,
            ordered_at: at(0),
            deadline: at(10),
        }
        .into(),
        CodeDispatched { provider: provider.clone(), attempt: 1, provider_message_id: Some("SM0001".to_owned()) }
            .into(),
        CodeDelivered { provider: provider.clone(), attempt: 1 }.into(),
        CodeDeliveryFailed { provider: provider.clone(), attempt: 1, reason: "unreachable".to_owned(), is_final: true }
            .into(),
        SendOutcomeUnknown { provider, attempt: 1 }.into(),
        EmailClaimed { account_id: Personal::Known(AccountId(uuid(0x01))) }.into(),
        EmailReleased { reason: RevocationReason::EmailChanged }.into(),
        FarewellOrdered { account_id: AccountId(uuid(0x01)), addresses: vec![email()?], expires_at: at(24 * 60) }
            .into(),
        NumbersReserved { first: AccountNumber(101), count: 50 }.into(),
        ApiKeyIssued {
            api_key_id: ApiKeyId(uuid(0x40)),
            token_hash: hash(0xa1),
            name: free("Product backend")?,
            scopes: [Scope::AccountsWrite, Scope::AuditRead].into(),
            expires_at: Some(at(365 * 24 * 60)),
        }
        .into(),
        ApiKeyRevoked {}.into(),
        HistoryAccessed {
            api_key_id: Some(ApiKeyId(uuid(0x40))),
            access: HistoryAccess::State,
            account_id: Some(AccountId(uuid(0x01))),
        }
        .into(),
    ])
}
