//! The numbers of the rules, as the design's table has them.

use domain::{
    limits,
    policy::{EmailForChanges, Limit, Policy},
    time::Seconds,
    values::*,
};

use crate::{histories::*, kit::*};

#[test]
fn the_defaults_are_those_of_the_design() {
    let policy = Policy::default();
    assert_eq!(policy.unconfirmed_account_lives, Seconds::hours(24));
    assert_eq!(policy.claim_takeover_after, Seconds::minutes(15));
    assert_eq!(policy.confirmation_attempts, 5);
    assert_eq!(policy.code_lives, Seconds::minutes(10));
    assert_eq!(policy.resend_after, Seconds(30));
    assert_eq!((policy.sends_per_verification, policy.sends_per_account_hour), (5, 10));
    assert_eq!((policy.first_method_numbers_per_day, policy.first_method_texts_per_day), (2, 4));
    assert_eq!((policy.code_attempts, policy.totp_attempts), (3, 5));
    assert_eq!(policy.lock_lasts, Seconds::minutes(15));
    assert_eq!((policy.recovery_code_attempts, policy.account_cap), (5, 100));
    assert_eq!((policy.verification_lives, policy.verification_fresh), (Seconds::minutes(15), Seconds::minutes(10)));
    assert_eq!(policy.authorization_lives, Seconds::minutes(30));
    assert_eq!((policy.enrollment_lives, policy.pending_enrollments), (Seconds::hours(1), 5));
    assert_eq!((policy.recovery_codes, policy.totp_skew_steps), (10, 1));
    assert_eq!(policy.totp_drift_search, Seconds::minutes(10));
    assert_eq!((policy.session_lives, policy.session_idle), (Seconds::days(30), Seconds::hours(24)));
    assert_eq!(policy.access_token_lives, Seconds::days(365));
    assert!(policy.email_for_sign_in && policy.email_for_step_up);
    assert_eq!(policy.email_for_changes, EmailForChanges::FreshAal2);
    assert_eq!((policy.password_fresh, policy.factor_fresh), (Seconds::minutes(10), Seconds::hours(24)));
    assert_eq!((policy.bound_authorization_lives, policy.changes_wait), (Seconds::minutes(10), Seconds::hours(24)));
    assert_eq!(policy.password_rejected_every, Seconds::minutes(1));
}

#[test]
fn the_limits_beside_the_log_are_those_of_the_design() {
    let limits = Policy::default().limits;
    let limit = |count, window| Limit { count, window };
    assert_eq!(limits.texts_per_number, [limit(5, Seconds::hours(1)), limit(20, Seconds::days(1))]);
    assert_eq!(limits.texts_per_prefix, limit(200, Seconds::hours(1)));
    assert_eq!(limits.sends_per_source, limit(100, Seconds::hours(1)));
    assert_eq!(limits.confirmation_mails_per_address, limit(5, Seconds::hours(1)));
    assert_eq!(limits.confirmation_failures_per_address, limit(20, Seconds::days(1)));
    assert_eq!(limits.passwords_per_address_and_source, limit(10, Seconds::minutes(15)));
    assert_eq!(limits.passwords_per_address, limit(100, Seconds::days(1)));
    assert_eq!(limits.passwords_per_source, limit(100, Seconds::hours(1)));
    assert_eq!(limits.passwords_per_client, limit(1_000, Seconds::hours(1)));
    assert_eq!(limits.opened_sign_ins, limit(10, Seconds::minutes(15)));
    assert_eq!(limits.long_codes_per_source, limit(30, Seconds::hours(1)));
    assert_eq!(Policy::default().stranger_mail_every, Seconds::minutes(10));
}

#[test]
fn a_password_from_a_known_network_is_not_held_up_by_strangers() {
    let limits = Policy::default().limits;
    let origin = Origin { ip: Some([192, 0, 2, 7].into()), ..Origin::default() };
    let name = |charges: Vec<limits::Charge>| charges.iter().map(|charge| charge.name.name()).collect::<Vec<_>>();
    let address = EmailAddress::parse("Ada@Example.com").unwrap();
    let known = limits::password_attempt(&limits, &address, &origin.network());
    assert_eq!(known[0].subject, "ada@example.com 192.0.2.7");
    assert_eq!(name(known), ["passwords_per_address_and_source"]);
    let unknown = [
        limits::password_of_a_source(&limits, &address, &Caller::Anonymous, &origin),
        limits::password_of_a_stranger(&limits, &address),
    ]
    .concat();
    assert!(unknown.iter().all(|charge| charge.refund_on_success), "what counts is failures");
    assert_eq!((unknown[1].subject.as_str(), unknown[2].subject.as_str()), ("192.0.2.7", "ada@example.com"));
    assert_eq!(name(unknown), ["passwords_per_address_and_source", "passwords_per_source", "passwords_per_address"]);
    let by_client = limits::password_of_a_source(&limits, &address, &product(), &origin);
    assert_eq!(by_client[1].subject, KEY.to_string());
    assert_eq!(name(by_client), ["passwords_per_address_and_source", "passwords_per_client"]);
}

#[test]
fn every_limit_names_its_subject_by_what_it_bounds() {
    let limits = Policy::default().limits;
    let origin = Origin { ip: Some("2001:db8::1".parse().unwrap()), ..Origin::default() };
    let subjects =
        |charges: Vec<limits::Charge>| charges.into_iter().map(|charge| charge.subject.clone()).collect::<Vec<_>>();
    assert_eq!(
        subjects(limits::text(&limits, &number(NUMBER), &origin)),
        [NUMBER, NUMBER, "+43660", "2001:db8:0:0::/64"]
    );
    assert_eq!(subjects(limits::mail(&limits, &origin)), ["2001:db8:0:0::/64"]);
    let mail = limits::confirmation_mail(&limits, &email(), &origin);
    assert_eq!(subjects(mail), ["2001:db8:0:0::/64", "ada@example.com"]);
    assert_eq!(subjects(limits::confirmation_attempt(&limits, &email())), ["ada@example.com"]);
    assert_eq!(subjects(limits::recovery_code_attempt(&limits, &origin)), ["2001:db8:0:0::/64"]);
    assert_eq!(subjects(limits::registration(&limits, &origin)), ["2001:db8:0:0::/64"]);
    assert_eq!(limits::reset_attempt(&Policy::default(), CHECK).subject, CHECK.to_string());
    assert_eq!(subjects(limits::opened_sign_in(&limits, CHECK)), [CHECK.to_string()]);
    assert_eq!(subjects(limits::long_code_attempt(&limits, &origin)), ["2001:db8:0:0::/64"]);
    let mail = limits::stranger_mail(&Policy::default(), &email());
    assert_eq!((mail[0].limit.count, mail[0].limit.window), (1, Seconds::minutes(10)));
    assert_eq!(subjects(mail), ["ada@example.com"]);
}

#[test]
fn a_policy_is_read_with_defaults_and_unknown_keys_are_refused() {
    let policy: Policy = serde_json::from_str("{\"code_attempts\": 4}").unwrap();
    assert_eq!(policy, Policy { code_attempts: 4, ..Policy::default() });
    assert!(serde_json::from_str::<Policy>("{\"code_attemps\": 4}").is_err());
    assert!(serde_json::from_str::<Policy>("{\"limits\": {\"texts\": 1}}").is_err());
}

#[test]
fn every_number_can_be_changed() {
    // Beside the boundaries that other tests go by, a few that show that no rule has a number of its own.
    let scene = given(an_account_with_totp().into_iter().chain([signing_in(CHECK)])).by(CHECKED);
    let strict = scene.clone().with_policy(|policy| policy.totp_attempts = 1);
    let told = strict.when(submit(CHECK, FactorKind::Totp, &wrong_totp(1, START)));
    told.wrong_code_that_locks(1, after(Seconds::minutes(15)));
    let exact = scene.clone().with_policy(|policy| policy.totp_skew_steps = 0);
    exact.when(submit(CHECK, FactorKind::Totp, &code_of(1, step_at(START) - 1))).wrong_code(1);
    let short = scene.with_policy(|policy| policy.code_lives = Seconds(60)).when(send(CHECK, Channel::Email));
    short
        .next()
        .at(after(Seconds(60)))
        .when(submit(CHECK, FactorKind::Email, "123456"))
        .refused(domain::outcome::Refusal::CodeExpired);
    let none = given(an_account().into_iter().chain(authorized(CHECK, Purpose::AddMethod))).by(SIGNED_IN);
    let none = none.with_policy(|policy| policy.first_method_texts_per_day = 0);
    let texting = domain::commands::Command::StartSmsEnrollment { phone_number: number(NUMBER) };
    none.when(texting).rate_limited_for(86_400);
}
