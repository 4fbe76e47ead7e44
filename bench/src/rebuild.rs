//! A rebuild of all views in one pass, beside the rate at which plain rows can be loaded into one table.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use event_store::postgres::Database;
use futures::SinkExt;
use projections::{ViewParts, Views};
use tokio_util::sync::CancellationToken;

use crate::{Failure, Measured, now, place::Place, report, seed};

const EVENTS_PER_ACCOUNT: usize = 10;
/// Bytes of a row, as an event with its metadata.
const ROW: usize = 700;
/// Rows that are sent at a time.
const CHUNK: usize = 200;
/// The views have this long to catch up before they are rebuilt.
const PATIENCE: Duration = Duration::from_mins(30);

/// Seeds, lets the views catch up, rebuilds them, reports.
pub async fn measure(place: &Place, events: usize) -> Measured {
    seed::accounts_of(place, events / EVENTS_PER_ACCOUNT, EVENTS_PER_ACCOUNT).await?;
    let store = place.open().await?;
    let parts = ViewParts { log: store.log(), keys: Arc::clone(&store.keys), runtime: store.runtime.clone() };
    let views = Arc::new(match place.database() {
        None => Views::sqlite(&place.folder().join("views.db"), parts).await?,
        Some(database) => Views::postgres(Database::connect(&database.options()).await?, parts).await?,
    });
    let stop = CancellationToken::new();
    let began = now::instant();
    let (running, until) = (Arc::clone(&views), stop.clone());
    let running = tokio::spawn(async move { running.run(until).await });
    let last = store.log().last_position().await?;
    views.wait_for(last, PATIENCE).await?;
    let caught_up = rate(events, began);

    let rebuilt = views.rebuild("all", &|_| (), &CancellationToken::new()).await?;
    if !rebuilt.is_equal() {
        return Err("a view differs from its replay".into());
    }
    stop.cancel();
    running.await??;
    views.close().await;
    store.close().await;
    let (what, bare) = match place.database() {
        None => ("rows in one transaction", inserted(place.folder(), events)?),
        Some(_) => ("COPY into one indexed table", copied(place, events).await?),
    };
    report(format_args!(
        "rebuild ({}): all views of {} events at {:.0} events/s, equal to the live ones, which caught up at {caught_up:.0}/s; \
         baseline, {what}: {bare:.0} rows/s; ratio {:.2}",
        place.name(),
        rebuilt.events,
        rebuilt.events_per_second,
        rebuilt.events_per_second / bare
    ));
    Ok(())
}

const TABLE: &str = "CREATE TABLE plain (position bigint PRIMARY KEY, stream text NOT NULL, version bigint NOT NULL, \
     body text NOT NULL, UNIQUE (stream, version))";

async fn copied(place: &Place, rows: usize) -> Result<f64, Failure> {
    let client = place.database().ok_or("a database")?.client().await;
    client.batch_execute(TABLE).await?;
    let body = "d".repeat(ROW);
    let began = now::instant();
    let sink = client.copy_in::<_, Bytes>("COPY plain FROM STDIN").await?;
    futures::pin_mut!(sink);
    for first in (0..rows).step_by(CHUNK) {
        let mut chunk = String::with_capacity(CHUNK * (ROW + 80));
        for number in first..(first + CHUNK).min(rows) {
            let (stream, version) = (number / EVENTS_PER_ACCOUNT, number % EVENTS_PER_ACCOUNT);
            chunk.extend([&format!("{number}\taccount-{stream:032x}\t{version}\t"), body.as_str(), "\n"]);
        }
        sink.send(Bytes::from(chunk)).await?;
    }
    sink.finish().await?;
    Ok(rate(rows, began))
}

fn inserted(folder: &Path, rows: usize) -> Result<f64, Failure> {
    let mut connection = rusqlite::Connection::open(folder.join("plain.db"))?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF")?;
    connection.execute_batch(TABLE)?;
    let body = "d".repeat(ROW);
    let began = now::instant();
    let transaction = connection.transaction()?;
    {
        let mut insert =
            transaction.prepare("INSERT INTO plain (position, stream, version, body) VALUES (?1, ?2, ?3, ?4)")?;
        for number in 0..rows {
            let (stream, version) = (number / EVENTS_PER_ACCOUNT, number % EVENTS_PER_ACCOUNT);
            insert.execute(rusqlite::params![
                i64::try_from(number)?,
                format!("account-{stream:032x}"),
                i64::try_from(version)?,
                body
            ])?;
        }
    }
    transaction.commit()?;
    Ok(rate(rows, began))
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn rate(count: usize, began: std::time::Instant) -> f64 {
    count as f64 / began.elapsed().as_secs_f64()
}
