//! Notices: each thing that the holder must hear of, exactly once, at the right address.

use std::collections::BTreeSet;

use crate::support::{World, fresh, gateway::Answer};
use domain::{
    events::{
        AccountErased, CodeRejected, EmailChanged, Event, MethodDisabled, MethodEnabled, MethodLocked,
        MethodRelabelled, MethodUnlocked, PasswordSet, PrimaryMethodChanged, RecoveryCodeHashes, RecoveryCodeUsed,
        RecoveryCodesGenerated, RejectionReason, TwoFactorDisabled, TwoFactorEnabled, TwoFactorReset,
    },
    ids::{MethodId, StreamId, VerificationId},
    personal::Personal::Known,
    time::Seconds,
    values::{EmailAddress, FactorKind, FreeText, Label, MethodKind, PasswordHash, Purpose},
};
use event_store::{keys::KeyState, testing::eventually};
use workers::{Gateways, Role, orders};

fn verification() -> VerificationId {
    VerificationId(fresh())
}

fn label() -> Label {
    Label::parse("my phone").unwrap()
}

fn password(verification_id: Option<VerificationId>) -> Event {
    PasswordSet { password: Known(PasswordHash("$argon2id$x".to_owned())), verification_id, changes_wait_until: None }
        .into()
}

fn recovery_codes(verification_id: Option<VerificationId>) -> Event {
    let codes = RecoveryCodeHashes { salt: "00".to_owned(), memory_kib: 8, passes: 1, lanes: 1, hashes: vec![] };
    RecoveryCodesGenerated { set: 1, codes: Known(codes), count: 10, verification_id }.into()
}

fn rejected(kind: FactorKind, kind_failures: u32, account_locked: bool) -> Event {
    CodeRejected {
        verification_id: verification(),
        purpose: Purpose::SignIn,
        kind,
        method_id: None,
        reason: RejectionReason::Wrong,
        verification_failures: 1,
        kind_failures,
        account_failures: 100,
        account_locked,
        ended: false,
        clock_drift_steps: None,
        side: domain::values::Side::Others,
        tell_owner: false,
    }
    .into()
}

/// The same, of which its owner is told.
fn told(event: Event) -> Event {
    match event {
        Event::CodeRejected(rejected) => CodeRejected { tell_owner: true, ..rejected }.into(),
        event => event,
    }
}

fn reason() -> domain::personal::Personal<FreeText> {
    Known(FreeText::parse("lost phone").unwrap())
}

/// Events that order one notice, and words of it.
fn noticed(world: &World) -> Vec<(Event, &'static str)> {
    let method_id = MethodId(1);
    let verification_id = verification();
    vec![
        (password(None), "new password was set"),
        (password(Some(verification_id)), "was reset with a code"),
        (rejected(FactorKind::Totp, 3, true), "Very many wrong codes"),
        (told(rejected(FactorKind::Sms, 1, false)), "wrong codes in a row"),
        (told(rejected(FactorKind::RecoveryCode, 5, true)), "wrong recovery code"),
        (
            MethodLocked {
                kind: FactorKind::Sms,
                locked_until: world.now().plus(Seconds::minutes(15)),
                side: domain::values::Side::Others,
            }
            .into(),
            "24 November 2026 at 12:15 UTC",
        ),
        (
            MethodUnlocked { kinds: vec![FactorKind::Sms], cap_lifted: true, reason: reason(), by: None }.into(),
            "lost phone",
        ),
        (
            MethodEnabled {
                method_id,
                kind: MethodKind::Totp,
                label: Known(label()),
                verification_id,
                totp_step: None,
                is_primary: true,
            }
            .into(),
            "authenticator app was added",
        ),
        (MethodDisabled { method_id, kind: MethodKind::Sms, verification_id }.into(), "was removed"),
        (TwoFactorEnabled {}.into(), "turned on"),
        (TwoFactorDisabled {}.into(), "turned off"),
        (recovery_codes(Some(verification_id)), "New recovery codes"),
        (RecoveryCodeUsed { set: 1, index: 0, remaining: 9, verification_id }.into(), "9 codes are left"),
        (
            TwoFactorReset {
                reason: reason(),
                method_ids: vec![method_id],
                code: None,
                code_expires_at: None,
                by: None,
                phone_numbers: vec![],
            }
            .into(),
            "lost phone",
        ),
    ]
}

/// Events of the same types that order none, and others that change nothing a holder must hear of.
fn silent() -> Vec<Event> {
    let method_id = MethodId(1);
    vec![
        rejected(FactorKind::Totp, 1, false),
        rejected(FactorKind::RecoveryCode, 0, true),
        recovery_codes(None),
        MethodRelabelled { method_id, label: Known(label()) }.into(),
        PrimaryMethodChanged { method_id }.into(),
    ]
}

#[tokio::test]
async fn every_noticed_event_sends_exactly_one_notice_and_the_others_none() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let stream = StreamId::Account(account);
    let running = world.run(&[Role::Notices], world.willing());
    let mut last = world.append(&stream, silent()).await[0];
    let mut orders = Vec::new();
    for (event, words) in noticed(&world) {
        last = world.append(&stream, vec![event]).await[0];
        orders.push((last, words));
    }
    world.finished(Role::Notices, last).await;
    running.stop().await;

    let given = world.given();
    assert_eq!(given.len(), orders.len());
    for (order, words) in orders {
        let mails: Vec<_> = given.iter().filter(|given| given.reference == order.id.0).collect();
        assert_eq!(mails.len(), 1, "{words}");
        assert_eq!((mails[0].to.as_str(), &mails[0].code), ("ada@example.com", &None));
        assert!(mails[0].body.contains(words), "{words}: {}", mails[0].body);
        let record = world.delivery(order).await;
        let Event::SendStarted(started) = &record[0].event else { panic!("{record:?}") };
        assert_eq!((started.subject.as_str(), started.verification_id), ("notice", None));
        assert_eq!(started.deadline, world.now().plus(Seconds::hours(24)));
    }
}

#[tokio::test]
async fn the_types_that_the_role_reads_are_those_that_order_notices() {
    let world = World::new().await;
    let mut types: BTreeSet<_> = noticed(&world).iter().map(|(event, _)| event.name()).collect();
    types.insert("EmailChanged");
    assert_eq!(types, orders::NOTICE_ORDERS.into_iter().collect());
    let stored: BTreeSet<_> = schemas::registry::event_types().collect();
    for name in orders::NOTICE_ORDERS.iter().chain(&orders::CODE_ORDERS) {
        assert!(stored.contains(name), "{name}");
    }
}

#[tokio::test]
async fn a_change_of_address_is_told_to_the_address_before_and_to_the_new_one() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let stream = StreamId::Account(account);
    let change = |to: &str| -> Event {
        EmailChanged {
            email: Known(EmailAddress::parse(to).unwrap()),
            verification_id: verification(),
            old_email: None,
            phone_numbers: vec![],
            quiet_until: None,
            undo_until: None,
        }
        .into()
    };
    world.append(&stream, vec![change("ada@example.org")]).await;
    let last = world.append(&stream, vec![change("ada@example.net")]).await[0];
    let running = world.run(&[Role::Notices], world.willing());
    world.finished(Role::Notices, last).await;
    running.stop().await;
    let mut told: Vec<_> = world
        .given()
        .into_iter()
        .map(|given| (given.to, given.body.contains("This is the last mail to this address")))
        .collect();
    told.sort();
    let expected =
        [("ada@example.com", true), ("ada@example.net", false), ("ada@example.org", false), ("ada@example.org", true)];
    assert_eq!(told, expected.map(|(to, is_last)| (to.to_owned(), is_last)));

    world.lose_checkpoints().await;
    let again = world.run(&[Role::Notices], world.willing());
    world.finished(Role::Notices, last).await;
    again.stop().await;
    assert_eq!(world.given().len(), 4, "none of the four goes out twice");
}

#[tokio::test]
async fn an_address_that_was_never_confirmed_hears_nothing() {
    let world = World::new().await;
    let account = world.unconfirmed("ada@example.com").await;
    let running = world.run(&[Role::Notices], world.willing());
    let order = world.append(&StreamId::Account(account), vec![password(None)]).await[0];
    world.finished(Role::Notices, order).await;
    running.stop().await;
    assert!(world.given().is_empty());
}

#[tokio::test]
async fn a_notice_is_tried_until_a_gateway_takes_it_and_not_after_a_day() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let stream = StreamId::Account(account);
    let order = world.append(&stream, vec![TwoFactorEnabled {}.into()]).await[0];
    let gateways = || Gateways { sms: vec![], email: vec![world.gateway("busy", [Answer::PutOff; 4])] };
    let running = world.run(&[Role::Notices], gateways());
    world.finished(Role::Notices, order).await;
    assert_eq!(world.given().len(), 5);
    running.stop().await;

    let late = world.append(&stream, vec![TwoFactorDisabled {}.into()]).await[0];
    world.clock.advance(Seconds::hours(24));
    let running = world.run(&[Role::Notices], gateways());
    world.finished(Role::Notices, late).await;
    running.stop().await;
    assert_eq!(world.given().len(), 5);
    assert_eq!(world.record(late).await, ["SendStarted", "CodeDeliveryFailed"]);
}

#[tokio::test]
async fn an_erasure_that_was_interrupted_is_finished() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let stream = StreamId::Account(account);
    world.append(&stream, vec![AccountErased { verification_id: None }.into()]).await;
    assert!(world.engine.keys().key(&stream).await.unwrap().is_some(), "interrupted before the keys went");
    let running = world.run(&[Role::Notices], world.willing());
    let erased = eventually(async || {
        let state = world.engine.keys().state_in_store(&stream).await;
        matches!(state, Ok(KeyState::Erased)).then_some(())
    });
    assert!(erased.await.is_some(), "waited in vain for the key to be destroyed");
    running.stop().await;
    assert_eq!(world.engine.unfinished_erasures().await.unwrap(), []);
}
