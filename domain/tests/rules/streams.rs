//! The other streams: claims of addresses, API keys, reads of the history.

use domain::{
    api_key::{ApiKey, ApiKeyCommand},
    audit_access::{AuditAccess, RecordAccess},
    claim::{ClaimCommand, EmailClaim},
    events::*,
    ids::AccountId,
    outcome::{Outcome, Refusal},
    personal::Personal,
    secret::TokenHash,
    time::{Seconds, Timestamp},
    values::*,
};
use uuid::Uuid;

use crate::{event_of, histories::*, kit::*};

const OTHER_ACCOUNT: AccountId = AccountId(Uuid::from_u128(0xa2));

fn claimed(account_id: AccountId) -> Event {
    EmailClaimed { account_id: Personal::Known(account_id) }.into()
}
fn claim(account_id: AccountId, holder_completed: bool) -> ClaimCommand {
    ClaimCommand::Claim { account_id, holder_completed }
}

#[test]
fn a_free_address_is_claimed() {
    let told = given_on::<EmailClaim>([]).when(claim(ACCOUNT, false)).then([claimed(ACCOUNT)]);
    assert_eq!(told.telling(&Outcome::EmailClaimed).scene.state.account(), Some(ACCOUNT));
}

#[test]
fn an_uncompleted_claim_may_be_taken_over_after_fifteen_minutes() {
    let held = given_on::<EmailClaim>([claimed(OTHER_ACCOUNT)]);
    let end = after(Seconds::minutes(15));
    held.clone().at(just_before(end)).when(claim(ACCOUNT, false)).refused(Refusal::Conflict);
    let released = EmailReleased { reason: RevocationReason::Abandoned };
    let told = held.clone().at(end).when(claim(ACCOUNT, false)).then([released.into(), claimed(ACCOUNT)]);
    assert_eq!(told.scene.state.account(), Some(ACCOUNT));
    held.at(after(Seconds::days(365))).when(claim(ACCOUNT, true)).refused(Refusal::Conflict);
}

#[test]
fn the_same_account_renews_its_claim_so_that_nobody_takes_it_over_meanwhile() {
    let end = after(Seconds::minutes(15));
    let held = given_on::<EmailClaim>([claimed(ACCOUNT)]).at(just_before(end));
    let told = held.clone().when(claim(ACCOUNT, false)).then([claimed(ACCOUNT)]);
    told.next().at(end).when(claim(OTHER_ACCOUNT, false)).refused(Refusal::Conflict);
    held.when(claim(ACCOUNT, true)).then([]);
}

#[test]
fn an_address_is_given_back_by_its_holder_alone() {
    let held = given_on::<EmailClaim>([claimed(ACCOUNT)]);
    let release = |account_id| ClaimCommand::Release { account_id, reason: RevocationReason::EmailChanged };
    held.clone().when(release(OTHER_ACCOUNT)).then([]);
    let told = held.when(release(ACCOUNT)).then([EmailReleased { reason: RevocationReason::EmailChanged }.into()]);
    let free = told.next();
    assert_eq!(free.state.account(), None);
    free.clone().when(release(ACCOUNT)).then([]);
    free.when(claim(OTHER_ACCOUNT, true)).then([claimed(OTHER_ACCOUNT)]);
}

#[test]
fn a_claim_whose_holder_was_erased_is_nobodys_and_stays_taken() {
    let erased = EmailClaimed { account_id: Personal::Erased };
    let held = given_on::<EmailClaim>([erased.into()]);
    assert_eq!(held.state.account(), None);
    held.when(claim(ACCOUNT, true)).refused(Refusal::Conflict);
}

fn issue(scopes: &[Scope], expires_at: Option<Timestamp>) -> ApiKeyCommand {
    ApiKeyCommand::IssueApiKey {
        api_key_id: KEY,
        name: text("shop"),
        scopes: scopes.iter().copied().collect(),
        expires_at,
    }
}

#[test]
fn a_key_is_issued_presented_and_revoked() {
    let end = after(Seconds::days(1));
    let told = given_on::<ApiKey>([]).by(Caller::Operator).when(issue(&[Scope::AuditRead], Some(end)));
    let issued = event_of!(told, ApiKeyIssued);
    let Outcome::ApiKeyIssued { api_key_id, secret } = told.outcome() else { panic!("none") };
    assert_eq!((api_key_id, issued.token_hash), (KEY, TokenHash::of(&secret)));
    let scene = told.next().by(client(&[Scope::Admin]));
    let who = |scene: &Scene<ApiKey>, now| scene.state.authenticate(&TokenHash::of(&secret), now);
    assert_eq!(who(&scene, just_before(end)), Some(client(&[Scope::AuditRead])));
    assert_eq!(who(&scene, end), None);
    assert_eq!(scene.state.authenticate(&hash_of(1), START), None);
    scene.clone().when(issue(&[Scope::AuditRead], None)).refused(Refusal::Conflict);
    let scene = scene.when(ApiKeyCommand::RevokeApiKey).then([ApiKeyRevoked {}.into()]).next();
    assert_eq!(who(&scene, START), None);
    scene.when(ApiKeyCommand::RevokeApiKey).then([]);
    let endless = given_on::<ApiKey>([]).by(Caller::Operator).when(issue(&[Scope::Admin], None));
    let Outcome::ApiKeyIssued { secret, .. } = endless.outcome() else { panic!("none") };
    let years_later = after(Seconds::days(9_999));
    assert!(endless.scene.state.authenticate(&TokenHash::of(&secret), years_later).is_some());
    let none = given_on::<ApiKey>([]).by(Caller::Operator);
    none.clone().when(ApiKeyCommand::RevokeApiKey).refused(Refusal::NotFound);
    assert_eq!(none.state.authenticate(&hash_of(1), START), None);
}

#[test]
fn a_key_needs_a_scope_and_an_end_that_lies_ahead() {
    let scene = given_on::<ApiKey>([]).by(Caller::Operator);
    scene.clone().when(issue(&[], None)).refused_for("scopes");
    scene.clone().when(issue(&[Scope::Admin], Some(START))).refused_for("expires_at");
    scene.when(issue(&[Scope::Admin], Some(after(Seconds(1))))).accepted();
}

#[test]
fn only_operators_and_admins_handle_keys() {
    for caller in [Caller::Anonymous, SIGNED_IN, WITH_TOKEN, product(), support(), Caller::Worker] {
        let scene = given_on::<ApiKey>([]).by(caller);
        scene.clone().when(issue(&[Scope::Admin], None)).refused(Refusal::Forbidden);
        scene.when(ApiKeyCommand::RevokeApiKey).refused(Refusal::Forbidden);
    }
}

#[test]
fn reading_the_history_is_history() {
    let read = |access| RecordAccess { access, account_id: Some(ACCOUNT) };
    let scene = given_on::<AuditAccess>([]);
    let recorded = |api_key_id, access| HistoryAccessed { api_key_id, access, account_id: Some(ACCOUNT) };
    let auditor = scene.clone().by(client(&[Scope::AuditRead]));
    for access in [HistoryAccess::Export, HistoryAccess::Replay, HistoryAccess::State, HistoryAccess::Stream] {
        auditor.clone().when(read(access)).then([recorded(Some(KEY), access).into()]);
    }
    scene.clone().by(Caller::Operator).when(read(HistoryAccess::Pii)).then([recorded(None, HistoryAccess::Pii).into()]);
    for caller in [Caller::Anonymous, SIGNED_IN, product(), client(&[Scope::AuditPii]), client(&[Scope::Admin])] {
        scene.clone().by(caller).when(read(HistoryAccess::State)).refused(Refusal::Forbidden);
    }
}

#[test]
fn personal_data_in_clear_takes_a_scope_of_its_own() {
    let read = || RecordAccess { access: HistoryAccess::Pii, account_id: None };
    let scene = given_on::<AuditAccess>([]);
    scene.clone().by(client(&[Scope::AuditRead])).when(read()).refused(Refusal::Forbidden);
    scene.by(client(&[Scope::AuditRead, Scope::AuditPii])).when(read()).then_named(&["HistoryAccessed"]);
}
