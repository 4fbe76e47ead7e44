//! Wrong codes: locks of the kinds, and the account's cap.

use domain::{
    commands::Command,
    events::*,
    ids::MethodId,
    outcome::Refusal,
    personal::Personal,
    state::Account,
    time::{Seconds, Timestamp},
    values::*,
};

use crate::{event_of, histories::*, kit::*};

const TEXT: Challenge = Challenge {
    verification_id: CHECK,
    purpose: Purpose::SignIn,
    channel: Channel::Sms,
    method_id: Some(MethodId(2)),
    issue: 1,
};
const MAIL: Challenge = Challenge { channel: Channel::Email, method_id: None, ..TEXT };

/// Signing in with everything on file, codes ordered by both ways.
fn signing_in_by_any() -> Scene<Account> {
    let mut history = an_account_with_both();
    history.extend([signing_in(CHECK), ordered(TEXT, START), ordered(MAIL, START)]);
    given(history).by(CHECKED)
}
/// A later sign-in, in which nothing was tried yet.
fn later(scene: Scene<Account>, at: Timestamp) -> Scene<Account> {
    let again = VerificationStarted {
        yields_session: true,
        expires_at: at.plus(Seconds::minutes(15)),
        ..started(CHECK, Purpose::SignIn, None)
    };
    scene.then_at(at, [again.into(), ordered(TEXT, at), ordered(MAIL, at)])
}

fn right(kind: FactorKind, at: Timestamp) -> Command {
    match kind {
        FactorKind::Totp => submit(CHECK, kind, &code_at(1, at)),
        FactorKind::Sms => submit_sent(TEXT),
        FactorKind::Email => submit_sent(MAIL),
        FactorKind::RecoveryCode => submit(CHECK, kind, &recovery_codes(SALT, 10).0[0]),
    }
}
fn wrong_one(kind: FactorKind, at: Timestamp) -> Command {
    match kind {
        FactorKind::Totp => submit(CHECK, kind, &wrong_totp(1, at)),
        FactorKind::Sms => submit(CHECK, kind, &other_than(&digits(&TEXT))),
        FactorKind::Email => submit(CHECK, kind, &other_than(&digits(&MAIL))),
        FactorKind::RecoveryCode => submit(CHECK, kind, "AAAA-AAAA-AAAA-AAAA"),
    }
}
const KINDS: [(FactorKind, u32); 3] = [(FactorKind::Totp, 5), (FactorKind::Sms, 3), (FactorKind::Email, 3)];

#[test]
fn a_wrong_code_is_on_record_and_counted() {
    let told = signing_in_by_any().when(wrong_one(FactorKind::Sms, START));
    let rejected = CodeRejected {
        verification_id: CHECK,
        purpose: Purpose::SignIn,
        kind: FactorKind::Sms,
        method_id: Some(MethodId(2)),
        reason: RejectionReason::Wrong,
        verification_failures: 1,
        kind_failures: 1,
        account_failures: 1,
        account_locked: false,
        ended: false,
        clock_drift_steps: None,
        side: Side::Others,
        tell_owner: false,
    };
    told.rejected(Refusal::WrongCode { fail_count: 1, locked_until: None }, [rejected.into()]);
}

#[test]
fn three_wrong_texts_or_mails_and_five_wrong_totp_codes_lock_their_kind_for_fifteen_minutes() {
    let until = after(Seconds::minutes(15));
    for (kind, most) in KINDS {
        let mut scene = signing_in_by_any();
        for count in 1..most {
            scene = scene.when(wrong_one(kind, START)).wrong_code(count).next();
        }
        scene.clone().when(right(kind, START)).accepted();
        let told = scene.when(wrong_one(kind, START)).wrong_code_that_locks(most, until);
        assert_eq!(event_of!(told, MethodLocked), MethodLocked { kind, locked_until: until, side: Side::Others });
        let scene = told.next();
        for attempt in [right(kind, START), wrong_one(kind, START)] {
            let refused = scene.clone().when(attempt).needing_nothing();
            refused.refused(Refusal::MethodLocked { locked_until: until, retry_after: Seconds(900) });
        }
        // The other kinds stay usable.
        for (other, _) in KINDS.iter().filter(|(other, _)| *other != kind) {
            scene.clone().when(right(*other, START)).accepted();
        }
        scene.when(right(FactorKind::RecoveryCode, START)).accepted();
    }
}

#[test]
fn a_lock_lasts_to_its_last_millisecond_and_then_its_count_restarts() {
    let until = after(Seconds::minutes(15));
    for (kind, most) in KINDS {
        let scene = signing_in_by_any().then_at(START, [wrong(kind, most, most), locked(kind, until)]);
        let early = later(scene.clone(), just_before(until)).when(right(kind, until));
        early.refused(Refusal::MethodLocked { locked_until: until, retry_after: Seconds(1) });
        let scene = later(scene, until);
        scene.clone().when(right(kind, until)).accepted();
        let told = scene.when(wrong_one(kind, until)).wrong_code(1);
        let rejected = event_of!(told, CodeRejected);
        assert_eq!((rejected.kind_failures, rejected.account_failures), (1, most + 1), "the account's goes on");
        let mut scene = told.next();
        for count in 2..most {
            scene = scene.when(wrong_one(kind, until)).wrong_code(count).next();
        }
        scene.when(wrong_one(kind, until)).wrong_code_that_locks(most, until.plus(Seconds::minutes(15)));
    }
}

#[test]
fn a_right_code_restarts_the_count_of_its_kind_and_if_it_is_no_mail_that_of_the_account() {
    for (kind, _) in KINDS {
        let scene = signing_in_by_any().when(wrong_one(kind, START)).next().when(wrong_one(kind, START)).next();
        let scene = scene.when(right(kind, START)).accepted().next();
        assert_eq!(scene.state.tallies.others.locks.of(kind).unwrap().failures, 0);
        let left = if kind == FactorKind::Email { 2 } else { 0 };
        assert_eq!(scene.state.tallies.others.failures, left);
    }
}

#[test]
fn a_right_code_of_another_kind_leaves_the_count_of_this_one() {
    let scene = signing_in_by_any().when(wrong_one(FactorKind::Sms, START)).wrong_code(1).next();
    let scene = scene.when(wrong_one(FactorKind::Sms, START)).wrong_code(2).next();
    let scene = scene.when(right(FactorKind::Totp, START)).accepted().next();
    assert_eq!((scene.state.tallies.others.locks.sms.failures, scene.state.tallies.others.failures), (2, 0));
    let scene = later(scene, after(Seconds(1)));
    scene.when(wrong_one(FactorKind::Sms, START)).wrong_code_that_locks(3, after(Seconds(901)));
}

#[test]
fn the_count_goes_on_over_verifications_numbers_and_purposes() {
    let mut history = an_account_with_both();
    history.extend(sms(3, OTHER_NUMBER));
    let first = Challenge { method_id: Some(MethodId(2)), ..TEXT };
    let second =
        Challenge { verification_id: OTHER_CHECK, method_id: Some(MethodId(3)), purpose: Purpose::AddMethod, ..TEXT };
    let third = Challenge { verification_id: THIRD_CHECK, purpose: Purpose::DisableMethod, ..TEXT };
    history.push(started(CHECK, Purpose::SignIn, Some(OWNER)).into());
    history.push(checking(OTHER_CHECK, Purpose::AddMethod));
    history.push(checking(THIRD_CHECK, Purpose::DisableMethod));
    history.extend([first, second, third].map(|code| ordered(code, START)));
    let scene = given(history).by(SIGNED_IN);
    let guess = |code: Challenge| Command::SubmitCode {
        verification_id: code.verification_id,
        kind: Some(FactorKind::Sms),
        method_id: code.method_id,
        code: entered(&other_than(&digits(&code))),
    };
    let scene = scene.when(guess(first)).wrong_code(1).next().when(guess(second)).wrong_code(2).next();
    scene.when(guess(third)).wrong_code_that_locks(3, after(Seconds::minutes(15)));
}

#[test]
fn ninety_nine_wrong_codes_are_borne_and_the_hundredth_stops_totp_sms_and_email() {
    let scene = signing_in_by_any();
    for (kind, _) in KINDS {
        let scene = scene.clone().then_at(START, [wrong(FactorKind::Totp, 1, 98)]);
        let told = scene.when(wrong_one(kind, START));
        assert!(!event_of!(told, CodeRejected).account_locked);
        told.scene.clone().when(right(kind, START)).accepted();
        let told = told.next().when(wrong_one(kind, START));
        let rejected = event_of!(told, CodeRejected);
        assert_eq!((rejected.account_failures, rejected.account_locked), (100, true));
        // The count falls by ten a day, and the first that fell is one more try.
        let reopens = after(Seconds(8_640));
        let capped = later(told.next(), just_before(reopens));
        for (other, _) in KINDS {
            for attempt in [right(other, capped.now), wrong_one(other, capped.now)] {
                capped.clone().when(attempt).refused(Refusal::AccountLocked).needing_nothing();
            }
        }
        assert!(capped.state.summary(&usual(), capped.now).unwrap().account_locked);
        let open = later(capped, reopens);
        assert!(!open.state.summary(&usual(), open.now).unwrap().account_locked);
        let told = open.when(wrong_one(kind, reopens));
        assert_eq!(event_of!(told, CodeRejected).account_failures, 100);
        told.next().when(right(kind, reopens)).refused(Refusal::AccountLocked).needing_nothing();
    }
}

#[test]
fn a_recovery_code_still_signs_in_and_clears_the_cap() {
    let scene = signing_in_by_any().then_at(START, [wrong(FactorKind::Totp, 1, 100)]);
    let scene = scene.when(right(FactorKind::RecoveryCode, START)).accepted().next();
    assert_eq!((scene.state.tallies.others.failures, scene.state.tallies.others.reached_cap), (0, false));
    let scene = later(scene, after(Seconds(60)));
    scene.clone().when(right(FactorKind::Totp, after(Seconds(60)))).accepted();
}

#[test]
fn a_wrong_recovery_code_counts_toward_no_lock_and_no_cap() {
    let scene = signing_in_by_any().then_at(START, [wrong(FactorKind::Totp, 4, 99)]);
    let told = scene.when(wrong_one(FactorKind::RecoveryCode, START)).wrong_code(1);
    let rejected = event_of!(told, CodeRejected);
    assert_eq!((rejected.kind_failures, rejected.account_failures, rejected.account_locked), (0, 99, false));
    assert_eq!(told.scene.state.tallies.others.locks.totp.failures, 4);
}

#[test]
fn nothing_of_the_digits_shows_before_they_are_compared() {
    let until = after(Seconds::minutes(15));
    let locked_all = KINDS.map(|(kind, _)| locked(kind, until));
    let scenes = [
        signing_in_by_any().then_at(START, locked_all),
        signing_in_by_any().then_at(START, [wrong(FactorKind::Totp, 1, 100)]),
        signing_in_by_any().at(until),
        signing_in_by_any().at(after(Seconds::minutes(10))),
        signing_in_by_any().by(Caller::Anonymous),
    ];
    for scene in scenes {
        for kind in [FactorKind::Sms, FactorKind::Email] {
            let right = scene.clone().when(right(kind, scene.now));
            let wrong = scene.clone().when(wrong_one(kind, scene.now));
            assert_eq!((&right.decision, &right.asked), (&wrong.decision, &wrong.asked));
            assert!(right.decision.events.is_empty() && right.decision.outcome.is_err());
        }
    }
}

#[test]
fn a_code_that_was_never_sent_is_asked_for_first() {
    let scene = given(an_account_with_both().into_iter().chain([signing_in(CHECK)])).by(CHECKED);
    for kind in [FactorKind::Sms, FactorKind::Email] {
        scene.clone().when(submit(CHECK, kind, "123456")).refused(Refusal::NoCodeSent).needing_nothing();
    }
}

#[test]
fn support_lifts_a_lock_or_everything_with_a_reason() {
    let until = after(Seconds::minutes(15));
    let scene = signing_in_by_any()
        .then_at(START, [wrong(FactorKind::Sms, 3, 3), locked(FactorKind::Sms, until), wrong(FactorKind::Totp, 2, 100)])
        .by(support());
    let unlock = |kind| Command::UnlockMethod { kind, reason: text("called us") };
    let unlocked = |kinds: &[FactorKind], cap_lifted| MethodUnlocked {
        kinds: kinds.to_vec(),
        cap_lifted,
        reason: Personal::Known(text("called us")),
        by: Some(KEY),
    };
    let one = scene.clone().when(unlock(Some(FactorKind::Sms))).then([unlocked(&[FactorKind::Sms], false).into()]);
    assert!(one.scene.state.tallies.others.reached_cap);
    assert_eq!(one.scene.state.tallies.others.locks.totp.failures, 2);
    let all = scene.clone().when(unlock(None)).then([unlocked(&[FactorKind::Totp, FactorKind::Sms], true).into()]);
    let scene = all.next();
    scene.clone().by(CHECKED).when(right(FactorKind::Sms, START)).accepted();
    scene.clone().when(unlock(None)).then([]);
    scene.when(unlock(Some(FactorKind::RecoveryCode))).then([]);
    let over = signing_in_by_any().then_at(START, [locked(FactorKind::Sms, START)]).by(Caller::Operator);
    over.when(unlock(Some(FactorKind::Sms))).then([]);
}

#[test]
fn only_support_and_operators_unlock() {
    for caller in [Caller::Anonymous, SIGNED_IN, WITH_TOKEN, CHECKED, product(), Caller::Worker] {
        let unlock = Command::UnlockMethod { kind: None, reason: text("please") };
        signing_in_by_any().by(caller).when(unlock).refused(Refusal::Forbidden);
    }
    let unlock = || Command::UnlockMethod { kind: None, reason: text("please") };
    nothing_yet().by(support()).when(unlock()).refused(Refusal::NotFound);
    given([registered()]).by(support()).when(unlock()).refused(Refusal::EmailNotVerified);
}

#[test]
fn the_method_list_shows_counts_and_locks_of_its_kind() {
    let until = after(Seconds::minutes(15));
    let scene = signing_in_by_any().then_at(START, [wrong(FactorKind::Sms, 3, 3), locked(FactorKind::Sms, until)]);
    let view = |at| scene.state.methods_view(Side::Others, at);
    let shown = |at| view(at).into_iter().map(|m| (m.fail_count, m.locked_until)).collect::<Vec<_>>();
    assert_eq!(shown(just_before(until)), [(0, None), (3, Some(until))]);
    assert_eq!(shown(until), [(0, None), (0, None)]);
    let known = scene.state.methods_view(Side::KnownDevices, START);
    assert!(known.iter().all(|method| (method.fail_count, method.locked_until) == (0, None)));
}
