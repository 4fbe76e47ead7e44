//! Changing the address.

use domain::{
    commands::Command,
    events::*,
    evidence::{AddressClaim, Claim},
    limits::LimitName,
    outcome::{Outcome, Refusal},
    personal::Personal,
    secret::Secret,
    state::Account,
    time::Seconds,
    values::*,
};

use crate::{event_of, histories::*, kit::*};

const MAIL: Challenge = Challenge {
    verification_id: CHECK,
    purpose: Purpose::ConfirmNewEmail,
    channel: Channel::Email,
    method_id: None,
    issue: 1,
};

fn change(password: Option<&str>) -> Command {
    Command::ChangeEmail {
        email: new_email(),
        password: password.map(|text| Secret::new(text.to_owned())),
        verification_id: Some(OTHER_CHECK),
    }
}
fn confirm(code: &str) -> Command {
    Command::VerifyEmail { code: entered(code) }
}
/// Asked for at the start by the owner's session; the mail is out.
fn changing() -> Scene<Account> {
    let check = VerificationStarted {
        new_email: Some(Personal::Known(new_email())),
        ..checking_address(CHECK, Purpose::ConfirmNewEmail, Some(OWNER))
    };
    given(an_account_in_use().into_iter().chain([check.into(), ordered(MAIL, START)])).by(SIGNED_IN)
}

/// May change its address.
fn authorized_to_change(history: Vec<Event>) -> Scene<Account> {
    given(history.into_iter().chain(authorized(OTHER_CHECK, Purpose::ChangeEmail))).by(SIGNED_IN)
}

#[test]
fn a_code_goes_to_the_new_address() {
    let told = authorized_to_change(an_account()).when(change(Some(PASSWORD)));
    let issued = event_of!(told, CodeIssued);
    assert_eq!((issued.purpose, issued.to), (Purpose::ConfirmNewEmail, Personal::Known("ada@example.org".to_owned())));
    let started = event_of!(told, VerificationStarted);
    assert_eq!((started.started_by, started.attempts), (Some(OWNER), Some(5)));
    assert_eq!(started.expires_at, after(Seconds::minutes(15)));
    let Outcome::CodeSent(sent) = told.outcome() else { panic!("not sent") };
    assert_eq!(sent.sent_to, "a•••@example.org");
    let code = challenge(started.verification_id, Purpose::ConfirmNewEmail, Channel::Email, None);
    told.next().when(confirm(&digits(&code))).then_named(&["EmailChanged"]);
}

#[test]
fn the_code_changes_the_address_and_ends_other_sessions_and_access_tokens() {
    let told = changing().when(confirm(&digits(&MAIL)));
    let changed = EmailChanged {
        email: Personal::Known(new_email()),
        verification_id: CHECK,
        old_email: Some(Personal::Known(email())),
        phone_numbers: vec![],
        quiet_until: Some(after(Seconds::hours(24))),
        undo_until: Some(after(Seconds::days(7))),
    };
    let ended = SessionRevoked { session_ids: vec![OTHER_SESSION], reason: RevocationReason::EmailChanged };
    let tokens =
        AccessTokenRevoked { access_token_ids: vec![TOKEN, OTHER_TOKEN], reason: RevocationReason::EmailChanged };
    let told = told.then([changed.into(), ended.into(), tokens.into()]).telling(&Outcome::EmailVerified);
    assert!(told.asked.contains(&AddressClaim(new_email()).into()));
    assert_eq!(told.scene.state.summary(&usual(), START).unwrap().email.as_deref(), Some("ada@example.org"));
    told.next().when(confirm(&digits(&MAIL))).refused(Refusal::Conflict);
}

#[test]
fn an_address_that_is_held_is_answered_like_a_wrong_code() {
    changing().when_claimed(Claim::HeldByAnother).when(confirm(&digits(&MAIL))).wrong_code(1);
}

#[test]
fn five_wrong_codes_end_the_change_and_lock_nothing() {
    let mut scene = changing();
    for count in 1..=4 {
        scene = scene.when(confirm(&other_than(&digits(&MAIL)))).wrong_code(count).next();
    }
    scene.clone().when(confirm(&digits(&MAIL))).accepted();
    let told = scene.when(confirm(&other_than(&digits(&MAIL)))).wrong_code(5);
    assert_eq!((event_of!(told, CodeRejected).ended, told.scene.state.tallies.others.failures), (true, 0));
    told.next().when(confirm(&digits(&MAIL))).refused(Refusal::VerificationExpired);
}

#[test]
fn only_the_session_that_asked_completes_or_repeats_it() {
    for caller in [Caller::Session(OTHER_SESSION), WITH_TOKEN] {
        changing().by(caller.clone()).when(confirm(&digits(&MAIL))).refused(Refusal::Conflict);
        changing().by(caller).wait(Seconds(30)).when(Command::ResendEmailCode).refused(Refusal::Conflict);
    }
    changing().by(product()).when(confirm(&digits(&MAIL))).refused(Refusal::Forbidden);
    changing().by(CHECKED).when(confirm(&digits(&MAIL))).refused(Refusal::Unauthenticated);
    changing()
        .wait(Seconds(29))
        .when(Command::ResendEmailCode)
        .refused(Refusal::ResendTooSoon { retry_after: Seconds(1) });
    let told = changing().wait(Seconds(30)).when(Command::ResendEmailCode).then_named(&["CodeResent"]);
    assert_eq!(event_of!(told, CodeResent).to, Personal::Known("ada@example.org".to_owned()));
}

#[test]
fn a_change_by_another_session_does_not_hide_the_own_one() {
    let other = VerificationStarted {
        new_email: Some(Personal::Known(EmailAddress::parse("b@example.com").unwrap())),
        ..checking_address(OTHER_CHECK, Purpose::ConfirmNewEmail, Some(Credential::Session(OTHER_SESSION)))
    };
    changing().then_at(START, [other.into()]).when(confirm(&digits(&MAIL))).accepted();
}

#[test]
fn it_takes_the_password_and_a_strong_session() {
    let scene = authorized_to_change(an_account());
    scene.clone().when(change(None)).refused_for("password").needing_nothing();
    scene.when(change(Some(OTHER_PASSWORD))).refused(Refusal::WrongCredentials);
    let weak = an_account_with_totp().into_iter().chain([session(OTHER_SESSION, Aal::Aal1)]);
    let told = given(weak).by(Caller::Session(OTHER_SESSION)).when(change(Some(PASSWORD)));
    told.refused(Refusal::VerificationRequired { purpose: Purpose::SignIn });
    authorized_to_change(an_account_with_totp()).when(change(Some(PASSWORD))).accepted();
    for (caller, refusal) in [
        (Caller::Anonymous, Refusal::Unauthenticated),
        (product(), Refusal::Forbidden),
        (WITH_TOKEN, Refusal::Forbidden),
    ] {
        given(an_account_in_use()).by(caller).when(change(Some(PASSWORD))).refused(refusal);
    }
}

#[test]
fn the_present_address_is_no_new_one() {
    let same = Command::ChangeEmail {
        email: EmailAddress::parse("ADA@example.com").unwrap(),
        password: Some(Secret::new(PASSWORD.to_owned())),
        verification_id: Some(OTHER_CHECK),
    };
    authorized_to_change(an_account()).when(same).refused_for("email").needing_nothing();
}

#[test]
fn its_mails_are_limited_per_address_and_per_account() {
    let told = authorized_to_change(an_account()).when(change(Some(PASSWORD)));
    told.charging(&[
        LimitName::PasswordsPerAddressAndSource,
        LimitName::SendsPerSource,
        LimitName::ConfirmationMailsPerAddress,
    ]);
    let full = authorized_to_change(an_account()).when_full(LimitName::ConfirmationMailsPerAddress);
    full.when(change(Some(PASSWORD))).rate_limited_for(77);
    let again = || authorized(OTHER_CHECK, Purpose::ChangeEmail);
    let mut scene = authorized_to_change(an_account());
    for _ in 0..10 {
        scene = scene.when(change(Some(PASSWORD))).accepted().next().then_at(START, again());
    }
    scene.clone().when(change(Some(PASSWORD))).needing_nothing().rate_limited_for(3_600);
    scene.wait(Seconds(30)).when(Command::ResendEmailCode).rate_limited_for(3_570);
}

#[test]
fn what_was_mailed_to_the_old_address_is_dead() {
    let reset = challenge(OTHER_CHECK, Purpose::ResetPassword, Channel::Email, None);
    let signing = challenge(THIRD_CHECK, Purpose::SignIn, Channel::Email, None);
    let scene = changing().then_at(
        START,
        [
            checking_address(OTHER_CHECK, Purpose::ResetPassword, None).into(),
            ordered(reset, START),
            started(THIRD_CHECK, Purpose::SignIn, None).into(),
            ordered(signing, START),
        ],
    );
    let scene = scene.when(confirm(&digits(&MAIL))).accepted().next().by(Caller::Verification(OTHER_CHECK));
    let forgot = Command::ResetPassword {
        verification_id: OTHER_CHECK,
        ticket: hash_of(9),
        code: Some(entered(&digits(&reset))),
        second_factor: None,
        new: Secret::new(OTHER_PASSWORD.to_owned()),
    };
    scene.clone().when(forgot).refused(Refusal::VerificationExpired);
    let scene = scene.by(Caller::Verification(THIRD_CHECK)).wait(Seconds(30));
    scene.clone().when(submit_sent(signing)).refused(Refusal::CodeExpired);
    let told = scene.when(send(THIRD_CHECK, Channel::Email));
    let issued = event_of!(told, CodeIssued);
    assert_eq!((issued.issue, issued.to), (2, Personal::Known("ada@example.org".to_owned())));
}

#[test]
fn without_a_change_under_way_there_is_nothing_to_confirm() {
    authorized_to_change(an_account()).when(confirm("123456")).refused(Refusal::Conflict);
    nothing_yet().when(confirm("123456")).refused(Refusal::NotFound);
}
