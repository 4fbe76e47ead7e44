//! Taking a change of address back, with the link that was mailed to the address of before.

pub(crate) mod freeze;
pub(crate) mod send_code;
pub(crate) mod undo;

use domain::{
    commands::UndoLink,
    ids::{AccountId, VerificationId},
    secret::SecretText,
};
use vault::{Token, TokenKind};

use crate::problem::Problem;

/// The account and the change that the token of a link names. The rules judge the secret.
fn linked(token: &SecretText) -> Result<(AccountId, UndoLink), Problem> {
    let token = Token::parse(token.expose().trim()).filter(|token| token.kind == TokenKind::EmailUndo);
    let token = token.ok_or_else(Problem::unauthenticated)?;
    Ok((AccountId(token.stream), UndoLink { change: VerificationId(token.id), secret: token.secret }))
}
