//! `evolve` takes any history, and keeps little of a long one.

use std::collections::BTreeSet;

use domain::{
    account::Presented,
    api_key::ApiKey,
    audit_access::AuditAccess,
    claim::EmailClaim,
    decision::Decider,
    delivery::Delivery,
    events::*,
    ids::{MethodId, SessionId, VerificationId},
    state::Account,
    time::{Seconds, Timestamp},
    values::*,
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::{any::Any, histories::*, kit::*};

fn survives<D: Decider + PartialEq + std::fmt::Debug>(history: &[(Event, Timestamp)]) -> D {
    let state = history.iter().fold(D::default(), |state, (event, at)| state.evolve(event, *at));
    let stored = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<D>(&stored).unwrap(), state);
    state
}

/// Everything that can be asked of a state.
fn ask_everything(state: &Account, any: &mut Any) {
    let (now, policy) = (any.time(), domain::policy::Policy::default());
    let _ = (state.exists(now), state.summary(&usual(), now), state.methods_view(Side::KnownDevices, now));
    for id in state.verifications.keys() {
        let _ = state.verification_view(*id, &Caller::Verification(*id), &Origin::default(), &policy, now);
        let _ = state.authenticate(Presented::Verification(*id), &hash_of(1), Some(any.time()), None, now);
    }
    for id in state.sessions.keys() {
        let _ = state.authenticate(Presented::Session(*id), &hash_of(1), Some(any.time()), None, now);
    }
    for id in state.access_tokens.keys() {
        let _ = state.authenticate(Presented::AccessToken(*id), &hash_of(2), None, None, now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_folds_and_any_command_is_decided_on_it(seed in any::<u64>(), length in 0..80_usize) {
        let mut any = Any(seed);
        let history: Vec<(Event, Timestamp)> = (0..length).map(|_| (any.event(), any.time())).collect();
        let state = survives::<Account>(&history);
        survives::<EmailClaim>(&history);
        survives::<Delivery>(&history);
        survives::<ApiKey>(&history);
        survives::<AuditAccess>(&history);
        ask_everything(&state, &mut any);
        for _ in 0..12 {
            let mut scene = given([]);
            scene.state = state.clone();
            let (now, caller, command) = (any.time(), any.caller(), any.command());
            let told = scene.at(now).by(caller).when(command);
            ask_everything(&told.scene.state, &mut any);
        }
    }
}

#[test]
fn the_histories_hold_every_event_and_the_commands_every_command() {
    macro_rules! names {
        ($($name:ident)+) => { [$(stringify!($name)),+] };
    }
    let mut any = Any(1);
    let seen: BTreeSet<&str> = (0..5_000).map(|_| any.event().name()).collect();
    assert_eq!(seen, BTreeSet::from(domain::for_every_event!(names)));
    let commands: BTreeSet<String> = (0..5_000)
        .map(|_| format!("{:?}", any.command()).split([' ', '{', '(']).next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(commands.len(), 36, "{commands:?}");
}

#[test]
fn what_ended_more_than_twenty_four_hours_before_is_dropped() {
    let history = an_account_with_both().into_iter().chain([
        session(OTHER_SESSION, Aal::Aal1),
        access_token(TOKEN),
        signing_in(CHECK),
        totp_enrolling(3, OWNER),
        ordered(challenge(CHECK, Purpose::SignIn, Channel::Sms, Some(2)), START),
    ]);
    let scene = given(history);
    let nothing = || [RetentionApplied { before: START }.into()];
    let later = |ended: Seconds, extra: i64| {
        let at = after(ended).plus(Seconds::hours(24)).as_millis() + extra;
        scene.clone().then_at(Timestamp::from_millis(at), nothing()).state
    };
    let ended = Seconds::minutes(15);
    assert!(later(ended, 0).verifications.contains_key(&CHECK));
    assert!(!later(ended, 1).verifications.contains_key(&CHECK));
    let ended = Seconds::hours(1);
    assert!(later(ended, 0).enrollments.contains_key(&MethodId(3)));
    assert!(!later(ended, 1).enrollments.contains_key(&MethodId(3)));
    assert_eq!((later(Seconds(0), 0).sends.len(), later(Seconds(0), 1).sends.len()), (1, 0));
    let ended = Seconds::days(30);
    assert!(later(ended, 0).sessions.contains_key(&SESSION) && !later(ended, 1).sessions.contains_key(&SESSION));
    let ended = Seconds::days(365);
    assert!(later(ended, 0).access_tokens.contains_key(&TOKEN) && !later(ended, 1).access_tokens.contains_key(&TOKEN));
    // What the rules still ask about stays for ever.
    let state = later(Seconds::days(3_650), 0);
    assert_eq!((state.methods.len(), state.last_method_id), (2, 3));
    assert!(state.recovery.is_some() && state.two_factor_since.is_some());
}

fn id_of(number: u64, at: Timestamp) -> VerificationId {
    let millis = u128::from(at.as_millis().unsigned_abs());
    VerificationId(Uuid::from_u128(millis << 80 | 0x7000_8000_0000_0000_0000 | u128::from(number)))
}

#[test]
fn a_busy_account_stays_small() {
    // 12,000 events within a day, of all kinds that could pile up.
    let mut scene = given(an_account_with_both());
    for number in 0..2_000_u64 {
        let at = after(Seconds(u32::try_from(number).unwrap() * 40));
        let id = id_of(number, at);
        let method = MethodId(u32::try_from(number).unwrap() + 10);
        let by = Some(Credential::ApiClient(KEY));
        let check =
            VerificationStarted { expires_at: at.plus(Seconds::minutes(15)), ..started(id, Purpose::StepUp, by) };
        let enrollment = TotpEnrollmentStarted {
            method_id: method,
            verification_id: id_of(number + 5_000, at),
            secret: domain::personal::Personal::Known(secret(1)),
            algorithm: TotpAlgorithm::Sha1,
            digits: 6,
            period: 30,
            started_by: OWNER,
            attempts: 5,
            expires_at: at.plus(Seconds::hours(1)),
        };
        let ended = CodeRejected {
            verification_id: enrollment.verification_id,
            purpose: Purpose::Enroll,
            kind: FactorKind::Totp,
            method_id: Some(method),
            reason: RejectionReason::Wrong,
            verification_failures: 5,
            kind_failures: 0,
            account_failures: 0,
            account_locked: false,
            ended: true,
            clock_drift_steps: None,
            side: Side::Others,
            tell_owner: false,
        };
        let signed_out = SignedOut { session_id: SessionId(id.0) };
        scene = scene.then_at(
            at,
            [
                check.into(),
                ordered(challenge(id, Purpose::StepUp, Channel::Sms, Some(2)), at),
                completed(id, Purpose::StepUp, at),
                enrollment.into(),
                ended.into(),
                session(SessionId(id.0), Aal::Aal2),
                signed_out.into(),
            ],
        );
    }
    let state = &scene.state;
    assert!(state.verifications.len() <= 50, "{} verifications", state.verifications.len());
    assert!(state.enrollments.len() <= 50, "{} enrollments", state.enrollments.len());
    assert!(state.sends.len() <= 256, "{} sends", state.sends.len());
    let stored = serde_json::to_string(state).unwrap().len();
    assert!(stored < 60_000, "{stored} bytes");
}

#[test]
fn the_youngest_finished_verifications_are_the_ones_that_stay() {
    let mut scene = given(an_account_with_both());
    for number in 0..100_u64 {
        let at = after(Seconds(u32::try_from(number).unwrap()));
        let id = id_of(number, at);
        scene = scene.then_at(
            at,
            [
                started(id, Purpose::SignIn, None).into(),
                completed(id, Purpose::SignIn, at),
                SignedIn {
                    session_id: SESSION,
                    token_hash: hash_of(1),
                    aal: Aal::Aal2,
                    amr: vec![],
                    expires_at: after(Seconds::days(30)),
                    idle_timeout: Seconds::hours(24),
                    verification_id: Some(id),
                    api_key_id: None,
                    access_token_id: None,
                    is_limited: false,
                    is_new_place: false,
                }
                .into(),
            ],
        );
    }
    let waiting = scene.then_at(after(Seconds(100)), [signing_in(CHECK)]);
    let youngest = id_of(99, after(Seconds(99)));
    assert!(waiting.state.verifications.contains_key(&youngest));
    assert!(waiting.state.verifications.contains_key(&CHECK));
    assert!(!waiting.state.verifications.contains_key(&id_of(0, START)));
}
