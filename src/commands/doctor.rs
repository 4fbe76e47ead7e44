//! `doctor`: looks at everything Countersign depends on, and says what to do.

use std::{collections::HashMap, fs, os::unix::fs::PermissionsExt, process::ExitCode, sync::Arc};

use event_store::{codec, port::WrappedKey};
use schemas::envelope::{Position, Version};
use workers::{SmsGateway, gateways::smtp::SmtpGateway};

use super::say;
use crate::{
    Failure,
    config::{Config, EventLogEngine},
    data_folder::VIEWS,
    engines::{Opened, Opening},
    gateways::Carriers,
};

const PAGE: usize = 1_000;
/// Views that are farther behind than this while a server runs need a look.
const NOTABLE_LAG: u64 = 10_000;

/// What was found out about one thing.
enum Finding {
    /// All well.
    Well(String),
    /// Works, but someone should know.
    Note(String),
    /// Needs a hand: what is wrong, and what to do.
    Ill(String, String),
}

/// Runs every check. Exit code 1 when something needs a hand.
pub async fn doctor(config: &Config) -> Result<ExitCode, Failure> {
    // Of nothing, nothing can be found out.
    Opened::must_be_there(config)?;
    let mut findings = vec![("settings", Finding::Well("read".to_owned()))];
    if config.event_log == EventLogEngine::Sqlite {
        findings.push(("data folder", folder(config)));
    }
    match Opened::open(config, Opening::Existing).await {
        Ok(opened) => {
            findings.push(("key ring", data_keys(&opened).await?));
            findings.push(("log", log(&opened).await?));
            findings.push(("views", views_lag(config, &opened).await?));
            findings.push(("erasure", erasures(&opened).await?));
            opened.close().await;
        }
        Err(failure) => findings.push(("data", ill(&failure))),
    }
    #[cfg(feature = "nats")]
    if let Some(options) = crate::broker::options(config) {
        let found = match workers::nats::Broker::look(&options).await {
            Ok(_) => Finding::Well("reached, with JetStream".to_owned()),
            Err(error) => ill(&error.into()),
        };
        findings.push(("broker", found));
    }
    match Carriers::of(config) {
        Ok(carriers) => {
            findings.push(("mail", mail(&carriers).await));
            for (place, gateway) in carriers.sms().enumerate() {
                findings.push(("text messages", texts(place, gateway).await));
            }
        }
        Err(error) => findings.push(("gateways", ill(&error.into()))),
    }
    let mut is_well = true;
    for (what, finding) in findings {
        match finding {
            Finding::Well(text) => say(format_args!("ok    {what}: {text}"))?,
            Finding::Note(text) => say(format_args!("note  {what}: {text}"))?,
            Finding::Ill(text, cure) => {
                is_well = false;
                say(format_args!("ILL   {what}: {text}\n      what to do: {cure}"))?;
            }
        }
    }
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What stops a start, as something that needs a hand.
fn ill(failure: &Failure) -> Finding {
    match failure {
        Failure::Setting(error) => Finding::Ill(error.problem(), error.cure().to_owned()),
        Failure::Other(text) => Finding::Ill(text.clone(), "see docs/operations.md".to_owned()),
    }
}

/// Whether the mail server answers, protects the connection and lets us in. Nothing is sent.
async fn mail(carriers: &Carriers) -> Finding {
    let Some(gateway) = carriers.email() else { return nobody("smtp.host names no server") };
    match gateway.check().await {
        Ok(()) => Finding::Well(format!("{} answers and would take mail", gateway.server())),
        Err(error) => {
            let problem = format!("{} takes no mail ({})", gateway.server(), error.reason);
            Finding::Ill(problem, SmtpGateway::cure(&error).to_owned())
        }
    }
}

/// The same of a gateway for texts, when it can be asked without texting anybody.
async fn texts(place: usize, gateway: Option<&dyn SmsGateway>) -> Finding {
    let Some(gateway) = gateway else { return nobody("sms names no gateway, or the inbox") };
    let name = gateway.name();
    match gateway.check().await {
        Some(Ok(())) => Finding::Well(format!("{name} answers and lets us in")),
        Some(Err(error)) => {
            let cure = match error.reason {
                "credentials_refused" => format!("see account_sid, api_key_sid and the secrets of sms[{place}]"),
                "unreachable" | "timed_out" => "see that this machine reaches its API, and its ca_file".to_owned(),
                _ => "see the gateway's own pages, and ask again later".to_owned(),
            };
            Finding::Ill(format!("{name} does not let us in ({})", error.reason), cure)
        }
        None => Finding::Well(format!("by {name}; not checked: that would take a text")),
    }
}

fn nobody(why: &str) -> Finding {
    Finding::Note(format!("shown at /dev/inbox and sent to nobody: {why}"))
}

fn folder(config: &Config) -> Finding {
    let path = config.data.display();
    match fs::metadata(&config.data) {
        Ok(found) if found.permissions().mode() & 0o007 != 0 => {
            Finding::Ill(format!("{path} is open to every user of this machine"), format!("chmod o-rwx {path}"))
        }
        Ok(_) => Finding::Well(path.to_string()),
        Err(error) => Finding::Ill(format!("{path}: {error}"), "name the right folder with --data".to_owned()),
    }
}

/// Every data key opens with the ring; those under an older key of it are counted.
async fn data_keys(opened: &Opened) -> Result<Finding, Failure> {
    let ring = opened.keys.ring();
    let (mut count, mut older, mut closed) = (0_u64, 0_u64, 0_u64);
    let mut after: Option<String> = None;
    loop {
        let page = opened.key_store.list_not_under(0, after.as_deref(), PAGE).await.map_err(Failure::other)?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        for (stream, wrapped) in page {
            let WrappedKey::Wrapped { ring_key, bytes } = wrapped else { continue };
            count += 1;
            older += u64::from(ring_key != ring.current());
            closed += u64::from(ring.unwrap(&stream, ring_key, &bytes).is_err());
        }
    }
    Ok(if closed > 0 {
        Finding::Ill(
            format!("{closed} of {count} data keys do not open"),
            "restore the key ring that belongs to this data from its backup".to_owned(),
        )
    } else if older > 0 {
        Finding::Note(format!(
            "opens all {count} data keys, {older} of them wrapped by an older key: an interrupted rotation; \
             `countersign keyring rotate` completes it"
        ))
    } else {
        Finding::Well(format!("opens all {count} data keys with key {}", ring.current()))
    })
}

/// The log reads from end to end: positions rise, versions have no gaps, every event is understood.
async fn log(opened: &Opened) -> Result<Finding, Failure> {
    let restore = || "restore the data folder from its last backup, and keep this one for analysis".to_owned();
    let mut versions: HashMap<Arc<str>, Version> = HashMap::new();
    let (mut after, mut count) = (Position::START, 0_u64);
    loop {
        let page = match opened.log.read_all(after, PAGE).await {
            Ok(page) => page,
            Err(error) => return Ok(Finding::Ill(error.to_string(), restore())),
        };
        if page.is_empty() {
            return Ok(Finding::Well(format!("{count} events in {} streams, no gaps", versions.len())));
        }
        for event in page {
            let version = versions.entry(Arc::clone(&event.stream)).or_default();
            if event.position <= after || event.version != version.plus(1) {
                return Ok(Finding::Ill(format!("a gap before position {}", event.position), restore()));
            }
            if let Err(error) = codec::decode(&event, None) {
                return Ok(Finding::Ill(
                    format!("the event at position {} cannot be read: {error}", event.position),
                    "run the version of Countersign that wrote it, or a later one".to_owned(),
                ));
            }
            *version = event.version;
            after = event.position;
            count += 1;
        }
    }
}

async fn views_lag(config: &Config, opened: &Opened) -> Result<Finding, Failure> {
    if config.event_log == EventLogEngine::Sqlite && !config.data.join(VIEWS).exists() {
        return Ok(Finding::Note("none yet: the next start makes them".to_owned()));
    }
    let views = opened.views(config).await?;
    let status = views.status().await.map_err(Failure::other)?;
    views.close().await;
    let behind = status.iter().max_by_key(|view| view.lag).filter(|view| view.lag > 0);
    Ok(match behind {
        None => Finding::Well(format!("{} views, none behind", status.len())),
        Some(view) if view.lag < NOTABLE_LAG => {
            Finding::Note(format!("{} is {} positions behind: a running server catches up", view.view, view.lag))
        }
        Some(view) => Finding::Ill(
            format!("{} is {} positions behind", view.view, view.lag),
            format!(
                "start a server with the role projections; if it stays so: countersign projections rebuild {}",
                view.view
            ),
        ),
    })
}

async fn erasures(opened: &Opened) -> Result<Finding, Failure> {
    let unfinished = opened.engine.unfinished_erasures().await.map_err(Failure::other)?;
    if unfinished.is_empty() {
        return Ok(Finding::Well("no erased account's key opens".to_owned()));
    }
    let commands: Vec<String> =
        unfinished.iter().map(|found| format!("countersign erase {} --yes", found.account_id)).collect();
    Ok(Finding::Ill(format!("{} erased accounts whose key still opens", unfinished.len()), commands.join(" && ")))
}
