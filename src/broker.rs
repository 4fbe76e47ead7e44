//! The broker of a configuration.

use std::sync::Arc;

use workers::nats::{Auth, Broker, BrokerError, NatsOptions};

use crate::{
    Failure,
    config::{Config, ConfigError, Nats},
};

impl From<BrokerError> for Failure {
    fn from(error: BrokerError) -> Self {
        ConfigError::new(error.setting(), error.problem(), error.cure()).into()
    }
}

/// How the configured broker is reached; `None` when there is none.
pub fn options(config: &Config) -> Option<NatsOptions> {
    let nats = &config.nats;
    Some(NatsOptions {
        auth: auth(nats),
        ca_file: nats.ca_file.clone(),
        client_cert_file: nats.client_cert_file.clone(),
        client_key_file: nats.client_key_file.clone(),
        source: config.public_url.clone().unwrap_or_else(|| "urn:countersign".to_owned()),
        replicas: nats.replicas.unwrap_or(1),
        ..NatsOptions::new(nats.url.as_ref()?)
    })
}

/// Reaches the configured broker, for a command that looks at it: nothing is declared.
pub async fn reach(config: &Config) -> Result<Arc<Broker>, Failure> {
    let Some(options) = options(config) else {
        return Err(ConfigError::new(
            "nats.url",
            "is missing, and without a broker there are no dead letters",
            "name the configuration of the running server with --config",
        )
        .into());
    };
    Ok(Arc::new(Broker::reach(&options).await?))
}

/// Connects to the configured broker and declares what is kept there; `None` when there is none.
pub async fn connect(config: &Config) -> Result<Option<Arc<Broker>>, Failure> {
    let Some(options) = options(config) else { return Ok(None) };
    Ok(Some(Broker::connect(&options).await?))
}

fn auth(nats: &Nats) -> Auth {
    if let (Some(user), Some(password)) = (&nats.user, &nats.password) {
        return Auth::UserPassword { user: user.clone(), password: password.clone() };
    }
    let token = nats.token.clone().map(Auth::Token);
    let credentials = nats.credentials_file.clone().map(Auth::CredentialsFile);
    let nkey = nats.nkey_seed.clone().map(Auth::NKey);
    token.or(credentials).or(nkey).unwrap_or(Auth::None)
}
