//! The devices that an account knows.

use axum::extract::State;
use domain::{
    ids::{DeviceId, SessionId},
    time::Timestamp,
};
use serde::Serialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Freshness, OnAccount},
    problem::Problem,
    shapes::Answer,
    state::App,
};

pub(crate) const ABOUT: About = About { access: Access::Account, kind: Kind::View, problems: &[] };

/// A device whose wrong codes are counted apart from strangers'.
#[derive(Serialize, utoipa::ToSchema)]
struct Device {
    /// Its id.
    #[schema(value_type = Uuid)]
    id: DeviceId,
    /// The session of the last sign-in that it was remembered by.
    #[schema(value_type = Uuid)]
    session_id: SessionId,
    /// Since when it is known.
    #[schema(value_type = String, format = DateTime)]
    known_since: Timestamp,
    /// When it was last remembered; a device in use is, once a day.
    #[schema(value_type = String, format = DateTime)]
    remembered_at: Timestamp,
    /// It is a stranger's again then.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// The devices.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Devices {
    devices: Vec<Device>,
}

/// List the known devices
#[utoipa::path(get, path = "/v1/accounts/{account}/devices", operation_id = "list_devices", tag = "sessions",
    responses((status = 200, description = "The devices.", body = Devices)))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    freshness: Freshness,
) -> Result<Answer<Devices>, Problem> {
    let (state, position) = freshness.state(&app, account.id, (account.state, account.position)).await?;
    let devices = state.known_devices(app.now()).map(|(id, device)| Device {
        id,
        session_id: device.session_id,
        known_since: device.known_since,
        remembered_at: device.remembered_at,
        expires_at: device.expires_at,
    });
    Ok(Answer::ok(Devices { devices: devices.collect() }).at(position))
}
