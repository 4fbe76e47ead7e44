//! A broker beside the world of the sends' tests, and what the tests ask of it.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{Context, message::StreamMessage};
use domain::ids::AccountId;
use event_store::testing::eventually;
use schemas::{envelope::Position, public::CloudEvent};
use servers::nats::NatsServer;
use workers::{
    Gateways, Role, Source,
    backoff::Backoff,
    nats::{Broker, DEAD_STREAM, EVENTS_STREAM, NatsOptions, relay},
};

use crate::support::{Ordered, Running, World};

/// A server, and a world whose orders travel over it.
pub struct Wired {
    pub server: NatsServer,
    pub world: World,
    pub options: NatsOptions,
}

/// Options with waits that are short enough for a test.
pub fn quick(server: &NatsServer) -> NatsOptions {
    NatsOptions {
        ack_wait: Duration::from_secs(1),
        request_timeout: Duration::from_secs(5),
        missing_deliveries: 2,
        missing_backoff: Backoff { first: Duration::from_millis(10), most: Duration::from_millis(20) },
        ..NatsOptions::new(server.url())
    }
}

impl Wired {
    pub async fn new() -> Self {
        let (server, world) = (NatsServer::start().await, World::new().await);
        let options = quick(&server);
        Self { server, world, options }
    }

    pub async fn broker(&self) -> Arc<Broker> {
        Broker::connect(&self.options).await.unwrap()
    }

    /// A relay with the world's checkpoints and a connection of its own.
    pub async fn relay(&self) -> Running {
        let broker = self.broker().await;
        self.relay_over(broker)
    }

    pub fn relay_over(&self, broker: Arc<Broker>) -> Running {
        let runtime = self.world.engine.runtime().clone();
        let (log, checkpoints) = (Arc::clone(self.world.engine.log()), self.world.checkpoints.clone());
        Running::new(|cancel| relay::run(runtime, log, broker, checkpoints, cancel))
    }

    /// Workers of a process with a connection of its own.
    pub async fn workers(&self, roles: &[Role], gateways: Gateways) -> Running {
        let source = Source::Broker(self.broker().await);
        self.world.run_from(source, roles, gateways, Duration::from_secs(20))
    }

    /// A client beside ours, as an operator has one.
    pub async fn context(&self) -> Context {
        async_nats::jetstream::new(async_nats::connect(self.server.url()).await.unwrap())
    }

    /// Everything in a stream, in order.
    pub async fn messages(&self, stream: &str) -> Vec<StreamMessage> {
        let context = self.context().await;
        let stream = context.get_stream(stream).await.unwrap();
        let state = &stream.cached_info().state;
        let mut messages = Vec::new();
        for sequence in state.first_sequence..=state.last_sequence {
            messages.extend(stream.get_raw_message(sequence).await.ok());
        }
        messages
    }

    pub async fn events(&self) -> Vec<CloudEvent> {
        let messages = self.messages(EVENTS_STREAM).await;
        messages.iter().map(|message| serde_json::from_slice(&message.payload).unwrap()).collect()
    }

    pub async fn dead(&self) -> Vec<StreamMessage> {
        self.messages(DEAD_STREAM).await
    }

    /// Waits until this many messages are in a stream.
    pub async fn arrived(&self, stream: &str, count: usize) {
        let context = self.context().await;
        let is_there = async || {
            let stream = context.get_stream(stream).await.ok()?;
            (stream.cached_info().state.messages >= count as u64).then_some(())
        };
        eventually(is_there).await.expect("the messages arrive");
    }

    /// Waits until a role's consumer has nothing left: nothing to hand out, nothing in hand.
    pub async fn idle(&self, role: &str) {
        let context = self.context().await;
        let is_idle = async || {
            let stream = context.get_stream_no_info(EVENTS_STREAM).await.ok()?;
            let info = stream.consumer_info(role).await.ok()?;
            (info.num_pending == 0 && info.num_ack_pending == 0).then_some(())
        };
        eventually(is_idle).await.expect("the role has nothing left to do");
    }

    /// Waits until the relay has published everything, and has said so.
    pub async fn relayed(&self) {
        let last = self.world.engine.log().last_position().await.unwrap();
        let is_done = async || (self.relay_checkpoint().await >= last).then_some(());
        eventually(is_done).await.expect("the relay catches up");
    }

    pub async fn relay_checkpoint(&self) -> Position {
        use event_store::port::Checkpoints as _;
        self.world.checkpoints.load(relay::CHECKPOINT).await.unwrap()
    }

    /// Orders this many texts.
    pub async fn order_texts(&self, account: AccountId, count: usize) -> Vec<Ordered> {
        let mut orders = Vec::new();
        for _ in 0..count {
            orders.push(self.world.order_text(account).await);
        }
        orders
    }

    /// Every order went out exactly once.
    pub fn assert_each_sent_once(&self, orders: &[Ordered]) {
        let mut sent: Vec<_> = self.world.given().iter().map(|given| given.reference).collect();
        sent.sort();
        let mut ordered: Vec<_> = orders.iter().map(|order| order.id.0).collect();
        ordered.sort();
        assert_eq!(sent, ordered, "each order once");
    }
}
