//! A subscription that catches up, beside the rate at which the rows alone can be read in order.

use std::sync::Arc;

use event_store::{codec, port::EventLog, subscription::subscribe};
use futures::TryStreamExt;
use schemas::envelope::Position;

use crate::{Failure, Measured, now, place::Place, report, seed};

const EVENTS_PER_ACCOUNT: usize = 10;
/// As the views read.
const BATCH: usize = 1_000;

/// Seeds, reads, reports.
pub async fn measure(place: &Place, events: usize) -> Measured {
    seed::accounts_of(place, events / EVENTS_PER_ACCOUNT, EVENTS_PER_ACCOUNT).await?;
    let store = place.open().await?;
    let bare = bare(place).await?;
    let delivered = delivered(&store.log(), events, false).await?;
    let decoded = self::delivered(&store.log(), events, true).await?;
    report(format_args!(
        "catch-up ({}): {delivered:.0} events/s, decoded with personal fields unopened {decoded:.0}/s; baseline, bare \
         rows in order: {bare:.0}/s; ratio {:.2}",
        place.name(),
        delivered / bare
    ));
    store.close().await;
    Ok(())
}

async fn delivered(log: &Arc<dyn EventLog>, events: usize, is_decoded: bool) -> Result<f64, Failure> {
    let began = now::instant();
    let mut subscription = subscribe(&runtime::Runtime::system()?, Arc::clone(log), Position::START, BATCH);
    let mut count = 0;
    while count < events {
        let page = subscription.next().await?;
        count += page.len();
        if is_decoded {
            for event in &page {
                codec::decode(event, None)?;
            }
        }
    }
    Ok(rate(count, began))
}

/// The same columns by the driver alone.
async fn bare(place: &Place) -> Result<f64, Failure> {
    let began = now::instant();
    let Some(database) = place.database() else {
        let file = place.folder().join("log.db");
        let count = tokio::task::spawn_blocking(move || rows(&file)).await??;
        return Ok(rate(count, began));
    };
    let client = database.client().await;
    let sql =
        "SELECT position, stream, version, id, type, schema_version, metadata, data FROM events ORDER BY position";
    let rows = client.query_raw(sql, std::iter::empty::<i32>()).await?;
    let count = rows.try_fold((0, 0), |(count, bytes), row| async move {
        Ok((count + 1, bytes + row.get::<_, &[u8]>(6).len() + row.get::<_, &[u8]>(7).len()))
    });
    let (count, _) = count.await?;
    Ok(rate(count, began))
}

fn rows(file: &std::path::Path) -> Result<usize, Failure> {
    let connection = rusqlite::Connection::open(file)?;
    let mut statement = connection.prepare(
        "SELECT e.position, s.name, e.version, e.id, e.type, e.schema_version, e.metadata, e.data \
         FROM events e CROSS JOIN streams s ON s.id = e.stream ORDER BY e.position",
    )?;
    let mut rows = statement.query([])?;
    let (mut count, mut bytes) = (0, 0);
    while let Some(row) = rows.next()? {
        count += 1;
        bytes += row.get::<_, Vec<u8>>(6)?.len() + row.get::<_, Vec<u8>>(7)?.len();
    }
    if bytes == 0 { Err("the log is empty".into()) } else { Ok(count) }
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn rate(count: usize, began: std::time::Instant) -> f64 {
    count as f64 / began.elapsed().as_secs_f64()
}
