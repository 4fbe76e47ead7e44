//! What the settings make of gateways: who carries mails and texts, and who reads their receipts.

use std::{sync::Arc, time::Duration};

use api::ReceiptVerifiers;
use domain::delivery::ReceiptVerifier;
use workers::{
    EmailGateway, Gateways, InboxGateway, SmsGateway,
    gateways::{
        InvalidOption,
        smtp::{SmtpGateway, SmtpOptions, SmtpTls},
        twilio::{TwilioGateway, TwilioOptions, TwilioReceipts, TwilioSender},
        webhook::{WebhookGateway, WebhookOptions, WebhookReceipts},
    },
};

use crate::config::{self, Config, ConfigError, Sms, Smtp};

/// A gateway's answer is waited for so long, unless the settings say otherwise.
const SMS_TIMEOUT: Duration = Duration::from_secs(10);

/// The gateways of both channels, in their order; made before anything is opened, since a setting that cannot be
/// stops the start.
pub struct Carriers {
    /// `None` stands for the development inbox, here and below.
    email: Option<SmtpGateway>,
    sms: Vec<Option<Arc<dyn SmsGateway>>>,
}

impl Carriers {
    /// Those of the settings. What has none goes to the development inbox.
    pub fn of(config: &Config) -> Result<Self, ConfigError> {
        let mut sms: Vec<Option<Arc<dyn SmsGateway>>> = Vec::new();
        for (place, settings) in config.sms.iter().enumerate() {
            sms.push(match options(config, settings) {
                Options::Twilio(options) => Some(Arc::new(TwilioGateway::new(&options).map_err(in_place(place))?)),
                Options::Webhook(options) => Some(Arc::new(WebhookGateway::new(&options).map_err(in_place(place))?)),
                Options::Inbox => None,
            });
        }
        if sms.is_empty() {
            sms.push(None);
        }
        Ok(Self { sms, email: smtp(&config.smtp)? })
    }

    /// The mail server; `None` for the inbox.
    pub const fn email(&self) -> Option<&SmtpGateway> {
        self.email.as_ref()
    }

    /// The gateways for texts, in their order; `None` for the inbox.
    pub fn sms(&self) -> impl Iterator<Item = Option<&dyn SmsGateway>> {
        self.sms.iter().map(Option::as_deref)
    }

    /// With the inbox where one is wanted.
    pub fn over(self, inbox: InboxGateway) -> Gateways {
        let inbox = Arc::new(inbox);
        let email: Arc<dyn EmailGateway> = match self.email {
            Some(gateway) => Arc::new(gateway),
            None => Arc::<InboxGateway>::clone(&inbox),
        };
        let sms = self.sms.into_iter().map(|gateway| gateway.unwrap_or_else(|| Arc::<InboxGateway>::clone(&inbox)));
        Gateways { sms: sms.collect(), email: vec![email] }
    }
}

/// Those who read the receipts of these gateways.
pub fn receipts(config: &Config) -> Result<ReceiptVerifiers, ConfigError> {
    let mut verifiers: Vec<Arc<dyn ReceiptVerifier>> = Vec::new();
    for (place, settings) in config.sms.iter().enumerate() {
        match options(config, settings) {
            Options::Twilio(options) => {
                let verifier = TwilioReceipts::new(&options).map_err(in_place(place))?;
                verifiers.extend(verifier.map(|verifier| Arc::new(verifier) as Arc<dyn ReceiptVerifier>));
            }
            Options::Webhook(options) => {
                verifiers.push(Arc::new(WebhookReceipts::new(&options).map_err(in_place(place))?));
            }
            Options::Inbox => {}
        }
    }
    Ok(ReceiptVerifiers::new(verifiers))
}

/// The mail server, when there is one.
pub fn smtp(settings: &Smtp) -> Result<Option<SmtpGateway>, ConfigError> {
    let (Some(host), Some(from)) = (&settings.host, &settings.from) else { return Ok(None) };
    let usual = SmtpOptions::new(host.clone(), from.clone());
    let options = SmtpOptions {
        port: settings.port,
        tls: match settings.tls {
            config::SmtpTls::Starttls => SmtpTls::Starttls,
            config::SmtpTls::Implicit => SmtpTls::Implicit,
            config::SmtpTls::None => SmtpTls::None,
        },
        user: settings.user.clone(),
        password: settings.password.clone(),
        ca_file: settings.ca_file.clone(),
        timeout: settings.timeout.map_or(usual.timeout, Duration::from_secs),
        pool_size: settings.pool_size.map_or(usual.pool_size, |size| usize::try_from(size).unwrap_or(usize::MAX)),
        ..usual
    };
    SmtpGateway::new(options).map(Some).map_err(|error| at("smtp", error))
}

enum Options {
    Twilio(TwilioOptions),
    Webhook(WebhookOptions),
    Inbox,
}

fn options(config: &Config, settings: &Sms) -> Options {
    let timeout = |seconds: &Option<u64>| seconds.map_or(SMS_TIMEOUT, Duration::from_secs);
    match settings {
        Sms::Twilio {
            account_sid,
            api_key_sid,
            api_key_secret,
            auth_token,
            other_auth_tokens,
            from,
            messaging_service_sid,
            base_url,
            ca_file,
            timeout: seconds,
            ..
        } => Options::Twilio(TwilioOptions {
            name: settings.name().to_owned(),
            account_sid: account_sid.clone(),
            api_key: api_key_sid.clone().zip(api_key_secret.clone()),
            auth_token: auth_token.clone().unwrap_or_default(),
            other_auth_tokens: other_auth_tokens.clone(),
            sender: match messaging_service_sid {
                Some(sid) => TwilioSender::MessagingService(sid.clone()),
                None => TwilioSender::From(from.clone().unwrap_or_default()),
            },
            public_url: config.public_url.clone(),
            base_url: base_url.clone(),
            ca_file: ca_file.clone(),
            timeout: timeout(seconds),
        }),
        Sms::Webhook { url, secret, previous_secret, ca_file, allow_http, timeout: seconds, .. } => {
            Options::Webhook(WebhookOptions {
                name: settings.name().to_owned(),
                url: url.clone(),
                allow_http: *allow_http,
                secrets: [secret, previous_secret].into_iter().flatten().cloned().collect(),
                public_url: config.public_url.clone(),
                ca_file: ca_file.clone(),
                timeout: timeout(seconds),
            })
        }
        Sms::Inbox => Options::Inbox,
    }
}

fn in_place(place: usize) -> impl Fn(InvalidOption) -> ConfigError {
    move |error| at(&format!("sms[{place}]"), error)
}

fn at(setting: &str, error: InvalidOption) -> ConfigError {
    ConfigError::new(format!("{setting}.{}", error.option), error.problem, error.cure)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use async_trait::async_trait;
    use domain::values::Channel;
    use workers::{Inbox, InboxMessage, InboxUnavailable};

    use super::*;

    struct Nowhere;

    #[async_trait]
    impl Inbox for Nowhere {
        async fn put(&self, _: InboxMessage) -> Result<(), InboxUnavailable> {
            Ok(())
        }
    }

    fn made(settings: &str) -> Result<(Gateways, String), String> {
        let mut config: Config = toml::from_str(settings).map_err(|error| error.to_string())?;
        config.public_url = Some("https://accounts.example.com".to_owned());
        let carriers = Carriers::of(&config).map_err(|error| error.to_string())?;
        let gateways = carriers.over(InboxGateway::new(Arc::new(Nowhere)));
        let receipts = receipts(&config).map_err(|error| error.to_string())?;
        Ok((gateways, format!("{receipts:?}")))
    }

    const TWILIO: &str = "[[sms]]\nkind = \"twilio\"\naccount_sid = \"AC0123456789abcdef0123456789abcdef\"\n\
                          auth_token = \"x\"\nfrom = \"+15005550006\"\n";
    const WEBHOOK: &str = "[[sms]]\nkind = \"webhook\"\nurl = \"https://sms.example.com\"\n\
                           secret = \"a secret of enough bytes to sign\"\n";
    const SMTP: &str = "[smtp]\nhost = \"mail.example.com\"\nfrom = \"Shop <no-reply@example.com>\"\n";

    #[test]
    fn without_settings_everything_goes_to_the_inbox() {
        let (gateways, receipts) = made("").unwrap();
        assert_eq!((gateways.names(Channel::Sms), gateways.names(Channel::Email)), (vec!["inbox"], vec!["inbox"]));
        assert_eq!(receipts, "[]");
    }

    #[test]
    fn gateways_stand_in_the_order_of_the_settings_and_have_their_receipts_read() {
        let (gateways, receipts) = made(&format!("{WEBHOOK}{TWILIO}[[sms]]\nkind = \"inbox\"\n{SMTP}")).unwrap();
        assert_eq!(gateways.names(Channel::Sms), ["webhook", "twilio", "inbox"]);
        assert_eq!(gateways.names(Channel::Email), ["smtp"]);
        assert_eq!(receipts, "[\"webhook\", \"twilio\"]");
    }

    #[test]
    fn plain_http_to_another_machine_is_allowed_by_name_alone() {
        let webhook = WEBHOOK.replace("https://sms.example.com", "http://sms:8080");
        assert!(made(&webhook).is_err());
        made(&format!("{webhook}allow_http = true\n")).unwrap();
        made(&WEBHOOK.replace("https://sms.example.com", "http://127.0.0.1:8080")).unwrap();
    }

    #[test]
    fn the_tokens_of_a_rotation_reach_the_verifier() {
        let config: Config = toml::from_str(&format!("{TWILIO}other_auth_tokens = [\"y\", \"z\"]\n")).unwrap();
        let Options::Twilio(options) = options(&config, &config.sms[0]) else { panic!("another kind") };
        let tokens: Vec<&str> = options.other_auth_tokens.iter().map(|token| token.expose().as_str()).collect();
        assert_eq!(tokens, ["y", "z"]);
    }

    #[test]
    fn what_a_gateway_refuses_is_one_line_that_names_the_setting() {
        for (settings, setting) in [
            (TWILIO.replace("AC0", "XX0"), "sms[0].account_sid"),
            (format!("{TWILIO}{}", WEBHOOK.replace("https:", "http:")), "sms[1].url"),
            (WEBHOOK.replace("a secret of enough bytes to sign", "hunter2"), "sms[0].secret"),
            (format!("{WEBHOOK}timeout = 60\n"), "sms[0].timeout"),
            (format!("{WEBHOOK}ca_file = \"/nowhere/ca.pem\"\n"), "sms[0].ca_file"),
            (format!("{TWILIO}ca_file = \"/nowhere/ca.pem\"\n"), "sms[0].ca_file"),
            (SMTP.replace("Shop <no-reply@example.com>", "Shop"), "smtp.from"),
            (format!("{SMTP}ca_file = \"/nowhere/ca.pem\"\n"), "smtp.ca_file"),
        ] {
            let error = made(&settings).map(|_| ()).unwrap_err();
            assert!(error.starts_with(&format!("setting {setting}: ")), "{error}");
            assert!(error.lines().count() == 1 && !error.contains("hunter2"), "{error}");
        }
    }
}
