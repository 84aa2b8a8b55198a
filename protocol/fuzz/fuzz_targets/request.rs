//! Any bytes as a request frame: `cargo +nightly fuzz run request`.
//!
//! Invariant under test: a typed error or a request, never a panic, whatever the frame says.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use logway_protocol::ApiKey;
use logway_protocol::header::decode_request_header;
use logway_protocol::message::decode_any_request;

fuzz_target!(|input: &[u8]| {
    let Ok((header, body)) = decode_request_header(Bytes::copy_from_slice(input)) else {
        return;
    };
    let Some(api) = ApiKey::from_code(header.api_key) else {
        return;
    };
    if let Ok(request) = decode_any_request(api, header.api_version, body) {
        assert!(!format!("{request:?}").is_empty());
    }
});
