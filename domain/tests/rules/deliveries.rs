//! Deliveries: who sends an order, by which gateway, and what is on record of it.

use domain::{
    delivery::{Delivery, DeliveryCommand, FailureKind, MAX_TRIES, Order, Routes, SEND_TIMEOUT},
    events::*,
    ids::EventId,
    outcome::{NextTry, Outcome, Refusal},
    time::{Seconds, Timestamp},
    values::*,
};
use uuid::Uuid;

use crate::{event_of, histories::*, kit::*};

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
fn routes(gateways: &[&str]) -> Routes {
    Routes { gateways: gateways.iter().map(|gateway| (*gateway).to_owned()).collect(), unreceipted: None }
}
fn take_by(routes: Routes) -> DeliveryCommand {
    DeliveryCommand::StartSend { order: order(), routes }
}
fn take() -> DeliveryCommand {
    take_by(routes(&["one"]))
}
fn send_started(attempt: u32) -> Event {
    started_by("one", attempt)
}
fn started_by(provider: &str, attempt: u32) -> Event {
    SendStarted {
        order_id: order().order_id,
        account_id: ACCOUNT,
        verification_id: Some(CHECK),
        subject: "sign_in".to_owned(),
        channel: Channel::Sms,
        country: None,
        prefix: None,
        provider: provider.to_owned(),
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
fn claimed(provider: &str, attempt: u32) -> Outcome {
    Outcome::SendClaimed { attempt, provider: provider.to_owned() }
}

#[test]
fn a_worker_takes_an_order_and_another_finds_it_taken() {
    let told = delivery([]).when(take()).then([send_started(1)]).telling(&claimed("one", 1));
    let told = told.next().when(take()).then([]);
    told.telling(&Outcome::SendTaken { retry_at: Some(START.plus(SEND_TIMEOUT)) });
}

#[test]
fn an_attempt_of_unknown_outcome_is_repeated_once_after_the_time_out() {
    let timeout = START.plus(SEND_TIMEOUT);
    let scene = delivery([send_started(1)]);
    scene.clone().at(just_before(timeout)).when(take()).then([]);
    let told = scene.at(timeout).when(take()).then([unknown(1), send_started(2)]);
    let told = told.telling(&claimed("one", 2));
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
    let fail = |attempt| DeliveryCommand::RecordDeliveryFailure { attempt, reason: "refused".into() };
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
    let fail = DeliveryCommand::RecordDeliveryFailure { attempt: 1, reason: "refused".into() };
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

#[derive(Clone, Copy)]
enum End {
    Failed(FailureKind),
    Unknown,
}
const HARD: End = End::Failed(FailureKind::Hard);
const TIMED_OUT: End = End::Failed(FailureKind::TimedOut);
const TRANSIENT: End = End::Failed(FailureKind::Transient);

const TWO: [&str; 2] = ["one", "two"];
const THREE: [&str; 3] = ["one", "two", "three"];

/// The gateway that a worker is told to ask, after these tries.
fn next_of(tries: &[(&str, End)], routes: Routes) -> Option<String> {
    let mut events = Vec::new();
    for (attempt, (provider, end)) in (1..).zip(tries) {
        let provider = (*provider).to_owned();
        events.push(started_by(&provider, attempt));
        events.push(match end {
            End::Failed(kind) => {
                let reason = kind.recorded("a_word");
                CodeDeliveryFailed { provider, attempt, reason, is_final: false }.into()
            }
            End::Unknown => SendOutcomeUnknown { provider, attempt }.into(),
        });
    }
    let attempt = u32::try_from(tries.len()).unwrap() + 1;
    let told = delivery(events).when(take_by(routes));
    if told.outcome() == Outcome::NoGatewayLeft {
        told.then([]);
        return None;
    }
    let started = event_of!(told, SendStarted);
    told.telling(&claimed(&started.provider, attempt));
    Some(started.provider)
}

fn next(tries: &[(&str, End)], gateways: &[&str]) -> Option<String> {
    next_of(tries, routes(gateways))
}

fn resent(tries: &[(&str, End)], gateways: &[&str], unreceipted: &str) -> Option<String> {
    next_of(tries, Routes { unreceipted: Some(unreceipted.to_owned()), ..routes(gateways) })
}

#[test]
fn the_first_gateway_is_asked_first() {
    assert_eq!(next(&[], &THREE).as_deref(), Some("one"));
}

#[test]
fn without_a_gateway_there_is_nothing_to_try() {
    assert_eq!(next(&[], &[]), None);
    delivery([]).at(DEADLINE).when(take_by(routes(&[]))).then([]).telling(&Outcome::NoGatewayLeft);
}

#[test]
fn a_hard_failure_moves_to_the_next_and_takes_the_gateway_out() {
    assert_eq!(next(&[("one", HARD)], &THREE).as_deref(), Some("two"));
    assert_eq!(next(&[("one", HARD), ("two", TIMED_OUT)], &THREE).as_deref(), Some("three"));
    let tries = [("one", HARD), ("two", TIMED_OUT), ("three", TIMED_OUT)];
    assert_eq!(next(&tries, &THREE).as_deref(), Some("two"));
}

#[test]
fn when_every_gateway_refused_it_is_over() {
    assert_eq!(next(&[("one", HARD), ("two", HARD)], &TWO), None);
}

#[test]
fn a_time_out_moves_to_the_next_and_each_gateway_has_one() {
    assert_eq!(next(&[("one", TIMED_OUT)], &TWO).as_deref(), Some("two"));
    assert_eq!(next(&[("one", TIMED_OUT), ("two", TIMED_OUT)], &TWO), None);
}

#[test]
fn a_single_gateway_that_timed_out_is_asked_once_more() {
    assert_eq!(next(&[("one", TIMED_OUT)], &["one"]).as_deref(), Some("one"));
    assert_eq!(next(&[("one", TIMED_OUT), ("one", TIMED_OUT)], &["one"]), None);
}

#[test]
fn what_is_put_off_stays_with_its_gateway_three_times() {
    assert_eq!(next(&[("one", TRANSIENT); 2], &TWO).as_deref(), Some("one"));
    assert_eq!(next(&[("one", TRANSIENT); 3], &TWO).as_deref(), Some("two"));
    assert_eq!(next(&[("one", TRANSIENT); 5], &["one"]).as_deref(), Some("one"));
    assert_eq!(next(&[("one", TRANSIENT); MAX_TRIES], &["one"]), None);
}

#[test]
fn an_unknown_outcome_is_repeated_with_the_same_gateway() {
    assert_eq!(next(&[("one", HARD), ("two", End::Unknown)], &TWO).as_deref(), Some("two"));
    let under_way = delivery([started_by("two", 1)]).wait(SEND_TIMEOUT).when(take_by(routes(&TWO)));
    under_way.then([SendOutcomeUnknown { provider: "two".into(), attempt: 1 }.into(), started_by("two", 2)]);
}

#[test]
fn a_resend_without_a_receipt_starts_behind_the_gateway_of_the_last_send() {
    assert_eq!(resent(&[], &THREE, "one").as_deref(), Some("two"));
    assert_eq!(resent(&[], &THREE, "three").as_deref(), Some("one"));
    assert_eq!(resent(&[], &["one"], "one").as_deref(), Some("one"));
    assert_eq!(resent(&[("two", HARD)], &TWO, "one").as_deref(), Some("one"));
}

#[test]
fn a_gateway_that_is_no_longer_configured_does_not_count() {
    assert_eq!(resent(&[("gone", HARD)], &TWO, "gone").as_deref(), Some("one"));
}

fn refusal(kind: FailureKind, gateways: &[&str], put_off_until: Timestamp) -> DeliveryCommand {
    let (reason, routes) = (kind.recorded("busy"), routes(gateways));
    DeliveryCommand::RecordRefusal { attempt: 1, reason, routes, put_off_until }
}

#[test]
fn what_follows_a_refusal_is_decided_with_its_record() {
    let soon = after(Seconds(2));
    let refused = |kind: FailureKind, is_final| {
        CodeDeliveryFailed { provider: "one".into(), attempt: 1, reason: kind.recorded("busy"), is_final }.into()
    };
    let told = |next| Outcome::SendFailed { next };
    for (kind, gateways, until, next) in [
        (FailureKind::Hard, &TWO[..], DEADLINE, NextTry::AtOnce),
        (FailureKind::Hard, &["one"], soon, NextTry::Never),
        (FailureKind::TimedOut, &["one"], DEADLINE, NextTry::AtOnce),
        (FailureKind::Transient, &["one"], soon, NextTry::PutOff),
        // It would be asked again when the code is of no use any more.
        (FailureKind::Transient, &["one"], DEADLINE, NextTry::Never),
        (FailureKind::Transient, &[], soon, NextTry::Never),
    ] {
        let scene = delivery([send_started(1)]).when(refusal(kind, gateways, until));
        scene.then([refused(kind, next == NextTry::Never)]).telling(&told(next));
    }
    let late = delivery([send_started(1)]).at(DEADLINE).when(refusal(FailureKind::Hard, &TWO, soon));
    late.then([refused(FailureKind::Hard, true)]).telling(&told(NextTry::Never));
}

#[test]
fn a_refusal_of_what_is_on_record_otherwise_changes_nothing() {
    let refuse = || refusal(FailureKind::Hard, &TWO, after(Seconds(2)));
    let delivered = CodeDelivered { provider: "one".into(), attempt: 1 };
    for since in [vec![failed(1, false)], vec![delivered.into()], vec![unknown(1), send_started(2)]] {
        let told = delivery([send_started(1)].into_iter().chain(since)).when(refuse());
        told.then([]).telling(&Outcome::Done);
    }
    delivery([]).when(refuse()).refused(Refusal::NotFound);
}

#[test]
fn a_recorded_reason_tells_its_kind_again() {
    for kind in [FailureKind::Hard, FailureKind::TimedOut, FailureKind::Transient] {
        assert_eq!(FailureKind::of_recorded(&kind.recorded("invalid_number")), kind);
    }
    assert_eq!(FailureKind::Hard.recorded("invalid_number"), "hard.invalid_number");
}
