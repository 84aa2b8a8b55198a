//! UpdateFeatures 0-2: levels of features for the whole cluster (KIP-584); all of them or none. What
//! may be asked for is decided in `metadata/feature.rs`.

use std::sync::Arc;

use logway_protocol::message::update_features::{
    FeatureUpdateKey, UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse,
};
use logway_protocol::{ErrorCode, Text};
use tracing::info;

use super::Header;
use super::error::Code;
use crate::context::Context;
use crate::metadata::{FeatureUpdate, UpgradeType, update_features};

/// Finalizes levels.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: UpdateFeaturesRequest,
) -> UpdateFeaturesResponse {
    let asked = request.feature_updates.iter();
    let asked: Vec<_> = asked.map(|update| wanted(update, header.version)).collect();
    let features = context.features.clone();
    let (node, validate_only) = (context.settings.node_id, request.validate_only);
    let planned = context.metadata.propose(move |image| {
        match update_features(image, (&features, node), &asked) {
            Ok(_) if validate_only => (Vec::new(), Ok(())),
            Ok(records) => (records, Ok(())),
            Err(error) => (Vec::new(), Err(error)),
        }
    });
    match planned.await {
        Ok(Ok(())) => {
            info!(validate_only, "features updated");
            done(request.feature_updates, header.version)
        }
        Ok(Err((_, error))) => refused(
            error.code(),
            format!(
                "The update failed for all features since the following feature had an error: {error}"
            ),
        ),
        Err(error) => refused(error.code(), error.to_string()),
    }
}

fn wanted(update: &FeatureUpdateKey, version: i16) -> FeatureUpdate {
    let kind = match (version, update.allow_downgrade) {
        (0, true) => UpgradeType::SafeDowngrade,
        (0, false) => UpgradeType::Upgrade,
        _ => UpgradeType::of_code(update.upgrade_type),
    };
    FeatureUpdate {
        name: update.feature.to_string(),
        level: update.max_version_level,
        kind,
    }
}

/// Before version 2 each feature has a result of its own.
fn done(updates: Vec<FeatureUpdateKey>, version: i16) -> UpdateFeaturesResponse {
    let results = updates.into_iter().filter(|_| version < 2);
    UpdateFeaturesResponse {
        error_message: None,
        results: results
            .map(|update| UpdatableFeatureResult {
                feature: update.feature,
                error_code: ErrorCode::None.code(),
                // Kafka's text where there is nothing to say.
                error_message: Some(Text::from(ErrorCode::None.name())),
            })
            .collect(),
        ..UpdateFeaturesResponse::default()
    }
}

fn refused(code: ErrorCode, text: String) -> UpdateFeaturesResponse {
    UpdateFeaturesResponse {
        error_code: code.code(),
        error_message: Some(Text::from(text)),
        ..UpdateFeaturesResponse::default()
    }
}
