//! Reacts to events and touches the world: codes by SMS and mail, and notices.
//!
//! A role follows the log ([`jobs::Jobs`]), takes the orders that are its own ([`orders`]), claims each on
//! its delivery stream, hands a message to a gateway ([`gateway`]) and records what came of it. The claim is
//! an append at an expected version, so roles may run in any number of processes and read any event again:
//! nothing is sent twice but an attempt whose outcome nobody knows, once.
//!
//! How to add a worker or a gateway: `docs/how-to/add-a-worker-or-gateway.md`.

pub mod backoff;
mod codes;
mod erasures;
pub mod gateway;
pub mod gateways;
pub mod inbox;
pub mod jobs;
pub mod log_jobs;
pub mod meters;
#[cfg(feature = "nats")]
pub mod nats;
mod notices;
pub mod orders;
pub mod runner;
mod sending;
mod steps;
mod tellings;
mod unfinished;

use std::{fmt, str::FromStr, sync::Arc};

use domain::values::Channel;
use engine::Engine;
use event_store::port::{Checkpoints, LogError};
use runtime::Tasks;
use tokio_util::sync::CancellationToken;

pub use domain::delivery::FailureKind;
pub use gateway::{Accepted, EmailGateway, EmailMessage, GatewayError, Gateways, SmsGateway, SmsMessage};
pub use inbox::{Inbox, InboxGateway, InboxUnavailable};
pub use messages::{Catalogue, Language};
#[cfg(feature = "nats")]
pub use nats::relay;
pub use notices::{NOTICE_LIVES, NOTICE_SUBJECT};
pub use operations::InboxMessage;
pub use runner::RunnerOptions;
pub use sending::SendOptions;

use crate::{
    codes::Codes,
    erasures::Erasures,
    jobs::{Handler, Jobs},
    log_jobs::LogJobs,
    notices::Notices,
    sending::Office,
};

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Codes by text message.
    Sms,
    /// Codes by mail.
    Email,
    /// Notices by mail, and by text what may cost the account. It notes unfinished sign-ins, and finishes interrupted
    /// erasures too: the last that is done for an account.
    Notices,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sms, Self::Email, Self::Notices];

    /// Its name in `--roles`, checkpoints, metrics and log lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Email => "email",
            Self::Notices => "notices",
        }
    }

    /// Stored types of the events that it reads.
    pub fn event_types(self) -> &'static [&'static str] {
        match self {
            Self::Sms | Self::Email => &orders::CODE_ORDERS,
            Self::Notices => &orders::NOTICE_ORDERS,
        }
    }

    const fn channel(self) -> Channel {
        match self {
            Self::Sms => Channel::Sms,
            Self::Email | Self::Notices => Channel::Email,
        }
    }

    fn handler(self, office: Office) -> Arc<dyn Handler> {
        match self {
            Self::Sms | Self::Email => Arc::new(Codes { office, channel: self.channel() }),
            Self::Notices => Arc::new(Notices { office }),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no worker's role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a worker's role: one of sms, email, notices")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == name).ok_or(UnknownRole)
    }
}

/// Where the roles take their jobs from.
#[derive(Debug, Clone, Default)]
pub enum Source {
    /// Straight from the log: one process does the work of a role.
    #[default]
    Log,
    /// From a broker that a relay fills: any number of processes share it.
    #[cfg(feature = "nats")]
    Broker(Arc<nats::Broker>),
}

/// What to run and with what.
#[derive(Debug, Clone)]
pub struct WorkersConfig {
    /// The roles of this process.
    pub roles: Vec<Role>,
    /// Where they take their jobs from.
    pub source: Source,
    /// What carries the messages.
    pub gateways: Gateways,
    /// What they say.
    pub catalogue: Catalogue,
    /// The times of a send.
    pub send: SendOptions,
    /// How each role runs.
    pub runner: RunnerOptions,
}

impl WorkersConfig {
    /// All roles with everything shown in the inbox: the development default.
    pub fn with_inbox(inbox: Arc<dyn Inbox>, issuer: &str) -> Self {
        let gateway = Arc::new(InboxGateway::new(inbox));
        let gateways = Gateways { sms: vec![Arc::<InboxGateway>::clone(&gateway)], email: vec![gateway] };
        Self::new(gateways, Catalogue::new(Language::En, issuer, None))
    }

    /// All roles with these gateways, their jobs straight from the log.
    pub fn new(gateways: Gateways, catalogue: Catalogue) -> Self {
        Self {
            roles: Role::ALL.to_vec(),
            source: Source::Log,
            gateways,
            catalogue,
            send: SendOptions::default(),
            runner: RunnerOptions::default(),
        }
    }
}

/// Why the workers do not start.
#[derive(Debug, thiserror::Error)]
pub enum WorkersError {
    /// A role has nothing to send with.
    #[error("role {0} has no gateway: configure one, or leave the role out")]
    NoGateway(Role),
    /// Where a role stands cannot be read.
    #[error("the checkpoint of role {0} cannot be read")]
    Checkpoint(Role, #[source] LogError),
    /// The broker does not have what a role needs.
    #[cfg(feature = "nats")]
    #[error(transparent)]
    Broker(#[from] nats::BrokerError),
}

/// Runs the roles until cancelled; returns when what was in flight is over or has had its time, and the
/// checkpoints are saved.
pub async fn run(
    config: WorkersConfig,
    engine: Engine,
    checkpoints: Arc<dyn Checkpoints>,
    cancel: CancellationToken,
) -> Result<(), WorkersError> {
    let notes_sign_ins = config.roles.contains(&Role::Notices).then(|| Arc::clone(&checkpoints));
    let office = Office {
        engine,
        gateways: Arc::new(config.gateways),
        catalogue: Arc::new(config.catalogue),
        options: config.send,
    };
    let opening = Opening { source: config.source, options: config.runner, checkpoints, cancel: cancel.clone() };
    let mut sources = Vec::new();
    for role in config.roles {
        if office.gateways.names(role.channel()).is_empty() {
            return Err(WorkersError::NoGateway(role));
        }
        let jobs = opening.open(role, role.name(), role.event_types(), &office).await?;
        sources.push((role.name(), jobs, role.handler(office.clone())));
        if role == Role::Notices {
            let jobs = opening.open(role, erasures::NAME, &erasures::ORDERS, &office).await?;
            sources.push((erasures::NAME, jobs, Arc::new(Erasures { office: office.clone() })));
        }
    }
    let runtime = office.engine.runtime();
    let mut running = Tasks::new();
    if let Some(checkpoints) = notes_sign_ins {
        let reader = unfinished::run(office.clone(), checkpoints, cancel.clone());
        running.spawn(runtime, unfinished::NAME, unfinished::NAME, reader);
    }
    for (name, jobs, handler) in sources {
        let role = runner::run(runtime.clone(), name, jobs, handler, config.runner, cancel.clone());
        running.spawn(runtime, name, name, role);
    }
    while let Some((role, ended)) = running.next().await {
        if let Err(error) = ended {
            tracing::error!(role, %error, "a worker's role ended early");
        }
    }
    Ok(())
}

/// Opens sources of jobs.
struct Opening {
    source: Source,
    #[cfg_attr(not(feature = "nats"), expect(dead_code, reason = "the log needs none"))]
    options: RunnerOptions,
    checkpoints: Arc<dyn Checkpoints>,
    #[cfg_attr(not(feature = "nats"), expect(dead_code, reason = "the log needs none"))]
    cancel: CancellationToken,
}

impl Opening {
    async fn open(
        &self,
        role: Role,
        name: &'static str,
        types: &'static [&'static str],
        office: &Office,
    ) -> Result<Box<dyn Jobs>, WorkersError> {
        let (runtime, log) = (office.engine.runtime(), Arc::clone(office.engine.log()));
        let types = types.iter().copied();
        match &self.source {
            Source::Log => {
                let jobs = LogJobs::open(runtime, name, types, log, Arc::clone(&self.checkpoints)).await;
                Ok(Box::new(jobs.map_err(|error| WorkersError::Checkpoint(role, error))?))
            }
            #[cfg(feature = "nats")]
            Source::Broker(broker) => {
                let (broker, stop) = (Arc::clone(broker), self.cancel.child_token());
                let capacity = self.options.concurrency;
                Ok(Box::new(nats::JetStreamJobs::open(runtime, broker, name, types, log, capacity, stop).await?))
            }
        }
    }
}
