//! Signing up and confirming the address.

use domain::{
    commands::Command,
    events::*,
    evidence::{Claim, LongCode, Need},
    ids::VerificationId,
    limits::LimitName,
    outcome::{Outcome, Refusal},
    personal::Personal,
    secret::Secret,
    state::Account,
    time::{Seconds, Timestamp},
    values::*,
};

use crate::{event_of, histories::*, kit::*};

fn sign_up(password: Option<&str>, vouch_for_email: bool) -> Command {
    Command::RegisterAccount {
        account_id: ACCOUNT,
        email: email(),
        password: password.map(|text| Secret::new(text.to_owned())),
        vouch_for_email,
    }
}

/// Signed up at the start; the confirmation's code is known.
fn signed_up() -> (Scene<Account>, Challenge) {
    let told = nothing_yet().when(sign_up(Some(PASSWORD), false));
    let id = event_of!(told, CodeIssued).verification_id;
    (told.next(), challenge(id, Purpose::ConfirmEmail, Channel::Email, None))
}
/// Windows of ten minutes since 1970 at the start: it is some seconds into one.
const WINDOW: u32 = 1_750_000_020 / 600;
/// The code that was mailed in a window to the address that everybody here signs up with.
fn mailed_in(window: u32) -> String {
    letters(&LongCode::OfAddress { address: email(), window })
}
fn mailed() -> String {
    mailed_in(WINDOW)
}
const NOT_IT: &str = "0000-0000-0000";

fn confirm(code: &str) -> Command {
    Command::VerifyEmail { code: entered(code) }
}

#[test]
fn signing_up_registers_the_account_and_mails_a_code() {
    let told = nothing_yet().when(sign_up(Some(PASSWORD), false));
    let registered = event_of!(told, AccountRegistered);
    assert_eq!(registered.email, Personal::Known(email()));
    assert_eq!(registered.password, Some(Personal::Known(password_hash(PASSWORD))));
    assert_eq!(registered.expires_at, after(Seconds::hours(24)));
    let issued = event_of!(told, CodeIssued);
    assert_eq!((issued.channel, issued.issue, issued.automatic), (Channel::Email, WINDOW, false));
    assert_eq!(issued.form, CodeForm::Letters);
    assert_eq!(issued.to, Personal::Known("ada@example.com".to_owned()));
    assert_eq!(issued.expires_at, Timestamp::from_seconds(i64::from(WINDOW + 3) * 600));
    assert_eq!(issued.resend_after, after(Seconds::minutes(10)));
    told.then_named(&["AccountRegistered", "VerificationStarted", "CodeIssued"])
        .telling(&Outcome::Registered { account_id: ACCOUNT, email_verified: false })
        .charging(&[LimitName::RegistrationsPerSource, LimitName::SendsPerSource, LimitName::StrangerMailsPerAddress]);
}

#[test]
fn signing_up_does_not_claim_the_address_or_ask_whether_it_is_taken() {
    let told = nothing_yet().when_claimed(Claim::HeldByAnother).when(sign_up(Some(PASSWORD), false)).accepted();
    assert!(!told.asked.iter().any(|need| matches!(need, Need::AddressClaim(_))));
}

#[test]
fn signing_up_twice_conflicts() {
    given([registered()]).when(sign_up(Some(PASSWORD), false)).refused(Refusal::Conflict).needing_nothing();
    given([AccountErased { verification_id: None }.into()])
        .when(sign_up(Some(PASSWORD), false))
        .refused(Refusal::Conflict);
}

#[test]
fn a_person_needs_a_password_an_api_client_does_not() {
    nothing_yet().when(sign_up(None, false)).refused_for("password").needing_nothing();
    nothing_yet().by(product()).when(sign_up(None, false)).accepted();
}

#[test]
fn a_password_of_the_wrong_length_is_refused_before_anything_is_asked() {
    for weak in ["1234567", &"x".repeat(129)] {
        nothing_yet().when(sign_up(Some(weak), false)).refused_for("password").needing_nothing();
    }
}

#[test]
fn the_source_is_limited_before_its_password_is_estimated_and_that_is_before_anything_else() {
    for weak in ["password", "ada@example.com"] {
        let told = nothing_yet().when(sign_up(Some(weak), false)).refused_for("password");
        assert!(matches!(told.asked[..], [Need::Allowance(_), Need::GuessedSoon(_)]), "{:?}", told.asked);
        told.charging(&[LimitName::RegistrationsPerSource]);
        let told = nothing_yet().when_full(LimitName::RegistrationsPerSource).when(sign_up(Some(weak), false));
        assert!(matches!(told.asked[..], [Need::Allowance(_)]), "{:?}", told.asked);
        told.rate_limited_for(77);
    }
}

#[test]
fn only_strangers_and_api_clients_that_write_accounts_sign_up() {
    for caller in [SIGNED_IN, WITH_TOKEN, CHECKED, support(), Caller::Worker, Caller::Operator] {
        nothing_yet().by(caller).when(sign_up(Some(PASSWORD), false)).refused(Refusal::Forbidden).needing_nothing();
    }
}

#[test]
fn sign_ups_are_limited_per_source_and_mails_per_address_and_nobody_is_told_of_those() {
    let told = nothing_yet().when_full(LimitName::RegistrationsPerSource).when(sign_up(Some(PASSWORD), false));
    told.rate_limited_for(77);
    let told = nothing_yet().when_full(LimitName::SendsPerSource).when(sign_up(Some(PASSWORD), false));
    told.rate_limited_for(77);
    let told = nothing_yet().when_full(LimitName::StrangerMailsPerAddress).when(sign_up(Some(PASSWORD), false));
    let told = told.then_named(&["AccountRegistered", "VerificationStarted"]);
    let told = told.telling(&Outcome::Registered { account_id: ACCOUNT, email_verified: false });
    // The code of the mail that went there before is good here too.
    told.next().when(confirm(&mailed())).then_named(&["EmailVerified"]);
    // Products register many accounts from one place.
    nothing_yet().by(product()).when_full(LimitName::RegistrationsPerSource).when(sign_up(None, false)).accepted();
}

#[test]
fn an_api_client_may_vouch_for_the_address() {
    let told = nothing_yet().by(product()).when(sign_up(None, true));
    assert_eq!(event_of!(told, AccountRegistered).registered_by, Some(KEY));
    assert_eq!(event_of!(told, EmailVerified), EmailVerified { verification_id: None, vouched_by: Some(KEY) });
    let told = told
        .then_named(&["AccountRegistered", "EmailVerified"])
        .telling(&Outcome::Registered { account_id: ACCOUNT, email_verified: true })
        .charging(&[]);
    assert!(told.scene.state.summary(&usual(), START).unwrap().email_verified);
}

#[test]
fn nobody_else_vouches() {
    nothing_yet().when(sign_up(Some(PASSWORD), true)).refused(Refusal::Forbidden);
}

#[test]
fn vouching_for_an_address_that_is_held_conflicts() {
    let told = nothing_yet().by(product()).when_claimed(Claim::HeldByAnother).when(sign_up(None, true));
    told.refused(Refusal::Conflict);
}

#[test]
fn the_code_confirms_the_address() {
    let (scene, code) = signed_up();
    let told = scene.when(confirm(&mailed()));
    let id = event_of!(told, EmailVerified).verification_id;
    assert_eq!(id, Some(code.verification_id));
    let told = told.then_named(&["EmailVerified"]).telling(&Outcome::EmailVerified);
    let told = told.charging(&[]);
    let check = &told.scene.state.verifications[&code.verification_id];
    assert_eq!(check.progress, domain::state::Progress::Used { at: START });
    told.next().when(confirm(&mailed())).refused(Refusal::Conflict);
}

#[test]
fn a_code_confirms_in_its_window_and_the_two_that_follow() {
    let (scene, _) = signed_up();
    let end = Timestamp::from_seconds(i64::from(WINDOW + 3) * 600);
    scene.clone().at(just_before(end)).when(confirm(&mailed())).accepted();
    let told = scene.clone().at(end).when(confirm(&mailed())).refused(Refusal::CodeExpired);
    let later = told.next().at(end.plus(Seconds::minutes(20)));
    later.clone().when(confirm(&mailed())).refused(Refusal::CodeExpired);
    later.when(confirm(&mailed_in(WINDOW - 1))).wrong_code(1);
    // A mail of before the sign-up is as good: somebody else asked for it, and nobody but its reader knows the code.
    for (age, is_good) in [(1, true), (2, true), (3, false)] {
        let told = scene.clone().when(confirm(&mailed_in(WINDOW - age)));
        assert_eq!(told.decision.outcome.is_ok(), is_good, "{age}");
    }
    scene.when(confirm(&mailed_in(WINDOW + 1))).wrong_code(1);
}

#[test]
fn what_was_mailed_by_the_clock_is_judged_by_the_clock() {
    let (scene, _) = signed_up();
    let later = after(Seconds::hours(2));
    let told = scene.at(later).while_the_clock_shows(START).when(confirm(&mailed()));
    told.then_named(&["EmailVerified"]);
}

#[test]
fn a_sign_up_that_began_with_six_digits_is_finished_with_them() {
    let code = challenge(CHECK, Purpose::ConfirmEmail, Channel::Email, None);
    let history = [registered(), checking_address(CHECK, Purpose::ConfirmEmail, None).into(), ordered(code, START)];
    let scene = given(history);
    scene.clone().when(confirm(&mailed())).refused_for("code");
    scene.clone().when(confirm(&other_than(&digits(&code)))).wrong_code(1);
    scene.clone().at(after(Seconds::minutes(10))).when(confirm(&digits(&code))).refused(Refusal::CodeExpired);
    let told = scene.when(confirm(&digits(&code))).then_named(&["EmailVerified"]);
    told.charging(&[LimitName::ConfirmationFailuresPerAddress]);
}

#[test]
fn five_wrong_codes_end_the_confirmation() {
    let (mut scene, _) = signed_up();
    for count in 1..=4 {
        scene = scene.when(confirm(NOT_IT)).wrong_code(count).next();
    }
    scene.clone().when(confirm(&mailed())).accepted();
    let told = scene.when(confirm(NOT_IT)).wrong_code(5);
    assert!(event_of!(told, CodeRejected).ended);
    let told = told.next().when(confirm(&mailed())).refused(Refusal::VerificationExpired).needing_nothing();
    told.next().wait(Seconds(30)).when(Command::ResendEmailCode).refused(Refusal::VerificationExpired);
}

#[test]
fn wrong_confirmation_codes_count_toward_no_lock_and_no_cap() {
    let (scene, _) = signed_up();
    let rejected = event_of!(scene.when(confirm(NOT_IT)), CodeRejected);
    assert_eq!((rejected.kind_failures, rejected.account_failures, rejected.account_locked), (0, 0, false));
}

#[test]
fn wrong_confirmation_codes_are_limited_per_source_and_not_per_address() {
    let (scene, _) = signed_up();
    let scene = scene.when_full(LimitName::LongCodesPerSource);
    let wrong = scene.clone().when(confirm(NOT_IT)).rate_limited_for(77);
    assert_eq!(wrong.charges()[0].subject, "192.0.2.7");
    let held = scene.clone().when_claimed(Claim::HeldByAnother).when(confirm(&mailed()));
    held.rate_limited_for(77);
    // What others of the source used up is in nobody's way who reads the mailbox.
    scene.when(confirm(&mailed())).then_named(&["EmailVerified"]);
}

#[test]
fn the_right_code_for_an_address_that_another_holds_is_answered_like_a_wrong_one() {
    let (scene, _) = signed_up();
    let told = scene.when_claimed(Claim::HeldByAnother).when(confirm(&mailed())).wrong_code(1);
    assert_eq!(event_of!(told, CodeRejected).reason, RejectionReason::AddressHeld);
}

#[test]
fn the_address_is_claimed_only_with_the_right_code() {
    let (scene, _) = signed_up();
    let asks = |code: &str| {
        let told = scene.clone().when(confirm(code));
        told.asked.iter().any(|need| matches!(need, Need::AddressClaim(_)))
    };
    assert!(asks(&mailed()) && !asks(NOT_IT));
}

#[test]
fn a_claim_is_good_for_half_of_the_time_after_which_it_may_be_taken_over() {
    let (scene, _) = signed_up();
    let scene = scene.at(after(Seconds(449)));
    scene.clone().when_claimed(Claim::Held { at: START }).when(confirm(&mailed())).accepted();
    let told = scene.at(after(Seconds(450))).when_claimed(Claim::Held { at: START }).when(confirm(&mailed()));
    told.refused(Refusal::Conflict);
}

#[test]
fn a_code_of_another_shape_is_refused_without_being_looked_at() {
    let (scene, _) = signed_up();
    for code in ["", "123456", "0000-0000-000", "0000-0000-00000", "UUUU-0000-0000", "١٢٣٤٥٦"] {
        scene.clone().when(confirm(code)).refused_for("code").needing_nothing();
    }
}

#[test]
fn case_spaces_hyphens_and_lookalikes_in_a_code_do_not_matter() {
    let (scene, _) = signed_up();
    let code = mailed().to_lowercase().replace('-', "\u{a0}").replace('0', "o").replace('1', "I");
    scene.when(confirm(&format!(" {code}\n"))).accepted();
}

#[test]
fn the_confirmation_is_sent_again_once_in_ten_minutes_and_nobody_is_told_when_not() {
    let (scene, code) = signed_up();
    let full = scene.clone().when_full(LimitName::StrangerMailsPerAddress).when(Command::ResendEmailCode);
    full.then([]).telling(&Outcome::Done);
    let told = scene.at(after(Seconds::minutes(10))).when(Command::ResendEmailCode);
    let again = event_of!(told, CodeIssued);
    assert_eq!((again.verification_id, again.issue), (code.verification_id, WINDOW + 1));
    assert_eq!(again.resend_after, after(Seconds::minutes(20)));
    let told = told.charging(&[LimitName::SendsPerSource, LimitName::StrangerMailsPerAddress]);
    let scene = told.next();
    scene.clone().when(confirm(&mailed())).accepted();
    scene.when(confirm(&mailed_in(WINDOW + 1))).accepted();
}

#[test]
fn the_confirmation_is_sent_five_times_at_most() {
    let (mut scene, _) = signed_up();
    for _ in 2..=5 {
        scene = scene.wait(Seconds::minutes(10)).when(Command::ResendEmailCode).accepted().next();
    }
    let told = scene.wait(Seconds::minutes(10)).when(Command::ResendEmailCode).needing_nothing();
    told.rate_limited_for(24 * 3_600 - 3_000);
}

#[test]
fn an_unconfirmed_account_ends_after_twenty_four_hours() {
    let (scene, _) = signed_up();
    let late = mailed_in(WINDOW + 143);
    let scene = scene.at(after(Seconds::hours(23))).wait(Seconds::minutes(55)).when(Command::ResendEmailCode).next();
    let end = after(Seconds::hours(24));
    scene.clone().at(just_before(end)).when(confirm(&late)).accepted();
    assert!(scene.state.exists(just_before(end)) && !scene.state.exists(end));
    assert!(scene.state.summary(&usual(), end).is_none());
    let scene = scene.at(end);
    scene.clone().when(confirm(&late)).refused(Refusal::NotFound).needing_nothing();
    scene.clone().when(Command::ResendEmailCode).refused(Refusal::NotFound);
    scene.by(product()).when(start(Purpose::AddMethod)).refused(Refusal::NotFound);
}

#[test]
fn an_unconfirmed_account_can_do_nothing_else() {
    let (scene, _) = signed_up();
    scene.clone().when(sign_in(PASSWORD)).refused(Refusal::WrongCredentials);
    let scene = scene.by(product());
    scene.clone().when(start(Purpose::AddMethod)).refused(Refusal::EmailNotVerified);
    scene.clone().when(Command::StartTotpEnrollment).refused(Refusal::EmailNotVerified);
    let texting = Command::StartSmsEnrollment { phone_number: number(NUMBER) };
    scene.clone().when(texting).refused(Refusal::EmailNotVerified);
    let id = VerificationId(uuid::Uuid::nil());
    scene
        .by(Caller::Anonymous)
        .when(Command::RequestPasswordReset { verification_id: id })
        .refused(Refusal::EmailNotVerified);
}

#[test]
fn confirming_twice_tells_a_stranger_nothing_of_a_change_of_address() {
    let changing = VerificationStarted {
        new_email: Some(Personal::Known(new_email())),
        ..checking_address(CHECK, Purpose::ConfirmNewEmail, Some(OWNER))
    };
    for history in [an_account(), an_account().into_iter().chain([changing.into()]).collect()] {
        given(history.clone()).when(confirm("123456")).refused(Refusal::Conflict);
        given(history).when(Command::ResendEmailCode).refused(Refusal::Conflict);
    }
}

#[test]
fn the_token_of_a_confirmation_is_told_to_nobody_so_no_other_call_drives_it() {
    let (scene, code) = signed_up();
    for caller in [Caller::Anonymous, SIGNED_IN, product(), CHECKED] {
        let told = scene.clone().by(caller).when(submit_sent(code));
        assert!(told.decision.outcome.is_err() && told.decision.events.is_empty());
    }
}
