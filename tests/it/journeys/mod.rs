//! The ten journeys, each over the real binary: what is answered, what happened, what can be seen of it.

mod add_second_method;
mod audit;
mod code_does_not_come;
mod enable_sms;
mod enable_totp;
mod lost_phone;
mod remove_methods;
mod sign_in;
mod support_reset;
mod wrong_codes;
