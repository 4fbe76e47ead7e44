//! `healthcheck`: asks a process on this machine whether it works. For containers, where nothing else could ask.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use crate::{Failure, config::Config, role::Role, telemetry};

/// Health checks are asked every few seconds: who needs longer is not well.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks the process with these settings. The API is ready when it says so; the other roles are alive when they
/// answer for their metrics.
pub fn healthcheck(config: &Config) -> Result<(), Failure> {
    let (address, path) = if config.roles().contains(&Role::Api) {
        (config.listen, "/health/ready")
    } else {
        (config.metrics_listen.unwrap_or(telemetry::METRICS_LISTEN), "/metrics")
    };
    let address = here(address);
    let status = ask(address, path).map_err(|error| Failure::Other(format!("{address} does not answer: {error}")))?;
    if status.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(Failure::Other(format!("{address}{path} answers {status:?}")))
}

/// Where an address that listens everywhere is reached from here.
fn here(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// The first line of the answer.
fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut start = String::new();
    stream.take(256).read_to_string(&mut start)?;
    Ok(start.lines().next().unwrap_or_default().to_owned())
}
