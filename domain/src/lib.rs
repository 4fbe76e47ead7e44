//! What may happen: commands, events and the rules between them.
