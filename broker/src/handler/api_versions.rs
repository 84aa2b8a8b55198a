//! ApiVersions 0-4: what this broker speaks. Unknown versions get the version-0 answer with
//! UNSUPPORTED_VERSION and the versions of ApiVersions alone (KIP-511). Features are those whose APIs are served.

use std::sync::Arc;

use logway_protocol::message::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use logway_protocol::{ApiKey, ErrorCode, Text};

use super::{Header, SERVED};
use crate::context::Context;
use crate::metadata::Features;

/// Answers the list of APIs.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: ApiVersionsRequest,
) -> ApiVersionsResponse {
    let named = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.ends_with(|last: char| last.is_ascii_alphanumeric())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
    };
    let valid = header.version < 3
        || (named(&request.client_software_name) && named(&request.client_software_version));
    if !valid {
        return ApiVersionsResponse {
            error_code: ErrorCode::InvalidRequest.code(),
            ..ApiVersionsResponse::default()
        };
    }
    let image = context.metadata.image();
    let supported = context.features.all().iter();
    let supported = supported.filter(|feature| header.version >= 4 || feature.min > 0);
    let finalized = image.features().iter();
    ApiVersionsResponse {
        api_keys: api_keys(),
        supported_features: supported
            .map(|feature| SupportedFeatureKey {
                name: Text::from(feature.name),
                min_version: feature.min,
                max_version: feature.max,
            })
            .collect(),
        finalized_features_epoch: image.end_offset() - 1,
        finalized_features: finalized
            .map(|(name, level)| FinalizedFeatureKey {
                name: Text::from(name),
                max_version_level: *level,
                min_version_level: *level,
            })
            .collect(),
        ..ApiVersionsResponse::default()
    }
}

/// The features whose APIs this broker serves.
pub(crate) fn features() -> Features {
    let serves = |api: ApiKey| SERVED.contains(&api);
    Features::new(
        serves(ApiKey::ConsumerGroupHeartbeat),
        serves(ApiKey::AddPartitionsToTxn) && serves(ApiKey::EndTxn),
    )
}

/// The answer to a version this broker does not speak; the caller writes it in version 0. It names
/// ApiVersions alone: a client that finds a whole list takes it and never asks for the features.
pub(crate) fn unsupported() -> ApiVersionsResponse {
    let mut api_keys = api_keys();
    api_keys.retain(|key| key.api_key == ApiKey::ApiVersions.code());
    ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys,
        ..ApiVersionsResponse::default()
    }
}

fn api_keys() -> Vec<ApiVersion> {
    let mut keys: Vec<ApiVersion> = SERVED
        .iter()
        .filter_map(|api| {
            let versions = api.versions()?;
            // librdkafka before 2.11.1 looks for exact points: without Produce 0 in the range it
            // silently stops compressing (KAFKA-18659). Versions 0-2 themselves are refused.
            let min_version = if *api == ApiKey::Produce {
                0
            } else {
                *versions.start()
            };
            Some(ApiVersion {
                api_key: api.code(),
                min_version,
                max_version: *versions.end(),
            })
        })
        .collect();
    keys.sort_by_key(|key| key.api_key);
    keys
}
