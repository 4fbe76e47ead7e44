//! Closed sets of words, as the OpenAPI document lists them.

use std::borrow::Cow;

use domain::values::{Channel, FactorKind, MethodKind, Purpose, Scope};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident = [$($word:expr),+ $(,)?];)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some([$($word),+])).into()
            }
        }
        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).trim_end_matches("Word").into()
            }
        }
    )+};
}

words! {
    /// What a second factor can be proved with.
    FactorKindWord = [
        FactorKind::Totp.name(), FactorKind::Sms.name(), FactorKind::Email.name(), FactorKind::RecoveryCode.name(),
    ];
    /// What can be enrolled.
    MethodKindWord = [MethodKind::Totp.factor().name(), MethodKind::Sms.factor().name()];
    /// How a code travels.
    ChannelWord = [Channel::Sms.factor().name(), Channel::Email.factor().name()];
    /// What a verification is for.
    PurposeWord = [
        Purpose::ConfirmEmail.name(), Purpose::ConfirmNewEmail.name(), Purpose::ChangeEmail.name(),
        Purpose::UndoEmailChange.name(), Purpose::UnfreezeChanges.name(),
        Purpose::SignIn.name(), Purpose::AddMethod.name(), Purpose::Enroll.name(), Purpose::DisableMethod.name(),
        Purpose::RegenerateRecoveryCodes.name(), Purpose::IssueAccessToken.name(), Purpose::EraseAccount.name(),
        Purpose::ResetPassword.name(), Purpose::OpenSignIn.name(), Purpose::StepUp.name(), Purpose::Open.name(),
    ];
    /// How a verification stands.
    StatusWord = ["pending", "verified", "expired"];
    /// Authenticator assurance level (NIST SP 800-63B).
    AalWord = ["aal1", "aal2"];
    /// Authentication method reference (RFC 8176, and our own `email` and `recovery_code`).
    AmrWord = ["pwd", "otp", "sms", "mfa", "email", "recovery_code"];
    /// What an API client may do.
    ScopeWord = [
        Scope::Admin.name(), Scope::AccountsWrite.name(), Scope::SessionsIssue.name(), Scope::Introspect.name(),
        Scope::SecurityRead.name(), Scope::SupportWrite.name(), Scope::AuditRead.name(), Scope::AuditPii.name(),
    ];
}
