//! Recovery codes.

use domain::{
    commands::Command,
    events::*,
    evidence::Need,
    ids::MethodId,
    limits::LimitName,
    outcome::{Outcome, Refusal},
    personal::Personal,
    state::Account,
    time::Seconds,
    values::*,
};

use crate::{event_of, histories::*, kit::*};

fn codes() -> Vec<String> {
    recovery_codes(SALT, 10).0
}
fn using(code: &str) -> Command {
    Command::UseRecoveryCode { verification_id: CHECK, code: entered(code) }
}
fn signing_in_now() -> Scene<Account> {
    given(an_account_with_totp().into_iter().chain([signing_in(CHECK)])).by(CHECKED)
}
/// Another sign-in, with the same id, for short.
fn anew(scene: Scene<Account>) -> Scene<Account> {
    let now = scene.now;
    scene.then_at(now, [signing_in(CHECK)])
}

#[test]
fn a_recovery_code_signs_in_once_and_the_count_falls() {
    let told = signing_in_now().when(using(&codes()[4]));
    let used = RecoveryCodeUsed { set: 1, index: 4, remaining: 9, verification_id: CHECK };
    assert_eq!(event_of!(told, RecoveryCodeUsed), used);
    let Outcome::Verified(verified) = told.outcome() else { panic!("not verified") };
    assert_eq!(verified.recovery_codes_remaining, Some(9));
    let told = told.then_named(&["RecoveryCodeUsed", "VerificationSucceeded", "SignedIn", "DeviceRemembered"]);
    assert_eq!(told.scene.state.summary(&usual(), START).unwrap().recovery_codes_remaining, 9);
    let told = anew(told.next()).when(using(&codes()[4])).wrong_code(1);
    assert_eq!(event_of!(told, CodeRejected).reason, RejectionReason::Replayed);
}

#[test]
fn all_ten_work_and_then_none_is_left() {
    let mut scene = signing_in_now();
    for (left, code) in (0..10).rev().zip(codes()) {
        let told = anew(scene).when(using(&code)).accepted();
        assert_eq!(event_of!(told, RecoveryCodeUsed).remaining, left);
        scene = told.next();
    }
    anew(scene).when(using(&codes()[0])).refused_for("method").needing_nothing();
}

#[test]
fn case_spaces_hyphens_and_look_alikes_do_not_matter() {
    let code = codes().into_iter().find(|code| code.contains('0') && code.contains('1')).unwrap();
    for typed in [
        code.to_lowercase(),
        code.replace('-', ""),
        code.replace('-', " "),
        code.replace('0', "O").replace('1', "l"),
        code.replace('0', "o").replace('1', "I"),
    ] {
        signing_in_now().when(using(&typed)).accepted();
    }
}

#[test]
fn what_is_not_shaped_like_one_is_refused_without_a_hash() {
    for code in
        ["", "123456", "AAAA-AAAA-AAAA-AAA", "AAAA-AAAA-AAAA-AAAAA", "AAAA-AAAA-AAAA-AAAU", "AAAA-AAAA-AAAA-AAÄA"]
    {
        signing_in_now().when(using(code)).refused_for("code").needing_nothing();
    }
}

#[test]
fn an_attempt_costs_one_hash_and_is_charged_to_its_source_before() {
    let told = signing_in_now().when(using(&codes()[0]));
    assert!(matches!(told.asked[..], [Need::Allowance(_), Need::EnteredCodeHash(_)]));
    let told = told.charging(&[LimitName::RecoveryCodesPerSource]);
    assert!(told.charges()[0].refund_on_success && told.charges()[0].subject == "192.0.2.7");
    let full = signing_in_now().when_full(LimitName::RecoveryCodesPerSource).when(using(&codes()[0]));
    full.rate_limited_for(77);
}

#[test]
fn five_wrong_ones_end_that_verification_and_lock_nothing() {
    let mut scene = signing_in_now();
    for count in 1..=4 {
        scene = scene.when(using("AAAA-AAAA-AAAA-AAAA")).wrong_code(count).next();
    }
    scene.clone().when(using(&codes()[0])).accepted();
    let told = scene.when(using("AAAA-AAAA-AAAA-AAAA")).wrong_code(5);
    assert!(event_of!(told, CodeRejected).ended);
    let scene = told.next();
    scene.clone().when(using(&codes()[0])).refused(Refusal::VerificationExpired).needing_nothing();
    scene.clone().when(submit(CHECK, FactorKind::Totp, &code_at(1, START))).refused(Refusal::VerificationExpired);
    anew(scene).when(using(&codes()[0])).accepted();
}

#[test]
fn other_wrong_codes_do_not_count_among_the_five() {
    let mut scene = signing_in_now();
    for count in 1..=4 {
        scene = scene.when(submit(CHECK, FactorKind::Totp, &wrong_totp(1, START))).wrong_code(count).next();
    }
    scene.when(using("AAAA-AAAA-AAAA-AAAA")).wrong_code(1);
}

#[test]
fn an_account_without_a_set_is_told_so() {
    let mut history = an_account_with_totp();
    history.extend([RecoveryCodesRevoked { set: 1, reason: RevocationReason::Requested }.into(), signing_in(CHECK)]);
    given(history).by(CHECKED).when(using(&codes()[0])).refused_for("method").needing_nothing();
}

#[test]
fn a_fresh_set_kills_the_earlier_ones() {
    let history = an_account_with_totp().into_iter().chain(authorized(OTHER_CHECK, Purpose::RegenerateRecoveryCodes));
    let regenerate = Command::RegenerateRecoveryCodes { verification_id: Some(OTHER_CHECK) };
    let told = given(history).by(SIGNED_IN).when(regenerate).then_named(&["RecoveryCodesGenerated"]);
    let generated = event_of!(told, RecoveryCodesGenerated);
    assert_eq!((generated.set, generated.count, generated.verification_id), (2, 10, Some(OTHER_CHECK)));
    let Outcome::RecoveryCodes { recovery_codes: fresh } = told.outcome() else { panic!("no codes") };
    assert_eq!(fresh.len(), 10);
    assert!(fresh.iter().all(|code| code.expose().len() == 19));
    let scene = anew(told.next()).by(CHECKED);
    for code in codes() {
        scene.clone().when(using(&code)).wrong_code(1);
    }
    scene.when(using(fresh[9].expose())).accepted();
}

#[test]
fn regenerating_takes_a_fresh_verification_once() {
    let purpose = Purpose::RegenerateRecoveryCodes;
    let regenerate = |id| Command::RegenerateRecoveryCodes { verification_id: id };
    let scene = given(an_account_with_totp().into_iter().chain(authorized(CHECK, purpose))).by(SIGNED_IN);
    let required = || Refusal::VerificationRequired { purpose };
    scene.clone().when(regenerate(None)).refused(required()).needing_nothing();
    scene.clone().when(regenerate(Some(OTHER_CHECK))).refused(required());
    let end = after(Seconds::minutes(10));
    scene.clone().at(end).when(regenerate(Some(CHECK))).refused(required());
    let told = scene.at(just_before(end)).when(regenerate(Some(CHECK))).accepted();
    told.next().when(regenerate(Some(CHECK))).refused(required());
    given(an_account()).by(SIGNED_IN).when(regenerate(Some(CHECK))).refused(Refusal::Conflict);
    given([registered()]).by(product()).when(regenerate(Some(CHECK))).refused(Refusal::EmailNotVerified);
}

#[test]
fn imported_codes_keep_their_form_and_work_once() {
    let imported = AccountImported {
        account_id: ACCOUNT,
        email: Personal::Known(email()),
        email_verified: true,
        password: None,
        methods: vec![ImportedMethod::Sms {
            method_id: MethodId(1),
            phone_number: Personal::Known(number(NUMBER)),
            country: Country("AT".into()),
            prefix: NumberPrefix("+43660".into()),
            label: Personal::Known(label("phone")),
        }],
        recovery_codes: Some(Personal::Known(["one-a", "two-b"].map(|code| password_hash(code).0).to_vec())),
        recovery_code_count: 2,
        number: None,
    };
    let scene = given([imported.into(), signing_in(CHECK)]).by(CHECKED);
    let told = scene.clone().when(using(" two-b ")).accepted();
    let used = event_of!(told, RecoveryCodeUsed);
    assert_eq!((used.set, used.index, used.remaining), (1, 1, 1));
    anew(told.next()).when(using("two-b")).wrong_code(1);
    scene.clone().when(using("three-c")).wrong_code(1);
    scene.clone().when(using("")).refused_for("code").needing_nothing();
    scene.when(using(&"x".repeat(129))).refused_for("code").needing_nothing();
}
