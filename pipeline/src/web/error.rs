//! Answers that say what is wrong, as JSON. Step 12.
//!
//! Invariant: a message names the parameter and what is expected; internal causes are logged, not
//! sent, unless they help the reader.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::store::ReadError;

/// An answer other than success.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl ApiError {
    /// The request is at fault.
    pub(crate) fn bad(message: impl Into<String>) -> ApiError {
        ApiError {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
        }
    }

    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> ApiError {
        ApiError {
            status,
            message: message.into(),
        }
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> ApiError {
        let status = match error {
            ReadError::TooSlow(_) | ReadError::Busy | ReadError::Closed => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            ReadError::Sqlite(ref source) => {
                tracing::warn!(error = %source, "a query of the store failed");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        ApiError::new(status, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.message }))).into_response()
    }
}
