//! Rows of an import: JSON objects, or `otpauth://` URIs with addresses. Reasons never repeat what was read.

use domain::{
    commands::AccountImport,
    events::{ImportedMethod, TotpAlgorithm},
    ids::{AccountId, MethodId},
    personal::Personal,
    values::{EmailAddress, Label, PasswordHash, PhoneNumber, TotpSecret},
};
use serde::Deserialize;

/// An account to be, as one or more lines tell of it.
#[derive(Debug)]
pub struct Row {
    /// Its first line.
    pub line: usize,
    /// Its address.
    pub email: EmailAddress,
    email_verified: bool,
    password: Option<PasswordHash>,
    methods: Vec<Given>,
    recovery_codes: Vec<String>,
    is_uri: bool,
}

/// A method, without its number.
#[derive(Debug)]
enum Given {
    Totp { secret: TotpSecret, algorithm: TotpAlgorithm, digits: u8, period: u32, label: Label },
    Sms { phone_number: PhoneNumber, label: Label },
}

/// A key below this is marked in the report.
const FULL_STRENGTH_BITS: usize = 128;

impl Row {
    /// Reads a line; nothing of a blank one or a comment.
    pub fn read(line: usize, text: &str) -> Option<Result<Self, String>> {
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() || text.starts_with('#') {
            return None;
        }
        Some(if text.starts_with('{') { from_json(line, text) } else { from_uri(line, text) })
    }

    /// Whether the next line tells of the same account: URIs of one address that stand together.
    pub fn goes_on_with(&self, next: &Self) -> bool {
        self.is_uri && next.is_uri && self.email.canonical() == next.email.canonical()
    }

    /// One more method of the same account.
    pub fn join(&mut self, next: Self) {
        self.methods.extend(next.methods);
    }

    /// Bits of the keys that are weak.
    pub fn weak_keys(&self) -> Vec<usize> {
        let bits = self.methods.iter().filter_map(|method| match method {
            Given::Totp { secret, .. } => Some(secret.expose().len() * 8),
            Given::Sms { .. } => None,
        });
        bits.filter(|bits| *bits < FULL_STRENGTH_BITS).collect()
    }

    /// What of it only the vault can judge.
    pub fn check_hashes(&self) -> Result<(), String> {
        if let Some(password) = &self.password {
            vault::check_imported_password(password).map_err(|error| error.to_string())?;
        }
        vault::check_imported_codes(&self.recovery_codes).map_err(|error| error.to_string())
    }

    /// The account, under this id.
    pub fn into_import(self, account_id: AccountId) -> AccountImport {
        let numbered = (1..).map(MethodId).zip(self.methods);
        let methods = numbered.map(|(method_id, method)| method.numbered(method_id)).collect();
        AccountImport {
            account_id,
            email: self.email,
            email_verified: self.email_verified,
            password: self.password,
            methods,
            recovery_codes: self.recovery_codes,
        }
    }
}

impl Given {
    fn numbered(self, method_id: MethodId) -> ImportedMethod {
        match self {
            Self::Totp { secret, algorithm, digits, period, label } => ImportedMethod::Totp {
                method_id,
                secret_bits: u32::try_from(secret.expose().len() * 8).unwrap_or(u32::MAX),
                secret: Personal::Known(secret),
                algorithm,
                digits,
                period,
                label: Personal::Known(label),
            },
            Self::Sms { phone_number, label } => ImportedMethod::Sms {
                method_id,
                country: phone_number.country(),
                prefix: phone_number.prefix(),
                phone_number: Personal::Known(phone_number),
                label: Personal::Known(label),
            },
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRow {
    email: String,
    #[serde(default = "yes")]
    email_verified: bool,
    password: Option<String>,
    #[serde(default)]
    methods: Vec<JsonMethod>,
    #[serde(default)]
    recovery_codes: Vec<String>,
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
enum JsonMethod {
    Totp { secret: String, algorithm: Option<String>, digits: Option<u8>, period: Option<u32>, label: Option<String> },
    Sms { phone_number: String, label: Option<String> },
}

fn from_json(line: usize, text: &str) -> Result<Row, String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let row: JsonRow = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| format!("is no row: look at {}", error.path()))?;
    deserializer.end().map_err(|_| "is no row: something follows the object".to_owned())?;
    let methods = row.methods.into_iter().map(|method| match method {
        JsonMethod::Totp { secret, algorithm, digits, period, label } => Ok(Given::Totp {
            secret: key(&secret)?,
            algorithm: hash_function(algorithm.as_deref())?,
            digits: digits.unwrap_or(6),
            period: period.unwrap_or(30),
            label: named(label.as_deref(), "Authenticator app")?,
        }),
        JsonMethod::Sms { phone_number, label } => Ok(Given::Sms {
            phone_number: PhoneNumber::parse(&phone_number).map_err(|error| format!("phone_number {error}"))?,
            label: named(label.as_deref(), "Phone")?,
        }),
    });
    Ok(Row {
        line,
        email: address(&row.email)?,
        email_verified: row.email_verified,
        password: row.password.map(PasswordHash),
        methods: methods.collect::<Result<_, String>>()?,
        recovery_codes: row.recovery_codes,
        is_uri: false,
    })
}

/// `[address] otpauth://totp/Issuer:address?secret=…`
fn from_uri(line: usize, text: &str) -> Result<Row, String> {
    const FORM: &str = "is neither a JSON object nor an otpauth:// URI";
    let at = text.find("otpauth://").ok_or(FORM)?;
    let before = text[..at].trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ';'));
    let rest =
        text[at..].strip_prefix("otpauth://totp/").ok_or("is no otpauth://totp/ URI: counters are not known here")?;
    let (name, query) = rest.split_once('?').ok_or("has no secret")?;
    let name = percent_encoding::percent_decode_str(name).decode_utf8().map_err(|_| "has a name that is no text")?;
    let account = name.rsplit(':').next().unwrap_or_default().trim();
    let email = address(if before.is_empty() { account } else { before })?;
    let (mut secret, mut algorithm, mut digits, mut period) = (None, None, 6, 30);
    for (parameter, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*parameter {
            "secret" => secret = Some(key(&value)?),
            "algorithm" => algorithm = Some(value.into_owned()),
            "digits" => digits = value.parse().map_err(|_| "has digits that are no number")?,
            "period" => period = value.parse().map_err(|_| "has a period that is no number")?,
            _ => {}
        }
    }
    let method = Given::Totp {
        secret: secret.ok_or("has no secret")?,
        algorithm: hash_function(algorithm.as_deref())?,
        digits,
        period,
        label: named(None, "Authenticator app")?,
    };
    Ok(Row {
        line,
        email,
        email_verified: true,
        password: None,
        methods: vec![method],
        recovery_codes: Vec::new(),
        is_uri: true,
    })
}

fn address(text: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse(text).map_err(|error| format!("email {error}"))
}

fn key(text: &str) -> Result<TotpSecret, String> {
    TotpSecret::from_base32(text).map_err(|error| format!("secret {error}"))
}

fn named(label: Option<&str>, default: &str) -> Result<Label, String> {
    Label::parse(label.unwrap_or(default)).map_err(|error| format!("label {error}"))
}

fn hash_function(name: Option<&str>) -> Result<TotpAlgorithm, String> {
    match name.map(str::to_ascii_uppercase).as_deref() {
        None | Some("SHA1" | "SHA-1") => Ok(TotpAlgorithm::Sha1),
        Some("SHA256" | "SHA-256") => Ok(TotpAlgorithm::Sha256),
        Some("SHA512" | "SHA-512") => Ok(TotpAlgorithm::Sha512),
        Some(_) => Err("algorithm must be SHA1, SHA256 or SHA512".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn read(text: &str) -> Result<Row, String> {
        Row::read(1, text).unwrap()
    }

    #[test]
    fn a_json_row_has_its_defaults() {
        let text = r#"{"email": "Ada@Example.com", "methods": [
            {"kind": "totp", "secret": "gezd gnbv gy3t qojq gezd gnbv gy3t qojq"},
            {"kind": "sms", "phone_number": "+436601234567", "label": "Work"}]}"#;
        let import = read(&text.replace('\n', " ")).unwrap().into_import(AccountId(uuid::Uuid::nil()));
        let ImportedMethod::Totp { method_id, digits, period, secret_bits, .. } = import.methods[0] else { panic!() };
        assert_eq!((method_id, digits, period, secret_bits), (MethodId(1), 6, 30, 160));
        assert!(import.email_verified && import.password.is_none());
    }

    #[test]
    fn a_uri_names_its_account_or_has_it_before() {
        let uri =
            "otpauth://totp/Vast%20AI:ada%40example.com?secret=GEZDGNBVGY3TQOJQ&digits=8&period=60&algorithm=SHA256";
        for (line, email) in
            [(uri.to_owned(), "ada@example.com"), (format!("bert@example.com, {uri}"), "bert@example.com")]
        {
            let row = read(&line).unwrap();
            assert_eq!(row.email.as_str(), email);
            assert_eq!(row.weak_keys(), [80]);
        }
        assert!(read(uri).unwrap().goes_on_with(&read(uri).unwrap()));
    }

    #[test]
    fn what_is_wrong_is_named_and_not_repeated() {
        for (line, reason) in [
            ("nonsense", "neither"),
            ("{", "is no row"),
            (r#"{"email": "secret-word"}"#, "email must be"),
            (r#"{"email": "a@example.com", "secret-word": 1}"#, "is no row"),
            (
                r#"{"email": "a@example.com", "methods": [{"kind": "totp", "secret": "secret-word!"}]}"#,
                "secret must be",
            ),
            (
                r#"{"email": "a@example.com", "methods": [{"kind": "sms", "phone_number": "secret-word"}]}"#,
                "phone_number",
            ),
            (r#"{"email": "a@example.com"} x"#, "something follows"),
            ("otpauth://hotp/a@example.com?secret=GEZDGNBV&counter=1", "counters"),
            ("otpauth://totp/a@example.com?issuer=x", "no secret"),
            ("otpauth://totp/secret-word?secret=GEZDGNBVGY3TQOJQ", "email must be"),
        ] {
            let said = read(line).unwrap_err();
            assert!(said.contains(reason) && !said.contains("secret-word!"), "{line}: {said}");
        }
        for line in ["", "   ", "# a comment"] {
            assert!(Row::read(1, line).is_none());
        }
    }
}
