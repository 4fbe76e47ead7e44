//! Signing in with a password, and what a session then is.

use domain::{
    commands::Command,
    events::*,
    evidence::Need,
    limits::LimitName,
    outcome::{Outcome, Refusal},
    personal::Personal,
    state::{Account, Progress},
    time::Seconds,
    values::*,
};

use crate::{event_of, histories::*, kit::*};

#[test]
fn without_a_second_factor_the_password_begins_a_session() {
    let told = given([registered(), confirmed()]).when(sign_in(PASSWORD)).then_named(&["SignedIn"]);
    let signed_in = event_of!(told, SignedIn);
    assert_eq!((signed_in.aal, signed_in.amr), (Aal::Aal1, vec![Amr::Pwd]));
    assert_eq!(signed_in.expires_at, after(Seconds::days(30)));
    assert_eq!(signed_in.idle_timeout, Seconds::hours(24));
    let Outcome::SignedIn(session) = told.outcome() else { panic!("not signed in") };
    assert_eq!(domain::secret::TokenHash::of(&session.secret), signed_in.token_hash);
    assert_eq!(session.session_id, signed_in.session_id);
}

#[test]
fn with_a_second_factor_the_password_begins_a_verification_and_mails_nothing() {
    let told = given(an_account_with_totp()).when(sign_in(PASSWORD)).then_named(&["VerificationStarted"]);
    let started = event_of!(told, VerificationStarted);
    assert_eq!((started.purpose, started.started_by), (Purpose::SignIn, None));
    assert_eq!((started.first_factor, started.yields_session), (vec![Amr::Pwd], true));
    assert_eq!(started.expires_at, after(Seconds::minutes(15)));
    let Outcome::VerificationStarted(started) = told.outcome() else { panic!("not started") };
    let kinds: Vec<FactorKind> = started.verification.methods.iter().map(|method| method.kind).collect();
    assert_eq!(kinds, [FactorKind::Totp, FactorKind::Email, FactorKind::RecoveryCode]);
    assert!(started.sent.is_none());
}

#[test]
fn a_wrong_password_and_a_missing_one_are_refused_alike() {
    let told = given([registered(), confirmed()]).when(sign_in(OTHER_PASSWORD));
    told.rejected(Refusal::WrongCredentials, [PasswordRejected { count: 1 }.into()]);
    let without = AccountRegistered { password: None, ..registered_event() };
    let told = given([without.into(), confirmed()]).when(sign_in(PASSWORD));
    assert_eq!(told.asked.len(), 1, "as much work as for a wrong one");
    told.rejected(Refusal::WrongCredentials, [PasswordRejected { count: 1 }.into()]);
    nothing_yet().when(sign_in(PASSWORD)).refused(Refusal::WrongCredentials);
}

fn registered_event() -> AccountRegistered {
    match registered() {
        Event::AccountRegistered(event) => event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_erased_account_takes_as_much_work_and_is_refused_alike() {
    let erased = [registered(), confirmed(), AccountErased { verification_id: None }.into()];
    let told = given(erased).when(sign_in(PASSWORD));
    assert!(matches!(told.asked[..], [Need::PasswordMatches(_)]));
    told.refused(Refusal::WrongCredentials);
}

#[test]
fn wrong_passwords_are_history_once_a_minute_with_their_count() {
    let wrong = |rejections| Command::SignIn {
        password: Some(domain::secret::Secret::new(OTHER_PASSWORD.to_owned())),
        rejections,
    };
    let told = given([registered(), confirmed()]).when(wrong(1)).then_rejected_password(1);
    let told = told.at(just_before(after(Seconds(60)))).when(wrong(8)).refused(Refusal::WrongCredentials);
    told.next().at(after(Seconds(60))).when(wrong(9)).then_rejected_password(9);
}

trait ThenRejected {
    fn then_rejected_password(self, count: u32) -> Scene<domain::state::Account>;
}
impl ThenRejected for Told<domain::state::Account> {
    fn then_rejected_password(self, count: u32) -> Scene<domain::state::Account> {
        self.rejected(Refusal::WrongCredentials, [PasswordRejected { count }.into()]).next()
    }
}

#[test]
fn wrong_passwords_lock_no_method_and_count_toward_no_cap() {
    let mut scene = given(an_account_with_both());
    for _ in 0..200 {
        scene = scene.wait(Seconds(60)).when(sign_in(OTHER_PASSWORD)).next();
    }
    assert_eq!((scene.state.tallies.others.failures, scene.state.tallies.others.reached_cap), (0, false));
    assert_eq!(scene.state.tallies.others.locks, domain::state::Locks::default());
    scene.when(sign_in(PASSWORD)).accepted();
}

#[test]
fn someone_without_password_or_token_is_refused() {
    let nothing = || Command::SignIn { password: None, rejections: 0 };
    for caller in [Caller::Anonymous, SIGNED_IN, CHECKED, product(), Caller::Operator] {
        given(an_account()).by(caller).when(nothing()).refused(Refusal::WrongCredentials).needing_nothing();
    }
}

fn pending(scene: &Scene<Account>) -> usize {
    let is_pending = |progress: &Progress| matches!(progress, Progress::Pending { .. });
    scene.state.verifications.values().filter(|verification| is_pending(&verification.progress)).count()
}

#[test]
fn fifty_sign_ins_wait_at_a_time_and_the_oldest_of_the_source_that_has_most_gives_way() {
    let mut scene = given(an_account_with_totp());
    // The owner's is the oldest of all.
    scene.origin.ip = Some([203, 0, 113, 9].into());
    scene = scene.when(sign_in(PASSWORD)).accepted().next();
    let owners = *scene.state.verifications.keys().next().unwrap();
    scene.origin.ip = Some([192, 0, 2, 7].into());
    let mut oldest_of_most = None;
    for _ in 0..49 {
        let told = scene.wait(Seconds(1)).when(sign_in(PASSWORD)).accepted();
        let started = event_of!(told, VerificationStarted);
        assert_eq!(started.replaces, None);
        oldest_of_most = oldest_of_most.or(Some(started.verification_id));
        scene = told.next();
    }
    assert_eq!(pending(&scene), 50);
    for ip in [[192, 0, 2, 7], [203, 0, 113, 9], [198, 51, 100, 1]] {
        scene.origin.ip = Some(ip.into());
        let told = scene.wait(Seconds(1)).when(sign_in(PASSWORD)).accepted();
        let gave_way = event_of!(told, VerificationStarted).replaces.unwrap();
        assert_eq!(told.scene.state.verifications[&gave_way].source, Some(Personal::Known("192.0.2.7".to_owned())));
        scene = told.next();
        assert_eq!(pending(&scene), 50);
        assert_eq!(Some(gave_way), oldest_of_most.take().or(Some(gave_way)), "the oldest goes first");
        assert!(matches!(scene.state.verifications[&gave_way].progress, Progress::Failed { .. }));
    }
    assert!(matches!(scene.state.verifications[&owners].progress, Progress::Pending { .. }));
}

#[test]
fn a_change_takes_the_place_of_a_sign_in_and_of_nothing_else() {
    let mut scene = given(an_account_with_totp());
    for _ in 0..50 {
        scene = scene.when(sign_in(PASSWORD)).accepted().next();
    }
    let mut scene = scene.by(SIGNED_IN);
    for _ in 0..50 {
        scene = scene.when(start(Purpose::DisableMethod)).accepted().next();
    }
    assert_eq!(pending(&scene), 50);
    let told = scene.at(after(Seconds(100))).when(start(Purpose::DisableMethod)).rate_limited_for(800);
    told.next().by(Caller::Anonymous).when(sign_in(PASSWORD)).rate_limited_for(800);
}

#[test]
fn a_hundred_sessions_live_and_the_oldest_gives_way() {
    let mut scene = given([registered(), confirmed()]);
    for _ in 0..100 {
        scene = scene.wait(Seconds(1)).when(sign_in(PASSWORD)).then_named(&["SignedIn"]).next();
    }
    let oldest = *scene.state.sessions.keys().next().unwrap();
    let told = scene.when(sign_in(PASSWORD)).then_named(&["SessionRevoked", "SignedIn"]);
    let revoked = event_of!(told, SessionRevoked);
    assert_eq!((revoked.session_ids, revoked.reason), (vec![oldest], RevocationReason::Replaced));
    assert_eq!(told.scene.state.sessions.len(), 100);
    // Those that have ended take no room.
    let ids = (0..100).map(|n| domain::ids::SessionId(uuid::Uuid::from_u128(n)));
    let full = given([registered(), confirmed()]).then_at(START, ids.map(|id| session(id, Aal::Aal1)));
    let end = after(Seconds::days(30));
    full.clone().at(just_before(end)).when(sign_in(PASSWORD)).then_named(&["SessionRevoked", "SignedIn"]);
    full.at(end).when(sign_in(PASSWORD)).then_named(&["SignedIn"]);
}

#[test]
fn an_access_token_stands_for_the_password() {
    let with_token = || Command::SignIn { password: None, rejections: 0 };
    let mut history = an_account_with_totp();
    history.push(access_token(TOKEN));
    let told = given(history).by(WITH_TOKEN).when(with_token()).then_named(&["VerificationStarted"]);
    let started = event_of!(told, VerificationStarted);
    assert_eq!((started.started_by, started.yields_session), (Some(Credential::AccessToken(TOKEN)), true));
    assert!(started.first_factor.is_empty());
    let told = given(an_account_in_use()).by(WITH_TOKEN).when(with_token()).then_named(&["SignedIn"]);
    assert_eq!(event_of!(told, SignedIn).aal, Aal::Aal1);
    let gone = given(an_account()).by(WITH_TOKEN).when(with_token());
    gone.refused(Refusal::Unauthenticated).needing_nothing();
}

#[test]
fn the_sign_in_of_an_access_token_ends_with_the_token() {
    let mut history = an_account_with_totp();
    history.push(access_token(TOKEN));
    let told = given(history).by(WITH_TOKEN).when(Command::SignIn { password: None, rejections: 0 });
    let id = event_of!(told, VerificationStarted).verification_id;
    let revoked = AccessTokenRevoked { access_token_ids: vec![TOKEN], reason: RevocationReason::Requested };
    let scene = told.next().by(Caller::Verification(id));
    scene.clone().when(submit(id, FactorKind::Totp, &code_at(1, START))).accepted();
    let scene = scene.then_at(START, [revoked.into()]);
    let view = scene.state.verification_view(id, &scene.caller, &scene.origin, &scene.policy, START).unwrap();
    assert_eq!(view.status, domain::outcome::VerificationStatus::Expired);
    scene.when(submit(id, FactorKind::Totp, &code_at(1, START))).refused(Refusal::VerificationExpired);
}

#[test]
fn an_api_client_signs_in_only_when_it_may_receive_sessions() {
    let scene = given([registered(), confirmed()]);
    scene.clone().by(product()).when(sign_in(PASSWORD)).refused(Refusal::Forbidden).needing_nothing();
    let told = scene.by(client(&[Scope::SessionsIssue])).when(sign_in(PASSWORD)).then_named(&["SignedIn"]);
    assert_eq!(event_of!(told, SignedIn).api_key_id, Some(KEY));
    let told = given(an_account_with_totp()).by(client(&[Scope::SessionsIssue])).when(sign_in(PASSWORD));
    assert_eq!(event_of!(told, VerificationStarted).started_by, Some(Credential::ApiClient(KEY)));
}

#[test]
fn a_second_factor_makes_a_session_strong_unless_it_is_email() {
    let email = challenge(CHECK, Purpose::SignIn, Channel::Email, None);
    let text = challenge(CHECK, Purpose::SignIn, Channel::Sms, Some(2));
    let mut history = an_account_with_both();
    history.extend([signing_in(CHECK), ordered(email, START), ordered(text, START)]);
    let scene = given(history).by(CHECKED);
    let recovery = recovery_codes(SALT, 10).0.remove(3);
    for (attempt, aal, amr) in [
        (submit(CHECK, FactorKind::Totp, &code_at(1, START)), Aal::Aal2, vec![Amr::Pwd, Amr::Otp, Amr::Mfa]),
        (submit_sent(text), Aal::Aal2, vec![Amr::Pwd, Amr::Sms, Amr::Mfa]),
        (submit(CHECK, FactorKind::RecoveryCode, &recovery), Aal::Aal2, vec![Amr::Pwd, Amr::RecoveryCode, Amr::Mfa]),
        (submit_sent(email), Aal::Aal1, vec![Amr::Pwd, Amr::Email]),
    ] {
        let told = scene.clone().when(attempt).accepted();
        let signed_in = event_of!(told, SignedIn);
        assert_eq!((signed_in.aal, &signed_in.amr), (aal, &amr));
        assert_eq!(signed_in.verification_id, Some(CHECK));
        let Outcome::Verified(verified) = told.outcome() else { panic!("not verified") };
        assert_eq!(verified.session.map(|session| (session.aal, session.amr)), Some((aal, amr)));
    }
}

#[test]
fn a_changed_password_ends_the_sign_ins_that_the_old_one_began() {
    let mut history = an_account_with_totp();
    history.push(signing_in(CHECK));
    let scene = given(history).by(CHECKED);
    scene.clone().when(submit(CHECK, FactorKind::Totp, &code_at(1, START))).accepted();
    let changed = PasswordSet {
        password: Personal::Known(password_hash(OTHER_PASSWORD)),
        verification_id: None,
        changes_wait_until: None,
    };
    let scene = scene.then_at(START, [changed.into()]);
    scene.when(submit(CHECK, FactorKind::Totp, &code_at(1, START))).refused(Refusal::VerificationExpired);
}

#[test]
fn the_limiter_is_not_asked_for_a_sign_in_by_the_account_itself() {
    // It is asked before the account is known, with the same charges for unknown addresses.
    let told = given([registered(), confirmed()]).when_full(LimitName::PasswordsPerAddress).when(sign_in(PASSWORD));
    told.accepted().charging(&[]);
}
