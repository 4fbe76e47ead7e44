//! Naming, choosing and removing methods.

use domain::{
    commands::Command,
    events::*,
    ids::{MethodId, VerificationId},
    outcome::{Outcome, Refusal},
    personal::Personal,
    state::Account,
    time::Seconds,
    values::*,
};

use crate::{event_of, histories::*, kit::*};

const REQUIRED: Refusal = Refusal::VerificationRequired { purpose: Purpose::DisableMethod };

fn disable(id: u32, verification_id: Option<VerificationId>) -> Command {
    Command::DisableMethod { method_id: MethodId(id), verification_id }
}
/// Both methods on file, another session and an access token, and the check for removing is done.
fn authorized_to_remove(mut history: Vec<Event>) -> Scene<Account> {
    history.extend([session(OTHER_SESSION, Aal::Aal2), access_token(TOKEN)]);
    history.extend(authorized(CHECK, Purpose::DisableMethod));
    given(history).by(SIGNED_IN)
}

fn rename(id: u32, name: &str) -> Command {
    Command::ChangeMethod { method_id: MethodId(id), label: Some(label(name)), make_primary: false }
}
fn prefer(id: u32) -> Command {
    Command::ChangeMethod { method_id: MethodId(id), label: None, make_primary: true }
}

#[test]
fn removing_a_method_ends_other_sessions_and_access_tokens_and_keeps_two_factor_on() {
    let told = authorized_to_remove(an_account_with_both()).when(disable(2, Some(CHECK)));
    let removed = MethodDisabled { method_id: MethodId(2), kind: MethodKind::Sms, verification_id: CHECK };
    let ended = SessionRevoked { session_ids: vec![OTHER_SESSION], reason: RevocationReason::FactorChanged };
    let tokens = AccessTokenRevoked { access_token_ids: vec![TOKEN], reason: RevocationReason::FactorChanged };
    let told = told.then([removed.into(), ended.into(), tokens.into()]).needing_nothing();
    let told = told.telling(&Outcome::MethodDisabled { two_factor_enabled: true, remaining_methods: 1 });
    assert!(told.scene.state.summary(&usual(), START).unwrap().two_factor_enabled);
    assert_eq!(told.scene.state.primary, Some(MethodId(1)));
}

#[test]
fn removing_the_primary_method_makes_the_next_one_primary() {
    let told = authorized_to_remove(an_account_with_both()).when(disable(1, Some(CHECK)));
    assert_eq!(event_of!(told, PrimaryMethodChanged).method_id, MethodId(2));
    assert_eq!(told.scene.state.primary, Some(MethodId(2)));
}

#[test]
fn removing_the_last_method_turns_two_factor_off_and_kills_the_recovery_codes() {
    let told = authorized_to_remove(an_account_with_totp()).when(disable(1, Some(CHECK)));
    let told = told.then_named(&[
        "MethodDisabled",
        "TwoFactorDisabled",
        "RecoveryCodesRevoked",
        "SessionRevoked",
        "AccessTokenRevoked",
    ]);
    assert_eq!(event_of!(told, RecoveryCodesRevoked).reason, RevocationReason::TwoFactorDisabled);
    let told = told.telling(&Outcome::MethodDisabled { two_factor_enabled: false, remaining_methods: 0 });
    let summary = told.scene.state.summary(&usual(), START).unwrap();
    assert_eq!((summary.two_factor_since, summary.recovery_codes_remaining), (None, 0));
    assert_eq!(told.scene.state.primary, None);
    told.next().by(Caller::Anonymous).when(sign_in(PASSWORD)).then_named(&["SignedIn"]);
}

#[test]
fn removing_needs_a_fresh_verification_of_the_same_credential_once() {
    let scene = authorized_to_remove(an_account_with_both());
    scene.clone().when(disable(2, None)).refused(REQUIRED);
    scene.clone().when(disable(2, Some(OTHER_CHECK))).refused(REQUIRED);
    for other in [Caller::Session(OTHER_SESSION), WITH_TOKEN, product()] {
        scene.clone().by(other).when(disable(2, Some(CHECK))).refused(REQUIRED);
    }
    let end = after(Seconds::minutes(10));
    scene.clone().at(end).when(disable(2, Some(CHECK))).refused(REQUIRED);
    let scene = scene.at(just_before(end)).when(disable(2, Some(CHECK))).accepted().next();
    scene.when(disable(1, Some(CHECK))).refused(REQUIRED);
}

#[test]
fn a_verification_that_waits_or_serves_another_purpose_does_not_do() {
    let mut history = an_account_with_both();
    history.push(checking(CHECK, Purpose::DisableMethod));
    for (n, purpose) in (0x900..).zip([Purpose::SignIn, Purpose::AddMethod, Purpose::RegenerateRecoveryCodes]) {
        let id = VerificationId(uuid::Uuid::from_u128(n));
        let scene = given(history.clone().into_iter().chain(authorized(id, purpose))).by(SIGNED_IN);
        scene.clone().when(disable(2, Some(id))).refused(REQUIRED);
        scene.when(disable(2, Some(CHECK))).refused(REQUIRED);
    }
}

#[test]
fn a_verification_that_named_its_target_removes_no_other_method() {
    let aimed =
        VerificationStarted { target: Some(MethodId(2)), ..started(CHECK, Purpose::DisableMethod, Some(OWNER)) };
    let mut history = an_account_with_both();
    history.extend([aimed.into(), completed(CHECK, Purpose::DisableMethod, START)]);
    let scene = given(history).by(SIGNED_IN);
    scene.clone().when(disable(1, Some(CHECK))).refused(REQUIRED);
    scene.when(disable(2, Some(CHECK))).accepted();
}

#[test]
fn a_method_that_is_not_there_is_not_found() {
    let scene = authorized_to_remove(an_account_with_both());
    scene.clone().when(disable(3, Some(CHECK))).refused(Refusal::NotFound);
    scene.clone().when(prefer(3)).refused(Refusal::NotFound);
    scene.when(rename(3, "x")).refused(Refusal::NotFound);
}

#[test]
fn removing_and_adding_again_gains_no_guesses() {
    let until = after(Seconds::minutes(15));
    let scene = authorized_to_remove(an_account_with_both());
    let scene = scene.then_at(START, [wrong(FactorKind::Sms, 3, 3), locked(FactorKind::Sms, until)]);
    let scene = scene.when(disable(2, Some(CHECK))).accepted().next();
    let scene = scene.then_at(START, sms(3, OTHER_NUMBER)).then_at(START, [signing_in(CHECK)]).by(CHECKED);
    let told = scene.when(submit(CHECK, FactorKind::Sms, "123456"));
    told.refused(Refusal::MethodLocked { locked_until: until, retry_after: Seconds(900) });
}

#[test]
fn a_method_gets_another_name_and_the_same_name_again_is_nothing_new() {
    let scene = given(an_account_with_totp()).by(SIGNED_IN);
    let renamed = MethodRelabelled { method_id: MethodId(1), label: Personal::Known(label("new phone")) };
    let told = scene.when(rename(1, "new phone")).then([renamed.into()]);
    let Outcome::MethodChanged { method } = told.outcome() else { panic!("not changed") };
    assert_eq!(method.label.as_deref(), Some("new phone"));
    told.next().when(rename(1, "new phone")).then([]);
}

#[test]
fn another_method_becomes_primary_and_the_same_again_is_nothing_new() {
    let scene = given(an_account_with_both()).by(SIGNED_IN);
    let told = scene.when(prefer(2)).then([PrimaryMethodChanged { method_id: MethodId(2) }.into()]);
    let Outcome::MethodChanged { method } = told.outcome() else { panic!("not changed") };
    assert!(method.is_primary);
    let scene = told.next();
    assert_eq!(
        scene.state.methods_view(Side::KnownDevices, START).iter().filter(|method| method.is_primary).count(),
        1
    );
    scene.when(prefer(2)).then([]);
}

#[test]
fn changing_methods_needs_a_credential_that_may() {
    for (caller, refusal) in [
        (Caller::Anonymous, Refusal::Unauthenticated),
        (CHECKED, Refusal::Unauthenticated),
        (support(), Refusal::Forbidden),
        (Caller::Worker, Refusal::Forbidden),
    ] {
        let scene = authorized_to_remove(an_account_with_both()).by(caller);
        scene.clone().when(disable(1, Some(CHECK))).refused(refusal.clone());
        scene.clone().when(rename(1, "x")).refused(refusal.clone());
        scene.clone().when(prefer(2)).refused(refusal.clone());
        scene.when(Command::RegenerateRecoveryCodes { verification_id: Some(CHECK) }).refused(refusal);
    }
}
