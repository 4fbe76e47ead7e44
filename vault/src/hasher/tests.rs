//! The hashes below were computed by the reference implementation of argon2.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use super::*;

const REFERENCE: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$5/W87cqWDElP2gtnTIq/qDSP1zopANxZLonkobS2XWw";
const HEAVY: &str = "$argon2id$v=19$m=65536,t=3,p=4$AAECAwQFBgcICQoLDA0ODw$Yr6Eu+Mt11TRlee2v7eMLmEHQRebzEYNi4UDK6q5/dY";
const OLD_VERSION: &str =
    "$argon2id$v=16$m=64,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$yo7xsREqaWHtxENYEhN/fyp+6lsTd/avBkSyEHXRfOo";
const ARGON2I: &str = "$argon2i$v=19$m=64,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$YVgZ62mY8iY/MUmt4q9y4t8nQRixgmZ+2qDIA+uCwQw";
const LIGHT: Argon2Cost = Argon2Cost { memory_kib: 8, passes: 1, lanes: 1 };

fn runtime() -> Runtime {
    Runtime::system().unwrap()
}

fn light(threads: usize, waiting: usize) -> Hasher {
    Hasher::new(
        HasherConfig { threads, waiting, waiting_per_source: waiting, password: LIGHT, recovery_code: LIGHT },
        &runtime(),
    )
}

fn text(text: &str) -> SecretText {
    Secret::new(text.to_owned())
}

fn phc(text: &str) -> PasswordHash {
    PasswordHash(text.to_owned())
}

#[tokio::test]
async fn hashes_of_the_reference_implementation_are_understood() {
    let hasher = light(1, 8);
    for hash in [REFERENCE, HEAVY, OLD_VERSION] {
        assert!(hasher.password_matches(&phc(hash), &text("p\u{e4}ssword")).await.unwrap(), "{hash}");
        assert!(!hasher.password_matches(&phc(hash), &text("password")).await.unwrap());
    }
}

#[tokio::test]
async fn the_hash_that_stands_for_no_password_costs_a_check_and_matches_nothing() {
    let hasher = light(1, 8);
    for entered in ["", "password", "nobody has this."] {
        assert!(!hasher.password_matches(&PasswordHash::of_nothing(), &text(entered)).await.unwrap());
    }
}

#[tokio::test]
async fn the_same_password_typed_on_another_keyboard_is_the_same() {
    let hasher = light(1, 8);
    assert!(hasher.password_matches(&phc(REFERENCE), &text("pa\u{308}ssword")).await.unwrap());
    assert!(!hasher.password_matches(&phc(REFERENCE), &text("P\u{e4}ssword")).await.unwrap(), "case counts");
    assert!(!hasher.password_matches(&phc(REFERENCE), &text("p\u{e4}ssword ")).await.unwrap(), "spaces count");
}

#[tokio::test]
async fn a_new_password_is_kept_as_the_policy_says() {
    let hasher = Hasher::new(HasherConfig { threads: 1, ..HasherConfig::default() }, &runtime());
    let (one, two) = (
        hasher.hash_password(&text("correct horse")).await.unwrap(),
        hasher.hash_password(&text("correct horse")).await.unwrap(),
    );
    assert!(one.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", one.0);
    assert_ne!(one, two, "every hash has its own salt");
    assert!(hasher.password_matches(&one, &text("correct horse")).await.unwrap());
    assert!(!hasher.password_matches(&one, &text("correct hors")).await.unwrap());
    hasher.spend_like_a_password(&text("anything")).await.unwrap();
}

#[tokio::test]
async fn other_schemes_and_absurd_parameters_are_refused_unhashed() {
    let hasher = light(1, 8);
    let salt_and_hash = "AAECAwQFBgcICQoLDA0ODw$5/W87cqWDElP2gtnTIq/qDSP1zopANxZLonkobS2XWw";
    for hash in [
        "",
        "password",
        "$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW",
        ARGON2I,
        "$argon2id$v=19$m=19456,t=2,p=1$AAECAwQFBgcICQoLDA0ODw",
        "$argon2id$v=19$m=64,t=1,p=1$AAECAwQFBgcICQoLDA0ODw$AAECAwQF",
        &format!("$argon2id$v=19$m=4294967295,t=2,p=1${salt_and_hash}"),
        &format!("$argon2id$v=19$m=65537,t=2,p=1${salt_and_hash}"),
        &format!("$argon2id$v=19$m=64,t=4294967295,p=1${salt_and_hash}"),
        &format!("$argon2id$v=19$m=65536,t=1,p=1024${salt_and_hash}"),
        &format!("$argon2id$v=19$m=0,t=0,p=0${salt_and_hash}"),
        &format!("$argon2id$v=7$m=64,t=1,p=1${salt_and_hash}"),
    ] {
        let error = hasher.password_matches(&phc(hash), &text("x")).await.unwrap_err();
        assert!(matches!(error, VaultError::Malformed(_)), "{hash}: {error}");
        assert!(!error.to_string().contains("AAECAw"));
    }
}

#[tokio::test]
async fn each_code_of_a_set_is_found_by_one_hash() {
    let hasher = Hasher::new(HasherConfig { threads: 1, ..HasherConfig::default() }, &runtime());
    let fresh = hasher.fresh_recovery_codes(10).await.unwrap();
    assert_eq!((fresh.codes.len(), fresh.hashes.hashes.len()), (10, 10));
    assert_eq!((fresh.hashes.memory_kib, fresh.hashes.passes, fresh.hashes.lanes), (4096, 1, 1));
    for (code, hash) in fresh.codes.iter().zip(&fresh.hashes.hashes) {
        let entered = domain::values::normalize_recovery_code(&code.expose().to_lowercase()).unwrap();
        assert_eq!(&hasher.recovery_code_hash(&fresh.hashes, &entered).await.unwrap(), hash);
    }
    let distinct: std::collections::BTreeSet<&String> = fresh.codes.iter().map(Secret::expose).collect();
    assert_eq!(distinct.len(), 10);
    let other = hasher.fresh_recovery_codes(10).await.unwrap();
    assert_ne!(other.hashes.salt, fresh.hashes.salt);
    assert!(hasher.fresh_recovery_codes(u32::MAX).await.is_err());
}

/// A thread that does nothing until it is told to go on.
fn occupied(hasher: &Hasher) -> (std::sync::mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), VaultError>>) {
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let (started, has_started) = std::sync::mpsc::channel();
    let pool = Arc::clone(&hasher.pool);
    let task = tokio::spawn(async move {
        pool.run(&Asker::ourselves(), move |_| {
            started.send(()).unwrap();
            let _ = wait.recv();
        })
        .await
    });
    tokio::task::block_in_place(|| has_started.recv_timeout(Duration::from_secs(20)).unwrap());
    (go_on, task)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_bound_of_waiters_the_answer_is_busy_at_once() {
    let hasher = light(1, 2);
    let (go_on, task) = occupied(&hasher);
    let one = tokio::spawn({
        let hasher = hasher.clone();
        async move { hasher.hash_password(&text("one")).await }
    });
    let two = tokio::spawn({
        let hasher = hasher.clone();
        async move { hasher.hash_password(&text("two")).await }
    });
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while hasher.pool.waiting() < 2 {
        assert!(tokio::time::Instant::now() < deadline, "both are queued in time");
        tokio::task::yield_now().await;
    }
    assert_eq!(hasher.hash_password(&text("three")).await.unwrap_err(), VaultError::Busy);
    go_on.send(()).unwrap();
    task.await.unwrap().unwrap();
    assert!(one.await.unwrap().is_ok() && two.await.unwrap().is_ok());
    assert!(hasher.hash_password(&text("four")).await.is_ok(), "afterwards there is room again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_gives_way_to_another_source_is_told_that_it_is_too_much() {
    let hasher = light(1, 2);
    let (go_on, task) = occupied(&hasher);
    let from = |source: &str| hasher.on_behalf_of(Asker { source: source.to_owned(), is_known: false });
    let queued = |source: &str| {
        let hasher = from(source);
        tokio::spawn(async move { hasher.hash_password(&text("one")).await })
    };
    let waiting = async |count: usize| {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while hasher.pool.waiting() < count {
            assert!(tokio::time::Instant::now() < deadline, "{count} are queued in time");
            tokio::task::yield_now().await;
        }
    };
    let first = queued("a");
    waiting(1).await;
    let second = queued("a");
    waiting(2).await;
    let other = queued("b");
    assert_eq!(second.await.unwrap().unwrap_err(), VaultError::Busy);
    go_on.send(()).unwrap();
    task.await.unwrap().unwrap();
    assert!(first.await.unwrap().is_ok() && other.await.unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_nobody_waits_for_any_more_is_skipped() {
    let hasher = light(1, 8);
    let (go_on, task) = occupied(&hasher);
    let ran = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let given_up = tokio::spawn({
        let (pool, ran) = (Arc::clone(&hasher.pool), Arc::clone(&ran));
        async move { pool.run(&Asker::ourselves(), move |_| ran.store(true, std::sync::atomic::Ordering::SeqCst)).await }
    });
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while hasher.pool.waiting() < 1 {
        assert!(tokio::time::Instant::now() < deadline, "it is queued in time");
        tokio::task::yield_now().await;
    }
    given_up.abort();
    assert!(given_up.await.unwrap_err().is_cancelled());
    go_on.send(()).unwrap();
    task.await.unwrap().unwrap();
    hasher.hash_password(&text("next")).await.unwrap();
    assert!(!ran.load(std::sync::atomic::Ordering::SeqCst));
}

#[tokio::test(flavor = "current_thread")]
async fn a_burst_of_two_hundred_sign_ins_is_served_in_bounded_memory_while_the_runtime_goes_on() {
    let cost = Argon2Cost { memory_kib: 4096, passes: 1, lanes: 1 };
    let hasher = Hasher::new(
        HasherConfig { threads: 2, waiting: 512, waiting_per_source: 512, password: cost, recovery_code: cost },
        &runtime(),
    );
    let hash = hasher.hash_password(&text("correct horse")).await.unwrap();
    let checks: Vec<_> = (0..200)
        .map(|number| {
            let (hasher, hash) = (hasher.clone(), hash.clone());
            tokio::spawn(async move {
                let entered = text(if number % 2 == 0 { "correct horse" } else { "wrong horse" });
                assert_eq!(hasher.password_matches(&hash, &entered).await, Ok(number % 2 == 0));
            })
        })
        .collect();
    let mut turns = 0;
    while !checks.iter().all(tokio::task::JoinHandle::is_finished) {
        assert!(hasher.held_kib() <= 2 * 4096);
        turns += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // One thread runs everything here but the hashes: it would have had no turn had they been on it.
    assert!(turns > 10, "{turns}");
    for check in checks {
        check.await.unwrap();
    }
}

#[tokio::test]
async fn idle_threads_give_their_memory_back() {
    let idle = Duration::from_millis(5);
    let pool = Pool::new(Bounds { threads: 2, waiting: Room { lane: 8, source: 8 }, usual: 64, idle }, runtime());
    assert_eq!(pool.run(&Asker::ourselves(), |memory| memory.blocks(64).len()).await, Ok(64));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while pool.held_kib() > 0 {
        assert!(tokio::time::Instant::now() < deadline, "it is given back in time");
        tokio::task::yield_now().await;
    }
    assert_eq!(pool.run(&Asker::ourselves(), |memory| memory.blocks(64).len()).await, Ok(64), "and taken again");
}

#[tokio::test]
async fn memory_beyond_the_usual_is_given_back_at_once() {
    let hasher = light(1, 8);
    assert!(hasher.password_matches(&phc(HEAVY), &text("p\u{e4}ssword")).await.unwrap());
    hasher.hash_password(&text("next")).await.unwrap();
    assert!(hasher.held_kib() <= 8);
}

#[tokio::test]
async fn threads_end_with_the_last_clone() {
    let hasher = light(2, 8);
    let clone = hasher.clone();
    drop(hasher);
    clone.hash_password(&text("still here")).await.unwrap();
    let ended = clone.pool.ended();
    drop(clone);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !ended() {
        assert!(tokio::time::Instant::now() < deadline, "the threads end in time");
        std::thread::yield_now();
    }
}

#[test]
fn debug_shows_nothing() {
    assert_eq!(format!("{:?}", light(1, 1)), "Hasher { .. }");
}
