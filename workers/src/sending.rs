//! Carries out one send: claim, hand over, record.
//!
//! The claim is an append at the delivery stream's expected version, so of any number of workers one is
//! told that the order is its own. What may be tried next is read from that stream every time: no worker
//! remembers anything that another would need.

use std::{sync::Arc, time::Duration};

use domain::{
    decision::Decider,
    delivery::{Delivery, DeliveryCommand, Order, Routes},
    ids::{CommandId, EventId, StreamId},
    outcome::{NextTry, Outcome},
    time::Timestamp,
    values::{Caller, Origin},
};
use engine::{Engine, ExecuteError, Request};
use event_store::codec;
use messages::Catalogue;
use schemas::envelope::{Metadata, Version};
use uuid::Uuid;

use crate::{
    backoff::Backoff,
    gateway::{Accepted, GatewayError, Gateways, LONGEST_ANSWER, Message},
    jobs::Verdict,
    meters,
    steps::{Step, command_id},
};

/// An order that another worker may be at is looked at again after this long at most: its time is counted
/// on the clock of the log, which need not run like this machine's.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Events of one delivery stream that are read: many times what [`domain::delivery::MAX_TRIES`] can make.
const MOST_EVENTS: usize = 1_000;

/// Tries to record a gateway's yes before it is left as an unknown outcome.
const RECORD_TRIES: u32 = 6;

/// Tries of an order after errors that should not be.
const ODD_TRIES: u32 = 12;

/// The times of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendOptions {
    /// A gateway that did not answer by then timed out, whatever time-out is its own. Below
    /// [`domain::delivery::SEND_TIMEOUT`], or an order could be taken over while its gateway is still being waited
    /// for, and above [`LONGEST_ANSWER`], since a gateway knows better than its caller how far it got.
    pub gateway_timeout: Duration,
    /// Between tries of a code.
    pub code_backoff: Backoff,
    /// Between tries of a notice.
    pub notice_backoff: Backoff,
    /// Between tries to reach the log.
    pub log_backoff: Backoff,
}

impl Default for SendOptions {
    fn default() -> Self {
        let backoff = |first, most| Backoff { first: Duration::from_millis(first), most: Duration::from_secs(most) };
        Self {
            gateway_timeout: LONGEST_ANSWER + Duration::from_secs(4),
            code_backoff: backoff(1_000, 30),
            notice_backoff: backoff(2_000, 900),
            log_backoff: backoff(100, 10),
        }
    }
}

/// What the handlers of all roles work with.
#[derive(Clone)]
pub(crate) struct Office {
    pub engine: Engine,
    pub gateways: Arc<Gateways>,
    pub catalogue: Arc<Catalogue>,
    pub options: SendOptions,
}

/// One send, ready to go.
pub(crate) struct Send<'a> {
    pub order: Order,
    pub message: Message,
    /// Of the event that caused it.
    pub cause: (EventId, &'a Metadata),
    /// The gateway by which the same code went out before, without a receipt.
    pub unreceipted: Option<String>,
    pub backoff: Backoff,
}

impl Office {
    /// The verdict, where what stands on record of a send leaves nothing to do now.
    pub async fn nothing_to_do(&self, order: EventId) -> Result<Option<Verdict>, ExecuteError> {
        // Nothing in a delivery stream is personal: it is read without a key, and has none.
        let stored = self.engine.log().read_stream(&StreamId::Delivery(order), Version::NONE, MOST_EVENTS).await?;
        let delivery = stored.iter().try_fold(Delivery::default(), |delivery, event| {
            codec::decode(event, None).map(|recorded| delivery.evolve(&recorded.event, recorded.metadata.at))
        })?;
        let now = self.engine.now();
        Ok(if delivery.is_over() {
            Some(Verdict::Done)
        } else {
            delivery.taken_until(now).map(|until| look_again(until, now))
        })
    }

    /// Carries out a send as far as it gets now.
    pub async fn carry_out(&self, send: &Send<'_>) -> Result<Verdict, ExecuteError> {
        let channel = send.order.channel;
        let gateways = self.gateways.names(channel).into_iter().map(str::to_owned).collect();
        let routes = Routes { gateways, unreceipted: send.unreceipted.clone() };
        loop {
            let start = DeliveryCommand::StartSend { order: send.order.clone(), routes: routes.clone() };
            let claim = CommandId(self.fresh_id()?);
            let (attempt, provider) = match self.command(send, claim, &start).await? {
                Outcome::SendClaimed { attempt, provider } => (attempt, provider),
                Outcome::SendTaken { retry_at: Some(at) } => return Ok(look_again(at, self.engine.now())),
                Outcome::NoGatewayLeft => {
                    tracing::warn!(order = %send.order.order_id, "no gateway is left for an order");
                    return Ok(Verdict::Done);
                }
                _ => return Ok(Verdict::Done),
            };
            match self.hand_over(&provider, &send.message.of_attempt(attempt, self.engine.now())).await {
                Ok(accepted) => {
                    meters::dispatched(channel, &provider, send.order.ordered_at, self.engine.now());
                    tracing::debug!(order = %send.order.order_id, provider, attempt, "sent");
                    return self.record_dispatch(send, attempt, accepted).await;
                }
                Err(error) => {
                    meters::sent(channel, &provider, error.kind.name());
                    let wait = send.backoff.after(attempt, send.order.order_id.0);
                    let next = self.record_refusal(send, &routes, (attempt, &provider), error, wait).await?;
                    match next {
                        NextTry::AtOnce => {}
                        NextTry::PutOff => return Ok(Verdict::Retry(wait)),
                        NextTry::Never => return Ok(Verdict::Done),
                    }
                }
            }
        }
    }

    /// Records that a gateway did not take the message; what is told follows from all that is on record.
    async fn record_refusal(
        &self,
        send: &Send<'_>,
        routes: &Routes,
        (attempt, provider): (u32, &str),
        error: GatewayError,
        wait: Duration,
    ) -> Result<NextTry, ExecuteError> {
        let order = send.order.order_id;
        let (reason, routes) = (error.recorded_reason(), routes.clone());
        let put_off_until = later(self.engine.now(), wait);
        let refusal = DeliveryCommand::RecordRefusal { attempt, reason, routes, put_off_until };
        let next = match self.command(send, command_id(order, Step::Failed, attempt), &refusal).await? {
            Outcome::SendFailed { next } => next,
            // Somebody else has recorded more of it by now: the next claim tells what is left to do.
            _ => NextTry::AtOnce,
        };
        tracing::info!(%order, provider, attempt, %error, ?next, "not sent");
        Ok(next)
    }

    /// The verdict when the log did not answer, or said something that it should not. The latter may be a
    /// key or a version that another process has and this one lacks, so it is given up only after a while.
    pub fn after_error(&self, order: EventId, tries: u32, error: &ExecuteError) -> Verdict {
        tracing::warn!(%order, tries, %error, "an order could not be carried out now");
        let is_passing = matches!(error, ExecuteError::Unavailable(_) | ExecuteError::Busy);
        if is_passing || tries < ODD_TRIES {
            Verdict::Retry(self.options.log_backoff.after(tries.saturating_add(1), order.0))
        } else {
            Verdict::Fail
        }
    }

    async fn hand_over(&self, provider: &str, message: &Message) -> Result<Accepted, GatewayError> {
        self.engine
            .runtime()
            .timeout(self.options.gateway_timeout, self.gateways.send(provider, message))
            .await
            .unwrap_or(Err(GatewayError::timed_out()))
    }

    /// The message is out: its record is worth some patience, for without it a second copy goes out.
    async fn record_dispatch(
        &self,
        send: &Send<'_>,
        attempt: u32,
        accepted: Accepted,
    ) -> Result<Verdict, ExecuteError> {
        let id = |step| command_id(send.order.order_id, step, attempt);
        let Accepted { provider_message_id, is_delivered } = accepted;
        let dispatched = DeliveryCommand::RecordDispatch { attempt, provider_message_id };
        self.command_patiently(send, id(Step::Dispatched), &dispatched).await?;
        if is_delivered {
            let delivered = DeliveryCommand::RecordDelivery { attempt };
            self.command_patiently(send, id(Step::Delivered), &delivered).await?;
        }
        Ok(Verdict::Done)
    }

    async fn command_patiently(
        &self,
        send: &Send<'_>,
        id: CommandId,
        command: &DeliveryCommand,
    ) -> Result<(), ExecuteError> {
        let mut tries = 0;
        loop {
            let Err(error) = self.command(send, id, command).await else { return Ok(()) };
            tries += 1;
            if tries >= RECORD_TRIES {
                return Err(error);
            }
            self.engine.runtime().sleep(self.options.log_backoff.after(tries, id.0)).await;
        }
    }

    async fn command(
        &self,
        send: &Send<'_>,
        command_id: CommandId,
        command: &DeliveryCommand,
    ) -> Result<Outcome, ExecuteError> {
        let (cause, metadata) = send.cause;
        let request = Request {
            caller: Caller::Worker,
            origin: Origin::default(),
            command_id,
            idempotency: None,
            correlation_id: metadata.correlation_id,
            causation_id: Some(cause),
            trace_parent: metadata.trace_parent.clone(),
        };
        let stream = StreamId::Delivery(send.order.order_id);
        let executed = self.engine.execute_on::<Delivery>(&stream, command, &request).await?;
        executed.outcome.map_err(|refusal| ExecuteError::Internal(format!("a delivery refused: {refusal}")))
    }

    fn fresh_id(&self) -> Result<Uuid, ExecuteError> {
        let entropy = self.engine.runtime().entropy()?;
        Ok(entropy.uuid(self.engine.now(), "claim"))
    }
}

fn look_again(at: Timestamp, now: Timestamp) -> Verdict {
    let millis = at.as_millis().saturating_sub(now.as_millis()).max(1).unsigned_abs();
    Verdict::Retry(Duration::from_millis(millis).min(LOOK_AGAIN))
}

fn later(now: Timestamp, wait: Duration) -> Timestamp {
    let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_add(millis))
}
