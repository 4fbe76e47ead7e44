//! Crockford's base32: no I, L, O and U, so that nothing is misread.

use domain::secret::{Secret, SecretText};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// So many characters, five bits each, the first bits first. There must be as many bits.
pub(crate) fn spell(bits: &[u8], characters: usize) -> SecretText {
    let mut code = String::with_capacity(characters);
    for place in 0..characters {
        let at = 5 * place;
        let pair = u16::from_be_bytes([bits[at / 8], bits.get(at / 8 + 1).copied().unwrap_or_default()]);
        let index = (pair >> (11 - at % 8)) & 31;
        code.push(char::from(ALPHABET[usize::from(index)]));
    }
    Secret::new(code)
}

/// In groups of four, as people read it.
pub(crate) fn with_hyphens(code: &SecretText) -> SecretText {
    let code = code.expose();
    let mut shown = String::with_capacity(code.len() + code.len() / 4);
    for (at, character) in code.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            shown.push('-');
        }
        shown.push(character);
    }
    Secret::new(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spelling_covers_every_bit_that_it_has_characters_for() {
        assert_eq!(spell(&[0; 10], 16).expose(), "0000000000000000");
        assert_eq!(spell(&[0xff; 10], 16).expose(), "ZZZZZZZZZZZZZZZZ");
        // 00001 00010 00011 … 01000, twice.
        assert_eq!(
            spell(&[0x08, 0x86, 0x42, 0x98, 0xe8, 0x08, 0x86, 0x42, 0x98, 0xe8], 16).expose(),
            "1234567812345678"
        );
        for (bytes, characters, bits) in [(10, 16, 80), (8, 12, 60)] {
            let each_bit = (0..bits).map(|bit| {
                let mut one = vec![0; bytes];
                one[bit / 8] = 0x80 >> (bit % 8);
                spell(&one, characters).expose().clone()
            });
            assert_eq!(each_bit.collect::<std::collections::BTreeSet<_>>().len(), bits);
        }
    }

    #[test]
    fn hyphens_stand_between_groups_of_four() {
        assert_eq!(with_hyphens(&Secret::new("1234567812345678".to_owned())).expose(), "1234-5678-1234-5678");
        assert_eq!(with_hyphens(&Secret::new("123456781234".to_owned())).expose(), "1234-5678-1234");
    }
}
