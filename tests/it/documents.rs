//! The documents point at things that are there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The checked-in documents.
fn documents(root: &Path) -> Vec<PathBuf> {
    let listed = Command::new("git").args(["ls-files", "*.md"]).current_dir(root).output().expect("git runs");
    let listed = String::from_utf8(listed.stdout).unwrap();
    listed.lines().map(|name| root.join(name)).filter(|path| path.exists()).collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = documents(root);
    assert!(documents.len() > 10, "{documents:?}");
    let mut broken = Vec::new();
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            let is_elsewhere = target.contains("://") || target.starts_with('#') || path.is_empty();
            if !is_elsewhere && !document.parent().unwrap().join(path).exists() {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
