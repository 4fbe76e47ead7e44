//! Whatever happens in whatever order: the live views equal a replay, and stay within what can be.

use crate::common::*;
use domain::{events::*, ids::*, time::Seconds, values::*};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

/// What may happen next, to one of three accounts.
#[derive(Debug, Clone, Copy)]
enum Step {
    Register,
    Confirm,
    Enroll(u32),
    Enable(u32, bool),
    Disable(u32),
    Primary(u32),
    SignIn(u32),
    SignOut(u32),
    Fail(FactorKind, u32),
    Succeed(FactorKind, u32),
    Lock(FactorKind),
    Unlock(FactorKind, bool),
    Codes(u32),
    UseCode(u32, u32),
    Order(Channel),
    Send,
    Dispatch,
    Deliver,
    GiveUp,
    Reset,
    Erase,
    CutOff,
    Wait(u32),
    Retain,
    Settle,
}

fn kind() -> impl Strategy<Value = FactorKind> {
    prop_oneof![Just(FactorKind::Totp), Just(FactorKind::Sms), Just(FactorKind::Email), Just(FactorKind::RecoveryCode)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Register),
        Just(Step::Confirm),
        (1..4_u32).prop_map(Step::Enroll),
        (1..4_u32, any::<bool>()).prop_map(|(method, primary)| Step::Enable(method, primary)),
        (1..4_u32).prop_map(Step::Disable),
        (1..4_u32).prop_map(Step::Primary),
        (0..4_u32).prop_map(Step::SignIn),
        (0..4_u32).prop_map(Step::SignOut),
        (kind(), 0..6_u32).prop_map(|(kind, n)| Step::Fail(kind, n)),
        (kind(), 1..4_u32).prop_map(|(kind, n)| Step::Succeed(kind, n)),
        kind().prop_map(Step::Lock),
        (kind(), any::<bool>()).prop_map(|(kind, cap)| Step::Unlock(kind, cap)),
        (1..3_u32).prop_map(Step::Codes),
        (1..3_u32, 0..10_u32).prop_map(|(set, index)| Step::UseCode(set, index)),
        prop_oneof![Just(Channel::Sms), Just(Channel::Email)].prop_map(Step::Order),
        Just(Step::Send),
        Just(Step::Dispatch),
        Just(Step::Deliver),
        Just(Step::GiveUp),
        Just(Step::Reset),
        Just(Step::Erase),
        Just(Step::CutOff),
        (1..100_000_u32).prop_map(Step::Wait),
        Just(Step::Retain),
        Just(Step::Settle),
    ]
}

/// The method 1 and 3 are apps, 2 is a phone.
const fn method(number: u32) -> MethodKind {
    if number == 2 { MethodKind::Sms } else { MethodKind::Totp }
}

struct Person {
    account: AccountId,
    sessions: Vec<SessionId>,
    verification: VerificationId,
    order: Option<EventId>,
}

async fn happen(world: &World, person: &mut Person, step: Step) {
    let account = person.account;
    let session = |n: u32| person.sessions[n as usize];
    let event: Event = match step {
        Step::Register => world.registered(account, "someone@example.com"),
        Step::Confirm => confirmed(),
        Step::Enroll(n) if method(n) == MethodKind::Sms => world.enrolling_sms(n),
        Step::Enroll(n) => world.enrolling_totp(n),
        Step::Enable(n, primary) => {
            world.acts(Actor::Session { session_id: session(n) });
            world.enabled(n, method(n), primary)
        }
        Step::Disable(n) => world.disabled(n, method(n)),
        Step::Primary(n) => PrimaryMethodChanged { method_id: MethodId(n) }.into(),
        Step::SignIn(n) => world.signed_in(session(n), Aal::Aal1),
        Step::SignOut(n) => SignedOut { session_id: session(n) }.into(),
        Step::Fail(kind, n) => world.rejected(kind, n),
        Step::Succeed(kind, n) => {
            succeeded_in(person.verification, Purpose::SignIn, kind, Some(n), world.later(Seconds(600)))
        }
        Step::Lock(kind) => {
            MethodLocked { kind, locked_until: world.later(Seconds(900)), side: domain::values::Side::Others }.into()
        }
        Step::Unlock(kind, cap_lifted) => {
            MethodUnlocked { kinds: vec![kind], cap_lifted, reason: text("asked"), by: None }.into()
        }
        Step::Codes(set) => codes_generated(set),
        Step::UseCode(set, index) => world.code_used(set, index, 9 - index),
        Step::Order(channel) => {
            person.verification = VerificationId(world.uuid());
            let issued = world.issued(person.verification, channel, Purpose::SignIn);
            person.order = Some(world.given(account, [issued]).await);
            return;
        }
        Step::Send | Step::Dispatch | Step::Deliver | Step::GiveUp => {
            let order = person.order.unwrap_or(EventId(account.0));
            let provider = "gateway".to_owned();
            let event = match step {
                Step::Send => world.send_started(order, account, Channel::Sms, 1),
                Step::Dispatch => CodeDispatched { provider, attempt: 1, provider_message_id: None }.into(),
                Step::Deliver => CodeDelivered { provider, attempt: 1 }.into(),
                _ => CodeDeliveryFailed { provider, attempt: 1, reason: "no".to_owned(), is_final: true }.into(),
            };
            world.append(&StreamId::Delivery(order), [event]).await;
            return;
        }
        Step::Reset => TwoFactorReset {
            reason: text("asked"),
            method_ids: vec![],
            code: None,
            code_expires_at: None,
            by: None,
            phone_numbers: vec![],
        }
        .into(),
        Step::Erase => AccountErased { verification_id: None }.into(),
        Step::Retain => RetentionApplied { before: world.now() }.into(),
        Step::CutOff => {
            let cut_off = SessionsCutOff { before: world.now(), reason: text("asked") };
            world.append(&StreamId::Installation, [cut_off.into()]).await;
            return;
        }
        Step::Wait(seconds) => {
            world.advance(Seconds(seconds));
            return;
        }
        Step::Settle => return,
    };
    world.given(account, [event]).await;
    world.acts(Actor::Anonymous);
}

async fn live_and_replayed(on: On, steps: Vec<(usize, Step)>) {
    let world = World::new(on).await;
    let mut people: Vec<Person> = (0..3)
        .map(|_| Person {
            account: AccountId(world.uuid()),
            sessions: (0..4).map(|_| SessionId(world.uuid())).collect(),
            verification: VerificationId(world.uuid()),
            order: None,
        })
        .collect();
    let views = world.run().await;
    for (who, step) in steps {
        if matches!(step, Step::Settle) {
            world.settle(&views).await;
        }
        happen(&world, &mut people[who], step).await;
    }
    world.settle(&views).await;
    let report = views.rebuild("all", &|_| (), &CancellationToken::new()).await.unwrap();
    assert!(report.is_equal(), "{report:#?}");
    for person in &people {
        // Reading never fails, whatever the history.
        views.methods(person.account).await.unwrap();
        views.recovery_codes(person.account).await.unwrap();
        views.sessions(person.account).await.unwrap();
        views.account(person.account).await.unwrap();
    }
    views.stop().await;
}

fn runs(on: On, steps: Vec<(usize, Step)>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(live_and_replayed(on, steps));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn live_views_equal_a_replay_on_sqlite(steps in prop::collection::vec((0..3_usize, step()), 1..120)) {
        runs(On::Sqlite, steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn live_views_equal_a_replay_on_postgres(steps in prop::collection::vec((0..3_usize, step()), 1..120)) {
        runs(On::Postgres, steps);
    }
}
