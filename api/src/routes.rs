//! All routes, and the OpenAPI document that they make.

use axum::Router;
use utoipa::openapi::{
    Components, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder,
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    tag::TagBuilder,
};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    endpoint::Endpoints,
    endpoints::{
        access_tokens, accounts, api_keys, audit, dev, devices, email, email_undos, health, introspect, methods,
        password, receipts, recovery_codes, security, sessions, sign_in, sign_out, verifications,
    },
    problem::Document,
    state::App,
};

macro_rules! endpoints {
    ($($($module:ident)::+),+ $(,)?) => {
        Endpoints::new(OpenApiRouter::with_openapi(document()))
            $(.add(routes!($($module)::+::handler), $($module)::+::ABOUT))+
            .into_router()
            .split_for_parts()
    };
}

/// Routes and document. Paths that several methods share are merged.
pub(crate) fn endpoints() -> (Router<App>, OpenApi) {
    endpoints![
        accounts::create,
        accounts::read,
        accounts::erase,
        email::verify,
        email::resend,
        email::change,
        email::unfreeze,
        email_undos::undo,
        email_undos::send_code,
        email_undos::freeze,
        password::change,
        password::request_reset,
        password::reset,
        password::send_code,
        sign_in,
        sign_out,
        introspect,
        verifications::start,
        verifications::read,
        verifications::send_code,
        verifications::resend_code,
        verifications::attempt,
        methods::list,
        methods::start_totp,
        methods::start_sms,
        methods::resend_code,
        methods::enable,
        methods::change,
        methods::disable,
        recovery_codes::count,
        recovery_codes::regenerate,
        sessions::list,
        sessions::revoke,
        sessions::revoke_others,
        devices::list,
        devices::forget,
        access_tokens::list,
        access_tokens::issue,
        access_tokens::revoke,
        security::accounts,
        security::account,
        security::lockouts,
        security::deliveries,
        security::adoption,
        security::unlock,
        security::reset,
        security::end_sessions,
        security::cut_off_sessions,
        security::erase,
        audit::events,
        audit::stream,
        audit::history,
        audit::state,
        receipts::record,
        api_keys::list,
        api_keys::issue,
        api_keys::revoke,
        health::live,
        health::ready,
        dev::page,
        dev::json,
    ]
}

fn document() -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "A session (`cs_session_…`), an access token (`cs_access_…`), a verification's own token (`cs_verify_…`) \
             or an API key (`cs_key_…`). Cookies are never read.",
        ))
        .build();
    let mut components = Components::new();
    let mut schemas = vec![(Document::name().into_owned(), Document::schema())];
    Document::schemas(&mut schemas);
    components.schemas.extend(schemas);
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let tags = [
        ("accounts", "Sign up, confirm the address, change it, erase the account."),
        ("sign-in", "The first factor; what tokens stand for."),
        ("verifications", "A check of who is there, for one purpose."),
        ("methods", "Authenticator apps and phone numbers."),
        ("recovery codes", "Ten codes for the day the phone is lost."),
        ("sessions", "Sessions, personal access tokens and known devices."),
        ("security", "What security teams ask, and what support may do."),
        ("audit", "The history: listed, streamed, replayed."),
        ("gateways", "What gateways tell of the messages that they took."),
        ("api keys", "API clients."),
        ("health", "For load balancers and supervisors."),
        ("development", "The inbox of a development server."),
    ];
    let tags = tags.map(|(name, description)| TagBuilder::new().name(name).description(Some(description)).build());
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Countersign")
                .version("1")
                .description(Some(include_str!("description.md")))
                .license(Some(
                    LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build(),
                ))
                .build(),
        )
        .components(Some(components))
        .tags(Some(tags))
        .build()
}
