//! Codes of authenticator apps (RFC 6238).

use domain::{
    commands::Command,
    events::*,
    ids::MethodId,
    outcome::Refusal,
    personal::Personal,
    state::Account,
    time::{Seconds, Timestamp},
    values::*,
};

use crate::{event_of, histories::*, kit::*};

fn signing_in_with(history: Vec<Event>) -> Scene<Account> {
    given(history.into_iter().chain([signing_in(CHECK), signing_in(OTHER_CHECK)])).by(CHECKED)
}
fn signing_in_by_app() -> Scene<Account> {
    signing_in_with(an_account_with_totp())
}
fn try_totp(code: &str) -> Command {
    submit(CHECK, FactorKind::Totp, code)
}
fn again(code: &str) -> Command {
    submit(OTHER_CHECK, FactorKind::Totp, code)
}

#[test]
fn the_code_of_the_step_signs_in() {
    let told = signing_in_by_app().when(try_totp(&code_at(1, START)));
    let told = told.then_named(&["VerificationSucceeded", "SignedIn", "DeviceRemembered"]).needing_nothing();
    assert_eq!(event_of!(told, VerificationSucceeded).totp_step, Some(step_at(START)));
    let method = told.scene.state.method_view(MethodId(1), Side::KnownDevices, START).unwrap();
    assert_eq!(method.last_used, Some(START));
}

#[test]
fn one_step_before_and_one_after_are_accepted_and_no_more() {
    let now = step_at(START);
    for (step, accepted) in [(now - 2, false), (now - 1, true), (now, true), (now + 1, true), (now + 2, false)] {
        let told = signing_in_by_app().when(try_totp(&code_of(1, step)));
        assert_eq!(told.decision.outcome.is_ok(), accepted, "step {step}");
    }
}

#[test]
fn after_the_clock_was_set_back_the_code_that_the_app_shows_now_is_right() {
    let set_back = START.minus(Seconds::hours(1));
    let scene = signing_in_by_app().while_the_clock_shows(set_back);
    scene.clone().when(try_totp(&code_at(1, START))).wrong_code(1);
    scene.when(try_totp(&code_at(1, set_back))).accepted();
}

#[test]
fn a_step_changes_at_its_last_millisecond() {
    let code = code_of(1, step_at(START) - 1);
    signing_in_by_app().at(just_before(after(Seconds(30)))).when(try_totp(&code)).accepted();
    signing_in_by_app().at(after(Seconds(30))).when(try_totp(&code)).wrong_code(1);
}

#[test]
fn an_accepted_code_never_works_again() {
    let code = code_at(1, START);
    let scene = signing_in_by_app().when(try_totp(&code)).accepted().next();
    let told = scene.by(Caller::Verification(OTHER_CHECK)).when(again(&code)).wrong_code(1);
    let rejected = event_of!(told, CodeRejected);
    assert_eq!((rejected.reason, rejected.clock_drift_steps), (RejectionReason::Replayed, None));
    assert_eq!((rejected.kind_failures, rejected.account_failures), (1, 1));
}

#[test]
fn an_earlier_step_than_the_accepted_one_never_works_again() {
    let scene = signing_in_by_app().when(try_totp(&code_of(1, step_at(START) + 1))).accepted().next();
    let scene = scene.by(Caller::Verification(OTHER_CHECK));
    for step in [step_at(START) - 1, step_at(START), step_at(START) + 1] {
        scene.clone().when(again(&code_of(1, step))).wrong_code(1);
    }
    scene.wait(Seconds(30)).when(again(&code_of(1, step_at(START) + 2))).accepted();
}

#[test]
fn the_step_of_the_enrollment_is_spent_too() {
    let spent = MethodEnabled {
        method_id: MethodId(1),
        kind: MethodKind::Totp,
        label: Personal::Known(label("mine")),
        verification_id: THIRD_CHECK,
        totp_step: Some(step_at(START)),
        is_primary: true,
    };
    let history = vec![registered(), confirmed(), totp_enrolling(1, OWNER), spent.into(), TwoFactorEnabled {}.into()];
    let scene = signing_in_with(history);
    scene.clone().when(try_totp(&code_at(1, START))).wrong_code(1);
    scene.when(try_totp(&code_of(1, step_at(START) + 1))).accepted();
}

#[test]
fn steps_are_spent_per_device() {
    let mut history = an_account_with_totp();
    history.extend(totp(2));
    let with = |id, check, code: &str| Command::SubmitCode {
        verification_id: check,
        kind: Some(FactorKind::Totp),
        method_id: Some(MethodId(id)),
        code: entered(code),
    };
    let scene = signing_in_with(history).when(with(1, CHECK, &code_at(1, START))).accepted().next();
    scene.by(Caller::Verification(OTHER_CHECK)).when(with(2, OTHER_CHECK, &code_at(2, START))).accepted();
}

#[test]
fn with_several_devices_the_method_must_be_said() {
    let mut history = an_account_with_totp();
    history.extend(totp(2));
    let scene = signing_in_with(history);
    scene.clone().when(try_totp(&code_at(1, START))).refused_for("method_id").needing_nothing();
    let of = |id| Command::SubmitCode {
        verification_id: CHECK,
        kind: Some(FactorKind::Totp),
        method_id: Some(MethodId(id)),
        code: entered(&code_at(1, START)),
    };
    scene.clone().when(of(2)).wrong_code(1);
    scene.clone().when(of(1)).accepted();
    scene.when(of(7)).refused_for("method_id");
}

#[test]
fn a_code_up_to_ten_minutes_away_is_told_to_support_as_clock_drift_and_to_nobody_else() {
    let now = step_at(START);
    for (step, drift) in
        [(now + 20, Some(20)), (now - 20, Some(-20)), (now + 2, Some(2)), (now - 2, Some(-2)), (now + 21, None)]
    {
        let told = signing_in_by_app().when(try_totp(&code_of(1, step))).wrong_code(1);
        let rejected = event_of!(told, CodeRejected);
        assert_eq!((rejected.reason, rejected.clock_drift_steps), (RejectionReason::Wrong, drift));
    }
}

#[test]
fn a_code_that_was_used_some_minutes_ago_is_no_clock_drift() {
    let scene = signing_in_by_app().when(try_totp(&code_at(1, START))).accepted().next();
    let scene = scene.wait(Seconds::minutes(5)).by(Caller::Verification(OTHER_CHECK));
    for spent in [step_at(START), step_at(START) - 1] {
        let told = scene.clone().when(again(&code_of(1, spent))).wrong_code(1);
        assert_eq!(event_of!(told, CodeRejected).clock_drift_steps, None);
    }
    let told = scene.when(again(&code_of(1, step_at(START) + 1))).wrong_code(1);
    assert_eq!(event_of!(told, CodeRejected).clock_drift_steps, Some(-9));
}

#[test]
fn a_code_of_another_shape_is_refused_without_being_judged() {
    for code in ["", "12345", "1234567", "12345x"] {
        signing_in_by_app().when(try_totp(code)).refused_for("code");
    }
}

#[test]
fn an_account_without_a_device_is_told_so() {
    let scene = signing_in_with(an_account_with_sms());
    scene.when(try_totp("123456")).refused_for("method");
}

#[test]
fn imported_devices_have_their_own_parameters() {
    let parameters = domain::commands::TotpParameters { algorithm: TotpAlgorithm::Sha256, digits: 8, period: 60 };
    let method = ImportedMethod::Totp {
        method_id: MethodId(1),
        secret: Personal::Known(secret(9)),
        algorithm: parameters.algorithm,
        digits: parameters.digits,
        period: parameters.period,
        secret_bits: 160,
        label: Personal::Known(label("old phone")),
    };
    let imported = AccountImported {
        account_id: ACCOUNT,
        email: Personal::Known(email()),
        email_verified: true,
        password: None,
        methods: vec![method],
        recovery_codes: None,
        recovery_code_count: 0,
        number: None,
    };
    let scene = signing_in_with(vec![imported.into()]);
    let code = domain::account::totp_code(&secret(9), parameters, START.as_seconds() / 60);
    assert_eq!(code.len(), 8);
    scene.clone().when(try_totp(&code[..6])).refused_for("code");
    scene.when(try_totp(&code)).accepted();
}

#[test]
fn rfc_4226_appendix_d_vectors_pass() {
    // HOTP of counter n is TOTP of step n (RFC 6238, section 4.2).
    let secret = TotpSecret::new(b"12345678901234567890".to_vec());
    let codes = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
    for (counter, code) in (0..).zip(codes) {
        assert_eq!(domain::account::totp_code(&secret, domain::commands::TotpParameters::DEFAULT, counter), code);
    }
}

#[test]
fn nothing_about_time_or_parameters_makes_it_panic() {
    for now in [Timestamp::EPOCH, Timestamp::from_millis(1), Timestamp::from_millis(i64::MAX)] {
        let scene = given(an_account_with_totp());
        let mut check = started(CHECK, Purpose::SignIn, None);
        check.expires_at = Timestamp::from_millis(i64::MAX);
        let scene = scene.then_at(now, [check.into()]).by(CHECKED);
        let told = scene.when(try_totp("123456"));
        assert!(matches!(told.decision.outcome, Ok(_) | Err(Refusal::WrongCode { .. } | Refusal::VerificationExpired)));
    }
    for (digits, period) in [(0, 0), (255, u32::MAX), (6, 1)] {
        let parameters = domain::commands::TotpParameters { algorithm: TotpAlgorithm::Sha512, digits, period };
        assert!(!domain::account::totp_code(&TotpSecret::new(vec![]), parameters, u64::MAX).is_empty());
    }
}
