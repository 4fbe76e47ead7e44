//! What has to be there in the broker: two streams and a consumer for each role. It is declared at start and
//! changed where it is declared otherwise; what cannot be changed in place is said and left alone.
//!
//! Only the fields in the tables here are ours: whatever else an operator set on a stream stays.

use std::{fmt::Debug, time::Duration};

use async_nats::jetstream::{
    ErrorCode,
    consumer::{self, AckPolicy, DeliverPolicy, FromConsumer as _, pull},
    context::{ConsumerInfoErrorKind, CreateStreamErrorKind, GetStreamErrorKind},
    stream::{self, ConsumerErrorKind, ConsumerUpdateErrorKind, DiscardPolicy, RetentionPolicy, StorageType},
};

use super::{
    Broker, BrokerError, DEAD_STREAM, DEAD_SUBJECTS, EVENTS_STREAM, EVENTS_SUBJECTS, error, options::NatsOptions,
};

/// A consumer that is asked for messages.
pub(super) type PullConsumer = consumer::Consumer<pull::Config>;

/// Messages of one role that may be under way or waiting for another try; then no more are handed out.
const MOST_UNFINISHED: i64 = 10_000;

/// What one role takes from the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reads {
    /// Its name, and the consumer's.
    pub role: &'static str,
    /// The stored types of the events that it reads.
    pub types: Vec<&'static str>,
}

/// One field of a declaration that is ours.
struct Field<C> {
    name: &'static str,
    text: fn(&C) -> String,
    copy: fn(&C, &mut C),
    /// Whether the server lets it be changed.
    changes: bool,
}

macro_rules! field {
    ($path:ident, $name:literal, $changes:literal) => {
        Field {
            name: $name,
            text: |config| text(&config.$path),
            copy: |from, to| to.$path = from.$path.clone(),
            changes: $changes,
        }
    };
}

fn text(value: &impl Debug) -> String {
    format!("{value:?}")
}

const STREAM_FIELDS: [Field<stream::Config>; 8] = [
    field!(subjects, "subjects", true),
    field!(max_age, "max_age", true),
    field!(duplicate_window, "duplicate_window", true),
    field!(num_replicas, "replicas", true),
    field!(max_bytes, "max_bytes", true),
    field!(discard, "discard", true),
    field!(retention, "retention", false),
    field!(storage, "storage", false),
];

const CONSUMER_FIELDS: [Field<pull::Config>; 6] = [
    Field {
        name: "filter_subjects",
        text: |config| {
            // A server may tell one filter in either place.
            let mut filters = config.filter_subjects.clone();
            filters.extend(Some(config.filter_subject.clone()).filter(|filter| !filter.is_empty()));
            filters.sort_unstable();
            text(&filters)
        },
        copy: |from, to| {
            to.filter_subjects.clone_from(&from.filter_subjects);
            to.filter_subject.clone_from(&from.filter_subject);
        },
        changes: true,
    },
    field!(ack_wait, "ack_wait", true),
    field!(max_deliver, "max_deliver", true),
    field!(max_ack_pending, "max_ack_pending", true),
    field!(ack_policy, "ack_policy", false),
    field!(deliver_policy, "deliver_policy", false),
];

/// How what is there differs from what is wanted.
#[derive(Debug, Default)]
struct Differences {
    changed: Vec<String>,
    fixed: Vec<String>,
}

fn compare<C>(fields: &[Field<C>], what: &str, wanted: &C, found: &mut C) -> Differences {
    let mut differences = Differences::default();
    for field in fields {
        let (is, should) = ((field.text)(found), (field.text)(wanted));
        if is == should {
            continue;
        }
        let name = field.name;
        if field.changes {
            (field.copy)(wanted, found);
            differences.changed.push(format!("{what}: {name} {is} -> {should}"));
        } else {
            differences.fixed.push(format!(
                "{what}: {name} is {is} and should be {should}, which the server cannot change in place; remove it and \
                 start again, the relay fills it from the log"
            ));
        }
    }
    differences
}

fn events_stream(options: &NatsOptions) -> stream::Config {
    stream::Config {
        name: EVENTS_STREAM.to_owned(),
        description: Some("What Countersign tells: CloudEvents, filled from its event log".to_owned()),
        subjects: vec![EVENTS_SUBJECTS.to_owned()],
        max_age: options.max_age,
        max_bytes: options.max_bytes.and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or(-1),
        ..kept(options)
    }
}

fn dead_stream(options: &NatsOptions) -> stream::Config {
    stream::Config {
        name: DEAD_STREAM.to_owned(),
        description: Some("What Countersign's workers could not carry out".to_owned()),
        subjects: vec![DEAD_SUBJECTS.to_owned()],
        max_age: options.dead_max_age,
        max_bytes: -1,
        ..kept(options)
    }
}

fn kept(options: &NatsOptions) -> stream::Config {
    stream::Config {
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::Old,
        num_replicas: options.replicas,
        duplicate_window: options.dedup_window.min(options.max_age).min(options.dead_max_age),
        max_messages: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        ..stream::Config::default()
    }
}

fn role_consumer(options: &NatsOptions, reads: &Reads) -> pull::Config {
    pull::Config {
        durable_name: Some(reads.role.to_owned()),
        name: Some(reads.role.to_owned()),
        description: Some(format!("Orders of Countersign's role {}", reads.role)),
        filter_subjects: reads.types.iter().map(|event_type| schemas::public::subject(event_type)).collect(),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: options.ack_wait,
        // The count is ours: a server that has counted enough says nothing more, and the order would be lost.
        max_deliver: -1,
        max_ack_pending: MOST_UNFINISHED,
        ..pull::Config::default()
    }
}

/// Declares both streams; says what was changed.
pub(super) async fn streams(broker: &Broker) -> Result<Vec<String>, BrokerError> {
    let mut told = Vec::new();
    for wanted in [events_stream(&broker.options), dead_stream(&broker.options)] {
        told.extend(declare_stream(broker, &wanted).await?);
    }
    Ok(told)
}

async fn declare_stream(broker: &Broker, wanted: &stream::Config) -> Result<Vec<String>, BrokerError> {
    let what = format!("stream {}", wanted.name);
    let Some(mut found) = find_stream(broker, &wanted.name).await? else {
        broker.context.create_stream(wanted).await.map_err(|error| of_stream(broker, &what, &error.kind()))?;
        tracing::info!(stream = wanted.name, "declared a stream of the broker");
        return Ok(vec![format!("{what}: declared")]);
    };
    let differences = compare(&STREAM_FIELDS, &what, wanted, &mut found);
    if !differences.changed.is_empty() {
        broker.context.update_stream(&found).await.map_err(|error| of_stream(broker, &what, &error.kind()))?;
    }
    Ok(told(differences))
}

async fn find_stream(broker: &Broker, name: &str) -> Result<Option<stream::Config>, BrokerError> {
    match broker.context.get_stream(name).await {
        Ok(found) => Ok(Some(found.cached_info().config.clone())),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(inner) if inner.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
            _ => Err(failed(broker, &format!("stream {name}"), &error.to_string(), None)),
        },
    }
}

/// Declares a role's consumer.
pub(super) async fn consumer(broker: &Broker, reads: &Reads) -> Result<PullConsumer, BrokerError> {
    let wanted = role_consumer(&broker.options, reads);
    let what = format!("consumer {}", reads.role);
    let fail = |error: &dyn std::error::Error| failed(broker, &what, &error.to_string(), None);
    let stream = broker.context.get_stream_no_info(EVENTS_STREAM).await.map_err(|error| fail(&error))?;
    let Some(mut found) = find_consumer(broker, reads.role).await? else {
        let made = stream.create_consumer(wanted).await.map_err(|error| match error.kind() {
            ConsumerErrorKind::JetStream(inner) => failed(broker, &what, &inner.to_string(), Some(inner.error_code())),
            _ => fail(&error),
        })?;
        tracing::info!(consumer = reads.role, "declared a consumer of the broker");
        return Ok(made);
    };
    let differences = compare(&CONSUMER_FIELDS, &what, &wanted, &mut found);
    let is_changed = !differences.changed.is_empty();
    told(differences);
    if is_changed {
        return stream.update_consumer(found).await.map_err(|error| match error.kind() {
            ConsumerUpdateErrorKind::JetStream(inner) => {
                failed(broker, &what, &inner.to_string(), Some(inner.error_code()))
            }
            _ => fail(&error),
        });
    }
    stream.get_consumer(reads.role).await.map_err(|error| failed(broker, &what, &error.to_string(), None))
}

async fn find_consumer(broker: &Broker, role: &str) -> Result<Option<pull::Config>, BrokerError> {
    let what = format!("consumer {role}");
    let stream = broker.context.get_stream_no_info(EVENTS_STREAM).await;
    let stream = stream.map_err(|error| failed(broker, &what, &error.to_string(), None))?;
    match stream.consumer_info(role).await {
        Ok(info) => pull::Config::try_from_consumer_config(info.config).map(Some).map_err(|_| {
            BrokerError::new("nats.url", format!("{what} is a push consumer"), "remove it: it is declared anew")
        }),
        Err(error) => match error.kind() {
            ConsumerInfoErrorKind::NotFound => Ok(None),
            _ => Err(failed(broker, &what, &error.to_string(), None)),
        },
    }
}

/// What the next start would change, and how many dead letters there are; nothing is declared.
pub(super) async fn look(broker: &Broker) -> Result<(Vec<String>, u64), BrokerError> {
    let mut differences = Vec::new();
    for wanted in [events_stream(&broker.options), dead_stream(&broker.options)] {
        let what = format!("stream {}", wanted.name);
        match find_stream(broker, &wanted.name).await? {
            None => differences.push(format!("{what}: not there yet")),
            Some(mut found) => {
                let Differences { changed, fixed } = compare(&STREAM_FIELDS, &what, &wanted, &mut found);
                differences.extend(changed.into_iter().chain(fixed));
            }
        }
    }
    let dead = broker.context.get_stream(DEAD_STREAM).await.map_or(0, |dead| dead.cached_info().state.messages);
    Ok((differences, dead))
}

fn told(differences: Differences) -> Vec<String> {
    let Differences { changed, fixed } = differences;
    for change in &changed {
        tracing::info!(change, "changed what the broker had declared otherwise");
    }
    for difference in &fixed {
        tracing::warn!(difference, "the broker has something declared otherwise that stays as it is");
    }
    changed.into_iter().chain(fixed).collect()
}

fn of_stream(broker: &Broker, what: &str, kind: &CreateStreamErrorKind) -> BrokerError {
    match kind {
        CreateStreamErrorKind::JetStream(inner) => failed(broker, what, &inner.to_string(), Some(inner.error_code())),
        kind => failed(broker, what, &kind.to_string(), None),
    }
}

fn failed(broker: &Broker, what: &str, text: &str, code: Option<ErrorCode>) -> BrokerError {
    const REPLICAS: [ErrorCode; 3] = [
        ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED,
        ErrorCode::CLUSTER_NO_PEERS,
        ErrorCode::STREAM_REPLICAS_NOT_UPDATABLE,
    ];
    match code {
        Some(code) if REPLICAS.contains(&code) => BrokerError::new(
            "nats.replicas",
            format!("{what} cannot have {} copies: {text}", broker.options.replicas),
            "give as many as the cluster has servers, 1 without a cluster",
        ),
        Some(ErrorCode::STREAM_SUBJECT_OVERLAP) => BrokerError::new(
            "nats.url",
            format!("{what} cannot be declared: another stream of this account has its subjects"),
            "remove that stream, or give Countersign an account of its own",
        ),
        _ => match broker.last_error() {
            Some(refused) => error::not_permitted(&broker.options, &refused),
            None => BrokerError::new(
                "nats.url",
                format!("{what} cannot be declared: {text}"),
                "look at the NATS server's log and at the limits of its account",
            ),
        },
    }
}

/// A duration that no pull request outlives.
pub(super) const PULL_EXPIRES: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_and_is_ours_is_changed() {
        let options = NatsOptions::new("nats://example.com");
        let wanted = events_stream(&options);
        let mut found = wanted.clone();
        found.description = Some("an operator's words".to_owned());
        assert!(compare(&STREAM_FIELDS, "stream", &wanted, &mut found).changed.is_empty());

        found.max_age = Duration::from_mins(1);
        found.storage = StorageType::Memory;
        let differences = compare(&STREAM_FIELDS, "stream", &wanted, &mut found);
        assert_eq!(differences.changed, ["stream: max_age 60s -> 604800s"]);
        assert_eq!(differences.fixed.len(), 1);
        assert!(differences.fixed[0].contains("storage"), "{:?}", differences.fixed);
        assert_eq!((found.max_age, found.storage), (wanted.max_age, StorageType::Memory));
        assert_eq!(found.description.as_deref(), Some("an operator's words"));
    }

    #[test]
    fn the_window_against_duplicates_is_never_longer_than_messages_are_kept() {
        let mut options = NatsOptions::new("nats://example.com");
        options.max_age = Duration::from_secs(30);
        assert_eq!(events_stream(&options).duplicate_window, Duration::from_secs(30));
    }
}
