//! Codes by SMS and mail: once, in time, by whichever gateway takes them.

use std::time::Duration;

use crate::support::{NUMBER, World, fresh, gateway::Answer, until};
use domain::{
    commands::Command,
    events::{AccountErased, Event},
    ids::{AccountId, StreamId},
    outcome::Outcome,
    secret::Secret,
    time::Seconds,
    values::{Caller, EmailAddress, Purpose},
};
use event_store::testing::{MemoryCheckpoints, eventually};
use schemas::envelope::Position;
use workers::{Gateways, InboxGateway, Role};

const SENT: [&str; 2] = ["SendStarted", "CodeDispatched"];

#[tokio::test]
async fn a_text_carries_the_code_and_leaves_a_record_that_names_its_cause() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let running = world.run(&[Role::Sms, Role::Email], world.willing());
    let issued = world.text(Purpose::SignIn);
    let order = world.order(account, &issued).await;
    world.finished(Role::Sms, order).await;
    running.stop().await;

    let given = world.given();
    assert_eq!(given.len(), 1);
    let digits = world.digits(account, &issued).await;
    assert_eq!(given[0].code.as_ref(), Some(&digits));
    assert!(given[0].body.contains(&digits) && given[0].body.contains("to sign in"));
    assert_eq!((given[0].to.as_str(), given[0].reference), (NUMBER, order.id.0));

    assert_eq!(world.record(order).await, SENT);
    let record = world.delivery(order).await;
    for recorded in &record {
        assert_eq!(recorded.metadata.causation_id, Some(order.id));
        assert_eq!(recorded.metadata.actor, domain::values::Actor::Worker);
    }
    let Event::SendStarted(started) = &record[0].event else { panic!("{record:?}") };
    assert_eq!((started.subject.as_str(), started.provider.as_str()), ("sign_in", "willing"));
    assert_eq!(started.deadline, issued.expires_at);
    let Event::CodeDispatched(dispatched) = &record[1].event else { panic!("{record:?}") };
    assert_eq!(dispatched.provider_message_id.as_deref(), Some("willing-1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_and_a_lost_checkpoint_send_every_code_once() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let other = world.other_process().await;
    let (one, two) = (world.run(&[Role::Sms], world.willing()), other.run(&[Role::Sms], world.willing()));
    let mut orders = Vec::new();
    for _ in 0..40 {
        orders.push(world.order_text(account).await);
    }
    until("all texts", || world.given().len() >= orders.len()).await;
    one.stop().await;
    other.finished(Role::Sms, orders[39]).await;
    two.stop().await;

    world.lose_checkpoints().await;
    let again = world.run(&[Role::Sms], world.willing());
    world.finished(Role::Sms, orders[39]).await;
    again.stop().await;

    let mut sent: Vec<_> = world.given().iter().map(|given| given.reference).collect();
    sent.sort();
    let mut ordered: Vec<_> = orders.iter().map(|order| order.id.0).collect();
    ordered.sort();
    assert_eq!(sent, ordered, "each order once");
    for order in orders {
        assert_eq!(world.record(order).await, SENT);
    }
}

#[tokio::test]
async fn a_crash_between_the_answer_and_its_record_leads_to_one_repeat_and_no_more() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let hanging = || Gateways { sms: vec![world.gateway("hanging", [Answer::Hang])], email: vec![] };

    let first = world.run(&[Role::Sms], hanging());
    let order = world.order_text(account).await;
    until("the first copy", || world.given().len() == 1).await;
    first.crash().await;

    // Before its time is over nobody else touches it.
    let early = world.run(&[Role::Sms], hanging());
    let other = world.order_text(account).await;
    until("the other text", || world.given().len() == 2).await;
    assert_eq!(world.given()[1].reference, other.id.0);
    early.crash().await;

    world.clock.advance(Seconds(31));
    let second = world.run(&[Role::Sms], Gateways { sms: vec![world.gateway("h", [Answer::Hang; 2])], email: vec![] });
    until("the repeats", || world.given().len() == 4).await;
    second.crash().await;

    world.clock.advance(Seconds(31));
    let third = world.run(&[Role::Sms], world.willing());
    world.finished(Role::Sms, other).await;
    third.stop().await;
    assert_eq!(world.given().len(), 4, "one repeat each");
    let unknown = ["SendStarted", "SendOutcomeUnknown", "SendStarted", "SendOutcomeUnknown"];
    assert_eq!(world.record(order).await, unknown);
}

#[tokio::test]
async fn the_repeat_of_an_unknown_outcome_has_the_same_reference_and_code() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let gateways = Gateways { sms: vec![world.gateway("hanging", [Answer::Hang])], email: vec![] };
    let first = world.run(&[Role::Sms], gateways);
    let order = world.order_text(account).await;
    until("the first copy", || world.given().len() == 1).await;
    first.crash().await;
    world.clock.advance(Seconds(31));
    let second = world.run(&[Role::Sms], world.willing());
    world.finished(Role::Sms, order).await;
    second.stop().await;
    let given = world.given();
    assert_eq!(given.len(), 2);
    assert_eq!((&given[0].code, given[0].reference), (&given[1].code, given[1].reference));
    assert_eq!(world.record(order).await, ["SendStarted", "SendOutcomeUnknown", "SendStarted", "CodeDispatched"]);
}

#[tokio::test]
async fn a_code_past_its_end_is_never_sent_and_that_is_on_record() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let order = world.order_text(account).await;
    world.clock.advance(Seconds::minutes(10));
    let running = world.run(&[Role::Sms], world.willing());
    world.finished(Role::Sms, order).await;
    running.stop().await;
    assert!(world.given().is_empty());
    let record = world.delivery(order).await;
    let Some(Event::CodeDeliveryFailed(failed)) = record.last().map(|last| &last.event) else { panic!("{record:?}") };
    assert_eq!((failed.reason.as_str(), failed.is_final), ("too_late", true));

    world.lose_checkpoints().await;
    let again = world.run(&[Role::Sms], world.willing());
    world.finished(Role::Sms, order).await;
    again.stop().await;
    assert_eq!(world.delivery(order).await.len(), record.len(), "a second look adds nothing");
}

#[tokio::test]
async fn a_hard_failure_and_a_time_out_move_to_the_next_gateway_at_once() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let gateways = Gateways {
        sms: vec![
            world.gateway("refusing", [Answer::Refuse]),
            world.gateway("silent", [Answer::Hang]),
            world.gateway("third", []),
        ],
        email: vec![],
    };
    let running = world.run_with(&[Role::Sms], gateways, Duration::from_millis(30));
    let order = world.order_text(account).await;
    world.finished(Role::Sms, order).await;
    running.stop().await;

    let asked: Vec<_> = world.given().iter().map(|given| given.gateway.clone()).collect();
    assert_eq!(asked, ["refusing", "silent", "third"]);
    let record = world.delivery(order).await;
    let failures: Vec<_> = record
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::CodeDeliveryFailed(e) => Some((e.provider.as_str(), e.reason.as_str(), e.is_final)),
            _ => None,
        })
        .collect();
    assert_eq!(failures, [("refusing", "hard.refused", false), ("silent", "timed_out", false)]);
    assert_eq!(record.last().unwrap().event.name(), "CodeDispatched");
}

#[tokio::test]
async fn when_every_gateway_refuses_the_failure_is_final() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let gateways = Gateways {
        sms: vec![world.gateway("one", [Answer::Refuse]), world.gateway("two", [Answer::Refuse])],
        email: vec![],
    };
    let running = world.run(&[Role::Sms], gateways);
    let order = world.order_text(account).await;
    world.finished(Role::Sms, order).await;
    running.stop().await;
    assert_eq!(world.given().len(), 2);
    let record = world.delivery(order).await;
    assert!(matches!(&record.last().unwrap().event, Event::CodeDeliveryFailed(e) if e.is_final && e.provider == "two"));
}

#[tokio::test]
async fn what_is_put_off_is_tried_again_after_a_wait_while_other_codes_go_out() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let gateways = Gateways {
        sms: vec![world.gateway("busy", [Answer::PutOff, Answer::PutOff]), world.gateway("idle", [])],
        email: vec![],
    };
    let running = world.run(&[Role::Sms], gateways);
    let order = world.order_text(account).await;
    world.finished(Role::Sms, order).await;
    running.stop().await;
    let asked: Vec<_> = world.given().iter().map(|given| given.gateway.clone()).collect();
    assert_eq!(asked, ["busy", "busy", "busy"], "the same gateway, until it takes it");
    assert_eq!(world.record(order).await.last(), Some(&"CodeDispatched"));
}

#[tokio::test]
async fn a_failure_whose_next_try_would_be_too_late_is_final() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let mut issued = world.text(Purpose::SignIn);
    issued.expires_at = domain::time::Timestamp::from_millis(world.now().as_millis() + 1);
    let order = world.order(account, &issued).await;
    let running =
        world.run(&[Role::Sms], Gateways { sms: vec![world.gateway("busy", [Answer::PutOff])], email: vec![] });
    world.finished(Role::Sms, order).await;
    running.stop().await;
    assert_eq!(world.given().len(), 1);
    let record = world.delivery(order).await;
    assert!(matches!(&record.last().unwrap().event, Event::CodeDeliveryFailed(e) if e.is_final));
}

#[tokio::test]
async fn a_resend_without_a_receipt_goes_by_the_next_gateway_with_the_same_code() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let gateways = Gateways { sms: vec![world.gateway("one", []), world.gateway("two", [])], email: vec![] };
    let running = world.run(&[Role::Sms], gateways);
    let issued = world.text(Purpose::SignIn);
    let first = world.order(account, &issued).await;
    world.finished(Role::Sms, first).await;
    let again = world.order_again(account, &issued).await;
    world.finished(Role::Sms, again).await;
    let third = world.order_again(account, &issued).await;
    world.finished(Role::Sms, third).await;
    running.stop().await;
    let given = world.given();
    let asked: Vec<_> = given.iter().map(|given| given.gateway.as_str()).collect();
    assert_eq!(asked, ["one", "two", "one"]);
    assert!(given.iter().all(|each| each.code == given[0].code));
}

#[tokio::test]
async fn mail_to_an_address_that_another_account_holds_says_so_and_gives_no_code() {
    let world = World::new().await;
    world.account("ada@example.com").await;
    let second = world.unconfirmed("Ada@example.com").await;
    let running = world.run(&[Role::Sms, Role::Email], world.willing());
    let issued = world.mail(Purpose::ConfirmEmail, "Ada@example.com");
    let order = world.order(second, &issued).await;
    world.finished(Role::Email, order).await;
    running.stop().await;
    let given = world.given();
    assert_eq!(given.len(), 1);
    assert_eq!(given[0].code, None);
    assert!(given[0].subject.as_ref().unwrap().contains("already have an account"));
    assert!(!given[0].body.contains(&world.digits(second, &issued).await));
    assert_eq!(world.record(order).await, SENT, "seen from outside it is a send like any other");
}

#[tokio::test]
async fn mail_to_a_free_address_or_an_uncompleted_claim_carries_the_code() {
    let world = World::new().await;
    let running = world.run(&[Role::Email], world.willing());
    let first = world.unconfirmed("ada@example.com").await;
    let issued = world.mail(Purpose::ConfirmEmail, "ada@example.com");
    let order = world.order(first, &issued).await;
    world.finished(Role::Email, order).await;
    let claimed = domain::events::EmailClaimed { account_id: domain::personal::Personal::Known(first) };
    world.append(&world.claim_stream("ada@example.com"), vec![claimed.into()]).await;
    let second = world.unconfirmed("ada@example.com").await;
    let other = world.mail(Purpose::ConfirmEmail, "ada@example.com");
    let order = world.order(second, &other).await;
    world.finished(Role::Email, order).await;
    running.stop().await;
    let codes: Vec<_> = world.given().into_iter().map(|given| given.code).collect();
    assert_eq!(codes, [Some(world.digits(first, &issued).await), Some(world.digits(second, &other).await)]);
}

#[tokio::test]
async fn an_erased_account_is_sent_nothing() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let order = world.order_text(account).await;
    let stream = StreamId::Account(account);
    world.append(&stream, vec![AccountErased { verification_id: None }.into()]).await;
    world.engine.keys().erase(&stream).await.unwrap();
    let running = world.run(&[Role::Sms, Role::Email, Role::Notices], world.willing());
    world.finished(Role::Sms, order).await;
    running.stop().await;
    assert!(world.given().is_empty());
    assert!(world.record(order).await.is_empty());
}

#[tokio::test]
async fn a_stop_lets_what_is_in_flight_end_and_saves_the_checkpoint() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let gateways = Gateways { sms: vec![world.gateway("slow", [Answer::AcceptSlowly])], email: vec![] };
    let running = world.run(&[Role::Sms], gateways);
    let order = world.order_text(account).await;
    until("the gateway to be asked", || world.given().len() == 1).await;
    running.stop().await;
    assert_eq!(world.record(order).await, SENT);
    assert!(world.checkpoint(Role::Sms).await >= order.position);
}

#[tokio::test]
async fn a_checkpoint_does_not_pass_an_order_that_is_not_over() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let gateways = Gateways { sms: vec![world.gateway("hanging", [Answer::Hang])], email: vec![] };
    let running = world.run(&[Role::Sms], gateways);
    let stuck = world.order_text(account).await;
    until("the first to be in flight", || world.given().len() == 1).await;
    let later = world.order_text(account).await;
    until("the second to go out", || world.given().len() == 2).await;
    let moved = async || Some(world.checkpoint(Role::Sms).await).filter(|at| *at > Position::START);
    let checkpoint = eventually(moved).await.unwrap();
    assert!(checkpoint < stuck.position && stuck.position < later.position);
    running.crash().await;
}

#[tokio::test]
async fn the_inbox_shows_a_code_at_once_and_counts_as_delivered() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let inbox = std::sync::Arc::new(HeldInbox::default());
    let gateway = std::sync::Arc::new(InboxGateway::new(inbox.clone()));
    let running = world.run(&[Role::Sms, Role::Email], Gateways { sms: vec![gateway.clone()], email: vec![gateway] });
    let text = world.text(Purpose::Enroll);
    let text_order = world.order(account, &text).await;
    let mail = world.mail(Purpose::AddMethod, "ada@example.com");
    let mail_order = world.order(account, &mail).await;
    world.finished(Role::Sms, text_order).await;
    world.finished(Role::Email, mail_order).await;
    running.stop().await;
    let shown = inbox.0.lock().unwrap().clone();
    assert_eq!(shown.len(), 2);
    for (issued, order) in [(&text, text_order), (&mail, mail_order)] {
        let message = shown.iter().find(|message| message.id == order.id.0).unwrap();
        let digits = world.digits(account, issued).await;
        assert_eq!(message.code.as_ref().map(|code| code.expose().clone()), Some(digits));
        assert_eq!((message.channel, message.at), (issued.channel, world.now()));
        assert_eq!(message.subject.is_some(), issued.channel == domain::values::Channel::Email);
        assert_eq!(world.record(order).await, ["SendStarted", "CodeDispatched", "CodeDelivered"]);
    }
}

#[tokio::test]
async fn the_mailed_code_is_the_one_that_confirms_the_address() {
    let world = World::new().await;
    let running = world.run(&[Role::Email], world.willing());
    let account_id = AccountId(fresh());
    let register = Command::RegisterAccount {
        account_id,
        email: EmailAddress::parse("ada@example.com").unwrap(),
        password: Some(Secret::new("correct horse battery staple".to_owned())),
        vouch_for_email: false,
    };
    let request = world.fixture.request(Caller::Anonymous);
    world.engine.execute(account_id, register, &request).await.unwrap().outcome.unwrap();
    until("the mail", || !world.given().is_empty()).await;
    let code = Secret::new(world.given()[0].code.clone().unwrap());
    let request = world.fixture.request(Caller::Anonymous);
    let verified = world.engine.execute(account_id, Command::VerifyEmail { code }, &request).await.unwrap();
    assert_eq!(verified.outcome, Ok(Outcome::EmailVerified));
    running.stop().await;
}

#[tokio::test]
async fn a_role_without_a_gateway_does_not_start() {
    let world = World::new().await;
    let mut config = workers::WorkersConfig::with_inbox(std::sync::Arc::new(HeldInbox::default()), "Example");
    config.gateways.sms.clear();
    let cancel = tokio_util::sync::CancellationToken::new();
    let checkpoints = std::sync::Arc::new(MemoryCheckpoints::default());
    let ended = workers::run(config, world.engine.clone(), checkpoints, cancel).await;
    assert!(matches!(ended, Err(workers::WorkersError::NoGateway(Role::Sms))));
}

#[derive(Default)]
struct HeldInbox(std::sync::Mutex<Vec<workers::InboxMessage>>);

#[async_trait::async_trait]
impl workers::Inbox for HeldInbox {
    async fn put(&self, message: workers::InboxMessage) -> Result<(), workers::InboxUnavailable> {
        self.0.lock().unwrap().push(message);
        Ok(())
    }
}
