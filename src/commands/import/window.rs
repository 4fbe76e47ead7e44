//! From lines to accounts to be: what each line says, which lines belong together, which account comes twice.

use std::collections::{HashMap, hash_map::Entry};

use domain::ids::AccountId;
use vault::KeyRing;

use super::{lines::Line, rows::Row};

/// What lines say, each for itself. Reading them is the work of many processors; putting them together is not.
pub struct Parsed {
    lines: Vec<(usize, Result<Named, String>)>,
    length: u64,
}

/// A row with the id that its account has or gets.
pub struct Named {
    /// The row.
    pub row: Row,
    /// Derived from the address under the look-up key: the same wherever and however often it is imported.
    pub account: AccountId,
    /// What the vault has against its hashes.
    objection: Option<String>,
}

/// What becomes of a row.
pub enum Item {
    /// It is to be imported.
    Import(Row, AccountId),
    /// It is wrong.
    Refused {
        /// Its line.
        line: usize,
        /// Why.
        reason: String,
    },
}

/// Rows that are imported together, in the order of the file.
pub struct Window {
    /// The rows.
    pub items: Vec<Item>,
    /// Bytes of the lines that were read for them.
    pub length: u64,
}

impl Parsed {
    /// Reads lines; blank ones and comments say nothing.
    pub fn of(lines: Vec<Line>, ring: &KeyRing) -> Self {
        let length = lines.iter().map(|line| line.length).sum();
        let lines = lines.into_iter().filter_map(|line| {
            let number = line.number;
            let row = match line.text.map(String::from_utf8) {
                Some(Ok(text)) => Row::read(number, &text)?,
                Some(Err(_)) => Err("is no UTF-8".to_owned()),
                None => Err("is too long".to_owned()),
            };
            Some((number, row.map(|row| Named::of(row, ring))))
        });
        Self { lines: lines.collect(), length }
    }
}

impl Named {
    fn of(row: Row, ring: &KeyRing) -> Self {
        let hash = ring.lookup_hash("imported account", &row.email.canonical());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        let account = AccountId(uuid::Builder::from_custom_bytes(bytes).into_uuid());
        Self { account, objection: row.check_hashes().err(), row }
    }
}

/// Puts lines together.
#[derive(Default)]
pub struct Joiner {
    /// The first line of every account so far: of all that an import remembers this alone grows with the file.
    seen: HashMap<AccountId, u32>,
    /// The last row: the next line may go on with it.
    waiting: Option<Named>,
}

impl Joiner {
    /// The rows that end in these lines.
    pub fn window(&mut self, parsed: Parsed) -> Window {
        let mut items = Vec::with_capacity(parsed.lines.len());
        for (line, named) in parsed.lines {
            match (named, &mut self.waiting) {
                (Ok(next), Some(waiting)) if waiting.row.goes_on_with(&next.row) => waiting.row.join(next.row),
                (Ok(next), waiting) => {
                    let finished = waiting.replace(next);
                    items.extend(finished.map(|named| self.judged(named)));
                }
                (Err(reason), waiting) => {
                    let finished = waiting.take();
                    items.extend(finished.map(|named| self.judged(named)));
                    items.push(Item::Refused { line, reason });
                }
            }
        }
        Window { items, length: parsed.length }
    }

    /// The last one: there are no more lines.
    pub fn end(&mut self) -> Window {
        let finished = self.waiting.take();
        Window { items: finished.map(|named| self.judged(named)).into_iter().collect(), length: 0 }
    }

    fn judged(&mut self, named: Named) -> Item {
        let Named { row, account, objection } = named;
        let line = row.line;
        match self.seen.entry(account) {
            Entry::Occupied(first) => {
                let reason = format!("has the address of line {}: put what belongs together into one row", first.get());
                Item::Refused { line, reason }
            }
            Entry::Vacant(place) => {
                place.insert(u32::try_from(line).unwrap_or(u32::MAX));
                match objection {
                    Some(reason) => Item::Refused { line, reason },
                    None => Item::Import(row, account),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn parsed(first: usize, lines: &[&str], ring: &KeyRing) -> Parsed {
        let lines = (first..).zip(lines).map(|(number, line)| Line {
            number,
            text: Some(line.as_bytes().to_vec()),
            length: line.len() as u64 + 1,
        });
        Parsed::of(lines.collect(), ring)
    }

    /// The lines of a window: how many methods an account has, or why it is none.
    fn told(window: Window) -> Vec<(usize, Result<usize, String>)> {
        let told = |item| match item {
            Item::Import(row, account) => (row.line, Ok(row.into_import(account).methods.len())),
            Item::Refused { line, reason } => (line, Err(reason)),
        };
        window.items.into_iter().map(told).collect()
    }

    fn ring() -> KeyRing {
        KeyRing::generate(&runtime::Runtime::system().unwrap()).unwrap()
    }

    const ADA: &str = "otpauth://totp/ada@example.com?secret=GEZDGNBVGY3TQOJQ";
    const ADAS_SECOND: &str = "Ada@Example.com otpauth://totp/x?secret=MFRGGZDFMZTWQ2LK";
    const BERT: &str = "otpauth://totp/bert@example.com?secret=GEZDGNBVGY3TQOJQ";

    #[test]
    fn lines_of_one_account_are_one_row_also_where_a_window_ends() {
        let (ring, mut joiner) = (ring(), Joiner::default());
        let window = joiner.window(parsed(1, &[BERT, "", "# comment", ADA], &ring));
        assert_eq!(window.length, [BERT, "", "# comment", ADA].iter().map(|line| line.len() as u64 + 1).sum::<u64>());
        assert_eq!(told(window), [(1, Ok(1))]);
        assert_eq!(told(joiner.window(parsed(5, &[ADAS_SECOND], &ring))), []);
        assert_eq!(told(joiner.window(parsed(6, &[], &ring))), []);
        assert_eq!(told(joiner.end()), [(4, Ok(2))]);
        assert_eq!(told(joiner.end()), []);
    }

    #[test]
    fn what_is_told_has_the_order_of_the_file_and_an_account_comes_once() {
        let (ring, mut joiner) = (ring(), Joiner::default());
        let bad_hash = r#"{"email": "cleo@example.com", "methods": [], "recovery_codes": ["$1$old$scheme"]}"#;
        let told = told(joiner.window(parsed(1, &[ADA, "nonsense", bad_hash, ADAS_SECOND, BERT, "{"], &ring)));
        let lines: Vec<usize> = told.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 6]);
        let accepted: Vec<usize> = told.iter().filter(|(_, told)| told.is_ok()).map(|(line, _)| *line).collect();
        assert_eq!(accepted, [1, 5]);
        assert!(told[3].1.as_ref().unwrap_err().contains("has the address of line 1:"), "{told:?}");
    }

    #[test]
    fn a_line_that_was_passed_over_or_is_no_text_is_refused() {
        let (ring, mut joiner) = (ring(), Joiner::default());
        let lines = vec![
            Line { number: 1, text: None, length: 1 << 30 },
            Line { number: 2, text: Some(vec![0xff]), length: 2 },
        ];
        let told = told(joiner.window(Parsed::of(lines, &ring)));
        assert_eq!(told, [(1, Err("is too long".to_owned())), (2, Err("is no UTF-8".to_owned()))]);
    }
}
