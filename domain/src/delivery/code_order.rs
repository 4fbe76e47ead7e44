//! What an account's event orders: a code to be sent.

use crate::{
    events::Event,
    personal::Personal,
    time::Timestamp,
    values::{Challenge, CodeForm, Country, NumberPrefix},
};

/// A code to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeOrder {
    /// What its digits are derived from.
    pub challenge: Challenge,
    /// What it looks like.
    pub form: CodeForm,
    /// The address or number.
    pub to: Personal<String>,
    /// Country of the number.
    pub country: Option<Country>,
    /// Prefix of the number.
    pub prefix: Option<NumberPrefix>,
    /// Its end: not to be sent after.
    pub expires_at: Timestamp,
    /// Whether it was sent before.
    pub is_resend: bool,
}

/// The two events have the same fields, and no type in common.
macro_rules! ordered {
    ($event:ident, $form:expr, $is_resend:literal) => {
        CodeOrder {
            challenge: Challenge {
                verification_id: $event.verification_id,
                purpose: $event.purpose,
                channel: $event.channel,
                method_id: $event.method_id,
                issue: $event.issue,
            },
            form: $form,
            to: $event.to.clone(),
            country: $event.country.clone(),
            prefix: $event.prefix.clone(),
            expires_at: $event.expires_at,
            is_resend: $is_resend,
        }
    };
}

impl CodeOrder {
    /// The code that an event orders.
    pub fn of(event: &Event) -> Option<Self> {
        match event {
            Event::CodeIssued(e) => Some(ordered!(e, e.form, false)),
            Event::CodeResent(e) => Some(ordered!(e, CodeForm::Digits, true)),
            _ => None,
        }
    }
}
