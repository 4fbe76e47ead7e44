//! What the disk and SQLite can do without Countersign.

use std::{fs::File, io::Write, path::Path, time::Duration};

use rusqlite::{Connection, params};

use crate::{Failure, now, report};

/// For how long each is measured.
const FOR: Duration = Duration::from_secs(2);
/// Rows that share a commit, as group commit has it with 32 clients.
const BATCH: u32 = 32;
/// Bytes of a row, as an event with its metadata.
const ROW: usize = 700;

/// What was found.
#[derive(Debug, Clone, Copy)]
pub struct Baseline {
    /// `fdatasync` calls a second.
    pub syncs: f64,
    /// Rows a second, 32 in a durable commit, one table, nothing else.
    pub rows: f64,
}

/// Measures and reports.
pub fn measure(folder: &Path) -> Result<Baseline, Failure> {
    let baseline = Baseline { syncs: syncs(folder)?, rows: rows(folder)? };
    report(format_args!("baseline: fdatasync {:.0}/s ({:.3} ms)", baseline.syncs, 1_000.0 / baseline.syncs));
    report(format_args!(
        "baseline: SQLite WAL synchronous=FULL, {BATCH} rows of {ROW} bytes a commit: {:.0} rows/s",
        baseline.rows
    ));
    Ok(baseline)
}

fn syncs(folder: &Path) -> Result<f64, Failure> {
    let mut file = File::create(folder.join("sync"))?;
    rate(|| {
        file.write_all(&[7; 4_096])?;
        file.sync_data()?;
        Ok(1)
    })
}

fn rows(folder: &Path) -> Result<f64, Failure> {
    let mut connection = Connection::open(folder.join("baseline.db"))?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE events (position INTEGER PRIMARY KEY, stream TEXT NOT NULL, version INTEGER NOT NULL,
                              body BLOB NOT NULL, UNIQUE (stream, version));",
    )?;
    let body = vec![7_u8; ROW];
    let mut number = 0_i64;
    rate(|| {
        let transaction = connection.transaction()?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO events (stream, version, body) VALUES (?1, ?2, ?3)")?;
            for _ in 0..BATCH {
                number += 1;
                insert.execute(params![format!("account-{:032x}", number % 10_007), number, body])?;
            }
        }
        transaction.commit()?;
        Ok(BATCH)
    })
}

fn rate(mut step: impl FnMut() -> Result<u32, Failure>) -> Result<f64, Failure> {
    let began = now::instant();
    let mut count = 0_u32;
    while began.elapsed() < FOR {
        count += step()?;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}
