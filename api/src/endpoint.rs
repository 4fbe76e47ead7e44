//! How an endpoint is registered: its route, and everything the OpenAPI document says of it that does not
//! stand at its handler because it is the same for all of its kind.

use axum::http::StatusCode;
use domain::values::Scope;
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Type,
    path::{Operation, ParameterBuilder, ParameterIn, PathItem},
    schema::{KnownFormat, Schema, SchemaFormat},
    security::SecurityRequirement,
};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::{problem::Code, state::App};

/// What is known of an endpoint beside its handler.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About {
    /// Who may call it.
    pub access: Access,
    /// Whether it changes something.
    pub kind: Kind,
    /// Its own problems; those that every endpoint of its kind has come by themselves.
    pub problems: &'static [Code],
}

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anyone.
    Anyone,
    /// Anyone; a credential makes a difference.
    MaybeBearer,
    /// Any credential.
    Bearer,
    /// A credential of the account in the path, or an API client with `accounts:write`.
    Account,
    /// A verification's own token, or the credential that started it.
    Verification,
    /// An API client with this scope.
    Scope(Scope),
}

/// Whether an endpoint changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It does, and takes an idempotency key.
    Command,
    /// As before, and it takes the id of a verification that authorizes it.
    Authorized,
    /// It reads the state as it is.
    Read,
    /// It reads a view, which may be behind.
    View,
    /// Another system tells of something; what it sends may come twice, and is signed.
    CallBack,
}

/// Collects endpoints.
pub(crate) struct Endpoints(OpenApiRouter<App>);

impl Endpoints {
    pub fn new(router: OpenApiRouter<App>) -> Self {
        Self(router)
    }
    /// Adds one endpoint.
    pub fn add(self, (schemas, mut paths, router): UtoipaMethodRouter<App>, about: About) -> Self {
        for (path, item) in &mut paths.paths {
            for operation in operations(item) {
                describe(operation, path, about);
            }
        }
        Self(self.0.routes((schemas, paths, router)))
    }
    pub fn into_router(self) -> OpenApiRouter<App> {
        self.0
    }
}

/// The operations of a path.
pub(crate) fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten()
}

fn describe(operation: &mut Operation, path: &str, about: About) {
    operation.security = match about.access {
        Access::Anyone => None,
        Access::MaybeBearer => Some(vec![SecurityRequirement::default(), bearer(None)]),
        Access::Bearer | Access::Account | Access::Verification => Some(vec![bearer(None)]),
        Access::Scope(scope) => Some(vec![bearer(Some(scope))]),
    };
    let mut parameters: Vec<_> = path_parameters(path).collect();
    parameters.extend(header_parameters(about.kind));
    let known = operation.parameters.get_or_insert_default();
    parameters.append(known);
    *known = parameters;

    let has_body = operation.request_body.is_some();
    let mut codes = about.problems.to_vec();
    codes.extend([Code::Internal, Code::Unavailable]);
    if has_body || about.kind == Kind::View {
        codes.push(Code::InvalidRequest);
    }
    if has_body {
        codes.extend([Code::MalformedRequest, Code::PayloadTooLarge, Code::UnsupportedMediaType]);
    }
    match about.access {
        Access::Anyone => {}
        Access::MaybeBearer | Access::Bearer => codes.push(Code::Unauthenticated),
        Access::Account | Access::Verification => {
            codes.extend([Code::Unauthenticated, Code::Forbidden, Code::NotFound]);
        }
        Access::Scope(_) => codes.extend([Code::Unauthenticated, Code::Forbidden]),
    }
    match about.kind {
        Kind::Command => codes.extend([Code::InvalidRequest, Code::IdempotencyConflict]),
        Kind::Authorized => {
            codes.extend([Code::InvalidRequest, Code::IdempotencyConflict, Code::VerificationRequired]);
        }
        Kind::Read | Kind::CallBack => {}
        Kind::View => codes.push(Code::StaleView),
    }
    if path.contains('{') {
        codes.push(Code::NotFound);
    }
    codes.sort_unstable();
    codes.dedup();
    add_problems(operation, &codes);
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.starts_with('2')
        {
            describe_success(response, about.kind);
        }
    }
}

fn describe_success(response: &mut Response, kind: Kind) {
    let header = |schema: Type, description: &str| {
        HeaderBuilder::new()
            .schema(Some(ObjectBuilder::new().schema_type(schema)))
            .description(Some(description))
            .build()
            .into()
    };
    if !matches!(kind, Kind::Read | Kind::CallBack) {
        let description =
            "How far the log or the view had got; opaque, comparable. Refusals that are history tell it too.";
        response.headers.insert("Countersign-Position".to_owned(), header(Type::Integer, description));
    }
    if matches!(kind, Kind::Command | Kind::Authorized) {
        let description = "`true` when this is the first answer to the idempotency key, repeated.";
        response.headers.insert("Idempotency-Replayed".to_owned(), header(Type::String, description));
    }
}

fn bearer(scope: Option<Scope>) -> SecurityRequirement {
    SecurityRequirement::new("bearer", scope.map(Scope::name))
}

/// Groups codes by status: OpenAPI has one response per status.
fn add_problems(operation: &mut Operation, codes: &[Code]) {
    let mut statuses: Vec<StatusCode> = codes.iter().map(|code| code.status()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    for status in statuses {
        let names: Vec<String> =
            codes.iter().filter(|code| code.status() == status).map(|code| format!("`{}`", code.name())).collect();
        operation.responses.responses.insert(status.as_str().to_owned(), problem(status, &names.join(", ")).into());
    }
}

fn problem(status: StatusCode, codes: &str) -> Response {
    let document = Ref::from_schema_name("Problem");
    let mut response = ResponseBuilder::new()
        .description(codes)
        .content("application/problem+json", ContentBuilder::new().schema(Some(document)).build());
    if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE {
        let seconds = HeaderBuilder::new()
            .schema(Some(ObjectBuilder::new().schema_type(Type::Integer)))
            .description(Some("Seconds to wait."))
            .build();
        response = response.header("Retry-After", seconds);
    }
    response.build()
}

fn path_parameters(path: &str) -> impl Iterator<Item = RefOr<utoipa::openapi::path::Parameter>> {
    path.split(['{', '}']).skip(1).step_by(2).map(move |name| {
        let is_method = path.contains("/methods/{id}");
        let (description, schema) = match name {
            "account" => ("An account's id, or `me` for the account of the credential.", text(None)),
            "gateway" => ("The gateway's name, as the configuration gives it.", text(None)),
            _ if is_method => ("The method's number.", whole_number()),
            _ if path.contains("/verifications/") => ("The verification's id.", text(None)),
            _ => ("Its id.", text(Some(KnownFormat::Uuid))),
        };
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some(description))
            .schema(Some(schema))
            .build()
            .into()
    })
}

fn header_parameters(kind: Kind) -> Vec<RefOr<utoipa::openapi::path::Parameter>> {
    let header = |name: &str, description: &str, schema: Schema| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(description))
            .schema(Some(schema))
            .build()
            .into()
    };
    let idempotency = || {
        header(
            "Idempotency-Key",
            "1 to 255 visible ASCII characters. The same key with the same request is the same command, for 24 \
             hours (10 minutes where the answer holds a session token): the first answer is repeated.",
            text(None),
        )
    };
    match kind {
        Kind::Command => vec![idempotency()],
        Kind::Authorized => vec![
            header(
                "Countersign-Verification",
                "The id of a verified, unused verification for this purpose.",
                text(None),
            ),
            idempotency(),
        ],
        Kind::Read | Kind::CallBack => Vec::new(),
        Kind::View => vec![header(
            "Countersign-Min-Position",
            "A value of `Countersign-Position`: answer only from a view that got this far.",
            whole_number(),
        )],
    }
}

fn text(format: Option<KnownFormat>) -> Schema {
    ObjectBuilder::new().schema_type(Type::String).format(format.map(SchemaFormat::KnownFormat)).build().into()
}

fn whole_number() -> Schema {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build().into()
}
