//! The lines of a file, some hundreds at a time and never more than fit into memory.

use std::io::{self, BufRead, Read};

/// Lines that are read and imported together, at most: as many appends as the log's writers put into one commit.
const LINES: usize = 256;
/// A chunk ends when its lines are this long together.
const BYTES: usize = 1 << 20;
/// A longer line is no row: the longest that could be imported are a few thousand bytes.
const LONGEST: u64 = 256 << 10;

/// A line of the file.
pub struct Line {
    /// Its number, from 1.
    pub number: usize,
    /// Its text without the line's end; none when it is too long to be a row.
    pub text: Option<Vec<u8>>,
    /// Its bytes in the file.
    pub length: u64,
}

/// The chunks of a file.
pub struct Chunks<R> {
    reader: R,
    number: usize,
}

impl<R: BufRead> Chunks<R> {
    /// From its start.
    pub const fn new(reader: R) -> Self {
        Self { reader, number: 0 }
    }

    fn line(&mut self) -> io::Result<Option<Line>> {
        let mut text = Vec::new();
        let mut length = self.reader.by_ref().take(LONGEST).read_until(b'\n', &mut text)? as u64;
        if length == 0 {
            return Ok(None);
        }
        self.number += 1;
        let is_whole = text.pop_if(|last| *last == b'\n').is_some() || length < LONGEST;
        if !is_whole {
            length += self.skip_line()?;
        }
        Ok(Some(Line { number: self.number, text: is_whole.then_some(text), length }))
    }

    /// Passes over what is left of a line.
    fn skip_line(&mut self) -> io::Result<u64> {
        let mut skipped = 0;
        loop {
            let buffer = self.reader.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let count = end.map_or(buffer.len(), |end| end + 1);
            self.reader.consume(count);
            skipped += count as u64;
            if end.is_some() || count == 0 {
                return Ok(skipped);
            }
        }
    }
}

impl<R: BufRead> Iterator for Chunks<R> {
    type Item = io::Result<Vec<Line>>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut lines, mut bytes) = (Vec::new(), 0);
        while lines.len() < LINES && bytes < BYTES {
            match self.line() {
                Ok(Some(line)) => {
                    bytes += line.text.as_ref().map_or(0, Vec::len);
                    lines.push(line);
                }
                Ok(None) => break,
                Err(error) => return Some(Err(error)),
            }
        }
        (!lines.is_empty()).then_some(Ok(lines))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn read(file: &[u8]) -> Vec<Vec<Line>> {
        Chunks::new(io::BufReader::with_capacity(100, file)).map(Result::unwrap).collect()
    }

    #[test]
    fn every_line_is_read_with_its_number_and_length() {
        let chunks = read(b"one\n\nthree\r\nfour");
        let lines: Vec<_> =
            chunks[0].iter().map(|line| (line.number, line.text.as_deref().unwrap(), line.length)).collect();
        assert_eq!(lines, [(1, &b"one"[..], 4), (2, b"", 1), (3, b"three\r", 7), (4, b"four", 4)]);
        assert!(read(b"").is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_not_kept() {
        let mut file = vec![b'x'; usize::try_from(LONGEST).unwrap() * 3];
        file.extend_from_slice(b"\nnext\n");
        let lines = read(&file).concat_lines();
        assert_eq!(lines[0], (1, None, LONGEST * 3 + 1));
        assert_eq!(lines[1], (2, Some(b"next".to_vec()), 5));
        file.truncate(usize::try_from(LONGEST).unwrap() * 3);
        assert_eq!(read(&file).concat_lines(), [(1, None, LONGEST * 3)], "the last one without an end");
    }

    #[test]
    fn a_chunk_has_its_limits() {
        let chunks = read("x\n".repeat(LINES * 2 + 1).as_bytes());
        assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [LINES, LINES, 1]);
        let long = format!("{}\n", "x".repeat(200_000));
        assert_eq!(read(long.repeat(10).as_bytes()).iter().map(Vec::len).collect::<Vec<_>>(), [6, 4]);
    }

    trait Concat {
        fn concat_lines(self) -> Vec<(usize, Option<Vec<u8>>, u64)>;
    }

    impl Concat for Vec<Vec<Line>> {
        fn concat_lines(self) -> Vec<(usize, Option<Vec<u8>>, u64)> {
            self.into_iter().flatten().map(|line| (line.number, line.text, line.length)).collect()
        }
    }
}
