//! The arrows between the rooms, as `docs/architecture.md` draws them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Each room with all rooms it may name, for building or for testing. `bench` and the binary may name all;
/// `servers` is of the tests, and only tests name it.
pub const MAY_DEPEND_ON: [(&str, &[&str]); 12] = [
    ("domain", &[]),
    ("runtime", &["domain"]),
    ("schemas", &["domain"]),
    ("vault", &["domain", "runtime"]),
    ("messages", &["domain"]),
    ("event-store", &["domain", "runtime", "schemas", "vault"]),
    ("engine", &["domain", "runtime", "schemas", "vault", "event-store"]),
    ("operations", &["domain", "runtime", "schemas", "vault", "event-store"]),
    ("projections", &["domain", "runtime", "schemas", "vault", "event-store"]),
    ("workers", &["domain", "runtime", "schemas", "vault", "event-store", "engine", "operations", "messages"]),
    (
        "api",
        &["domain", "runtime", "schemas", "vault", "event-store", "engine", "operations", "projections", "messages"],
    ),
    ("servers", &["domain", "runtime", "vault", "event-store"]),
];

/// The room of the tests' own servers.
pub const OF_TESTS: &str = "servers";

/// Crates that do I/O, read a clock or start threads: `domain` names none of them.
const IO_CRATES: [&str; 19] = [
    "async-nats",
    "async-trait",
    "axum",
    "futures",
    "getrandom",
    "hyper",
    "lettre",
    "metrics",
    "opentelemetry",
    "rand",
    "reqwest",
    "rusqlite",
    "tempfile",
    "tokio",
    "tokio-postgres",
    "tokio-util",
    "tower",
    "tower-http",
    "tracing",
];

/// Names in `domain`'s code that would reach outside.
const OUTSIDE: [&str; 9] = [
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::env",
    "std::process",
    "std::thread",
    "std::io",
    "SystemTime",
    "std::time::Instant",
];

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

/// Package names that a member of the workspace depends on, for building or also for testing.
fn dependencies(metadata: &Value, member: &str, with_tests: bool) -> BTreeSet<String> {
    let package = metadata["packages"].as_array().unwrap().iter().find(|package| package["name"] == member);
    let package = package.unwrap_or_else(|| panic!("no room called {member}"));
    let named = package["dependencies"].as_array().unwrap().iter();
    named
        .filter(|dependency| with_tests || dependency["kind"] != "dev")
        .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn no_room_depends_on_one_above_it() {
    let metadata = metadata();
    let rooms: BTreeSet<&str> =
        metadata["packages"].as_array().unwrap().iter().map(|package| package["name"].as_str().unwrap()).collect();
    for (room, allowed) in MAY_DEPEND_ON {
        let named = dependencies(&metadata, room, true);
        let forbidden: Vec<_> = named
            .iter()
            .filter(|name| rooms.contains(name.as_str()) && name.as_str() != room && !allowed.contains(&name.as_str()))
            .filter(|name| name.as_str() != OF_TESTS)
            .collect();
        assert!(forbidden.is_empty(), "{room} must not depend on {forbidden:?}: see docs/architecture.md");
    }
}

#[test]
fn only_tests_name_their_servers() {
    let metadata = metadata();
    for (room, _) in MAY_DEPEND_ON {
        assert!(!dependencies(&metadata, room, false).contains(OF_TESTS), "{room} is built with {OF_TESTS}");
    }
    assert!(!dependencies(&metadata, "countersign", false).contains(OF_TESTS), "the binary is built with {OF_TESTS}");
}

#[test]
fn every_room_has_its_place_in_the_rule() {
    let metadata = metadata();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let known = MAY_DEPEND_ON.iter().any(|(room, _)| *room == name) || ["countersign", "bench"].contains(&name);
        assert!(known, "{name} is a new room: give it its arrows in tests/it/architecture.rs and docs/architecture.md");
    }
}

#[test]
fn the_domain_names_no_crate_that_does_io() {
    let named = dependencies(&metadata(), "domain", false);
    let found: Vec<_> = IO_CRATES.iter().filter(|name| named.contains(**name)).collect();
    assert!(found.is_empty(), "domain is pure, and depends on {found:?}");
}

#[test]
fn the_domain_reaches_for_nothing_outside() {
    let mut folders = vec![root().join("domain/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let code = fs::read_to_string(&path).unwrap();
            for name in OUTSIDE {
                assert!(!code.contains(name), "{} names {name}: the domain is pure", path.display());
            }
        }
    }
}

/// The pages whose links are followed: those of the front door, and everything below `docs`.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md"].iter().map(|name| root().join(name)).collect();
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages
}

/// Where the links of a page lead, as they are written: what stands between `](` and `)`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link)
}

#[test]
fn every_link_of_the_docs_leads_somewhere() {
    let (mut followed, mut broken) = (0, Vec::new());
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            let file = link.split('#').next().unwrap_or_default();
            if link.contains("://") || link.starts_with("mailto:") || file.is_empty() {
                continue;
            }
            followed += 1;
            if !page.parent().unwrap().join(file).exists() {
                broken.push(format!("{}: {link}", page.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(broken.is_empty(), "these lead nowhere: {broken:#?}");
    assert!(followed > 50, "only {followed} links were found: are they written another way now?");
}
