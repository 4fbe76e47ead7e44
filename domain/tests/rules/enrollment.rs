//! Adding methods.

use domain::{
    commands::Command,
    events::*,
    ids::{MethodId, VerificationId},
    limits::LimitName,
    outcome::{Outcome, Refusal},
    personal::Personal,
    state::Account,
    time::{Seconds, Timestamp},
    values::*,
};
use uuid::Uuid;

use crate::{event_of, histories::*, kit::*};

const TEXT: Challenge = Challenge {
    verification_id: VerificationId(Uuid::from_u128(0xe01)),
    purpose: Purpose::Enroll,
    channel: Channel::Sms,
    method_id: Some(MethodId(1)),
    issue: 1,
};
const ADD: Refusal = Refusal::VerificationRequired { purpose: Purpose::AddMethod };

fn texting(to: &str) -> Command {
    Command::StartSmsEnrollment { phone_number: number(to) }
}
/// No method yet; may add one.
fn authorized_to_add() -> Scene<Account> {
    given(an_account_in_use().into_iter().chain(authorized(CHECK, Purpose::AddMethod))).by(SIGNED_IN)
}
/// An authenticator app is being enrolled as method 1, and may be added.
fn enrolling_an_app() -> Scene<Account> {
    authorized_to_add().then_at(START, [totp_enrolling(1, OWNER)])
}
/// A phone is being enrolled as method 1, and may be added.
fn enrolling_a_phone() -> Scene<Account> {
    authorized_to_add().then_at(START, [sms_enrolling(1, NUMBER, OWNER), ordered(TEXT, START)])
}
/// May add another method to an authenticator app.
fn authorized_to_add_another() -> Scene<Account> {
    given(an_account_with_totp().into_iter().chain(authorized(CHECK, Purpose::AddMethod))).by(SIGNED_IN)
}

#[test]
fn an_app_may_be_enrolled_before_the_authorization_and_its_key_is_shown_then() {
    let told = given(an_account()).by(SIGNED_IN).when(Command::StartTotpEnrollment).needing_nothing();
    let started = event_of!(told, TotpEnrollmentStarted);
    assert_eq!((started.algorithm, started.digits, started.period), (TotpAlgorithm::Sha1, 6, 30));
    assert_eq!((started.method_id, started.started_by, started.attempts), (MethodId(1), OWNER, 5));
    assert_eq!(started.expires_at, after(Seconds::hours(1)));
    let Personal::Known(secret) = &started.secret else { panic!("no secret") };
    assert_eq!(secret.expose().len() * 8, 160);
    let Outcome::TotpEnrollmentStarted(shown) = told.outcome() else { panic!("not started") };
    assert_eq!((&shown.secret, shown.account_name.as_str()), (secret, "ada@example.com"));
}

#[test]
fn a_number_is_texted_only_with_the_authorization() {
    given(an_account()).by(SIGNED_IN).when(texting(NUMBER)).refused(ADD).needing_nothing();
    let told = authorized_to_add().when(texting(NUMBER)).then_named(&["SmsEnrollmentStarted", "CodeIssued"]);
    let issued = event_of!(told, CodeIssued);
    assert_eq!((issued.purpose, issued.method_id), (Purpose::Enroll, Some(MethodId(1))));
    let enrolling = event_of!(told, SmsEnrollmentStarted);
    assert_eq!(issued.verification_id, enrolling.verification_id);
    assert_eq!((enrolling.country, enrolling.prefix), (Country("AT".into()), NumberPrefix("+43660".into())));
    let told = told.charging(&TEXT_CHARGES);
    told.next().wait(Seconds(30)).when(Command::ResendEnrollmentCode { method_id: MethodId(1) }).accepted();
}

#[test]
fn the_first_method_turns_two_factor_on_and_returns_ten_recovery_codes_once() {
    let told = enrolling_an_app().when(enable(1, &code_at(1, START)));
    let told = told.then_named(&[
        "MethodEnabled",
        "TwoFactorEnabled",
        "RecoveryCodesGenerated",
        "SessionRevoked",
        "AccessTokenRevoked",
        "SessionRenewed",
    ]);
    let enabled = event_of!(told, MethodEnabled);
    assert_eq!((enabled.verification_id, enabled.is_primary), (CHECK, true));
    assert_eq!(enabled.totp_step, Some(step_at(START)));
    assert_eq!(enabled.label, Personal::Known(label("Authenticator app")));
    let Outcome::MethodEnabled { method, recovery_codes: Some(codes), .. } = told.outcome() else { panic!("no codes") };
    assert_eq!((method.id, method.is_primary, codes.len()), (MethodId(1), true, 10));
    let summary = told.scene.state.summary(&usual(), START).unwrap();
    assert_eq!((summary.two_factor_since, summary.recovery_codes_remaining), (Some(START), 10));
}

#[test]
fn turning_it_on_ends_other_sessions_and_access_tokens_and_makes_the_acting_session_strong() {
    let told = enrolling_an_app().when(enable(1, &code_at(1, START)));
    let sessions = event_of!(told, SessionRevoked);
    assert_eq!((sessions.session_ids, sessions.reason), (vec![OTHER_SESSION], RevocationReason::TwoFactorEnabled));
    assert_eq!(event_of!(told, AccessTokenRevoked).access_token_ids, [TOKEN, OTHER_TOKEN]);
    let acting = told.scene.state.session(SESSION).unwrap();
    assert_eq!((acting.aal, &acting.amr), (Aal::Aal2, &vec![Amr::Pwd, Amr::Otp, Amr::Mfa]));
}

#[test]
fn an_access_token_that_turns_it_on_stays() {
    let by_token = Credential::AccessToken(TOKEN);
    let mut history = an_account_in_use();
    history.push(started(CHECK, Purpose::AddMethod, Some(by_token)).into());
    history.extend([completed(CHECK, Purpose::AddMethod, START), totp_enrolling(1, by_token)]);
    let told = given(history).by(WITH_TOKEN).when(enable(1, &code_at(1, START)));
    assert_eq!(event_of!(told, AccessTokenRevoked).access_token_ids, [OTHER_TOKEN]);
    assert_eq!(event_of!(told, SessionRevoked).session_ids, [SESSION, OTHER_SESSION]);
}

#[test]
fn a_later_method_ends_other_sessions_and_access_tokens_raises_nothing_and_brings_no_codes() {
    let scene = authorized_to_add_another()
        .then_at(START, [totp_enrolling(2, OWNER), session(OTHER_SESSION, Aal::Aal2), access_token(TOKEN)]);
    let told = scene.when(enable(2, &code_at(2, START))).then_named(&[
        "MethodEnabled",
        "SessionRevoked",
        "AccessTokenRevoked",
    ]);
    assert_eq!(event_of!(told, SessionRevoked).reason, RevocationReason::FactorChanged);
    assert!(!event_of!(told, MethodEnabled).is_primary);
    assert!(matches!(told.outcome(), Outcome::MethodEnabled { recovery_codes: None, .. }));
}

#[test]
fn a_phone_is_enabled_with_the_code_it_got() {
    let scene = enrolling_a_phone();
    let told = scene.clone().when(enable(1, &digits(&TEXT))).accepted();
    assert_eq!(event_of!(told, MethodEnabled).label, Personal::Known(label("Phone")));
    let acting = told.scene.state.session(SESSION).unwrap();
    assert_eq!(acting.amr, [Amr::Pwd, Amr::Sms, Amr::Mfa]);
    let end = after(Seconds::minutes(10));
    scene.clone().at(just_before(end)).when(enable(1, &digits(&TEXT))).accepted();
    scene.at(end).when(enable(1, &digits(&TEXT))).refused(Refusal::CodeExpired);
}

#[test]
fn the_label_is_the_one_that_was_given() {
    let named = Command::EnableMethod {
        method_id: MethodId(1),
        code: entered(&code_at(1, START)),
        label: Some(label("work phone")),
        raises_session: true,
    };
    let told = enrolling_an_app().when(named);
    assert_eq!(event_of!(told, MethodEnabled).label, Personal::Known(label("work phone")));
}

#[test]
fn enabling_needs_the_authorization_and_a_wrong_code_does_not_matter_before() {
    let scene = given(an_account()).by(SIGNED_IN).then_at(START, [totp_enrolling(1, OWNER)]);
    for code in [code_at(1, START), wrong_totp(1, START)] {
        scene.clone().when(enable(1, &code)).refused(ADD).needing_nothing();
    }
}

#[test]
fn the_authorization_lasts_thirty_minutes() {
    let end = after(Seconds::minutes(30));
    let scene = enrolling_an_app();
    scene.clone().at(just_before(end)).when(enable(1, &code_at(1, just_before(end)))).accepted();
    scene.clone().at(end).when(enable(1, &code_at(1, end))).refused(ADD);
    scene.at(end).when(texting(NUMBER)).refused(ADD);
}

#[test]
fn the_authorization_is_for_one_method() {
    let scene = enrolling_an_app().then_at(START, [totp_enrolling(2, OWNER)]);
    let scene = scene.when(enable(1, &code_at(1, START))).accepted().next();
    scene.clone().when(enable(2, &code_at(2, START))).refused(ADD);
    scene.when(texting(NUMBER)).refused(ADD);
}

#[test]
fn the_authorization_is_only_for_the_credential_that_completed_the_check() {
    let of_others = [Credential::Session(OTHER_SESSION), Credential::AccessToken(TOKEN), Credential::ApiClient(KEY)];
    for (n, other) in (2..).zip(of_others) {
        let caller = match other {
            Credential::Session(id) => Caller::Session(id),
            Credential::AccessToken(id) => Caller::AccessToken(id),
            Credential::ApiClient(_) => product(),
        };
        let scene = authorized_to_add().then_at(START, [totp_enrolling(n, other)]).by(caller);
        scene.clone().when(enable(n, &code_at(n, START))).refused(ADD);
        scene.when(texting(NUMBER)).refused(ADD);
    }
}

#[test]
fn a_verification_for_another_purpose_authorizes_no_method() {
    for purpose in [Purpose::SignIn, Purpose::DisableMethod, Purpose::StepUp, Purpose::EraseAccount] {
        let history = an_account().into_iter().chain(authorized(CHECK, purpose)).chain([totp_enrolling(1, OWNER)]);
        given(history).by(SIGNED_IN).when(enable(1, &code_at(1, START))).refused(ADD);
    }
}

#[test]
fn an_enrollment_is_its_beginners_alone() {
    let scene = enrolling_a_phone().by(Caller::Session(OTHER_SESSION)).wait(Seconds(30));
    scene.clone().when(enable(1, &digits(&TEXT))).refused(Refusal::NotFound).needing_nothing();
    scene.clone().when(Command::ResendEnrollmentCode { method_id: MethodId(1) }).refused(Refusal::NotFound);
    scene.by(SIGNED_IN).when(enable(2, "123456")).refused(Refusal::NotFound);
}

#[test]
fn an_enrollment_lives_one_hour() {
    let end = after(Seconds::hours(1));
    let scene = given(an_account()).by(SIGNED_IN).then_at(START, [totp_enrolling(1, OWNER)]);
    let scene = scene.then_at(after(Seconds::minutes(50)), [checking(CHECK, Purpose::AddMethod)]);
    let scene =
        scene.then_at(after(Seconds::minutes(50)), [completed(CHECK, Purpose::AddMethod, after(Seconds::minutes(50)))]);
    scene.clone().at(just_before(end)).when(enable(1, &code_at(1, just_before(end)))).accepted();
    scene.at(end).when(enable(1, &code_at(1, end))).refused(Refusal::VerificationExpired).needing_nothing();
    let phone = enrolling_a_phone().at(end);
    phone.when(Command::ResendEnrollmentCode { method_id: MethodId(1) }).refused(Refusal::VerificationExpired);
}

#[test]
fn five_wrong_codes_end_an_enrollment_and_count_toward_no_lock_and_no_cap() {
    for (scene, right, wrong) in [
        (enrolling_an_app(), code_at(1, START), wrong_totp(1, START)),
        (enrolling_a_phone(), digits(&TEXT), other_than(&digits(&TEXT))),
    ] {
        let mut scene = scene.then_at(START, [on_a_known_device(crate::histories::wrong(FactorKind::Totp, 4, 99))]);
        for count in 1..=4 {
            scene = scene.when(enable(1, &wrong)).wrong_code(count).next();
        }
        scene.clone().when(enable(1, &right)).accepted();
        let told = scene.when(enable(1, &wrong)).wrong_code(5);
        let rejected = event_of!(told, CodeRejected);
        assert!(rejected.ended);
        assert_eq!((rejected.kind_failures, rejected.account_failures, rejected.account_locked), (0, 99, false));
        let scene = told.next();
        let own = &scene.state.tallies.known_devices;
        assert_eq!((own.locks.totp.failures, own.failures), (4, 99));
        scene.when(enable(1, &right)).refused(Refusal::VerificationExpired).needing_nothing();
    }
}

#[test]
fn at_most_five_enrollments_wait() {
    let begun = (1..=5).map(|id| totp_enrolling(id, OWNER));
    let scene = authorized_to_add().then_at(START, begun).at(after(Seconds(100)));
    scene.clone().when(Command::StartTotpEnrollment).rate_limited_for(3_500);
    scene.clone().when(texting(NUMBER)).rate_limited_for(3_500);
    scene.clone().at(after(Seconds::hours(1))).when(Command::StartTotpEnrollment).accepted();
    let scene = scene.when(enable(1, &code_at(1, after(Seconds(100))))).accepted().next();
    scene.when(Command::StartTotpEnrollment).accepted();
}

#[test]
fn method_numbers_are_never_used_again() {
    let mut history = an_account_with_both();
    history.push(MethodDisabled { method_id: MethodId(2), kind: MethodKind::Sms, verification_id: CHECK }.into());
    let told = given(history.clone()).by(SIGNED_IN).when(Command::StartTotpEnrollment);
    assert_eq!(event_of!(told, TotpEnrollmentStarted).method_id, MethodId(3));
    history.push(
        TwoFactorReset {
            reason: Personal::Known(text("lost")),
            method_ids: vec![MethodId(1)],
            code: None,
            code_expires_at: None,
            by: None,
            phone_numbers: vec![],
        }
        .into(),
    );
    let told = given(history).by(SIGNED_IN).when(Command::StartTotpEnrollment);
    assert_eq!(event_of!(told, TotpEnrollmentStarted).method_id, MethodId(3));
}

#[test]
fn a_number_that_is_on_the_account_is_refused() {
    let history = an_account_with_sms().into_iter().chain(authorized(CHECK, Purpose::AddMethod));
    let scene = given(history).by(SIGNED_IN);
    scene.clone().when(texting(NUMBER)).refused(Refusal::DuplicateMethod).needing_nothing();
    scene.clone().when(texting(OTHER_NUMBER)).accepted();
    // Enrolled by two at the same time, it is added once.
    let scene = scene.then_at(START, [sms_enrolling(2, NUMBER, OWNER)]);
    scene.when(enable(2, "123456")).refused(Refusal::DuplicateMethod).needing_nothing();
}

#[test]
fn a_key_that_is_on_the_account_is_refused() {
    let same = TotpEnrollmentStarted { secret: Personal::Known(secret(1)), ..app_enrollment(2) };
    let scene = authorized_to_add_another().then_at(START, [same.into()]);
    scene.when(enable(2, &code_at(1, START))).refused(Refusal::DuplicateMethod);
}

fn app_enrollment(id: u32) -> TotpEnrollmentStarted {
    match totp_enrolling(id, OWNER) {
        Event::TotpEnrollmentStarted(event) => event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_method_is_enabled_once() {
    let scene = authorized_to_add_another();
    scene.clone().when(enable(1, &code_at(1, START))).refused(Refusal::AlreadyEnabled).needing_nothing();
    let resend = Command::ResendEnrollmentCode { method_id: MethodId(1) };
    scene.clone().when(resend.clone()).refused(Refusal::AlreadyEnabled);
    let gone = MethodDisabled { method_id: MethodId(1), kind: MethodKind::Totp, verification_id: OTHER_CHECK };
    let scene = scene.then_at(START, [gone.into()]);
    scene.clone().when(enable(1, &code_at(1, START))).refused(Refusal::VerificationExpired);
    scene.when(resend).refused_for("method_id");
}

#[test]
fn the_same_number_again_is_a_resend() {
    let scene = enrolling_a_phone();
    scene.clone().when(texting(NUMBER)).refused(Refusal::ResendTooSoon { retry_after: Seconds(30) });
    let told = scene.at(after(Seconds(30))).when(texting(NUMBER)).then_named(&["CodeResent"]);
    let Outcome::SmsEnrollmentStarted { method_id, .. } = told.outcome() else { panic!("not started") };
    assert_eq!(method_id, MethodId(1));
    told.next().when(enable(1, &digits(&TEXT))).accepted();
}

#[test]
fn a_resend_of_an_enrollment_waits_and_needs_the_authorization() {
    let resend = || Command::ResendEnrollmentCode { method_id: MethodId(1) };
    let scene = enrolling_a_phone();
    let early = scene.clone().at(just_before(after(Seconds(30)))).when(resend());
    early.refused(Refusal::ResendTooSoon { retry_after: Seconds(1) });
    scene.clone().at(after(Seconds(30))).when(resend()).then_named(&["CodeResent"]);
    scene.clone().at(after(Seconds::minutes(10))).when(resend()).then_named(&["CodeIssued"]);
    scene.clone().at(after(Seconds::minutes(30))).when(resend()).refused(ADD);
    scene.when_full(LimitName::TextsPerNumber).wait(Seconds(30)).when(resend()).rate_limited_for(77);
    let app = enrolling_an_app();
    app.when(resend()).refused_for("method_id");
}

#[test]
fn an_enrollment_is_texted_five_times_at_most() {
    let again = |n| ordered_again(TEXT, after(Seconds(30 * n)));
    let with_a_method = |sends: u32| {
        let text =
            Challenge { method_id: Some(MethodId(2)), verification_id: VerificationId(Uuid::from_u128(0xe02)), ..TEXT };
        // Of a method that is there for longer than a day.
        let scene = given([]).then_at(START.minus(Seconds::days(1)), an_account_with_totp()).by(SIGNED_IN);
        let scene = scene.then_at(START, authorized(CHECK, Purpose::AddMethod));
        let scene =
            scene.then_at(START, [session(SESSION, Aal::Aal2), sms_enrolling(2, NUMBER, OWNER), ordered(text, START)]);
        (1..sends).fold(scene, |scene, n| {
            let at = after(Seconds(30 * n));
            scene.then_at(at, [ordered_again(text, at)])
        })
    };
    let resend = || Command::ResendEnrollmentCode { method_id: MethodId(2) };
    with_a_method(4).wait(Seconds(30)).when(resend()).accepted();
    with_a_method(5).wait(Seconds(30)).when(resend()).needing_nothing().rate_limited_for(3_600 - 150);
    // Without a method, four times a day.
    let scene = (1..4).fold(enrolling_a_phone(), |scene, n| scene.then_at(after(Seconds(30 * n)), [again(n)]));
    let resend = || Command::ResendEnrollmentCode { method_id: MethodId(1) };
    scene.wait(Seconds(30)).when(resend()).needing_nothing().rate_limited_for(86_400 - 120);
}

/// This many texts to each of these numbers went out at the start, and the next day is about to begin.
fn texted(numbers: &[(&str, u32)], now: Timestamp) -> Scene<Account> {
    let mut scene = given(an_account()).by(SIGNED_IN);
    for (id, (to, times)) in (1..).zip(numbers) {
        scene = scene.then_at(START, [sms_enrolling(id, to, OWNER)]);
        let verification_id = VerificationId(Uuid::from_u128(0xe00 + u128::from(id)));
        let text = Challenge { verification_id, method_id: Some(MethodId(id)), ..TEXT };
        scene = scene.then_at(START, [ordered(text, START)]);
        for _ in 1..*times {
            scene = scene.then_at(START, [ordered_again(text, START)]);
        }
    }
    let authorization = VerificationStarted {
        expires_at: now.plus(Seconds::minutes(15)),
        ..started(CHECK, Purpose::AddMethod, Some(OWNER))
    };
    scene.then_at(now, [authorization.into(), completed(CHECK, Purpose::AddMethod, now)])
}

#[test]
fn an_account_texts_two_new_numbers_a_day_and_four_times_while_its_methods_are_new() {
    let (today, tomorrow) = (just_before(after(Seconds::hours(24))), after(Seconds::hours(24)));
    texted(&[(NUMBER, 1)], today).when(texting(OTHER_NUMBER)).accepted();
    texted(&[(NUMBER, 1), (OTHER_NUMBER, 1)], today).when(texting(NUMBER)).accepted();
    texted(&[(NUMBER, 1), (OTHER_NUMBER, 1)], today).when(texting(THIRD_NUMBER)).rate_limited_for(1);
    texted(&[(NUMBER, 1), (OTHER_NUMBER, 1)], tomorrow).when(texting(THIRD_NUMBER)).accepted();
    texted(&[(NUMBER, 3)], today).when(texting(NUMBER)).accepted();
    texted(&[(NUMBER, 4)], today).when(texting(NUMBER)).needing_nothing().rate_limited_for(1);
    texted(&[(NUMBER, 4)], tomorrow).when(texting(NUMBER)).accepted();
    // An app that is thrown away afterwards lifts neither.
    let with_an_app = |texts: &[(&str, u32)]| {
        texted(texts, today).then_at(today, [totp_enrolling(8, OWNER), enabled(8, MethodKind::Totp, true)])
    };
    with_an_app(&[(NUMBER, 1), (OTHER_NUMBER, 1)]).when(texting(THIRD_NUMBER)).needing_nothing().rate_limited_for(1);
    with_an_app(&[(NUMBER, 4)]).when(texting(NUMBER)).needing_nothing().rate_limited_for(1);
    with_an_app(&[(NUMBER, 1)]).when(texting(OTHER_NUMBER)).accepted();
}

#[test]
fn texts_to_new_numbers_are_among_the_ten_of_an_account_and_hour() {
    let mails = |count: u128| {
        (0..count).map(|n| {
            let id = VerificationId(Uuid::from_u128(n));
            ordered(challenge(id, Purpose::StepUp, Channel::Email, None), START)
        })
    };
    authorized_to_add_another().then_at(START, mails(9)).when(texting(NUMBER)).accepted();
    let full = authorized_to_add_another().then_at(START, mails(10));
    full.when(texting(NUMBER)).needing_nothing().rate_limited_for(3_600);
}

#[test]
fn after_a_reset_the_texts_of_the_day_still_count() {
    let reset = TwoFactorReset {
        reason: Personal::Known(text("lost")),
        method_ids: vec![],
        code: None,
        code_expires_at: None,
        by: None,
        phone_numbers: vec![],
    };
    let scene = texted(&[(NUMBER, 1), (OTHER_NUMBER, 1)], after(Seconds::hours(2)))
        .then_at(after(Seconds::hours(2)), [reset.into()]);
    let scene = scene.then_at(
        after(Seconds::hours(3)),
        [
            VerificationStarted {
                expires_at: after(Seconds::hours(4)),
                ..started(OTHER_CHECK, Purpose::AddMethod, Some(OWNER))
            }
            .into(),
            completed(OTHER_CHECK, Purpose::AddMethod, after(Seconds::hours(3))),
        ],
    );
    scene.when(texting(THIRD_NUMBER)).rate_limited_for(21 * 3_600);
}

#[test]
fn enrolling_needs_a_credential_that_may() {
    for (caller, refusal) in [
        (Caller::Anonymous, Refusal::Unauthenticated),
        (CHECKED, Refusal::Unauthenticated),
        (support(), Refusal::Forbidden),
        (Caller::Operator, Refusal::Forbidden),
    ] {
        let scene = enrolling_a_phone().by(caller);
        scene.clone().when(Command::StartTotpEnrollment).refused(refusal.clone());
        scene.clone().when(texting(NUMBER)).refused(refusal.clone());
        scene.clone().when(enable(1, "123456")).refused(refusal.clone());
        scene.when(Command::ResendEnrollmentCode { method_id: MethodId(1) }).refused(refusal);
    }
}

#[test]
fn an_api_client_enrolls_with_the_accounts_own_codes() {
    let by_client = Credential::ApiClient(KEY);
    let mut history = an_account();
    history.push(started(CHECK, Purpose::AddMethod, Some(by_client)).into());
    history.push(totp_enrolling(1, by_client));
    let scene = given(history).by(product());
    scene.clone().when(enable(1, &code_at(1, START))).refused(ADD);
    let scene = scene.then_at(START, [completed(CHECK, Purpose::AddMethod, START)]);
    let told = scene.when(enable(1, &code_at(1, START))).accepted();
    assert_eq!(event_of!(told, SessionRevoked).session_ids, [SESSION]);
}

#[test]
fn a_code_of_another_shape_is_refused() {
    enrolling_an_app().when(enable(1, "12345")).refused_for("code");
    enrolling_a_phone().when(enable(1, "1234567")).refused_for("code").needing_nothing();
}

#[test]
fn after_the_clock_was_set_back_an_enrollment_takes_the_code_that_the_app_shows_now() {
    let set_back = START.minus(Seconds::hours(1));
    let scene = enrolling_an_app().while_the_clock_shows(set_back);
    scene.clone().when(enable(1, &code_at(1, START))).wrong_code(1);
    scene.when(enable(1, &code_at(1, set_back))).accepted();
}
