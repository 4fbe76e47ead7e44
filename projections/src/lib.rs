//! Read models: pure functions from event to changes, and the runner that applies them.
