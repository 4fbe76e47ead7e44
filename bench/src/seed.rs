//! Histories without the requests that would have made them: events appended straight to the log.

use std::{path::Path, sync::Arc};

use domain::{
    events::{
        AccountRegistered, EmailVerified, Event, MethodEnabled, TotpAlgorithm, TotpEnrollmentStarted, TwoFactorEnabled,
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
    sqlite::{SqliteOptions, SqliteStore},
};
use schemas::envelope::Metadata;
use tokio::task::JoinSet;
use uuid::Uuid;
use vault::KeyRing;

use crate::{Failure, now};

/// Accounts that are written at a time.
const AT_A_TIME: usize = 128;

/// An account with an authenticator app.
#[derive(Debug, Clone)]
pub struct Seeded {
    /// Its id.
    pub account: AccountId,
    /// The app's key.
    pub secret: Vec<u8>,
}

/// Opens the store of a data folder, making both.
pub async fn open(data: &Path) -> Result<(Arc<SqliteStore>, Arc<Keys>), Failure> {
    std::fs::create_dir_all(data)?;
    let ring = KeyRing::load_or_create(&data.join("keyring.toml"))?;
    let store = Arc::new(SqliteStore::open(&data.join("log.db"), SqliteOptions::default()).await?);
    let keys = Arc::new(Keys::new(Arc::<SqliteStore>::clone(&store), Arc::new(ring), 1_000));
    Ok((store, keys))
}

/// Writes accounts with an authenticator app each, and closes the store.
pub async fn accounts(data: &Path, count: usize) -> Result<Vec<Seeded>, Failure> {
    let (store, keys) = open(data).await?;
    let mut seeded = Vec::with_capacity(count);
    let mut running = JoinSet::new();
    for _ in 0..count {
        while running.len() >= AT_A_TIME {
            if let Some(done) = running.join_next().await {
                seeded.push(done??);
            }
        }
        running.spawn(account(Arc::clone(&store), Arc::clone(&keys)));
    }
    while let Some(done) = running.join_next().await {
        seeded.push(done??);
    }
    store.close().await;
    Ok(seeded)
}

async fn account(store: Arc<SqliteStore>, keys: Arc<Keys>) -> Result<Seeded, Failure> {
    let entropy = vault::random_entropy()?;
    let at = now::now();
    let account = AccountId(uuid(at)?);
    let secret = entropy.token("secret").expose()[..20].to_vec();
    let events = history(account, &secret, at)?;
    append(&store, &keys, &StreamId::Account(account), &events, at).await?;
    Ok(Seeded { account, secret })
}

/// Appends events to a fresh stream.
async fn append(
    store: &SqliteStore,
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
    Ok(vault::random_entropy()?.uuid(at, "id"))
}
