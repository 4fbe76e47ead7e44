//! Recovery codes of another system: argon2id, bcrypt or SHA-256, each with a salt of its own or none.
//!
//! | form | hash of |
//! | --- | --- |
//! | `$argon2id$v=19$m=…,t=…,p=…$<salt>$<hash>` | the code |
//! | `$2a$…`, `$2b$…`, `$2y$…` | the code (its first 72 bytes) |
//! | `$sha256$<salt>$<hash>` | the salt's bytes and then the code |
//! | `$sha256$<hash>` | the code |
//!
//! Salts and hashes are in base64 without padding, as in PHC strings; a SHA-256 may also be 64 hex digits.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use domain::{
    secret::{Secret, from_hex},
    values::PasswordHash,
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{argon, pool::Memory};
use crate::VaultError;

/// What an attempt may cost, in microseconds of one core as it was measured: ten codes under bcrypt with cost 12.
const MOST_WORK: u64 = 2_100_000;
/// One round of bcrypt: cost 10 takes about 50 ms.
const BCRYPT_ROUND: u64 = 50;
/// The dearest bcrypt that is taken over.
const MOST_BCRYPT_COST: u32 = 12;

const UNKNOWN: VaultError =
    VaultError::Malformed("recovery code: not an argon2id, bcrypt or SHA-256 hash that is accepted");
const TOO_DEAR: VaultError = VaultError::Malformed("recovery codes: checking one against all would take seconds");

/// The hash of one code.
enum Hash {
    Argon2id(argon::Parsed),
    Bcrypt(String, u32),
    Sha256 { salt: Vec<u8>, hash: Vec<u8> },
}

impl Hash {
    fn parse(text: &str) -> Result<Self, VaultError> {
        if let Some(rest) = text.strip_prefix("$sha256$") {
            return sha256(rest).ok_or(UNKNOWN);
        }
        if ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) {
            let parts: bcrypt::HashParts = text.parse().map_err(|_| UNKNOWN)?;
            let cost = parts.get_cost();
            return if (4..=MOST_BCRYPT_COST).contains(&cost) {
                Ok(Self::Bcrypt(text.to_owned(), cost))
            } else {
                Err(UNKNOWN)
            };
        }
        argon::Parsed::new(&PasswordHash(text.to_owned())).map(Self::Argon2id).map_err(|_| UNKNOWN)
    }

    /// Microseconds, roughly.
    fn work(&self) -> u64 {
        match self {
            Self::Argon2id(parsed) => parsed.kibibytes_written() / 2,
            Self::Bcrypt(_, cost) => BCRYPT_ROUND << cost,
            Self::Sha256 { .. } => 1,
        }
    }

    fn matches(&self, entered: &Secret<String>, memory: &mut Memory) -> bool {
        match self {
            Self::Argon2id(parsed) => parsed.matches(entered, memory).unwrap_or(false),
            Self::Bcrypt(hash, _) => bcrypt::verify(entered.expose(), hash).unwrap_or(false),
            Self::Sha256 { salt, hash } => {
                let made = Sha256::new_with_prefix(salt).chain_update(entered.expose()).finalize();
                made.ct_eq(hash).into()
            }
        }
    }
}

fn sha256(rest: &str) -> Option<Hash> {
    let (salt, hash) = rest.rsplit_once('$').unwrap_or(("", rest));
    let salt = STANDARD_NO_PAD.decode(salt).ok()?;
    let hash = if hash.len() == 64 { from_hex(hash)? } else { STANDARD_NO_PAD.decode(hash).ok()? };
    (hash.len() == 32 && salt.len() <= 64).then_some(Hash::Sha256 { salt, hash })
}

/// Whether these hashes are fit to be taken over: each can be read, and an attempt, which is compared with all of
/// them, costs no more than two seconds.
pub fn check_imported_codes(hashes: &[String]) -> Result<(), VaultError> {
    let mut work = 0;
    for hash in hashes {
        work += Hash::parse(hash)?.work();
    }
    if work > MOST_WORK { Err(TOO_DEAR) } else { Ok(()) }
}

/// Whether a password's hash is fit to be taken over.
pub fn check_imported_password(hash: &PasswordHash) -> Result<(), VaultError> {
    argon::Parsed::new(hash).map(drop)
}

/// The hashes that can be read, with their places.
pub(super) struct Parsed(Vec<(u32, Hash)>);

pub(super) fn parsed(hashes: &[String]) -> Parsed {
    let readable = (0..).zip(hashes).filter_map(|(place, hash)| Some((place, Hash::parse(hash).ok()?)));
    Parsed(readable.collect())
}

/// The place of the code. Every hash is compared.
pub(super) fn place(hashes: &Parsed, entered: &Secret<String>, memory: &mut Memory) -> Option<u32> {
    let mut place = None;
    for (at, hash) in &hashes.0 {
        if hash.matches(entered, memory) {
            place = Some(*at);
        }
    }
    place
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    // Made by argon2-cffi, Python's `bcrypt` and `hashlib` over the code ABCD-EFGH-IJKL.
    const ARGON2ID: &str =
        "$argon2id$v=19$m=1024,t=1,p=1$AAECAwQFBgcICQoLDA0ODw$j1PFTiFb6dgyCo+7PGW9b7cTAL02qToeB3n4UKrLggE";
    const BCRYPT: &str = "$2b$04$2Zrv4/Gai.EZisDc4rkjjOGz9a8Jqy2WgQzMRnRPHWUO7CDCIsWr2";
    const SHA256: &str = "$sha256$u0lH6zZgObHAe8q4NdrH6Nlz33mVK/IWuSppXv8sjg0";
    const SHA256_SALTED: &str = "$sha256$c2FsdHNhbHQ$ymJ2wrIyZECLlT1frY0lpRGunbc8/OsSe7nwJNncoRM";

    fn found(hashes: &[&str], entered: &str) -> Option<u32> {
        let hashes: Vec<String> = hashes.iter().map(|hash| (*hash).to_owned()).collect();
        place(&parsed(&hashes), &Secret::new(entered.to_owned()), &mut Memory::default())
    }
    fn check(hashes: &[&str]) -> Result<(), VaultError> {
        check_imported_codes(&hashes.iter().map(|hash| (*hash).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn hashes_of_other_implementations_are_understood() {
        for hash in [ARGON2ID, BCRYPT, SHA256, SHA256_SALTED] {
            check(&[hash]).unwrap();
            assert_eq!(found(&["nonsense", hash], "ABCD-EFGH-IJKL"), Some(1), "{hash}");
            assert_eq!(found(&[hash], "ABCD-EFGH-IJKM"), None, "{hash}");
            assert_eq!(found(&[hash], ""), None, "{hash}");
        }
        let hex: String = SHA256.trim_start_matches("$sha256$").to_owned();
        let hex = domain::secret::to_hex(&STANDARD_NO_PAD.decode(hex).unwrap());
        assert_eq!(found(&[&format!("$sha256${hex}")], "ABCD-EFGH-IJKL"), Some(0));
    }

    #[test]
    fn what_cannot_be_read_is_refused_at_the_import_and_matches_nothing_afterwards() {
        let long = "$sha256$".to_owned() + &"A".repeat(300) + "$" + SHA256.trim_start_matches("$sha256$");
        for hash in [
            "",
            "ABCD-EFGH-IJKL",
            "$1$salt$hash",
            "$sha256$",
            "$sha256$$",
            "$sha256$!!$AAAA",
            "$2b$12$short",
            "$2b$99$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
            "$2b$13$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
            "$argon2id$v=19$m=4294967295,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$5/W87cqWDElP2gtnTIq/qDSP1zopANxZLonkobS2XWw",
            &long,
        ] {
            assert!(check(&[hash]).is_err(), "{hash}");
            assert_eq!(found(&[hash], "ABCD-EFGH-IJKL"), None, "{hash}");
        }
    }

    #[test]
    fn what_an_attempt_costs_is_bounded() {
        let ten = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
        let twelve = "$2b$12$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
        let argon = "$argon2id$v=19$m=65536,t=3,p=4$AAECAwQFBgcICQoLDA0ODw$5/W87cqWDElP2gtnTIq/qDSP1zopANxZLonkobS2XWw";
        for (hash, most) in [(ten, 40), (twelve, 10), (argon, 20)] {
            assert!(check(&vec![hash; most]).is_ok(), "{hash}");
        }
        for (hash, too_many) in [(ten, 42), (twelve, 11), (argon, 22)] {
            assert_eq!(check(&vec![hash; too_many]), Err(TOO_DEAR), "{hash}");
        }
    }
}
