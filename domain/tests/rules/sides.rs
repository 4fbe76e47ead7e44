//! Whose wrong codes are counted where: those of devices that the account knows, and those of everybody else.

use domain::{
    commands::Command,
    events::*,
    limits::LimitName,
    outcome::Refusal,
    personal::Personal,
    state::Account,
    time::{Seconds, Timestamp},
    values::*,
};

use crate::{event_of, histories::*, kit::*};

const MAIL: Challenge =
    Challenge { verification_id: CHECK, purpose: Purpose::SignIn, channel: Channel::Email, method_id: None, issue: 1 };

/// A stranger's sign-in, and a check that the owner's session began.
fn a_stranger_and_the_owner() -> Scene<Account> {
    let mut history = an_account_with_both();
    history.extend([signing_in(CHECK), ordered(MAIL, START), checking(OTHER_CHECK, Purpose::AddMethod)]);
    given(history).by(CHECKED)
}

/// A later sign-in of the stranger.
fn again(scene: Scene<Account>, at: Timestamp) -> Scene<Account> {
    let again = VerificationStarted {
        yields_session: true,
        expires_at: at.plus(Seconds::minutes(15)),
        ..started(CHECK, Purpose::SignIn, None)
    };
    scene.then_at(at, [again.into(), ordered(MAIL, at)]).by(CHECKED)
}

fn app_code(id: domain::ids::VerificationId, at: Timestamp) -> Command {
    submit(id, FactorKind::Totp, &code_at(1, at))
}

#[test]
fn a_strangers_wrong_codes_lock_no_known_device_out() {
    let mut scene = a_stranger_and_the_owner();
    for count in 1..5 {
        scene = scene.when(submit(CHECK, FactorKind::Totp, &wrong_totp(1, START))).wrong_code(count).next();
    }
    let until = after(Seconds::minutes(15));
    let told = scene.when(submit(CHECK, FactorKind::Totp, &wrong_totp(1, START))).wrong_code_that_locks(5, until);
    let scene = told.next();
    let refused = scene.clone().when(app_code(CHECK, START));
    refused.refused(Refusal::MethodLocked { locked_until: until, retry_after: Seconds(900) });
    scene.by(SIGNED_IN).when(app_code(OTHER_CHECK, START)).accepted();
}

#[test]
fn a_sign_in_by_email_clears_no_cap() {
    let scene = a_stranger_and_the_owner().then_at(START, [wrong(FactorKind::Totp, 1, 60)]);
    let scene = scene.when(submit_sent(MAIL)).accepted().next();
    let told =
        again(scene, after(Seconds(60))).when(submit(CHECK, FactorKind::Totp, &wrong_totp(1, after(Seconds(60)))));
    assert_eq!(event_of!(told, CodeRejected).account_failures, 61);
}

#[test]
fn a_success_of_a_known_device_clears_no_count_of_strangers() {
    let scene = a_stranger_and_the_owner().then_at(START, [wrong(FactorKind::Totp, 1, 60)]);
    let scene = scene.by(SIGNED_IN).when(app_code(OTHER_CHECK, START)).accepted().next();
    let at = after(Seconds(60));
    let told = again(scene, at).when(submit(CHECK, FactorKind::Totp, &wrong_totp(1, at)));
    assert_eq!(event_of!(told, CodeRejected).account_failures, 61);
}

/// An account of another system with one short recovery code.
fn imported() -> Vec<Event> {
    let imported = AccountImported {
        account_id: ACCOUNT,
        email: Personal::Known(email()),
        email_verified: true,
        password: Some(Personal::Known(password_hash(PASSWORD))),
        methods: vec![ImportedMethod::Totp {
            method_id: domain::ids::MethodId(1),
            secret: Personal::Known(secret(1)),
            algorithm: TotpAlgorithm::Sha1,
            digits: 6,
            period: 30,
            secret_bits: 160,
            label: Personal::Known(label("phone")),
        }],
        recovery_codes: Some(Personal::Known(vec![password_hash("12345678").0])),
        recovery_code_count: 1,
        number: None,
    };
    vec![imported.into(), signing_in(CHECK)]
}

#[test]
fn of_imported_recovery_codes_five_wrong_ones_are_borne_in_an_hour() {
    let guess = |scene: Scene<Account>| scene.when(submit(CHECK, FactorKind::RecoveryCode, "00000000"));
    let mut scene = given(imported()).by(CHECKED);
    for _ in 0..5 {
        scene = again(guess(scene).wrong_code(1).next(), START);
    }
    // A new sign-in gains nothing.
    let told = again(scene, after(Seconds::minutes(10)));
    let told = told.when(submit(CHECK, FactorKind::RecoveryCode, "12345678"));
    let locked_until = after(Seconds::hours(1));
    told.refused(Refusal::MethodLocked { locked_until, retry_after: Seconds(3_000) }).needing_nothing();
}

#[test]
fn a_user_cannot_grow_their_history_without_end() {
    let mut scene = given(an_account_with_totp()).by(SIGNED_IN).at(after(Seconds::hours(2)));
    let rename = |name: &str| Command::ChangeMethod {
        method_id: domain::ids::MethodId(1),
        label: Some(label(name)),
        make_primary: false,
    };
    for count in 0..60 {
        scene = scene.when(rename(&format!("name {count}"))).then_named(&["MethodRelabelled"]).next();
    }
    let refused = scene.clone().when(rename("another")).needing_nothing();
    // What is counted leaves up to five minutes late.
    refused.rate_limited_for(3_900);
    scene.wait(Seconds(3_900)).when(rename("another")).accepted();
}

#[test]
fn sign_ins_and_checks_have_bounds_of_their_own() {
    let few = |policy: &mut domain::policy::Policy| {
        policy.sign_ins_per_account_hour = 1;
        policy.checks_per_account_hour = 1;
    };
    let scene = a_stranger_and_the_owner().with_policy(few).at(after(Seconds::hours(2))).by(SIGNED_IN);
    let scene = scene.when(start(Purpose::AddMethod)).accepted().next();
    scene.clone().when(start(Purpose::DisableMethod)).rate_limited_for(3_900);
    // Checks keep nobody from signing in, and the bound is said before the code is looked at.
    let scene = again(scene, after(Seconds::hours(2)));
    let scene = scene.when(app_code(CHECK, after(Seconds::hours(2)))).accepted().next();
    let scene = again(scene, after(Seconds(7_260)));
    scene.clone().when(app_code(CHECK, after(Seconds(7_260)))).needing_nothing().rate_limited_for(3_840);
    scene.when(submit(CHECK, FactorKind::Totp, "000000")).rate_limited_for(3_840);
}

#[test]
fn twenty_wrong_imported_codes_in_a_row_suspend_the_set_for_that_side_until_a_factor_clears_it() {
    let mut scene = given(imported()).by(CHECKED);
    for hour in 0..4 {
        for _ in 0..5 {
            let guess = scene.when(submit(CHECK, FactorKind::RecoveryCode, "00000000")).wrong_code(1);
            let told = event_of!(guess, CodeRejected).tell_owner;
            let first = guess.scene.state.tallies.others.imported.failures == 1;
            assert_eq!(told, first, "once a day");
            scene = again(guess.next(), after(Seconds::hours(hour)));
        }
        scene = again(scene, after(Seconds::hours(hour + 1)));
    }
    let right = submit(CHECK, FactorKind::RecoveryCode, "12345678");
    scene.clone().when(right.clone()).refused_for("method").needing_nothing();
    let now = scene.now;
    let told = scene.clone().when(app_code(CHECK, now));
    let domain::outcome::Outcome::Verified(verified) = told.outcome() else { panic!("not verified") };
    assert!(verified.session.unwrap().recovery_codes_suspended, "it is time for new ones");
    again(told.next(), now.plus(Seconds(60))).when(right.clone()).accepted();
    // The other side has tries of its own.
    let known = scene.then_at(now, [session(SESSION, Aal::Aal1)]).by(SIGNED_IN);
    let known = known.when(start(Purpose::AddMethod)).accepted().next();
    let id = *known.state.verifications.iter().find(|(_, check)| check.started_by == Some(OWNER)).unwrap().0;
    known.when(submit(id, FactorKind::RecoveryCode, "12345678")).accepted();
}

#[test]
fn the_owner_is_told_of_the_fourth_wrong_code_in_a_row_once_a_day() {
    let mut scene = a_stranger_and_the_owner();
    let mut told = Vec::new();
    for count in 1..=6_u32 {
        let at = after(Seconds::minutes(20 * count));
        let guess = again(scene, at).when(submit(CHECK, FactorKind::Totp, &wrong_totp(1, at)));
        told.push(event_of!(guess, CodeRejected).tell_owner);
        scene = guess.next();
    }
    assert_eq!(told, [false, false, false, true, false, false]);
    let at = after(Seconds::days(2));
    // By then the count has fallen; three more bring it back.
    let scene = scene.then_at(at, [wrong(FactorKind::Totp, 1, 3)]);
    let guess = again(scene, at).when(submit(CHECK, FactorKind::Totp, &wrong_totp(1, at)));
    assert!(event_of!(guess, CodeRejected).tell_owner);
}

/// A client that presents this device.
fn from_device(mut scene: Scene<Account>, id: domain::ids::DeviceId, hash: u8) -> Scene<Account> {
    scene.origin.device = Some(PresentedDevice { id, token_hash: hash_of(hash) });
    scene
}

#[test]
fn a_known_device_has_tries_of_its_own_where_strangers_used_theirs_up() {
    let capped = [wrong(FactorKind::Totp, 5, 100), remembered(DEVICE, SESSION)];
    let scene = a_stranger_and_the_owner().then_at(START, capped);
    scene.clone().when(app_code(CHECK, START)).refused(Refusal::AccountLocked);
    let known = from_device(scene.clone(), DEVICE, 3);
    let told = known.clone().when(app_code(CHECK, START)).accepted();
    assert_eq!(event_of!(told, VerificationSucceeded).side, Side::KnownDevices);
    assert_eq!(told.scene.state.tallies.others.failures, 100, "its success is no stranger's");
    // A wrong token, another account's device, one that was removed or that ended is a stranger's.
    let unknown = domain::ids::DeviceId(uuid::Uuid::nil());
    for stranger in [
        from_device(scene.clone(), DEVICE, 4),
        from_device(scene, unknown, 3),
        again(known.clone(), after(Seconds::days(365)))
            .then_at(after(Seconds::days(365)), [wrong(FactorKind::Totp, 1, 100)]),
        known.clone().by(SIGNED_IN).when(Command::ForgetDevice { device_id: DEVICE }).accepted().next().by(CHECKED),
    ] {
        let at = stranger.now;
        stranger.when(app_code(CHECK, at)).refused(Refusal::AccountLocked);
    }
    known.by(SIGNED_IN).when(Command::ForgetDevice { device_id: unknown }).refused(Refusal::NotFound);
}

#[test]
fn a_sign_in_with_a_factor_that_is_no_mail_makes_its_device_known() {
    let told = a_stranger_and_the_owner().when(app_code(CHECK, START));
    let remembered = event_of!(told, DeviceRemembered);
    assert_eq!(remembered.session_id, event_of!(told, SignedIn).session_id);
    let domain::outcome::Outcome::Verified(verified) = told.outcome() else { panic!("not verified") };
    let device = verified.session.unwrap().device.unwrap();
    assert_eq!(remembered.token_hash, domain::secret::TokenHash::of(&device.secret));
    assert_eq!(remembered.expires_at, after(Seconds::days(365)));
    a_stranger_and_the_owner().when(submit_sent(MAIL)).then_named(&["VerificationSucceeded", "SignedIn"]);
    // The same device again is no new one, and lives on from then, written once a day at most.
    let mut known = told.next();
    known.origin.device = Some(PresentedDevice { id: device.device_id, token_hash: remembered.token_hash });
    let soon = after(Seconds::hours(23));
    let told = again(known.clone(), soon).when(app_code(CHECK, soon));
    told.then_named(&["VerificationSucceeded", "SignedIn"]);
    let later = after(Seconds::hours(24));
    let told = again(known, later).when(app_code(CHECK, later));
    let renewed = event_of!(told, DeviceRemembered);
    assert_eq!((renewed.device_id, renewed.token_hash), (device.device_id, remembered.token_hash));
    assert_eq!(renewed.expires_at, later.plus(Seconds::days(365)));
    assert_eq!(told.scene.state.known_devices(later).count(), 1);
}

#[test]
fn of_twenty_known_devices_the_one_unused_for_longest_gives_way() {
    let mut scene = a_stranger_and_the_owner();
    for count in 0..21_u32 {
        let at = after(Seconds::minutes(count));
        scene = again(scene, at).when(app_code(CHECK, at)).accepted().next();
        assert_eq!(scene.state.known_devices(at).count(), 20.min(count as usize + 1));
    }
    let first = scene.state.known_devices(scene.now).map(|(_, device)| device.known_since).min();
    assert_eq!(first, Some(after(Seconds::minutes(1))));
}

#[test]
fn whoever_ends_everything_else_makes_strangers_of_other_devices() {
    let other = domain::ids::DeviceId(uuid::Uuid::from_u128(0xd2));
    let mut history = an_account_with_both();
    history.extend([remembered(DEVICE, SESSION), remembered(other, OTHER_SESSION)]);
    history.extend(authorized(OTHER_CHECK, Purpose::DisableMethod));
    let disable = Command::DisableMethod { method_id: domain::ids::MethodId(2), verification_id: Some(OTHER_CHECK) };
    let told = given(history).by(SIGNED_IN).when(disable).accepted();
    let forgotten = event_of!(told, DeviceForgotten);
    assert_eq!((forgotten.device_ids, forgotten.reason), (vec![other], RevocationReason::FactorChanged));
}

#[test]
fn support_lifts_both_sides_once_a_day_and_once_more_by_somebody_else() {
    let both = [wrong(FactorKind::Totp, 5, 100), on_a_known_device(wrong(FactorKind::Totp, 5, 100))];
    let unlock = || Command::UnlockMethod { kind: None, reason: text("called us") };
    let scene = a_stranger_and_the_owner().then_at(START, both.clone()).by(support());
    let scene = scene.when(unlock()).accepted().next();
    for side in domain::state::Tallies::SIDES {
        assert_eq!(*scene.state.tallies.of(side), domain::state::Tally::default());
    }
    let day = 24 * 3_600;
    let later = after(Seconds(60));
    let scene = scene.then_at(later, both.clone());
    scene.clone().when(unlock()).rate_limited_for(day - 60);
    let somebody_else = Caller::ApiClient(OTHER_KEY, [Scope::SupportWrite].into());
    let scene = scene.by(somebody_else).when(unlock()).accepted().next().then_at(later, both);
    scene.clone().when(unlock()).rate_limited_for(day);
    scene.clone().by(Caller::Operator).when(unlock()).rate_limited_for(day - 60);
    scene.by(support()).at(after(Seconds(day))).when(unlock()).accepted();
}

#[test]
fn wrong_second_factors_are_counted_by_who_guesses_over_all_accounts() {
    let guess = || submit(CHECK, FactorKind::Totp, &wrong_totp(1, START));
    let told = a_stranger_and_the_owner().when(guess()).wrong_code(1);
    let counted: Vec<_> = told.counted.iter().map(|charge| (charge.name, charge.subject.clone())).collect();
    assert_eq!(counted, [(LimitName::SecondFactorsPerSource, "192.0.2.7".to_owned())]);
    assert!(
        a_stranger_and_the_owner().when(app_code(CHECK, START)).accepted().counted.is_empty(),
        "a right one is free"
    );
    // Who has none left is told so before a code is looked at.
    for attempt in [guess(), app_code(CHECK, START)] {
        let full = a_stranger_and_the_owner().when_full(LimitName::SecondFactorsPerSource).when(attempt);
        assert_eq!(full.judged, 0);
        full.needing_nothing().rate_limited_for(77);
    }
    // A recovery code of ours is bounded by itself, and always signs in.
    let full = a_stranger_and_the_owner().when_full(LimitName::SecondFactorsPerSource);
    full.when(submit(CHECK, FactorKind::RecoveryCode, &recovery_codes(SALT, 10).0[0])).accepted();
    // An API client stands for many people: it is counted as one.
    let mut history = an_account_with_both();
    history.push(started(CHECK, Purpose::StepUp, Some(Credential::ApiClient(KEY))).into());
    let told = given(history.clone()).by(product()).when(guess()).wrong_code(1);
    assert_eq!(told.counted.iter().map(|charge| charge.name).collect::<Vec<_>>(), [LimitName::SecondFactorsPerClient]);
    assert_eq!(event_of!(told, CodeRejected).side, Side::Others, "its key makes none of its people known");
    // Of those that it names, none uses up the tries of all.
    let mut scene = given(history).by(product());
    scene.origin.end_user_ip = Some([198, 51, 100, 9].into());
    let told = scene.when(guess()).wrong_code(1);
    let counted: Vec<_> = told.counted.iter().map(|charge| (charge.name, charge.subject.clone())).collect();
    assert_eq!(counted[0], (LimitName::SecondFactorsPerSource, "198.51.100.9".to_owned()));
    assert_eq!(counted[1].0, LimitName::SecondFactorsPerClient);
}
