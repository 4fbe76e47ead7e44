//! A gateway that answers as it is told to and remembers what it was given.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use domain::values::Channel;
use uuid::Uuid;
use workers::{Accepted, EmailGateway, EmailMessage, GatewayError, SmsGateway, SmsMessage};

/// What a gateway does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Takes it.
    Accept,
    /// Takes it, after a while.
    AcceptSlowly,
    /// Never will.
    Refuse,
    /// Not now.
    PutOff,
    /// Takes it, and its answer never arrives.
    Hang,
}

/// A message that a gateway was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    pub gateway: String,
    pub channel: Channel,
    pub reference: Uuid,
    pub to: String,
    pub subject: Option<String>,
    pub body: String,
    pub code: Option<String>,
}

/// All gateways of a test write into one book, in order.
pub type Book = Arc<Mutex<Vec<Given>>>;

pub struct FakeGateway {
    name: &'static str,
    script: Mutex<VecDeque<Answer>>,
    book: Book,
}

impl FakeGateway {
    pub fn new(name: &'static str, book: &Book, script: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        Arc::new(Self { name, script: Mutex::new(script.into_iter().collect()), book: Arc::clone(book) })
    }

    async fn take(&self, given: Given) -> Result<Accepted, GatewayError> {
        let id = {
            let mut book = self.book.lock().unwrap();
            book.push(given);
            format!("{}-{}", self.name, book.len())
        };
        let accepted = Accepted { provider_message_id: Some(id), is_delivered: false };
        let answer = self.script.lock().unwrap().pop_front().unwrap_or(Answer::Accept);
        match answer {
            Answer::Accept => Ok(accepted),
            Answer::AcceptSlowly => {
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                Ok(accepted)
            }
            Answer::Refuse => Err(GatewayError::hard("refused")),
            Answer::PutOff => Err(GatewayError::transient("busy")),
            Answer::Hang => std::future::pending().await,
        }
    }
}

#[async_trait]
impl SmsGateway for FakeGateway {
    fn name(&self) -> &str {
        self.name
    }
    async fn send(&self, message: &SmsMessage) -> Result<Accepted, GatewayError> {
        self.take(Given {
            gateway: self.name.to_owned(),
            channel: Channel::Sms,
            reference: message.reference,
            to: message.to.clone(),
            subject: None,
            body: message.body.expose().clone(),
            code: message.code.as_ref().map(|code| code.expose().clone()),
        })
        .await
    }
}

#[async_trait]
impl EmailGateway for FakeGateway {
    fn name(&self) -> &str {
        self.name
    }
    async fn send(&self, message: &EmailMessage) -> Result<Accepted, GatewayError> {
        self.take(Given {
            gateway: self.name.to_owned(),
            channel: Channel::Email,
            reference: message.reference,
            to: message.to.clone(),
            subject: Some(message.subject.clone()),
            body: message.body.expose().clone(),
            code: message.code.as_ref().map(|code| code.expose().clone()),
        })
        .await
    }
}
