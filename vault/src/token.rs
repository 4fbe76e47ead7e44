//! Bearer tokens: sessions, access tokens, verifications, API keys and links that undo a change of address; and
//! devices, whose tokens open nothing.
//!
//! `cs_session_` + base64url of 68 bytes without padding (91 characters):
//!
//! | bytes | what |
//! | --- | --- |
//! | 16 | UUID of the account (or, for an API key, of the key), which names the stream |
//! | 16 | UUID of the session, access token, verification, key or device |
//! | 32 | random |
//! | 4 | CRC-32 (ISO 3309, as in zlib) of the prefix and the 64 bytes before, big-endian |
//!
//! Every token has exactly one spelling. The checksum spots truncated and mistyped tokens, and lets secret
//! scanners tell a token from noise without asking anyone; it protects nothing.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::secret::{Secret, SecretText, TokenHash, TokenSecret};
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

const BODY: usize = 16 + 16 + 32;
const WHOLE: usize = BODY + 4;
const CHARACTERS: usize = (WHOLE * 8).div_ceil(6);

/// What a token is a credential for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A signed-in session.
    Session,
    /// A personal access token.
    AccessToken,
    /// One verification.
    Verification,
    /// An API client.
    ApiKey,
    /// A device that an account knows: it opens nothing.
    Device,
    /// The link that undoes a change of address; its id is that of the verification which proved the new one.
    EmailUndo,
}

impl TokenKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Session, Self::AccessToken, Self::Verification, Self::ApiKey, Self::Device, Self::EmailUndo];

    /// What its tokens begin with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Session => "cs_session_",
            Self::AccessToken => "cs_access_",
            Self::Verification => "cs_verify_",
            Self::ApiKey => "cs_key_",
            Self::Device => "cs_device_",
            Self::EmailUndo => "cs_undo_",
        }
    }
}

/// A token in its parts. The stream keeps only [`Token::hash`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is a credential for.
    pub kind: TokenKind,
    /// The account, or for an API key the key: the stream that resolves it.
    pub stream: Uuid,
    /// The session, access token, verification, key or device.
    pub id: Uuid,
    /// The random part.
    pub secret: TokenSecret,
}

impl Token {
    /// Reads a presented token; `None` for anything that [`Token::encode`] would not have written.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, body) = TokenKind::ALL.iter().find_map(|kind| Some((*kind, text.strip_prefix(kind.prefix())?)))?;
        if body.len() != CHARACTERS {
            return None;
        }
        let mut bytes = Zeroizing::new([0; WHOLE]);
        if URL_SAFE_NO_PAD.decode_slice(body, bytes.as_mut_slice()).ok()? != WHOLE {
            return None;
        }
        let (body, checksum) = bytes.split_first_chunk::<BODY>()?;
        if checksum != checksum_of(kind, body) {
            return None;
        }
        let (stream, rest) = body.split_first_chunk::<16>()?;
        let (id, secret) = rest.split_first_chunk::<16>()?;
        let token = Self {
            kind,
            stream: Uuid::from_bytes(*stream),
            id: Uuid::from_bytes(*id),
            secret: Secret::new(secret.try_into().ok()?),
        };
        // An API key is its own stream.
        (kind != TokenKind::ApiKey || token.stream == token.id).then_some(token)
    }

    /// The token as its bearer is given it, once.
    pub fn encode(&self) -> SecretText {
        let mut bytes = Zeroizing::new([0; WHOLE]);
        bytes[..16].copy_from_slice(self.stream.as_bytes());
        bytes[16..32].copy_from_slice(self.id.as_bytes());
        bytes[32..BODY].copy_from_slice(self.secret.expose());
        if let Some((body, _)) = bytes.split_first_chunk::<BODY>() {
            let checksum = checksum_of(self.kind, body);
            bytes[BODY..].copy_from_slice(&checksum);
        }
        let mut text = String::with_capacity(self.kind.prefix().len() + CHARACTERS);
        text.push_str(self.kind.prefix());
        URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
        bytes.zeroize();
        Secret::new(text)
    }

    /// What the stream keeps of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.secret)
    }
}

fn checksum_of(kind: TokenKind, body: &[u8; BODY]) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(kind.prefix().as_bytes());
    crc.update(body);
    crc.finalize().to_be_bytes()
}

#[cfg(test)]
mod tests;
