//! Tests of `idempotence`.
