//! Tests of `fetched`.
