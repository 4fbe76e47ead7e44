//! The inbox for people.

use std::fmt::Write;

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
};

use super::{InboxReader, Wanted, messages};
use crate::{
    endpoint::{About, Access, Kind},
    extract::Query,
    problem::{Code, Problem},
    state::App,
};

pub(crate) const ABOUT: About =
    About { access: Access::Anyone, kind: Kind::Read, problems: &[Code::NotFound, Code::InvalidRequest] };

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
);

const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="3"><title>Inbox</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #1c2430; background: #f7f8fa }
article { background: #fff; border: 1px solid #dfe3e8; border-radius: .5rem; padding: 1rem 1.25rem; margin: 1rem 0 }
header { display: flex; gap: 1rem; flex-wrap: wrap; color: #55606e; font-size: .875rem }
h2 { font-size: 1rem; margin: .5rem 0 0 } pre { white-space: pre-wrap; font: inherit; margin: .5rem 0 0 }
code { font-size: 1.5rem; letter-spacing: .15em }
</style></head><body><h1>Inbox</h1>
<p>Messages of this development server, newest first. No gateway is set up, so nothing has left this machine.</p>
"#;

/// Read what was sent
#[utoipa::path(get, path = "/dev/inbox", operation_id = "dev_inbox_page", tag = "development", params(Wanted),
    responses((status = 200, description = "A page that shows the messages.", content_type = "text/html", body = String)))]
pub(crate) async fn handler(
    State(app): State<App>,
    _reader: InboxReader,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let mut page = String::from(HEAD);
    let messages = messages(&app, &wanted).await?;
    if messages.is_empty() {
        page.push_str("<p>Nothing yet.</p>\n");
    }
    for message in &messages {
        let _ = writeln!(
            page,
            "<article><header><span>{}</span><span>to {}</span><time>{}</time></header>",
            message.channel.factor().name(),
            Escaped(&message.to),
            message.at
        );
        if let Some(subject) = &message.subject {
            let _ = writeln!(page, "<h2>{}</h2>", Escaped(subject));
        }
        if let Some(code) = &message.code {
            let _ = writeln!(page, "<p><code>{}</code></p>", Escaped(code.expose()));
        }
        let _ = writeln!(page, "<pre>{}</pre></article>", Escaped(message.body.expose()));
    }
    page.push_str("</body></html>\n");
    let headers =
        [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((headers, Html(page)).into_response())
}

/// Text in a page.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
