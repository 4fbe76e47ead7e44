//! Support's reset, imports and erasure.

use domain::{
    commands::{AccountImport, Command},
    events::*,
    evidence::Claim,
    ids::{MethodId, VerificationId},
    outcome::{Outcome, Refusal},
    personal::Personal,
    secret::Secret,
    state::Account,
    time::Seconds,
    values::*,
};

use crate::{event_of, histories::*, kit::*};

fn reset() -> Command {
    Command::ResetTwoFactor { reason: text("lost phone, showed passport") }
}
/// After it, with the code that support hands over.
fn reset_with_its_code() -> (Scene<Account>, String) {
    let told = in_trouble().when(reset());
    let Outcome::TwoFactorReset { recovery_code, .. } = told.outcome() else { panic!("not reset") };
    (told.next(), recovery_code.expose().clone())
}
/// Both methods, another session and a token; some wrong codes, up to the cap.
fn in_trouble() -> Scene<Account> {
    let mut history = an_account_with_both();
    history.extend([session(OTHER_SESSION, Aal::Aal2), access_token(TOKEN)]);
    history.extend([signing_in(CHECK), totp_enrolling(3, OWNER)]);
    history.extend(authorized(OTHER_CHECK, Purpose::AddMethod));
    let wrongs = [wrong(FactorKind::Totp, 5, 100), locked(FactorKind::Totp, after(Seconds::minutes(15)))];
    history.extend(wrongs.clone());
    history.extend(wrongs.map(on_a_known_device));
    history.push(remembered(DEVICE, SESSION));
    given(history).by(support())
}

#[test]
fn a_support_reset_removes_everything_with_a_reason() {
    let before = in_trouble().state;
    let told = in_trouble().when(reset());
    let reason = RevocationReason::Reset;
    let given = event_of!(told, TwoFactorReset);
    let (codes, hashes) = recovery_codes("salt 0", 1);
    assert_eq!(given.code, Some(Personal::Known(hashes)));
    let recovery_code = Secret::new(codes[0].clone());
    let expires_at = after(Seconds::hours(72));
    let told = told.telling(&Outcome::TwoFactorReset { recovery_code, expires_at }).then([
        TwoFactorReset {
            reason: Personal::Known(text("lost phone, showed passport")),
            method_ids: vec![MethodId(1), MethodId(2)],
            code: given.code,
            code_expires_at: Some(expires_at),
            by: Some(KEY),
            phone_numbers: vec![Personal::Known(number(NUMBER))],
        }
        .into(),
        TwoFactorDisabled {}.into(),
        RecoveryCodesRevoked { set: 1, reason }.into(),
        SessionRevoked { session_ids: vec![SESSION, OTHER_SESSION], reason }.into(),
        DeviceForgotten { device_ids: vec![DEVICE], reason }.into(),
        AccessTokenRevoked { access_token_ids: vec![TOKEN], reason }.into(),
    ]);
    let state = &told.scene.state;
    let summary = state.summary(&usual(), START).unwrap();
    assert_eq!((summary.methods, summary.recovery_codes_remaining), (0, 0));
    assert!(!summary.two_factor_enabled);
    assert_eq!(state.tallies.known_devices, domain::state::Tally::default());
    // Who talks support into a reset gets no new tries.
    assert_eq!(state.tallies.others, before.tallies.others);
}

#[test]
fn a_support_reset_ends_what_was_under_way() {
    let scene = in_trouble().when(reset()).next();
    scene.clone().by(CHECKED).when(submit(CHECK, FactorKind::Email, "123456")).refused(Refusal::VerificationExpired);
    let scene = scene.then_at(START, [session(SESSION, Aal::Aal1)]).by(SIGNED_IN);
    scene.clone().when(enable(3, &code_at(3, START))).refused(Refusal::VerificationExpired);
    let texting = Command::StartSmsEnrollment { phone_number: number(NUMBER) };
    scene.when(texting).refused(Refusal::VerificationRequired { purpose: Purpose::AddMethod });
}

#[test]
fn after_a_reset_signing_in_takes_the_password_and_the_code_of_support_until_a_method_is_enabled() {
    let (scene, code) = reset_with_its_code();
    let told = scene.by(Caller::Anonymous).when(sign_in(PASSWORD)).then_named(&["VerificationStarted"]);
    let id = event_of!(told, VerificationStarted).verification_id;
    let Outcome::VerificationStarted(shown) = told.outcome() else { panic!("not started") };
    assert_eq!(shown.verification.methods.iter().map(|m| m.kind).collect::<Vec<_>>(), [FactorKind::RecoveryCode]);
    let scene = told.next().by(Caller::Verification(id));
    scene.clone().when(send(id, Channel::Email)).refused_for("channel");
    let told = scene.when(submit(id, FactorKind::RecoveryCode, &code)).accepted();
    let signed_in = event_of!(told, SignedIn);
    assert_eq!((signed_in.aal, signed_in.amr), (Aal::Aal1, vec![Amr::Pwd, Amr::RecoveryCode]));
    assert_eq!((signed_in.is_limited, signed_in.expires_at), (true, after(Seconds::hours(1))));
    // The first method again: neither a mail nor a verification is needed.
    let owner = Credential::Session(signed_in.session_id);
    let scene = told.next().by(Caller::Session(signed_in.session_id));
    let scene = scene.then_at(START, [totp_enrolling(4, owner)]);
    let scene = scene.when(enable(4, &code_at(4, START))).accepted().next();
    assert_eq!(scene.state.reset, None);
    scene.clone().when(start(Purpose::DisableMethod)).accepted();
    let gone = MethodDisabled { method_id: MethodId(4), kind: MethodKind::Totp, verification_id: THIRD_CHECK };
    let scene = scene.then_at(START, [gone.into(), TwoFactorDisabled {}.into()]).by(Caller::Anonymous);
    scene.when(sign_in(PASSWORD)).then_named(&["SignedIn"]);
}

#[test]
fn an_account_without_a_second_factor_can_be_reset_too() {
    let scene =
        given(an_account()).by(support()).when(reset()).then_named(&["TwoFactorReset", "SessionRevoked"]).next();
    scene.by(Caller::Anonymous).when(sign_in(PASSWORD)).then_named(&["VerificationStarted"]);
}

#[test]
fn only_support_and_operators_reset() {
    for caller in
        [Caller::Anonymous, SIGNED_IN, WITH_TOKEN, CHECKED, product(), Caller::Worker, client(&[Scope::Admin])]
    {
        in_trouble().by(caller).when(reset()).refused(Refusal::Forbidden);
    }
    in_trouble().by(Caller::Operator).when(reset()).accepted();
    nothing_yet().by(support()).when(reset()).refused(Refusal::NotFound);
    given([registered()]).by(support()).when(reset()).refused(Refusal::EmailNotVerified);
}

fn erase(id: Option<VerificationId>) -> Command {
    Command::EraseAccount { verification_id: id }
}

#[test]
fn erasing_takes_a_fresh_verification_and_leaves_nothing() {
    let required = || Refusal::VerificationRequired { purpose: Purpose::EraseAccount };
    let scene = given(an_account_in_use().into_iter().chain(authorized(CHECK, Purpose::EraseAccount))).by(SIGNED_IN);
    scene.clone().when(erase(None)).refused(required());
    scene.clone().by(Caller::Session(OTHER_SESSION)).when(erase(Some(CHECK))).refused(required());
    let end = after(Seconds::minutes(10));
    scene.clone().at(end).when(erase(Some(CHECK))).refused(required());
    let told = scene.at(just_before(end)).when(erase(Some(CHECK)));
    let told = told.then([AccountErased { verification_id: Some(CHECK) }.into()]).telling(&Outcome::Done);
    let scene = told.next();
    assert!(!scene.state.exists(scene.now) && scene.state.email.is_none() && scene.state.sessions.is_empty());
    scene.clone().when(erase(Some(CHECK))).refused(Refusal::NotFound);
    scene.clone().by(Caller::Anonymous).when(sign_in(PASSWORD)).refused(Refusal::WrongCredentials);
    scene.by(product()).when(start(Purpose::AddMethod)).refused(Refusal::NotFound);
}

#[test]
fn an_operator_erases_without_a_verification_an_unconfirmed_account_too() {
    for history in [an_account(), vec![registered()]] {
        let told = given(history).by(Caller::Operator).when(erase(None));
        told.then([AccountErased { verification_id: None }.into()]);
    }
    nothing_yet().by(Caller::Operator).when(erase(None)).refused(Refusal::NotFound);
    for (caller, refusal) in [
        (Caller::Anonymous, Refusal::Unauthenticated),
        (support(), Refusal::Forbidden),
        (Caller::Worker, Refusal::Forbidden),
    ] {
        given(an_account()).by(caller).when(erase(None)).refused(refusal);
    }
    given([registered()]).by(product()).when(erase(None)).refused(Refusal::EmailNotVerified);
}

fn app(id: u32, key: Vec<u8>, digits: u8, period: u32) -> ImportedMethod {
    ImportedMethod::Totp {
        method_id: MethodId(id),
        secret_bits: u32::try_from(key.len() * 8).unwrap(),
        secret: Personal::Known(TotpSecret::new(key)),
        algorithm: TotpAlgorithm::Sha1,
        digits,
        period,
        label: Personal::Known(label("app")),
    }
}
fn phone(id: u32, to: &str) -> ImportedMethod {
    let number = number(to);
    ImportedMethod::Sms {
        method_id: MethodId(id),
        country: number.country(),
        prefix: number.prefix(),
        phone_number: Personal::Known(number),
        label: Personal::Known(label("phone")),
    }
}
fn import(methods: Vec<ImportedMethod>, recovery_codes: &[&str]) -> AccountImport {
    AccountImport {
        account_id: ACCOUNT,
        email: email(),
        email_verified: true,
        password: Some(password_hash(PASSWORD)),
        methods,
        recovery_codes: recovery_codes.iter().map(|code| (*code).to_owned()).collect(),
    }
}
fn bring(import: AccountImport) -> Told<Account> {
    nothing_yet().by(Caller::Operator).when(Command::ImportAccount { import: Box::new(import) })
}

#[test]
fn an_imported_account_has_its_second_factor_at_once() {
    let told = bring(import(vec![app(1, vec![1; 20], 6, 30), phone(2, NUMBER)], &["hash of a"]));
    let told = told.then_named(&["AccountImported"]);
    assert_eq!(event_of!(told, AccountImported).recovery_code_count, 1);
    let summary = told.scene.state.summary(&usual(), START).unwrap();
    assert_eq!((summary.methods, summary.two_factor_since), (2, Some(START)));
    assert_eq!((summary.email_verified, summary.recovery_codes_remaining), (true, 1));
    assert_eq!(told.scene.state.primary, Some(MethodId(1)));
    let state = &told.scene.state;
    assert_eq!((state.last_method_id, state.last_recovery_set), (2, 1), "numbers go on from there");
    assert_eq!(summary.email.as_deref(), Some("ada@example.com"));
    assert_eq!((told.scene.state.registered_at, told.scene.state.last_event_at), (Some(START), Some(START)));
    let told = told.next().by(Caller::Anonymous).when(sign_in(PASSWORD)).then_named(&["VerificationStarted"]);
    let id = event_of!(told, VerificationStarted).verification_id;
    told.next().by(Caller::Verification(id)).when(submit(id, FactorKind::Totp, &code_at(1, START))).accepted();
    let bare = bring(import(vec![], &[])).accepted();
    assert!(!bare.scene.state.summary(&usual(), START).unwrap().two_factor_enabled);
}

#[test]
fn an_import_is_checked() {
    bring(AccountImport { email_verified: false, ..import(vec![], &[]) }).refused_for("email_verified");
    bring(import(vec![], &["x"])).refused_for("recovery_codes");
    for bad in [
        vec![app(2, vec![1; 20], 6, 30)],
        vec![app(1, vec![1; 20], 6, 30), phone(1, NUMBER)],
        vec![app(1, vec![1; 9], 6, 30)],
        vec![app(1, vec![1; 20], 5, 30)],
        vec![app(1, vec![1; 20], 9, 30)],
        vec![app(1, vec![1; 20], 6, 14)],
        vec![app(1, vec![1; 20], 6, 121)],
    ] {
        bring(import(bad, &[])).refused_for("methods").needing_nothing();
    }
    bring(import(vec![app(1, vec![1; 10], 8, 120)], &[])).accepted();
    bring(import(vec![app(1, vec![1; 10], 6, 15)], &[])).accepted();
    for twice in
        [vec![app(1, vec![1; 20], 6, 30), app(2, vec![1; 20], 6, 30)], vec![phone(1, NUMBER), phone(2, NUMBER)]]
    {
        bring(import(twice, &[])).refused(Refusal::DuplicateMethod);
    }
}

#[test]
fn an_import_claims_its_address_and_needs_an_operator_and_a_free_id() {
    let command = || Command::ImportAccount { import: Box::new(import(vec![], &[])) };
    let held = nothing_yet().by(Caller::Operator).when_claimed(Claim::HeldByAnother);
    held.when(command()).refused(Refusal::Conflict);
    given([registered()]).by(Caller::Operator).when(command()).refused(Refusal::Conflict).needing_nothing();
    for caller in [Caller::Anonymous, SIGNED_IN, product(), support(), Caller::Worker] {
        nothing_yet().by(caller).when(command()).refused(Refusal::Forbidden).needing_nothing();
    }
}
