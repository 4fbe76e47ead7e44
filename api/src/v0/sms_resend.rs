//! `POST sms/resend/`: the same code again, while it is valid.

use axum::{extract::State, response::Response};
use domain::{commands::Command, state::Device, values::Channel};

use super::{
    body::given,
    call::{Call, Handle},
    codes::{Code, Refused},
    refusals::Tried,
    sms::{self, Body, TEXT},
};
use crate::state::App;

pub(super) async fn handler(State(app): State<App>, call: Call<Body>) -> Result<Response, Refused> {
    let body = call.body();
    if call.bearer().is_none() && body.secret.is_none() {
        call.owner()?;
    }
    let secret = given(body.secret.as_ref(), Code::MissingParams, "secret")?;
    let number = sms::number(body.phone_number.as_deref())?;
    let held = call.held(&app, secret).await?;
    let (command, caller) = match held.what {
        Handle::Verification(id) => {
            let method_id = sms::method_of(&held.state, body.tfa_method_id, number.as_ref())?;
            let command = Command::ResendCode { verification_id: id, channel: Some(Channel::Sms), method_id };
            (command, call.driver(&held, id))
        }
        Handle::Enrollment(method_id) => {
            let enrolling = held.state.enrollments.get(&method_id).map(|enrollment| &enrollment.device);
            let is_same = match (enrolling, &number) {
                (Some(Device::Sms { phone_number, .. }), Some(number)) => phone_number.known() == Some(number),
                _ => true,
            };
            if !is_same {
                return Err(Refused::new(Code::PhoneNumberMismatch, "This is not the number that is being added."));
            }
            (Command::ResendEnrollmentCode { method_id }, call.owner()?.caller.clone())
        }
    };
    let tried = Tried {
        names_method: body.tfa_method_id.is_some(),
        too_soon: Code::SmsRateLimited,
        channel: Code::NoChallengeFound,
        conflict: Code::Expired,
        ..TEXT
    };
    sms::send(&app, &call, &held, secret, command, caller, tried).await
}
