//! Second-factor checks: `POST …/attempts` with a right TOTP code, each on a prepared step-up of another account.

use std::path::Path;

use serde_json::Value;

use crate::{Failure, Measured, baseline, http, now, place::Place, quantile, report, seed, server::Server};

/// Prepares, runs, reports.
pub async fn measure(binary: &Path, place: &Place, count: usize, clients: usize) -> Measured {
    let baseline = baseline::measure(place.folder())?;
    let began = now::instant();
    let accounts = seed::accounts(place, count).await?;
    report(format_args!("attempts: {count} accounts seeded in {:.1} s", began.elapsed().as_secs_f64()));
    let server = Server::start(binary, place)?;
    let key = server.api_key("accounts:write")?;
    // The seeded accounts have notices to be sent: those are over before anything is measured.
    let began = now::instant();
    let seeded = place.at_rest().await?;
    server.views_are_current().await?;
    report(format_args!(
        "attempts: the workers were done with position {seeded} after {:.1} s",
        began.elapsed().as_secs_f64()
    ));

    let starts = accounts
        .iter()
        .map(|seeded| {
            let body = format!("{{\"purpose\":\"step_up\",\"account_id\":\"{}\",\"action\":\"pay\"}}", seeded.account);
            http::post("/v1/verifications", &key, &body)
        })
        .collect();
    let started = http::run(server.address, starts, clients).await?;
    report(format_args!("attempts: step-ups started at {:.0}/s", started.rate()));

    let moment = now::now().as_seconds();
    let mut attempts = Vec::with_capacity(count);
    for (answer, seeded) in started.answers.iter().zip(&accounts) {
        let body: Value = serde_json::from_slice(&answer.body)?;
        let id = body["verification"]["id"].as_str().ok_or_else(|| format!("no verification: {body}"))?;
        let secret = totp_rs::Secret::from(seeded.secret.clone());
        let code = totp_rs::Builder::new().with_secret(secret).build()?.generate(moment).to_string();
        let body = format!("{{\"method\":\"totp\",\"code\":\"{code}\"}}");
        attempts.push(http::post(&format!("/v1/verifications/{id}/attempts"), &key, &body));
    }
    let before = server.processor_seconds()?;
    let run = http::run(server.address, attempts, clients).await?;
    let used = server.processor_seconds()? - before;
    let failed: Vec<_> = run.answers.iter().filter(|answer| answer.status != 200).collect();
    if let Some(first) = failed.first() {
        let body = String::from_utf8_lossy(&first.body).into_owned();
        return Err(Failure::from(format!("{} of {count} checks failed: {} {body}", failed.len(), first.status)));
    }
    let rate = run.rate();
    let ms = |part| quantile(&run.latencies, part).as_secs_f64() * 1_000.0;
    report(format_args!(
        "attempts ({}): {rate:.0} checks/s with {clients} clients (p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms)",
        place.name(),
        ms(0.5),
        ms(0.99),
        ms(1.0)
    ));
    report(format_args!(
        "attempts: {:.2} of the rate of bare SQLite rows in commits of 32, {:.2} checks per fdatasync that the disk could do",
        rate / baseline.rows,
        rate / baseline.syncs
    ));
    report(format_args!(
        "attempts: {:.0} µs of processor time a check in the server",
        used / run.seconds() * 1e6 / rate
    ));
    report(format_args!("attempts: resident {:.1} MB, {} threads", server.resident_mb()?, server.threads()?));
    Ok(())
}
