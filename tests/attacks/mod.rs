//! Attacks over the real binary, each with its control: the owner's own way still works.

mod known_devices;
