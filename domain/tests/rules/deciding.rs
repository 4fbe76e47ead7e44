//! How a rule is driven to its decision: what it asks, how often, and what is no answer.

use domain::{
    commands::{Act, Command, SecondFactor},
    decision::{Context, Decider, Decision},
    events::Event,
    evidence::{Evidence, KnownNetwork, LongCode, Need, PasswordMatches, Question, SentCode},
    inquiry::{self, NeverEnough},
    outcome::Refusal,
    secret::Secret,
    state::Account,
    time::Timestamp,
    values::*,
};
use serde::{Deserialize, Serialize};

use crate::{histories::*, kit::*};

fn with_context<T>(scene: &Scene<Account>, then: impl FnOnce(&Context<'_>) -> T) -> T {
    let Scene { now, caller, origin, policy, .. } = scene;
    then(&Context { now: *now, clock: *now, caller, origin, policy, entropy: &scene.entropy() })
}

/// Commands that bring a code of an app, right or not, each with what else is found out for it when it is right.
fn codes_of_apps(code: &str) -> Vec<(Scene<Account>, Command, usize)> {
    let adding = given(an_account_in_use().into_iter().chain(authorized(CHECK, Purpose::AddMethod))).by(SIGNED_IN);
    let enrolling = adding.then_at(START, [totp_enrolling(1, OWNER)]);
    let enable = Command::EnableMethod {
        method_id: domain::ids::MethodId(1),
        code: entered(code),
        label: None,
        raises_session: true,
    };
    let signing_in = given(an_account_with_totp().into_iter().chain([signing_in(CHECK)])).by(CHECKED);
    let submit = submit(CHECK, FactorKind::Totp, code);
    let regenerate = Command::CheckAndAct {
        check: domain::commands::Check {
            verification_id: None,
            kind: Some(FactorKind::Totp),
            method_id: None,
            code: entered(code),
        },
        act: Act::RegenerateRecoveryCodes,
    };
    let resetting = given(an_account_with_totp()).when(Command::RequestPasswordReset { verification_id: CHECK });
    let resetting = resetting.accepted().next().by(WITH_TICKET);
    let mail = Challenge {
        verification_id: CHECK,
        purpose: Purpose::ResetPassword,
        channel: Channel::Email,
        method_id: None,
        issue: 1,
    };
    let reset = Command::ResetPassword {
        verification_id: TICKET,
        ticket: hash_of(9),
        code: Some(entered(&letters(&LongCode::OfAccount(mail)))),
        second_factor: Some(SecondFactor { kind: Some(FactorKind::Totp), method_id: None, code: entered(code) }),
        new: Secret::new(OTHER_PASSWORD.to_owned()),
    };
    vec![
        (enrolling, enable, 1),
        (signing_in, submit, 0),
        (given(an_account_with_totp()).by(SIGNED_IN), regenerate, 1),
        // The mailed code, how soon the new password is guessed, its hash.
        (resetting, reset, 3),
    ]
}

#[test]
fn a_code_of_an_app_is_judged_once_however_often_its_rule_runs() {
    for (scene, command, others) in codes_of_apps(&code_at(1, START)) {
        let told = scene.when(command).accepted();
        assert_eq!((told.judged, told.asked.len()), (1, others));
    }
    for (scene, command, _) in codes_of_apps(&wrong_totp(1, START)) {
        let told = scene.when(command);
        assert!(matches!(told.decision.outcome, Err(Refusal::WrongCode { .. })), "{:?}", told.decision.outcome);
        assert_eq!(told.judged, 1);
    }
}

#[test]
fn a_code_that_is_refused_before_it_is_looked_at_is_not_judged() {
    let scene = given(an_account_with_totp().into_iter().chain([signing_in(CHECK)])).by(CHECKED);
    let until = after(domain::time::Seconds::minutes(15));
    let locked = scene.clone().then_at(START, [locked(FactorKind::Totp, until)]);
    for (scene, code) in
        [(locked, code_at(1, START)), (scene.clone(), "12345".to_owned()), (scene.at(until), code_at(1, until))]
    {
        assert_eq!(scene.when(submit(CHECK, FactorKind::Totp, &code)).judged, 0);
    }
}

#[test]
fn what_was_found_out_for_another_hash_is_no_evidence() {
    let scene = given(an_account());
    let entered = || Secret::new(PASSWORD.to_owned());
    let command = Command::SignIn { password: Some(entered()), rejections: 1 };
    let mut evidence = Evidence::new();
    for other in ["", "another password"] {
        evidence.add(PasswordMatches { hash: password_hash(other), entered: entered() }.answered(true));
    }
    let wrong = Secret::new(OTHER_PASSWORD.to_owned());
    evidence.add(PasswordMatches { hash: password_hash(PASSWORD), entered: wrong }.answered(true));
    let own = PasswordMatches { hash: password_hash(PASSWORD), entered: entered() };
    let needed = with_context(&scene, |context| scene.state.decide(&command, context, &evidence));
    assert_eq!(needed, Err(own.clone().into()));
    evidence.add(own.answered(true));
    evidence.add(KnownNetwork(email()).answered(true));
    let decision = with_context(&scene, |context| scene.state.decide(&command, context, &evidence)).unwrap();
    assert!(decision.outcome.is_ok());
}

#[test]
fn a_judgement_of_another_code_is_no_evidence() {
    let scene = given(an_account_with_totp().into_iter().chain([signing_in(CHECK)])).by(CHECKED);
    let (right, wrong) = (code_at(1, START), wrong_totp(1, START));
    let decide = |code: &str, evidence: &Evidence| {
        let command = submit(CHECK, FactorKind::Totp, code);
        with_context(&scene, |context| scene.state.decide(&command, context, evidence))
    };
    let mut evidence = Evidence::new();
    let Err(Need::SecondFactorsLeft(left)) = decide(&right, &evidence) else { panic!("not asked") };
    evidence.add(left.answered(Ok(())));
    let Err(Need::TotpAttempt(attempt)) = decide(&right, &evidence) else { panic!("not judged") };
    evidence.add(attempt.judged());
    evidence.add(KnownNetwork(email()).answered(true));
    assert!(decide(&right, &evidence).unwrap().outcome.is_ok());
    assert!(matches!(decide(&wrong, &evidence), Err(Need::TotpAttempt(_))));
}

/// A rule that never has enough.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Insatiable {}

impl Decider for Insatiable {
    type Command = ();
    fn decide(&self, (): &(), _: &Context<'_>, _: &Evidence) -> Result<Decision, Need> {
        Err(SentCode(challenge(CHECK, Purpose::SignIn, Channel::Email, None)).into())
    }
    fn evolve(self, _: &Event, _: Timestamp) -> Self {
        self
    }
}

#[test]
fn a_rule_that_never_has_enough_is_not_driven_for_ever() {
    let mut asked = 0;
    let answer = |need: Need| {
        asked += 1;
        let Need::SentCode(code) = need else { panic!("asked something else") };
        Ok::<_, NeverEnough>(code.answered(entered("123456")))
    };
    let decision = with_context(&given(an_account()), |context| {
        inquiry::decided(&Insatiable {}, &(), context, &mut Evidence::new(), answer)
    });
    assert_eq!((decision, asked), (Err(NeverEnough), 33));
}
