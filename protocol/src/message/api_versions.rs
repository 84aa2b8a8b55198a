//! ApiVersions: which APIs and versions the broker speaks; the first request of every modern client. The response header is never flexible, whatever the version, so that a client of any age can read it.

use crate::text::Text;

api! { ApiVersions: ApiVersionsRequest => ApiVersionsResponse, versions 0..=4, flexible 3 }

fields! {
    /// Who asks, for the broker's statistics.
    pub struct ApiVersionsRequest {
        client_software_name: Text, 3.., ignorable(true);
        client_software_version: Text, 3.., ignorable(true);
    }

    /// The broker's APIs, and its features (KIP-584).
    pub struct ApiVersionsResponse {
        error_code: i16, 0..;
        api_keys: Vec<ApiVersion>, 0..;
        throttle_time_ms: i32, 1.., ignorable(true);
        supported_features: Vec<SupportedFeatureKey>, 3.., tag(0), ignorable(true);
        finalized_features_epoch: i64 = -1, 3.., tag(1), ignorable(true);
        finalized_features: Vec<FinalizedFeatureKey>, 3.., tag(2), ignorable(true);
        zk_migration_ready: bool, 3.., tag(3), ignorable(true);
    }

    /// Part of [`ApiVersionsResponse`]: api version.
    pub struct ApiVersion {
        api_key: i16, 0..;
        min_version: i16, 0..;
        max_version: i16, 0..;
    }

    /// Part of [`ApiVersionsResponse`]: supported feature key.
    pub struct SupportedFeatureKey {
        name: Text, 3..;
        min_version: i16, 3..;
        max_version: i16, 3..;
    }

    /// Part of [`ApiVersionsResponse`]: finalized feature key.
    pub struct FinalizedFeatureKey {
        name: Text, 3..;
        max_version_level: i16, 3..;
        min_version_level: i16, 3..;
    }
}
