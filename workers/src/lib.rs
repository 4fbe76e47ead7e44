//! Reacts to events and touches the world: SMS, email, notices.
