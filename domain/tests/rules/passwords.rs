//! Passwords: changing one, a forgotten one.

use domain::{
    account::reset_of_nobody,
    commands::{Command, SecondFactor},
    events::*,
    evidence::{LongCode, Need},
    ids::{MethodId, VerificationId},
    limits::LimitName,
    outcome::{Outcome, Refusal, VerificationStatus},
    personal::Personal,
    secret::{Secret, TokenHash},
    state::Account,
    time::Seconds,
    values::*,
};

use crate::{event_of, histories::*, kit::*};

const MAIL: Challenge = Challenge {
    verification_id: OTHER_CHECK,
    purpose: Purpose::ResetPassword,
    channel: Channel::Email,
    method_id: None,
    issue: 1,
};
const TEXT: Challenge =
    Challenge { verification_id: TICKET, channel: Channel::Sms, method_id: Some(MethodId(2)), ..MAIL };

fn change(current: Option<&str>, new: &str) -> Command {
    let secret = |text: &str| Secret::new(text.to_owned());
    Command::SetPassword { current: current.map(secret), new: secret(new) }
}
fn reset(code: Option<&str>, second: Option<SecondFactor>) -> Command {
    Command::ResetPassword {
        verification_id: TICKET,
        ticket: hash_of(9),
        code: code.map(entered),
        second_factor: second,
        new: Secret::new(OTHER_PASSWORD.to_owned()),
    }
}
#[expect(clippy::unnecessary_wraps, reason = "as the command takes it")]
fn second(kind: Option<FactorKind>, code: &str) -> Option<SecondFactor> {
    Some(SecondFactor { kind, method_id: None, code: entered(code) })
}
fn mailed() -> String {
    letters(&LongCode::OfAccount(MAIL))
}
const NOT_IT: &str = "0000-0000-0000";
/// A reset was asked for, and its mail went out.
fn asked(mut history: Vec<Event>) -> Scene<Account> {
    history.extend(mailed_to_strangers(MAIL, START));
    given(history).by(WITH_TICKET)
}
/// With 2FA on, and the mail's code was brought.
fn half_done() -> Scene<Account> {
    let told = asked(an_account_with_both()).when(reset(Some(&mailed()), None));
    assert_eq!(told.names(), ["VerificationSucceeded", "VerificationStarted", "VerificationSucceeded"]);
    told.next()
}
const WRONG: Refusal = Refusal::WrongCode { fail_count: 0, locked_until: None };
const SECOND: Refusal = Refusal::VerificationRequired { purpose: Purpose::ResetPassword };

#[test]
fn changing_the_password_takes_the_current_one_and_ends_everything_else() {
    let told = given(an_account_in_use()).by(SIGNED_IN).when(change(Some(PASSWORD), OTHER_PASSWORD));
    let set = PasswordSet {
        password: Personal::Known(password_hash(OTHER_PASSWORD)),
        verification_id: None,
        changes_wait_until: None,
    };
    let reason = RevocationReason::PasswordChanged;
    let renewed_to = told.scene.state.session(SESSION).unwrap().token_hash;
    let told = told.then([
        set.into(),
        SessionRevoked { session_ids: vec![OTHER_SESSION], reason }.into(),
        AccessTokenRevoked { access_token_ids: vec![TOKEN, OTHER_TOKEN], reason }.into(),
        SessionRenewed {
            session_id: SESSION,
            token_hash: renewed_to,
            aal: Aal::Aal1,
            amr: vec![Amr::Pwd],
            verification_id: None,
        }
        .into(),
    ]);
    let Outcome::PasswordSet { session: Some(session) } = told.outcome() else { panic!("the session is over") };
    let renewed = told.scene.state.session(SESSION).unwrap();
    assert_eq!((session.session_id, TokenHash::of(&session.secret)), (SESSION, renewed.token_hash));
    assert_ne!(renewed.token_hash, hash_of(1), "the old token is dead");
    let scene = told.next().by(Caller::Anonymous);
    scene.clone().when(sign_in(OTHER_PASSWORD)).accepted();
    assert_eq!(refusal(scene, sign_in(PASSWORD)), Some(Refusal::WrongCredentials));
}

#[test]
fn a_wrong_current_password_is_refused_and_charged_like_a_sign_in() {
    let told = given(an_account()).by(SIGNED_IN).when(change(Some(OTHER_PASSWORD), OTHER_PASSWORD));
    let told = told.refused(Refusal::WrongCredentials).charging(&[LimitName::PasswordsPerAddressAndSource]);
    let charge = &told.charges()[0];
    assert_eq!((charge.limit.count, charge.limit.window, charge.refund_on_success), (10, Seconds::minutes(15), true));
    assert_eq!(charge.subject, "ada@example.com 192.0.2.7");
    let full = given(an_account()).by(SIGNED_IN).when_full(LimitName::PasswordsPerAddressAndSource);
    let told = full.when(change(Some(PASSWORD), OTHER_PASSWORD));
    assert!(!told.asked.iter().any(|need| matches!(need, Need::PasswordMatches(_))), "asked before the hash");
    told.rate_limited_for(77);
}

#[test]
fn the_current_password_must_be_given_when_there_is_one() {
    let scene = given(an_account()).by(SIGNED_IN);
    scene.clone().when(change(None, OTHER_PASSWORD)).refused_for("current_password").needing_nothing();
    scene.clone().when(change(Some(PASSWORD), "short")).refused_for("password").needing_nothing();
    let told = scene.when(change(Some(PASSWORD), "password1")).refused_for("password");
    assert!(
        matches!(told.asked[..], [Need::Allowance(_), Need::PasswordMatches(_), Need::GuessedSoon(_)]),
        "the limit first: {:?}",
        told.asked
    );
    let without = AccountRegistered {
        account_id: ACCOUNT,
        email: Personal::Known(email()),
        password: None,
        registered_by: Some(KEY),
        expires_at: after(Seconds::hours(24)),
        number: None,
    };
    let scene = given([without.into(), confirmed(), session(SESSION, Aal::Aal1)]).by(SIGNED_IN);
    scene.when(change(None, OTHER_PASSWORD)).then_named(&["PasswordSet", "SessionRenewed"]);
}

#[test]
fn with_two_factor_on_only_a_strong_session_changes_it() {
    let history = an_account_with_totp().into_iter().chain([session(OTHER_SESSION, Aal::Aal1), access_token(TOKEN)]);
    let scene = given(history);
    scene.clone().by(SIGNED_IN).when(change(Some(PASSWORD), OTHER_PASSWORD)).accepted();
    let weak = scene.clone().by(Caller::Session(OTHER_SESSION)).when(change(Some(PASSWORD), OTHER_PASSWORD));
    weak.refused(Refusal::VerificationRequired { purpose: Purpose::SignIn }).needing_nothing();
    scene.by(WITH_TOKEN).when(change(Some(PASSWORD), OTHER_PASSWORD)).refused(Refusal::Forbidden);
}

#[test]
fn an_api_client_cannot_set_passwords() {
    for caller in [product(), client(&Scope::ALL.map(|(scope, _)| scope)), Caller::Operator] {
        given(an_account()).by(caller).when(change(Some(PASSWORD), OTHER_PASSWORD)).refused(Refusal::Forbidden);
    }
    let told = given(an_account()).when(change(Some(PASSWORD), OTHER_PASSWORD));
    told.refused(Refusal::Unauthenticated);
}

#[test]
fn a_forgotten_password_starts_with_a_mail_whoever_asks_and_once_in_ten_minutes() {
    for purpose in [Purpose::ResetPassword, Purpose::OpenSignIn] {
        let command = |n: u128| {
            let verification_id = VerificationId(uuid::Uuid::from_u128(n));
            match purpose {
                Purpose::ResetPassword => Command::RequestPasswordReset { verification_id },
                _ => Command::OpenSignIn { verification_id },
            }
        };
        let told = given(an_account_with_totp()).when(command(1)).then_named(&["VerificationStarted", "CodeIssued"]);
        let started = event_of!(told, VerificationStarted);
        assert_eq!((started.purpose, started.started_by, started.yields_session), (purpose, None, false));
        let issued = event_of!(told, CodeIssued);
        assert_eq!((issued.form, issued.to), (CodeForm::Letters, Personal::Known("ada@example.com".to_owned())));
        assert_eq!(issued.resend_after, after(Seconds::minutes(10)));
        assert_eq!(issued.expires_at, after(Seconds::minutes(20)), "ten minutes are left to who asks last");
        let told = told.telling(&Outcome::Done).charging(&[]);
        assert!(told.scene.state.sends.is_empty(), "it takes nothing of the account's own sends");
        // Whoever asks meanwhile is answered the same, and nothing happens.
        let scene = told.next();
        for caller in [Caller::Anonymous, SIGNED_IN] {
            let told = scene.clone().by(caller).at(just_before(after(Seconds::minutes(10)))).when(command(2));
            told.telling(&Outcome::Done).then([]).needing_nothing();
        }
        let told = scene.at(after(Seconds::minutes(10))).when(command(2));
        let told = told.then_named(&["VerificationStarted", "CodeIssued"]);
        assert_eq!(told.scene.state.long_codes(purpose, after(Seconds::minutes(10))).count(), 2, "both are good");
        told.next().when(command(2)).refused(Refusal::Conflict);
        nothing_yet().when(command(1)).refused(Refusal::NotFound);
    }
}

#[test]
fn the_code_of_a_mail_is_good_for_everybody_who_asked_and_once() {
    let other = VerificationId(uuid::Uuid::from_u128(TICKET.0.as_u128() + 1));
    let with = |ticket: VerificationId| match reset(Some(&mailed()), None) {
        Command::ResetPassword { code, new, second_factor, .. } => {
            Command::ResetPassword { verification_id: ticket, ticket: hash_of(8), code, new, second_factor }
        }
        _ => panic!("no reset"),
    };
    let scene = asked(an_account());
    scene.clone().by(Caller::Verification(other)).when(with(other)).accepted();
    let spent = scene.when(with(TICKET)).accepted().next();
    spent.by(Caller::Verification(other)).when(with(other)).refused(WRONG);
    // With 2FA on the proof is of the one who brought it: nobody else who asked goes on from there.
    let scene = half_done().by(Caller::Verification(other));
    let code = code_at(1, START);
    let second = second(Some(FactorKind::Totp), &code);
    let Command::ResetPassword { new, .. } = reset(None, None) else { panic!("no reset") };
    let without_code =
        Command::ResetPassword { verification_id: other, ticket: hash_of(8), code: None, second_factor: second, new };
    scene.clone().when(without_code).refused_for("code").needing_nothing();
    scene.when(with(other)).refused(WRONG);
}

#[test]
fn a_mail_whose_code_was_used_keeps_nobody_from_the_next() {
    let spent = asked(an_account()).when(reset(Some(&mailed()), None)).accepted().next();
    let again = Command::RequestPasswordReset { verification_id: THIRD_CHECK };
    spent.by(Caller::Anonymous).when(again).then_named(&["VerificationStarted", "CodeIssued"]);
}

#[test]
fn a_reset_that_was_begun_with_six_digits_is_finished_with_them() {
    let old = Challenge { verification_id: TICKET, ..MAIL };
    let history = [checking_address(TICKET, Purpose::ResetPassword, None).into(), ordered(old, START)];
    let mut scene = given(an_account()).then_at(START, history).by(WITH_TICKET);
    scene.clone().when(reset(Some(&digits(&old)), None)).then_named(&[
        "VerificationSucceeded",
        "PasswordSet",
        "SessionRevoked",
    ]);
    scene.clone().when(reset(Some(&mailed()), None)).refused_for("code");
    for count in 1..=4 {
        scene = scene.when(reset(Some(&other_than(&digits(&old))), None)).wrong_code(count).next();
    }
    let told = scene.when(reset(Some(&other_than(&digits(&old))), None)).wrong_code(5);
    assert!(event_of!(told, CodeRejected).ended);
    told.next().when(reset(Some(&digits(&old)), None)).refused(Refusal::VerificationExpired).needing_nothing();
}

#[test]
fn without_a_second_factor_the_mails_code_resets_it_and_ends_everything() {
    let told = asked(an_account_in_use()).when(reset(Some(&mailed()), None));
    let told = told.then_named(&["VerificationSucceeded", "PasswordSet", "SessionRevoked", "AccessTokenRevoked"]);
    assert_eq!(event_of!(told, SessionRevoked).session_ids, [SESSION, OTHER_SESSION]);
    assert_eq!(event_of!(told, AccessTokenRevoked).access_token_ids, [TOKEN, OTHER_TOKEN]);
    assert_eq!(event_of!(told, PasswordSet).password, Personal::Known(password_hash(OTHER_PASSWORD)));
    let scene = told.next();
    scene.clone().when(reset(Some(&mailed()), None)).refused(WRONG);
    scene.by(Caller::Anonymous).when(sign_in(OTHER_PASSWORD)).accepted();
}

#[test]
fn a_wrong_code_is_no_history_and_an_old_one_is_wrong() {
    let end = after(Seconds::minutes(20));
    let scene = asked(an_account());
    scene.clone().at(just_before(end)).when(reset(Some(&mailed()), None)).accepted();
    scene.clone().at(end).when(reset(Some(&mailed()), None)).refused(WRONG);
    let told = scene.clone().when(reset(Some(NOT_IT), None)).refused(WRONG);
    assert!(matches!(told.asked[..], [Need::LongCode(_)]), "nothing slow comes before the code: {:?}", told.asked);
    for shape in ["", "123456", "0000-0000-000", "0000-0000-00000", "UUUU-0000-0000"] {
        scene.clone().when(reset(Some(shape), None)).refused_for("code").needing_nothing();
    }
    let forgiving = mailed().to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
    scene.when(reset(Some(&forgiving), None)).accepted();
}

#[test]
fn a_reset_of_nobody_is_refused_like_a_wrong_code() {
    for code in [None, Some(""), Some("123456"), Some(NOT_IT)] {
        for new in ["short", OTHER_PASSWORD, "12345678"] {
            let command = Command::ResetPassword {
                verification_id: TICKET,
                ticket: hash_of(9),
                code: code.map(entered),
                second_factor: None,
                new: Secret::new(new.to_owned()),
            };
            let of_nobody = reset_of_nobody(code.map(entered).as_ref(), &Secret::new(new.to_owned()));
            assert_eq!(refusal(asked(an_account()), command), Some(of_nobody), "{code:?} {new}");
        }
    }
}

#[test]
fn nothing_but_its_own_token_drives_a_reset() {
    for caller in [Caller::Anonymous, SIGNED_IN, CHECKED, Caller::Verification(OTHER_CHECK), product(), support()] {
        let told = asked(an_account()).by(caller).when(reset(Some(&mailed()), None));
        assert!(matches!(told.decision.outcome, Err(Refusal::NotFound | Refusal::Forbidden)));
        assert_eq!((told.decision.events.len(), told.asked.len()), (0, 0));
    }
    let other = given(an_account().into_iter().chain([signing_in(TICKET)])).by(WITH_TICKET);
    other.when(reset(Some("123456"), None)).refused(Refusal::NotFound);
    asked(an_account()).when(reset(None, None)).refused_for("code");
    asked(an_account()).when(submit_sent(MAIL)).refused(Refusal::NotFound).needing_nothing();
}

#[test]
fn with_two_factor_on_a_second_factor_is_needed_that_is_not_email() {
    let told = asked(an_account_with_both()).when(reset(Some(&mailed()), None));
    let Some(Event::VerificationSucceeded(succeeded)) = told.decision.events.last() else { panic!("not proved") };
    assert_eq!((succeeded.verification_id, succeeded.needs_second_factor), (TICKET, true));
    assert_eq!(event_of!(told, VerificationStarted).token_hash, hash_of(9), "it goes on with the ticket's own token");
    assert_eq!(told.decision.outcome, Err(SECOND));
    let scene = told.next();
    let by_mail = second(Some(FactorKind::Email), &mailed());
    let without = scene.clone().when(reset(None, None)).refused(SECOND);
    for told in [without, scene.clone().when(reset(None, by_mail)).refused_for("method")] {
        assert!(told.asked.iter().all(|need| matches!(need, Need::GuessedSoon(_))), "{:?}", told.asked);
    }
    scene.clone().when(send(TICKET, Channel::Email)).refused_for("channel");
    let view = scene.state.verification_view(TICKET, &WITH_TICKET, &scene.origin, &scene.policy, START).unwrap();
    let kinds: Vec<FactorKind> = view.methods.iter().map(|method| method.kind).collect();
    assert_eq!(view.status, VerificationStatus::Pending);
    assert_eq!(kinds, [FactorKind::Totp, FactorKind::RecoveryCode], "with an app on file no text resets it");
    let told = scene.when(reset(None, second(Some(FactorKind::Totp), &code_at(1, START))));
    told.then_named(&["VerificationSucceeded", "PasswordSet", "SessionRevoked"]);
}

#[test]
fn both_proofs_may_come_in_one_call_and_the_kind_may_be_left_out() {
    for (kind, code) in [
        (Some(FactorKind::Totp), code_at(1, START)),
        (None, code_at(1, START)),
        (None, recovery_codes(SALT, 10).0.remove(0)),
    ] {
        let told = asked(an_account_with_both()).when(reset(Some(&mailed()), second(kind, &code))).accepted();
        // Of the mail, of the reset by it, of the reset by the second factor.
        assert_eq!(told.names().iter().filter(|name| **name == "VerificationSucceeded").count(), 3);
        assert!(told.names().contains(&"PasswordSet"));
        half_done().when(reset(None, second(kind, &code))).accepted();
    }
}

#[test]
fn a_text_to_a_method_on_file_serves_as_the_second_factor() {
    let waiting = asked(an_account_with_sms()).when(reset(Some(&mailed()), None)).next();
    let told = waiting.when(send(TICKET, Channel::Sms)).then_named(&["CodeIssued"]);
    let text = Challenge { method_id: Some(domain::ids::MethodId(1)), ..TEXT };
    let scene = told.next();
    let told = scene.clone().when(reset(None, second(Some(FactorKind::Sms), &digits(&text)))).accepted();
    let until = after(Seconds::hours(24));
    assert_eq!(event_of!(told, PasswordSet).changes_wait_until, Some(until));
    assert_eq!(told.scene.state.changes_wait_until, Some(until));
    // A resend means the text, since the mail serves no more.
    let told = scene.wait(Seconds(30)).when(resend(TICKET));
    assert_eq!(event_of!(told, CodeResent).channel, Channel::Sms);
    half_done().when(send(TICKET, Channel::Sms)).refused_for("channel");
    asked(an_account_with_sms()).when(send(TICKET, Channel::Sms)).refused(Refusal::NotFound);
}

#[test]
fn wrong_second_factors_of_a_reset_lock_their_kind_and_count_toward_the_cap() {
    let mut scene = half_done();
    let wrong = || reset(None, second(Some(FactorKind::Totp), &wrong_totp(1, START)));
    for count in 1..=4 {
        scene = scene.when(wrong()).wrong_code(count).next();
    }
    let until = after(Seconds::minutes(15));
    let told = scene.when(wrong()).wrong_code_that_locks(5, until);
    assert_eq!(event_of!(told, CodeRejected).account_failures, 5);
    let right = reset(None, second(Some(FactorKind::Totp), &code_at(1, START)));
    told.next().when(right).refused(Refusal::MethodLocked { locked_until: until, retry_after: Seconds(900) });
    // A right mail beside a wrong second factor: both are history, and the mail need not be brought again.
    let both = reset(Some(&mailed()), second(Some(FactorKind::Totp), &wrong_totp(1, START)));
    let told = asked(an_account_with_both()).when(both);
    assert_eq!(told.names(), ["VerificationSucceeded", "VerificationStarted", "VerificationSucceeded", "CodeRejected"]);
    told.next().when(reset(None, second(None, &code_at(1, START)))).accepted();
}

#[test]
fn the_mail_alone_resets_no_count() {
    let scene =
        asked(an_account_with_both()).then_at(START, [wrong(FactorKind::Email, 2, 50), wrong(FactorKind::Totp, 4, 51)]);
    let scene = scene.when(reset(Some(&mailed()), None)).next();
    assert_eq!((scene.state.tallies.others.failures, scene.state.tallies.others.locks.email.failures), (51, 2));
    let scene = asked(an_account()).then_at(START, [wrong(FactorKind::Email, 2, 50)]);
    let scene = scene.when(reset(Some(&mailed()), None)).accepted().next();
    assert_eq!((scene.state.tallies.others.failures, scene.state.tallies.others.locks.email.failures), (50, 2));
}

#[test]
fn locks_and_cap_do_not_stop_the_mail_of_a_reset() {
    let until = after(Seconds::minutes(15));
    let scene =
        asked(an_account()).then_at(START, [wrong(FactorKind::Email, 3, 100), locked(FactorKind::Email, until)]);
    let again = Command::RequestPasswordReset { verification_id: THIRD_CHECK };
    let told = scene.clone().by(Caller::Anonymous).wait(Seconds::minutes(10)).when(again);
    told.then_named(&["VerificationStarted", "CodeIssued"]);
    scene.when(reset(Some(&mailed()), None)).accepted();
}

#[test]
fn a_changed_password_ends_other_resets() {
    let changed = PasswordSet {
        password: Personal::Known(password_hash(PASSWORD)),
        verification_id: None,
        changes_wait_until: None,
    };
    let scene = asked(an_account()).then_at(START, [changed.clone().into()]);
    scene.when(reset(Some(&mailed()), None)).refused(WRONG);
    let scene = half_done().then_at(START, [changed.into()]);
    scene.when(reset(None, second(None, &code_at(1, START)))).refused(Refusal::VerificationExpired);
}

#[test]
fn a_weak_new_password_is_refused_and_an_obvious_one_after_the_right_code() {
    let with = |new: &str| Command::ResetPassword {
        verification_id: TICKET,
        ticket: hash_of(9),
        code: Some(entered(&mailed())),
        second_factor: None,
        new: Secret::new(new.to_owned()),
    };
    let told = asked(an_account()).when(with("12345678")).refused_for("password");
    assert!(matches!(told.asked[..], [Need::LongCode(_), Need::GuessedSoon(_)]), "estimated once: {:?}", told.asked);
    asked(an_account()).when(with("1234567")).refused_for("password").needing_nothing();
    asked(an_account()).when(with("ada@example.com")).refused_for("password");
}

#[test]
fn a_password_has_eight_to_128_characters_and_is_not_guessed_soon() {
    let is_taken = |text: &str| {
        given(an_account()).by(SIGNED_IN).when(change(Some(PASSWORD), text)).names()
            == ["PasswordSet", "SessionRenewed"]
    };
    assert!(!is_taken("xK9#qL2") && is_taken("xK9#qL2v"));
    let long: String = "correct horse battery staple ".chars().cycle().take(128).collect();
    assert!(is_taken(&long) && !is_taken(&format!("{long}x")));
    assert!(is_taken("πάντα ῥεῖ!"), "characters count, not bytes");
    assert!(is_taken(&"ж".repeat(8).chars().chain("Σ≠∆xK9#qL2v".chars()).cycle().take(128).collect::<String>()));
    for known in ["password", "qwertyuiop", "ada@example.com", "countersign", "11111111"] {
        assert!(!is_taken(known), "{known}");
    }
}

#[test]
fn a_reset_ends_with_its_fifteen_minutes() {
    let end = after(Seconds::minutes(15));
    let right = || reset(None, second(Some(FactorKind::Totp), &code_at(1, just_before(end))));
    half_done().at(just_before(end)).when(right()).accepted();
    half_done().at(end).when(right()).refused(Refusal::VerificationExpired).needing_nothing();
    let id = VerificationId(uuid::Uuid::nil());
    let unknown = Command::ResetPassword {
        verification_id: id,
        ticket: hash_of(9),
        code: None,
        second_factor: None,
        new: Secret::new(OTHER_PASSWORD.to_owned()),
    };
    half_done().by(Caller::Verification(id)).when(unknown).refused_for("code");
}
