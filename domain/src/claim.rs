//! Who claims an address: the stream `email-<keyed hash>`.
//!
//! An address is claimed when its code is confirmed, not before; the claim is appended first, the
//! account's `EmailVerified` second. A claim whose account never got that far may be taken over.

use serde::{Deserialize, Serialize};

use crate::{
    decision::{Context, Decider, Decision},
    events::{EmailClaimed, EmailReleased, Event, RevocationReason},
    evidence::{Evidence, Need},
    ids::AccountId,
    outcome::{Outcome, Refusal},
    personal::Personal,
    time::Timestamp,
};

/// The claim of one address. `Default` is the free address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailClaim {
    /// Who holds it.
    pub holder: Option<Holder>,
}

/// Who holds an address, since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The account; erased together with it.
    pub account_id: Personal<AccountId>,
    /// Since when.
    pub since: Timestamp,
}

/// What may be asked of a claim.
#[derive(Debug, Clone)]
pub enum ClaimCommand {
    /// Claim it for this account. Asked again by the same account, the claim is renewed: what the account
    /// was told of it stays true for as long as it was told.
    Claim {
        /// The account.
        account_id: AccountId,
        /// Whether the present holder's account uses this address (its confirmation was completed).
        holder_completed: bool,
    },
    /// Give it back.
    Release {
        /// The account that holds it; anyone else's release does nothing.
        account_id: AccountId,
        /// Why.
        reason: RevocationReason,
    },
}

impl EmailClaim {
    /// The account that holds the address, when it can be read.
    pub fn account(&self) -> Option<AccountId> {
        self.holder.as_ref().and_then(|holder| holder.account_id.known().copied())
    }

    fn rule(&self, command: &ClaimCommand, context: &Context<'_>) -> Decision {
        match *command {
            ClaimCommand::Claim { account_id, holder_completed } => {
                let claimed = EmailClaimed { account_id: Personal::Known(account_id) }.into();
                match &self.holder {
                    None => Decision::accept(vec![claimed], Outcome::EmailClaimed),
                    // Renewed, so that nobody takes it over while the account completes it.
                    Some(holder) if holder.account_id == Personal::Known(account_id) => {
                        let renewed = if holder_completed { Vec::new() } else { vec![claimed] };
                        Decision::accept(renewed, Outcome::EmailClaimed)
                    }
                    Some(holder)
                        if !holder_completed
                            && context.now >= holder.since.plus(context.policy.claim_takeover_after) =>
                    {
                        let released = EmailReleased { reason: RevocationReason::Abandoned }.into();
                        Decision::accept(vec![released, claimed], Outcome::EmailClaimed)
                    }
                    Some(_) => Decision::refuse(Refusal::Conflict),
                }
            }
            ClaimCommand::Release { account_id, reason } => match &self.holder {
                Some(holder) if holder.account_id == Personal::Known(account_id) => {
                    Decision::accept(vec![EmailReleased { reason }.into()], Outcome::Done)
                }
                _ => Decision::accept(Vec::new(), Outcome::Done),
            },
        }
    }
}

impl Decider for EmailClaim {
    type Command = ClaimCommand;

    fn decide(&self, command: &ClaimCommand, context: &Context<'_>, _: &Evidence) -> Result<Decision, Need> {
        Ok(self.rule(command, context))
    }

    /// A claim's key is destroyed once it was given back.
    fn is_erased(&self) -> bool {
        self.holder.is_none()
    }

    fn evolve(mut self, event: &Event, at: Timestamp) -> Self {
        match event {
            Event::EmailClaimed(claimed) => {
                self.holder = Some(Holder { account_id: claimed.account_id.clone(), since: at });
            }
            Event::EmailReleased(_) => self.holder = None,
            _ => {}
        }
        self
    }
}
