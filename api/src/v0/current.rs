//! `GET users/current`: the account of the bearer.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use super::{
    call::Call,
    codes::Refused,
    shapes::{Owned, Success},
};
use crate::{shapes::Answer, state::App};

/// Nothing is read.
#[derive(Deserialize)]
pub(super) struct Body {}

#[derive(Serialize)]
struct Current {
    success: Success,
    #[serde(flatten)]
    account: Owned,
}

pub(super) async fn handler(State(_): State<App>, call: Call<Body>) -> Result<Response, Refused> {
    let account = Owned::new(&call.owner()?.state);
    Ok(Answer::ok(Current { success: Success, account }).into_response())
}
