//! ApiVersions 0-4: what this broker speaks. Unknown versions get the version-0 answer with
//! UNSUPPORTED_VERSION and the list (KIP-511). A feature is finalized only if it works
//! here: transaction.version 2 (KIP-890).

use std::sync::Arc;

use logway_protocol::message::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use logway_protocol::{ApiKey, ErrorCode, Text};

use super::{Header, SERVED};
use crate::context::Context;

/// Answers the list of APIs.
pub(crate) async fn handle(
    _context: &Arc<Context>,
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
    ApiVersionsResponse {
        api_keys: api_keys(),
        supported_features: supported_features(header.version),
        finalized_features_epoch: FEATURES_EPOCH,
        finalized_features: finalized_features(),
        ..ApiVersionsResponse::default()
    }
}

/// A feature of the cluster at its highest level, which is the one in force.
struct Feature {
    name: &'static str,
    level: i16,
}

/// The features that work here.
const FEATURES: &[Feature] = &[Feature {
    name: "transaction.version",
    level: 2,
}];
/// Counts changes of features: there are none.
const FEATURES_EPOCH: i64 = 0;
/// Version from which clients can read that a feature may be off (level 0).
const LEVEL_ZERO_FROM: i16 = 4;

fn supported_features(version: i16) -> Vec<SupportedFeatureKey> {
    let supported = |feature: &Feature| SupportedFeatureKey {
        name: Text::from_static(feature.name),
        min_version: 0,
        max_version: feature.level,
    };
    // Older clients fail on a least level of 0, so they are not told.
    let told = FEATURES.iter().filter(|_| version >= LEVEL_ZERO_FROM);
    told.map(supported).collect()
}

fn finalized_features() -> Vec<FinalizedFeatureKey> {
    let finalized = |feature: &Feature| FinalizedFeatureKey {
        name: Text::from_static(feature.name),
        max_version_level: feature.level,
        min_version_level: feature.level,
    };
    FEATURES.iter().map(finalized).collect()
}

/// The answer to a version this broker does not speak; the caller writes it in version 0.
pub(crate) fn unsupported() -> ApiVersionsResponse {
    ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: api_keys(),
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
