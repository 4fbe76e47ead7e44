//! `dead-letters`: what the workers could not carry out.

use serde_json::{Value, json};
use workers::nats::{DeadLetter, DeadLetterError, DeadLetters};

use super::say;
use crate::{
    Failure, broker,
    cli::{DeadLettersCommand, Redrive},
    config::Config,
};

/// Letters per request of a listing.
const PAGE: usize = 100;

impl From<DeadLetterError> for Failure {
    fn from(error: DeadLetterError) -> Self {
        Self::other(error)
    }
}

/// Carries out one of the commands.
pub async fn run(config: &Config, command: DeadLettersCommand) -> Result<(), Failure> {
    let letters = DeadLetters::of(broker::reach(config).await?);
    match command {
        DeadLettersCommand::List { limit, json } => list(&letters, limit, json).await,
        DeadLettersCommand::Show { sequence } => {
            say(serde_json::to_string_pretty(&shown(&letters.get(sequence).await?)).map_err(Failure::other)?)
        }
        DeadLettersCommand::Redrive(which) => redrive(&letters, &which).await,
    }
}

async fn list(letters: &DeadLetters, limit: usize, as_json: bool) -> Result<(), Failure> {
    if !as_json {
        say(format_args!(
            "{:>8}  {:<24}  {:<10} {:<20} {:>5}  event",
            "number", "given up", "role", "reason", "tries"
        ))?;
    }
    let (mut after, mut count) = (0, 0);
    while count < limit {
        let page = letters.list(after, PAGE.min(limit - count)).await?;
        let Some(last) = page.last() else { break };
        after = last.sequence;
        count += page.len();
        for letter in &page {
            if as_json {
                say(shown(letter))?;
                continue;
            }
            let DeadLetter { sequence, role, reason, deliveries, .. } = letter;
            let event = letter.event.as_deref().unwrap_or("-");
            let at = letter.at.to_string();
            say(format_args!("{sequence:>8}  {at:<24}  {role:<10} {reason:<20} {deliveries:>5}  {event}"))?;
        }
    }
    Ok(())
}

async fn redrive(letters: &DeadLetters, which: &Redrive) -> Result<(), Failure> {
    if let Some(sequence) = which.sequence {
        letters.redrive(sequence).await?;
        return say(format_args!("dead letter {sequence} is sent again"));
    }
    // What comes back while this runs has a higher number, and waits for someone to look at it.
    let (_, last) = letters.count().await?;
    let (mut after, mut count) = (0, 0);
    loop {
        let page = letters.list(after, PAGE).await?;
        let due: Vec<_> = page.iter().map(|letter| letter.sequence).filter(|sequence| *sequence <= last).collect();
        let Some(highest) = due.last().copied() else { break };
        after = highest;
        for sequence in due {
            match letters.redrive(sequence).await {
                Ok(_) => count += 1,
                // Someone else was quicker.
                Err(DeadLetterError::Unknown(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    say(format_args!("{count} dead letters are sent again"))
}

/// A letter as JSON. The message is one of the relay's, without anything personal, or whatever someone else sent.
fn shown(letter: &DeadLetter) -> Value {
    let message = serde_json::from_slice(&letter.payload)
        .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&letter.payload).into_owned()));
    json!({
        "number": letter.sequence,
        "given_up_at": letter.at.to_string(),
        "role": letter.role,
        "reason": letter.reason,
        "subject": letter.subject,
        "event": letter.event,
        "deliveries": letter.deliveries,
        "stream_sequence": letter.stream_sequence,
        "headers": letter.headers,
        "message": message,
    })
}
