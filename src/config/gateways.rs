//! Settings of what carries messages.

use std::path::PathBuf;

use domain::secret::SecretText;
use serde::Deserialize;

use super::{ConfigError, source::secret_from_file};

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpTls {
    /// Begun in clear and then changed to TLS, always; usual on port 587.
    #[default]
    Starttls,
    /// TLS from the first byte; usual on port 465.
    Implicit,
    /// None. For a mail catcher on this machine.
    None,
}

/// Mail by SMTP. Without a host, mails go to the development inbox.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Smtp {
    /// The mail server.
    pub host: Option<String>,
    /// Its port. 587, or 465 with implicit TLS, or 25 without.
    pub port: Option<u16>,
    /// How the connection is protected.
    pub tls: SmtpTls,
    /// User name.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<SecretText>,
    /// A file that holds it.
    pub password_file: Option<PathBuf>,
    /// Who mails are from: `Example Shop <no-reply@example.com>`.
    pub from: Option<String>,
    /// Certificates of those who may vouch for the server. Left out: those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Seconds until a send is given up. 15.
    pub timeout: Option<u64>,
    /// Connections that are kept. 4.
    pub pool_size: Option<u32>,
}

impl Smtp {
    pub(super) fn resolve(&mut self) -> Result<(), ConfigError> {
        secret_from_file("smtp.password", &mut self.password, self.password_file.as_deref())?;
        let error = |setting: &str, problem: &str, cure: &str| Err(ConfigError::new(setting, problem, cure));
        if self.host.is_some() && self.from.is_none() {
            return error("smtp.from", "is missing: mails need a sender", "give it an address");
        }
        if self.host.is_none() && (self.user.is_some() || self.from.is_some()) {
            return error("smtp.host", "is missing", "name the mail server");
        }
        if self.user.is_some() != self.password.is_some() {
            return error("smtp.user", "needs a password, and a password needs a user", "give both, or neither");
        }
        if self.user.is_some() && self.tls == SmtpTls::None {
            return error(
                "smtp.tls",
                "is none, so the password would travel in clear",
                "set it to starttls or implicit",
            );
        }
        Ok(())
    }
}

/// A gateway for text messages. Several are tried in their order; without any, texts go to the development inbox.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Sms {
    /// Twilio's REST API.
    Twilio {
        /// What events, views and metrics call it. `twilio`.
        name: Option<String>,
        /// The account.
        account_sid: String,
        /// An API key's SID; left out, the account's own token is used.
        api_key_sid: Option<String>,
        /// The API key's secret.
        api_key_secret: Option<SecretText>,
        /// A file that holds it.
        api_key_secret_file: Option<PathBuf>,
        /// The account's token: call-backs are signed with it, whatever else is used to log in.
        auth_token: Option<SecretText>,
        /// A file that holds it.
        auth_token_file: Option<PathBuf>,
        /// Further tokens that call-backs may be signed with, while the account's is being replaced.
        #[serde(default)]
        other_auth_tokens: Vec<SecretText>,
        /// A file that holds them, one a line.
        other_auth_tokens_file: Option<PathBuf>,
        /// The number that texts come from.
        from: Option<String>,
        /// Or the messaging service.
        messaging_service_sid: Option<String>,
        /// Another address of the API, for tests.
        base_url: Option<String>,
        /// Certificates of those who may vouch for it. Left out: those that the system trusts.
        ca_file: Option<PathBuf>,
        /// Seconds until a send is given up. 10.
        timeout: Option<u64>,
    },
    /// An HTTP endpoint of your own; requests are signed.
    Webhook {
        /// What events, views and metrics call it. `webhook`.
        name: Option<String>,
        /// Where messages are posted.
        url: String,
        /// Signs messages and receipts.
        secret: Option<SecretText>,
        /// A file that holds it.
        secret_file: Option<PathBuf>,
        /// The one before, while it is being replaced: receipts signed with it are still taken.
        previous_secret: Option<SecretText>,
        /// A file that holds it.
        previous_secret_file: Option<PathBuf>,
        /// Certificates of those who may vouch for it. Left out: those that the system trusts.
        ca_file: Option<PathBuf>,
        /// Whether the address may be plain HTTP on another machine: codes travel in clear. On this machine it always
        /// may.
        #[serde(default)]
        allow_http: bool,
        /// Seconds until a send is given up. 10.
        timeout: Option<u64>,
    },
    /// The development inbox.
    Inbox,
}

impl Sms {
    /// What events, views and metrics call it.
    pub fn name(&self) -> &str {
        match self {
            Self::Twilio { name, .. } => name.as_deref().unwrap_or("twilio"),
            Self::Webhook { name, .. } => name.as_deref().unwrap_or("webhook"),
            Self::Inbox => "inbox",
        }
    }

    pub(super) fn resolve(&mut self, place: usize) -> Result<(), ConfigError> {
        let setting = |name: &str| format!("sms[{place}].{name}");
        match self {
            Self::Twilio {
                api_key_sid,
                api_key_secret,
                api_key_secret_file,
                auth_token,
                auth_token_file,
                other_auth_tokens,
                other_auth_tokens_file,
                from,
                messaging_service_sid,
                ..
            } => {
                secret_from_file(&setting("api_key_secret"), api_key_secret, api_key_secret_file.as_deref())?;
                secret_from_file(&setting("auth_token"), auth_token, auth_token_file.as_deref())?;
                let mut lines = None;
                secret_from_file(&setting("other_auth_tokens"), &mut lines, other_auth_tokens_file.as_deref())?;
                let lines = lines.as_ref().map(|lines| lines.expose().lines());
                other_auth_tokens
                    .extend(lines.into_iter().flatten().map(|line| SecretText::new(line.trim().to_owned())));
                if other_auth_tokens.iter().any(|token| token.expose().is_empty()) {
                    return Err(ConfigError::new(
                        setting("other_auth_tokens"),
                        "has an empty token, and with that anybody could sign",
                        "remove it, or the empty line",
                    ));
                }
                if auth_token.is_none() {
                    return Err(ConfigError::new(
                        setting("auth_token"),
                        "is missing: receipts are signed with it",
                        "give the account's token, or its file (auth_token_file)",
                    ));
                }
                if api_key_sid.is_some() != api_key_secret.is_some() {
                    return Err(ConfigError::new(
                        setting("api_key_sid"),
                        "needs its secret, and a secret its SID",
                        "give both, or neither",
                    ));
                }
                if from.is_some() == messaging_service_sid.is_some() {
                    return Err(ConfigError::new(
                        setting("from"),
                        "or messaging_service_sid says who texts are from",
                        "give one of the two",
                    ));
                }
            }
            Self::Webhook { secret, secret_file, previous_secret, previous_secret_file, .. } => {
                secret_from_file(&setting("secret"), secret, secret_file.as_deref())?;
                secret_from_file(&setting("previous_secret"), previous_secret, previous_secret_file.as_deref())?;
                if secret.is_none() {
                    return Err(ConfigError::new(
                        setting("secret"),
                        "is missing",
                        "give the secret that signs messages, or its file (secret_file)",
                    ));
                }
            }
            Self::Inbox => {}
        }
        Ok(())
    }
}
