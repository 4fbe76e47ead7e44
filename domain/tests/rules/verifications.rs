//! Starting a verification, what it offers, who drives it, how long it lives.

use domain::{
    commands::Command,
    events::*,
    limits::LimitName,
    outcome::{OfferedMethod, Outcome, Refusal, VerificationStatus},
    state::{Account, Verification},
    time::Seconds,
    values::*,
};

use crate::{event_of, histories::*, kit::*};

const PURPOSES: [Purpose; 6] = [
    Purpose::SignIn,
    Purpose::AddMethod,
    Purpose::DisableMethod,
    Purpose::RegenerateRecoveryCodes,
    Purpose::EraseAccount,
    Purpose::StepUp,
];

fn step_up(action: Option<&str>) -> Command {
    Command::StartVerification { purpose: Purpose::StepUp, action: action.map(text), target: None, password: None }
}

fn offers(told: &Told<Account>) -> Vec<OfferedMethod> {
    match told.outcome() {
        Outcome::VerificationStarted(started) => started.verification.methods,
        other => panic!("{other:?}"),
    }
}

fn kinds(told: &Told<Account>) -> Vec<FactorKind> {
    offers(told).iter().map(|offer| offer.kind).collect()
}

#[test]
fn the_first_identity_check_mails_its_code_by_itself() {
    let told = given(an_account()).by(SIGNED_IN).when(start(Purpose::AddMethod));
    let issued = event_of!(told, CodeIssued);
    assert_eq!((issued.channel, issued.automatic, issued.purpose), (Channel::Email, true, Purpose::AddMethod));
    let Outcome::VerificationStarted(outcome) = told.outcome() else { panic!("not started") };
    assert_eq!(outcome.sent.map(|sent| sent.sent_to), Some("a•••@example.com".to_owned()));
    assert_eq!(kinds(&told), [FactorKind::Email]);
    let code = challenge(issued.verification_id, Purpose::AddMethod, Channel::Email, None);
    let told = told.then_named(&["VerificationStarted", "CodeIssued"]).charging(&[LimitName::SendsPerSource]);
    told.next().when(submit_sent(code)).then_named(&["VerificationSucceeded"]);
}

#[test]
fn no_other_verification_mails_by_itself() {
    let mut histories = vec![an_account_with_totp(), an_account_with_sms(), an_account_with_both()];
    for history in histories.drain(..) {
        for purpose in PURPOSES {
            let caller = if purpose == Purpose::StepUp { product() } else { SIGNED_IN };
            let action = (purpose == Purpose::StepUp).then(|| text("pay"));
            let command = Command::StartVerification { purpose, action, target: None, password: None };
            if purpose == Purpose::SignIn {
                continue;
            }
            given(history.clone()).by(caller).when(command).then_named(&["VerificationStarted"]).charging(&[]);
        }
    }
    let bare = given(an_account());
    bare.clone().by(SIGNED_IN).when(start(Purpose::EraseAccount)).then_named(&["VerificationStarted"]);
    bare.clone().by(product()).when(start(Purpose::SignIn)).then_named(&["VerificationStarted"]);
    bare.by(product()).when(step_up(Some("pay"))).then_named(&["VerificationStarted"]);
}

#[test]
fn the_automatic_mail_obeys_lock_and_limits() {
    let scene = given(an_account()).by(SIGNED_IN);
    let until = after(Seconds::minutes(15));
    let locking = [wrong(FactorKind::Email, 3, 3), locked(FactorKind::Email, until)];
    let locked_email = scene.clone().then_at(START, locking.map(on_a_known_device));
    let told = locked_email.when(start(Purpose::AddMethod));
    told.refused(Refusal::MethodLocked { locked_until: until, retry_after: Seconds(900) }).needing_nothing();
    let capped = scene.clone().then_at(START, [on_a_known_device(wrong(FactorKind::Email, 1, 100))]);
    capped.when(start(Purpose::AddMethod)).refused(Refusal::AccountLocked);
    scene.clone().when_full(LimitName::SendsPerSource).when(start(Purpose::AddMethod)).rate_limited_for(77);
    let mut scene = scene;
    for _ in 0..10 {
        scene = scene.when(start(Purpose::AddMethod)).accepted().next();
    }
    scene.when(start(Purpose::AddMethod)).rate_limited_for(3_600);
}

#[test]
fn later_checks_offer_the_methods_first_then_email_and_recovery_codes() {
    let told = given(an_account_with_both()).by(SIGNED_IN).when(start(Purpose::AddMethod));
    let offered = offers(&told);
    assert_eq!(kinds(&told), [FactorKind::Totp, FactorKind::Sms, FactorKind::Email, FactorKind::RecoveryCode]);
    assert_eq!(offered.iter().map(|offer| offer.default).collect::<Vec<_>>(), [true, false, false, false]);
    assert_eq!(offered[0].hint.as_deref(), Some("mine"));
    assert_eq!(offered[1].hint.as_deref(), Some("•••• 4567"));
    assert_eq!(offered[2].hint.as_deref(), Some("a•••@example.com"));
}

#[test]
fn the_primary_method_is_offered_first_and_locks_are_shown() {
    let until = after(Seconds::minutes(15));
    let mut history = an_account_with_both();
    history.push(PrimaryMethodChanged { method_id: domain::ids::MethodId(2) }.into());
    history.extend([wrong(FactorKind::Sms, 3, 3), locked(FactorKind::Sms, until)].map(on_a_known_device));
    let told = given(history).by(SIGNED_IN).when(start(Purpose::DisableMethod));
    let offered = offers(&told);
    assert_eq!((offered[0].kind, offered[0].default), (FactorKind::Sms, true));
    assert_eq!(offered[0].locked_until, Some(until));
    assert_eq!(offered[1].locked_until, None);
}

#[test]
fn without_recovery_codes_left_none_are_offered() {
    let mut history = an_account_with_totp();
    history.push(RecoveryCodesRevoked { set: 1, reason: RevocationReason::Requested }.into());
    let told = given(history).by(SIGNED_IN).when(start(Purpose::DisableMethod));
    assert_eq!(kinds(&told), [FactorKind::Totp]);
}

#[test]
fn the_policy_says_for_which_purposes_email_may_be_picked() {
    let no_email = |scene: Scene<Account>| {
        scene.with_policy(|policy| {
            policy.email_for_sign_in = false;
            policy.email_for_changes = domain::policy::EmailForChanges::Never;
            policy.email_for_step_up = false;
        })
    };
    for (purpose, allow) in [
        (Purpose::SignIn, (|policy| policy.email_for_sign_in = true) as fn(&mut domain::policy::Policy)),
        (Purpose::AddMethod, |policy| policy.email_for_changes = domain::policy::EmailForChanges::Always),
        (Purpose::DisableMethod, |policy| policy.email_for_changes = domain::policy::EmailForChanges::Always),
        (Purpose::RegenerateRecoveryCodes, |policy| policy.email_for_changes = domain::policy::EmailForChanges::Always),
        (Purpose::EraseAccount, |policy| policy.email_for_changes = domain::policy::EmailForChanges::Always),
        (Purpose::StepUp, |policy| policy.email_for_step_up = true),
    ] {
        let event = Event::from(started(CHECK, purpose, Some(Credential::ApiClient(KEY))));
        let mail = challenge(CHECK, purpose, Channel::Email, None);
        let history = an_account_with_totp().into_iter().chain([event, ordered(mail, START)]);
        let scene = no_email(given(history).by(product()));
        scene.clone().when(send(CHECK, Channel::Email)).refused_for("channel").needing_nothing();
        scene.clone().when(submit_sent(mail)).refused_for("method").needing_nothing();
        let scene = scene.with_policy(allow);
        scene.clone().at(after(Seconds(30))).when(send(CHECK, Channel::Email)).accepted();
        scene.when(submit_sent(mail)).accepted();
    }
    // An account without a method has nothing else.
    let history = an_account().into_iter().chain([checking(CHECK, Purpose::AddMethod)]);
    no_email(given(history).by(SIGNED_IN)).when(send(CHECK, Channel::Email)).accepted();
}

#[test]
fn purposes_that_do_not_fit_are_refused() {
    let bare = given(an_account()).by(SIGNED_IN);
    bare.clone().when(start(Purpose::SignIn)).refused_for("purpose");
    bare.clone().when(start(Purpose::DisableMethod)).refused(Refusal::Conflict);
    bare.clone().when(start(Purpose::RegenerateRecoveryCodes)).refused(Refusal::Conflict);
    bare.clone().when(step_up(Some("pay"))).refused(Refusal::Forbidden);
    bare.clone().by(product()).when(step_up(None)).refused_for("action");
    for purpose in [Purpose::ConfirmEmail, Purpose::ConfirmNewEmail, Purpose::Enroll, Purpose::ResetPassword] {
        bare.clone().when(start(purpose)).refused_for("purpose");
    }
    let action = Command::StartVerification {
        purpose: Purpose::AddMethod,
        action: Some(text("x")),
        target: None,
        password: None,
    };
    bare.clone().when(action).refused_for("action");
    let target = |purpose, id| Command::StartVerification {
        purpose,
        action: None,
        target: Some(domain::ids::MethodId(id)),
        password: None,
    };
    bare.when(target(Purpose::AddMethod, 1)).refused_for("method_id");
    let scene = given(an_account_with_totp()).by(SIGNED_IN);
    scene.clone().when(target(Purpose::DisableMethod, 2)).refused(Refusal::NotFound);
    let told = scene.when(target(Purpose::DisableMethod, 1)).accepted();
    assert_eq!(event_of!(told, VerificationStarted).target, Some(domain::ids::MethodId(1)));
}

#[test]
fn only_a_live_credential_starts_one() {
    let scene = given(an_account_in_use());
    for caller in [Caller::Anonymous, CHECKED, Caller::Session(domain::ids::SessionId(uuid::Uuid::nil()))] {
        scene.clone().by(caller).when(start(Purpose::AddMethod)).refused(Refusal::Unauthenticated);
    }
    for caller in [support(), Caller::Worker, Caller::Operator] {
        scene.clone().by(caller).when(start(Purpose::AddMethod)).refused(Refusal::Forbidden);
    }
    for (caller, credential) in
        [(SIGNED_IN, OWNER), (WITH_TOKEN, Credential::AccessToken(TOKEN)), (product(), Credential::ApiClient(KEY))]
    {
        let told = scene.clone().by(caller).when(start(Purpose::AddMethod)).accepted();
        assert_eq!(event_of!(told, VerificationStarted).started_by, Some(credential));
    }
    let end = after(Seconds::days(30));
    scene.clone().by(SIGNED_IN).at(just_before(end)).when(with_password(Purpose::AddMethod, PASSWORD)).accepted();
    scene
        .clone()
        .by(SIGNED_IN)
        .at(end)
        .when(with_password(Purpose::AddMethod, PASSWORD))
        .refused(Refusal::Unauthenticated);
    let end = after(Seconds::days(365));
    scene.clone().by(WITH_TOKEN).at(just_before(end)).when(start(Purpose::AddMethod)).accepted();
    scene.by(WITH_TOKEN).at(end).when(start(Purpose::AddMethod)).refused(Refusal::Unauthenticated);
}

#[test]
fn an_api_client_gets_a_session_only_with_its_scope_and_sees_it_named() {
    let scene = given(an_account_with_totp());
    let mut sessions = Vec::new();
    for caller in [product(), client(&[Scope::AccountsWrite, Scope::SessionsIssue])] {
        let told = scene.clone().by(caller).when(start(Purpose::SignIn)).accepted();
        let id = event_of!(told, VerificationStarted).verification_id;
        let told = told.next().when(submit(id, FactorKind::Totp, &code_at(1, START))).accepted();
        sessions.push(told.names().contains(&"SignedIn"));
        if told.names().contains(&"SignedIn") {
            let signed_in = event_of!(told, SignedIn);
            assert_eq!((signed_in.api_key_id, signed_in.amr), (Some(KEY), vec![Amr::Otp, Amr::Mfa]));
        }
    }
    assert_eq!(sessions, [false, true]);
}

#[test]
fn its_token_or_the_credential_that_started_it_drives_it_and_nobody_else() {
    let mut history = an_account_with_totp();
    history.extend([session(OTHER_SESSION, Aal::Aal2), access_token(TOKEN), checking(CHECK, Purpose::DisableMethod)]);
    history.push(checking(OTHER_CHECK, Purpose::DisableMethod));
    let scene = given(history);
    let attempt = || submit(CHECK, FactorKind::Totp, &code_at(1, START));
    for caller in [SIGNED_IN, CHECKED] {
        scene.clone().by(caller.clone()).when(attempt()).accepted();
        let lax = |policy: &mut domain::policy::Policy| {
            policy.email_for_changes = domain::policy::EmailForChanges::Always;
        };
        scene.clone().by(caller).with_policy(lax).when(send(CHECK, Channel::Email)).accepted();
    }
    for caller in
        [Caller::Anonymous, Caller::Session(OTHER_SESSION), WITH_TOKEN, Caller::Verification(OTHER_CHECK), product()]
    {
        let scene = scene.clone().by(caller.clone());
        scene.clone().when(attempt()).refused(Refusal::NotFound).needing_nothing();
        scene.clone().when(send(CHECK, Channel::Email)).refused(Refusal::NotFound);
        scene.clone().when(resend(CHECK)).refused(Refusal::NotFound);
        let view = scene.state.verification_view(CHECK, &caller, &scene.origin, &scene.policy, START);
        assert_eq!(view, Err(Refusal::NotFound));
    }
    let unknown = submit(THIRD_CHECK, FactorKind::Totp, "123456");
    scene.clone().by(SIGNED_IN).when(unknown).refused(Refusal::NotFound);
    let of_another = Event::from(started(THIRD_CHECK, Purpose::StepUp, Some(Credential::ApiClient(OTHER_KEY))));
    let scene = scene.then_at(START, [of_another]).by(product());
    scene.when(submit(THIRD_CHECK, FactorKind::Totp, &code_at(1, START))).refused(Refusal::NotFound);
}

#[test]
fn it_waits_for_fifteen_minutes() {
    let end = after(Seconds::minutes(15));
    let history = an_account_with_totp().into_iter().chain([checking(CHECK, Purpose::DisableMethod)]);
    let scene = given(history).by(SIGNED_IN);
    let attempt = |at| submit(CHECK, FactorKind::Totp, &code_at(1, at));
    scene.clone().at(just_before(end)).when(attempt(just_before(end))).accepted();
    let scene = scene.at(end);
    scene.clone().when(attempt(end)).refused(Refusal::VerificationExpired).needing_nothing();
    scene.clone().when(send(CHECK, Channel::Email)).refused(Refusal::VerificationExpired);
    scene.when(resend(CHECK)).refused(Refusal::VerificationExpired);
    let started =
        event_of!(given(an_account_with_totp()).by(SIGNED_IN).when(start(Purpose::AddMethod)), VerificationStarted);
    assert_eq!(started.expires_at, end);
}

#[test]
fn once_completed_it_takes_no_more_codes() {
    let history = an_account_with_totp().into_iter().chain(authorized(CHECK, Purpose::DisableMethod));
    let scene = given(history).by(SIGNED_IN);
    scene.clone().when(submit(CHECK, FactorKind::Totp, "000000")).refused(Refusal::Conflict).needing_nothing();
    scene.clone().when(send(CHECK, Channel::Email)).refused(Refusal::Conflict);
    scene.when(resend(CHECK)).refused(Refusal::Conflict);
}

#[test]
fn its_use_lasts_ten_minutes_and_thirty_to_add_a_method() {
    for (purpose, lives) in [
        (Purpose::AddMethod, Seconds::minutes(30)),
        (Purpose::DisableMethod, Seconds::minutes(10)),
        (Purpose::RegenerateRecoveryCodes, Seconds::minutes(10)),
        (Purpose::EraseAccount, Seconds::minutes(10)),
    ] {
        let history = an_account_with_totp().into_iter().chain([checking(CHECK, purpose)]);
        let told = given(history).by(SIGNED_IN).when(submit(CHECK, FactorKind::Totp, &code_at(1, START)));
        let succeeded = event_of!(told, VerificationSucceeded);
        assert_eq!(succeeded.usable_until, after(lives));
        assert_eq!((succeeded.kind, succeeded.totp_step), (FactorKind::Totp, Some(step_at(START))));
        let view = |at| {
            told.scene
                .state
                .verification_view(CHECK, &SIGNED_IN, &told.scene.origin, &told.scene.policy, at)
                .unwrap()
                .status
        };
        assert_eq!(view(just_before(after(lives))), VerificationStatus::Verified);
        assert_eq!(view(after(lives)), VerificationStatus::Expired);
    }
}

#[test]
fn a_method_that_is_not_named_is_told_from_the_code_when_that_can_be_told() {
    let unnamed =
        |code: &str| Command::SubmitCode { verification_id: CHECK, kind: None, method_id: None, code: entered(code) };
    let text = challenge(CHECK, Purpose::SignIn, Channel::Sms, Some(2));
    let recovery = recovery_codes(SALT, 10).0.remove(0);
    let history = an_account_with_both().into_iter().chain([signing_in(CHECK)]);
    let scene = given(history).by(CHECKED);
    let follows = ["RecoveryCodeUsed", "VerificationSucceeded", "SignedIn", "DeviceRemembered"];
    scene.clone().when(unnamed(&recovery)).then_named(&follows);
    let told = scene.clone().when(unnamed(&code_at(1, START))).accepted();
    assert_eq!(event_of!(told, VerificationSucceeded).kind, FactorKind::Totp);
    // Once a text was sent too, six digits may be either.
    let both = scene.then_at(START, [ordered(text, START)]);
    both.clone().when(unnamed(&digits(&text))).refused_for("method").needing_nothing();
    let named = Command::SubmitCode {
        verification_id: CHECK,
        kind: None,
        method_id: Some(domain::ids::MethodId(2)),
        code: entered(&digits(&text)),
    };
    both.when(named).accepted();
    // With a phone alone, what was sent tells.
    let text = challenge(CHECK, Purpose::SignIn, Channel::Sms, Some(1));
    let phone = given(an_account_with_sms().into_iter().chain([signing_in(CHECK)])).by(CHECKED);
    phone.clone().when(unnamed("123456")).refused_for("method");
    phone.clone().then_at(START, [ordered(text, START)]).when(unnamed(&digits(&text))).accepted();
    let mail = challenge(CHECK, Purpose::SignIn, Channel::Email, None);
    phone.then_at(START, [ordered(mail, START)]).when(unnamed(&digits(&mail))).accepted();
}

#[test]
fn fifty_verifications_wait_at_a_time() {
    let ids = (0..50).map(|n| domain::ids::VerificationId(uuid::Uuid::from_u128(n)));
    let waiting = |count| {
        let checks = ids.clone().take(count).map(|id| checking(id, Purpose::DisableMethod));
        let authorized = authorized(OTHER_CHECK, Purpose::ChangeEmail);
        given(an_account_with_totp().into_iter().chain(checks).chain(authorized)).by(SIGNED_IN)
    };
    waiting(49).when(start(Purpose::DisableMethod)).accepted();
    waiting(50).when(start(Purpose::DisableMethod)).rate_limited_for(900);
    waiting(50).at(after(Seconds::minutes(15))).when(start(Purpose::DisableMethod)).accepted();
    let change = || Command::ChangeEmail {
        email: new_email(),
        password: Some(domain::secret::Secret::new(PASSWORD.to_owned())),
        verification_id: Some(OTHER_CHECK),
    };
    let may_change = |count| waiting(count).then_at(START, authorized(OTHER_CHECK, Purpose::ChangeEmail));
    may_change(49).when(change()).accepted();
    may_change(50).when(change()).needing_nothing().rate_limited_for(900);
}

#[test]
fn a_completed_sign_in_stays_completed() {
    let for_a_product = Event::from(started(CHECK, Purpose::SignIn, Some(Credential::ApiClient(KEY))));
    let done = completed(CHECK, Purpose::SignIn, START);
    for history in [vec![for_a_product, done.clone()], vec![signing_in(CHECK), done]] {
        let scene = given(an_account_with_totp().into_iter().chain(history));
        let view =
            |at| scene.state.verification_view(CHECK, &CHECKED, &scene.origin, &scene.policy, at).unwrap().status;
        assert_eq!(view(START), VerificationStatus::Verified);
        assert_eq!(view(after(Seconds::hours(1))), VerificationStatus::Verified);
    }
}

#[test]
fn a_verification_that_lives_is_small_to_show() {
    let history = an_account_with_totp().into_iter().chain([checking(CHECK, Purpose::DisableMethod)]);
    let scene = given(history);
    let view = |at| scene.state.verification_view(CHECK, &SIGNED_IN, &scene.origin, &scene.policy, at).unwrap();
    let end = after(Seconds::minutes(15));
    assert_eq!((view(just_before(end)).status, view(just_before(end)).expires_at), (VerificationStatus::Pending, end));
    assert_eq!((view(end).status, view(end).methods), (VerificationStatus::Expired, vec![]));
    let verification: &Verification = scene.state.verifications.get(&CHECK).unwrap();
    assert_eq!((verification.failures, verification.sends), (0, 0));
}
