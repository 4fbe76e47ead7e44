//! Whoever has a session, a mailbox or support's code, and wants the rest.

use domain::{
    commands::{Command, SecondFactor},
    events::*,
    evidence::LongCode,
    ids::{MethodId, VerificationId},
    limits::LimitName,
    outcome::{Outcome, Refusal},
    secret::Secret,
    state::Account,
    time::Seconds,
    values::*,
};
use uuid::Uuid;

use crate::{event_of, histories::*, kit::*};

const RESET: VerificationId = VerificationId(Uuid::from_u128(0xbb));

fn required(purpose: Purpose) -> Refusal {
    Refusal::VerificationRequired { purpose }
}
fn change(to: &EmailAddress, verification_id: Option<VerificationId>) -> Command {
    let password = Some(Secret::new(PASSWORD.to_owned()));
    Command::ChangeEmail { email: to.clone(), password, verification_id }
}
/// The owner's session asks with an authorization and confirms at once.
pub fn changes(scene: Scene<Account>, to: &EmailAddress) -> Told<Account> {
    let now = scene.now;
    let check = started(CHECK, Purpose::ChangeEmail, Some(OWNER));
    let check = VerificationStarted { expires_at: now.plus(Seconds::minutes(15)), ..check };
    let authorization = [check.into(), completed(CHECK, Purpose::ChangeEmail, now)];
    let told = scene.then_at(now, authorization).by(SIGNED_IN).when(change(to, Some(CHECK))).accepted();
    let id = event_of!(told, VerificationStarted).verification_id;
    let code = challenge(id, Purpose::ConfirmNewEmail, Channel::Email, None);
    told.next().when(Command::VerifyEmail { code: entered(&digits(&code)) }).accepted()
}
fn changed(history: Vec<Event>) -> Scene<Account> {
    changes(given(history), &new_email()).next()
}
/// Support resets, and hands over a code.
fn reset(history: Vec<Event>) -> (Scene<Account>, String) {
    let told = given(history).by(support()).when(Command::ResetTwoFactor { reason: text("lost phone") });
    let Outcome::TwoFactorReset { recovery_code, .. } = told.outcome() else { panic!("not reset") };
    (told.next(), recovery_code.expose().clone())
}
fn forget_password(scene: Scene<Account>) -> Told<Account> {
    scene.by(Caller::Anonymous).when(Command::RequestPasswordReset { verification_id: RESET })
}
fn reset_password(scene: Scene<Account>, recovery_code: Option<&str>) -> Told<Account> {
    let mail = challenge(RESET, Purpose::ResetPassword, Channel::Email, None);
    let second_factor = recovery_code.map(|code| SecondFactor {
        kind: Some(FactorKind::RecoveryCode),
        method_id: None,
        code: entered(code),
    });
    let verification_id = VerificationId(scene.entropy().uuid(scene.now, "ticket"));
    scene.by(Caller::Verification(verification_id)).when(Command::ResetPassword {
        verification_id,
        ticket: hash_of(9),
        code: Some(entered(&letters(&LongCode::OfAccount(mail)))),
        second_factor,
        new: Secret::new(OTHER_PASSWORD.to_owned()),
    })
}
/// The password was right, and this is the second factor.
fn signs_in_with(scene: Scene<Account>, recovery_code: &str) -> Told<Account> {
    let told = scene.by(Caller::Anonymous).when(sign_in(PASSWORD)).accepted();
    let id = event_of!(told, VerificationStarted).verification_id;
    told.next().by(Caller::Verification(id)).when(submit(id, FactorKind::RecoveryCode, recovery_code))
}

#[test]
fn a_session_and_the_password_do_not_change_the_address() {
    for history in [an_account(), an_account_with_totp()] {
        let scene = given(history).by(SIGNED_IN);
        scene.clone().when(change(&new_email(), None)).refused(required(Purpose::ChangeEmail));
        for (id, purpose) in [(CHECK, Purpose::AddMethod), (OTHER_CHECK, Purpose::DisableMethod)] {
            let other = scene.clone().then_at(START, authorized(id, purpose));
            other.when(change(&new_email(), Some(id))).refused(required(Purpose::ChangeEmail));
        }
    }
}

#[test]
fn with_a_method_on_file_no_mail_authorizes_another_address() {
    let told = given(an_account_with_totp()).by(SIGNED_IN).when(start(Purpose::ChangeEmail)).accepted();
    let id = event_of!(told, VerificationStarted).verification_id;
    told.next().when(send(id, Channel::Email)).refused_for("channel");
}

#[test]
fn one_authorization_asks_for_one_address() {
    let scene = given(an_account_with_totp()).then_at(START, authorized(CHECK, Purpose::ChangeEmail)).by(SIGNED_IN);
    let scene = scene.when(change(&new_email(), Some(CHECK))).accepted().next();
    scene.when(change(&new_email(), Some(CHECK))).refused(required(Purpose::ChangeEmail));
}

#[test]
fn for_a_day_the_new_mailbox_proves_nothing_but_a_sign_in() {
    let scene = changed(an_account());
    let wait = Seconds::hours(24);
    scene.clone().when(start(Purpose::AddMethod)).refused(Refusal::AddressIsNew { retry_after: wait });
    forget_password(scene.clone()).refused(Refusal::NotFound);
    let told = scene.clone().when(start(Purpose::EraseAccount));
    let Outcome::VerificationStarted(started) = told.outcome() else { panic!("not started") };
    assert_eq!(started.verification.methods, []);
    let id = started.verification.id;
    told.next().when(send(id, Channel::Email)).refused_for("channel");
    let day_after = scene.wait(wait);
    let (purpose, password) = (Purpose::AddMethod, Some(Secret::new(PASSWORD.to_owned())));
    let typed = Command::StartVerification { purpose, action: None, target: None, password };
    day_after.clone().when(typed).accepted();
    forget_password(day_after).accepted();
    // With a method on file a code by mail still completes a sign-in.
    let told = changed(an_account_with_totp()).by(Caller::Anonymous).when(sign_in(PASSWORD)).accepted();
    let id = event_of!(told, VerificationStarted).verification_id;
    told.next().by(Caller::Verification(id)).when(send(id, Channel::Email)).accepted();
}

#[test]
fn for_a_week_nobody_but_support_and_the_operator_erases_the_account() {
    let scene = changed(an_account_with_totp());
    let erase = |at| {
        let scene = scene.clone().at(at);
        let check = started(OTHER_CHECK, Purpose::EraseAccount, Some(OWNER));
        let check = VerificationStarted { expires_at: at.plus(Seconds::minutes(15)), ..check };
        let checked = [check.into(), completed(OTHER_CHECK, Purpose::EraseAccount, at)];
        let scene = scene.then_at(at, [session(SESSION, Aal::Aal2)]).then_at(at, checked).by(SIGNED_IN);
        scene.when(Command::EraseAccount { verification_id: Some(OTHER_CHECK) })
    };
    let end = after(Seconds::days(7));
    erase(START).refused(Refusal::RateLimited { retry_after: Seconds::days(7) });
    erase(just_before(end)).refused(Refusal::RateLimited { retry_after: Seconds(1) });
    erase(end).accepted();
    let unproved = || Command::EraseAccount { verification_id: None };
    scene.clone().by(Caller::Operator).when(unproved()).accepted();
    scene.clone().by(support()).when(unproved()).accepted();
    // At any other time the owner does it.
    scene.at(end).by(support()).when(unproved()).refused(Refusal::Forbidden);
    given(an_account_with_totp()).by(support()).when(unproved()).refused(Refusal::Forbidden);
}

#[test]
fn the_old_address_is_kept_for_a_week_and_signs_nobody_in() {
    let state = changed(an_account_with_totp()).state;
    let end = after(Seconds::days(7));
    assert!(state.answers_to(&new_email()) && !state.answers_to(&email()));
    assert!(state.keeps(&new_email(), end) && state.keeps(&email(), just_before(end)));
    assert!(!state.keeps(&email(), end));
}

#[test]
fn a_change_tells_every_number_on_file() {
    let told = changes(given(an_account_with_both()), &new_email());
    let numbers = event_of!(told, EmailChanged).phone_numbers;
    assert_eq!(numbers, [domain::personal::Personal::Known(number(NUMBER))]);
}

#[test]
fn five_changes_can_be_undone_at_a_time() {
    let mut scene = given(an_account_with_totp());
    for n in 0..5 {
        let to = EmailAddress::parse(&format!("ada{n}@example.org")).unwrap();
        scene = changes(scene, &to).next().wait(Seconds::hours(1));
    }
    let scene = scene.clone().then_at(scene.now, authorized(THIRD_CHECK, Purpose::ChangeEmail)).by(SIGNED_IN);
    let wait = Seconds(7 * 86_400 - 5 * 3_600);
    let now = scene.now;
    let fresh = completed(THIRD_CHECK, Purpose::ChangeEmail, now);
    let scene = scene.then_at(now, [fresh]);
    scene.when(change(&new_email(), Some(THIRD_CHECK))).refused(Refusal::RateLimited { retry_after: wait });
}

#[test]
fn after_a_support_reset_the_mailbox_alone_sets_no_password() {
    let (scene, code) = reset(an_account_with_totp());
    let scene = forget_password(scene).accepted().next();
    let told = reset_password(scene.clone(), None);
    assert_eq!(told.decision.outcome, Err(required(Purpose::ResetPassword)));
    assert_eq!(told.names(), ["VerificationSucceeded", "VerificationStarted", "VerificationSucceeded"]);
    reset_password(scene.clone(), Some("AAAA-AAAA-AAAA-AAAA"));
    let told = reset_password(scene, Some(&code)).accepted();
    assert_eq!(told.names().last(), Some(&"PasswordSet"));
    assert_eq!(told.names().iter().filter(|name| **name == "VerificationSucceeded").count(), 3);
}

#[test]
fn after_a_support_reset_email_authorizes_nothing() {
    let (scene, _) = reset(an_account_with_totp());
    scene.clone().by(product()).when(start(Purpose::AddMethod)).refused(Refusal::Forbidden);
    let (purpose, password) = (Purpose::EraseAccount, Some(Secret::new(PASSWORD.to_owned())));
    let told = scene.by(product()).when(Command::StartVerification { purpose, action: None, target: None, password });
    let id = event_of!(told, VerificationStarted).verification_id;
    told.next().when(send(id, Channel::Email)).refused_for("channel");
}

#[test]
fn the_code_of_support_is_good_for_three_days_and_as_often_as_it_takes() {
    let (scene, code) = reset(an_account_with_totp());
    let scene = signs_in_with(scene, &code).accepted().next();
    let scene = signs_in_with(scene.at(just_before(after(Seconds::hours(72)))), &code).accepted().next();
    let told = scene.at(after(Seconds::hours(72))).by(Caller::Anonymous).when(sign_in(PASSWORD)).accepted();
    let Outcome::VerificationStarted(started) = told.outcome() else { panic!("not started") };
    assert_eq!(started.verification.methods, [], "nothing is left but another reset");
    let id = started.verification.id;
    told.next().by(Caller::Verification(id)).when(submit(id, FactorKind::RecoveryCode, &code)).refused_for("method");
}

#[test]
fn five_wrong_codes_of_support_end_the_sign_in_and_lock_nothing() {
    let (scene, code) = reset(an_account_with_totp());
    let told = scene.by(Caller::Anonymous).when(sign_in(PASSWORD)).accepted();
    let id = event_of!(told, VerificationStarted).verification_id;
    let mut scene = told.next().by(Caller::Verification(id));
    let wrong = submit(id, FactorKind::RecoveryCode, "AAAA-AAAA-AAAA-AAAA");
    scene.clone().when(wrong.clone()).wrong_code(1).charging(&[LimitName::RecoveryCodesPerSource]);
    for count in 1..=5 {
        scene = scene.when(wrong.clone()).wrong_code(count).next();
    }
    scene.clone().when(submit(id, FactorKind::RecoveryCode, &code)).refused(Refusal::VerificationExpired);
    signs_in_with(scene, &code).accepted();
}

#[test]
fn a_session_of_the_code_only_enrolls_and_sets_the_password() {
    let (scene, code) = reset(an_account_with_both());
    let told = signs_in_with(scene, &code).accepted();
    let id = event_of!(told, SignedIn).session_id;
    let scene = told.next().by(Caller::Session(id));
    for command in [
        start(Purpose::AddMethod),
        start(Purpose::EraseAccount),
        Command::IssueAccessToken { name: text("mine"), verification_id: Some(CHECK) },
        change(&new_email(), Some(CHECK)),
        Command::ResendEmailCode,
        Command::RevokeSession { session_id: id },
        Command::ChangeMethod { method_id: MethodId(1), label: None, make_primary: true },
        Command::EraseAccount { verification_id: Some(CHECK) },
        Command::RegenerateRecoveryCodes { verification_id: Some(CHECK) },
    ] {
        let name = format!("{command:?}");
        let refusal = scene.clone().when(command).decision.outcome.unwrap_err();
        assert!(matches!(refusal, Refusal::Forbidden | Refusal::Conflict), "{name}: {refusal:?}");
    }
    let (current, new) = (Secret::new(PASSWORD.to_owned()), Secret::new(OTHER_PASSWORD.to_owned()));
    scene.clone().when(Command::SetPassword { current: Some(current), new }).accepted();
    scene.clone().when(Command::StartSmsEnrollment { phone_number: number(NUMBER) }).accepted();
    scene.clone().when(Command::StartTotpEnrollment).accepted();
    scene.clone().when(Command::OfferTotpKey).accepted();
    scene.clone().when(Command::SignOut).accepted();
    assert_eq!(scene.state.session(id).unwrap().expires_at, after(Seconds::hours(1)));
}

#[test]
fn the_code_of_support_dies_when_a_method_is_enabled() {
    let (scene, code) = reset(an_account_with_totp());
    let told = signs_in_with(scene, &code).accepted();
    let id = event_of!(told, SignedIn).session_id;
    let scene = told.next().by(Caller::Session(id)).then_at(START, [totp_enrolling(4, Credential::Session(id))]);
    let scene = scene.when(enable(4, &code_at(4, START))).accepted().next();
    signs_in_with(scene, &code).wrong_code(1);
}

#[test]
fn policy_may_ask_for_two_support_people() {
    let ask = || Command::ResetTwoFactor { reason: text("lost phone") };
    let other = || Caller::ApiClient(OTHER_KEY, [Scope::SupportWrite].into());
    let scene = given(an_account_with_totp()).with_policy(|policy| policy.reset_approvers = 2).by(support());
    let told = scene.when(ask()).then_named(&["TwoFactorResetRequested"]);
    let expires_at = after(Seconds::hours(24));
    assert_eq!(event_of!(told, TwoFactorResetRequested).by, Some(KEY));
    let scene = told.telling(&Outcome::TwoFactorResetRequested { expires_at }).next();
    assert_eq!(scene.state.methods.len(), 1, "nothing has happened yet");
    scene.clone().when(ask()).refused(Refusal::Conflict);
    let told = scene.clone().by(other()).when(ask()).accepted();
    assert_eq!(event_of!(told, TwoFactorReset).by, Some(OTHER_KEY));
    scene.clone().at(expires_at).by(other()).when(ask()).then_named(&["TwoFactorResetRequested"]);
    let told = scene.by(Caller::Operator).when(ask()).accepted();
    assert_eq!(event_of!(told, TwoFactorReset).by, None);
}
