//! How a verification stands.

use axum::extract::State;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Freshness, From, OnVerification},
    problem::Problem,
    shapes::{Answer, VerificationAnswer, VerificationShape},
    state::App,
};

pub(crate) const ABOUT: About = About { access: Access::Verification, kind: Kind::View, problems: &[] };

/// Read a verification
#[utoipa::path(get, path = "/v1/verifications/{id}", operation_id = "read_verification", tag = "verifications",
    responses((status = 200, description = "How it stands.", body = VerificationAnswer)))]
pub(crate) async fn handler(
    State(app): State<App>,
    on: OnVerification,
    From(origin): From,
    freshness: Freshness,
) -> Result<Answer<VerificationAnswer>, Problem> {
    let (state, position) = freshness.state(&app, on.account, (on.state, on.position)).await?;
    let view = state.verification_view(on.id, &on.caller, &origin, app.engine.policy(), app.now())?;
    let verification = VerificationShape::seen(on.account, view, &on.caller);
    Ok(Answer::ok(VerificationAnswer { verification }).at(position))
}
