//! What holds whatever anyone does in whatever order, with a clock that moves.

use std::collections::BTreeMap;

use domain::{
    account::totp_code,
    commands::{Act, Check, Command, SecondFactor, TotpParameters},
    events::*,
    evidence::LongCode,
    ids::{MethodId, VerificationId},
    outcome::{Outcome, Refusal},
    policy::Policy,
    secret::Secret,
    state::{Account, Device, Progress, Tallies},
    time::{Seconds, Timestamp},
    values::*,
};
use proptest::prelude::*;

use crate::{
    histories::*,
    kit::*,
    steps::{Answer, Step, step},
    witness::Witness,
};

pub struct World {
    pub scene: Scene<Account>,
    pub seen: Witness,
    /// How often each of the commands that are looked at succeeded, and was refused.
    pub told: BTreeMap<&'static str, [u32; 2]>,
    salts: Vec<String>,
}

fn pick<T: Copy>(from: &[T], number: u8) -> Option<T> {
    (!from.is_empty()).then(|| from[usize::from(number) % from.len()])
}

impl World {
    pub fn new(policy: Policy) -> Self {
        let mut history = an_account_with_both();
        history.extend([session(OTHER_SESSION, Aal::Aal2), access_token(TOKEN)]);
        let scene = given(history.clone()).with_policy(|own| *own = policy);
        let history = history.into_iter().map(|event| (event, START)).collect();
        Self {
            scene,
            seen: Witness { history, ..Witness::default() },
            told: BTreeMap::new(),
            salts: vec![SALT.to_owned()],
        }
    }

    fn callers() -> [Caller; 4] {
        let product = client(&[Scope::AccountsWrite, Scope::SessionsIssue]);
        [SIGNED_IN, Caller::Session(OTHER_SESSION), WITH_TOKEN, product]
    }

    fn check(&self, number: u8) -> Option<VerificationId> {
        // The youngest are the ones of interest.
        let ids: Vec<VerificationId> = self.scene.state.verifications.keys().rev().take(6).copied().collect();
        pick(&ids, number)
    }

    /// A kind: mostly one that can be tried in this verification.
    fn kind(&self, id: VerificationId, number: u8) -> Option<FactorKind> {
        let mut kinds = vec![FactorKind::Totp, FactorKind::Sms, FactorKind::Email];
        for code in &self.scene.state.verifications.get(&id)?.codes {
            kinds.extend([code.challenge.channel.factor(); 3]);
        }
        pick(&kinds, number)
    }

    /// A method: mostly one of the kind.
    fn method(&self, kind: FactorKind, number: u8) -> Option<MethodId> {
        let all = &self.scene.state.methods;
        let of_kind: Vec<MethodId> =
            all.iter().filter(|(_, method)| method.kind().factor() == kind).map(|(id, _)| *id).collect();
        match number {
            250.. => all.keys().next().copied(),
            _ => pick(&of_kind, number),
        }
    }

    /// What the code would be: `None` where there is none to know.
    fn code(&self, kind: FactorKind, method: Option<MethodId>, id: VerificationId, answer: Answer) -> Option<String> {
        let sent = |channel| {
            let codes = self.scene.state.verifications.get(&id).map(|v| v.codes.as_slice()).unwrap_or_default();
            let of_way =
                codes.iter().filter(|code| code.challenge.channel == channel && code.challenge.method_id == method);
            let code = of_way.max_by_key(|code| code.challenge.issue);
            code.map(|code| digits(&code.challenge))
        };
        let right = match kind {
            FactorKind::Totp => match &self.scene.state.methods.get(&method?)?.device {
                Device::Totp { secret, parameters, .. } => {
                    Some(totp_code(secret.known()?, *parameters, step_at(self.scene.now)))
                }
                Device::Sms { .. } => None,
            },
            FactorKind::Sms => sent(Channel::Sms),
            FactorKind::Email => sent(Channel::Email),
            FactorKind::RecoveryCode => None,
        }
        .unwrap_or_else(|| "123456".to_owned());
        Some(match answer {
            Answer::Right => right,
            Answer::Wrong => other_than(&right),
            Answer::Old => self.seen.once_right.last().cloned().filter(|code| code.len() == 6).unwrap_or(right),
        })
    }

    /// The caller and the command of a step, as far as there is something to do.
    #[expect(clippy::too_many_lines, reason = "one arm per step")]
    fn command(&self, step: &Step) -> Option<(Caller, Command)> {
        let own = |id| Caller::Verification(id);
        let methods: Vec<MethodId> = self.scene.state.methods.keys().copied().collect();
        let enrollments: Vec<(MethodId, Credential)> =
            self.scene.state.enrollments.iter().rev().take(4).map(|(id, e)| (*id, e.started_by)).collect();
        let caller = |number| pick(&[0, 1, 2, 3], number).map(|n: usize| Self::callers()[n].clone());
        let kinds = [FactorKind::Totp, FactorKind::Sms, FactorKind::Email];
        Some(match *step {
            Step::Wait(_) => return None,
            Step::SignIn(right) => (Caller::Anonymous, sign_in(if right { PASSWORD } else { "nonsense it is" })),
            Step::Start(by, purpose) => {
                let purposes = [
                    Purpose::SignIn,
                    Purpose::AddMethod,
                    Purpose::AddMethod,
                    Purpose::DisableMethod,
                    Purpose::RegenerateRecoveryCodes,
                ];
                (caller(by)?, start(pick(&purposes, purpose)?))
            }
            Step::Send(id, by_text, method) => {
                let id = self.check(id)?;
                let channel = if by_text { Channel::Sms } else { Channel::Email };
                let method_id = self.method(channel.factor(), method);
                (own(id), Command::SendCode { verification_id: id, channel, method_id })
            }
            Step::Resend(id) => (own(self.check(id)?), resend(self.check(id)?)),
            Step::Submit(id, kind, method, answer) => {
                let id = self.check(id)?;
                let kind = self.kind(id, kind)?;
                let method_id = self.method(kind, method);
                let code = entered(&self.code(kind, method_id, id, answer)?);
                (own(id), Command::SubmitCode { verification_id: id, kind: Some(kind), method_id, code })
            }
            Step::Recover(id, code) => {
                let id = self.check(id)?;
                let salt = &self.salts[usize::from(code / 16) % self.salts.len()];
                let codes = recovery_codes(salt, 10).0;
                let code = codes.get(usize::from(code % 12)).map_or("AAAA-AAAA-AAAA-AAAA", String::as_str);
                (own(id), Command::UseRecoveryCode { verification_id: id, code: entered(code) })
            }
            Step::EnrollApp(by) => (caller(by)?, Command::StartTotpEnrollment),
            Step::EnrollPhone(by, to) => {
                let to = pick(&[NUMBER, OTHER_NUMBER, THIRD_NUMBER], to)?;
                (caller(by)?, Command::StartSmsEnrollment { phone_number: number(to) })
            }
            Step::Enable(id, answer) => {
                let (id, by) = pick(&enrollments, id)?;
                let right = match &self.scene.state.enrollments.get(&id)?.device {
                    Device::Totp { secret, parameters, .. } => {
                        totp_code(secret.known()?, *parameters, step_at(self.scene.now))
                    }
                    Device::Sms { .. } => {
                        let codes = &self.scene.state.enrollments.get(&id)?.codes;
                        codes.last().map_or_else(|| "123456".to_owned(), |code| digits(&code.challenge))
                    }
                };
                let caller = Self::callers().into_iter().find(|caller| caller.credential() == Some(by))?;
                (caller, enable(id.0, &if matches!(answer, Answer::Right) { right } else { other_than(&right) }))
            }
            Step::Disable(by, method) => {
                let (verification_id, done_by) = self.verified(Purpose::DisableMethod);
                let command = Command::DisableMethod { method_id: pick(&methods, method)?, verification_id };
                (done_by.or(caller(by))?, command)
            }
            Step::Regenerate(by) => {
                let (verification_id, done_by) = self.verified(Purpose::RegenerateRecoveryCodes);
                (done_by.or(caller(by))?, Command::RegenerateRecoveryCodes { verification_id })
            }
            Step::ForgetPassword => {
                let id = VerificationId(self.scene.entropy().uuid(self.scene.now, "reset"));
                (Caller::Anonymous, Command::RequestPasswordReset { verification_id: id })
            }
            Step::ResetPassword(mail, kind, answer) => {
                let resets = self.scene.state.verifications.iter().rev();
                let is_half_done = |progress| matches!(progress, Progress::HalfDone { .. });
                let half_done = resets.clone().find(|(_, v)| is_half_done(v.progress)).map(|(id, _)| *id);
                let ticket = || VerificationId(self.scene.entropy().uuid(self.scene.now, "ticket"));
                let (id, kind) = (half_done.unwrap_or_else(ticket), pick(&kinds, kind)?);
                let method_id = self.method(kind, 0);
                let mailed = self.scene.state.long_codes(Purpose::ResetPassword, self.scene.now).last();
                let code = match (mailed, mail) {
                    (Some(challenge), Answer::Right) => letters(&LongCode::OfAccount(challenge)),
                    _ => "0000-0000-0000".to_owned(),
                };
                let second = entered(&self.code(kind, method_id, id, answer)?);
                let command = Command::ResetPassword {
                    verification_id: id,
                    ticket: hash_of(9),
                    code: Some(entered(&code)),
                    second_factor: Some(SecondFactor { kind: Some(kind), method_id, code: second }),
                    new: Secret::new(PASSWORD.to_owned()),
                };
                (own(id), command)
            }
            Step::Unlock(kind) => {
                let kind = kinds.get(usize::from(kind) % 4).copied();
                (support(), Command::UnlockMethod { kind, reason: text("asked") })
            }
            Step::Reset => (support(), Command::ResetTwoFactor { reason: text("asked") }),
            Step::Check(by, open, kind, method) => {
                let kind = pick(&kinds, kind)?;
                let purpose = if open { Purpose::Open } else { Purpose::AddMethod };
                (caller(by)?, Command::StartCheck { purpose, kind, method_id: self.method(kind, method) })
            }
            Step::Act(by, act, kind, method, alone, answer) => {
                let (check, by) = self.check_to_act(caller(by)?, kind, method, alone, answer)?;
                (by, Command::CheckAndAct { check, act: act_of(act, pick(&methods, method))? })
            }
            Step::AddOffered(by, answer) => {
                // Mostly by who may.
                let allowed = self.verified(Purpose::AddMethod).1.filter(|_| !by.is_multiple_of(5));
                self.adding_what_is_offered(allowed.or(caller(by))?, answer)?
            }
            // One in five has no credential.
            Step::Offer(by) if by.is_multiple_of(5) => (Caller::Anonymous, Command::OfferTotpKey),
            Step::Offer(by) => (caller(by)?, Command::OfferTotpKey),
            Step::Change(by, method, named, make_primary) => {
                // One in eight is of a method that is gone, or never was.
                let method_id = if method < 32 { MethodId(99) } else { pick(&methods, method)? };
                let label = named.then(|| label(&format!("named {by}")));
                (caller(by)?, Command::ChangeMethod { method_id, label, make_primary })
            }
            Step::EndSession => (product_client(), Command::RevokeSession { session_id: OTHER_SESSION }),
        })
    }

    /// A code that comes with a command: of the last check that was asked for, or alone.
    fn check_to_act(&self, by: Caller, kind: u8, method: u8, alone: bool, answer: Answer) -> Option<(Check, Caller)> {
        let mut asked = self.scene.state.verifications.iter().rev();
        let asked = asked.find_map(|(id, check)| match check.progress {
            Progress::Pending { .. } => Some((*id, check.asked?, check.started_by?)),
            _ => None,
        });
        if let (Some((id, asked, started_by)), false) = (asked, alone) {
            let code = entered(&self.code(asked.kind, asked.method_id, id, answer)?);
            let by = Self::callers().into_iter().find(|caller| caller.credential() == Some(started_by))?;
            return Some((Check { verification_id: Some(id), kind: None, method_id: None, code }, by));
        }
        let (kind, method_id, code) = if kind.is_multiple_of(5) {
            let salt = &self.salts[usize::from(kind) % self.salts.len()];
            (FactorKind::RecoveryCode, None, recovery_codes(salt, 10).0.swap_remove(usize::from(method % 10)))
        } else {
            let method_id = self.method(FactorKind::Totp, method);
            let nowhere = VerificationId(uuid::Uuid::nil());
            (FactorKind::Totp, method_id, self.code(FactorKind::Totp, method_id, nowhere, answer)?)
        };
        Some((Check { verification_id: None, kind: Some(kind), method_id, code: entered(&code) }, by))
    }

    fn adding_what_is_offered(&self, by: Caller, answer: Answer) -> Option<(Caller, Command)> {
        let offered = self.scene.clone().by(by.clone()).when(Command::OfferTotpKey);
        let Ok(Outcome::TotpEnrollmentStarted(offer)) = offered.decision.outcome else { return None };
        let right = totp_code(&offer.secret, TotpParameters::DEFAULT, step_at(self.scene.now));
        let code = entered(&if matches!(answer, Answer::Right) { right } else { other_than(&right) });
        Some((by, Command::EnableOfferedTotp { secret: offer.secret, code, label: None }))
    }

    /// The last completed verification for it, and who may use that.
    fn verified(&self, purpose: Purpose) -> (Option<VerificationId>, Option<Caller>) {
        let mut done = self.scene.state.verifications.iter().rev().filter(|(_, v)| v.purpose == purpose);
        let done = done.find(|(_, v)| matches!(v.progress, Progress::Verified { .. }));
        let caller = done.and_then(|(_, v)| Self::callers().into_iter().find(|c| c.credential() == v.started_by));
        (done.map(|(id, _)| *id), caller)
    }

    pub fn take(&mut self, step: &Step) {
        if let Step::Wait(seconds) = step {
            self.scene = self.scene.clone().wait(Seconds(*seconds));
        }
        let Some((caller, command)) = self.command(step) else { return };
        let before = self.scene.clone().by(caller);
        let told = before.clone().when(command.clone());
        if let (Err(refusal), true) = (&told.decision.outcome, told.decision.events.is_empty()) {
            self.depends_on_no_digits(&before, &command, refusal, &told);
        }
        for event in &told.decision.events {
            self.seen.witness(event, &before, &command);
        }
        if let Some(name) = looked_at(&command) {
            self.told.entry(name).or_default()[usize::from(told.decision.outcome.is_err())] += 1;
        }
        if let Ok(Outcome::RecoveryCodes { .. } | Outcome::MethodEnabled { .. }) = told.decision.outcome {
            self.salts.push(format!("salt {}", before.commands));
        }
        let is_accepted = told.decision.outcome.is_ok();
        self.scene = told.next();
        self.holds();
        self.is_done(&command, &before.state, is_accepted);
    }

    /// What was asked for together is done as a whole, and an offer leaves nothing behind.
    fn is_done(&self, command: &Command, before: &Account, is_accepted: bool) {
        let state = &self.scene.state;
        match command {
            Command::OfferTotpKey => assert_eq!(state, before, "an offer is no event"),
            Command::ChangeMethod { method_id, label, make_primary } if is_accepted => {
                let own = state.methods[method_id].label.known();
                assert!(label.as_ref().is_none_or(|label| own == Some(label)), "it has its name");
                assert!(!make_primary || state.primary == Some(*method_id), "it is the primary one");
            }
            Command::ChangeMethod { .. } => assert_eq!(state, before, "a change is refused as a whole"),
            _ => {}
        }
    }

    /// What was refused before a comparison is refused in the same way with any other digits.
    fn depends_on_no_digits(
        &self,
        before: &Scene<Account>,
        command: &Command,
        refusal: &Refusal,
        told: &Told<Account>,
    ) {
        for other in with_other_digits(command, &self.salts) {
            let other = before.clone().when(other);
            assert_eq!((&other.decision, other.asked.len()), (&told.decision, told.asked.len()), "{refusal}");
        }
    }

    /// What always holds of a state that decisions made.
    fn holds(&self) {
        let (state, now) = (&self.scene.state, self.scene.now);
        for side in Tallies::SIDES {
            let (tally, policy) = (state.tallies.of(side), &self.scene.policy);
            let failures = tally.failures_at(now, policy.account_cap_falls_per_day);
            let [least, most] = self.seen.failures(side, now);
            assert!((least..=most).contains(&failures), "the count falls for its reasons alone");
            assert!(failures <= policy.account_cap);
            assert_eq!(state.is_capped(side, policy, now), failures >= policy.account_cap);
        }
        assert_eq!(state.two_factor_since.is_some(), !state.methods.is_empty());
        assert_eq!(state.primary.is_some(), !state.methods.is_empty());
        assert!(state.primary.is_none_or(|id| state.methods.contains_key(&id)));
        assert_eq!(state.recovery.is_some(), !state.methods.is_empty());
        assert!(state.summary(&usual(), now).is_some());
    }
}

/// The commands whose frequency is looked at: those that no event stands for alone.
fn looked_at(command: &Command) -> Option<&'static str> {
    Some(match command {
        Command::StartCheck { .. } => "StartCheck",
        Command::CheckAndAct { .. } => "CheckAndAct",
        Command::OfferTotpKey => "OfferTotpKey",
        Command::EnableOfferedTotp { .. } => "EnableOfferedTotp",
        Command::ChangeMethod { .. } => "ChangeMethod",
        _ => return None,
    })
}

fn act_of(number: u8, target: Option<MethodId>) -> Option<Act> {
    let acts = [
        Act::SignIn,
        Act::AuthorizeMethod,
        Act::AuthorizeMethod,
        Act::RegenerateRecoveryCodes,
        Act::DisableMethod { method_id: target },
        Act::DisableMethod { method_id: None },
    ];
    pick(&acts, number)
}

fn product_client() -> Caller {
    client(&[Scope::AccountsWrite])
}

/// The same command with other digits of the same shape.
fn with_other_digits(command: &Command, salts: &[String]) -> Vec<Command> {
    let mut others = Vec::new();
    match command {
        Command::SubmitCode { verification_id, kind, method_id, code } => {
            for code in ["000000".to_owned(), other_than(code.expose())] {
                let (verification_id, kind, method_id) = (*verification_id, *kind, *method_id);
                others.push(Command::SubmitCode { verification_id, kind, method_id, code: entered(&code) });
            }
        }
        Command::UseRecoveryCode { verification_id, .. } => {
            for code in salts.iter().flat_map(|salt| recovery_codes(salt, 10).0).chain(["BBBB-BBBB-BBBB-BBBB".into()]) {
                others.push(Command::UseRecoveryCode { verification_id: *verification_id, code: entered(&code) });
            }
        }
        Command::CheckAndAct { check, act } => {
            let code = check.code.expose();
            let is_recovery = domain::values::normalize_recovery_code(code).is_some();
            let digits = [Some("000000".to_owned()), code.parse::<u32>().is_ok().then(|| other_than(code))];
            let codes = salts.iter().flat_map(|salt| recovery_codes(salt, 10).0);
            let codes: Vec<String> = if is_recovery { codes.collect() } else { digits.into_iter().flatten().collect() };
            for code in codes {
                others.push(Command::CheckAndAct { check: Check { code: entered(&code), ..check.clone() }, act: *act });
            }
        }
        Command::EnableOfferedTotp { secret, code, label } => {
            let code = entered(&other_than(code.expose()));
            others.push(Command::EnableOfferedTotp { secret: secret.clone(), code, label: label.clone() });
        }
        Command::EnableMethod { method_id, code, .. } => others.push(enable(method_id.0, &other_than(code.expose()))),
        _ => {}
    }
    others
}

pub fn policy() -> impl Strategy<Value = Policy> {
    (prop_oneof![Just(100), 1..7_u32], 1..7_u32, 1..5_u32).prop_map(|(account_cap, totp_attempts, code_attempts)| {
        Policy { account_cap, totp_attempts, code_attempts, ..Policy::default() }
    })
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn whatever_anyone_does_the_promises_hold(policy in policy(), steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new(policy);
        for step in &steps {
            world.take(step);
        }
        // A state is what its events make it, by whichever way: folded at once, or over a snapshot.
        let fold = |state: Account, events: &[(Event, Timestamp)]| {
            events.iter().fold(state, |state, (event, at)| domain::decision::Decider::evolve(state, event, *at))
        };
        prop_assert_eq!(&fold(Account::default(), &world.seen.history), &world.scene.state);
        let half = world.seen.history.len() / 2;
        let snapshot = serde_json::to_string(&fold(Account::default(), &world.seen.history[..half])).unwrap();
        let revived: Account = serde_json::from_str(&snapshot).unwrap();
        prop_assert_eq!(&fold(revived, &world.seen.history[half..]), &world.scene.state);
        let whole = serde_json::to_string(&world.scene.state).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Account>(&whole).unwrap(), &world.scene.state);
    }
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn an_attacker_with_the_password_gets_few_guesses(
        waits in prop::collection::vec(0..1_200_u32, 150..250),
        ways in prop::collection::vec(0..3_usize, 250),
    ) {
        // Never a right code, but every trick: new sign-ins, resends, other kinds, at any pace.
        let mut world = World::new(Policy::default());
        for (wait, way) in waits.into_iter().zip(ways) {
            let steps = [
                Step::Wait(wait),
                Step::SignIn(true),
                Step::Send(0, way == 1, 1),
                Step::Resend(0),
                Step::Submit(0, u8::try_from(way).unwrap(), u8::from(way == 1), Answer::Wrong),
                Step::Submit(0, u8::try_from(way).unwrap(), u8::from(way == 1), Answer::Wrong),
            ];
            for step in &steps {
                world.take(step);
            }
        }
        let judged = world.seen.history.iter().filter(|(event, _)| matches!(event, Event::CodeRejected(_))).count();
        let days = world.scene.now.seconds_since(START) / (24 * 3_600);
        prop_assert!(judged <= 100 + 10 * (days as usize + 1));
        let of_known = &world.scene.state.tallies.known_devices;
        prop_assert_eq!(of_known, &domain::state::Tally::default(), "what strangers do locks no known device");
        let started = world.scene.clone().by(SIGNED_IN).when(start(Purpose::AddMethod)).accepted().next();
        let id = started.state.verifications.iter().rev().find(|(_, check)| check.started_by == Some(OWNER)).map(|(id, _)| *id);
        let id = id.unwrap();
        let now = started.now;
        started.when(submit(id, FactorKind::Totp, &code_at(1, now))).accepted();
    }
}
