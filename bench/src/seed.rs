//! Histories without the requests that would have made them: events appended straight to the log.

use domain::{
    events::{
        AccountRegistered, EmailVerified, Event, MethodEnabled, PasswordRejected, TotpAlgorithm, TotpEnrollmentStarted,
        TwoFactorEnabled,
    },
    ids::{AccountId, ApiKeyId, CommandId, EventId, MethodId, StreamId, VerificationId},
    personal::Personal::Known,
    time::{Seconds, Timestamp},
    values::{Actor, Credential, EmailAddress, Label, MethodKind, TotpSecret},
};
use event_store::{
    codec,
    keys::Keys,
    port::{Append, EventLog, Expected},
};
use schemas::envelope::Metadata;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    Failure, now,
    place::{Place, Store},
};

/// Accounts that are written at a time.
const AT_A_TIME: usize = 128;
/// Events of an account with an authenticator app.
const LEAST: usize = 5;

/// An account with an authenticator app.
#[derive(Debug, Clone)]
pub struct Seeded {
    /// Its id.
    pub account: AccountId,
    /// The app's key.
    pub secret: Vec<u8>,
}

/// Writes accounts with an authenticator app each, of five events, and closes the store.
pub async fn accounts(place: &Place, count: usize) -> Result<Vec<Seeded>, Failure> {
    accounts_of(place, count, LEAST).await
}

/// The same with so many events each, five at least.
pub async fn accounts_of(place: &Place, count: usize, events: usize) -> Result<Vec<Seeded>, Failure> {
    let store = place.open().await?;
    let mut seeded = Vec::with_capacity(count);
    let mut running = JoinSet::new();
    for _ in 0..count {
        while running.len() >= AT_A_TIME {
            if let Some(done) = running.join_next().await {
                seeded.push(done??);
            }
        }
        running.spawn(account(store.clone(), events));
    }
    while let Some(done) = running.join_next().await {
        seeded.push(done??);
    }
    store.close().await;
    Ok(seeded)
}

async fn account(store: Store, events: usize) -> Result<Seeded, Failure> {
    let entropy = runtime::Runtime::system()?.entropy()?;
    let at = now::now();
    let account = AccountId(uuid(at)?);
    let secret = entropy.token("secret").expose()[..20].to_vec();
    let mut history = history(account, &secret, at)?;
    history.resize(events.max(LEAST), PasswordRejected { count: 1 }.into());
    append(store.log().as_ref(), &store.keys, &StreamId::Account(account), &history, at).await?;
    Ok(Seeded { account, secret })
}

/// Appends events to a fresh stream.
async fn append(
    store: &dyn EventLog,
    keys: &Keys,
    stream: &StreamId,
    events: &[Event],
    at: Timestamp,
) -> Result<(), Failure> {
    let key = keys.ensure(stream).await?;
    let command = uuid(at)?;
    let metadata = Metadata {
        at,
        actor: Actor::Operator,
        command_id: CommandId(command),
        correlation_id: command,
        causation_id: None,
        ip: None,
        end_user_ip: None,
        user_agent: None,
        trace_parent: None,
    };
    let encoded: Result<Vec<_>, Failure> =
        events.iter().map(|event| Ok(codec::encode(event, EventId(uuid(at)?), stream, &metadata, &key)?)).collect();
    let append = Append { stream: stream.clone(), expected: Expected::NoStream, events: encoded?, receipt: None };
    store.append(append).await?;
    Ok(())
}

/// Registered by an API client, its address vouched for, an authenticator app enabled.
fn history(account: AccountId, secret: &[u8], at: Timestamp) -> Result<Vec<Event>, Failure> {
    let client = ApiKeyId(uuid(at)?);
    let verification_id = VerificationId(uuid(at)?);
    let email = EmailAddress::parse(&format!("{}@example.com", account.0.simple()))?;
    Ok(vec![
        AccountRegistered {
            account_id: account,
            email: Known(email),
            password: None,
            registered_by: Some(client),
            expires_at: at.plus(Seconds::hours(24)),
            number: None,
        }
        .into(),
        EmailVerified { verification_id: None, vouched_by: Some(client) }.into(),
        TotpEnrollmentStarted {
            method_id: MethodId(1),
            verification_id,
            secret: Known(TotpSecret::new(secret.to_vec())),
            algorithm: TotpAlgorithm::Sha1,
            digits: 6,
            period: 30,
            started_by: Credential::ApiClient(client),
            attempts: 5,
            expires_at: at.plus(Seconds::hours(1)),
        }
        .into(),
        MethodEnabled {
            method_id: MethodId(1),
            kind: MethodKind::Totp,
            label: Known(Label::parse("phone")?),
            verification_id,
            totp_step: Some(1),
            is_primary: true,
        }
        .into(),
        TwoFactorEnabled {}.into(),
    ])
}

/// A fresh id of a moment.
pub fn uuid(at: Timestamp) -> Result<Uuid, Failure> {
    Ok(runtime::Runtime::system()?.entropy()?.uuid(at, "id"))
}
