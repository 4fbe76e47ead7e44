//! What is proved, and what that is good for (design, section 2a): whoever has less than that gets nowhere, and the
//! owner's own way works.

use domain::{
    commands::{Act, Check, Command},
    events::*,
    ids::{MethodId, SessionId, VerificationId},
    limits::LimitName,
    outcome::{Outcome, Refusal},
    personal::Personal,
    policy::{EmailForChanges, Policy},
    secret::{Secret, TokenHash},
    state::{Account, Progress},
    time::{Seconds, Timestamp},
    values::*,
};
use uuid::Uuid;

use crate::{event_of, histories::*, kit::*};

const CHANGES: [Purpose; 6] = [
    Purpose::AddMethod,
    Purpose::DisableMethod,
    Purpose::RegenerateRecoveryCodes,
    Purpose::ChangeEmail,
    Purpose::IssueAccessToken,
    Purpose::EraseAccount,
];
const DAY: Seconds = Seconds::hours(24);

fn always(policy: &mut Policy) {
    policy.email_for_changes = EmailForChanges::Always;
}
fn never(policy: &mut Policy) {
    policy.email_for_changes = EmailForChanges::Never;
}
/// A check of the owner's session, its mail on its way.
fn mailed(history: Vec<Event>, purpose: Purpose) -> (Scene<Account>, Challenge) {
    let mail = challenge(CHECK, purpose, Channel::Email, None);
    let check = [checking(CHECK, purpose), ordered(mail, START)];
    (given(history.into_iter().chain(check)).by(SIGNED_IN), mail)
}
fn on_file(aal: Aal) -> Vec<Event> {
    let weaker =
        SessionRenewed { session_id: SESSION, token_hash: hash_of(1), aal, amr: vec![Amr::Pwd], verification_id: None };
    match aal {
        Aal::Aal2 => an_account_with_both(),
        Aal::Aal1 => {
            let mut history = an_account_with_both();
            history.push(SignedOut { session_id: SESSION }.into());
            history.extend([session(SESSION, Aal::Aal1), weaker.into()]);
            history
        }
    }
}
fn within(id: VerificationId, act: Act, code: &str) -> Command {
    let check = Check { verification_id: Some(id), kind: None, method_id: None, code: entered(code) };
    Command::CheckAndAct { check, act }
}
fn by_app(act: Act, code: &str) -> Command {
    let check = Check { verification_id: None, kind: Some(FactorKind::Totp), method_id: None, code: entered(code) };
    Command::CheckAndAct { check, act }
}
fn mail_check(purpose: Purpose) -> Command {
    Command::StartCheck { purpose, kind: FactorKind::Email, method_id: None }
}

#[test]
fn on_an_account_with_methods_a_mail_authorizes_no_change() {
    for purpose in CHANGES {
        for aal in [Aal::Aal1, Aal::Aal2] {
            let (scene, mail) = mailed(on_file(aal), purpose);
            // A session that proved its own factor in the last 24 hours adds a method by mail, and does nothing else.
            if (purpose, aal) == (Purpose::AddMethod, Aal::Aal2) {
                scene.clone().at(just_before(after(DAY)));
                scene.when(submit_sent(mail)).accepted();
                continue;
            }
            scene.clone().when(submit_sent(mail)).refused_for("method").needing_nothing();
            scene.clone().wait(Seconds(30)).when(send(CHECK, Channel::Email)).refused_for("channel");
            scene.with_policy(always).when(submit_sent(mail)).accepted();
        }
    }
}

#[test]
fn a_mail_adds_a_method_for_a_day_after_the_sessions_own_factor() {
    let scene = given(an_account_with_totp()).by(SIGNED_IN);
    let offered = |scene: Scene<Account>| {
        let told = scene.when(start(Purpose::AddMethod)).accepted();
        let Outcome::VerificationStarted(started) = told.outcome() else { panic!("not started") };
        started.verification.methods.iter().any(|method| method.kind == FactorKind::Email)
    };
    assert!(offered(scene.clone().at(just_before(after(DAY)))));
    assert!(!offered(scene.clone().at(after(DAY))));
    assert!(!offered(scene.clone().with_policy(never)));
    // Neither what an access token proves by itself, nor an API client's word.
    let scene = scene.then_at(START, [access_token(TOKEN)]);
    assert!(!offered(scene.clone().by(WITH_TOKEN)) && !offered(scene.clone().by(product())));
    // A factor that is shown once more begins the day anew.
    let again = after(Seconds::hours(30));
    let told = scene.at(again).when(by_app(Act::SignIn, &code_at(1, again))).accepted();
    assert!(offered(told.next()));
}

#[test]
fn without_methods_a_change_takes_the_mail_and_a_password_that_was_just_typed() {
    for purpose in [Purpose::AddMethod, Purpose::ChangeEmail, Purpose::IssueAccessToken, Purpose::EraseAccount] {
        let late = after(Seconds::minutes(10));
        let scene = given(an_account()).by(SIGNED_IN);
        scene.clone().at(just_before(late)).when(start(purpose)).accepted();
        let scene = scene.at(late);
        scene.clone().when(start(purpose)).refused_for("password").needing_nothing();
        let told = scene.clone().when(with_password(purpose, OTHER_PASSWORD));
        told.refused(Refusal::WrongCredentials)
            .charging(&[LimitName::PasswordsPerAddressAndSource, LimitName::PasswordsPerAddress]);
        scene
            .clone()
            .when_full(LimitName::PasswordsPerAddressAndSource)
            .when(with_password(purpose, PASSWORD))
            .rate_limited_for(77);
        scene.when(with_password(purpose, PASSWORD)).accepted();
    }
    given(an_account()).by(SIGNED_IN).when(with_password(Purpose::StepUp, PASSWORD)).refused(Refusal::Forbidden);
    given(an_account_with_totp()).by(product()).when(with_password(Purpose::SignIn, PASSWORD)).refused_for("password");
}

#[test]
fn the_age_counts_from_the_password_and_never_from_the_token() {
    // A sign-in whose second step took nine minutes: the password is as old as its beginning.
    let later = after(Seconds::minutes(9));
    let second = SignedIn {
        session_id: OTHER_SESSION,
        token_hash: hash_of(1),
        aal: Aal::Aal1,
        amr: vec![Amr::Pwd, Amr::Email],
        expires_at: later.plus(Seconds::days(30)),
        idle_timeout: DAY,
        verification_id: Some(CHECK),
        api_key_id: None,
        access_token_id: None,
        is_limited: false,
        is_new_place: false,
    };
    let scene = given(an_account().into_iter().chain([signing_in(CHECK)])).then_at(later, [second.clone().into()]);
    let scene = scene.by(Caller::Session(OTHER_SESSION));
    scene.clone().at(just_before(after(Seconds::minutes(10)))).when(start(Purpose::EraseAccount)).accepted();
    scene.at(after(Seconds::minutes(10))).when(start(Purpose::EraseAccount)).refused_for("password");
    // A session that an access token began has no password, however young it is.
    let of_token = SignedIn { amr: vec![], verification_id: None, access_token_id: Some(TOKEN), ..second };
    let scene = given(an_account().into_iter().chain([access_token(TOKEN), of_token.into()]));
    let scene = scene.by(Caller::Session(OTHER_SESSION));
    for purpose in [Purpose::AddMethod, Purpose::EraseAccount] {
        scene.clone().when(start(purpose)).refused_for("password");
    }
}

#[test]
fn for_the_first_method_alone_a_token_or_a_client_needs_the_mail_alone() {
    for caller in [WITH_TOKEN, product()] {
        let scene = given(an_account_in_use()).by(caller);
        scene.clone().when(start(Purpose::AddMethod)).then_named(&["VerificationStarted", "CodeIssued"]);
        scene.clone().when(mail_check(Purpose::AddMethod)).accepted();
        for purpose in [Purpose::ChangeEmail, Purpose::IssueAccessToken, Purpose::EraseAccount] {
            scene.clone().when(start(purpose)).refused_for("password");
        }
    }
}

#[test]
fn an_authorization_by_mail_from_before_the_first_method_dies_with_it() {
    let erase = Command::EraseAccount { verification_id: Some(CHECK) };
    let by_mail = VerificationSucceeded {
        verification_id: CHECK,
        purpose: Purpose::EraseAccount,
        kind: FactorKind::Email,
        method_id: None,
        totp_step: None,
        usable_until: after(Seconds::minutes(10)),
        needs_second_factor: false,
        side: Side::Others,
        good_from: None,
    };
    let scene = given(an_account().into_iter().chain([checking(CHECK, Purpose::EraseAccount), by_mail.into()]));
    let scene = scene.by(SIGNED_IN);
    scene.clone().when(erase.clone()).accepted();
    let methods = totp(1).into_iter().chain([TwoFactorEnabled {}.into()]);
    let refusal = Refusal::VerificationRequired { purpose: Purpose::EraseAccount };
    scene.then_at(START, methods).when(erase).refused(refusal);
}

#[test]
fn a_weak_session_raises_itself_under_a_new_token_and_a_mail_raises_nothing() {
    let scene = given(on_file(Aal::Aal1)).by(SIGNED_IN);
    let told = scene.when(start(Purpose::SignIn)).accepted();
    let started = event_of!(told, VerificationStarted);
    assert!(!started.yields_session, "it begins no other session");
    let id = started.verification_id;
    let scene = told.next();
    let told = scene.clone().when(submit(id, FactorKind::Totp, &code_at(1, START)));
    let told = told.then_named(&["VerificationSucceeded", "SessionRenewed"]);
    let Outcome::Verified(verified) = told.outcome() else { panic!("not verified") };
    let raised = verified.session.unwrap();
    assert_eq!((raised.session_id, raised.aal, raised.expires_at), (SESSION, Aal::Aal2, after(Seconds::days(30))));
    assert_eq!(raised.amr, [Amr::Pwd, Amr::Otp, Amr::Mfa]);
    let state = &told.scene.state;
    let who =
        |hash: &TokenHash| state.authenticate(domain::account::Presented::Session(SESSION), hash, None, None, START);
    assert_eq!(who(&hash_of(1)), None, "the old token is dead");
    assert_eq!(who(&TokenHash::of(&raised.secret)), Some(SIGNED_IN));
    assert!(matches!(state.verifications[&id].progress, Progress::Used { .. }));
    told.next().when(start(Purpose::SignIn)).refused_for("purpose");

    let mail = challenge(id, Purpose::SignIn, Channel::Email, None);
    let told = scene.then_at(START, [ordered(mail, START)]).when(submit_sent(mail));
    let Outcome::Verified(verified) = told.then_named(&["VerificationSucceeded"]).outcome() else { panic!("no") };
    assert_eq!(verified.session, None);
}

#[test]
fn a_step_up_by_mail_is_the_clients_and_raises_nothing() {
    let step_up = Event::from(started(CHECK, Purpose::StepUp, Some(Credential::ApiClient(KEY))));
    let mail = challenge(CHECK, Purpose::StepUp, Channel::Email, None);
    let scene = given(on_file(Aal::Aal1).into_iter().chain([step_up, ordered(mail, START)])).by(product());
    let told = scene.when(submit_sent(mail)).then_named(&["VerificationSucceeded"]);
    assert_eq!(told.scene.state.session(SESSION).unwrap().aal, Aal::Aal1);
}

#[test]
fn a_further_method_raises_no_session() {
    let mut history = on_file(Aal::Aal1);
    history.extend(authorized(CHECK, Purpose::AddMethod));
    history.push(totp_enrolling(3, OWNER));
    let told = given(history).by(SIGNED_IN).when(enable(3, &code_at(3, START))).accepted();
    assert!(!told.names().contains(&"SessionRenewed"));
    let session = told.scene.state.session(SESSION).unwrap();
    assert_eq!((session.aal, session.token_hash), (Aal::Aal1, hash_of(1)));
}

#[test]
fn where_no_answer_carries_a_token_the_first_method_leaves_the_session_as_it_is() {
    let history =
        an_account().into_iter().chain(authorized(CHECK, Purpose::AddMethod)).chain([totp_enrolling(1, OWNER)]);
    let enable = Command::EnableMethod {
        method_id: MethodId(1),
        code: entered(&code_at(1, START)),
        label: None,
        raises_session: false,
    };
    let told = given(history).by(SIGNED_IN).when(enable).accepted();
    let session = told.scene.state.session(SESSION).unwrap();
    assert_eq!((session.aal, session.token_hash), (Aal::Aal1, hash_of(1)));
}

/// A session that was begun with an access token, and another.
fn begun_with_a_token() -> Scene<Account> {
    let begun = SignedIn {
        session_id: SESSION,
        token_hash: hash_of(1),
        aal: Aal::Aal2,
        amr: vec![Amr::Otp, Amr::Mfa],
        expires_at: after(Seconds::days(30)),
        idle_timeout: DAY,
        verification_id: None,
        api_key_id: None,
        access_token_id: Some(TOKEN),
        is_limited: false,
        is_new_place: false,
    };
    let tokens = [SignedOut { session_id: SESSION }.into(), access_token(TOKEN), access_token(OTHER_TOKEN)];
    let sessions = [begun.into(), session(OTHER_SESSION, Aal::Aal2)];
    given(an_account_with_both().into_iter().chain(tokens).chain(sessions)).by(SIGNED_IN)
}

#[test]
fn when_factors_change_the_acting_session_and_its_own_access_token_stay() {
    let told = begun_with_a_token().when(by_app(Act::DisableMethod { method_id: None }, &code_at(1, START)));
    assert_eq!(event_of!(told, SessionRevoked).session_ids, [OTHER_SESSION]);
    assert_eq!(event_of!(told, AccessTokenRevoked).access_token_ids, [OTHER_TOKEN]);
}

#[test]
fn a_session_ends_with_the_access_token_that_began_it() {
    let revoke = Command::RevokeAccessToken { access_token_id: TOKEN };
    let told = begun_with_a_token().by(Caller::Session(OTHER_SESSION)).when(revoke);
    let ended = event_of!(told, SessionRevoked);
    assert_eq!((ended.session_ids, ended.reason), (vec![SESSION], RevocationReason::AccessTokenEnded));
    // By time too, though no event says so.
    let who = |scene: &Scene<Account>, at: Timestamp| {
        scene.state.authenticate(domain::account::Presented::Session(SESSION), &hash_of(1), Some(at), None, at)
    };
    let scene = begun_with_a_token();
    let short = AccessTokenIssued {
        access_token_id: TOKEN,
        token_hash: hash_of(2),
        name: Personal::Known(text("laptop")),
        expires_at: after(Seconds::hours(2)),
        verification_id: None,
    };
    let scene = scene.then_at(START, [short.into()]);
    assert!(who(&scene, just_before(after(Seconds::hours(2)))).is_some());
    assert_eq!(who(&scene, after(Seconds::hours(2))), None);
    // A session that begins with it says so, and lives no longer.
    let told = scene.by(WITH_TOKEN).when(by_app(Act::SignIn, &code_at(1, START)));
    let begun = event_of!(told, SignedIn);
    assert_eq!((begun.access_token_id, begun.expires_at), (Some(TOKEN), after(Seconds::hours(2))));
}

#[test]
fn a_new_password_ends_the_session_that_an_access_token_began() {
    let new = Command::SetPassword {
        current: Some(Secret::new(PASSWORD.to_owned())),
        new: Secret::new(OTHER_PASSWORD.to_owned()),
    };
    let told = begun_with_a_token().when(new).telling(&Outcome::PasswordSet { session: None });
    assert!(told.scene.state.sessions.is_empty() && told.scene.state.access_tokens.is_empty());
}

#[test]
fn an_access_token_takes_a_verification_of_its_own_once() {
    let issue = || Command::IssueAccessToken { name: text("laptop"), verification_id: Some(CHECK) };
    let refusal = || Refusal::VerificationRequired { purpose: Purpose::IssueAccessToken };
    let scene = given(an_account_with_totp()).by(SIGNED_IN);
    scene.clone().when(issue()).refused(refusal());
    scene.clone().then_at(START, authorized(CHECK, Purpose::AddMethod)).when(issue()).refused(refusal());
    let told = scene.then_at(START, authorized(CHECK, Purpose::IssueAccessToken)).when(issue()).accepted();
    assert_eq!(event_of!(told, AccessTokenIssued).verification_id, Some(CHECK));
    told.next().when(issue()).refused(refusal());
}

#[test]
fn a_change_of_address_takes_a_verification_of_its_own_once() {
    let change = || Command::ChangeEmail {
        email: new_email(),
        password: Some(Secret::new(PASSWORD.to_owned())),
        verification_id: Some(CHECK),
    };
    let refusal = || Refusal::VerificationRequired { purpose: Purpose::ChangeEmail };
    let scene = given(an_account_with_totp()).by(SIGNED_IN);
    scene.clone().when(change()).refused(refusal());
    let told = scene.then_at(START, authorized(CHECK, Purpose::ChangeEmail)).when(change()).accepted();
    told.next().wait(Seconds(60)).when(change()).refused(refusal());
}

#[test]
fn a_code_by_mail_without_a_purpose_signs_in_and_its_mail_says_so() {
    let scene = given(an_account_with_both()).then_at(START, [access_token(TOKEN)]).by(WITH_TOKEN);
    let told = scene.clone().when(mail_check(Purpose::Open)).then_named(&["VerificationStarted", "CodeIssued"]);
    let issued = event_of!(told, CodeIssued);
    assert_eq!(issued.purpose, Purpose::SignIn);
    let (id, mail) = (issued.verification_id, challenge(issued.verification_id, Purpose::SignIn, Channel::Email, None));
    let waiting = told.next();
    let removal = Act::DisableMethod { method_id: Some(MethodId(1)) };
    for act in [removal, Act::RegenerateRecoveryCodes, Act::AuthorizeMethod] {
        let told = waiting.clone().when(within(id, act, &digits(&mail)));
        told.refused_for("method").needing_nothing();
    }
    // The secret stays good for what it is.
    let told = waiting.when(within(id, Act::SignIn, &digits(&mail))).accepted();
    assert_eq!(event_of!(told, SignedIn).aal, Aal::Aal1);
    // Where email may do everything, the mail says so; and a check by a text always does.
    let told = scene.clone().with_policy(always).when(mail_check(Purpose::Open)).accepted();
    assert_eq!(event_of!(told, CodeIssued).purpose, Purpose::Open);
    let text = Command::StartCheck { purpose: Purpose::Open, kind: FactorKind::Sms, method_id: None };
    assert_eq!(event_of!(scene.when(text).accepted(), CodeIssued).purpose, Purpose::Open);
}

#[test]
fn an_authorization_is_good_from_the_network_that_completed_it() {
    let scene = given(an_account_with_totp()).then_at(START, [access_token(TOKEN)]).by(WITH_TOKEN);
    let told = scene.when(by_app(Act::AuthorizeMethod, &code_at(1, START))).accepted();
    let succeeded = event_of!(told, VerificationSucceeded);
    assert_eq!(succeeded.good_from, Some(Personal::Known("192.0.2.7".to_owned())));
    assert_eq!(succeeded.usable_until, after(Seconds::minutes(10)));
    let scene = told.next();
    let texting = || Command::StartSmsEnrollment { phone_number: number(NUMBER) };
    let mut elsewhere = scene.clone();
    elsewhere.origin.ip = Some([192, 0, 2, 8].into());
    let token = Credential::AccessToken(TOKEN);
    for (scene, here) in [(&scene, true), (&elsewhere, false)] {
        assert_eq!(scene.state.may_add_method(token, &scene.origin, &scene.policy, START), here);
    }
    elsewhere.when(texting()).refused(Refusal::VerificationRequired { purpose: Purpose::AddMethod });
    scene.when(texting()).accepted();
    let lax = given(an_account_with_totp()).by(SIGNED_IN).with_policy(always);
    let told = lax.when(by_app(Act::AuthorizeMethod, &code_at(1, START))).accepted();
    assert_eq!(event_of!(told, VerificationSucceeded).usable_until, after(Seconds::minutes(30)));
}

#[test]
fn after_a_reset_by_text_a_text_changes_nothing_for_a_day() {
    let reset = PasswordSet {
        password: Personal::Known(password_hash(OTHER_PASSWORD)),
        verification_id: Some(THIRD_CHECK),
        changes_wait_until: Some(after(DAY)),
    };
    let session_id = SessionId(Uuid::from_u128(0x55));
    let text = challenge(CHECK, Purpose::DisableMethod, Channel::Sms, Some(1));
    let history = an_account_with_sms().into_iter().chain([reset.into(), session(session_id, Aal::Aal2)]);
    let check = started(CHECK, Purpose::DisableMethod, Some(Credential::Session(session_id)));
    let scene = given(history).then_at(START, [check.clone().into(), ordered(text, START)]);
    let scene = scene.by(Caller::Session(session_id));
    scene.clone().when(submit_sent(text)).rate_limited_for(86_400).needing_nothing();
    // A recovery code comes with it, or a day passes.
    let code = recovery_codes(SALT, 10).0.remove(0);
    scene.clone().when(Command::UseRecoveryCode { verification_id: CHECK, code: entered(&code) }).accepted();
    let check = VerificationStarted { expires_at: after(Seconds::hours(25)), ..check };
    let scene = scene.then_at(after(DAY), [check.into(), ordered(text, after(DAY))]);
    scene.when(submit_sent(text)).accepted();
}

#[test]
fn what_does_not_open_is_not_absent() {
    let unreadable = |history: Vec<Event>| given(history).by(SIGNED_IN);
    let closed = AccountRegistered {
        account_id: ACCOUNT,
        email: Personal::Known(email()),
        password: Some(Personal::Erased),
        registered_by: None,
        expires_at: after(DAY),
        number: None,
    };
    let history = || -> Vec<Event> {
        [closed.clone().into(), confirmed(), session(SESSION, Aal::Aal1)]
            .into_iter()
            .chain(authorized(CHECK, Purpose::ChangeEmail))
            .collect()
    };
    let password = Some(Secret::new(PASSWORD.to_owned()));
    let change = Command::ChangeEmail { email: new_email(), password: password.clone(), verification_id: Some(CHECK) };
    unreadable(history()).when(change).refused(Refusal::Unreadable).needing_nothing();
    let set = Command::SetPassword { current: password, new: Secret::new(OTHER_PASSWORD.to_owned()) };
    unreadable(history()).when(set).refused(Refusal::Unreadable).needing_nothing();
    unreadable(history()).when(with_password(Purpose::EraseAccount, PASSWORD)).refused(Refusal::Unreadable);
    unreadable(history()).by(Caller::Anonymous).when(sign_in(PASSWORD)).refused(Refusal::Unreadable);
}
