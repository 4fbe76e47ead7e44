//! What stands in for an account that is not there: ids that look like any other, the same for the same address, and
//! a disguise for ids, so that a name tells nobody whether there is an account behind it (labels in ADR 7).

use domain::{
    entropy::Entropy,
    ids::{AccountId, VerificationId},
    secret::{SecretText, TokenSecret, to_hex},
    values::EmailAddress,
};
use uuid::Uuid;

use crate::{KeyRing, data_key::long_code};

/// Rounds of the disguise: four make a strong pseudorandom permutation of a pseudorandom function (Luby and Rackoff).
const ROUNDS: u8 = 4;

impl KeyRing {
    /// The id of the account that an address would have which nobody holds.
    pub fn stranger(&self, address: &EmailAddress) -> AccountId {
        AccountId(first_half(&self.lookup_hash("no account", &address.canonical())))
    }

    /// The secret of a reset's token, of an account or of none: it is known again without being kept.
    pub fn reset_secret(&self, account: AccountId, reset: VerificationId) -> TokenSecret {
        Entropy::new(self.lookup_hash("password reset", &format!("{account} {reset}"))).token("verification")
    }

    /// The code that confirms an address, as it is shown: the same for all who sign up with it in one window.
    pub fn confirmation_code(&self, address: &EmailAddress, window: u32) -> SecretText {
        // The address comes last: no two pairs read alike.
        long_code(self.lookup_hash("confirm_email", &format!("{window} {}", address.canonical())))
    }

    /// An account's id under a keyed permutation: Feistel rounds of the look-up key's HMAC.
    pub fn disguised(&self, account: AccountId) -> Uuid {
        let (mut left, mut right) = account.0.as_u64_pair();
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ self.round(round, right));
        }
        Uuid::from_u64_pair(left, right)
    }

    /// The account behind a disguise.
    pub fn revealed(&self, handle: Uuid) -> AccountId {
        let (mut left, mut right) = handle.as_u64_pair();
        for round in (0..ROUNDS).rev() {
            (left, right) = (right ^ self.round(round, left), left);
        }
        AccountId(Uuid::from_u64_pair(left, right))
    }

    fn round(&self, round: u8, half: u64) -> u64 {
        let hash = self.lookup_hash("account in disguise", &format!("{round} {}", to_hex(&half.to_be_bytes())));
        first_half(&hash).as_u64_pair().0
    }
}

fn first_half(hash: &[u8; 32]) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    Uuid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use zeroize::Zeroizing;

    use super::*;

    fn ring(byte: u8) -> KeyRing {
        let key = Zeroizing::new([byte; 32]);
        let runtime = runtime::Runtime::system().unwrap();
        KeyRing { current: 1, keys: BTreeMap::from([(1, key.clone())]), lookup: key, runtime }
    }
    fn account() -> AccountId {
        AccountId(Uuid::from_u128(0x0197_a0b1_c2d3_7035_a953_285b_2eda_5ea3))
    }

    #[test]
    fn disguises_and_strangers_never_change_while_their_tickets_live() {
        let address = EmailAddress::parse("Eve@Example.com").unwrap();
        assert_eq!(ring(7).disguised(account()).to_string(), "d92f9d3a-70ec-ecb5-9cc2-2c89f1b09ac0");
        assert_eq!(ring(7).stranger(&address).to_string(), "4e2d0f4f-5a40-9e16-7239-1ebe8260c9d5");
        let secret = ring(7).reset_secret(account(), VerificationId(Uuid::from_u128(0xf1)));
        assert_eq!(to_hex(secret.expose()), "9c57fa4a248f33f881ed9a7a75130886b847b85239f6d479ff12d0238a561d53");
        assert_eq!(ring(7).confirmation_code(&address, 2_992_536).expose(), "PHKB-EYKK-QGYV");
    }

    #[test]
    fn one_address_in_any_case_has_one_stranger_and_each_ring_its_own() {
        let strangers = |ring: &KeyRing| {
            ["eve@example.com", "EVE@example.com", "ada@example.com"]
                .map(|text| ring.stranger(&EmailAddress::parse(text).unwrap()))
        };
        let [one, same, other] = strangers(&ring(7));
        assert!(one == same && one != other);
        assert_ne!(one, strangers(&ring(8))[0]);
    }

    proptest! {
        #[test]
        fn a_disguise_is_revealed_by_its_ring_alone(id: u128) {
            let account = AccountId(Uuid::from_u128(id));
            let handle = ring(7).disguised(account);
            prop_assert_ne!(handle, account.0);
            prop_assert_eq!(ring(7).revealed(handle), account);
            prop_assert_ne!(ring(8).revealed(handle), account);
        }
    }
}
