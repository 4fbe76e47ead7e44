//! Sessions that end all at once: the owner's others, an account's by support, everybody's by a cut-off.

use domain::{
    account::Presented,
    commands::Command,
    cut_off::{CutOff, CutOffSessions},
    events::*,
    ids::{SessionId, StreamId},
    outcome::{Outcome, Refusal},
    personal::Personal,
    state::Account,
    time::{Seconds, Timestamp},
    values::*,
};
use uuid::Uuid;

use crate::{histories::*, kit::*};

fn in_use() -> Scene<Account> {
    given(an_account_in_use().into_iter().chain([remembered(DEVICE, OTHER_SESSION)])).by(SIGNED_IN)
}

fn ended(ids: &[SessionId], reason: RevocationReason) -> Event {
    SessionRevoked { session_ids: ids.to_vec(), reason }.into()
}

fn forgotten(reason: RevocationReason) -> Event {
    DeviceForgotten { device_ids: vec![DEVICE], reason }.into()
}

#[test]
fn the_owner_ends_all_sessions_but_the_acting_one() {
    let reason = RevocationReason::Requested;
    let told = in_use().when(Command::EndOtherSessions).then([ended(&[OTHER_SESSION], reason), forgotten(reason)]);
    let scene = told.telling(&Outcome::Done).next();
    assert!(scene.state.session(SESSION).is_some() && scene.state.session(OTHER_SESSION).is_none());
    // Access tokens are ended one by one: whoever asks may be signed in with one.
    assert_eq!(scene.state.access_tokens.len(), 2);
    scene.when(Command::EndOtherSessions).then([]).telling(&Outcome::Done);
}

#[test]
fn who_is_no_session_ends_them_all() {
    for caller in [WITH_TOKEN, product()] {
        let told = in_use().by(caller).when(Command::EndOtherSessions);
        assert!(told.next().state.sessions.is_empty());
    }
    in_use().by(Caller::Anonymous).when(Command::EndOtherSessions).refused(Refusal::Unauthenticated);
    in_use().by(support()).when(Command::EndOtherSessions).refused(Refusal::Forbidden);
}

fn for_support() -> Command {
    Command::EndSessions { reason: text("laptop stolen") }
}

#[test]
fn support_ends_all_sessions_and_access_tokens_with_a_reason() {
    let (reason, why) = (RevocationReason::Support, Personal::Known(text("laptop stolen")));
    for (caller, by) in [(support(), Some(KEY)), (Caller::Operator, None)] {
        let told = in_use().by(caller).when(for_support()).then([
            SessionsEnded { reason: why.clone(), by }.into(),
            ended(&[SESSION, OTHER_SESSION], reason),
            forgotten(reason),
            AccessTokenRevoked { access_token_ids: vec![TOKEN, OTHER_TOKEN], reason }.into(),
        ]);
        let scene = told.telling(&Outcome::Done).next();
        assert!(scene.state.sessions.is_empty() && scene.state.access_tokens.is_empty());
        scene.when(for_support()).then([]).telling(&Outcome::Done);
    }
}

#[test]
fn nobody_but_support_does_that() {
    for caller in [SIGNED_IN, WITH_TOKEN, product(), Caller::Worker, Caller::Anonymous] {
        in_use().by(caller).when(for_support()).refused(Refusal::Forbidden);
    }
    given([]).by(support()).when(for_support()).refused(Refusal::NotFound);
}

fn cut_off_at(before: Timestamp) -> CutOffSessions {
    CutOffSessions { before, reason: text("tokens were stolen") }
}

fn cut_off(before: Timestamp) -> Event {
    SessionsCutOff { before, reason: Personal::Known(text("tokens were stolen")) }.into()
}

fn admin() -> Caller {
    client(&[Scope::Admin])
}

#[test]
fn a_cut_off_is_of_the_past_or_of_now() {
    let scene = given_on::<CutOff>([]);
    for caller in [admin(), Caller::Operator] {
        let told = scene.clone().by(caller.clone()).when(cut_off_at(START)).then([cut_off(START)]);
        assert_eq!(told.telling(&Outcome::Done).next().state.before, Some(START));
        scene.clone().by(caller).when(cut_off_at(after(Seconds(1)))).refused_for("before");
    }
    for caller in [support(), product(), SIGNED_IN, Caller::Worker, Caller::Anonymous] {
        scene.clone().by(caller).when(cut_off_at(START)).refused(Refusal::Forbidden);
    }
}

#[test]
fn an_earlier_cut_off_never_lowers_a_later_one() {
    let later = after(Seconds::hours(2));
    let scene = given_on::<CutOff>([cut_off(after(Seconds::hours(1)))]).at(later).by(admin());
    for before in [START, after(Seconds::hours(1))] {
        scene.clone().when(cut_off_at(before)).then([]).telling(&Outcome::Done);
    }
    assert_eq!(scene.when(cut_off_at(later)).then([cut_off(later)]).next().state.before, Some(later));
    let any_order = given_on::<CutOff>([cut_off(later), cut_off(START)]);
    assert_eq!(any_order.state.before, Some(later));
}

#[test]
fn what_began_before_the_cut_off_is_over_and_what_began_with_it() {
    const BEGUN: SessionId = SessionId(Uuid::from_u128(0x5a));
    let begun = after(Seconds::hours(2));
    let with_a_token = SignedIn {
        session_id: BEGUN,
        token_hash: hash_of(1),
        aal: Aal::Aal1,
        amr: vec![],
        expires_at: after(Seconds::days(30)),
        idle_timeout: Seconds::hours(24),
        verification_id: None,
        api_key_id: None,
        access_token_id: Some(TOKEN),
        is_limited: false,
        is_new_place: false,
    };
    let checks = [
        started(CHECK, Purpose::SignIn, Some(Credential::AccessToken(TOKEN))).into(),
        started(OTHER_CHECK, Purpose::SignIn, None).into(),
    ];
    let scene = in_use().then_at(begun, [with_a_token.into()]).then_at(begun, checks);
    let now = after(Seconds::hours(3));
    let is_over = |presented: Presented, cut_off: Option<Timestamp>| {
        let hash = match presented {
            Presented::Session(_) => hash_of(1),
            Presented::AccessToken(_) => hash_of(2),
            Presented::Verification(_) => hash_of(3),
        };
        scene.state.authenticate(presented, &hash, None, cut_off, now).is_none()
    };
    let of_then = [Presented::Session(SESSION), Presented::AccessToken(TOKEN)];
    let of_later = [Presented::Session(BEGUN), Presented::Verification(CHECK)];
    for presented in of_then.into_iter().chain(of_later) {
        assert!(!is_over(presented, None), "{presented:?}");
        assert!(!is_over(presented, Some(START)), "what began with the cut-off began after it: {presented:?}");
        assert!(is_over(presented, Some(after(Seconds(1)))), "{presented:?}");
    }
    // A sign-in that only its own token drives began with the password, which no cut-off ends.
    assert!(!is_over(Presented::Verification(OTHER_CHECK), Some(now)));
}

#[test]
fn it_has_a_stream_of_its_own() {
    assert_eq!(StreamId::Installation.to_string(), "installation");
    assert_eq!("installation".parse::<StreamId>().unwrap(), StreamId::Installation);
}
