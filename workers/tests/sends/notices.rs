//! Notices: each thing that the holder must hear of, exactly once, at the right address.

use std::collections::BTreeSet;

use crate::support::{NUMBER, World, fresh, gateway::Answer};
use domain::{
    events::*,
    ids::{AccessTokenId, AccountId, ApiKeyId, MethodId, SessionId, StreamId, VerificationId},
    personal::Personal::{Erased, Known},
    policy::Policy,
    secret::TokenHash,
    time::{Seconds, Timestamp},
    values::{
        Aal, Actor, Amr, Channel, Country, Credential, EmailAddress, FactorKind, FreeText, Label, MethodKind,
        PasswordHash, PhoneNumber, Purpose,
    },
};
use event_store::{keys::KeyState, port::Checkpoints, testing::eventually};
use schemas::envelope::{Position, Version};
use vault::{Token, TokenKind};
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

fn signed_in(is_new_place: bool) -> Event {
    SignedIn {
        session_id: SessionId(fresh()),
        token_hash: TokenHash([7; 32]),
        aal: Aal::Aal1,
        amr: vec![Amr::Pwd],
        expires_at: Timestamp::EPOCH,
        idle_timeout: Seconds::hours(24),
        verification_id: None,
        api_key_id: None,
        access_token_id: None,
        is_limited: false,
        is_new_place,
    }
    .into()
}

fn enabled(method_id: MethodId, kind: MethodKind) -> Event {
    let (label, verification_id) = (Known(label()), verification());
    MethodEnabled { method_id, kind, label, verification_id, totp_step: None, is_primary: method_id.0 == 1 }.into()
}

fn disabled(method_id: MethodId, kind: MethodKind) -> Event {
    MethodDisabled { method_id, kind, verification_id: verification() }.into()
}

/// Events that order one notice, and words of it.
fn noticed(world: &World) -> Vec<(Event, &'static str)> {
    let method_id = MethodId(1);
    let verification_id = verification();
    let tomorrow = world.now().plus(Seconds::hours(24));
    vec![
        (password(None), "new password was set"),
        (password(Some(verification_id)), "was reset with a code"),
        (signed_in(true), "that were not used with it before"),
        (SignInUnfinished { verification_id }.into(), "the right password"),
        (SessionsEnded { reason: reason(), by: None }.into(), "lost phone"),
        (
            AccessTokenIssued {
                access_token_id: AccessTokenId(fresh()),
                token_hash: TokenHash([8; 32]),
                name: reason(),
                expires_at: tomorrow,
                verification_id: None,
            }
            .into(),
            "Until 25 November 2026 at 12:00 UTC it stands for your password",
        ),
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
        (enabled(method_id, MethodKind::Totp), "authenticator app was added"),
        (MethodRelabelled { method_id, label: Known(label()) }.into(), "has another name"),
        (PrimaryMethodChanged { method_id: MethodId(2) }.into(), "is the primary one"),
        (disabled(method_id, MethodKind::Sms), "was removed"),
        (TwoFactorEnabled {}.into(), "turned on"),
        (TwoFactorDisabled {}.into(), "turned off"),
        (recovery_codes(Some(verification_id)), "New recovery codes"),
        (RecoveryCodeUsed { set: 1, index: 0, remaining: 9, verification_id }.into(), "9 codes are left"),
        (
            TwoFactorResetRequested { reason: reason(), by: None, expires_at: tomorrow }.into(),
            "has to approve it until 25 November 2026 at 12:00 UTC",
        ),
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
        (ChangesFrozen { change: verification_id, until: tomorrow }.into(), "stop changes to your account until 25"),
        (ChangesUnfrozen { change: verification_id }.into(), "are possible again"),
    ]
}

/// Events of the same types that order none, and others that change nothing a holder must hear of.
fn silent() -> Vec<Event> {
    vec![
        signed_in(false),
        rejected(FactorKind::Totp, 1, false),
        rejected(FactorKind::RecoveryCode, 0, true),
        recovery_codes(None),
        // What follows from a removal goes without saying.
        PrimaryMethodChanged { method_id: MethodId(1) }.into(),
        SessionsCutOff { before: Timestamp::EPOCH, reason: reason() }.into(),
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
        assert!(mails[0].body.contains("When: 24 November 2026 at 12:00 UTC"), "{}", mails[0].body);
        // What people entered to find things again by is nobody's business on the way, and helps no phishing.
        assert!(!mails[0].body.contains("my phone"), "{}", mails[0].body);
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
    types.extend(["EmailChanged", "EmailChangeUndone", "FarewellOrdered"]);
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

const OTHER_NUMBER: &str = "+447400123456";

/// An account with an app and two numbers.
async fn with_numbers(world: &World) -> AccountId {
    let account = world.account("ada@example.com").await;
    let enrolled = |id: u32, number: &str| {
        let (phone, method_id) = (PhoneNumber::parse(number).unwrap(), MethodId(id));
        let started = SmsEnrollmentStarted {
            method_id,
            verification_id: verification(),
            country: phone.country(),
            prefix: phone.prefix(),
            phone_number: Known(phone),
            started_by: Credential::Session(SessionId(fresh())),
            attempts: 5,
            expires_at: world.now().plus(Seconds::hours(1)),
        };
        [started.into(), enabled(method_id, MethodKind::Sms)]
    };
    let events = [enabled(MethodId(1), MethodKind::Totp)].into_iter();
    let events = events.chain(enrolled(2, NUMBER)).chain(enrolled(3, OTHER_NUMBER)).collect();
    world.append(&StreamId::Account(account), events).await;
    account
}

/// Who was told by text of what, after this.
async fn texted(world: &World, account: AccountId, events: Vec<Event>) -> Vec<(String, String)> {
    let before = world.given().len();
    let last = *world.append(&StreamId::Account(account), events).await.last().unwrap();
    let running = world.run(&[Role::Notices], world.willing());
    world.finished(Role::Notices, last).await;
    running.stop().await;
    let texts = world.given().split_off(before).into_iter().filter(|given| given.channel == Channel::Sms);
    let mut texts: Vec<_> = texts.map(|given| (given.to, given.body)).collect();
    texts.sort();
    texts
}

fn told_by_text(texts: &[(String, String)], words: &str) -> Vec<String> {
    for (_, text) in texts {
        assert!(text.contains(words) && text.chars().count() <= 160, "{text}");
        assert!(!text.contains("example") && !text.contains('+') && !text.contains("lost phone"), "{text}");
    }
    texts.iter().map(|(to, _)| to.clone()).collect()
}

#[tokio::test]
async fn what_may_cost_the_account_is_told_by_text_to_every_number_that_was_on_file() {
    let world = World::new().await;
    let account = with_numbers(&world).await;
    let running = world.run(&[Role::Notices], world.willing());
    let last = world.append(&StreamId::Account(account), vec![TwoFactorEnabled {}.into()]).await[0];
    world.finished(Role::Notices, last).await;
    running.stop().await;
    assert!(world.given().iter().all(|given| given.channel == Channel::Email), "a new method is told by mail alone");

    let changed = texted(&world, account, vec![address_changed("ada@example.org")]).await;
    assert_eq!(told_by_text(&changed, "Your email address was changed"), [NUMBER, OTHER_NUMBER]);
    let removed = texted(&world, account, vec![disabled(MethodId(2), MethodKind::Sms)]).await;
    assert_eq!(told_by_text(&removed, "A sign-in method was removed"), [NUMBER, OTHER_NUMBER]);
    let app = texted(&world, account, vec![disabled(MethodId(1), MethodKind::Totp)]).await;
    assert_eq!(told_by_text(&app, "A sign-in method was removed"), [OTHER_NUMBER]);
    let reset = TwoFactorReset {
        reason: reason(),
        method_ids: vec![MethodId(3)],
        code: None,
        code_expires_at: None,
        by: None,
        phone_numbers: vec![],
    };
    let reset = texted(&world, account, vec![reset.into(), TwoFactorDisabled {}.into()]).await;
    assert_eq!(told_by_text(&reset, "Support reset your second factors"), [OTHER_NUMBER]);
    assert_eq!(texted(&world, account, vec![password(None)]).await, []);

    let all = world.given().len();
    world.lose_checkpoints().await;
    let again = world.run(&[Role::Notices], world.willing());
    let last = world.append(&StreamId::Account(account), vec![signed_in(false)]).await[0];
    world.finished(Role::Notices, last).await;
    again.stop().await;
    assert_eq!(world.given().len(), all, "nothing goes out twice");
}

#[tokio::test]
async fn no_notice_is_texted_to_a_country_that_policy_leaves_out() {
    let blocked_countries = vec![Country("AT".to_owned())];
    let world = World::with_policy(Policy { blocked_countries, ..Policy::default() }).await;
    let account = with_numbers(&world).await;
    let changed = texted(&world, account, vec![address_changed("ada@example.org")]).await;
    assert_eq!(told_by_text(&changed, "Your email address was changed"), [OTHER_NUMBER]);
}

fn address_changed(to: &str) -> Event {
    EmailChanged {
        email: Known(EmailAddress::parse(to).unwrap()),
        verification_id: verification(),
        old_email: None,
        phone_numbers: vec![],
        quiet_until: None,
        undo_until: None,
    }
    .into()
}

#[tokio::test]
async fn the_way_back_is_mailed_to_the_old_address_alone_and_is_of_this_change() {
    let world = World::new().await;
    let account = with_numbers(&world).await;
    let stream = StreamId::Account(account);
    let change = verification();
    let changed = EmailChanged {
        undo_until: Some(world.now().plus(Seconds::days(7))),
        verification_id: change,
        ..match address_changed("mallory@example.org") {
            Event::EmailChanged(event) => event,
            other => panic!("{other:?}"),
        }
    };
    let frozen = ChangesFrozen { change, until: world.now().plus(Seconds::hours(24)) };
    let last = world.append(&stream, vec![changed.into(), frozen.into()]).await[0];
    let running = world.run(&[Role::Notices], world.willing());
    world.finished(Role::Notices, last).await;
    running.stop().await;

    let given = world.given();
    let with_token: Vec<_> = given.iter().filter(|given| given.body.contains("cs_undo_")).collect();
    assert_eq!(with_token.iter().map(|given| given.to.as_str()).collect::<Vec<_>>(), ["ada@example.com"]);
    let token = with_token[0].body.lines().find_map(|line| line.strip_prefix("    cs_undo_")).unwrap();
    let token = Token::parse(&format!("cs_undo_{token}")).unwrap();
    let key = world.engine.keys().key(&stream).await.unwrap().unwrap();
    assert_eq!((token.kind, token.stream, token.id), (TokenKind::EmailUndo, account.0, change.0));
    assert_eq!(token.secret, key.email_undo_secret(change));
    let told_of_the_stop = given.iter().filter(|given| given.body.contains("stop changes"));
    let mut told: Vec<_> = told_of_the_stop.map(|given| given.to.as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, ["ada@example.com", "mallory@example.org"]);
}

#[tokio::test]
async fn an_undone_change_of_address_is_told_to_both_addresses_and_to_all_numbers() {
    let world = World::new().await;
    let account = with_numbers(&world).await;
    let stream = StreamId::Account(account);
    let change = verification();
    let changed = EmailChanged {
        undo_until: Some(world.now().plus(Seconds::days(7))),
        verification_id: change,
        ..match address_changed("mallory@example.org") {
            Event::EmailChanged(event) => event,
            other => panic!("{other:?}"),
        }
    };
    world.append(&stream, vec![changed.into(), disabled(MethodId(2), MethodKind::Sms)]).await;
    let undone = EmailChangeUndone {
        change,
        email: Known(EmailAddress::parse("ada@example.com").unwrap()),
        kind: None,
        methods: vec![],
        two_factor_since: None,
        recovery_codes: None,
    };
    let texts = texted(&world, account, vec![undone.into()]).await;
    let texts: Vec<_> = texts.into_iter().filter(|(_, text)| text.contains("was undone")).collect();
    assert_eq!(told_by_text(&texts, "The change of your email address was undone"), [NUMBER, OTHER_NUMBER]);
    let mut mails: Vec<_> = world
        .given()
        .into_iter()
        .filter(|given| given.channel == Channel::Email && given.body.contains("undone"))
        .map(|given| (given.to, given.body.contains("not the account's any more")))
        .collect();
    mails.sort();
    assert_eq!(mails, [("ada@example.com".to_owned(), false), ("mallory@example.org".to_owned(), true)]);
}

#[tokio::test]
async fn a_notice_goes_to_the_address_of_then_whatever_became_of_the_account_since() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let stream = StreamId::Account(account);
    // All of it before a worker looks: whoever took the account changed its address right away.
    let removed = world.append(&stream, vec![TwoFactorDisabled {}.into()]).await[0];
    let last = world.append(&stream, vec![address_changed("mallory@example.org")]).await[0];
    let running = world.run(&[Role::Notices], world.willing());
    world.finished(Role::Notices, last).await;
    running.stop().await;
    let told: Vec<_> = world.given().into_iter().filter(|given| given.reference == removed.id.0).collect();
    assert_eq!(told.iter().map(|given| given.to.as_str()).collect::<Vec<_>>(), ["ada@example.com"]);
}

#[tokio::test]
async fn a_first_method_that_was_not_added_in_a_session_says_what_added_it() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let by = [
        (Actor::ApiClient { api_key_id: ApiKeyId(fresh()) }, "added to your account by an application"),
        (Actor::AccessToken { access_token_id: AccessTokenId(fresh()) }, "added to your account, with an access token"),
        (Actor::Session { session_id: SessionId(fresh()) }, "added to your account."),
    ];
    let running = world.run(&[Role::Notices], world.willing());
    for (actor, words) in by {
        let enabled = vec![enabled(MethodId(1), MethodKind::Totp)];
        let order = world.append_as(actor, &StreamId::Account(account), enabled).await[0];
        world.finished(Role::Notices, order).await;
        let given = world.given().into_iter().find(|given| given.reference == order.id.0).unwrap();
        assert!(given.body.contains(words), "{}", given.body);
    }
    running.stop().await;
}

async fn noted(world: &World, account: AccountId) -> usize {
    let history = world.engine.history(&StreamId::Account(account), Version::NONE, 100).await.unwrap();
    history.iter().filter(|recorded| matches!(recorded.event, Event::SignInUnfinished(_))).count()
}

fn sign_in_begun(world: &World) -> Event {
    VerificationStarted {
        verification_id: verification(),
        purpose: Purpose::SignIn,
        action: None,
        target: None,
        started_by: None,
        token_hash: TokenHash([9; 32]),
        first_factor: vec![Amr::Pwd],
        new_email: None,
        yields_session: true,
        attempts: None,
        expires_at: world.now().plus(Seconds::minutes(15)),
        asked: None,
        source: None,
        replaces: None,
    }
    .into()
}

#[tokio::test]
async fn a_right_password_without_its_second_factor_is_told_when_its_end_is_past_and_once() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let stream = StreamId::Account(account);
    world.append(&stream, vec![sign_in_begun(&world)]).await;
    let finished = match sign_in_begun(&world) {
        Event::VerificationStarted(event) => event,
        other => panic!("{other:?}"),
    };
    let done = SignedIn { verification_id: Some(finished.verification_id), ..session_event() };
    let other = world.account("ben@example.com").await;
    world.append(&StreamId::Account(other), vec![finished.into(), done.into()]).await;

    let running = world.run(&[Role::Notices], world.willing());
    world.clock.advance(Seconds(15 * 60 - 1));
    let beside = world.append(&stream, vec![password(None)]).await[0];
    world.finished(Role::Notices, beside).await;
    assert_eq!(noted(&world, account).await, 0, "its end is not past");
    running.stop().await;

    // Another process goes on from where the first one stood: at the sign-in that it waited for.
    let running = world.run(&[Role::Notices], world.willing());
    world.clock.advance(Seconds(2));
    let is_told = async || {
        let told = world.given().into_iter().filter(|given| given.body.contains("the right password"));
        let told: Vec<_> = told.map(|given| given.to).collect();
        (!told.is_empty()).then_some(told)
    };
    assert_eq!(eventually(is_told).await, Some(vec!["ada@example.com".to_owned()]));
    let head = world.engine.log().last_position().await.unwrap();
    let is_behind = async || {
        let stands = world.checkpoints.load("workers.unfinished-sign-ins").await.unwrap();
        (stands >= head).then_some(())
    };
    let nothing = world.append(&stream, vec![signed_in(false)]).await[0];
    world.finished(Role::Notices, nothing).await;
    assert!(eventually(is_behind).await.is_some(), "the reader goes on");
    running.stop().await;

    world.checkpoints.save("workers.unfinished-sign-ins", Position::START).await.unwrap();
    let again = world.run(&[Role::Notices], world.willing());
    assert!(eventually(is_behind).await.is_some(), "everything is looked at again");
    again.stop().await;
    assert_eq!((noted(&world, account).await, noted(&world, other).await), (1, 0));
}

fn session_event() -> SignedIn {
    match signed_in(false) {
        Event::SignedIn(event) => event,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_owner_of_an_erased_account_is_told_at_the_address_that_goes_with_it() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let (stream, farewell) = (StreamId::Account(account), StreamId::Farewell(account));
    world.append(&stream, vec![AccountErased { verification_id: None }.into()]).await;
    world.engine.erase_after(account).await.unwrap();
    assert!(matches!(world.engine.keys().state_in_store(&stream).await.unwrap(), KeyState::Erased));
    assert!(matches!(world.engine.keys().state_in_store(&farewell).await.unwrap(), KeyState::Open(_)));

    let gateways = || Gateways { sms: vec![], email: vec![world.gateway("busy", [Answer::PutOff; 2])] };
    let running = world.run(&[Role::Notices], gateways());
    let is_forgotten = async || {
        let state = world.engine.keys().state_in_store(&farewell).await;
        matches!(state, Ok(KeyState::Erased)).then_some(())
    };
    assert!(eventually(is_forgotten).await.is_some(), "the address goes with the notice");
    running.stop().await;
    let given = world.given();
    assert_eq!(given.len(), 3, "it is tried until a gateway takes it");
    assert!(given.iter().all(|given| given.to == "ada@example.com"));
    assert!(given[2].body.contains("Your account was deleted"), "{}", given[2].body);
    let history = world.engine.history(&farewell, Version::NONE, 10).await.unwrap();
    let Event::FarewellOrdered(ordered) = &history[0].event else { panic!("{history:?}") };
    assert_eq!((history.len(), &ordered.addresses[..]), (1, &[Erased][..]), "nobody reads the address any more");

    world.lose_checkpoints().await;
    world.engine.erase_after(account).await.unwrap();
    let again = world.run(&[Role::Notices], world.willing());
    let last = world.append(&StreamId::Account(world.account("ben@example.com").await), vec![password(None)]).await[0];
    world.finished(Role::Notices, last).await;
    again.stop().await;
    assert_eq!(world.given().iter().filter(|given| given.to == "ada@example.com").count(), 3);
}

#[tokio::test]
async fn a_farewell_that_cannot_be_said_for_a_day_is_forgotten_all_the_same() {
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    world.append(&StreamId::Account(account), vec![AccountErased { verification_id: None }.into()]).await;
    world.engine.erase_after(account).await.unwrap();
    assert_eq!(world.engine.unfinished_erasures().await.unwrap(), []);
    world.clock.advance(Seconds::hours(24));
    let found = world.engine.unfinished_erasures().await.unwrap();
    assert_eq!(found.iter().map(|found| found.account_id).collect::<Vec<_>>(), [account], "a doctor sees it");

    let running = world.run(&[Role::Notices], world.willing());
    let is_forgotten = async || world.engine.unfinished_erasures().await.unwrap().is_empty().then_some(());
    assert!(eventually(is_forgotten).await.is_some());
    running.stop().await;
    assert_eq!(world.given().len(), 0);
}

#[tokio::test]
async fn an_account_whose_address_was_never_confirmed_is_erased_without_a_word() {
    let world = World::new().await;
    let account = world.unconfirmed("ada@example.com").await;
    world.append(&StreamId::Account(account), vec![AccountErased { verification_id: None }.into()]).await;
    world.engine.erase_after(account).await.unwrap();
    let farewell = StreamId::Farewell(account);
    assert!(matches!(world.engine.keys().state_in_store(&farewell).await.unwrap(), KeyState::Absent));
    assert_eq!(world.engine.log().head(&farewell).await.unwrap(), Version::NONE);
}
