//! `countersign import` of a file of accounts, beside what the same engine does with rows of the same bytes alone.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rusqlite::Connection;

use crate::{Failure, Measured, now, place::Place, report, server::seconds_of_ended};

/// Rows of the baseline that share a durable commit, as many as the log's writers put into one.
const BATCH: usize = 256;
/// A hash of another system's backup code, as long as bcrypt's are.
const CODE_HASH: &str = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
/// Backup codes of an account.
const CODES: usize = 10;

/// Imports so many accounts into an empty place, and once more into the full one.
pub async fn measure(binary: &Path, place: &Place, accounts: usize) -> Measured {
    let file = place.folder().join("accounts.jsonl");
    // Makes the key ring and the tables: an installation has them.
    place.open().await?.close().await;
    let bytes = write_rows(&file, accounts)?;
    let name = place.name();
    let first = run(binary, place, &file, &format!("{accounts} imported, 0 there already, 0 refused"))?;
    let sizes = sizes(place).await?;
    let bare = bare(place, &sizes).await?;
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let (accounts_f, rows, stored) =
        (accounts as f64, sizes.len() as f64, sizes.iter().map(|size| *size as f64).sum::<f64>());
    let (rate, baseline) = (accounts_f / first.seconds, accounts_f / bare);
    report(format_args!(
        "import ({name}): {rate:.0} accounts/s ({accounts} of {} bytes in {:.1} s); {:.0} µs of processor time an account, \
         all processors {:.0} % busy",
        bytes / accounts,
        first.seconds,
        first.processor_seconds / accounts_f * 1e6,
        first.busy * 100.0
    ));
    report(format_args!(
        "import ({name}): baseline, the same {:.1} rows and {:.0} bytes an account appended to a bare table, {BATCH} rows a \
         durable commit: {:.0} rows/s, {baseline:.0} accounts/s; ratio {:.2}",
        rows / accounts_f,
        stored / accounts_f,
        rows / bare,
        rate / baseline
    ));
    let again = run(binary, place, &file, &format!("0 imported, {accounts} there already, 0 refused"))?;
    report(format_args!("import ({name}): the same file again: {:.0} accounts/s", accounts_f / again.seconds));
    Ok(())
}

/// Accounts with an authenticator app, ten hashed backup codes and every second one with a number; the length of
/// the file.
fn write_rows(path: &Path, accounts: usize) -> Result<usize, Failure> {
    let mut out = BufWriter::new(File::create(path)?);
    let codes = vec![format!("\"{CODE_HASH}\""); CODES].join(",");
    let mut bytes = 0;
    for number in 0..accounts {
        let secret = secret(number)?;
        let mut methods = vec![format!("{{\"kind\":\"totp\",\"secret\":\"{secret}\",\"label\":\"Phone app\"}}")];
        if number % 2 == 0 {
            methods.push(format!("{{\"kind\":\"sms\",\"phone_number\":\"+43660{:07}\"}}", number % 10_000_000));
        }
        let methods = methods.join(",");
        let row = format!(
            "{{\"email\":\"person-{number}@example.com\",\"methods\":[{methods}],\"recovery_codes\":[{codes}]}}\n"
        );
        bytes += row.len();
        out.write_all(row.as_bytes())?;
    }
    out.flush()?;
    Ok(bytes)
}

/// 160 random bits in base32.
fn secret(number: usize) -> Result<String, Failure> {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bytes = runtime::Runtime::system()?.entropy()?.bytes(&format!("key {number}"));
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect())
}

struct Run {
    seconds: f64,
    processor_seconds: f64,
    /// Of all processors, the part that did something.
    busy: f64,
}

fn run(binary: &Path, place: &Place, file: &Path, told: &str) -> Result<Run, Failure> {
    let (arguments, environment) = place.settings();
    let (processors, children) = (processors()?, seconds_of_ended()?);
    let began = now::instant();
    let output = Command::new(binary)
        .arg("import")
        .arg(file)
        .args(arguments)
        .envs(environment)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}; cargo build --release makes it", binary.display()))?;
    let seconds = began.elapsed().as_secs_f64();
    let after = self::processors()?;
    let report = String::from_utf8(output.stdout)?;
    if !report.ends_with(&format!("{told}\n")) {
        let last = report.lines().last().unwrap_or_default();
        return Err(format!("the import says {last:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(Run {
        seconds,
        processor_seconds: seconds_of_ended()? - children,
        busy: 1.0 - (after.idle - processors.idle) / (after.all - processors.all).max(0.01),
    })
}

struct Processors {
    all: f64,
    idle: f64,
}

/// What all processors did since the start of the machine. The first line: user, nice, system, idle, waiting …
fn processors() -> Result<Processors, Failure> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().ok_or("no line")?;
    let ticks: Vec<f64> = line.split_whitespace().skip(1).map(str::parse).collect::<Result<_, _>>()?;
    let idle = ticks.get(3).ok_or("no idle time")? + ticks.get(4).unwrap_or(&0.0);
    Ok(Processors { all: ticks.iter().take(8).sum(), idle })
}

/// The length of every row that the import wrote: events, and data keys.
async fn sizes(place: &Place) -> Result<Vec<usize>, Failure> {
    const EVENTS: &str = "SELECT octet_length(metadata) + octet_length(data) FROM events";
    const KEYS: &str = "SELECT octet_length(stream) + octet_length(bytes) FROM data_keys";
    let mut sizes = Vec::new();
    let mut add = |size: i64| sizes.push(usize::try_from(size).unwrap_or_default());
    if let Some(database) = place.database() {
        let client = database.client().await;
        for of in [EVENTS, KEYS] {
            for row in client.query(of, &[]).await? {
                add(i64::from(row.try_get::<_, i32>(0)?));
            }
        }
    } else {
        let connection = Connection::open(place.folder().join("log.db"))?;
        for of in [EVENTS, KEYS] {
            let mut statement = connection.prepare(of)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                add(row.get(0)?);
            }
        }
    }
    Ok(sizes)
}

/// Appends rows of these lengths and nothing else; how long it took.
async fn bare(place: &Place, sizes: &[usize]) -> Result<f64, Failure> {
    // Random: nothing to be compressed, as what is sealed.
    let longest = sizes.iter().copied().max().unwrap_or_default();
    let mut body = Vec::with_capacity(longest + 32);
    let runtime = runtime::Runtime::system()?;
    while body.len() < longest {
        body.extend_from_slice(&*runtime.random_bytes::<32>()?);
    }
    match place.database() {
        Some(database) => {
            let client = database.client().await;
            client
                .batch_execute(
                    "CREATE TABLE bare (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea NOT NULL)",
                )
                .await?;
            let insert = client.prepare("INSERT INTO bare (body) SELECT unnest($1::bytea[])").await?;
            let began = now::instant();
            for batch in sizes.chunks(BATCH) {
                let bodies: Vec<&[u8]> = batch.iter().map(|size| &body[..*size]).collect();
                client.execute(&insert, &[&bodies]).await?;
            }
            let took = began.elapsed().as_secs_f64();
            client.batch_execute("DROP TABLE bare").await?;
            Ok(took)
        }
        None => bare_file(&place.folder().join("bare.db"), sizes, &body),
    }
}

fn bare_file(path: &PathBuf, sizes: &[usize], body: &[u8]) -> Result<f64, Failure> {
    let mut connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE bare (position INTEGER PRIMARY KEY, body BLOB NOT NULL);",
    )?;
    let began = now::instant();
    for batch in sizes.chunks(BATCH) {
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO bare (body) VALUES (?1)")?;
            for size in batch {
                insert.execute([&body[..*size]])?;
            }
        }
        transaction.commit()?;
    }
    Ok(began.elapsed().as_secs_f64())
}
