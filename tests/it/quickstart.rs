//! The README's quickstart: what it shows is what this runs.

use std::{fs, path::Path, process::Command};

use crate::support::Server;

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The shell blocks of a section, in order.
fn blocks(readme: &str, section: &str) -> Vec<String> {
    let from = readme.find(&format!("\n## {section}\n")).expect("the section") + 4;
    let text = &readme[from..];
    let text = &text[..text.find("\n## ").unwrap_or(text.len())];
    text.split("```sh\n").skip(1).map(|rest| rest[..rest.find("\n```").unwrap()].to_owned()).collect()
}

#[test]
fn the_readme_shows_the_steps_of_the_script_and_no_others() {
    let script = read("docs/quickstart.sh");
    let steps = &script[script.find("BASE=").unwrap()..];
    // A comment of the script is prose in the README; all else is the same, in the same order.
    let commands = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect()
    };
    let mut shown = blocks(&read("README.md"), "Quickstart");
    let keys = shown.pop().expect("the last block is about API keys");
    assert!(keys.contains("keys create"), "{keys}");
    assert_eq!(commands(&shown.join("\n")), commands(steps));
    for comment in steps.lines().filter_map(|line| line.strip_prefix("# ")) {
        assert!(read("README.md").contains(comment), "{comment}");
    }
}

#[tokio::test]
async fn the_quickstart_ends_with_a_session() {
    let server = Server::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/quickstart.sh");
    let output = Command::new("sh")
        .arg(script)
        .current_dir(server.path())
        .env("COUNTERSIGN_URL", server.base())
        .output()
        .expect("sh runs");
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{errors}");
    assert!(told.contains("\"recovery_codes\""), "{told}\n{errors}");
    assert!(told.contains("\"session_token\"") && told.contains("\"aal2\""), "{told}\n{errors}");
}
