//! The other streams: claims of addresses, deliveries, API keys, reads of the history.

use domain::{
    api_key::{ApiKey, ApiKeyCommand},
    audit_access::{AuditAccess, RecordAccess},
    claim::{ClaimCommand, EmailClaim},
    delivery::{Delivery, DeliveryCommand, Order, SEND_TIMEOUT},
    events::*,
    ids::{AccountId, EventId},
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

const DEADLINE: Timestamp = START.plus(Seconds::minutes(10));

fn order() -> Order {
    Order {
        order_id: EventId(Uuid::from_u128(0x0d)),
        account_id: ACCOUNT,
        verification_id: Some(CHECK),
        subject: "sign_in".to_owned(),
        channel: Channel::Sms,
        country: None,
        prefix: None,
        ordered_at: START,
        deadline: DEADLINE,
    }
}
fn take() -> DeliveryCommand {
    DeliveryCommand::StartSend { order: order(), provider: "one".to_owned() }
}
fn send_started(attempt: u32) -> Event {
    SendStarted {
        order_id: order().order_id,
        account_id: ACCOUNT,
        verification_id: Some(CHECK),
        subject: "sign_in".to_owned(),
        channel: Channel::Sms,
        country: None,
        prefix: None,
        provider: "one".to_owned(),
        attempt,
        ordered_at: START,
        deadline: DEADLINE,
    }
    .into()
}
fn failed(attempt: u32, is_final: bool) -> Event {
    CodeDeliveryFailed { provider: "one".into(), attempt, reason: "refused".into(), is_final }.into()
}
fn unknown(attempt: u32) -> Event {
    SendOutcomeUnknown { provider: "one".into(), attempt }.into()
}
fn delivery(events: impl IntoIterator<Item = Event>) -> Scene<Delivery> {
    given_on::<Delivery>(events).by(Caller::Worker)
}
const TAKEN: Outcome = Outcome::SendTaken { retry_at: None };

#[test]
fn a_worker_takes_an_order_and_another_finds_it_taken() {
    let told = delivery([]).when(take()).then([send_started(1)]).telling(&Outcome::SendClaimed { attempt: 1 });
    let told = told.next().when(take()).then([]);
    told.telling(&Outcome::SendTaken { retry_at: Some(START.plus(SEND_TIMEOUT)) });
}

#[test]
fn an_attempt_of_unknown_outcome_is_repeated_once_after_the_time_out() {
    let timeout = START.plus(SEND_TIMEOUT);
    let scene = delivery([send_started(1)]);
    scene.clone().at(just_before(timeout)).when(take()).then([]);
    let told = scene.at(timeout).when(take()).then([unknown(1), send_started(2)]);
    let told = told.telling(&Outcome::SendClaimed { attempt: 2 });
    let scene = told.next().at(timeout.plus(SEND_TIMEOUT));
    let scene = scene.when(take()).then([unknown(2)]).telling(&TAKEN).next();
    scene.when(take()).then([]).telling(&TAKEN);
}

#[test]
fn a_failed_attempt_is_followed_by_another_unless_it_was_final() {
    delivery([send_started(1), failed(1, false)]).when(take()).then([send_started(2)]);
    delivery([send_started(1), failed(1, true)]).when(take()).then([]).telling(&TAKEN);
    let dispatched = CodeDispatched { provider: "one".into(), attempt: 1, provider_message_id: None };
    delivery([send_started(1), dispatched.into()]).when(take()).then([]).telling(&TAKEN);
    let delivered = CodeDelivered { provider: "one".into(), attempt: 1 };
    delivery([send_started(1), delivered.into()]).when(take()).then([]).telling(&TAKEN);
}

#[test]
fn a_code_past_its_end_is_never_sent_and_that_is_on_record() {
    let late =
        |attempt| CodeDeliveryFailed { provider: "one".into(), attempt, reason: "too_late".into(), is_final: true };
    delivery([]).at(just_before(DEADLINE)).when(take()).then([send_started(1)]);
    let told = delivery([]).at(DEADLINE).when(take()).then([send_started(1), late(1).into()]).telling(&TAKEN);
    told.next().when(take()).then([]).telling(&TAKEN);
    delivery([send_started(1), failed(1, false)]).at(DEADLINE).when(take()).then([late(1).into()]);
    // Of one that was under way nobody knows whether it was sent in time.
    let told = delivery([send_started(1)]).at(DEADLINE).when(take()).then([unknown(1)]).telling(&TAKEN);
    told.next().when(take()).then([]).telling(&TAKEN);
    let just_begun = delivery([]).then_at(just_before(DEADLINE), [send_started(1)]).at(DEADLINE).when(take()).then([]);
    just_begun.telling(&Outcome::SendTaken { retry_at: Some(just_before(DEADLINE).plus(SEND_TIMEOUT)) });
    let timed_out = delivery([]).then_at(just_before(DEADLINE), [send_started(1)]).wait(SEND_TIMEOUT);
    timed_out.when(take()).then([unknown(1)]);
}

#[test]
fn what_happened_to_an_attempt_is_recorded_once() {
    let dispatch = |attempt| DeliveryCommand::RecordDispatch { attempt, provider_message_id: Some("m1".into()) };
    let dispatched = CodeDispatched { provider: "one".into(), attempt: 1, provider_message_id: Some("m1".into()) };
    let deliver = |attempt| DeliveryCommand::RecordDelivery { attempt };
    let delivered = CodeDelivered { provider: "one".into(), attempt: 1 };
    let fail = |attempt| DeliveryCommand::RecordDeliveryFailure { attempt, reason: "refused".into(), is_final: false };
    let scene = delivery([send_started(1)]);
    scene.clone().when(fail(1)).then([failed(1, false)]);
    scene.clone().when(deliver(1)).then([delivered.clone().into()]);
    let scene = scene.when(dispatch(1)).then([dispatched.into()]).next();
    scene.clone().when(dispatch(1)).then([]);
    scene.clone().when(fail(1)).then([failed(1, true)]);
    let scene = scene.when(deliver(1)).then([delivered.into()]).next();
    for again in [dispatch(1), deliver(1), fail(1)] {
        scene.clone().when(again).then([]);
    }
    let unclear = delivery([send_started(1), unknown(1)]);
    assert_eq!(unclear.clone().when(dispatch(1)).names(), ["CodeDispatched"]);
    for of_nothing in [dispatch(2), deliver(2), fail(2)] {
        unclear.clone().when(of_nothing.clone()).refused(Refusal::NotFound);
        delivery([]).when(of_nothing).refused(Refusal::NotFound);
    }
    delivery([send_started(1), failed(1, false), send_started(2)]).when(deliver(1)).then([]);
}

#[test]
fn a_receipt_of_arrival_outweighs_a_failure_and_a_failure_outweighs_nothing_that_arrived() {
    let deliver = DeliveryCommand::RecordDelivery { attempt: 1 };
    let fail = DeliveryCommand::RecordDeliveryFailure { attempt: 1, reason: "refused".into(), is_final: false };
    let delivered = CodeDelivered { provider: "one".into(), attempt: 1 };
    // The gateway timed out, and had taken the message all the same: no other is asked then.
    for end in [failed(1, false), failed(1, true), unknown(1)] {
        let told = delivery([send_started(1), end]).when(deliver.clone()).then([delivered.clone().into()]);
        told.next().when(take()).then([]).telling(&TAKEN);
    }
    let arrived = delivery([send_started(1), delivered.into()]);
    arrived.clone().when(fail.clone()).then([]);
    arrived.when(deliver).then([]);
    // A receipt that overtakes the gateway's yes leaves the order open.
    let told = delivery([send_started(1)]).when(fail).then([failed(1, false)]);
    told.next().when(take()).then([send_started(2)]);
}

#[test]
fn only_workers_record_deliveries() {
    for caller in [Caller::Anonymous, SIGNED_IN, product(), client(&[Scope::Admin]), Caller::Operator] {
        delivery([]).by(caller.clone()).when(take()).refused(Refusal::Forbidden);
        delivery([send_started(1)])
            .by(caller)
            .when(DeliveryCommand::RecordDelivery { attempt: 1 })
            .refused(Refusal::Forbidden);
    }
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
