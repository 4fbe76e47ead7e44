//! Ordering codes: by which way, how often, how soon again.

use domain::{
    commands::Command,
    events::*,
    ids::MethodId,
    limits::LimitName,
    outcome::{Outcome, Refusal},
    personal::Personal,
    state::Account,
    time::Seconds,
    values::*,
};

use crate::{event_of, histories::*, kit::*};

const TEXT: Challenge = Challenge {
    verification_id: CHECK,
    purpose: Purpose::SignIn,
    channel: Channel::Sms,
    method_id: Some(MethodId(1)),
    issue: 1,
};

/// Signing in with a phone on file.
fn signing_in_by_phone() -> Scene<Account> {
    given(an_account_with_sms().into_iter().chain([signing_in(CHECK)])).by(CHECKED)
}

#[test]
fn a_text_goes_to_the_number_on_file() {
    let told = signing_in_by_phone().when(send(CHECK, Channel::Sms));
    let issued = event_of!(told, CodeIssued);
    assert_eq!(issued.to, Personal::Known(NUMBER.to_owned()));
    assert_eq!((issued.country, issued.prefix), (Some(Country("AT".into())), Some(NumberPrefix("+43660".into()))));
    assert_eq!((issued.method_id, issued.issue, issued.automatic), (Some(MethodId(1)), 1, false));
    let told = told.charging(&TEXT_CHARGES);
    let limits: Vec<(u32, u32)> = told.charges().iter().map(|c| (c.limit.count, c.limit.window.0)).collect();
    assert_eq!(limits, [(5, 3_600), (20, 86_400), (200, 3_600), (100, 3_600)]);
    assert_eq!(told.charges()[0].subject, NUMBER);
    assert_eq!(told.charges()[2].subject, "+43660");
    assert_eq!(told.charges()[3].subject, "192.0.2.7");
    let Outcome::CodeSent(sent) = told.outcome() else { panic!("not sent") };
    assert_eq!(sent.sent_to, "•••• 4567");
    assert_eq!((sent.expires_at, sent.resend_after), (after(Seconds::minutes(10)), after(Seconds(30))));
}

#[test]
fn a_mail_goes_to_the_address_of_the_account_when_it_is_asked_for() {
    let told = signing_in_by_phone().when(send(CHECK, Channel::Email));
    assert_eq!(event_of!(told, CodeIssued).to, Personal::Known("ada@example.com".to_owned()));
    told.then_named(&["CodeIssued"]).charging(&[LimitName::SendsPerSource]);
}

#[test]
fn a_full_limiter_sends_nothing() {
    for name in [LimitName::TextsPerNumber, LimitName::TextsPerPrefix, LimitName::SendsPerSource] {
        signing_in_by_phone().when_full(name).when(send(CHECK, Channel::Sms)).rate_limited_for(77);
    }
}

#[test]
fn the_next_send_waits_thirty_seconds_by_whichever_call() {
    let scene = signing_in_by_phone().when(send(CHECK, Channel::Sms)).next();
    for again in [|| send(CHECK, Channel::Sms), || resend(CHECK)] {
        let early = scene.clone().at(just_before(after(Seconds(30)))).when(again());
        early.refused(Refusal::ResendTooSoon { retry_after: Seconds(1) }).needing_nothing();
        scene.clone().when(again()).refused(Refusal::ResendTooSoon { retry_after: Seconds(30) });
        scene.clone().at(after(Seconds(30))).when(again()).then_named(&["CodeResent"]);
    }
}

#[test]
fn a_resend_repeats_the_same_code_with_its_first_end() {
    let scene = signing_in_by_phone().when(send(CHECK, Channel::Sms)).next().wait(Seconds::minutes(9));
    let told = scene.when(resend(CHECK));
    let resent = event_of!(told, CodeResent);
    assert_eq!((resent.issue, resent.expires_at), (1, after(Seconds::minutes(10))));
    let scene = told.next().at(just_before(after(Seconds::minutes(10))));
    scene.clone().when(submit_sent(TEXT)).accepted();
    scene.at(after(Seconds::minutes(10))).when(submit_sent(TEXT)).refused(Refusal::CodeExpired);
}

#[test]
fn after_expiry_a_resend_issues_a_new_code_and_the_old_one_is_dead() {
    let scene = signing_in_by_phone().when(send(CHECK, Channel::Sms)).next();
    let scene = scene.at(just_before(after(Seconds::minutes(10))));
    scene.clone().when(resend(CHECK)).then_named(&["CodeResent"]);
    let told = scene.at(after(Seconds::minutes(10))).when(resend(CHECK)).then_named(&["CodeIssued"]);
    assert_eq!(event_of!(told, CodeIssued).issue, 2);
    told.scene.clone().when(submit_sent(TEXT)).wrong_code(1);
    told.next().when(submit_sent(Challenge { issue: 2, ..TEXT })).accepted();
}

#[test]
fn a_resend_before_any_send_is_refused() {
    signing_in_by_phone().when(resend(CHECK)).refused_for("channel");
    let scene = signing_in_by_phone().when(send(CHECK, Channel::Sms)).next().wait(Seconds(30));
    let by_mail = Command::ResendCode { verification_id: CHECK, channel: Some(Channel::Email), method_id: None };
    scene.when(by_mail).refused_for("channel");
}

#[test]
fn a_resend_takes_the_way_of_the_last_send() {
    let scene = signing_in_by_phone().when(send(CHECK, Channel::Sms)).next().wait(Seconds(1));
    let scene = scene.when(send(CHECK, Channel::Email)).accepted().next().wait(Seconds(30));
    let told = scene.clone().when(resend(CHECK));
    assert_eq!(event_of!(told, CodeResent).channel, Channel::Email);
    let by_text = Command::ResendCode { verification_id: CHECK, channel: Some(Channel::Sms), method_id: None };
    assert_eq!(event_of!(scene.when(by_text), CodeResent).channel, Channel::Sms);
}

#[test]
fn a_resend_may_name_its_number() {
    let mut history = an_account_with_sms();
    history.extend(sms(2, OTHER_NUMBER));
    let second = Challenge { method_id: Some(MethodId(2)), ..TEXT };
    history.extend([signing_in(CHECK), ordered(TEXT, START)]);
    let scene = given(history).then_at(after(Seconds(1)), [ordered(second, after(Seconds(1)))]).by(CHECKED);
    let scene = scene.wait(Seconds(30));
    let named = Command::ResendCode { verification_id: CHECK, channel: None, method_id: Some(MethodId(1)) };
    assert_eq!(event_of!(scene.clone().when(named), CodeResent).method_id, Some(MethodId(1)));
    assert_eq!(event_of!(scene.when(resend(CHECK)), CodeResent).method_id, Some(MethodId(2)));
}

#[test]
fn five_sends_per_verification() {
    let mut scene = signing_in_by_phone();
    for _ in 0..5 {
        scene = scene.when(send(CHECK, Channel::Sms)).accepted().next().wait(Seconds(30));
    }
    let told = scene.clone().when(send(CHECK, Channel::Sms)).needing_nothing();
    told.rate_limited_for(900 - 150);
    scene.clone().when(send(CHECK, Channel::Email)).rate_limited_for(900 - 150);
    let other = scene.then_at(after(Seconds(150)), [signing_in(OTHER_CHECK)]).by(Caller::Verification(OTHER_CHECK));
    other.when(send(OTHER_CHECK, Channel::Sms)).accepted();
}

#[test]
fn ten_sends_per_account_and_hour_over_all_ways() {
    let mail = |n: u128| {
        challenge(domain::ids::VerificationId(uuid::Uuid::from_u128(n)), Purpose::StepUp, Channel::Email, None)
    };
    let text = |n: u128| Challenge { channel: Channel::Sms, method_id: Some(MethodId(1)), ..mail(n) };
    let nine = (0..5).map(|n| ordered(mail(n), START)).chain((0..4).map(|n| ordered(text(n), START)));
    let scene = given(an_account_with_sms().into_iter().chain(nine)).by(CHECKED);
    let scene = scene
        .then_at(after(Seconds(60)), [signing_in(CHECK), started(OTHER_CHECK, Purpose::StepUp, Some(OWNER)).into()]);
    scene.clone().when(send(CHECK, Channel::Sms)).accepted();
    let full = scene.then_at(after(Seconds(60)), [ordered_again(mail(1), after(Seconds(60)))]);
    full.clone().by(SIGNED_IN).when(send(OTHER_CHECK, Channel::Sms)).needing_nothing().rate_limited_for(3_540);
    full.clone().by(SIGNED_IN).when(send(OTHER_CHECK, Channel::Email)).rate_limited_for(3_540);
    // Who has only the password has sends of their own, and takes none of the owner's.
    full.clone().when(send(CHECK, Channel::Sms)).accepted();
    let late = VerificationStarted {
        expires_at: after(Seconds::hours(2)),
        ..started(THIRD_CHECK, Purpose::StepUp, Some(OWNER))
    };
    let full = full.then_at(after(Seconds(61)), [late.into()]).by(Caller::Verification(THIRD_CHECK));
    full.clone().at(just_before(after(Seconds::hours(1)))).when(send(THIRD_CHECK, Channel::Sms)).rate_limited_for(1);
    full.at(after(Seconds::hours(1))).when(send(THIRD_CHECK, Channel::Sms)).accepted();
}

#[test]
fn mails_that_a_stranger_may_ask_for_take_nothing_from_the_account() {
    let resets = (0..10).map(|n| {
        let id = domain::ids::VerificationId(uuid::Uuid::from_u128(n));
        ordered(challenge(id, Purpose::ResetPassword, Channel::Email, None), START)
    });
    let history = an_account_with_sms().into_iter().chain(resets).chain([signing_in(CHECK)]);
    let scene = given(history).by(CHECKED);
    scene.clone().when(send(CHECK, Channel::Sms)).accepted();
    // Nor the other way round.
    let own = (0..10).map(|n| {
        let id = domain::ids::VerificationId(uuid::Uuid::from_u128(n));
        ordered(challenge(id, Purpose::StepUp, Channel::Email, None), START)
    });
    let reset = Command::RequestPasswordReset { verification_id: OTHER_CHECK };
    scene.then_at(START, own).by(Caller::Anonymous).when(reset).accepted();
}

#[test]
fn a_locked_kind_is_not_sent_and_the_others_are() {
    let until = after(Seconds::minutes(15));
    let scene = signing_in_by_phone().then_at(START, [wrong(FactorKind::Sms, 3, 3), locked(FactorKind::Sms, until)]);
    let told = scene.clone().when(send(CHECK, Channel::Sms)).needing_nothing();
    told.refused(Refusal::MethodLocked { locked_until: until, retry_after: Seconds(900) });
    scene.when(send(CHECK, Channel::Email)).accepted();
}

#[test]
fn the_cap_stops_every_send() {
    let scene = signing_in_by_phone().then_at(START, [wrong(FactorKind::Totp, 1, 100)]);
    scene.clone().when(send(CHECK, Channel::Sms)).refused(Refusal::AccountLocked).needing_nothing();
    scene.when(send(CHECK, Channel::Email)).refused(Refusal::AccountLocked);
}

#[test]
fn with_several_numbers_the_method_must_be_said() {
    let mut history = an_account_with_sms();
    history.extend(sms(2, OTHER_NUMBER));
    history.push(signing_in(CHECK));
    let scene = given(history).by(CHECKED);
    scene.clone().when(send(CHECK, Channel::Sms)).refused_for("method_id");
    let to = |id| Command::SendCode { verification_id: CHECK, channel: Channel::Sms, method_id: Some(MethodId(id)) };
    let told = scene.clone().when(to(2));
    assert_eq!(event_of!(told, CodeIssued).to, Personal::Known(OTHER_NUMBER.to_owned()));
    scene.when(to(9)).refused_for("method_id");
}

#[test]
fn without_a_number_no_text_is_sent() {
    let scene = given(an_account_with_totp().into_iter().chain([signing_in(CHECK)])).by(CHECKED);
    scene.clone().when(send(CHECK, Channel::Sms)).refused_for("method");
    let of_kind = Command::SendCode { verification_id: CHECK, channel: Channel::Sms, method_id: Some(MethodId(1)) };
    scene.when(of_kind).refused_for("method");
}

#[test]
fn a_resend_never_resets_a_count() {
    let scene = signing_in_by_phone().when(send(CHECK, Channel::Sms)).next();
    let wrong_text = || submit(CHECK, FactorKind::Sms, &other_than(&digits(&TEXT)));
    let scene = scene.when(wrong_text()).wrong_code(1).next().when(wrong_text()).wrong_code(2).next();
    let scene = scene.wait(Seconds(30)).when(resend(CHECK)).accepted().next();
    let told = scene.when(wrong_text());
    told.wrong_code_that_locks(3, after(Seconds(930)));
}

#[test]
fn a_code_is_bound_to_its_verification_channel_method_and_purpose() {
    let mut history = an_account_with_sms();
    history.extend(sms(2, OTHER_NUMBER));
    let one = Challenge { method_id: Some(MethodId(1)), ..TEXT };
    let two = Challenge { method_id: Some(MethodId(2)), ..TEXT };
    let mail = Challenge { channel: Channel::Email, method_id: None, ..TEXT };
    let elsewhere = Challenge { verification_id: OTHER_CHECK, ..TEXT };
    history.extend([signing_in(CHECK), signing_in(OTHER_CHECK)]);
    history.extend([one, two, mail, elsewhere].map(|code| ordered(code, START)));
    let scene = given(history).by(CHECKED);
    let submit_to = |id, code: Challenge| Command::SubmitCode {
        verification_id: CHECK,
        kind: Some(FactorKind::Sms),
        method_id: Some(MethodId(id)),
        code: entered(&digits(&code)),
    };
    scene.clone().when(submit_to(1, one)).accepted();
    for other in [two, mail, elsewhere] {
        scene.clone().when(submit_to(1, other)).wrong_code(1);
    }
    scene.clone().when(submit_to(2, two)).accepted();
    scene.when(submit(CHECK, FactorKind::Email, &digits(&one))).wrong_code(1);
}
