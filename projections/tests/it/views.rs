//! What each view says after given events.

use crate::common::*;
use domain::{events::*, ids::*, personal::Personal, time::Seconds, values::*};
use projections::queries::{AccountFilter, Alert, DeliveryFilter, Order, Reveal, TimelineFilter};

over_each_engine! {
    a_method_is_listed_once_it_is_enabled_with_its_label_and_masked_number,
    another_primary_method_takes_the_place_and_a_new_label_shows,
    wrong_codes_count_until_a_right_one_and_a_lock_ends_by_itself,
    the_mail_of_a_forgotten_password_clears_no_count,
    the_current_recovery_codes_tell_which_were_used,
    sessions_and_access_tokens_are_listed_while_they_live,
    a_cut_off_ends_what_began_before_it_and_what_an_older_token_began,
    an_account_shows_where_it_stands_and_what_someone_should_look_at,
    security_teams_find_accounts_by_factor_lock_method_address_and_time,
    a_delivery_tells_how_far_it_got_and_whether_its_code_was_used,
    the_timeline_reads_as_one_line_per_event_in_both_orders,
    the_timeline_masks_opens_and_never_shows_a_secret,
    retention_drops_the_metadata_of_old_lines,
    adoption_counts_what_happened_per_day_and_as_it_stands,
    an_imported_account_stands_with_its_methods_and_codes,
    api_keys_are_listed_with_their_names_and_ends,
    an_erased_account_leaves_no_row_of_its_own,
    nothing_personal_is_kept_in_clear,
}

async fn a_method_is_listed_once_it_is_enabled_with_its_label_and_masked_number(on: On) {
    let world = World::new(on).await;
    let account = world.account().await;
    world.given(account, [world.enrolling_sms(1), world.enrolling_totp(2)]).await;
    let views = world.current().await;
    assert!(views.methods(account).await.unwrap().is_empty());

    world.given(account, [world.enabled(1, MethodKind::Sms, true)]).await;
    world.settle(&views).await;
    let methods = views.methods(account).await.unwrap();
    assert_eq!(methods.len(), 1);
    assert_eq!(methods[0].kind, MethodKind::Sms);
    assert_eq!(methods[0].label.as_deref(), Some("Label number 1"));
    assert_eq!(methods[0].phone_number.as_deref(), Some("•••• 4567"));
    assert_eq!(methods[0].country.as_deref(), Some("AT"));
    assert!(methods[0].is_primary);
    assert_eq!(methods[0].created_at, world.now());
    views.stop().await;
}

async fn another_primary_method_takes_the_place_and_a_new_label_shows(on: On) {
    let world = World::new(on).await;
    let account = world.account().await;
    let enable = [
        world.enrolling_totp(1),
        world.enabled(1, MethodKind::Totp, true),
        world.enrolling_sms(2),
        world.enabled(2, MethodKind::Sms, false),
        PrimaryMethodChanged { method_id: MethodId(2) }.into(),
        MethodRelabelled { method_id: MethodId(1), label: Personal::Known(Label::parse("Old phone").unwrap()) }.into(),
    ];
    world.given(account, enable).await;
    let views = world.current().await;
    let methods = views.methods(account).await.unwrap();
    assert_eq!(methods.iter().map(|m| m.is_primary).collect::<Vec<_>>(), [false, true]);
    assert_eq!(methods[0].label.as_deref(), Some("Old phone"));

    world.given(account, [world.disabled(1, MethodKind::Totp)]).await;
    world.settle(&views).await;
    assert_eq!(views.methods(account).await.unwrap().len(), 1);
    views.stop().await;
}

async fn wrong_codes_count_until_a_right_one_and_a_lock_ends_by_itself(on: On) {
    let world = World::new(on).await;
    let account = world.account().await;
    let locked_until = world.later(Seconds::minutes(15));
    world
        .given(
            account,
            [
                world.enrolling_totp(1),
                world.enabled(1, MethodKind::Totp, true),
                world.rejected(FactorKind::Totp, 5),
                MethodLocked { kind: FactorKind::Totp, locked_until, side: domain::values::Side::Others }.into(),
            ],
        )
        .await;
    let views = world.current().await;
    let method = &views.methods(account).await.unwrap()[0];
    assert_eq!((method.fail_count, method.locked_until), (5, Some(locked_until)));

    world.advance(Seconds::minutes(15));
    let method = &views.methods(account).await.unwrap()[0];
    assert_eq!((method.fail_count, method.locked_until), (0, None));

    world.given(account, [world.rejected(FactorKind::Totp, 1)]).await;
    world.settle(&views).await;
    assert_eq!(views.methods(account).await.unwrap()[0].fail_count, 1);

    world.given(account, [world.succeeded(FactorKind::Totp, Some(1))]).await;
    world.settle(&views).await;
    let method = &views.methods(account).await.unwrap()[0];
    assert_eq!((method.fail_count, method.last_used), (0, Some(world.now())));
    views.stop().await;
}

async fn the_mail_of_a_forgotten_password_clears_no_count(on: On) {
    let world = World::new(on).await;
    let account = world.account().await;
    let proved = succeeded_in(
        VerificationId(world.uuid()),
        Purpose::ResetPassword,
        FactorKind::Email,
        None,
        world.later(Seconds::minutes(10)),
    );
    world.given(account, [world.rejected(FactorKind::Totp, 3), proved]).await;
    let views = world.current().await;
    assert_eq!(views.account(account).await.unwrap().unwrap().fail_count, 3);
    views.stop().await;
}

async fn the_current_recovery_codes_tell_which_were_used(on: On) {
    let world = World::new(on).await;
    let account = world.account().await;
    world.given(account, [codes_generated(1), world.code_used(1, 3, 9)]).await;
    let views = world.current().await;
    let set = views.recovery_codes(account).await.unwrap().unwrap();
    assert_eq!((set.set, set.count, set.remaining), (1, 10, 9));
    assert_eq!(set.used.iter().map(|used| used.index).collect::<Vec<_>>(), [3]);

    world.given(account, [codes_generated(2)]).await;
    world.settle(&views).await;
    let set = views.recovery_codes(account).await.unwrap().unwrap();
    assert_eq!((set.set, set.remaining, set.used.len()), (2, 10, 0));

    world.given(account, [RecoveryCodesRevoked { set: 2, reason: RevocationReason::TwoFactorDisabled }.into()]).await;
    world.settle(&views).await;
    assert_eq!(views.recovery_codes(account).await.unwrap(), None);
    views.stop().await;
}

async fn a_cut_off_ends_what_began_before_it_and_what_an_older_token_began(on: On) {
    let world = World::new(on).await;
    let (ada, ben) = (world.account_with("ada@example.com").await, world.account_with("ben@example.com").await);
    let issued = |id, name: &str| AccessTokenIssued {
        access_token_id: id,
        token_hash: hash(),
        name: text(name),
        expires_at: world.later(Seconds::days(365)),
        verification_id: None,
    };
    let (old, new) = (AccessTokenId(world.uuid()), AccessTokenId(world.uuid()));
    let session = || SessionId(world.uuid());
    world.given(ada, [world.signed_in(session(), Aal::Aal1), issued(old, "old").into()]).await;
    world.given(ben, [world.signed_in(session(), Aal::Aal2)]).await;
    world.advance(Seconds(60));
    let before = world.now();
    let begun_with = |token| match world.signed_in(session(), Aal::Aal1) {
        Event::SignedIn(event) => Event::from(SignedIn { access_token_id: Some(token), ..event }),
        other => other,
    };
    let live = session();
    world.given(ada, [begun_with(old), issued(new, "new").into(), world.signed_in(live, Aal::Aal1)]).await;
    let views = world.current().await;
    assert_eq!((views.sessions(ada).await.unwrap().len(), views.access_tokens(ada).await.unwrap().len()), (3, 2));

    let cut_off = SessionsCutOff { before, reason: text("tokens were stolen") };
    world.append(&StreamId::Installation, [cut_off.into()]).await;
    world.settle(&views).await;
    assert_eq!(views.sessions(ada).await.unwrap().iter().map(|row| row.id).collect::<Vec<_>>(), [live]);
    assert_eq!(views.access_tokens(ada).await.unwrap().iter().map(|row| row.id).collect::<Vec<_>>(), [new]);
    assert!(views.sessions(ben).await.unwrap().is_empty());
}

async fn sessions_and_access_tokens_are_listed_while_they_live(on: On) {
    let world = World::new(on).await;
    let account = world.account().await;
    let (one, two, token) = (SessionId(world.uuid()), SessionId(world.uuid()), AccessTokenId(world.uuid()));
    world.given(account, [world.signed_in(one, Aal::Aal1)]).await;
    world.advance(Seconds(1));
    let issued = AccessTokenIssued {
        access_token_id: token,
        token_hash: hash(),
        name: text("laptop backup"),
        expires_at: world.later(Seconds::days(365)),
        verification_id: None,
    };
    world.given(account, [world.signed_in(two, Aal::Aal2), issued.into()]).await;
    let views = world.current().await;
    let sessions = views.sessions(account).await.unwrap();
    assert_eq!(sessions.iter().map(|s| (s.id, s.aal)).collect::<Vec<_>>(), [(two, Aal::Aal2), (one, Aal::Aal1)]);
    assert!(!sessions[1].is_live(None, world.later(Seconds::hours(24))));
    assert!(sessions[1].is_live(Some(world.later(Seconds::hours(1))), world.later(Seconds::hours(24))));
    assert_eq!(views.access_tokens(account).await.unwrap()[0].name.as_deref(), Some("laptop backup"));

    // A method raises no session by itself: that has an event of its own.
    world.acts(Actor::Session { session_id: one });
    world.given(account, [world.enrolling_totp(1), world.enabled(1, MethodKind::Totp, true)]).await;
    world.acts(Actor::Anonymous);
    world.settle(&views).await;
    let sessions = views.sessions(account).await.unwrap();
    assert_eq!((sessions[1].aal, sessions[1].amr.join(" ").as_str()), (Aal::Aal1, "pwd"));
    let renewed = SessionRenewed {
        session_id: one,
        token_hash: hash(),
        aal: Aal::Aal2,
        amr: vec![Amr::Pwd, Amr::Otp, Amr::Mfa],
        verification_id: Some(VerificationId(world.uuid())),
    };
    world.given(account, [renewed.into()]).await;
    world.settle(&views).await;
    let sessions = views.sessions(account).await.unwrap();
    assert_eq!((sessions[1].aal, sessions[1].amr.join(" ").as_str()), (Aal::Aal2, "pwd otp mfa"));

    let revoked = SessionRevoked { session_ids: vec![two], reason: RevocationReason::FactorChanged };
    let ended = AccessTokenRevoked { access_token_ids: vec![token], reason: RevocationReason::TwoFactorEnabled };
    world.given(account, [revoked.into(), SignedOut { session_id: one }.into(), ended.into()]).await;
    world.settle(&views).await;
    assert!(views.sessions(account).await.unwrap().is_empty());
    assert!(views.access_tokens(account).await.unwrap().is_empty());
    views.stop().await;
}

async fn an_account_shows_where_it_stands_and_what_someone_should_look_at(on: On) {
    let world = World::new(on).await;
    let account = world.account().await;
    let registered_at = world.now();
    world.advance(Seconds(60));
    let session = SessionId(world.uuid());
    let drifted = CodeRejected {
        verification_id: VerificationId(world.uuid()),
        purpose: Purpose::SignIn,
        kind: FactorKind::Totp,
        method_id: Some(MethodId(1)),
        reason: RejectionReason::Wrong,
        verification_failures: 100,
        kind_failures: 1,
        account_failures: 100,
        account_locked: true,
        ended: false,
        clock_drift_steps: Some(-7),
        side: domain::values::Side::Others,
        tell_owner: false,
    };
    world
        .given(
            account,
            [
                world.enrolling_totp(1),
                world.enabled(1, MethodKind::Totp, true),
                TwoFactorEnabled {}.into(),
                codes_generated(1),
                world.code_used(1, 0, 3),
                world.signed_in(session, Aal::Aal2),
                PasswordRejected { count: 4 }.into(),
                drifted.into(),
                MethodLocked {
                    kind: FactorKind::Sms,
                    locked_until: world.later(Seconds(900)),
                    side: domain::values::Side::Others,
                }
                .into(),
            ],
        )
        .await;
    let views = world.current().await;
    let row = views.account(account).await.unwrap().unwrap();
    assert_eq!(row.email.as_deref(), Some("a•••@example.com"));
    assert!(row.email_verified && row.two_factor_enabled && row.account_locked);
    assert_eq!(row.registered_at, registered_at);
    assert_eq!(row.two_factor_since, Some(world.now()));
    assert_eq!((row.totp_methods, row.sms_methods, row.recovery_codes_remaining), (1, 0, 3));
    assert_eq!((row.last_sign_in_at, row.last_sign_in_aal), (Some(world.now()), Some(Aal::Aal2)));
    assert_eq!((row.fail_count, row.passwords_rejected), (100, 4));
    assert_eq!(
        row.alerts,
        [
            Alert::AccountLocked { since: world.now() },
            Alert::KindLocked { kind: FactorKind::Sms, locked_until: world.later(Seconds(900)) },
            Alert::ClockDrift { steps: -7 },
            Alert::RecoveryCodesLow { remaining: 3 },
        ]
    );

    let reset = TwoFactorReset {
        reason: text("lost everything"),
        method_ids: vec![MethodId(1)],
        code: None,
        code_expires_at: None,
        by: None,
        phone_numbers: vec![],
    };
    world.given(account, [reset.into()]).await;
    world.settle(&views).await;
    let row = views.account(account).await.unwrap().unwrap();
    assert_eq!(row.alerts, [Alert::ResetPending { since: world.now() }]);
    assert_eq!((row.two_factor_enabled, row.totp_methods, row.fail_count), (false, 0, 0));
    views.stop().await;
}

async fn security_teams_find_accounts_by_factor_lock_method_address_and_time(on: On) {
    let world = World::new(on).await;
    let plain = world.account_with("one@example.com").await;
    world.advance(Seconds(10));
    let totp = world.account_with("two@example.com").await;
    world
        .given(totp, [world.enrolling_totp(1), world.enabled(1, MethodKind::Totp, true), TwoFactorEnabled {}.into()])
        .await;
    world.advance(Seconds(10));
    let sms = world.account_with("Three@Example.com").await;
    let locked_until = world.later(Seconds(900));
    world
        .given(
            sms,
            [
                world.enrolling_sms(1),
                world.enabled(1, MethodKind::Sms, true),
                TwoFactorEnabled {}.into(),
                MethodLocked { kind: FactorKind::Sms, locked_until, side: domain::values::Side::Others }.into(),
            ],
        )
        .await;
    let ended = AccountId(world.uuid());
    world.given(ended, [world.registered(ended, "four@example.com")]).await;
    let views = world.current().await;
    world.advance(Seconds(30));
    let found = async |filter: AccountFilter| -> Vec<AccountId> {
        let page = views.accounts(filter, None, 10).await.unwrap();
        page.items.into_iter().map(|account| account.account_id).collect()
    };
    let all = AccountFilter::default;
    assert_eq!(found(all()).await, [ended, sms, totp, plain]);
    assert_eq!(found(AccountFilter { two_factor: Some(true), ..all() }).await, [sms, totp]);
    assert_eq!(found(AccountFilter { two_factor: Some(false), ..all() }).await, [ended, plain]);
    assert_eq!(found(AccountFilter { locked: Some(true), ..all() }).await, [sms]);
    assert_eq!(found(AccountFilter { locked: Some(false), ..all() }).await, [ended, totp, plain]);
    assert_eq!(found(AccountFilter { method: Some(MethodKind::Totp), ..all() }).await, [totp]);
    let email = EmailAddress::parse("THREE@example.com").ok();
    assert_eq!(found(AccountFilter { email, ..all() }).await, [sms]);
    let registered_from = Some(locked_until.minus(Seconds(905)));
    assert_eq!(found(AccountFilter { registered_from, ..all() }).await, [ended, sms]);
    assert_eq!(found(AccountFilter { registered_before: registered_from, ..all() }).await, [totp, plain]);

    // Page by page, nothing twice and nothing missing.
    let mut seen = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = views.accounts(all(), cursor.as_deref(), 1).await.unwrap();
        seen.extend(page.items.into_iter().map(|account| account.account_id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, [ended, sms, totp, plain]);
    assert!(views.accounts(all(), Some("not a cursor"), 1).await.is_err());

    world.advance(Seconds::hours(24));
    assert_eq!(found(all()).await, [sms, totp, plain], "what ended unconfirmed is left out");
    assert_eq!(found(AccountFilter { locked: Some(true), ..all() }).await, [], "the lock has ended");
    views.stop().await;
}

async fn a_delivery_tells_how_far_it_got_and_whether_its_code_was_used(on: On) {
    let world = World::new(on).await;
    let account = world.account().await;
    let verification = VerificationId(world.uuid());
    let order = world.given(account, [world.issued(verification, Channel::Sms, Purpose::SignIn)]).await;
    let ordered_at = world.now();
    let views = world.current().await;
    let only = async |filter: DeliveryFilter| views.deliveries(filter, None, 10).await.unwrap().items;
    let delivery = &only(DeliveryFilter::default()).await[0];
    assert_eq!((delivery.state.as_str(), delivery.attempts, &delivery.provider), ("ordered", 0, &None));
    assert_eq!((delivery.country.as_deref(), delivery.prefix.as_deref()), (Some("AT"), Some("+43660")));

    let stream = StreamId::Delivery(order);
    world.advance(Seconds(1));
    let failed = CodeDeliveryFailed {
        provider: "gateway-1".to_owned(),
        attempt: 1,
        reason: "rejected".to_owned(),
        is_final: false,
    };
    world.append(&stream, [world.send_started(order, account, Channel::Sms, 1), failed.into()]).await;
    world.settle(&views).await;
    let delivery = &only(DeliveryFilter { account: Some(account), ..DeliveryFilter::default() }).await[0];
    assert_eq!((delivery.state.as_str(), delivery.reason.as_deref()), ("failed", Some("rejected")));
    let alerts = views.account(account).await.unwrap().unwrap().alerts;
    assert_eq!(alerts, [Alert::DeliveryFailing { since: world.now() }]);

    world.advance(Seconds(1));
    let dispatched = CodeDispatched { provider: "gateway-2".to_owned(), attempt: 2, provider_message_id: None };
    world.append(&stream, [world.send_started(order, account, Channel::Sms, 2), dispatched.into()]).await;
    world.advance(Seconds(1));
    world.append(&stream, [CodeDelivered { provider: "gateway-2".to_owned(), attempt: 2 }.into()]).await;
    world.settle(&views).await;
    let delivery = &only(DeliveryFilter { state: Some("delivered".to_owned()), ..DeliveryFilter::default() }).await[0];
    assert_eq!((delivery.provider.as_deref(), delivery.attempts, &delivery.reason), (Some("gateway-2"), 2, &None));
    assert_eq!((delivery.dispatch_millis, delivery.delivery_millis), (Some(2_000), Some(3_000)));
    assert_eq!(delivery.ordered_at, ordered_at);
    assert_eq!(delivery.verified_at, None);
    assert_eq!(views.account(account).await.unwrap().unwrap().alerts, []);

    let until = world.later(Seconds(600));
    world.given(account, [succeeded_in(verification, Purpose::SignIn, FactorKind::Sms, Some(1), until)]).await;
    world.settle(&views).await;
    assert_eq!(only(DeliveryFilter::default()).await[0].verified_at, Some(world.now()));
    let prefixes = views.delivery_prefixes(ordered_at, world.later(Seconds(1))).await.unwrap();
    assert_eq!(prefixes.len(), 1);
    assert_eq!((prefixes[0].prefix.as_str(), prefixes[0].ordered, prefixes[0].verified), ("+43660", 1, 1));
    views.stop().await;
}

async fn the_timeline_reads_as_one_line_per_event_in_both_orders(on: On) {
    let world = World::new(on).await;
    let account = world.account().await;
    let other = world.account_with("other@example.com").await;
    let reader = ApiKeyId(world.uuid());
    world.acts(Actor::ApiClient { api_key_id: reader });
    let unlocked =
        MethodUnlocked { kinds: vec![FactorKind::Totp], cap_lifted: false, reason: text("called us"), by: None };
    world.given(account, [unlocked.into()]).await;
    world.acts(Actor::Worker);
    let order =
        world.given(account, [world.issued(VerificationId(world.uuid()), Channel::Email, Purpose::SignIn)]).await;
    let stream = StreamId::Delivery(order);
    world.append(&stream, [world.send_started(order, account, Channel::Email, 1)]).await;
    let dispatched = CodeDispatched { provider: "inbox".to_owned(), attempt: 1, provider_message_id: None };
    world.append(&stream, [dispatched.into()]).await;
    let views = world.current().await;
    let lines = async |filter: TimelineFilter, order: Order| -> Vec<String> {
        let page = views.timeline(filter, order, Reveal::Masked, None, 50).await.unwrap();
        page.items.into_iter().map(|entry| entry.summary).collect()
    };
    let mine = || TimelineFilter { account: Some(account), ..TimelineFilter::default() };
    let expected = [
        "Account registered",
        "Email address confirmed",
        "Locks lifted by support",
        "Code ordered by email to sign in",
        "Message handed to gateway-1 by email (attempt 1)",
        "Message taken by inbox (attempt 1)",
    ];
    assert_eq!(lines(mine(), Order::OldestFirst).await, expected);
    let mut newest_first = expected;
    newest_first.reverse();
    assert_eq!(lines(mine(), Order::NewestFirst).await, newest_first);
    let by_client = TimelineFilter { actor_id: Some(reader.0), ..TimelineFilter::default() };
    assert_eq!(lines(by_client, Order::NewestFirst).await, ["Locks lifted by support"]);
    let by_type = TimelineFilter { types: vec!["EmailVerified".to_owned()], ..TimelineFilter::default() };
    assert_eq!(lines(by_type, Order::NewestFirst).await.len(), 2);
    let workers =
        TimelineFilter { actor_kind: Some("worker".to_owned()), account: Some(other), ..TimelineFilter::default() };
    assert!(lines(workers, Order::NewestFirst).await.is_empty());

    let first = views.timeline(mine(), Order::OldestFirst, Reveal::Masked, None, 2).await.unwrap();
    let rest =
        views.timeline(mine(), Order::OldestFirst, Reveal::Masked, first.next_cursor.as_deref(), 50).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len(), rest.next_cursor), (2, 4, None));
    views.stop().await;
}

async fn the_timeline_masks_opens_and_never_shows_a_secret(on: On) {
    let world = World::new(on).await;
    let account = world.account().await;
    world.given(account, [world.enrolling_sms(1), world.enrolling_totp(2)]).await;
    let views = world.current().await;
    let all = async |reveal| {
        let filter = TimelineFilter { account: Some(account), ..TimelineFilter::default() };
        views.timeline(filter, Order::OldestFirst, reveal, None, 50).await.unwrap().items
    };
    let masked = all(Reveal::Masked).await;
    assert_eq!(masked[0].data["email"], "a•••@example.com");
    assert_eq!(masked[0].data["password"], "[secret]");
    assert_eq!(masked[2].data["phone_number"], "•••• 4567");
    assert_eq!(masked[3].data["secret"], "[secret]");
    let source = masked[0].source.as_ref().unwrap();
    assert_eq!((source.ip.as_deref(), source.user_agent.as_deref()), (Some("203.0.113.0/24"), Some("Lynx/2.9")));
    let clear = all(Reveal::Clear).await;
    assert_eq!(clear[0].data["email"], ADDRESS);
    assert_eq!(clear[0].data["password"], "[secret]");
    assert_eq!(clear[2].data["phone_number"], NUMBER);
    assert_eq!(clear[0].source.as_ref().unwrap().ip.as_deref(), Some("203.0.113.77"));
    assert!(clear[0].data.get("token_hash").is_none());

    // After erasure the lines stay and what was personal reads as erased.
    world.given(account, [AccountErased { verification_id: None }.into()]).await;
    world.keys.erase(&StreamId::Account(account)).await.unwrap();
    world.settle(&views).await;
    let erased = all(Reveal::Clear).await;
    assert_eq!(erased.len(), 5);
    assert_eq!(erased[0].data["email"], "[erased]");
    assert_eq!(erased[0].source.as_ref().unwrap().ip.as_deref(), Some("[erased]"));
    assert_eq!(erased[4].summary, "Account erased");
    views.stop().await;
}

async fn retention_drops_the_metadata_of_old_lines(on: On) {
    let world = World::new(on).await;
    let session = SessionId(world.uuid());
    world.acts(Actor::Session { session_id: session });
    let account = world.account().await;
    world.advance(Seconds::days(400));
    let applied = RetentionApplied { before: world.now().minus(Seconds::days(365)) };
    world.given(account, [applied.into()]).await;
    let views = world.current().await;
    let page = views.timeline(TimelineFilter::default(), Order::OldestFirst, Reveal::Clear, None, 10).await.unwrap();
    assert_eq!((&page.items[0].source, page.items[0].command_id), (&None, None));
    assert_eq!(page.items[0].actor, Actor::Session { session_id: session });
    assert!(page.items[2].source.is_some() && page.items[2].command_id.is_some());
    views.stop().await;
}

async fn adoption_counts_what_happened_per_day_and_as_it_stands(on: On) {
    let world = World::new(on).await;
    let account = world.account().await;
    let yesterday = world.now();
    world.advance(Seconds::days(1));
    let mut events =
        vec![world.enrolling_totp(1), world.enabled(1, MethodKind::Totp, true), TwoFactorEnabled {}.into()];
    events.extend((1..=5).map(|n| world.rejected(FactorKind::Totp, n)));
    events.push(
        MethodLocked {
            kind: FactorKind::Totp,
            locked_until: world.later(Seconds(900)),
            side: domain::values::Side::Others,
        }
        .into(),
    );
    events.push(world.signed_in(SessionId(world.uuid()), Aal::Aal2));
    world.given(account, events).await;
    let views = world.current().await;
    let days = views.adoption(yesterday, world.now()).await.unwrap();
    assert_eq!(days.len(), 2);
    assert_eq!(days[0].day, "2026-11-24");
    let count = |day: usize, measure: &str, kind: Option<&str>| {
        days[day].counts.iter().find(|c| c.measure == measure && c.kind.as_deref() == kind).map_or(0, |c| c.count)
    };
    assert_eq!(count(0, "registered", None), 1);
    assert_eq!(count(1, "code_rejected", Some("totp")), 5);
    assert_eq!(count(1, "method_locked", Some("totp")), 1);
    assert_eq!(count(1, "method_enabled", Some("totp")), 1);
    assert_eq!(count(1, "two_factor_enabled", None), 1);
    assert_eq!(count(1, "signed_in", Some("aal2")), 1);
    let totals = views.adoption_totals().await.unwrap();
    assert_eq!((totals.accounts, totals.two_factor, totals.totp, totals.sms), (1, 1, 1, 0));
    views.stop().await;
}

async fn an_imported_account_stands_with_its_methods_and_codes(on: On) {
    let world = World::new(on).await;
    let account = AccountId(world.uuid());
    let number = PhoneNumber::parse(NUMBER).unwrap();
    let methods = vec![
        ImportedMethod::Totp {
            method_id: MethodId(1),
            secret: Personal::Known(TotpSecret::new(vec![1; 20])),
            algorithm: TotpAlgorithm::Sha1,
            digits: 6,
            period: 30,
            secret_bits: 160,
            label: Personal::Known(Label::parse("App").unwrap()),
        },
        ImportedMethod::Sms {
            method_id: MethodId(2),
            country: number.country(),
            prefix: number.prefix(),
            phone_number: Personal::Known(number),
            label: Personal::Known(Label::parse("Phone").unwrap()),
        },
    ];
    let imported = AccountImported {
        account_id: account,
        email: Personal::Known(EmailAddress::parse(ADDRESS).unwrap()),
        email_verified: true,
        password: None,
        methods,
        recovery_codes: Some(Personal::Known(vec!["$argon2id$".to_owned(); 8])),
        recovery_code_count: 8,
        number: None,
    };
    world.given(account, [imported.into()]).await;
    let views = world.current().await;
    let methods = views.methods(account).await.unwrap();
    assert_eq!(methods.iter().map(|m| m.label.as_deref().unwrap()).collect::<Vec<_>>(), ["App", "Phone"]);
    assert_eq!(methods.iter().map(|m| m.is_primary).collect::<Vec<_>>(), [true, false]);
    let row = views.account(account).await.unwrap().unwrap();
    assert!(row.two_factor_enabled && row.email_verified);
    assert_eq!((row.totp_methods, row.sms_methods, row.recovery_codes_remaining), (1, 1, 8));
    assert_eq!(views.recovery_codes(account).await.unwrap().unwrap().remaining, 8);
    views.stop().await;
}

async fn api_keys_are_listed_with_their_names_and_ends(on: On) {
    let world = World::new(on).await;
    let key = ApiKeyId(world.uuid());
    let issued = ApiKeyIssued {
        api_key_id: key,
        token_hash: hash(),
        name: text("payroll backend"),
        scopes: [Scope::AccountsWrite, Scope::Introspect].into(),
        expires_at: None,
    };
    world.append(&StreamId::ApiKey(key), [issued.into()]).await;
    let views = world.current().await;
    let keys = views.api_keys(None, 10).await.unwrap().items;
    assert_eq!((keys[0].id, keys[0].name.as_deref()), (key, Some("payroll backend")));
    assert_eq!(keys[0].scopes, ["accounts:write", "introspect"]);
    assert_eq!(keys[0].revoked_at, None);
    world.append(&StreamId::ApiKey(key), [ApiKeyRevoked {}.into()]).await;
    world.settle(&views).await;
    assert_eq!(views.api_keys(None, 10).await.unwrap().items[0].revoked_at, Some(world.now()));
    views.stop().await;
}

async fn an_erased_account_leaves_no_row_of_its_own(on: On) {
    let world = World::new(on).await;
    let account = world.account().await;
    let verification = VerificationId(world.uuid());
    let order = world
        .given(
            account,
            [
                world.enrolling_sms(1),
                world.enabled(1, MethodKind::Sms, true),
                world.rejected(FactorKind::Sms, 1),
                codes_generated(1),
                world.code_used(1, 0, 9),
                world.signed_in(SessionId(world.uuid()), Aal::Aal2),
                world.issued(verification, Channel::Sms, Purpose::SignIn),
            ],
        )
        .await;
    world.append(&StreamId::Delivery(order), [world.send_started(order, account, Channel::Sms, 1)]).await;
    let views = world.current().await;
    world.given(account, [AccountErased { verification_id: None }.into()]).await;
    world.settle(&views).await;
    assert!(views.methods(account).await.unwrap().is_empty());
    assert!(views.sessions(account).await.unwrap().is_empty());
    assert_eq!(views.recovery_codes(account).await.unwrap(), None);
    assert_eq!(views.account(account).await.unwrap(), None);
    let rows = |name: &str, all: &[projections::ViewStatus]| {
        all.iter().find(|status| status.view == name).map(|status| status.rows)
    };
    let status = views.status().await.unwrap();
    for view in ["account_methods", "recovery_codes", "accounts", "sessions"] {
        assert_eq!(rows(view, &status), Some(0), "{view}");
    }
    let delivery = &views.deliveries(DeliveryFilter::default(), None, 10).await.unwrap().items[0];
    assert_eq!(
        (delivery.account_id, delivery.verification_id),
        (None, None),
        "facts of the route stay, the account goes"
    );
    assert_eq!(delivery.prefix.as_deref(), Some("+43660"));
    views.stop().await;
}

async fn nothing_personal_is_kept_in_clear(on: On) {
    let world = World::new(on).await;
    let account = world.account().await;
    let issued = AccessTokenIssued {
        access_token_id: AccessTokenId(world.uuid()),
        token_hash: hash(),
        name: text("laptop backup"),
        expires_at: world.later(Seconds::days(1)),
        verification_id: None,
    };
    world
        .given(
            account,
            [
                world.enrolling_sms(1),
                world.enabled(1, MethodKind::Sms, true),
                world.issued(VerificationId(world.uuid()), Channel::Email, Purpose::SignIn),
                issued.into(),
            ],
        )
        .await;
    let views = world.current().await;
    views.stop().await;
    assert!(world.place.holds("a•••@example.com").await, "the search finds what is there");
    #[cfg(unix)]
    if on == On::Sqlite {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(world.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }
    for secret in [ADDRESS, NUMBER, "Label number 1", "laptop backup", "203.0.113.77", "Lynx/2.9", "$argon2id$"] {
        assert!(!world.place.holds(secret).await, "{secret}");
    }
}
