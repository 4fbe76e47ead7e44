//! Keys of authenticator apps that are offered without being stored.

use domain::{
    account::totp_code,
    commands::{Command, TotpParameters},
    events::*,
    ids::MethodId,
    outcome::{Outcome, Refusal},
    personal::Personal,
    state::{Account, Progress},
    time::{Seconds, Timestamp},
    values::*,
};

use crate::{event_of, histories::*, kit::*};

fn authorized_to_add() -> Scene<Account> {
    given(an_account_in_use().into_iter().chain(authorized(CHECK, Purpose::AddMethod))).by(SIGNED_IN)
}
/// The key that is offered now.
fn offered(scene: &Scene<Account>) -> TotpSecret {
    let Outcome::TotpEnrollmentStarted(offer) = scene.clone().when(Command::OfferTotpKey).then([]).outcome() else {
        panic!("nothing offered")
    };
    offer.secret
}
fn code(key: &TotpSecret, at: Timestamp) -> String {
    totp_code(key, TotpParameters::DEFAULT, step_at(at))
}
fn add(key: &TotpSecret, code: &str) -> Command {
    Command::EnableOfferedTotp { secret: key.clone(), code: entered(code), label: Some(label("app")) }
}
fn wrong_code(key: &TotpSecret, at: Timestamp) -> String {
    let near: Vec<String> =
        (step_at(at) - 40..=step_at(at) + 40).map(|step| totp_code(key, TotpParameters::DEFAULT, step)).collect();
    (0..200).map(|n| format!("{n:06}")).find(|code| !near.contains(code)).unwrap()
}

#[test]
fn a_key_is_offered_to_whoever_is_signed_in_and_nothing_is_stored() {
    let told = given(an_account()).by(SIGNED_IN).when(Command::OfferTotpKey).then([]);
    let Outcome::TotpEnrollmentStarted(offer) = told.outcome() else { panic!("nothing offered") };
    assert_eq!((offer.method_id, offer.account_name.as_str()), (MethodId(1), "ada@example.com"));
    assert_eq!((offer.algorithm, offer.digits, offer.period), (TotpAlgorithm::Sha1, 6, 30));
    assert_eq!(told.scene.state, given(an_account()).state);
    given(an_account()).by(Caller::Anonymous).when(Command::OfferTotpKey).refused(Refusal::Unauthenticated);
    given([registered()]).by(product()).when(Command::OfferTotpKey).refused(Refusal::EmailNotVerified);
}

#[test]
fn its_app_is_enrolled_and_enabled_together() {
    let scene = authorized_to_add();
    let key = offered(&scene);
    let told = scene.when(add(&key, &code(&key, START))).then_named(&[
        "TotpEnrollmentStarted",
        "MethodEnabled",
        "TwoFactorEnabled",
        "RecoveryCodesGenerated",
        "SessionRevoked",
        "AccessTokenRevoked",
    ]);
    let enabled = event_of!(told, MethodEnabled);
    assert_eq!((enabled.method_id, enabled.verification_id, enabled.is_primary), (MethodId(1), CHECK, true));
    assert_eq!(enabled.totp_step, Some(step_at(START)));
    assert_eq!(event_of!(told, TotpEnrollmentStarted).secret, Personal::Known(key.clone()));
    let Outcome::MethodEnabled { method, recovery_codes: Some(codes), .. } = told.outcome() else { panic!("no codes") };
    assert_eq!((method.label.as_deref(), codes.len()), (Some("app"), 10));
    // The accepted step is spent, the authorization is used, and the key is one of a past offer.
    let scene = told.next();
    scene
        .clone()
        .when(add(&key, &code(&key, START)))
        .refused(Refusal::VerificationRequired { purpose: Purpose::AddMethod });
    let again = scene.then_at(START, authorized(OTHER_CHECK, Purpose::AddMethod));
    again.when(add(&key, &code(&key, START))).refused(Refusal::AlreadyEnabled);
}

#[test]
fn without_the_authorization_it_is_not_added() {
    let scene = given(an_account()).by(SIGNED_IN);
    let key = offered(&scene);
    let refusal = Refusal::VerificationRequired { purpose: Purpose::AddMethod };
    scene.when(add(&key, &code(&key, START))).refused(refusal).needing_nothing();
}

#[test]
fn a_key_of_somebodys_own_choosing_is_not_found() {
    let chosen = secret(9);
    authorized_to_add().when(add(&chosen, &code(&chosen, START))).refused(Refusal::NotFound);
    let short = TotpSecret::new(Vec::new());
    authorized_to_add().when(add(&short, "123456")).refused(Refusal::NotFound);
}

#[test]
fn a_key_of_another_account_is_not_found() {
    let mut scene = authorized_to_add();
    let key = offered(&scene);
    scene.state.id = Some(domain::ids::AccountId(uuid::Uuid::from_u128(0xa9)));
    scene.when(add(&key, &code(&key, START))).refused(Refusal::NotFound);
}

#[test]
fn a_key_is_taken_for_an_hour() {
    let key = offered(&authorized_to_add());
    let at = |moment: Timestamp| {
        let fresh = started(CHECK, Purpose::AddMethod, Some(OWNER));
        let fresh = VerificationStarted { expires_at: moment.plus(Seconds::minutes(15)), ..fresh };
        let events = [fresh.into(), completed(CHECK, Purpose::AddMethod, moment)];
        given(an_account()).by(SIGNED_IN).then_at(moment, events).when(add(&key, &code(&key, moment)))
    };
    let end = after(Seconds::hours(1));
    at(START).accepted();
    at(just_before(end)).accepted();
    at(end).refused(Refusal::VerificationExpired);
    at(after(Seconds::days(2))).refused(Refusal::VerificationExpired);
}

#[test]
fn every_call_hands_out_another_key() {
    let scene = authorized_to_add();
    let first = offered(&scene);
    let mut later = scene.clone();
    later.commands += 1;
    let second = offered(&later);
    assert_ne!(first.expose()[..16], second.expose()[..16]);
    assert_ne!(first.expose()[20..], second.expose()[20..]);
    assert_eq!(first.expose().len(), 32);
    scene.clone().when(add(&first, &code(&first, START))).accepted();
    scene.when(add(&second, &code(&second, START))).accepted();
}

#[test]
fn a_key_of_another_credential_is_not_found() {
    let token = Credential::AccessToken(TOKEN);
    let by_token =
        [started(CHECK, Purpose::AddMethod, Some(token)).into(), completed(CHECK, Purpose::AddMethod, START)];
    let scene = given(an_account_in_use()).then_at(START, by_token);
    let thiefs = offered(&scene.clone().by(Caller::AccessToken(OTHER_TOKEN)));
    scene.clone().by(WITH_TOKEN).when(add(&thiefs, &code(&thiefs, START))).refused(Refusal::NotFound);
    let own = offered(&scene.clone().by(WITH_TOKEN));
    scene.by(WITH_TOKEN).when(add(&own, &code(&own, START))).accepted();
}

#[test]
fn a_key_with_another_end_or_another_random_part_is_not_found() {
    let scene = authorized_to_add();
    let key = offered(&scene);
    for place in [0, 15, 16, 19, 20, 31] {
        let mut bytes = key.expose().to_vec();
        bytes[place] ^= 1;
        let changed = TotpSecret::new(bytes);
        scene.clone().when(add(&changed, &code(&changed, START))).refused(Refusal::NotFound);
    }
    let longer = TotpSecret::new([key.expose(), &[0]].concat());
    scene.when(add(&longer, &code(&longer, START))).refused(Refusal::NotFound);
}

#[test]
fn a_key_that_was_enabled_once_is_never_enabled_again() {
    let scene = authorized_to_add();
    let key = offered(&scene);
    let scene = scene.when(add(&key, &code(&key, START))).accepted().next();
    let later = after(Seconds::minutes(5));
    let removed = MethodDisabled { method_id: MethodId(1), kind: MethodKind::Totp, verification_id: OTHER_CHECK };
    let scene = scene.then_at(later, [removed.into(), TwoFactorDisabled {}.into()]);
    let scene = scene.then_at(later, authorized(OTHER_CHECK, Purpose::AddMethod));
    scene.when(add(&key, &code(&key, later))).refused(Refusal::AlreadyEnabled);
}

#[test]
fn five_wrong_codes_end_the_authorization_and_count_toward_no_lock() {
    let mut scene = authorized_to_add();
    let key = offered(&scene);
    for n in 1..=5 {
        let told = scene.when(add(&key, &wrong_code(&key, START))).wrong_code(n);
        let rejected = event_of!(told, CodeRejected);
        assert_eq!((rejected.purpose, rejected.kind_failures, rejected.account_failures), (Purpose::Enroll, 0, 0));
        assert_eq!(rejected.ended, n == 5);
        scene = told.next();
    }
    assert_eq!(scene.state.tallies.others.locks, domain::state::Locks::default());
    assert!(matches!(scene.state.verifications[&CHECK].progress, Progress::Failed { .. }));
    let refusal = Refusal::VerificationRequired { purpose: Purpose::AddMethod };
    scene.when(add(&key, &code(&key, START))).refused(refusal);
}

#[test]
fn what_has_no_six_digits_is_no_code() {
    let scene = authorized_to_add();
    let key = offered(&scene);
    scene.when(add(&key, "12345")).refused_for("code");
}

#[test]
fn after_the_clock_was_set_back_the_code_that_the_app_shows_now_adds_it() {
    let set_back = START.minus(Seconds::hours(1));
    // The key is of the stream's own time, which never goes backwards: what was offered is taken, and what has ended
    // does not come back.
    let scene = authorized_to_add().while_the_clock_shows(set_back);
    let key = offered(&scene);
    assert_eq!(key, offered(&authorized_to_add()));
    scene.clone().when(add(&key, &code(&key, START))).wrong_code(1);
    scene.when(add(&key, &code(&key, set_back))).accepted();
}
