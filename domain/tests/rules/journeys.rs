//! The journeys of the design, as far as the rules go: each a story of one person, told step by step.

use domain::{
    commands::Command,
    evidence::LongCode,
    ids::{MethodId, SessionId, VerificationId},
    outcome::{Outcome, Refusal},
    secret::Secret,
    state::Account,
    time::Seconds,
    values::*,
};

use crate::{event_of, histories::*, kit::*};

/// One account and the person who uses it.
struct Story {
    scene: Scene<Account>,
    session: SessionId,
}

impl Story {
    /// Signed up, confirmed, signed in.
    fn of_someone_new() -> Self {
        let mut story = Self { scene: nothing_yet(), session: SESSION };
        let told = story.asks(
            Caller::Anonymous,
            Command::RegisterAccount {
                account_id: ACCOUNT,
                email: email(),
                password: Some(Secret::new(PASSWORD.to_owned())),
                vouch_for_email: false,
            },
        );
        let window = event_of!(told, CodeIssued).issue;
        let code = letters(&LongCode::OfAddress { address: email(), window });
        story.asks(Caller::Anonymous, Command::VerifyEmail { code: entered(&code) }).accepted();
        let told = story.asks(Caller::Anonymous, sign_in(PASSWORD));
        story.session = event_of!(told, SignedIn).session_id;
        story
    }
    fn asks(&mut self, caller: Caller, command: Command) -> Told<Account> {
        let told = self.scene.clone().by(caller).when(command);
        self.scene = told.scene.clone();
        told
    }
    /// The owner, with the present session.
    fn does(&mut self, command: Command) -> Told<Account> {
        self.asks(Caller::Session(self.session), command)
    }
    fn waits(&mut self, span: Seconds) {
        self.scene = self.scene.clone().wait(span);
    }
    /// Starts a check and completes it with an authenticator's code.
    fn is_checked(&mut self, purpose: Purpose, key: &TotpSecret) -> VerificationId {
        self.waits(Seconds(30));
        let id = event_of!(self.does(start(purpose)), VerificationStarted).verification_id;
        let code = shown(key, &self.scene);
        self.does(submit(id, FactorKind::Totp, &code)).accepted();
        id
    }
    /// The first method: an authenticator app, with its key and the recovery codes.
    fn turns_it_on(&mut self) -> (TotpSecret, Vec<String>) {
        let told = self.does(start(Purpose::AddMethod));
        let code = mailed(&told);
        let told = self.does(Command::StartTotpEnrollment);
        let Outcome::TotpEnrollmentStarted(enrollment) = told.outcome() else { panic!("not started") };
        self.does(submit_sent(code)).accepted();
        let code = shown(&enrollment.secret, &self.scene);
        let told = self.does(enable(enrollment.method_id.0, &code));
        let Outcome::MethodEnabled { recovery_codes: Some(codes), .. } = told.outcome() else { panic!("not enabled") };
        (enrollment.secret, codes.iter().map(|code| code.expose().clone()).collect())
    }
    /// The password was right; the rest is up to the second factor.
    fn begins_to_sign_in(&mut self) -> VerificationId {
        let told = self.asks(Caller::Anonymous, sign_in(PASSWORD)).then_named(&["VerificationStarted"]);
        event_of!(told, VerificationStarted).verification_id
    }
}

fn mailed(told: &Told<Account>) -> Challenge {
    let issued = event_of!(told, CodeIssued);
    Challenge {
        verification_id: issued.verification_id,
        purpose: issued.purpose,
        channel: issued.channel,
        method_id: issued.method_id,
        issue: issued.issue,
    }
}
fn shown(key: &TotpSecret, scene: &Scene<Account>) -> String {
    domain::account::totp_code(key, domain::commands::TotpParameters::DEFAULT, step_at(scene.now))
}

#[test]
fn someone_turns_it_on_with_an_app_and_signs_in_with_it() {
    let mut story = Story::of_someone_new();
    let (key, codes) = story.turns_it_on();
    assert_eq!(codes.len(), 10);
    assert_eq!(story.scene.state.session(story.session).unwrap().aal, Aal::Aal2);
    let id = story.begins_to_sign_in();
    let spent = shown(&key, &story.scene);
    story.asks(Caller::Verification(id), submit(id, FactorKind::Totp, &spent)).wrong_code(1);
    story.waits(Seconds(30));
    let fresh = shown(&key, &story.scene);
    let told = story.asks(Caller::Verification(id), submit(id, FactorKind::Totp, &fresh));
    assert_eq!(event_of!(told, SignedIn).aal, Aal::Aal2);
}

#[test]
fn someone_turns_it_on_with_a_phone_after_a_resend() {
    let mut story = Story::of_someone_new();
    let mail = mailed(&story.does(start(Purpose::AddMethod)));
    story.does(submit_sent(mail)).accepted();
    let text = mailed(&story.does(Command::StartSmsEnrollment { phone_number: number(NUMBER) }));
    let resend = || Command::ResendEnrollmentCode { method_id: MethodId(1) };
    story.does(resend()).refused(Refusal::ResendTooSoon { retry_after: Seconds(30) });
    story.waits(Seconds(30));
    story.does(resend()).then_named(&["CodeResent"]);
    story.does(enable(1, &digits(&text))).accepted();
    assert!(story.scene.state.summary(&usual(), story.scene.now).unwrap().two_factor_enabled);
}

#[test]
fn someone_adds_a_phone_to_an_app_without_any_mail() {
    let mut story = Story::of_someone_new();
    let (key, _) = story.turns_it_on();
    let number_of_mails = story.scene.state.sends.len();
    story.is_checked(Purpose::AddMethod, &key);
    let text = mailed(&story.does(Command::StartSmsEnrollment { phone_number: number(NUMBER) }));
    story.does(enable(2, &digits(&text))).then_named(&["MethodEnabled"]);
    assert_eq!(story.scene.state.sends.len(), number_of_mails + 1);
}

#[test]
fn someone_who_lost_the_phone_signs_in_with_a_recovery_code_and_makes_fresh_ones() {
    let mut story = Story::of_someone_new();
    let (key, codes) = story.turns_it_on();
    let id = story.begins_to_sign_in();
    let with = |code: &str, id| Command::UseRecoveryCode { verification_id: id, code: entered(code) };
    let told = story.asks(Caller::Verification(id), with(&codes[0], id)).accepted();
    story.session = event_of!(told, SignedIn).session_id;
    let id = story.begins_to_sign_in();
    story.asks(Caller::Verification(id), with(&codes[0], id)).wrong_code(1);
    let done = story.is_checked(Purpose::RegenerateRecoveryCodes, &key);
    story.does(Command::RegenerateRecoveryCodes { verification_id: Some(done) }).accepted();
    let id = story.begins_to_sign_in();
    story.asks(Caller::Verification(id), with(&codes[1], id)).wrong_code(1);
}

#[test]
fn someone_removes_the_last_method() {
    let mut story = Story::of_someone_new();
    let (key, _) = story.turns_it_on();
    let done = story.is_checked(Purpose::DisableMethod, &key);
    let told = story.does(Command::DisableMethod { method_id: MethodId(1), verification_id: Some(done) });
    told.then_named(&["MethodDisabled", "TwoFactorDisabled", "RecoveryCodesRevoked"]);
    story.asks(Caller::Anonymous, sign_in(PASSWORD)).then_named(&["SignedIn"]);
}

#[test]
fn a_thief_with_the_password_guesses_until_nothing_is_left_to_guess() {
    let mut story = Story::of_someone_new();
    let (key, codes) = story.turns_it_on();
    let mut judged = 0;
    for _ in 0..60 {
        let id = story.begins_to_sign_in();
        for _ in 0..5 {
            let guess = other_than(&shown(&key, &story.scene));
            let told = story.asks(Caller::Verification(id), submit(id, FactorKind::Totp, &guess));
            judged += told.names().iter().filter(|name| **name == "CodeRejected").count();
        }
        story.waits(Seconds::minutes(15));
    }
    // In fifteen hours six of the hundred come back, at ten a day.
    assert!((100..=106).contains(&judged), "{judged}");
    let id = story.begins_to_sign_in();
    while !story.scene.state.is_capped(Side::Others, &usual(), story.scene.now) {
        let guess = other_than(&shown(&key, &story.scene));
        assert!(
            story
                .asks(Caller::Verification(id), submit(id, FactorKind::Totp, &guess))
                .names()
                .contains(&"CodeRejected")
        );
    }
    let code = shown(&key, &story.scene);
    story.asks(Caller::Verification(id), submit(id, FactorKind::Totp, &code)).refused(Refusal::AccountLocked);
    story.asks(Caller::Verification(id), send(id, Channel::Email)).refused(Refusal::AccountLocked);
    let rescue = Command::UseRecoveryCode { verification_id: id, code: entered(&codes[0]) };
    story.asks(Caller::Verification(id), rescue).accepted();
    story.waits(Seconds(30));
    let (id, code) = (story.begins_to_sign_in(), shown(&key, &story.scene));
    story.asks(Caller::Verification(id), submit(id, FactorKind::Totp, &code)).accepted();
}

#[test]
fn support_helps_someone_who_lost_everything() {
    let mut story = Story::of_someone_new();
    story.turns_it_on();
    let told = story.asks(support(), Command::ResetTwoFactor { reason: text("showed a passport") });
    let Outcome::TwoFactorReset { recovery_code, .. } = told.outcome() else { panic!("not reset") };
    story.does(start(Purpose::AddMethod)).refused(Refusal::Unauthenticated);
    let id = story.begins_to_sign_in();
    let code = recovery_code.expose();
    let told = story.asks(Caller::Verification(id), submit(id, FactorKind::RecoveryCode, code)).accepted();
    story.session = event_of!(told, SignedIn).session_id;
    let told = story.does(Command::StartTotpEnrollment);
    let Outcome::TotpEnrollmentStarted(enrollment) = told.outcome() else { panic!("not started") };
    let shown = shown(&enrollment.secret, &story.scene);
    story.does(enable(enrollment.method_id.0, &shown)).accepted();
    assert_eq!(story.scene.state.reset, None);
}
