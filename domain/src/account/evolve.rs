//! From events to state. No rule, no policy, no failure: whatever the history, it folds.

use crate::{
    commands::TotpParameters,
    events::{CodeRejected, Event, ImportedMethod, VerificationStarted, VerificationSucceeded},
    ids::{MethodId, VerificationId},
    state::{
        AccessToken, Account, AddressChange, Device, Enrollment, Freeze, ImportedCodes, IssuedCode, KnownDevice,
        LastHour, Lock, Method, Phase, Progress, RecoveryCodes, RecoverySet, ResetRequest, Send, Session, Standing,
        SupportReset, Tallies, Tally, Unlock, Verification,
    },
    time::{Seconds, Timestamp},
    values::{Aal, Amr, Challenge, Channel, CodeForm, Credential, FactorKind, Purpose, Side},
};

/// What ended longer ago than this is dropped.
const KEPT: Seconds = Seconds::hours(24);
/// At most so many finished verifications and enrollments are kept, whatever their age, so that a busy account
/// stays small.
const FINISHED_KEPT: usize = 16;
/// At most so many sends are kept; see `Policy::sends_per_account_hour`.
const SENDS_KEPT: usize = 256;

#[expect(clippy::too_many_lines, reason = "one arm per event, so that none can be forgotten")]
pub(super) fn evolve(mut state: Account, event: &Event, at: Timestamp) -> Account {
    state.last_event_at = Some(at);
    match event {
        Event::AccountRegistered(e) => {
            state.id = Some(e.account_id);
            state.number = e.number;
            state.registered_at = Some(at);
            state.phase = Phase::Unconfirmed { expires_at: e.expires_at };
            state.email = Some(e.email.clone());
            state.password.clone_from(&e.password);
        }
        Event::AccountImported(e) => {
            state.id = Some(e.account_id);
            state.number = e.number;
            state.registered_at = Some(at);
            state.phase = Phase::Confirmed;
            state.email = Some(e.email.clone());
            state.password.clone_from(&e.password);
            imported_methods(&mut state, &e.methods, at);
            state.recovery = e.recovery_codes.clone().map(|codes| RecoverySet {
                set: 1,
                codes: RecoveryCodes::Imported(codes),
                used: Vec::new(),
                count: e.recovery_code_count,
                generated_at: at,
            });
            state.last_recovery_set = u32::from(state.recovery.is_some());
            state.has_signed_in = true;
        }
        Event::EmailVerified(e) => {
            state.phase = Phase::Confirmed;
            use_up(&mut state, e.verification_id, at);
        }
        Event::EmailChanged(e) => {
            if let Some(undo_until) = e.undo_until {
                let before = state.standing();
                let (id, has_frozen, failures, codes) = (e.verification_id, false, 0, Vec::new());
                state.address_changes.push(AddressChange { id, undo_until, before, has_frozen, failures, codes });
            }
            state.quiet_until = e.quiet_until;
            state.email = Some(e.email.clone());
            use_up(&mut state, Some(e.verification_id), at);
            forget_the_old_address(&mut state, at);
        }
        Event::PasswordSet(e) => {
            state.password = Some(e.password.clone());
            state.changes_wait_until = e.changes_wait_until.max(state.changes_wait_until);
            match e.verification_id {
                None => state.growth.checks.count(at),
                // Who knew the password of before may have used up the sign-ins of the hour.
                Some(_) => state.growth.sign_ins = LastHour::default(),
            }
            use_up(&mut state, e.verification_id, at);
            forget_the_old_password(&mut state, at);
        }
        Event::PasswordRejected(_) => state.password_rejected_at = Some(at),
        Event::SignedIn(e) => {
            let begun = e.verification_id.and_then(|id| state.verifications.get(&id));
            let password_at = begun.map_or(at, |verification| verification.started_at);
            state.sessions.insert(
                e.session_id,
                Session {
                    token_hash: e.token_hash,
                    aal: e.aal,
                    amr: e.amr.clone(),
                    started_at: at,
                    expires_at: e.expires_at,
                    idle_timeout: e.idle_timeout,
                    password_at: e.amr.contains(&Amr::Pwd).then_some(password_at),
                    factor_at: (e.aal == Aal::Aal2).then_some(at),
                    access_token_id: e.access_token_id,
                    limited_by: e.verification_id.filter(|_| e.is_limited),
                },
            );
            state.has_signed_in = true;
            state.growth.sign_ins.count(at);
            use_up(&mut state, e.verification_id, at);
        }
        Event::SignInUnfinished(_) => state.told_of_unfinished_sign_in_at = Some(at),
        Event::SignedOut(e) => {
            state.sessions.remove(&e.session_id);
        }
        Event::SessionRevoked(e) => {
            for id in &e.session_ids {
                state.sessions.remove(id);
            }
        }
        Event::AccessTokenIssued(e) => {
            state.access_tokens.insert(
                e.access_token_id,
                AccessToken { token_hash: e.token_hash, name: e.name.clone(), issued_at: at, expires_at: e.expires_at },
            );
            use_up(&mut state, e.verification_id, at);
        }
        Event::AccessTokenRevoked(e) => {
            for id in &e.access_token_ids {
                state.access_tokens.remove(id);
            }
        }
        Event::VerificationStarted(e) => {
            if e.purpose == Purpose::ConfirmNewEmail {
                use_up_the_change_of_address(&mut state, e.started_by, at);
            }
            if e.started_by.is_some() && e.purpose != Purpose::SignIn {
                state.growth.checks.count(at);
            }
            if let Some(replaced) = e.replaces.and_then(|id| state.verifications.get_mut(&id)) {
                replaced.progress = Progress::Failed { at };
            }
            state.verifications.insert(e.verification_id, started(e, at));
        }
        Event::CodeIssued(e) => {
            let (verification_id, purpose, channel) = (e.verification_id, e.purpose, e.channel);
            let challenge = Challenge { verification_id, purpose, channel, method_id: e.method_id, issue: e.issue };
            sent(&mut state, (challenge, e.form, e.side), (e.expires_at, e.resend_after), at);
        }
        Event::CodeResent(e) => {
            let (verification_id, purpose, channel) = (e.verification_id, e.purpose, e.channel);
            let challenge = Challenge { verification_id, purpose, channel, method_id: e.method_id, issue: e.issue };
            sent(&mut state, (challenge, CodeForm::Digits, e.side), (e.expires_at, e.resend_after), at);
        }
        Event::CodeRejected(e) => rejected(&mut state, e, at),
        Event::MethodLocked(e) => {
            if let Some(lock) = state.tallies.of_mut(e.side).locks.of_mut(e.kind) {
                lock.locked_until = Some(e.locked_until);
            }
        }
        Event::MethodUnlocked(e) => {
            for side in Tallies::SIDES {
                let tally = state.tallies.of_mut(side);
                for kind in &e.kinds {
                    if let Some(lock) = tally.locks.of_mut(*kind) {
                        *lock = Lock::default();
                    }
                }
                if e.cap_lifted {
                    tally.clear_cap();
                }
            }
            state.unlocks.push(Unlock { at, by: e.by });
        }
        Event::VerificationSucceeded(e) => succeeded(&mut state, e, at),
        Event::TotpEnrollmentStarted(e) => {
            state.growth.changes.count(at);
            let parameters = TotpParameters { algorithm: e.algorithm, digits: e.digits, period: e.period };
            let device = Device::Totp { secret: e.secret.clone(), parameters, last_step: None };
            enroll(&mut state, e.method_id, device, e.verification_id, e.started_by, e.attempts, e.expires_at);
        }
        Event::SmsEnrollmentStarted(e) => {
            state.growth.changes.count(at);
            let device = Device::Sms {
                phone_number: e.phone_number.clone(),
                country: e.country.clone(),
                prefix: e.prefix.clone(),
            };
            enroll(&mut state, e.method_id, device, e.verification_id, e.started_by, e.attempts, e.expires_at);
        }
        Event::MethodEnabled(e) => {
            use_up(&mut state, Some(e.verification_id), at);
            if let Some(enrollment) = state.enrollments.get_mut(&e.method_id) {
                enrollment.ended = true;
                enrollment.expires_at = enrollment.expires_at.min(at);
                let mut device = enrollment.device.clone();
                if let Device::Totp { last_step, .. } = &mut device {
                    *last_step = e.totp_step;
                }
                let label = e.label.clone();
                state.methods.insert(e.method_id, Method { device, label, created_at: at, last_used: None });
            }
            if e.is_primary {
                state.primary = Some(e.method_id);
            }
            state.reset = None;
        }
        Event::MethodRelabelled(e) => {
            state.growth.changes.count(at);
            if let Some(method) = state.methods.get_mut(&e.method_id) {
                method.label = e.label.clone();
            }
        }
        Event::PrimaryMethodChanged(e) => {
            state.growth.changes.count(at);
            state.primary = Some(e.method_id);
        }
        Event::MethodDisabled(e) => {
            state.methods.remove(&e.method_id);
            if state.primary == Some(e.method_id) {
                state.primary = None;
            }
            use_up(&mut state, Some(e.verification_id), at);
        }
        Event::TwoFactorEnabled(_) => state.two_factor_since = Some(at),
        Event::TwoFactorDisabled(_) => state.two_factor_since = None,
        Event::RecoveryCodesGenerated(e) => {
            state.last_recovery_set = e.set;
            state.recovery = Some(RecoverySet {
                set: e.set,
                codes: RecoveryCodes::Ours(e.codes.clone()),
                used: Vec::new(),
                count: e.count,
                generated_at: at,
            });
            forget_imported_tries(&mut state);
            use_up(&mut state, e.verification_id, at);
        }
        Event::RecoveryCodeUsed(e) => {
            for set in state.recovery_sets_of(e.set).filter(|set| !set.used.contains(&e.index)) {
                set.used.push(e.index);
            }
        }
        Event::RecoveryCodesRevoked(_) => {
            state.recovery = None;
            forget_imported_tries(&mut state);
        }
        Event::TwoFactorReset(e) => {
            state.methods.clear();
            state.primary = None;
            for enrollment in state.enrollments.values_mut() {
                enrollment.ended = true;
                enrollment.expires_at = enrollment.expires_at.min(at);
            }
            state.recovery = None;
            state.two_factor_since = None;
            // Strangers' wrong codes stay counted: a reset that somebody talked support into gives nobody new tries.
            state.tallies.known_devices = Tally::default();
            forget_imported_tries(&mut state);
            end_verifications(&mut state, at, |_| true);
            state.reset = Some(SupportReset {
                code: e.code.clone().map(|code| RecoverySet {
                    set: 0,
                    codes: RecoveryCodes::Ours(code),
                    used: Vec::new(),
                    count: 1,
                    generated_at: at,
                }),
                code_expires_at: e.code_expires_at,
            });
            // Support has looked at who asks: the holder of an old link must not keep them from their first method.
            (state.reset_requested, state.freeze) = (None, None);
        }
        Event::TwoFactorResetRequested(e) => {
            state.reset_requested = Some(ResetRequest { by: e.by, expires_at: e.expires_at });
        }
        Event::AccountErased(_) => {
            let (id, number, registered_at) = (state.id, state.number, state.registered_at);
            let phase = Phase::Erased;
            state = Account { id, number, registered_at, phase, last_event_at: Some(at), ..Account::default() };
        }
        Event::SessionRenewed(e) => {
            // Whoever began a check with the token of before must not finish it without the new one.
            let acting = Some(Credential::Session(e.session_id));
            end_verifications(&mut state, at, |check| check.started_by == acting);
            if let Some(session) = state.sessions.get_mut(&e.session_id) {
                session.token_hash = e.token_hash;
                session.aal = e.aal;
                session.amr.clone_from(&e.amr);
                // Whoever proved a factor has the way back behind them; another password alone is no such proof.
                if e.aal == Aal::Aal2 {
                    session.limited_by = None;
                }
                // Without a verification it was the password that was shown.
                match e.verification_id {
                    Some(_) => session.factor_at = Some(at),
                    None => session.password_at = Some(at),
                }
            }
            use_up(&mut state, e.verification_id, at);
        }
        Event::DeviceRemembered(e) => {
            let known_since = state.devices.get(&e.device_id).map_or(at, |device| device.known_since);
            let (token_hash, session_id, expires_at) = (e.token_hash, e.session_id, e.expires_at);
            let device = KnownDevice { token_hash, session_id, known_since, remembered_at: at, expires_at };
            state.devices.insert(e.device_id, device);
        }
        Event::DeviceForgotten(e) => {
            for id in &e.device_ids {
                state.devices.remove(id);
            }
        }
        Event::EmailChangeUndone(e) => undo(&mut state, e.change, at),
        Event::ChangesFrozen(e) => {
            if state.freeze.is_none_or(|freeze| freeze.until < e.until) {
                state.freeze = Some(Freeze { change: e.change, until: e.until });
            }
            for change in state.address_changes.iter_mut().filter(|change| change.id == e.change) {
                change.has_frozen = true;
            }
        }
        Event::ChangesUnfrozen(_) => state.freeze = None,
        // Events of other streams, and those that views alone care for.
        Event::SendStarted(_)
        | Event::CodeDispatched(_)
        | Event::CodeDelivered(_)
        | Event::CodeDeliveryFailed(_)
        | Event::SendOutcomeUnknown(_)
        | Event::RetentionApplied(_)
        | Event::EmailClaimed(_)
        | Event::EmailReleased(_)
        | Event::NumbersReserved(_)
        | Event::ApiKeyIssued(_)
        | Event::ApiKeyRevoked(_)
        | Event::HistoryAccessed(_)
        | Event::FarewellOrdered(_)
        | Event::SessionsCutOff(_)
        | Event::SessionsEnded(_) => {}
    }
    drop_old(&mut state, at);
    state
}

/// A verification as its first event makes it.
pub(super) fn started(event: &VerificationStarted, at: Timestamp) -> Verification {
    Verification {
        purpose: event.purpose,
        action: event.action.clone(),
        target: event.target,
        started_by: event.started_by,
        token_hash: event.token_hash,
        first_factor: event.first_factor.clone(),
        new_email: event.new_email.clone(),
        yields_session: event.yields_session,
        started_at: at,
        progress: Progress::Pending { expires_at: event.expires_at },
        asked: event.asked,
        source: event.source.clone(),
        good_from: None,
        attempts: event.attempts,
        failures: 0,
        recovery_failures: 0,
        sends: 0,
        codes: Vec::new(),
    }
}

fn enroll(
    state: &mut Account,
    method_id: MethodId,
    device: Device,
    verification_id: VerificationId,
    started_by: Credential,
    attempts: u32,
    expires_at: Timestamp,
) {
    state.last_method_id = state.last_method_id.max(method_id.0);
    state.enrollments.insert(
        method_id,
        Enrollment {
            verification_id,
            device,
            started_by,
            expires_at,
            failures: 0,
            attempts,
            ended: false,
            codes: Vec::new(),
        },
    );
}

/// A send: the code it carries takes the place of the one it repeats.
fn sent(
    state: &mut Account,
    (challenge, form, side): (Challenge, CodeForm, Side),
    (expires_at, resend_after): (Timestamp, Timestamp),
    sent_at: Timestamp,
) {
    let code = IssuedCode { challenge, form, expires_at, resend_after, sent_at };
    let Challenge { verification_id, channel, method_id, issue, .. } = challenge;
    if challenge.purpose == Purpose::UndoEmailChange {
        for change in state.address_changes.iter_mut().filter(|change| change.id == verification_id) {
            change.codes.retain(|known| (known.challenge.method_id, known.challenge.issue) != (method_id, issue));
            change.codes.push(code);
        }
        return;
    }
    if channel == Channel::Sms || challenge.purpose.counts_as_send_of_the_account() {
        state.sends.push(Send { at: code.sent_at, channel, method_id, side });
    }
    let codes = if let Some(verification) = state.verifications.get_mut(&verification_id) {
        verification.sends = verification.sends.saturating_add(1);
        Some(&mut verification.codes)
    } else {
        state
            .enrollments
            .values_mut()
            .find(|enrollment| enrollment.verification_id == verification_id)
            .map(|enrollment| &mut enrollment.codes)
    };
    if let Some(codes) = codes {
        codes.retain(|known| {
            (known.challenge.channel, known.challenge.method_id, known.challenge.issue) != (channel, method_id, issue)
        });
        codes.push(code);
    }
}

fn rejected(state: &mut Account, e: &CodeRejected, at: Timestamp) {
    if e.kind_failures > 0 {
        let tally = state.tallies.of_mut(e.side);
        if let Some(lock) = tally.locks.of_mut(e.kind) {
            // A lock that has ended is over: the count restarted with this code.
            *lock = Lock { failures: e.kind_failures, locked_until: lock.locked_at(at) };
            tally.count(e.account_failures, e.account_locked, at);
        } else {
            tally.imported.count(e.kind_failures, at);
        }
    }
    if e.tell_owner {
        let told = match e.kind {
            FactorKind::RecoveryCode => &mut state.told_of_recovery_codes_at,
            _ => &mut state.told_of_wrong_codes_at,
        };
        *told = Some(at);
    }
    if e.purpose == Purpose::UndoEmailChange {
        for change in state.address_changes.iter_mut().filter(|change| change.id == e.verification_id) {
            change.failures = e.verification_failures;
        }
    } else if let Some(verification) = state.verifications.get_mut(&e.verification_id) {
        if e.kind == FactorKind::RecoveryCode {
            verification.recovery_failures = e.verification_failures;
        } else {
            verification.failures = e.verification_failures;
        }
        if e.ended {
            verification.progress = Progress::Failed { at };
        }
    } else if let Some(enrollment) =
        state.enrollments.values_mut().find(|enrollment| enrollment.verification_id == e.verification_id)
    {
        enrollment.failures = e.verification_failures;
        enrollment.ended |= e.ended;
        if e.ended {
            enrollment.expires_at = enrollment.expires_at.min(at);
        }
    }
}

fn succeeded(state: &mut Account, e: &VerificationSucceeded, at: Timestamp) {
    // What the link of an undo proved is of before: it says nothing about what was counted since.
    let mut counts = e.purpose != Purpose::UndoEmailChange;
    if counts && let Some(verification) = state.verifications.get_mut(&e.verification_id) {
        // The proof of an address alone says nothing about the account's factors.
        counts = verification.attempts.is_none() || matches!(verification.progress, Progress::HalfDone { .. });
        // One that was started without a purpose has that of the command which brought the code.
        verification.purpose = e.purpose;
        verification.good_from.clone_from(&e.good_from);
        verification.progress = match (e.needs_second_factor, verification.progress) {
            (true, Progress::Pending { expires_at } | Progress::HalfDone { expires_at }) => {
                Progress::HalfDone { expires_at }
            }
            _ => Progress::Verified { kind: e.kind, usable_until: e.usable_until },
        };
    }
    if counts {
        let tally = state.tallies.of_mut(e.side);
        if let Some(lock) = tally.locks.of_mut(e.kind) {
            *lock = Lock::default();
        }
        // Whoever reads the mailbox has shown no factor: that clears no count of guesses at one.
        if e.kind != FactorKind::Email {
            tally.clear_cap();
        }
    }
    let Some(method_id) = e.method_id else { return };
    if let Some(method) = state.methods.get_mut(&method_id) {
        method.last_used = Some(at);
    }
    for device in state.devices_of(method_id) {
        if let (Device::Totp { last_step, .. }, Some(step)) = (device, e.totp_step) {
            *last_step = Some(last_step.map_or(step, |last| last.max(step)));
        }
    }
}

fn forget_imported_tries(state: &mut Account) {
    for side in Tallies::SIDES {
        state.tallies.of_mut(side).imported = ImportedCodes::default();
    }
}

fn use_up(state: &mut Account, verification_id: Option<VerificationId>, at: Timestamp) {
    if let Some(verification) = verification_id.and_then(|id| state.verifications.get_mut(&id)) {
        verification.progress = Progress::Used { at };
    }
}

fn end_verifications(state: &mut Account, at: Timestamp, which: impl Fn(&Verification) -> bool) {
    for verification in state.verifications.values_mut() {
        if which(verification) && !is_finished(verification, at) {
            verification.progress = Progress::Failed { at };
        }
    }
}

/// What was mailed to the old address proves nothing any more.
fn forget_the_old_address(state: &mut Account, at: Timestamp) {
    end_verifications(state, at, |verification| verification.purpose == Purpose::ResetPassword);
    let own = state.verifications.values_mut().filter(|verification| verification.new_email.is_none());
    for code in own.flat_map(|verification| &mut verification.codes) {
        if code.challenge.channel == Channel::Email {
            code.expires_at = code.expires_at.min(at);
        }
    }
}

/// Sign-ins that the old password began, and other resets, end with it.
fn forget_the_old_password(state: &mut Account, at: Timestamp) {
    end_verifications(state, at, |verification| {
        verification.purpose == Purpose::ResetPassword || verification.first_factor.contains(&Amr::Pwd)
    });
}

/// The authorization of a change of address goes with the check of the new one that it began.
fn use_up_the_change_of_address(state: &mut Account, by: Option<Credential>, at: Timestamp) {
    for verification in state.verifications.values_mut() {
        if verification.purpose == Purpose::ChangeEmail
            && verification.started_by == by
            && matches!(verification.progress, Progress::Verified { .. })
        {
            verification.progress = Progress::Used { at };
        }
    }
}

/// Everything that a sign-in is judged by is as it stood; all that was begun since is over, changes of before it stay.
fn undo(state: &mut Account, change: VerificationId, at: Timestamp) {
    let Some(first) = state.address_changes.iter().position(|known| known.id == change) else { return };
    let Some(undone) = state.address_changes.drain(first..).next() else { return };
    let Standing { email, password, methods, primary, two_factor_since, recovery, quiet_until, changes_wait_until } =
        undone.before;
    state.email = email;
    state.password = password;
    state.methods = methods;
    state.primary = primary;
    state.two_factor_since = two_factor_since;
    state.recovery = recovery;
    state.quiet_until = quiet_until;
    state.changes_wait_until = changes_wait_until;
    state.freeze = None;
    (state.reset, state.reset_requested) = (None, None);
    for enrollment in state.enrollments.values_mut() {
        enrollment.ended = true;
        enrollment.expires_at = enrollment.expires_at.min(at);
    }
    end_verifications(state, at, |_| true);
    state.sessions.clear();
    state.access_tokens.clear();
    state.devices.clear();
}

fn imported_methods(state: &mut Account, methods: &[ImportedMethod], at: Timestamp) {
    for method in methods {
        let (id, device, label) = match method {
            ImportedMethod::Totp { method_id, secret, algorithm, digits, period, label, .. } => {
                let parameters = TotpParameters { algorithm: *algorithm, digits: *digits, period: *period };
                (*method_id, Device::Totp { secret: secret.clone(), parameters, last_step: None }, label)
            }
            ImportedMethod::Sms { method_id, phone_number, country, prefix, label } => {
                let device = Device::Sms {
                    phone_number: phone_number.clone(),
                    country: country.clone(),
                    prefix: prefix.clone(),
                };
                (*method_id, device, label)
            }
        };
        state.last_method_id = state.last_method_id.max(id.0);
        state.methods.insert(id, Method { device, label: label.clone(), created_at: at, last_used: None });
    }
    state.primary = state.methods.keys().next().copied();
    state.two_factor_since = state.primary.map(|_| at);
}

/// When it ended, as far as it has.
pub(super) fn ended_at(verification: &Verification) -> Timestamp {
    match verification.progress {
        Progress::Pending { expires_at } | Progress::HalfDone { expires_at } => expires_at,
        Progress::Verified { usable_until, .. } => usable_until,
        Progress::Used { at } | Progress::Failed { at } => at,
    }
}

fn is_finished(verification: &Verification, now: Timestamp) -> bool {
    match verification.progress {
        Progress::Used { .. } | Progress::Failed { .. } => true,
        _ => now >= ended_at(verification),
    }
}

fn drop_old(state: &mut Account, now: Timestamp) {
    let old = |ended: Timestamp| now > ended.plus(KEPT);
    state.sends.retain(|send| !old(send.at));
    state.address_changes.retain(|change| !old(change.undo_until));
    state.sends.drain(..state.sends.len().saturating_sub(SENDS_KEPT));
    state.enrollments.retain(|_, enrollment| !old(enrollment.expires_at));
    if state.enrollments.len() > 2 * FINISHED_KEPT {
        let over = |enrollment: &Enrollment| enrollment.ended || now >= enrollment.expires_at;
        let finished: Vec<MethodId> =
            state.enrollments.iter().filter(|(_, enrollment)| over(enrollment)).map(|(id, _)| *id).collect();
        for id in finished.iter().take(finished.len().saturating_sub(FINISHED_KEPT)) {
            state.enrollments.remove(id);
        }
    }
    state.sessions.retain(|_, session| !old(session.expires_at));
    state.access_tokens.retain(|_, token| !old(token.expires_at));
    state.devices.retain(|_, device| !old(device.expires_at));
    state.unlocks.retain(|unlock| !old(unlock.at));
    // Verifications are in order of their start, so the first one tells whether any can be old.
    if state.verifications.len() > 2 * FINISHED_KEPT
        || state.verifications.values().next().is_some_and(|first| old(ended_at(first)))
    {
        state.verifications.retain(|_, verification| !old(ended_at(verification)));
        let finished: Vec<VerificationId> =
            state.verifications.iter().filter(|(_, v)| is_finished(v, now)).map(|(id, _)| *id).collect();
        for id in finished.iter().take(finished.len().saturating_sub(FINISHED_KEPT)) {
            state.verifications.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_erased_account_keeps_nothing_but_its_id() {
        let state = evolve(
            Account::default(),
            &Event::AccountErased(crate::events::AccountErased { verification_id: None }),
            Timestamp::EPOCH,
        );
        assert_eq!(state.phase, Phase::Erased);
        assert!(state.methods.is_empty() && state.email.is_none() && state.sessions.is_empty());
    }
}
