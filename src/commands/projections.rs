//! `projections status` and `projections rebuild`.

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::say;
use crate::{
    Failure,
    config::Config,
    engines::{Opened, Opening},
};

/// How far each view is.
pub async fn status(config: &Config, as_json: bool) -> Result<(), Failure> {
    let opened = Opened::open(config, Opening::Existing).await?;
    let views = opened.views(config).await?;
    let status = views.status().await.map_err(Failure::other)?;
    if !as_json {
        say(format_args!("{:<18} {:>10} {:>8} {:>10}  last event", "view", "position", "behind", "rows"))?;
    }
    for view in status {
        if as_json {
            say(serde_json::to_string(&view).map_err(Failure::other)?)?;
        } else {
            let event_at = view.event_at.map_or_else(|| "-".to_owned(), |at| at.to_string());
            say(format_args!("{:<18} {:>10} {:>8} {:>10}  {event_at}", view.view, view.position, view.lag, view.rows))?;
        }
    }
    views.close().await;
    opened.close().await;
    Ok(())
}

/// Builds a view again and compares.
pub async fn rebuild(config: &Config, name: &str, as_json: bool) -> Result<(), Failure> {
    let opened = Opened::open(config, Opening::Existing).await?;
    let views = opened.views(config).await?;
    let report = views.rebuild(name, &|_| (), &CancellationToken::new()).await.map_err(Failure::other)?;
    for view in report.views {
        if as_json {
            let mut line = json!(view);
            line["events"] = json!(report.events);
            say(line)?;
        } else {
            let verdict = match (&view.live_digest, view.equal) {
                (_, true) => "equal",
                (None, _) => "rebuilt; there was none to compare with",
                (Some(_), false) => "DIFFERED; now as rebuilt",
            };
            say(format_args!("{:<18} {} rows from {} events: {verdict}", view.view, view.rows, report.events))?;
            say(format_args!("  live     {}", view.live_digest.as_deref().unwrap_or("-")))?;
            say(format_args!("  rebuilt  {}", view.rebuilt_digest))?;
        }
    }
    views.close().await;
    opened.close().await;
    Ok(())
}
