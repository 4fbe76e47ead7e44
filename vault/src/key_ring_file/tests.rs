#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::DataKey;

fn runtime() -> Runtime {
    Runtime::system().unwrap()
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_ring_survives_being_written_and_read() {
    let mut ring = KeyRing::generate(&runtime()).unwrap();
    ring.rotate().unwrap();
    let key = DataKey::generate(&runtime()).unwrap();
    let (number, wrapped) = ring.wrap("account-1", &key).unwrap();
    let read = KeyRing::parse(&ring.to_text(), &runtime()).unwrap();
    assert_eq!(read.current(), 2);
    assert_eq!(read.unwrap("account-1", number, &wrapped).unwrap().bytes(), key.bytes());
    assert_eq!(read.lookup_hash("email", "x"), ring.lookup_hash("email", "x"));
    assert_eq!(*read.to_text(), *ring.to_text());
}

#[test]
fn the_first_version_of_the_file_is_read_for_good() {
    let text = format!(
        "version = 1\ncurrent = 2\nlookup = \"{}\"\n[keys]\n1 = \"{}\"\n2 = \"{}\"\n",
        "0a".repeat(32),
        "0B".repeat(32),
        "0c".repeat(32)
    );
    let ring = KeyRing::parse(&text, &runtime()).unwrap();
    assert_eq!(ring.current, 2);
    assert_eq!(*ring.lookup, [10; 32]);
    assert_eq!(*ring.keys[&1], [11; 32]);
    assert_eq!(*ring.keys[&2], [12; 32]);
}

#[test]
fn what_is_no_ring_is_refused_without_repeating_it() {
    let key = "0a".repeat(32);
    for text in [
        String::new(),
        "nonsense".to_owned(),
        format!("version = 2\ncurrent = 1\nlookup = \"{key}\"\n[keys]\n1 = \"{key}\"\n"),
        format!("version = 1\ncurrent = 2\nlookup = \"{key}\"\n[keys]\n1 = \"{key}\"\n"),
        format!("version = 1\ncurrent = 1\nlookup = \"{key}\"\n[keys]\n1 = \"{key}0a\"\n"),
        format!("version = 1\ncurrent = 1\nlookup = \"{key}\"\n[keys]\n1 = \"{}\"\n", "é".repeat(32)),
        format!("version = 1\ncurrent = 1\nlookup = \"{key}\"\n[keys]\n01 = \"{key}\"\n1 = \"{key}\"\n"),
        format!("version = 1\ncurrent = 0\nlookup = \"{key}\"\n[keys]\n0 = \"{key}\"\n"),
        format!("version = 1\ncurrent = 1\nlookup = \"{key}\"\nextra = \"{key}\"\n[keys]\n1 = \"{key}\"\n"),
        format!("version = 1\ncurrent = 1\nlookup = {key}\n[keys]\n1 = \"{key}\"\n"),
    ] {
        let error = KeyRing::parse(&text, &runtime()).unwrap_err();
        assert!(!error.to_string().contains("0a0a"), "{error}");
        assert!(!format!("{error:?}").contains("0a0a"));
    }
}

#[test]
fn a_missing_file_is_created_once_and_readable_by_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key-ring.toml");
    assert!(KeyRing::load(&path, &runtime()).unwrap().is_none());
    let ring = KeyRing::load_or_create(&path, &runtime()).unwrap();
    #[cfg(unix)]
    assert_eq!(mode(&path), 0o600);
    assert_eq!(*KeyRing::load_or_create(&path, &runtime()).unwrap().to_text(), *ring.to_text());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn processes_that_start_at_once_agree_on_one_ring() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key-ring.toml");
    let rings: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| KeyRing::load_or_create(&path, &runtime()).unwrap().to_text().to_string()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(rings.iter().all(|ring| *ring == rings[0]));
}

#[test]
fn a_rotated_ring_replaces_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key-ring.toml");
    let mut ring = KeyRing::load_or_create(&path, &runtime()).unwrap();
    ring.rotate().unwrap();
    ring.save(&path).unwrap();
    assert_eq!(KeyRing::load(&path, &runtime()).unwrap().unwrap().current(), 2);
    #[cfg(unix)]
    assert_eq!(mode(&path), 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_read_is_refused_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key-ring.toml");
    KeyRing::load_or_create(&path, &runtime()).unwrap();
    for open in [0o644, 0o604, 0o620, 0o602, 0o666] {
        set_mode(&path, open);
        let error = KeyRing::load_or_create(&path, &runtime()).unwrap_err().to_string();
        assert!(error.contains("chmod 600") && error.contains(&format!("{open:04o}")), "{error}");
    }
    for closed in [0o600, 0o400, 0o640, 0o440] {
        set_mode(&path, closed);
        KeyRing::load_or_create(&path, &runtime()).unwrap();
    }
}

#[test]
fn a_folder_that_does_not_exist_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error =
        KeyRing::load_or_create(&folder.path().join("missing/key-ring.toml"), &runtime()).unwrap_err().to_string();
    assert!(error.contains("missing"), "{error}");
}

proptest! {
    #[test]
    fn no_text_makes_parsing_panic(text: String) {
        prop_assert!(KeyRing::parse(&text, &runtime()).is_err());
    }
}
