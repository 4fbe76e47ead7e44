//! Signing up and confirming the address.

use domain::{
    commands::Command,
    events::*,
    evidence::{Claim, Need},
    ids::VerificationId,
    limits::LimitName,
    outcome::{Outcome, Refusal},
    personal::Personal,
    secret::Secret,
    state::Account,
    time::Seconds,
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
    assert_eq!((issued.channel, issued.issue, issued.automatic), (Channel::Email, 1, false));
    assert_eq!(issued.to, Personal::Known("ada@example.com".to_owned()));
    assert_eq!(issued.expires_at, after(Seconds::minutes(10)));
    assert_eq!(issued.resend_after, after(Seconds(30)));
    told.then_named(&["AccountRegistered", "VerificationStarted", "CodeIssued"])
        .telling(&Outcome::Registered { account_id: ACCOUNT, email_verified: false })
        .charging(&[
            LimitName::RegistrationsPerSource,
            LimitName::SendsPerSource,
            LimitName::ConfirmationMailsPerAddress,
        ]);
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
fn sign_ups_are_limited_per_source_and_mails_per_address() {
    let told = nothing_yet().when_full(LimitName::RegistrationsPerSource).when(sign_up(Some(PASSWORD), false));
    told.rate_limited_for(77);
    let told = nothing_yet().when_full(LimitName::ConfirmationMailsPerAddress).when(sign_up(Some(PASSWORD), false));
    told.rate_limited_for(77);
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
    let told = scene.when(confirm(&digits(&code)));
    let id = event_of!(told, EmailVerified).verification_id;
    assert_eq!(id, Some(code.verification_id));
    let told = told.then_named(&["EmailVerified"]).telling(&Outcome::EmailVerified);
    let told = told.charging(&[LimitName::ConfirmationFailuresPerAddress]);
    assert!(told.charges()[0].refund_on_success);
    let check = &told.scene.state.verifications[&code.verification_id];
    assert_eq!(check.progress, domain::state::Progress::Used { at: START });
    told.next().when(confirm(&digits(&code))).refused(Refusal::Conflict);
}

#[test]
fn the_code_confirms_until_ten_minutes_have_passed() {
    let (scene, code) = signed_up();
    scene.clone().at(just_before(after(Seconds::minutes(10)))).when(confirm(&digits(&code))).accepted();
    scene.at(after(Seconds::minutes(10))).when(confirm(&digits(&code))).refused(Refusal::CodeExpired);
}

#[test]
fn five_wrong_codes_end_the_confirmation() {
    let (mut scene, code) = signed_up();
    for count in 1..=4 {
        scene = scene.when(confirm(&other_than(&digits(&code)))).wrong_code(count).next();
    }
    scene.clone().when(confirm(&digits(&code))).accepted();
    let told = scene.when(confirm(&other_than(&digits(&code)))).wrong_code(5);
    assert!(event_of!(told, CodeRejected).ended);
    let told = told.next().when(confirm(&digits(&code))).refused(Refusal::VerificationExpired).needing_nothing();
    told.next().wait(Seconds(30)).when(Command::ResendEmailCode).refused(Refusal::VerificationExpired);
}

#[test]
fn wrong_confirmation_codes_count_toward_no_lock_and_no_cap() {
    let (scene, code) = signed_up();
    let rejected = event_of!(scene.when(confirm(&other_than(&digits(&code)))), CodeRejected);
    assert_eq!((rejected.kind_failures, rejected.account_failures, rejected.account_locked), (0, 0, false));
}

#[test]
fn wrong_confirmation_codes_are_limited_per_address() {
    let (scene, code) = signed_up();
    let scene = scene.when_full(LimitName::ConfirmationFailuresPerAddress);
    let right = scene.clone().when(confirm(&digits(&code))).rate_limited_for(77);
    let wrong = scene.when(confirm(&other_than(&digits(&code)))).rate_limited_for(77);
    assert_eq!(right.asked, wrong.asked, "the code is not looked at");
}

#[test]
fn the_right_code_for_an_address_that_another_holds_is_answered_like_a_wrong_one() {
    let (scene, code) = signed_up();
    let told = scene.when_claimed(Claim::HeldByAnother).when(confirm(&digits(&code))).wrong_code(1);
    assert_eq!(event_of!(told, CodeRejected).reason, RejectionReason::AddressHeld);
}

#[test]
fn the_address_is_claimed_only_with_the_right_code() {
    let (scene, code) = signed_up();
    let asks = |code: &str| {
        let told = scene.clone().when(confirm(code));
        told.asked.iter().any(|need| matches!(need, Need::AddressClaim(_)))
    };
    assert!(asks(&digits(&code)) && !asks(&other_than(&digits(&code))));
}

#[test]
fn a_claim_is_good_for_half_of_the_time_after_which_it_may_be_taken_over() {
    let (scene, code) = signed_up();
    let scene = scene.at(after(Seconds(449)));
    scene.clone().when_claimed(Claim::Held { at: START }).when(confirm(&digits(&code))).accepted();
    let told = scene.at(after(Seconds(450))).when_claimed(Claim::Held { at: START }).when(confirm(&digits(&code)));
    told.refused(Refusal::Conflict);
}

#[test]
fn a_code_of_another_shape_is_refused_without_being_looked_at() {
    let (scene, _) = signed_up();
    for code in ["", "12345", "1234567", "12345a", "١٢٣٤٥٦"] {
        scene.clone().when(confirm(code)).refused_for("code").needing_nothing();
    }
}

#[test]
fn spaces_and_hyphens_in_a_code_do_not_matter() {
    let (scene, code) = signed_up();
    let code = digits(&code);
    scene.when(confirm(&format!(" {}-{}\u{a0}\n", &code[..3], &code[3..]))).accepted();
}

#[test]
fn the_confirmation_can_be_sent_again_after_thirty_seconds() {
    let (scene, code) = signed_up();
    let early = scene.clone().at(just_before(after(Seconds(30)))).when(Command::ResendEmailCode);
    early.refused(Refusal::ResendTooSoon { retry_after: Seconds(1) }).needing_nothing();
    let told = scene.at(after(Seconds(30))).when(Command::ResendEmailCode);
    let resent = event_of!(told, CodeResent);
    assert_eq!((resent.issue, resent.expires_at), (1, after(Seconds::minutes(10))));
    assert_eq!(resent.resend_after, after(Seconds(60)));
    let told = told.charging(&[LimitName::SendsPerSource, LimitName::ConfirmationMailsPerAddress]);
    told.next().when(confirm(&digits(&code))).accepted();
}

#[test]
fn after_its_expiry_another_code_confirms() {
    let (scene, code) = signed_up();
    let told = scene.at(after(Seconds::minutes(10))).when(Command::ResendEmailCode).then_named(&["CodeIssued"]);
    let second = Challenge { issue: 2, ..code };
    assert_eq!(event_of!(told, CodeIssued).issue, 2);
    let scene = told.next();
    scene.clone().when(confirm(&digits(&code))).wrong_code(1);
    scene.when(confirm(&digits(&second))).accepted();
}

#[test]
fn the_confirmation_is_sent_five_times_at_most() {
    let (mut scene, _) = signed_up();
    for _ in 2..=5 {
        scene = scene.wait(Seconds(30)).when(Command::ResendEmailCode).accepted().next();
    }
    let told = scene.wait(Seconds(30)).when(Command::ResendEmailCode).needing_nothing();
    told.rate_limited_for(24 * 3_600 - 150);
}

#[test]
fn an_unconfirmed_account_ends_after_twenty_four_hours() {
    let (scene, code) = signed_up();
    let code = Challenge { issue: 2, ..code };
    let scene = scene.at(after(Seconds::hours(23))).wait(Seconds::minutes(55)).when(Command::ResendEmailCode).next();
    let end = after(Seconds::hours(24));
    scene.clone().at(just_before(end)).when(confirm(&digits(&code))).accepted();
    assert!(scene.state.exists(just_before(end)) && !scene.state.exists(end));
    assert!(scene.state.summary(&usual(), end).is_none());
    let scene = scene.at(end);
    scene.clone().when(confirm(&digits(&code))).refused(Refusal::NotFound).needing_nothing();
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
