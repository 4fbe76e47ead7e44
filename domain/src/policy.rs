//! Every number of every rule, with its default. One place, all configurable.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::{
    time::Seconds,
    values::{Country, PhoneNumber},
};

/// The rules' numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// An account that does not confirm its address ends after this. 24 hours.
    pub unconfirmed_account_lives: Seconds,
    /// An address claim that was not completed may be taken over after this. 15 minutes.
    pub claim_takeover_after: Seconds,
    /// Wrong codes that end the confirmation of an address, or an enrollment. 5.
    pub confirmation_attempts: u32,
    /// A one-time code (SMS, email) is valid this long. 10 minutes (NIST SP 800-63B, 5.1.3.2).
    pub code_lives: Seconds,
    /// No resend sooner than this after the last send. 30 seconds.
    pub resend_after: Seconds,
    /// What whoever knows an address may ask for is mailed to it once in this time, whoever asks. 10 minutes.
    pub stranger_mail_every: Seconds,
    /// Sends per verification. 5.
    pub sends_per_verification: u32,
    /// Sends per account and hour. 10. The state keeps the last 256, so more than that is no limit.
    pub sends_per_account_hour: u32,
    /// Different new numbers that an account may text in a day, whatever is on file already. 2.
    pub first_method_numbers_per_day: u32,
    /// Texts to new numbers that an account without a method of more than a day may cause in a day. 4.
    pub first_method_texts_per_day: u32,
    /// Wrong SMS or email codes in a row that lock that kind. 3.
    pub code_attempts: u32,
    /// Wrong TOTP codes in a row that lock TOTP. 5.
    pub totp_attempts: u32,
    /// A locked kind stays locked this long. 15 minutes.
    pub lock_lasts: Seconds,
    /// Wrong recovery codes that end a verification. 5.
    pub recovery_code_attempts: u32,
    /// Wrong codes in a row over TOTP, SMS and email that stop those three. 100 (NIST SP 800-63B, 5.2.2).
    pub account_cap: u32,
    /// By so many a day that count falls, on either side. 10.
    pub account_cap_falls_per_day: u32,
    /// Wrong recovery codes of an imported set that are borne in an hour, per side. 5; more than 32 is no limit.
    pub imported_code_attempts_hour: u32,
    /// Wrong recovery codes in a row that suspend an imported set, per side. 20.
    pub imported_codes_suspended_after: u32,
    /// A known device is a stranger's again after this. 1 year.
    pub device_lives: Seconds,
    /// Known devices per account; the one that was not used for longest gives way. 20.
    pub devices: u32,
    /// Sign-ins per account and hour. 120.
    pub sign_ins_per_account_hour: u32,
    /// Other checks that a credential begins, per account and hour. 600.
    pub checks_per_account_hour: u32,
    /// Labels, choices of the primary method, passwords and enrollments begun, per account and hour. 60.
    pub changes_per_account_hour: u32,
    /// A pending verification lives this long. 15 minutes.
    pub verification_lives: Seconds,
    /// A completed verification may be used this long. 10 minutes.
    pub verification_fresh: Seconds,
    /// The authorization to add one method lives this long. 30 minutes.
    pub authorization_lives: Seconds,
    /// An enrollment lives this long. 1 hour.
    pub enrollment_lives: Seconds,
    /// Pending enrollments per account. 5.
    pub pending_enrollments: u32,
    /// Pending verifications per account. 50.
    pub pending_verifications: u32,
    /// Recovery codes of a set. 10.
    pub recovery_codes: u32,
    /// TOTP steps before and after the current one that are accepted. 1 (RFC 6238, 5.2).
    pub totp_skew_steps: u32,
    /// How far a rejected TOTP code is searched for, to tell support of a clock that is off. 10 minutes.
    pub totp_drift_search: Seconds,
    /// A session ends after this. 30 days.
    pub session_lives: Seconds,
    /// A session that is not used this long ends. 24 hours.
    pub session_idle: Seconds,
    /// A session that support's recovery code began ends after this. 1 hour.
    pub limited_session_lives: Seconds,
    /// The recovery code of support's reset is good this long. 72 hours.
    pub reset_code_lives: Seconds,
    /// How many support people a reset takes: one, or two with keys of their own. 1.
    pub reset_approvers: u32,
    /// A reset that waits for its second approver ends after this. 24 hours.
    pub reset_request_lives: Seconds,
    /// A new address proves nothing but a sign-in for this long. 24 hours.
    pub new_address_quiet: Seconds,
    /// A change of address can be undone, and the old address is reserved, for this long. 7 days.
    pub address_undo_lives: Seconds,
    /// Changes of address that can be undone at a time; one more has to wait. 5.
    pub undoable_address_changes: u32,
    /// The link of an undo stops changes for this long, once. 24 hours.
    pub freeze_lasts: Seconds,
    /// Wrong codes that may be tried with one link of an undo; recovery codes of ours stay usable. 20.
    pub undo_attempts: u32,
    /// Live sessions per account; the oldest one gives way. 100.
    pub sessions: u32,
    /// An access token ends after this. 1 year.
    pub access_token_lives: Seconds,
    /// Live access tokens per account. 50.
    pub access_tokens: u32,
    /// Whether a code by email may complete a sign-in.
    pub email_for_sign_in: bool,
    /// Whether a code by email may authorize a change on an account with methods: `never`, `fresh_aal2` or `always`.
    pub email_for_changes: EmailForChanges,
    /// A session may do what needs its own proof this long after it: a password for a change on an account without
    /// methods. 10 minutes.
    pub password_fresh: Seconds,
    /// The same for the second factor of a session that adds a method with a code by email. 24 hours.
    pub factor_fresh: Seconds,
    /// The authorization to add one method lives this long where it is good for one source network alone (clients of
    /// the vast.ai API), unless email authorizes every change. 10 minutes.
    pub bound_authorization_lives: Seconds,
    /// After a password reset whose second factor was a text, changes wait this long. 24 hours.
    pub changes_wait: Seconds,
    /// Whether a code by email may complete a `step_up`.
    pub email_for_step_up: bool,
    /// At most one `PasswordRejected` per account in this time. 1 minute.
    pub password_rejected_every: Seconds,
    /// Countries whose numbers are texted, ISO 3166-1 alpha-2. All of them when empty.
    #[serde(deserialize_with = "countries")]
    pub allowed_countries: Vec<Country>,
    /// Countries whose numbers are not texted, allowed or not. None.
    #[serde(deserialize_with = "countries")]
    pub blocked_countries: Vec<Country>,
    /// Limits that are counted beside the log.
    pub limits: Limits,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            unconfirmed_account_lives: Seconds::hours(24),
            claim_takeover_after: Seconds::minutes(15),
            confirmation_attempts: 5,
            code_lives: Seconds::minutes(10),
            resend_after: Seconds(30),
            stranger_mail_every: Seconds::minutes(10),
            sends_per_verification: 5,
            sends_per_account_hour: 10,
            first_method_numbers_per_day: 2,
            first_method_texts_per_day: 4,
            code_attempts: 3,
            totp_attempts: 5,
            lock_lasts: Seconds::minutes(15),
            recovery_code_attempts: 5,
            account_cap: 100,
            account_cap_falls_per_day: 10,
            imported_code_attempts_hour: 5,
            imported_codes_suspended_after: 20,
            device_lives: Seconds::days(365),
            devices: 20,
            sign_ins_per_account_hour: 120,
            checks_per_account_hour: 600,
            changes_per_account_hour: 60,
            verification_lives: Seconds::minutes(15),
            verification_fresh: Seconds::minutes(10),
            authorization_lives: Seconds::minutes(30),
            enrollment_lives: Seconds::hours(1),
            pending_enrollments: 5,
            pending_verifications: 50,
            recovery_codes: 10,
            totp_skew_steps: 1,
            totp_drift_search: Seconds::minutes(10),
            session_lives: Seconds::days(30),
            session_idle: Seconds::hours(24),
            limited_session_lives: Seconds::hours(1),
            reset_code_lives: Seconds::hours(72),
            reset_approvers: 1,
            reset_request_lives: Seconds::hours(24),
            new_address_quiet: Seconds::hours(24),
            address_undo_lives: Seconds::days(7),
            undoable_address_changes: 5,
            freeze_lasts: Seconds::hours(24),
            undo_attempts: 20,
            sessions: 100,
            access_token_lives: Seconds::days(365),
            access_tokens: 50,
            email_for_sign_in: true,
            email_for_changes: EmailForChanges::default(),
            password_fresh: Seconds::minutes(10),
            factor_fresh: Seconds::hours(24),
            bound_authorization_lives: Seconds::minutes(10),
            changes_wait: Seconds::hours(24),
            email_for_step_up: true,
            password_rejected_every: Seconds::minutes(1),
            allowed_countries: Vec::new(),
            blocked_countries: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl Policy {
    /// Whether numbers of this number's country are texted.
    pub fn texts_to(&self, number: &PhoneNumber) -> bool {
        if self.allowed_countries.is_empty() && self.blocked_countries.is_empty() {
            return true;
        }
        let country = number.country();
        (self.allowed_countries.is_empty() || self.allowed_countries.contains(&country))
            && !self.blocked_countries.contains(&country)
    }
}

/// What a code by email may authorize on an account with methods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmailForChanges {
    /// No change.
    Never,
    /// Adding a method, from a session whose own second factor was proved lately.
    #[default]
    FreshAal2,
    /// Every change: for who moves from a system that allowed it.
    Always,
}

/// A list of countries, or a text with commas between them (as the environment gives it).
fn countries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Country>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a list of countries such as [\"AT\", \"DE\"]")]
    enum Written {
        List(Vec<String>),
        Text(String),
    }
    let codes = match Written::deserialize(deserializer)? {
        Written::List(codes) => codes,
        Written::Text(text) => {
            text.split(',').map(str::trim).filter(|code| !code.is_empty()).map(str::to_owned).collect()
        }
    };
    // What is written here is an operator's, and short: the line that refuses it may repeat it.
    let read = |code: &String| Country::parse(code).map_err(|error| D::Error::custom(format!("{code:?} {error}")));
    codes.iter().map(read).collect()
}

/// At most `count` in `window`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// How many.
    pub count: u32,
    /// In how long.
    pub window: Seconds,
}

const fn limit(count: u32, window: Seconds) -> Limit {
    Limit { count, window }
}

/// Limits over more than one account: by number, address and source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Texts to one number. 5 an hour and 20 a day.
    pub texts_per_number: [Limit; 2],
    /// Texts to one prefix (country calling code and three digits) over all accounts. 200 an hour: whoever earns
    /// by texts has numbers in a row, in few prefixes.
    pub texts_per_prefix: Limit,
    /// Codes ordered by one source. 100 an hour.
    pub sends_per_source: Limit,
    /// Mails that confirm the new address of an account, per address. 5 an hour.
    pub confirmation_mails_per_address: Limit,
    /// Wrong codes that confirm the new address of an account, per address. 20 a day.
    pub confirmation_failures_per_address: Limit,
    /// Wrong passwords for one address from one source network. 10 in 15 minutes.
    pub passwords_per_address_and_source: Limit,
    /// Wrong passwords for one address from networks that never signed in to it. 100 a day.
    pub passwords_per_address: Limit,
    /// Wrong passwords from one source, over all addresses. 100 an hour.
    pub passwords_per_source: Limit,
    /// Wrong passwords by one API client, over all addresses. 1,000 an hour.
    pub passwords_per_client: Limit,
    /// Wrong passwords beside one code that opened a sign-in. 10 in 15 minutes.
    pub opened_sign_ins: Limit,
    /// Wrong long codes from one source. 30 an hour.
    pub long_codes_per_source: Limit,
    /// Wrong recovery codes from one source. 30 an hour.
    pub recovery_codes_per_source: Limit,
    /// Wrong second factors from one source, over all accounts. 30 an hour; each process lets one more through.
    pub second_factors_per_source: Limit,
    /// Wrong second factors by one API client, over all accounts. 200 an hour; each process lets one more through.
    pub second_factors_per_client: Limit,
    /// Accounts registered by one source. 100 an hour.
    pub registrations_per_source: Limit,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            texts_per_number: [limit(5, Seconds::hours(1)), limit(20, Seconds::days(1))],
            texts_per_prefix: limit(200, Seconds::hours(1)),
            sends_per_source: limit(100, Seconds::hours(1)),
            confirmation_mails_per_address: limit(5, Seconds::hours(1)),
            confirmation_failures_per_address: limit(20, Seconds::days(1)),
            passwords_per_address_and_source: limit(10, Seconds::minutes(15)),
            passwords_per_address: limit(100, Seconds::days(1)),
            passwords_per_source: limit(100, Seconds::hours(1)),
            passwords_per_client: limit(1_000, Seconds::hours(1)),
            opened_sign_ins: limit(10, Seconds::minutes(15)),
            long_codes_per_source: limit(30, Seconds::hours(1)),
            recovery_codes_per_source: limit(30, Seconds::hours(1)),
            second_factors_per_source: limit(30, Seconds::hours(1)),
            second_factors_per_client: limit(200, Seconds::hours(1)),
            registrations_per_source: limit(100, Seconds::hours(1)),
        }
    }
}
