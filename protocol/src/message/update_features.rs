//! UpdateFeatures: levels of features that the cluster agrees on (KIP-584, KIP-1022).

use crate::text::Text;

api! { UpdateFeatures: UpdateFeaturesRequest => UpdateFeaturesResponse, versions 0..=2, flexible 0 }

fields! {
    /// Features with the level to finalize.
    pub struct UpdateFeaturesRequest {
        timeout_ms: i32 = 60000, 0..;
        feature_updates: Vec<FeatureUpdateKey>, 0..;
        validate_only: bool, 1..;
    }

    /// Part of [`UpdateFeaturesRequest`]: feature update key.
    pub struct FeatureUpdateKey {
        feature: Text, 0..;
        max_version_level: i16, 0..;
        allow_downgrade: bool, 0..=0;
        upgrade_type: i8 = 1, 1..;
    }

    /// Whether it was done.
    pub struct UpdateFeaturesResponse {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<Text> = Some(Text::default()), 0..;
        results: Vec<UpdatableFeatureResult>, 0..=1, ignorable(true);
    }

    /// Part of [`UpdateFeaturesResponse`]: updatable feature result.
    pub struct UpdatableFeatureResult {
        feature: Text, 0..;
        error_code: i16, 0..;
        error_message: Option<Text> = Some(Text::default()), 0..;
    }
}
