//! The tables of operations in PostgreSQL.

use event_store::postgres::Migration;

/// As in the file of SQLite; ids and hashes are what they are there.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration { name: "limits, networks, last uses, the inbox, checkpoints", sql: TABLES },
    Migration { name: "the inbox by time", sql: "CREATE INDEX inbox_by_time ON inbox (at)" },
    Migration { name: "answers", sql: ANSWERS },
];

const TABLES: &str = r#"
CREATE TABLE limits (
    bucket BYTEA NOT NULL,
    window_seconds BIGINT NOT NULL,
    charges BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (bucket, window_seconds)
);
CREATE INDEX limits_by_end ON limits (expires_at);
CREATE TABLE known_networks (
    network BYTEA NOT NULL PRIMARY KEY,
    seen_at BIGINT NOT NULL
);
CREATE INDEX known_networks_by_time ON known_networks (seen_at);
CREATE TABLE session_activity (
    session_id UUID NOT NULL PRIMARY KEY,
    last_used_at BIGINT NOT NULL
);
CREATE INDEX session_activity_by_time ON session_activity (last_used_at);
CREATE TABLE worker_checkpoints (
    worker TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL
);
CREATE TABLE inbox (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id UUID NOT NULL UNIQUE,
    recipient BYTEA NOT NULL,
    at BIGINT NOT NULL,
    box BYTEA NOT NULL
);
CREATE INDEX inbox_by_recipient ON inbox (recipient, number);
"#;

const ANSWERS: &str = "
CREATE TABLE answers (
    key BYTEA NOT NULL PRIMARY KEY,
    body BYTEA NOT NULL,
    answer BYTEA NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX answers_by_end ON answers (expires_at);
";
