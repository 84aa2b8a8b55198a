//! The page's files, embedded in the binary. Step 12.
//!
//! Invariant: every file has an entity tag of its content, so a browser asks again but seldom
//! loads again; the content security policy allows nothing but the page's own files.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Name, content type, content.
const FILES: [(&str, &str, &str); 12] = [
    (
        "index.html",
        "text/html; charset=utf-8",
        include_str!("../../web/index.html"),
    ),
    (
        "style.css",
        "text/css; charset=utf-8",
        include_str!("../../web/style.css"),
    ),
    (
        "icon.svg",
        "image/svg+xml",
        include_str!("../../web/icon.svg"),
    ),
    ("app.js", SCRIPT, include_str!("../../web/app.js")),
    ("api.js", SCRIPT, include_str!("../../web/api.js")),
    ("dom.js", SCRIPT, include_str!("../../web/dom.js")),
    ("chart.js", SCRIPT, include_str!("../../web/chart.js")),
    ("metrics.js", SCRIPT, include_str!("../../web/metrics.js")),
    ("lines.js", SCRIPT, include_str!("../../web/lines.js")),
    ("logs.js", SCRIPT, include_str!("../../web/logs.js")),
    ("live.js", SCRIPT, include_str!("../../web/live.js")),
    ("status.js", SCRIPT, include_str!("../../web/status.js")),
];
const SCRIPT: &str = "text/javascript; charset=utf-8";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

pub(crate) async fn index(headers: HeaderMap) -> Response {
    serve("index.html", &headers)
}

pub(crate) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    serve(&name, &headers)
}

fn serve(name: &str, request: &HeaderMap) -> Response {
    let Some(at) = FILES.iter().position(|file| file.0 == name) else {
        return (StatusCode::NOT_FOUND, "not found").into_response();
    };
    let (_, content_type, content) = FILES[at];
    let tag = &tags()[at];
    let known = request
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(',').any(|one| one.trim() == tag));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        content.into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// The entity tags, in the order of [`FILES`].
fn tags() -> &'static [String] {
    static TAGS: OnceLock<Vec<String>> = OnceLock::new();
    TAGS.get_or_init(|| {
        FILES
            .iter()
            .map(|(_, _, content)| {
                let mut hasher = DefaultHasher::new();
                content.hash(&mut hasher);
                format!("\"{:016x}\"", hasher.finish())
            })
            .collect()
    })
}
