//! AlterConfigs 0-2: all settings of a resource at once (KIP-133); what is not named goes back to its
//! default. Superseded by IncrementalAlterConfigs, still sent by older clients.

use std::sync::Arc;

use logway_protocol::message::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
};

use super::Header;
use super::alteration::{self, Alteration};
use crate::context::Context;
use crate::metadata::Operation;

/// Replaces each resource's settings.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    let asked = request.resources.iter().map(alteration).collect();
    let verdicts = alteration::run(context, asked, request.validate_only).await;
    let responses = request.resources.into_iter().zip(verdicts);
    let responses = responses.map(|(resource, (code, message))| AlterConfigsResourceResponse {
        error_code: code.code(),
        error_message: message,
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
    });
    AlterConfigsResponse {
        responses: responses.collect(),
        ..AlterConfigsResponse::default()
    }
}

fn alteration(resource: &AlterConfigsResource) -> Alteration {
    let names = resource
        .configs
        .iter()
        .map(|config| config.name.to_string());
    let operations = alteration::check_names(names).and_then(|()| {
        let nulls = resource
            .configs
            .iter()
            .filter(|config| config.value.is_none());
        alteration::check_nulls(nulls.map(|config| config.name.as_str()))?;
        let set = resource.configs.iter().map(|config| {
            let value = config.value.as_deref().unwrap_or_default();
            (config.name.to_string(), Operation::Set(value.to_owned()))
        });
        Ok(set.collect())
    });
    Alteration {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.to_string(),
        operations,
        replaces_all: true,
    }
}
