//! The words people read: one catalogue of mails, texts, notices and prompts.
//!
//! Everything is pure: facts in, words out. A language is one file that implements the trait `Words`,
//! which has no default methods, so that a language with a missing text does not compile; [`Language`] picks
//! it by an exhaustive match. No other room holds words for people.
//!
//! Subjects never carry a code, a number or anything a person entered: mail servers and lock screens
//! show them to everybody.

mod en;
mod html;
mod notice;

use std::fmt;

use domain::{
    secret::{Secret, SecretText},
    time::{Seconds, Timestamp},
    values::Purpose,
};
use zeroize::Zeroizing;

pub use notice::{Hand, Notice, Undo};

/// Most characters of a text message that travels in one part (GSM 03.38, 7-bit alphabet).
pub const SMS_LENGTH: usize = 160;

/// The same as soon as one letter is outside that alphabet (UCS-2).
const SMS_LENGTH_UCS_2: usize = 70;

/// Most characters of the product's name that a text message shows.
pub const SMS_ISSUER_LENGTH: usize = 20;

/// The languages of the catalogue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    En,
}

impl Language {
    /// All of them, for tests and configuration.
    pub const ALL: [Self; 1] = [Self::En];

    /// BCP 47 tag.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
        }
    }

    fn words(self) -> &'static dyn Words {
        match self {
            Self::En => &en::English,
        }
    }
}

/// A mail, as plain text and as a page that says the same. `Debug` shows nothing: its body may hold a code.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// The subject line.
    pub subject: String,
    /// The body, lines ended by `\n`.
    pub body: SecretText,
    /// The body as HTML, whole, with inline styles; it loads nothing.
    pub html: SecretText,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[mail]")
    }
}

/// A one-time code on its way to someone, and what it is for.
#[derive(Debug, Clone, Copy)]
pub struct Code<'a> {
    /// The digits.
    pub digits: &'a SecretText,
    /// What it is for.
    pub purpose: Purpose,
    /// The action that an API client named (`step_up`).
    pub action: Option<&'a str>,
    /// When it is sent.
    pub now: Timestamp,
    /// Its end.
    pub expires_at: Timestamp,
}

impl Code<'_> {
    /// Minutes it is still valid, to the nearest, at least one.
    fn minutes(&self) -> u32 {
        (self.expires_at.seconds_since(self.now).saturating_add(30) / Seconds::minutes(1).0).max(1)
    }
}

/// The words of one language. No default methods: the compiler finds what a new language lacks.
trait Words: Send + Sync {
    /// What a code is for, as in "your code to …".
    fn purpose(&self, purpose: Purpose) -> &'static str;
    /// What to do when someone else asked for the code.
    fn unasked_code(&self, purpose: Purpose) -> &'static str;
    /// The text message around a code, without the domain-bound last line.
    fn code_sms(&self, issuer: &str, code: &str, purpose: &str, minutes: u32) -> String;
    /// Subject and body of the mail around a code.
    fn code_mail(&self, issuer: &str, code: &Code<'_>) -> (String, String);
    /// Subject and body of the mail to an address that someone tried to sign up with, though it is in use.
    fn held_address_mail(&self, issuer: &str, purpose: Purpose, at: Timestamp) -> (String, String);
    /// Subject and body of a notice.
    fn notice_mail(&self, issuer: &str, notice: &Notice, at: Timestamp) -> (String, String);
    /// The same as a text message, without the product's name.
    fn notice_sms(&self, notice: &Notice, at: Timestamp) -> String;
    /// Beside the field for an authenticator app's code.
    fn totp_prompt(&self) -> &'static str;
}

/// The catalogue in one language, for one product.
#[derive(Debug, Clone)]
pub struct Catalogue {
    language: Language,
    issuer: String,
    domain: Option<String>,
}

impl Catalogue {
    /// The catalogue for a product of this name. With a `site` (a URL, or a host), texts end in a line that
    /// binds the code to its host (`@example.com #code`), so that browsers fill it in there and nowhere else.
    /// Hosts without a domain name (`localhost`, IP addresses) cannot be bound and are left out.
    pub fn new(language: Language, issuer: &str, site: Option<&str>) -> Self {
        let issuer = issuer.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned();
        Self { language, issuer, domain: site.and_then(domain_of) }
    }

    /// The product's name.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The text message that carries a code.
    ///
    /// What would make it longer than one part gives way in this order: the named action (the purpose
    /// stays), then the domain-bound line; the product's name is cut at [`SMS_ISSUER_LENGTH`].
    pub fn code_sms(&self, code: &Code<'_>) -> SecretText {
        let words = self.language.words();
        let issuer: String = self.issuer.chars().take(SMS_ISSUER_LENGTH).collect();
        let digits = code.digits.expose();
        let bound = self.domain.as_ref().map(|domain| Zeroizing::new(format!("\n\n@{domain} #{digits}")));
        let purpose = words.purpose(code.purpose);
        let named = code.action.map(|action| format!("{purpose} \"{action}\""));

        let plain = Zeroizing::new(words.code_sms(&issuer, digits, purpose, code.minutes()));
        let full = named.map(|named| Zeroizing::new(words.code_sms(&issuer, digits, &named, code.minutes())));
        let bind = |text: &str| match &bound {
            Some(bound) => [text, bound.as_str()].concat(),
            None => text.to_owned(),
        };
        let mut candidates = full.iter().chain([&plain]).map(|text| bind(text));
        let text = candidates.find(|text| is_one_part(text)).unwrap_or_else(|| plain.to_string());
        Secret::new(text)
    }

    /// The mail that carries a code.
    pub fn code_mail(&self, code: &Code<'_>) -> Mail {
        self.mail(self.language.words().code_mail(&self.issuer, code))
    }

    /// The mail to an address that is in use already, in place of a code: for `ConfirmEmail` someone tried
    /// to sign up with it, for `ChangeEmail` to move another account to it.
    pub fn held_address_mail(&self, purpose: Purpose, at: Timestamp) -> Mail {
        self.mail(self.language.words().held_address_mail(&self.issuer, purpose, at))
    }

    /// The mail that tells of a change.
    pub fn notice_mail(&self, notice: &Notice, at: Timestamp) -> Mail {
        self.mail(self.language.words().notice_mail(&self.issuer, notice, at))
    }

    /// The text message that tells of a change. It names nothing but what happened and when; the product's name gives
    /// way where its letters would make it longer than one part.
    pub fn notice_sms(&self, notice: &Notice, at: Timestamp) -> SecretText {
        let said = self.language.words().notice_sms(notice, at);
        let issuer: String = self.issuer.chars().take(SMS_ISSUER_LENGTH).collect();
        let named = format!("{issuer}: {said}");
        Secret::new(if is_one_part(&named) { named } else { said })
    }

    fn mail(&self, (subject, body): (String, String)) -> Mail {
        let html = html::page(self.language.tag(), &self.issuer, &subject, &body);
        Mail { subject, body: Secret::new(body), html: Secret::new(html.to_string()) }
    }

    /// Beside the field for an authenticator app's code: the last one used is spent.
    pub fn totp_prompt(&self) -> &'static str {
        self.language.words().totp_prompt()
    }
}

/// Whether a text message travels in one part.
fn is_one_part(text: &str) -> bool {
    text.chars().count() <= if in_gsm_7(text) { SMS_LENGTH } else { SMS_LENGTH_UCS_2 }
}

/// Whether a text needs only the 7-bit alphabet of GSM 03.38, its two-unit extension characters left out.
fn in_gsm_7(text: &str) -> bool {
    const BEYOND_ASCII: &str = "£¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà";
    text.chars().all(|c| match c {
        '\n' | '\r' | ' ' => true,
        '[' | ']' | '{' | '}' | '\\' | '^' | '~' | '|' | '`' => false,
        c => c.is_ascii_graphic() || BEYOND_ASCII.contains(c),
    })
}

/// The domain name within a URL or host.
fn domain_of(site: &str) -> Option<String> {
    let host = site.split_once("://").map_or(site, |(_, rest)| rest);
    let host = host.split(['/', '?', '#', ':']).next()?.to_ascii_lowercase();
    let is_name = host.split('.').count() > 1
        && host.split('.').all(|label| !label.is_empty())
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        && host.parse::<std::net::IpAddr>().is_err();
    is_name.then_some(host)
}

#[cfg(test)]
mod tests;
