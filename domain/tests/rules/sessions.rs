//! Sessions and access tokens: how they end, who is who.

use domain::{
    account::Presented,
    commands::Command,
    events::*,
    ids::{AccessTokenId, SessionId},
    outcome::{Outcome, Refusal},
    secret::TokenHash,
    state::Account,
    time::Seconds,
    values::*,
};
use uuid::Uuid;

use crate::{event_of, histories::*, kit::*};

fn in_use() -> Scene<Account> {
    given(an_account_in_use()).by(SIGNED_IN)
}

#[test]
fn signing_out_ends_the_own_session() {
    let told = in_use().when(Command::SignOut).then([SignedOut { session_id: SESSION }.into()]);
    let scene = told.next();
    assert!(scene.state.session(SESSION).is_none() && scene.state.session(OTHER_SESSION).is_some());
    scene.when(Command::SignOut).refused(Refusal::Unauthenticated);
}

#[test]
fn only_a_session_signs_out() {
    in_use().by(Caller::Anonymous).when(Command::SignOut).refused(Refusal::Unauthenticated);
    for caller in [WITH_TOKEN, product(), Caller::Operator] {
        in_use().by(caller).when(Command::SignOut).refused(Refusal::Forbidden);
    }
}

#[test]
fn a_session_is_ended_from_another() {
    let revoke = |id| Command::RevokeSession { session_id: id };
    let ended = SessionRevoked { session_ids: vec![OTHER_SESSION], reason: RevocationReason::Requested };
    let told = in_use().when(revoke(OTHER_SESSION)).then([ended.into()]);
    told.next().when(revoke(OTHER_SESSION)).refused(Refusal::NotFound);
    in_use().by(Caller::Anonymous).when(revoke(SESSION)).refused(Refusal::Unauthenticated);
    in_use().by(support()).when(revoke(SESSION)).refused(Refusal::Forbidden);
}

#[test]
fn a_session_token_is_good_for_thirty_days_and_twenty_four_idle_hours() {
    let scene = in_use();
    let ask = |last_used, now| {
        let presented = Presented::Session(SESSION);
        scene.state.authenticate(presented, &hash_of(1), last_used, None, now).is_some()
    };
    let idle = after(Seconds::hours(24));
    assert!(ask(None, just_before(idle)) && !ask(None, idle));
    let seen = after(Seconds::days(12));
    assert!(
        ask(Some(seen), just_before(seen.plus(Seconds::hours(24)))) && !ask(Some(seen), seen.plus(Seconds::hours(24)))
    );
    let end = after(Seconds::days(30));
    assert!(ask(Some(end), just_before(end)) && !ask(Some(end), end));
    // What was seen before it began does not count against it.
    assert!(ask(Some(domain::time::Timestamp::EPOCH), START));
}

#[test]
fn tokens_are_told_apart_by_id_kind_and_hash() {
    let scene = given(an_account_in_use().into_iter().chain([checking(CHECK, Purpose::AddMethod)]));
    let who = |presented, hash: &TokenHash| scene.state.authenticate(presented, hash, None, None, START);
    assert_eq!(who(Presented::Session(SESSION), &hash_of(1)), Some(SIGNED_IN));
    assert_eq!(who(Presented::AccessToken(TOKEN), &hash_of(2)), Some(WITH_TOKEN));
    assert_eq!(who(Presented::Verification(CHECK), &hash_of(3)), Some(CHECKED));
    assert_eq!(who(Presented::Session(SESSION), &hash_of(2)), None);
    assert_eq!(who(Presented::AccessToken(TOKEN), &hash_of(1)), None);
    assert_eq!(who(Presented::Verification(CHECK), &hash_of(1)), None);
    assert_eq!(who(Presented::Session(SessionId(Uuid::nil())), &hash_of(1)), None);
    let end = after(Seconds::days(365));
    let token = |now| scene.state.authenticate(Presented::AccessToken(TOKEN), &hash_of(2), None, None, now);
    assert!(token(just_before(end)).is_some() && token(end).is_none());
    let erased = scene.then_at(START, [AccountErased { verification_id: None }.into()]);
    assert_eq!(erased.state.authenticate(Presented::Session(SESSION), &hash_of(1), None, None, START), None);
}

/// The owner's session, begun anew.
fn session_at(at: domain::time::Timestamp) -> Event {
    SignedIn {
        session_id: SESSION,
        token_hash: hash_of(1),
        aal: Aal::Aal1,
        amr: vec![Amr::Pwd],
        expires_at: at.plus(Seconds::days(30)),
        idle_timeout: Seconds::hours(24),
        verification_id: None,
        api_key_id: None,
        access_token_id: None,
        is_limited: false,
        is_new_place: false,
    }
    .into()
}

fn issue() -> Command {
    Command::IssueAccessToken { name: text("laptop"), verification_id: Some(CHECK) }
}

/// May issue an access token.
fn authorized_to_issue(history: Vec<Event>) -> Scene<Account> {
    given(history.into_iter().chain(authorized(CHECK, Purpose::IssueAccessToken))).by(SIGNED_IN)
}

#[test]
fn an_access_token_lives_a_year() {
    let told = authorized_to_issue(an_account_in_use()).when(issue()).then_named(&["AccessTokenIssued"]);
    let issued = event_of!(told, AccessTokenIssued);
    assert_eq!(issued.expires_at, after(Seconds::days(365)));
    let Outcome::AccessTokenIssued { access_token_id, secret, expires_at } = told.outcome() else { panic!("none") };
    assert_eq!((access_token_id, expires_at), (issued.access_token_id, issued.expires_at));
    assert_eq!(TokenHash::of(&secret), issued.token_hash);
}

#[test]
fn with_two_factor_on_only_a_strong_session_issues_tokens() {
    let weak = an_account_with_totp().into_iter().chain([session(OTHER_SESSION, Aal::Aal1), access_token(TOKEN)]);
    let scene = authorized_to_issue(weak.collect());
    let needed = Refusal::VerificationRequired { purpose: Purpose::SignIn };
    scene.clone().by(Caller::Session(OTHER_SESSION)).when(issue()).refused(needed);
    scene.clone().by(SIGNED_IN).when(issue()).accepted();
    for caller in [WITH_TOKEN, product(), client(&Scope::ALL.map(|(scope, _)| scope)), Caller::Operator] {
        scene.clone().by(caller).when(issue()).refused(Refusal::Forbidden);
    }
    scene.by(Caller::Anonymous).when(issue()).refused(Refusal::Unauthenticated);
}

#[test]
fn an_account_has_fifty_access_tokens_at_most() {
    let tokens = |count: u128| (0..count).map(|n| access_token(AccessTokenId(Uuid::from_u128(n))));
    let scene = |count| authorized_to_issue(an_account().into_iter().chain(tokens(count)).collect());
    scene(49).when(issue()).accepted();
    scene(50).when(issue()).refused(Refusal::Conflict);
    let end = after(Seconds::days(365));
    let still_signed_in = |at| {
        let check = VerificationStarted {
            expires_at: domain::time::Timestamp::plus(at, Seconds::minutes(15)),
            ..started(CHECK, Purpose::IssueAccessToken, Some(OWNER))
        };
        let authorized = [check.into(), completed(CHECK, Purpose::IssueAccessToken, at)];
        scene(50).then_at(at, [session_at(at)].into_iter().chain(authorized))
    };
    still_signed_in(just_before(end)).when(issue()).refused(Refusal::Conflict);
    still_signed_in(end).when(issue()).accepted();
}

#[test]
fn an_access_token_is_ended_by_its_owner() {
    let revoke = |id| Command::RevokeAccessToken { access_token_id: id };
    let ended = AccessTokenRevoked { access_token_ids: vec![TOKEN], reason: RevocationReason::Requested };
    for caller in [SIGNED_IN, WITH_TOKEN] {
        in_use().by(caller).when(revoke(TOKEN)).then([ended.clone().into()]);
    }
    in_use().when(revoke(AccessTokenId(Uuid::nil()))).refused(Refusal::NotFound);
    in_use().by(product()).when(revoke(TOKEN)).refused(Refusal::Forbidden);
    in_use().by(Caller::Anonymous).when(revoke(TOKEN)).refused(Refusal::Unauthenticated);
}
