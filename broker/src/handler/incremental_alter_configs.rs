//! IncrementalAlterConfigs 0-1: sets, resets, adds to and takes from single settings (KIP-339).
//! What a resource may be and in which order faults are found is in `alteration`.

use std::sync::Arc;

use logway_protocol::ErrorCode;
use logway_protocol::message::incremental_alter_configs::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource,
    IncrementalAlterConfigsResourceResponse, IncrementalAlterConfigsResponse,
    IncrementalAlterableConfig,
};

use super::Header;
use super::alteration::{self, Alteration, Refused};
use crate::context::Context;
use crate::metadata::Operation;

/// Changes each resource's settings.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let asked = request.resources.iter().map(alteration).collect();
    let verdicts = alteration::run(context, asked, request.validate_only).await;
    let responses = request.resources.into_iter().zip(verdicts);
    let responses =
        responses.map(
            |(resource, (code, message))| IncrementalAlterConfigsResourceResponse {
                error_code: code.code(),
                error_message: message,
                resource_type: resource.resource_type,
                resource_name: resource.resource_name,
            },
        );
    IncrementalAlterConfigsResponse {
        responses: responses.collect(),
        ..IncrementalAlterConfigsResponse::default()
    }
}

fn alteration(resource: &IncrementalAlterConfigsResource) -> Alteration {
    let names = resource
        .configs
        .iter()
        .map(|config| config.name.to_string());
    let operations: Result<Vec<_>, Refused> = alteration::check_names(names).and_then(|()| {
        let nulls = resource
            .configs
            .iter()
            .filter(|config| config.value.is_none() && config.config_operation != 1);
        alteration::check_nulls(nulls.map(|config| config.name.as_str()))?;
        resource.configs.iter().map(operation).collect()
    });
    Alteration {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.to_string(),
        operations,
        replaces_all: false,
    }
}

fn operation(config: &IncrementalAlterableConfig) -> Result<(String, Operation), Refused> {
    let value = config.value.as_deref().unwrap_or_default().to_owned();
    let operation = match config.config_operation {
        0 => Operation::Set(value),
        1 => Operation::Delete,
        2 => Operation::Append(value),
        3 => Operation::Subtract(value),
        other => {
            let text = format!("Unknown operations type {other}");
            return Err((ErrorCode::InvalidRequest, text));
        }
    };
    Ok((config.name.to_string(), operation))
}
