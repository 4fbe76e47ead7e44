use domain::{
    commands::{Command, UndoLink},
    ids::{AccountId, SessionId, StreamId},
    outcome::{Outcome, Refusal},
    secret::Secret,
    time::Seconds,
    values::{Caller, Channel, EmailAddress, Purpose},
};
use engine::{PasswordSignIn, testing::Fixture};
use event_store::port::EventLog;

pub const PASSWORD: &str = "correct horse battery";

pub fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

/// A sign-in with nothing but the password.
pub fn with_password(address: &str, password: &str) -> PasswordSignIn {
    PasswordSignIn { email: email(address), password: Secret::new(password.to_owned()), opening_code: None }
}

pub async fn signed_in(fixture: &Fixture, address: &str, password: &str) -> SessionId {
    let request = fixture.request(Caller::Anonymous);
    let (_, executed) = fixture.engine.sign_in(with_password(address, password), &request).await.unwrap();
    let Outcome::SignedIn(session) = executed.outcome.unwrap() else { panic!("no session") };
    session.session_id
}

pub async fn registered(fixture: &Fixture, address: &str) -> AccountId {
    let account = AccountId(fixture.uuid());
    let register = Command::RegisterAccount {
        account_id: account,
        email: email(address),
        password: Some(Secret::new(PASSWORD.to_owned())),
        vouch_for_email: false,
    };
    let request = fixture.request(Caller::Anonymous);
    fixture.engine.execute(account, register, &request).await.unwrap().outcome.unwrap();
    account
}

/// The code that was mailed last.
pub async fn mailed_code(fixture: &Fixture, account: AccountId) -> domain::values::EnteredCode {
    fixture.last_code(account, Channel::Email).await.unwrap()
}

async fn confirm(fixture: &Fixture, account: AccountId) -> Result<Outcome, Refusal> {
    let code = mailed_code(fixture, account).await;
    let request = fixture.request(Caller::Anonymous);
    fixture.engine.execute(account, Command::VerifyEmail { code }, &request).await.unwrap().outcome
}

#[tokio::test]
async fn an_address_belongs_to_the_first_who_confirms_it() {
    let fixture = Fixture::start().await;
    let first = registered(&fixture, "ada@example.com").await;
    let second = registered(&fixture, "Ada@Example.com").await;
    confirm(&fixture, second).await.unwrap();
    assert!(matches!(confirm(&fixture, first).await, Err(Refusal::WrongCode { .. })));
    assert_eq!(fixture.engine.account_of(&email("ada@example.com")).await.unwrap(), Some(second));
    assert_eq!(fixture.engine.account_of(&email("eve@example.com")).await.unwrap(), None);
}

#[tokio::test]
async fn a_claim_that_was_not_completed_is_completed_by_the_next_try_or_taken_over() {
    let fixture = Fixture::start().await;
    let (first, second) =
        (registered(&fixture, "ada@example.com").await, registered(&fixture, "ada@example.com").await);
    // As after a crash between the claim and `EmailVerified`.
    let hash = fixture.keys.ring().lookup_hash("email", "ada@example.com");
    let claim = StreamId::Email(domain::ids::AddressHash(domain::secret::to_hex(&hash)));
    let command = domain::claim::ClaimCommand::Claim { account_id: first, holder_completed: false };
    let request = fixture.request(Caller::Anonymous);
    let executed = fixture.engine.execute_on::<domain::claim::EmailClaim>(&claim, &command, &request).await.unwrap();
    executed.outcome.unwrap();

    assert!(confirm(&fixture, second).await.is_err());
    confirm(&fixture, first).await.unwrap();
    assert_eq!(fixture.engine.account_of(&email("ada@example.com")).await.unwrap(), Some(first));

    let (third, fourth) =
        (registered(&fixture, "bob@example.com").await, registered(&fixture, "bob@example.com").await);
    let hash = fixture.keys.ring().lookup_hash("email", "bob@example.com");
    let claim = StreamId::Email(domain::ids::AddressHash(domain::secret::to_hex(&hash)));
    let command = domain::claim::ClaimCommand::Claim { account_id: third, holder_completed: false };
    let executed = fixture.engine.execute_on::<domain::claim::EmailClaim>(&claim, &command, &request).await.unwrap();
    executed.outcome.unwrap();
    fixture.clock.advance(Seconds::minutes(15));
    let resend = fixture.engine.execute(fourth, Command::ResendEmailCode, &request).await.unwrap();
    resend.outcome.unwrap();
    confirm(&fixture, fourth).await.unwrap();
    assert_eq!(fixture.engine.account_of(&email("bob@example.com")).await.unwrap(), Some(fourth));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hundred_parallel_guesses_exactly_the_allowed_number_is_judged() {
    let here = Fixture::start().await;
    let there = here.beside().await;
    let account = here.confirmed_account("ada@example.com", PASSWORD).await;
    let session = signed_in(&here, "ada@example.com", PASSWORD).await;
    let start = Command::StartVerification { purpose: Purpose::AddMethod, action: None, target: None, password: None };
    let request = here.request(Caller::Session(session));
    let executed = here.engine.execute(account, start, &request).await.unwrap();
    let Outcome::VerificationStarted(started) = executed.outcome.unwrap() else { panic!("not started") };
    let right = mailed_code(&here, account).await;
    let before = here.store.head(&StreamId::Account(account)).await.unwrap();

    let mut tasks = Vec::new();
    let wrong = (0..1_000_000_u32).map(|n| format!("{n:06}")).filter(|code| code != right.expose());
    for (n, code) in wrong.take(200).enumerate() {
        let fixture = if n % 2 == 0 { &here } else { &there };
        let submit = Command::SubmitCode {
            verification_id: started.verification.id,
            kind: None,
            method_id: None,
            code: Secret::new(code),
        };
        let (engine, request) = (fixture.engine.clone(), fixture.request(Caller::Session(session)));
        tasks.push(tokio::spawn(async move { engine.execute(account, submit, &request).await }));
    }
    let (mut judged, mut locked) = (0, 0);
    for task in tasks {
        match task.await.unwrap().unwrap().outcome {
            Err(Refusal::WrongCode { fail_count, .. }) => {
                judged += 1;
                assert!(fail_count <= 3);
            }
            Err(Refusal::MethodLocked { .. }) => locked += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((judged, locked), (3, 197));
    let history = here.engine.history(&StreamId::Account(account), before, 1_000).await.unwrap();
    let names: Vec<&str> = history.iter().map(|recorded| recorded.event.name()).collect();
    assert_eq!(names, ["CodeRejected", "CodeRejected", "CodeRejected", "MethodLocked"]);
}

/// The owner's session asks for another address, as far as the code that confirms it.
async fn changed(fixture: &Fixture, account: AccountId, session: SessionId, to: &str) -> Result<Outcome, Refusal> {
    let request = fixture.request(Caller::Session(session));
    let execute = async |command| fixture.engine.execute(account, command, &request).await.unwrap().outcome;
    let purpose = Purpose::ChangeEmail;
    let started = execute(Command::StartVerification { purpose, action: None, target: None, password: None }).await;
    let Outcome::VerificationStarted(started) = started.unwrap() else { panic!("not started") };
    let verification_id = started.verification.id;
    let send = Command::SendCode { verification_id, channel: Channel::Email, method_id: None };
    execute(send).await.unwrap();
    let code = mailed_code(fixture, account).await;
    let kind = Some(domain::values::FactorKind::Email);
    execute(Command::SubmitCode { verification_id, kind, method_id: None, code }).await.unwrap();
    let (email, password) = (email(to), Some(Secret::new(PASSWORD.to_owned())));
    execute(Command::ChangeEmail { email, password, verification_id: Some(verification_id) }).await.unwrap();
    let code = mailed_code(fixture, account).await;
    execute(Command::VerifyEmail { code }).await
}

#[tokio::test]
async fn a_changed_address_is_kept_for_a_week_and_signs_nobody_in() {
    let fixture = Fixture::start().await;
    let account = fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let session = signed_in(&fixture, "ada@example.com", PASSWORD).await;
    changed(&fixture, account, session, "lovelace@example.com").await.unwrap();
    assert_eq!(fixture.engine.account_of(&email("lovelace@example.com")).await.unwrap(), Some(account));
    assert_eq!(fixture.engine.account_of(&email("ada@example.com")).await.unwrap(), None);
    let request = fixture.request(Caller::Anonymous);
    let (_, executed) = fixture.engine.sign_in(with_password("ada@example.com", PASSWORD), &request).await.unwrap();
    assert_eq!(executed.outcome, Err(Refusal::WrongCredentials));
    fixture.clock.advance(Seconds(7 * 86_400 - 60));
    let other = registered(&fixture, "ada@example.com").await;
    assert_eq!(confirm(&fixture, other).await, Err(Refusal::WrongCode { fail_count: 1, locked_until: None }));
    // Nothing was done to give it back: whoever confirms it next has it.
    fixture.clock.advance(Seconds(120));
    confirm(&fixture, other).await.unwrap();
    assert_eq!(fixture.engine.account_of(&email("ada@example.com")).await.unwrap(), Some(other));
}

#[tokio::test]
async fn with_the_first_event_after_the_week_the_old_address_is_given_back() {
    let fixture = Fixture::start().await;
    let account = fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let session = signed_in(&fixture, "ada@example.com", PASSWORD).await;
    changed(&fixture, account, session, "lovelace@example.com").await.unwrap();
    assert_eq!(fixture.engine.holder_of(&email("ada@example.com")).await.unwrap(), Some(account));
    fixture.clock.advance(Seconds::days(7));
    signed_in(&fixture, "lovelace@example.com", PASSWORD).await;
    assert_eq!(fixture.engine.holder_of(&email("ada@example.com")).await.unwrap(), None);
    assert_eq!(fixture.engine.holder_of(&email("lovelace@example.com")).await.unwrap(), Some(account));
}

#[tokio::test]
async fn an_undo_gives_back_the_address_that_was_new() {
    let fixture = Fixture::start().await;
    let account = fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let session = signed_in(&fixture, "ada@example.com", PASSWORD).await;
    changed(&fixture, account, session, "lovelace@example.com").await.unwrap();
    let change = fixture.engine.load(account).await.unwrap().state.address_changes[0].id;
    let key = fixture.keys.key(&StreamId::Account(account)).await.unwrap().unwrap();
    let undo = |secret| Command::UndoEmailChange {
        link: UndoLink { change, secret },
        confirmation: email("ada@example.com"),
        password: Secret::new(PASSWORD.to_owned()),
        factor: None,
    };
    let request = fixture.request(Caller::Anonymous);
    let told = fixture.engine.execute(account, undo(Secret::new([7; 32])), &request).await.unwrap();
    assert_eq!(told.outcome, Err(Refusal::Unauthenticated));
    fixture.engine.execute(account, undo(key.email_undo_secret(change)), &request).await.unwrap().outcome.unwrap();
    assert_eq!(fixture.engine.account_of(&email("ada@example.com")).await.unwrap(), Some(account));
    assert_eq!(fixture.engine.holder_of(&email("lovelace@example.com")).await.unwrap(), None);
    signed_in(&fixture, "ada@example.com", PASSWORD).await;
}

#[tokio::test]
async fn an_erasure_gives_back_the_address_that_was_kept() {
    let fixture = Fixture::start().await;
    let account = fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let session = signed_in(&fixture, "ada@example.com", PASSWORD).await;
    changed(&fixture, account, session, "lovelace@example.com").await.unwrap();
    let request = fixture.request(Caller::Operator);
    let erase = Command::EraseAccount { verification_id: None };
    fixture.engine.execute(account, erase, &request).await.unwrap().outcome.unwrap();
    for address in ["ada@example.com", "lovelace@example.com"] {
        assert_eq!(fixture.engine.holder_of(&email(address)).await.unwrap(), None, "{address}");
        let next = registered(&fixture, address).await;
        confirm(&fixture, next).await.unwrap();
    }
}

#[tokio::test]
async fn no_secret_of_a_journey_is_in_the_file() {
    let fixture = Fixture::start().await;
    let account = fixture.confirmed_account("ada.lovelace@example.com", PASSWORD).await;
    let session = signed_in(&fixture, "ada.lovelace@example.com", PASSWORD).await;
    let request = fixture.request_with_key(Caller::Session(session), "key", "body");
    let executed = fixture.engine.execute(account, Command::StartTotpEnrollment, &request).await.unwrap();
    let Outcome::TotpEnrollmentStarted(enrollment) = executed.outcome.unwrap() else { panic!("not started") };
    let code = mailed_code(&fixture, account).await;
    let secrets = [
        "lovelace".to_owned(),
        PASSWORD.to_owned(),
        "argon2id".to_owned(),
        "192.0.2.7".to_owned(),
        enrollment.secret.to_base32(),
        format!("\"{}\"", code.expose()),
    ];
    fixture.store.close().await;
    let bytes = std::fs::read(fixture.path()).unwrap();
    assert!(bytes.len() > 10_000);
    for secret in secrets {
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
    }
}
