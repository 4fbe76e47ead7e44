//! Tests of the whole: the rule of the rooms, and journeys over the real binary.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod architecture;
