//! The smallest HTTP client that the suites need.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Status and body of `GET path`.
///
/// # Errors
/// The server does not answer, or not in HTTP.
pub fn get(address: &str, path: &str) -> Result<(u16, Vec<u8>), String> {
    let failed = |error: std::io::Error| format!("GET http://{address}{path}: {error}");
    let mut stream = TcpStream::connect(address).map_err(failed)?;
    stream
        .set_read_timeout(Some(crate::DEADLINE))
        .map_err(failed)?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(failed)?;
    let split = answer.windows(4).position(|part| part == b"\r\n\r\n");
    let split = split.ok_or_else(|| format!("GET {path}: no header in the answer"))?;
    let head = String::from_utf8_lossy(&answer[..split]).into_owned();
    let status = head
        .split_whitespace()
        .nth(1)
        .and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| format!("GET {path}: no status in `{head}`"))?;
    Ok((status, answer[split + 4..].to_vec()))
}

/// The JSON of `GET path`.
///
/// # Errors
/// The status is not 200, or the body is not JSON.
pub fn get_json(address: &str, path: &str) -> Result<serde_json::Value, String> {
    let (status, body) = get(address, path)?;
    if status != 200 {
        return Err(format!(
            "GET {path}: {status}: {}",
            String::from_utf8_lossy(&body)
        ));
    }
    serde_json::from_slice(&body).map_err(|error| format!("GET {path}: {error}"))
}
