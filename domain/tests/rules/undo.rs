//! Taking a change of address back, with the link that was mailed to the address of before.

use domain::{
    commands::{Command, SecondFactor, UndoLink},
    events::*,
    ids::{MethodId, VerificationId},
    limits::LimitName,
    outcome::{Outcome, Refusal},
    personal::Personal,
    secret::Secret,
    state::{Account, RecoveryCodes, Tallies},
    time::Seconds,
    values::*,
};
use proptest::prelude::*;

use crate::{event_of, histories::*, kit::*, takeovers::changes};

fn third_email() -> EmailAddress {
    EmailAddress::parse("ada@example.net").unwrap()
}
fn link(change: VerificationId) -> UndoLink {
    UndoLink { change, secret: undo_secret(change) }
}
fn by(kind: FactorKind, code: &str) -> SecondFactor {
    SecondFactor { kind: Some(kind), method_id: None, code: entered(code) }
}
fn undo(change: VerificationId, factor: impl Into<Option<SecondFactor>>) -> Command {
    let factor = factor.into();
    let password = Secret::new(PASSWORD.to_owned());
    Command::UndoEmailChange { link: link(change), confirmation: email(), password, factor }
}
/// The change that was made, and the world after it.
fn changed(scene: Scene<Account>, to: &EmailAddress) -> (Scene<Account>, VerificationId) {
    let told = changes(scene, to);
    let change = event_of!(told, EmailChanged).verification_id;
    (told.next().by(Caller::Anonymous), change)
}
/// A thief with the owner's session changes the address, the password and every factor.
fn taken_over() -> (Scene<Account>, VerificationId) {
    let (scene, change) = changed(given(an_account_with_both()), &new_email());
    let gone = |id, kind| -> Event { MethodDisabled { method_id: MethodId(id), kind, verification_id: CHECK }.into() };
    let now = scene.now;
    let password = Personal::Known(password_hash(OTHER_PASSWORD));
    let thief = [
        PasswordSet { password, verification_id: None, changes_wait_until: None }.into(),
        totp_enrolling(3, OWNER),
        enabled(3, MethodKind::Totp, true),
        gone(1, MethodKind::Totp),
        gone(2, MethodKind::Sms),
        recovery_set(2, "the thief's"),
        session(OTHER_SESSION, Aal::Aal2),
        access_token(TOKEN),
        signing_in(OTHER_CHECK),
    ];
    (scene.then_at(now, thief), change)
}

#[test]
fn password_and_factor_of_then_bring_everything_back() {
    let (scene, change) = taken_over();
    let told =
        scene.wait(Seconds::days(3)).when(undo(change, by(FactorKind::Totp, &code_at(1, after(Seconds::days(3))))));
    assert_eq!(
        told.names(),
        ["VerificationSucceeded", "EmailChangeUndone", "SessionRevoked", "AccessTokenRevoked"],
        "{:?}",
        told.decision.outcome
    );
    let undone = event_of!(told, EmailChangeUndone);
    assert_eq!((undone.kind, undone.methods.len()), (Some(FactorKind::Totp), 2));
    let state = &told.scene.state;
    assert!(state.answers_to(&email()) && !state.keeps(&new_email(), told.scene.now));
    assert_eq!(state.methods.keys().copied().collect::<Vec<_>>(), [MethodId(1), MethodId(2)]);
    assert!(state.sessions.is_empty() && state.access_tokens.is_empty() && state.address_changes.is_empty());
    assert_eq!(state.quiet_at(told.scene.now), None);
    let scene = told.next();
    scene.clone().by(SIGNED_IN).when(start(Purpose::AddMethod)).refused(Refusal::Unauthenticated);
    scene
        .clone()
        .when(sign_in(OTHER_PASSWORD))
        .rejected(Refusal::WrongCredentials, [PasswordRejected { count: 1 }.into()]);
    let thief = Caller::Verification(OTHER_CHECK);
    scene.clone().by(thief).when(submit(OTHER_CHECK, FactorKind::Totp, "123456")).decision.outcome.unwrap_err();
    // The owner signs in as ever; the step that the undo took is spent.
    let told = scene.when(sign_in(PASSWORD)).accepted();
    let id = event_of!(told, VerificationStarted).verification_id;
    let scene = told.next().by(Caller::Verification(id));
    let spent = code_at(1, scene.now);
    scene.clone().when(submit(id, FactorKind::Totp, &spent)).wrong_code(1);
    let scene = scene.wait(Seconds(30));
    let fresh = code_at(1, scene.now);
    scene.when(submit(id, FactorKind::Totp, &fresh)).accepted();
}

#[test]
fn a_recovery_code_of_then_does_too_and_is_spent() {
    let (scene, change) = taken_over();
    let codes = recovery_codes(SALT, 10).0;
    let told = scene.clone().when(undo(change, by(FactorKind::RecoveryCode, &codes[0]))).accepted();
    let restored = event_of!(told, EmailChangeUndone).recovery_codes.unwrap();
    assert_eq!((restored.set, restored.remaining), (1, 9));
    let set = told.scene.state.recovery.clone().unwrap();
    assert_eq!((set.used, set.set), (vec![0], 1));
    assert!(matches!(set.codes, RecoveryCodes::Ours(_)));
    let of_the_thief = recovery_codes("the thief's", 10).0;
    scene.when(undo(change, by(FactorKind::RecoveryCode, &of_the_thief[0]))).wrong_code(1);
}

#[test]
fn a_text_to_the_number_of_then_does_too() {
    let (scene, change) = taken_over();
    let ask = || Command::SendUndoCode { link: link(change), method_id: None };
    let told = scene.when(ask()).then_named(&["CodeIssued"]).charging(&TEXT_CHARGES);
    let issued = event_of!(told, CodeIssued);
    assert_eq!(issued.to, Personal::Known(NUMBER.to_owned()));
    let scene = told.next();
    scene.clone().when(ask()).refused(Refusal::ResendTooSoon { retry_after: Seconds(30) });
    let code = digits(&challenge(change, Purpose::UndoEmailChange, Channel::Sms, Some(2)));
    scene.clone().when(undo(change, by(FactorKind::Sms, &other_than(&code)))).wrong_code(1);
    scene.when(undo(change, by(FactorKind::Sms, &code))).accepted();
}

#[test]
fn less_than_a_sign_in_of_then_takes_nothing_back() {
    let (scene, change) = taken_over();
    let right = || by(FactorKind::Totp, &code_at(1, START));
    let purpose = Purpose::UndoEmailChange;
    scene.clone().when(undo(change, None)).refused(Refusal::VerificationRequired { purpose });
    let stranger = UndoLink { change, secret: Secret::new([7; 32]) };
    let with = |link: &UndoLink, to: EmailAddress, password: &str| Command::UndoEmailChange {
        link: link.clone(),
        confirmation: to,
        password: Secret::new(password.to_owned()),
        factor: Some(right()),
    };
    let told = scene.clone().when(with(&stranger, email(), PASSWORD)).refused(Refusal::Unauthenticated);
    assert!(told.charges().is_empty(), "who holds no link uses nothing up");
    let own = link(change);
    scene.clone().when(with(&own, new_email(), PASSWORD)).refused_for("confirmation");
    let told = scene.clone().when(with(&own, email(), OTHER_PASSWORD)).refused(Refusal::WrongCredentials);
    told.charging(&[LimitName::PasswordsPerAddressAndSource, LimitName::PasswordsPerAddress]);
    scene.clone().when(undo(change, by(FactorKind::Email, "123456"))).refused_for("method");
    scene.clone().when(undo(change, by(FactorKind::Totp, &code_at(3, START)))).wrong_code(1);
    scene.clone().when(undo(CHECK, right())).refused(Refusal::VerificationExpired);
    scene.clone().when(with(&own, email(), PASSWORD)).accepted();
    scene.at(after(Seconds::days(7))).when(undo(change, right())).refused(Refusal::VerificationExpired);
}

#[test]
fn twenty_wrong_codes_leave_the_recovery_codes() {
    let (mut scene, change) = taken_over();
    for count in 1..=20 {
        scene = scene.when(undo(change, by(FactorKind::Totp, &wrong_totp(1, START)))).wrong_code(count).next();
    }
    assert_eq!(scene.state.tallies, Tallies::default());
    scene.clone().when(undo(change, by(FactorKind::Totp, &code_at(1, START)))).refused(Refusal::AccountLocked);
    let code = &recovery_codes(SALT, 10).0[0];
    scene.when(undo(change, by(FactorKind::RecoveryCode, code))).accepted();
}

#[test]
fn what_the_thief_locked_does_not_stop_it() {
    let (scene, change) = taken_over();
    let now = scene.now;
    let locked = [wrong(FactorKind::Totp, 5, 100), locked(FactorKind::Totp, after(Seconds::days(1)))];
    let scene = scene.then_at(now, locked);
    scene.when(undo(change, by(FactorKind::Totp, &code_at(1, START)))).accepted();
}

#[test]
fn without_a_method_then_the_password_is_enough() {
    let (scene, change) = changed(given(an_account()), &new_email());
    let now = scene.now;
    let scene = scene.then_at(now, totp(1).into_iter().chain([TwoFactorEnabled {}.into(), recovery_set(1, SALT)]));
    let told = scene.when(undo(change, None)).then_named(&["EmailChangeUndone", "SessionRevoked"]);
    assert!(told.scene.state.methods.is_empty() && told.scene.state.two_factor_since.is_none());
    told.next().when(sign_in(PASSWORD)).then_named(&["SignedIn"]);
}

#[test]
fn the_undo_of_a_change_voids_those_of_later_ones() {
    let (scene, first) = changed(given(an_account_with_totp()), &new_email());
    let (scene, second) = changed(scene.wait(Seconds::hours(1)), &third_email());
    let shown = |scene: &Scene<Account>| by(FactorKind::Totp, &code_at(1, scene.now));
    let of_the_first = scene.clone().when(undo(first, shown(&scene))).accepted().next().wait(Seconds(60));
    let again = shown(&of_the_first);
    of_the_first.clone().when(undo(second, again.clone())).refused(Refusal::VerificationExpired);
    of_the_first.when(undo(first, again)).refused(Refusal::VerificationExpired);
    let password = Secret::new(PASSWORD.to_owned());
    let factor = Some(shown(&scene));
    let back = Command::UndoEmailChange { link: link(second), confirmation: new_email(), password, factor };
    let of_the_second = scene.when(back).accepted().next().wait(Seconds(60));
    assert!(of_the_second.state.answers_to(&new_email()) && of_the_second.state.keeps(&email(), of_the_second.now));
    let again = shown(&of_the_second);
    let told = of_the_second.when(undo(first, again)).accepted();
    assert!(told.scene.state.answers_to(&email()));
}

#[test]
fn the_link_alone_stops_changes_for_a_day_once() {
    let (scene, change) = taken_over();
    let freeze = || Command::FreezeChanges { link: link(change) };
    let until = after(Seconds::hours(24));
    let told = scene.when(freeze()).then([ChangesFrozen { change, until }.into()]);
    let scene = told.telling(&Outcome::ChangesFrozen { until }).next();
    scene.clone().when(freeze()).refused(Refusal::Conflict);
    scene.clone().wait(Seconds::days(2)).when(freeze()).refused(Refusal::Conflict);
    let checked = authorized(CHECK, Purpose::DisableMethod);
    let remove = || Command::DisableMethod { method_id: MethodId(3), verification_id: Some(CHECK) };
    let stopped = scene.clone().then_at(START, checked.clone()).by(SIGNED_IN);
    stopped.when(remove()).refused(Refusal::RateLimited { retry_after: Seconds::hours(24) });
    let stranger = UndoLink { change, secret: Secret::new([7; 32]) };
    scene.clone().when(Command::FreezeChanges { link: stranger }).refused(Refusal::Unauthenticated);
    let told = scene.when(undo(change, by(FactorKind::Totp, &code_at(1, START)))).accepted();
    assert_eq!(told.scene.state.frozen_at(START), None);
}

#[test]
fn password_factor_and_mailbox_together_let_changes_go_on() {
    let (scene, change) = changed(given(an_account_with_totp()), &new_email());
    let scene = scene.when(Command::FreezeChanges { link: link(change) }).accepted().next();
    let lift = |verification_id| Command::UnfreezeChanges { verification_id };
    let mailbox = |scene: Scene<Account>| {
        let told = scene.by(SIGNED_IN).when(start(Purpose::UnfreezeChanges)).then_named(&["VerificationStarted"]);
        let id = event_of!(told, VerificationStarted).verification_id;
        let scene = told.next().when(send(id, Channel::Email)).accepted().next();
        scene.clone().when(submit(id, FactorKind::Totp, &code_at(1, START))).refused_for("method");
        let mail = challenge(id, Purpose::UnfreezeChanges, Channel::Email, None);
        (scene.when(submit_sent(mail)).accepted().next(), id)
    };
    // The mailbox, and a session of a moment ago.
    let fresh = scene.clone().then_at(START, [session(SESSION, Aal::Aal2)]);
    let purpose = Purpose::UnfreezeChanges;
    let needed = Refusal::VerificationRequired { purpose };
    fresh.clone().by(SIGNED_IN).when(lift(None)).refused(needed.clone());
    fresh.clone().by(SIGNED_IN).when(lift(Some(change))).refused(needed);
    let (ready, id) = mailbox(fresh.clone());
    let told = ready.clone().when(lift(Some(id))).then([ChangesUnfrozen { change }.into()]);
    told.next().when(lift(Some(id))).refused(Refusal::Conflict);
    // Password and factor were shown too long ago.
    let (ready, id) = mailbox(fresh.wait(Seconds(601)));
    ready.when(lift(Some(id))).refused(Refusal::VerificationRequired { purpose: Purpose::SignIn });
}

/// What someone does to the account between a change and its undo.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Change(u8),
    Freeze(u8),
    Undo(u8),
    SetPassword,
    AddApp,
    RemoveAll,
    Reset,
    SignIn,
    Wait(u32),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => any::<u8>().prop_map(Deed::Change),
        1 => any::<u8>().prop_map(Deed::Freeze),
        2 => any::<u8>().prop_map(Deed::Undo),
        1 => Just(Deed::SetPassword),
        2 => Just(Deed::AddApp),
        1 => Just(Deed::RemoveAll),
        1 => Just(Deed::Reset),
        2 => Just(Deed::SignIn),
        2 => (30..40_000_u32).prop_map(Deed::Wait),
    ]
}

fn of_the_app(code: &str) -> SecondFactor {
    SecondFactor { kind: Some(FactorKind::Totp), method_id: Some(MethodId(1)), code: entered(code) }
}
fn submit_of_the_app(verification_id: VerificationId, code: &str) -> Command {
    let SecondFactor { kind, method_id, code } = of_the_app(code);
    Command::SubmitCode { verification_id, kind, method_id, code }
}

/// Where the account stood before a change: address, and the apps that its owner holds.
struct Before {
    change: VerificationId,
    email: EmailAddress,
    password: String,
    has_app: bool,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn after_an_undo_the_sign_in_of_before_works_and_nothing_since(deeds in prop::collection::vec(deed(), 1..24)) {
        let mut scene = given(an_account_with_totp());
        let mut before: Vec<Before> = Vec::new();
        let mut password = PASSWORD.to_owned();
        for deed in deeds {
            let now = scene.now;
            before.retain(|known| scene.state.undoable(now).any(|change| change.id == known.change));
            let may_change = scene.state.reset.is_none() && scene.state.undoable(now).count() < 5
                && scene.state.frozen_at(now).is_none();
            match deed {
                Deed::Change(n) if may_change && password == PASSWORD => {
                    let address = EmailAddress::parse(&format!("ada{}@example.org", n % 6)).unwrap();
                    if scene.state.answers_to(&address) {
                        continue;
                    }
                    let old = scene.state.email.as_ref().unwrap().known().unwrap().clone();
                    let has_app = scene.state.methods.contains_key(&MethodId(1));
                    let strong = scene.wait(Seconds(1)).then_at(now.plus(Seconds(1)), [session(SESSION, Aal::Aal2)]);
                    let (after, change) = changed(strong, &address);
                    scene = after;
                    before.push(Before { change, email: old, password: password.clone(), has_app });
                }
                Deed::Freeze(n) if !before.is_empty() => {
                    let change = before[usize::from(n) % before.len()].change;
                    scene = scene.by(Caller::Anonymous).when(Command::FreezeChanges { link: link(change) }).next();
                }
                Deed::Undo(n) if !before.is_empty() => {
                    let at = usize::from(n) % before.len();
                    let known = &before[at];
                    scene = scene.wait(Seconds(60));
                    let factor = known.has_app.then(|| of_the_app(&code_at(1, scene.now)));
                    let standing = scene.state.undoable(scene.now).find(|change| change.id == known.change);
                    let Some(standing) = standing else { continue };
                    let factor = if standing.before.methods.is_empty() { None } else { factor };
                    if factor.is_none() && !standing.before.methods.is_empty() {
                        continue;
                    }
                    let command = Command::UndoEmailChange {
                        link: link(known.change),
                        confirmation: known.email.clone(),
                        password: Secret::new(known.password.clone()),
                        factor,
                    };
                    let told = scene.by(Caller::Anonymous).when(command).accepted();
                    let state = &told.scene.state;
                    prop_assert!(state.answers_to(&known.email) && state.sessions.is_empty());
                    prop_assert!(state.access_tokens.is_empty() && state.reset.is_none());
                    prop_assert_eq!(state.frozen_at(told.scene.now), None);
                    prop_assert_eq!(state.address_changes.len(), at, "later ones are void");
                    let signing_in = told.next().wait(Seconds(60)).when(sign_in(&known.password)).accepted();
                    scene = if known.has_app {
                        let id = event_of!(signing_in, VerificationStarted).verification_id;
                        let own = signing_in.next().by(Caller::Verification(id));
                        let code = code_at(1, own.now);
                        own.when(submit_of_the_app(id, &code)).accepted().next()
                    } else {
                        signing_in.next()
                    };
                    password.clone_from(&known.password);
                    before.truncate(at);
                }
                Deed::SetPassword => {
                    let hash = Personal::Known(password_hash(OTHER_PASSWORD));
                    let set = PasswordSet { password: hash, verification_id: None, changes_wait_until: None };
                    scene = scene.then_at(now, [set.into()]);
                    OTHER_PASSWORD.clone_into(&mut password);
                }
                Deed::AddApp if scene.state.reset.is_none() => {
                    let id = scene.state.last_method_id + 1;
                    scene = scene.then_at(now, [totp_enrolling(id, OWNER), enabled(id, MethodKind::Totp, false)]);
                }
                Deed::RemoveAll => {
                    let ids: Vec<MethodId> = scene.state.methods.keys().copied().collect();
                    let (kind, verification_id) = (MethodKind::Totp, CHECK);
                    let gone = ids.into_iter().map(|method_id| MethodDisabled { method_id, kind, verification_id }.into());
                    scene = scene.then_at(now, gone.collect::<Vec<Event>>());
                    scene = scene.then_at(now, [TwoFactorDisabled {}.into()]);
                }
                Deed::Reset => {
                    let reset = Command::ResetTwoFactor { reason: text("lost phone") };
                    scene = scene.by(support()).when(reset).accepted().next();
                }
                Deed::SignIn => scene = scene.then_at(now, [session(OTHER_SESSION, Aal::Aal2), access_token(TOKEN)]),
                Deed::Wait(seconds) => scene = scene.wait(Seconds(seconds)),
                _ => {}
            }
        }
    }
}
