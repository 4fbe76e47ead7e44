//! One account cannot grow its history without end: what succeeds is bounded by the hour. Each bound is of its own, so
//! that checks and changes keep nobody from signing in.

use super::rules::Rules;
use crate::{decision::Ruling, outcome::Refusal, state::LastHour};

impl Rules<'_> {
    pub(super) fn may_sign_in_again(&self) -> Ruling<()> {
        self.may_grow(&self.state.growth.sign_ins, self.context.policy.sign_ins_per_account_hour)
    }

    pub(super) fn may_check_again(&self) -> Ruling<()> {
        self.may_grow(&self.state.growth.checks, self.context.policy.checks_per_account_hour)
    }

    pub(super) fn may_change_again(&self) -> Ruling<()> {
        self.may_grow(&self.state.growth.changes, self.context.policy.changes_per_account_hour)
    }

    fn may_grow(&self, so_far: &LastHour, most: u32) -> Ruling<()> {
        match so_far.full_until(most, self.now()) {
            Some(until) => Err(Refusal::RateLimited { retry_after: self.until(until) }.into()),
            None => Ok(()),
        }
    }
}
