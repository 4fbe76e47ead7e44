//! Checks that are asked for by kind, and codes that come together with what they authorize.

use domain::{
    commands::{Act, Check, Command},
    events::*,
    ids::{MethodId, VerificationId},
    limits::LimitName,
    outcome::{Outcome, Refusal},
    state::{Account, Progress},
    time::Seconds,
    values::*,
};

use crate::{event_of, histories::*, kit::*};

const REMOVE: Act = Act::DisableMethod { method_id: None };

fn check(purpose: Purpose, kind: FactorKind) -> Command {
    Command::StartCheck { purpose, kind, method_id: None }
}
/// A code of the app, alone with its act.
fn by_app(act: Act, code: &str) -> Command {
    let check = Check { verification_id: None, kind: Some(FactorKind::Totp), method_id: None, code: entered(code) };
    Command::CheckAndAct { check, act }
}
fn by_recovery_code(act: Act, code: &str) -> Command {
    let kind = Some(FactorKind::RecoveryCode);
    Command::CheckAndAct { check: Check { verification_id: None, kind, method_id: None, code: entered(code) }, act }
}
/// A code of a verification that was started before.
fn within(id: VerificationId, act: Act, code: &str) -> Command {
    let check = Check { verification_id: Some(id), kind: None, method_id: None, code: entered(code) };
    Command::CheckAndAct { check, act }
}
fn email_for_all(policy: &mut domain::policy::Policy) {
    policy.email_for_changes = domain::policy::EmailForChanges::Always;
}
fn remove(id: u32) -> Act {
    Act::DisableMethod { method_id: Some(MethodId(id)) }
}
fn both() -> Scene<Account> {
    given(an_account_with_both()).by(SIGNED_IN)
}
/// A check without a purpose whose code is on its way: the scene, the verification and the code.
fn asked(scene: Scene<Account>, kind: FactorKind) -> (Scene<Account>, VerificationId, String) {
    let told = scene.when(check(Purpose::Open, kind)).then_named(&["VerificationStarted", "CodeIssued"]);
    let id = event_of!(told, VerificationStarted).verification_id;
    let issued = event_of!(told, CodeIssued);
    let (purpose, channel, method_id) = (issued.purpose, issued.channel, issued.method_id);
    let challenge = Challenge { verification_id: id, purpose, channel, method_id, issue: 1 };
    (told.next(), id, digits(&challenge))
}

#[test]
fn a_check_without_a_purpose_begins_with_its_code_in_one_decision() {
    let told = both().when(check(Purpose::Open, FactorKind::Sms));
    let told = told.then_named(&["VerificationStarted", "CodeIssued"]);
    let started = event_of!(told, VerificationStarted);
    let asked = Some(AskedWith { kind: FactorKind::Sms, method_id: Some(MethodId(2)) });
    assert_eq!((started.purpose, started.asked, started.yields_session), (Purpose::Open, asked, false));
    assert_eq!(event_of!(told, CodeIssued).purpose, Purpose::Open);
    let Outcome::VerificationStarted(outcome) = told.outcome() else { panic!("not started") };
    assert_eq!(outcome.sent.unwrap().sent_to, "•••• 4567");
    let limits = [LimitName::TextsPerNumber, LimitName::TextsPerNumber, LimitName::TextsPerPrefix];
    told.charging(&[limits[0], limits[1], limits[2], LimitName::SendsPerSource]);
}

#[test]
fn a_check_by_an_app_sends_nothing() {
    let told = both().when(check(Purpose::AddMethod, FactorKind::Totp)).then_named(&["VerificationStarted"]);
    let Outcome::VerificationStarted(outcome) = told.outcome() else { panic!("not started") };
    assert_eq!(outcome.sent, None);
}

#[test]
fn before_the_first_method_the_check_is_by_email_whatever_was_asked_for() {
    for kind in [FactorKind::Totp, FactorKind::Sms, FactorKind::Email] {
        let told = given(an_account()).by(SIGNED_IN).when(check(Purpose::AddMethod, kind));
        let told = told.then_named(&["VerificationStarted", "CodeIssued"]);
        let issued = event_of!(told, CodeIssued);
        assert_eq!((issued.channel, issued.purpose, issued.automatic), (Channel::Email, Purpose::AddMethod, true));
    }
}

#[test]
fn only_what_can_be_sent_or_shown_is_asked_for_by_kind() {
    both().when(check(Purpose::Open, FactorKind::RecoveryCode)).refused_for("method");
    given(an_account_with_totp()).by(SIGNED_IN).when(check(Purpose::Open, FactorKind::Sms)).refused_for("method");
    for purpose in [Purpose::SignIn, Purpose::DisableMethod, Purpose::StepUp, Purpose::ConfirmEmail] {
        both().when(check(purpose, FactorKind::Email)).refused_for("purpose").needing_nothing();
    }
    for caller in [Caller::Anonymous, CHECKED] {
        both().by(caller).when(check(Purpose::Open, FactorKind::Email)).refused(Refusal::Unauthenticated);
    }
}

#[test]
fn a_check_right_after_another_of_its_kind_waits() {
    let (scene, ..) = asked(both(), FactorKind::Sms);
    let later = scene.clone().wait(Seconds(29));
    later
        .clone()
        .when(check(Purpose::Open, FactorKind::Sms))
        .refused(Refusal::ResendTooSoon { retry_after: Seconds(1) });
    later
        .clone()
        .when(check(Purpose::AddMethod, FactorKind::Sms))
        .refused(Refusal::ResendTooSoon { retry_after: Seconds(1) });
    later.clone().when(check(Purpose::Open, FactorKind::Email)).accepted();
    later.wait(Seconds(1)).when(check(Purpose::Open, FactorKind::Sms)).accepted();
}

#[test]
fn a_locked_kind_is_not_asked_for() {
    let until = after(Seconds::minutes(15));
    let locking = [wrong(FactorKind::Sms, 3, 3), locked(FactorKind::Sms, until)];
    let scene = both().then_at(START, locking.map(on_a_known_device));
    let refusal = Refusal::MethodLocked { locked_until: until, retry_after: Seconds::minutes(15) };
    scene.when(check(Purpose::Open, FactorKind::Sms)).refused(refusal).needing_nothing();
}

#[test]
fn a_verification_without_a_purpose_has_no_start_and_no_attempt_of_its_own() {
    both().when(start(Purpose::Open)).refused_for("purpose");
    let (scene, id, code) = asked(both(), FactorKind::Sms);
    scene.when(submit(id, FactorKind::Sms, &code)).refused_for("purpose").needing_nothing();
}

#[test]
fn it_takes_the_purpose_of_the_command_that_brings_the_code() {
    for (act, purpose, follows) in [
        (Act::AuthorizeMethod, Purpose::AddMethod, None),
        (Act::RegenerateRecoveryCodes, Purpose::RegenerateRecoveryCodes, Some("RecoveryCodesGenerated")),
        (remove(1), Purpose::DisableMethod, Some("MethodDisabled")),
    ] {
        let (scene, id, code) = asked(both(), FactorKind::Sms);
        let told = scene.when(within(id, act, &code)).accepted();
        assert_eq!(event_of!(told, VerificationSucceeded).purpose, purpose);
        assert_eq!(told.scene.state.verifications[&id].purpose, purpose);
        assert_eq!(told.names()[0], "VerificationSucceeded");
        assert_eq!(told.names().get(1).copied(), follows.or(None));
    }
}

#[test]
fn a_code_and_its_act_are_one_decision() {
    let told = both().when(by_app(remove(2), &code_at(1, START)));
    let told = told.then_named(&["VerificationStarted", "VerificationSucceeded", "MethodDisabled"]);
    let id = event_of!(told, VerificationStarted).verification_id;
    assert_eq!(event_of!(told, MethodDisabled).verification_id, id);
    assert!(matches!(told.scene.state.verifications[&id].progress, Progress::Used { .. }));
    told.telling(&Outcome::MethodDisabled { two_factor_enabled: true, remaining_methods: 1 });
}

#[test]
fn without_a_target_the_method_that_checks_is_removed() {
    let told = both().when(by_app(REMOVE, &code_at(1, START))).accepted();
    assert_eq!(event_of!(told, MethodDisabled).method_id, MethodId(1));
    let (scene, id, code) = asked(both(), FactorKind::Sms);
    let told = scene.when(within(id, REMOVE, &code)).accepted();
    assert_eq!(event_of!(told, MethodDisabled).method_id, MethodId(2));
}

#[test]
fn a_code_of_no_method_must_name_what_it_removes() {
    let (codes, _) = recovery_codes(SALT, 10);
    both().when(by_recovery_code(REMOVE, &codes[0])).refused_for("target").needing_nothing();
    let (scene, id, code) = asked(both().with_policy(email_for_all), FactorKind::Email);
    scene.when(within(id, REMOVE, &code)).refused_for("target").needing_nothing();
    let told = both().when(by_recovery_code(remove(1), &codes[0])).accepted();
    assert_eq!(event_of!(told, RecoveryCodeUsed).remaining, 9);
}

#[test]
fn removing_the_last_method_turns_two_factor_off_in_the_same_decision() {
    let told = given(an_account_with_totp()).by(SIGNED_IN).when(by_app(REMOVE, &code_at(1, START)));
    told.then_named(&[
        "VerificationStarted",
        "VerificationSucceeded",
        "MethodDisabled",
        "TwoFactorDisabled",
        "RecoveryCodesRevoked",
    ])
    .telling(&Outcome::MethodDisabled { two_factor_enabled: false, remaining_methods: 0 });
}

#[test]
fn a_recovery_code_brings_a_fresh_set() {
    let (codes, _) = recovery_codes(SALT, 10);
    let told = both().when(by_recovery_code(Act::RegenerateRecoveryCodes, &codes[3]));
    let names = ["VerificationStarted", "RecoveryCodeUsed", "VerificationSucceeded", "RecoveryCodesGenerated"];
    let Outcome::RecoveryCodes { recovery_codes } = told.then_named(&names).outcome() else { panic!("no codes") };
    assert_eq!(recovery_codes.len(), 10);
}

#[test]
fn a_code_authorizes_one_method_for_the_credential_that_brought_it() {
    let told = both().when(by_app(Act::AuthorizeMethod, &code_at(1, START))).accepted();
    let scene = told.scene.clone();
    let may = |credential, at| scene.state.may_add_method(credential, &scene.origin, &scene.policy, at);
    assert!(may(OWNER, START));
    assert!(may(OWNER, just_before(after(Seconds::minutes(10)))));
    assert!(!may(OWNER, after(Seconds::minutes(10))));
    assert!(!may(Credential::ApiClient(KEY), START));
    let texting = Command::StartSmsEnrollment { phone_number: number(OTHER_NUMBER) };
    told.next().when(texting).then_named(&["SmsEnrollmentStarted", "CodeIssued"]);
}

#[test]
fn an_access_token_signs_in_and_a_session_stays_the_session_it_is() {
    let scene = given(an_account_with_totp()).then_at(START, [access_token(TOKEN)]);
    let told = scene.clone().by(WITH_TOKEN).when(by_app(Act::SignIn, &code_at(1, START)));
    let told = told.then_named(&["VerificationStarted", "VerificationSucceeded", "SignedIn"]);
    let session = event_of!(told, SignedIn);
    assert_eq!((session.aal, session.amr), (Aal::Aal2, vec![Amr::Otp, Amr::Mfa]));
    let Outcome::Verified(verified) = told.outcome() else { panic!("not signed in") };
    assert_eq!(verified.session.unwrap().session_id, session.session_id);
    // A stolen session must not be prolonged by a code: it has another token, and the end that it had.
    let told = scene.by(SIGNED_IN).when(by_app(Act::SignIn, &code_at(1, START)));
    let told = told.then_named(&["VerificationStarted", "VerificationSucceeded", "SessionRenewed"]);
    let Outcome::Verified(verified) = told.outcome() else { panic!("not verified") };
    let session = verified.session.unwrap();
    assert_eq!((session.session_id, session.expires_at), (SESSION, after(Seconds::days(30))));
    assert_ne!(told.scene.state.session(SESSION).unwrap().token_hash, hash_of(1));
}

#[test]
fn an_api_client_gets_a_session_with_its_scope_alone() {
    for (scopes, yields) in
        [(&[Scope::AccountsWrite][..], false), (&[Scope::AccountsWrite, Scope::SessionsIssue], true)]
    {
        let told = both().by(client(scopes)).when(by_app(Act::SignIn, &code_at(1, START))).accepted();
        assert_eq!(told.names().contains(&"SignedIn"), yields);
    }
}

#[test]
fn a_sign_in_that_began_with_the_password_ends_by_its_own_token() {
    let scene = given(an_account_with_totp()).then_at(START, [signing_in(CHECK)]).by(CHECKED);
    let check = Check {
        verification_id: Some(CHECK),
        kind: Some(FactorKind::Totp),
        method_id: None,
        code: entered(&code_at(1, START)),
    };
    let command = |act| Command::CheckAndAct { check: check.clone(), act };
    let told = scene.clone().when(command(Act::SignIn)).then_named(&["VerificationSucceeded", "SignedIn"]);
    assert_eq!(event_of!(told, SignedIn).amr, [Amr::Pwd, Amr::Otp, Amr::Mfa]);
    for act in [Act::AuthorizeMethod, REMOVE, Act::RegenerateRecoveryCodes] {
        scene.clone().when(command(act)).refused(Refusal::Unauthenticated).needing_nothing();
    }
}

#[test]
fn without_a_credential_a_verification_without_a_purpose_signs_nobody_in() {
    let (scene, id, code) = asked(both(), FactorKind::Sms);
    let scene = scene.by(Caller::Verification(id));
    scene.when(within(id, Act::SignIn, &code)).refused(Refusal::NotFound).needing_nothing();
}

#[test]
fn a_verification_for_something_else_or_of_someone_else_is_not_found() {
    let scene = both().then_at(START, [checking(CHECK, Purpose::RegenerateRecoveryCodes)]);
    let scene = scene.then_at(START, [started(OTHER_CHECK, Purpose::Open, Some(Credential::ApiClient(KEY))).into()]);
    for id in [CHECK, OTHER_CHECK, THIRD_CHECK] {
        scene.clone().when(within(id, remove(1), "123456")).refused(Refusal::NotFound).needing_nothing();
    }
}

#[test]
fn a_verification_that_was_started_for_one_method_removes_no_other() {
    let about_two =
        VerificationStarted { target: Some(MethodId(2)), ..started(CHECK, Purpose::DisableMethod, Some(OWNER)) };
    let scene = both().then_at(START, [about_two.into()]);
    let by = |act| {
        let (verification_id, kind) = (Some(CHECK), Some(FactorKind::Totp));
        let check = Check { verification_id, kind, method_id: None, code: entered(&code_at(1, START)) };
        Command::CheckAndAct { check, act }
    };
    let refusal = Refusal::VerificationRequired { purpose: Purpose::DisableMethod };
    scene.clone().when(by(remove(1))).refused(refusal).needing_nothing();
    scene.when(by(remove(2))).accepted();
}

#[test]
fn a_code_is_used_with_one_act() {
    let (scene, id, code) = asked(both(), FactorKind::Sms);
    let scene = scene.when(within(id, Act::AuthorizeMethod, &code)).next();
    scene.clone().when(within(id, Act::AuthorizeMethod, &code)).refused(Refusal::Conflict);
    scene.when(within(id, remove(1), &code)).refused(Refusal::NotFound);
    let scene = both().when(by_app(Act::AuthorizeMethod, &code_at(1, START))).next();
    let told = scene.when(by_app(Act::RegenerateRecoveryCodes, &code_at(1, START)));
    assert_eq!(told.names(), ["VerificationStarted", "CodeRejected"], "an app's code is spent");
    assert_eq!(event_of!(told, CodeRejected).reason, RejectionReason::Replayed);
}

#[test]
fn an_expired_check_is_over() {
    let (scene, id, code) = asked(both(), FactorKind::Sms);
    let late = scene.clone().wait(Seconds::minutes(10));
    late.when(within(id, Act::AuthorizeMethod, &code)).refused(Refusal::CodeExpired);
    let late = scene.wait(Seconds::minutes(15));
    late.when(within(id, Act::AuthorizeMethod, &code)).refused(Refusal::VerificationExpired);
}

#[test]
fn a_wrong_code_counts_and_ends_the_check_that_began_with_it() {
    let told = both().when(by_app(remove(2), &wrong_totp(1, START)));
    assert_eq!(told.names(), ["VerificationStarted", "CodeRejected"]);
    let rejected = event_of!(told, CodeRejected);
    assert_eq!((rejected.purpose, rejected.kind_failures, rejected.account_failures), (Purpose::DisableMethod, 1, 1));
    assert!(rejected.ended, "nobody holds its token");
    assert_eq!(told.decision.outcome, Err(Refusal::WrongCode { fail_count: 1, locked_until: None }));
    let (scene, id, code) = asked(told.next(), FactorKind::Sms);
    let told = scene.when(within(id, remove(2), &other_than(&code)));
    assert_eq!(told.names(), ["CodeRejected"]);
    assert!(!event_of!(told, CodeRejected).ended, "one that was started before may be tried again");
    told.next().when(within(id, Act::RegenerateRecoveryCodes, &code)).accepted();
}

#[test]
fn wrong_codes_lock_the_kind_whatever_they_come_with() {
    let mut scene = both();
    for n in 1..5 {
        let act = if n % 2 == 0 { Act::SignIn } else { remove(2) };
        let told = scene.when(by_app(act, &wrong_totp(1, START)));
        assert_eq!(told.decision.outcome, Err(Refusal::WrongCode { fail_count: n, locked_until: None }));
        scene = told.next();
    }
    let until = after(Seconds::minutes(15));
    let told = scene.when(by_app(Act::AuthorizeMethod, &wrong_totp(1, START)));
    assert_eq!(told.names(), ["VerificationStarted", "CodeRejected", "MethodLocked"]);
    let refusal = Refusal::MethodLocked { locked_until: until, retry_after: Seconds::minutes(15) };
    told.next().when(by_app(remove(2), &code_at(1, START))).refused(refusal).needing_nothing();
}

#[test]
fn what_stands_against_the_act_is_said_before_the_code_is_looked_at() {
    for code in [code_at(1, START), wrong_totp(1, START)] {
        both().when(by_app(remove(9), &code)).refused(Refusal::NotFound).needing_nothing();
    }
    let scene = given(an_account()).by(SIGNED_IN);
    let (scene, id, code) = asked(scene, FactorKind::Email);
    for code in [code.clone(), other_than(&code)] {
        let command = within(id, Act::RegenerateRecoveryCodes, &code);
        scene.clone().when(command).refused(Refusal::Conflict).needing_nothing();
    }
}

#[test]
fn a_sent_code_needs_the_verification_it_was_sent_in() {
    for kind in [FactorKind::Sms, FactorKind::Email] {
        let check = Check { verification_id: None, kind: Some(kind), method_id: None, code: entered("123456") };
        both().when(Command::CheckAndAct { check, act: remove(1) }).refused_for("verification_id").needing_nothing();
    }
    let check = Check { verification_id: None, kind: None, method_id: None, code: entered("123456") };
    both().when(Command::CheckAndAct { check, act: remove(1) }).refused_for("method");
    // A method's number says its kind.
    let check =
        Check { verification_id: None, kind: None, method_id: Some(MethodId(1)), code: entered(&code_at(1, START)) };
    both().when(Command::CheckAndAct { check, act: remove(2) }).accepted();
}

#[test]
fn the_code_alone_is_enough_where_the_check_was_started_by_a_method() {
    let mut methods = an_account_with_both();
    methods.extend(totp(3));
    let scene = given(methods).by(SIGNED_IN);
    let by_third =
        Command::StartCheck { purpose: Purpose::AddMethod, kind: FactorKind::Totp, method_id: Some(MethodId(3)) };
    let told = scene.when(by_third).accepted();
    let id = event_of!(told, VerificationStarted).verification_id;
    let told = told.next().when(within(id, Act::AuthorizeMethod, &code_at(3, START))).accepted();
    assert_eq!(event_of!(told, VerificationSucceeded).method_id, Some(MethodId(3)));
}

#[test]
fn where_policy_leaves_email_out_it_proves_nothing_in_a_check_without_a_purpose_either() {
    let no_changes =
        |policy: &mut domain::policy::Policy| policy.email_for_changes = domain::policy::EmailForChanges::Never;
    let (scene, id, code) = asked(both().with_policy(no_changes), FactorKind::Email);
    scene.clone().when(within(id, remove(1), &code)).refused_for("method").needing_nothing();
    let scene = both().with_policy(|policy| {
        policy.email_for_changes = domain::policy::EmailForChanges::Never;
        policy.email_for_sign_in = false;
    });
    scene.when(check(Purpose::Open, FactorKind::Email)).refused_for("channel");
}

#[test]
fn a_name_and_a_rank_are_changed_together() {
    let command = Command::ChangeMethod { method_id: MethodId(2), label: Some(label("work")), make_primary: true };
    let told = both().when(command).then_named(&["MethodRelabelled", "PrimaryMethodChanged"]);
    let Outcome::MethodChanged { method } = told.outcome() else { panic!("not changed") };
    assert_eq!((method.label.as_deref(), method.is_primary), (Some("work"), true));
    let nothing = Command::ChangeMethod { method_id: MethodId(2), label: Some(label("work")), make_primary: true };
    told.next().when(nothing).then([]);
    let unknown = Command::ChangeMethod { method_id: MethodId(9), label: Some(label("work")), make_primary: true };
    both().when(unknown).refused(Refusal::NotFound);
}
