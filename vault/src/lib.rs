//! Keys: the key ring, data keys, sealing, derived codes, hashes and tokens.
