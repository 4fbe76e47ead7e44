//! What the rules refuse, in the contract's codes.

use domain::{
    ids::AccountId,
    outcome::Refusal,
    state::{Account, Tallies},
    time::{Seconds, Timestamp},
    values::FactorKind,
};

use super::{
    codes::{Code, Refused},
    shapes::{method_kind, spoken},
};
use crate::state::AppState;

/// The client repeats a 429 three times unless it has to wait longer than a minute, a wrong code's lock too.
const LEAST_OF_A_LOCK: u32 = 61;
/// The cap has no end; support or a recovery code lifts it.
const CAP_RETRY: u32 = 3_600;

/// What the mailbox alone does not open.
const EMAIL_IS_FOR_LOGIN: &str = "A code by email only logs in. Use an app, SMS or a backup code, or log in with one of \
    these first: vastai tfa login.";
/// Without methods a session changes nothing unless its password was typed a moment ago.
const SIGN_IN_AGAIN: &str = "Log in again with your password first: it was typed too long ago for this.";

/// What was tried: one refusal of the rules has several names in the contract.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tried {
    /// The kind of the code, as far as it was named.
    pub kind: Option<FactorKind>,
    /// Whether the kind's method was named by its number.
    pub names_method: bool,
    /// Whether the code is of a method on file: only then wrong ones are counted.
    pub counts: bool,
    /// What something that is not there is called.
    pub not_found: Code,
    /// What a state that does not fit is called.
    pub conflict: Code,
    /// What a code right after another is called.
    pub too_soon: Code,
    /// What a limit is called.
    pub limited: Code,
    /// What a channel that cannot be used is called.
    pub channel: Code,
}

impl Tried {
    /// A check by this kind.
    pub const fn check(kind: Option<FactorKind>) -> Self {
        Self {
            kind,
            names_method: false,
            counts: true,
            not_found: Code::ChallengeNotFound,
            conflict: Code::Expired,
            too_soon: Code::ChallengeExists,
            limited: Code::SmsRateLimited,
            channel: Code::InvalidTfaMethod,
        }
    }
}

/// The answer for a refusal. The account is looked at again: a lock's count is not part of the refusal.
pub(super) async fn refused(app: &AppState, account: AccountId, refusal: Refusal, tried: Tried) -> Refused {
    match app.engine.load(account).await {
        Ok(loaded) => named(refusal, &loaded.state, tried, app.now()),
        Err(error) => error.into(),
    }
}

fn named(refusal: Refusal, state: &Account, tried: Tried, now: Timestamp) -> Refused {
    match refusal {
        Refusal::Unauthenticated => Refused::session_expired(),
        Refusal::WrongCredentials => Refused::invalid_key(),
        Refusal::Forbidden => Refused::new(Code::AuthError, "This key may not do that."),
        Refusal::EmailNotVerified => Refused::new(Code::EmailNotVerified, "Confirm your email address first."),
        Refusal::VerificationRequired { .. } => Refused::new(
            Code::AuthorizationRequired,
            "Authorization is required: confirm who you are with authorize-new-method first.",
        ),
        Refusal::NotFound => Refused::new(tried.not_found, not_found(tried.not_found)),
        Refusal::DuplicateMethod | Refusal::AlreadyEnabled => {
            Refused::new(Code::DuplicateMethod, "This method is on the account already.")
        }
        Refusal::Conflict => Refused::new(tried.conflict, conflict(tried.conflict)),
        Refusal::VerificationExpired | Refusal::CodeExpired => {
            Refused::new(Code::Expired, "The code or its secret has expired. Start over.")
        }
        Refusal::WrongCode { fail_count, locked_until } => wrong_code(fail_count, locked_until, tried, now),
        Refusal::MethodLocked { locked_until, retry_after } => {
            let sides = Tallies::SIDES.map(|side| state.tallies.of(side).locks);
            let locks = sides.map(|locks| [locks.totp, locks.sms, locks.email]).concat();
            let lock = locks.iter().find(|lock| lock.locked_until == Some(locked_until));
            locked(lock.map_or(0, |lock| lock.failures), locked_until, retry_after)
        }
        Refusal::Unreadable => Refused::new(Code::ServiceUnavailable, "This cannot be answered now. Try again later."),
        Refusal::AccountLocked => {
            let sides = Tallies::SIDES.map(|side| state.tallies.of(side));
            let capped = sides.iter().filter(|tally| tally.reached_cap).map(|tally| tally.failures).max();
            Refused::new(Code::Locked, "Too many wrong codes in a row: use a backup code, or ask support.")
                .counting(capped.unwrap_or(0), None)
                .after(CAP_RETRY)
        }
        Refusal::ResendTooSoon { retry_after } => {
            let msg = format!("A code was sent a moment ago. Try again in {}.", spoken(retry_after.0));
            with_a_wait(tried.too_soon, msg, retry_after)
        }
        // Too many backup codes from one place: nothing was sent, so no limit of texts is named.
        Refusal::RateLimited { retry_after } if tried.kind == Some(FactorKind::RecoveryCode) => {
            locked(0, now.plus(retry_after), retry_after)
        }
        Refusal::RateLimited { retry_after } => {
            let msg = format!("A limit is reached. Try again in {}.", spoken(retry_after.0));
            with_a_wait(tried.limited, msg, retry_after)
        }
        Refusal::AddressIsNew { retry_after } => Refused::new(
            Code::EmailNotVerified,
            format!("Your email address is new: codes to it confirm nothing before {}.", now.plus(retry_after)),
        ),
        Refusal::NoCodeSent => no_code_sent(tried),
        Refusal::Invalid { field, detail } => invalid(&field, &detail, state, tried),
    }
}

fn with_a_wait(code: Code, msg: String, wait: Seconds) -> Refused {
    let refused = Refused::new(code, msg);
    if code.status() == axum::http::StatusCode::TOO_MANY_REQUESTS { refused.after(wait.0) } else { refused }
}

fn wrong_code(fail_count: u32, locked_until: Option<Timestamp>, tried: Tried, now: Timestamp) -> Refused {
    if tried.kind == Some(FactorKind::RecoveryCode) {
        return Refused::new(Code::InvalidBackup, "Invalid backup code.");
    }
    let msg = match locked_until {
        Some(until) => {
            format!("Wrong code. Too many in a row: try again in {}.", spoken(until.seconds_since(now)))
        }
        None => "Wrong code. Wait for a new one if you just used one.".to_owned(),
    };
    let refused = Refused::new(Code::VerificationFailed, msg);
    if tried.counts { refused.counting(fail_count, locked_until) } else { refused }
}

fn locked(fail_count: u32, locked_until: Timestamp, retry_after: Seconds) -> Refused {
    let msg = format!("Too many wrong codes. Try again in {}.", spoken(retry_after.0));
    Refused::new(Code::Locked, msg).counting(fail_count, Some(locked_until)).after(retry_after.0.max(LEAST_OF_A_LOCK))
}

const fn not_found(code: Code) -> &'static str {
    match code {
        Code::NoPendingAuthorization => "There is no authorization under way with this secret.",
        Code::NotFound => "There is no such method.",
        _ => "This secret is unknown. Ask for a new code.",
    }
}

const fn conflict(code: Code) -> &'static str {
    match code {
        Code::MethodNotConfigured => "Two-factor authentication is off.",
        _ => "This secret was used already. Start over.",
    }
}

fn no_code_sent(tried: Tried) -> Refused {
    let code = match tried.kind {
        Some(FactorKind::RecoveryCode) => Code::InvalidBackup,
        Some(FactorKind::Sms | FactorKind::Email) => Code::NoChallengeFound,
        Some(FactorKind::Totp) | None => Code::BadRequest,
    };
    Refused::new(code, "code no code was sent this way: ask for one first.")
}

fn invalid(field: &str, detail: &str, state: &Account, tried: Tried) -> Refused {
    let has_method = |kind| state.methods.values().any(|method| method_kind(kind) == Some(method.kind()));
    let code = match (field, tried.kind) {
        ("code" | "method", Some(FactorKind::RecoveryCode)) => Code::InvalidBackup,
        ("method", Some(kind @ (FactorKind::Totp | FactorKind::Sms))) if !has_method(kind) => Code::MethodNotConfigured,
        ("method", Some(_)) => Code::InvalidTfaMethod,
        // These clients type no password but when they sign in.
        ("password", _) => return Refused::new(Code::AuthorizationRequired, SIGN_IN_AGAIN),
        ("method_id", _) if tried.names_method => Code::MethodNotConfigured,
        ("method" | "method_id" | "verification_id" | "target", _) => Code::MissingParams,
        ("channel", _) => tried.channel,
        ("phone_number", _) => Code::SmsBlockedNumber,
        ("purpose", _) => Code::ChallengeNotFound,
        _ => Code::BadRequest,
    };
    let is_mail = tried.kind == Some(FactorKind::Email) && !state.methods.is_empty();
    if is_mail && matches!(field, "method" | "channel") && code == Code::InvalidTfaMethod {
        return Refused::new(code, EMAIL_IS_FOR_LOGIN);
    }
    let name = match field {
        "verification_id" => "secret",
        "method" | "channel" => "tfa_method",
        "method_id" => "tfa_method_id",
        "target" => "target_id",
        field => field,
    };
    Refused::new(code, format!("{name} {detail}."))
}
