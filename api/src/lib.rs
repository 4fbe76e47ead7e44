//! The HTTP interface: commands, queries, audit, OpenAPI, problem details.
