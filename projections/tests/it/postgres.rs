//! What only PostgreSQL can do: many processes, one of which applies.
