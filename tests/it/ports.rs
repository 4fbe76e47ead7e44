//! What waits, spawns, blocks, reads a clock or draws randomness asks `runtime`: the sources name nothing that goes
//! past it. The tokens are read and not the types, so a name is refused where it is imported or written in full.

use std::{fs, path::Path};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::architecture::{MAY_DEPEND_ON, OF_TESTS, root};

/// Names with all below them, but some; and what to use in their place.
const REFUSED: [(&str, &[&str], &str); 13] = [
    ("tokio", &["tokio::sync", "tokio::select", "tokio::join", "tokio::try_join"], A_RUNTIME),
    ("tokio_util", &["tokio_util::sync"], A_RUNTIME),
    ("futures::select", &[], "tokio::select! with `biased;`"),
    ("futures::executor", &[], A_RUNTIME),
    ("axum::response::sse::KeepAlive", &[], "runtime::Runtime::timeout: it waits by tokio's clock"),
    ("std::time", &["std::time::Duration"], "runtime::Runtime: now, running, instant, since"),
    ("std::thread", &["std::thread::available_parallelism"], "runtime::Runtime: spawn, blocking, sleep"),
    ("std::sync::Condvar", &[], "tokio::sync: who waits keeps no thread"),
    ("std::sync::mpsc", &[], "tokio::sync: who waits keeps no thread"),
    (
        "std::collections",
        &[
            "std::collections::BTreeMap",
            "std::collections::BTreeSet",
            "std::collections::VecDeque",
            "std::collections::btree_map",
        ],
        A_MAP,
    ),
    ("std::hash::RandomState", &[], A_MAP),
    ("quick_cache", &[], A_MAP),
    ("getrandom", &[], "runtime::Runtime: random_bytes, entropy"),
];

const A_RUNTIME: &str = "runtime::Runtime: sleep, timeout, every, spawn, blocking; runtime::Tasks";
const A_MAP: &str = "a BTreeMap, or runtime::Cache: hashes are seeded by the machine";

/// What may name them, and why.
const EXEMPT: [(&str, &str); 14] = [
    ("runtime/src/system.rs", "the machine of the binary: tokio and the operating system"),
    ("runtime/src/cache.rs", "the one map that hashes, with the machine's seed"),
    ("event-store/src/sqlite", "SQLite has threads of its own"),
    ("event-store/src/postgres", "tokio-postgres runs its connections on tokio"),
    ("event-store/src/kurrentdb", "the client runs its connections on tokio"),
    ("event-store/src/contract", "cases for adapters of real engines; feature `contract`"),
    ("event-store/src/testing.rs", "what tests need; feature `testing`"),
    ("operations/src/sqlite", "SQLite has a thread of its own"),
    ("operations/src/postgres", "tokio-postgres runs its connections on tokio"),
    ("projections/src/sqlite", "SQLite has threads of its own"),
    ("projections/src/postgres", "tokio-postgres runs its connections on tokio"),
    ("workers/src/gateways", "mail and HTTP run their connections on tokio"),
    ("workers/src/nats/broker.rs", "the client runs its connections on tokio"),
    ("src", "the binary: it makes the machine, listens, and stops in order"),
];

/// Something that a source names.
struct Named {
    line: usize,
    path: String,
    /// What a macro of this name is given.
    given: Option<TokenStream>,
}

impl Named {
    /// What to use in its place, when it is refused.
    fn instead(&self) -> Option<&'static str> {
        let is_below =
            |name: &str| self.path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        REFUSED
            .iter()
            .find(|(name, but, _)| is_below(name) && !but.iter().any(|name| is_below(name)))
            .map(|rule| rule.2)
    }

    /// Whether it chooses among branches that are ready as it likes.
    fn is_unbiased(&self) -> bool {
        let is_select = self.path == "select" || self.path.ends_with("::select");
        is_select && self.given.as_ref().is_some_and(|given| first_word(given).as_deref() != Some("biased"))
    }
}

fn first_word(tokens: &TokenStream) -> Option<String> {
    match tokens.clone().into_iter().next()? {
        TokenTree::Ident(word) => Some(word.to_string()),
        _ => None,
    }
}

fn named(code: &str) -> Vec<Named> {
    let mut all = Vec::new();
    read(code.parse().expect("Rust"), "", &mut all);
    all
}

/// Reads the names of a run of tokens. The prefix is what stands before the braces of a `use`.
fn read(tokens: TokenStream, prefix: &str, all: &mut Vec<Named>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut rest = tokens.as_slice();
    while let [first, after @ ..] = rest {
        rest = match first {
            TokenTree::Punct(hash) if hash.as_char() == '#' && is_of_tests(after) => past_item(after),
            // The new name of `as`.
            TokenTree::Ident(word) if word == "as" => after.get(1..).unwrap_or_default(),
            TokenTree::Ident(word) => read_path(&word.to_string(), word.span().start().line, after, prefix, all),
            TokenTree::Group(group) => {
                read(group.stream(), "", all);
                after
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => after,
        };
    }
}

fn read_path<'a>(
    first: &str,
    line: usize,
    mut rest: &'a [TokenTree],
    prefix: &str,
    all: &mut Vec<Named>,
) -> &'a [TokenTree] {
    let mut path = match (prefix, first) {
        ("", first) => first.to_owned(),
        (prefix, "self") => prefix.to_owned(),
        (prefix, first) => format!("{prefix}::{first}"),
    };
    while let [TokenTree::Punct(one), TokenTree::Punct(two), next, after @ ..] = rest
        && (one.as_char(), two.as_char()) == (':', ':')
    {
        match next {
            TokenTree::Ident(word) => path = format!("{path}::{word}"),
            TokenTree::Punct(star) if star.as_char() == '*' => {}
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                read(group.stream(), &path, all);
                return after;
            }
            _ => break,
        }
        rest = after;
    }
    let given = match rest {
        [TokenTree::Punct(bang), TokenTree::Group(group), ..] if bang.as_char() == '!' => Some(group.stream()),
        _ => None,
    };
    all.push(Named { line, path, given });
    rest
}

fn is_of_tests(after: &[TokenTree]) -> bool {
    after.first().is_some_and(|attribute| attribute.to_string().replace(' ', "") == "[cfg(test)]")
}

/// What follows an item: it ends with its braces, or with a semicolon.
fn past_item(after: &[TokenTree]) -> &[TokenTree] {
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(mark) => mark.as_char() == ';',
        _ => false,
    };
    after.iter().position(ends).and_then(|end| after.get(end + 1..)).unwrap_or_default()
}

/// Sources below a folder, but those of tests, with their paths from the root.
fn sources(folder: &Path) -> Vec<(String, String)> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

fn all_sources() -> Vec<(String, String)> {
    let rooms = MAY_DEPEND_ON.iter().map(|(room, _)| *room).filter(|room| *room != OF_TESTS);
    rooms
        .map(|room| root().join(room).join("src"))
        .chain([root().join("src")])
        .flat_map(|folder| sources(&folder))
        .collect()
}

#[test]
fn nothing_goes_past_the_ports_of_the_world() {
    let (mut refused, mut used) = (Vec::new(), Vec::new());
    for (file, code) in all_sources() {
        let exemption = EXEMPT
            .iter()
            .find(|(place, _)| Path::new(&file).starts_with(place) || file.strip_suffix(".rs") == Some(place));
        for named in named(&code) {
            let Some(instead) = named.instead() else { continue };
            match exemption {
                Some((place, _)) => used.push(*place),
                None => refused.push(format!("{file}:{} names {}: use {instead}", named.line, named.path)),
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    for (place, reason) in EXEMPT {
        assert!(used.contains(&place), "{place} needs no exemption any more ({reason})");
    }
}

#[test]
fn no_branch_is_chosen_at_random() {
    let unbiased = all_sources().into_iter().flat_map(|(file, code)| {
        let lines = named(&code).into_iter().filter(Named::is_unbiased).map(|named| named.line);
        lines.map(|line| format!("{file}:{line} chooses at random: begin with `biased;`")).collect::<Vec<_>>()
    });
    let unbiased: Vec<String> = unbiased.collect();
    assert!(unbiased.is_empty(), "{}", unbiased.join("\n"));
}

#[test]
fn whatever_goes_past_them_is_found_where_it_is_named() {
    const CODE: &str = "
        use std::{collections::{BTreeMap, HashMap as Map}, sync::{Arc, Condvar}, thread, time::{Duration, SystemTime}};
        use tokio::{select, sync::{mpsc, watch}, task::JoinSet, time::{self, Instant}};
        use tokio_util::{sync::CancellationToken, task::TaskTracker};
        use tokio as executor; // and tokio::spawn in a comment
        /// Says `tokio::spawn`.
        fn starts() {
            let text = \"tokio::spawn\";
            ::tokio::spawn(async { futures::select!(a => b) });
            log(std::time::Instant::now(), std::time::Duration::ZERO, std::collections::HashSet::<u8>::new());
            tokio::task::spawn_blocking(getrandom::fill);
            tokio::select! { biased; () = one => tokio::time::sleep(two).await, () = three => {} }
        }
        use tokio::*;
        #[cfg(test)]
        mod tests {
            use std::thread;
            fn waits() { tokio::spawn(one) }
        }
        #[cfg(test)]
        use tokio::spawn;
        fn ends() { std::thread::available_parallelism(); std::thread::sleep(two) }
    ";
    let found: Vec<(usize, String)> = named(CODE)
        .into_iter()
        .filter(|named| named.instead().is_some())
        .map(|named| (named.line, named.path))
        .collect();
    let found: Vec<(usize, &str)> = found.iter().map(|(line, path)| (*line, path.as_str())).collect();
    assert_eq!(
        found,
        [
            (2, "std::collections::HashMap"),
            (2, "std::sync::Condvar"),
            (2, "std::thread"),
            (2, "std::time::SystemTime"),
            (3, "tokio::task::JoinSet"),
            (3, "tokio::time"),
            (3, "tokio::time::Instant"),
            (4, "tokio_util::task::TaskTracker"),
            (5, "tokio"),
            (9, "tokio::spawn"),
            (9, "futures::select"),
            (10, "std::time::Instant::now"),
            (10, "std::collections::HashSet"),
            (11, "tokio::task::spawn_blocking"),
            (11, "getrandom::fill"),
            (12, "tokio::time::sleep"),
            (14, "tokio"),
            (22, "std::thread::sleep"),
        ]
    );
}

#[test]
fn a_select_without_a_bias_is_found() {
    let code = "
        fn waits() {
            tokio::select! { () = one => {} }
            tokio::select! { biased; () = one => select! { () = two => {} } }
            events.select(three);
        }
    ";
    let lines: Vec<usize> = named(code).into_iter().filter(Named::is_unbiased).map(|named| named.line).collect();
    assert_eq!(lines, [3, 4]);
}
