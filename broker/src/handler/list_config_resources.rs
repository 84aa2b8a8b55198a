//! ListConfigResources 0-1: what settings can be described (KIP-1142): topics, brokers, their loggers,
//! client metrics, and the groups that have settings. Version 0 lists client metrics alone.

use std::sync::Arc;

use logway_protocol::message::list_config_resources::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};
use logway_protocol::{ErrorCode, Text};

use super::Header;
use crate::context::Context;
use crate::metadata::{RESOURCE_BROKER, RESOURCE_CLIENT_METRICS, RESOURCE_GROUP, RESOURCE_TOPIC};

/// Levels of loggers.
const RESOURCE_BROKER_LOGGER: i8 = 8;
/// All types, in the order in which they are listed.
const ALL: [i8; 5] = [
    RESOURCE_GROUP,
    RESOURCE_CLIENT_METRICS,
    RESOURCE_BROKER_LOGGER,
    RESOURCE_BROKER,
    RESOURCE_TOPIC,
];

/// Lists the types asked for; all if none is named.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    let asked = request.resource_types;
    if asked.iter().any(|kind| !ALL.contains(kind)) {
        return ListConfigResourcesResponse {
            error_code: ErrorCode::UnsupportedVersion.code(),
            ..ListConfigResourcesResponse::default()
        };
    }
    let wanted = |kind: &i8| match header.version {
        0 => *kind == RESOURCE_CLIENT_METRICS,
        _ => asked.is_empty() || asked.contains(kind),
    };
    let found = ALL.into_iter().filter(wanted).flat_map(|kind| {
        let names = names(context, kind).into_iter();
        names.map(move |name| ConfigResource {
            resource_name: Text::from(name),
            resource_type: kind,
        })
    });
    ListConfigResourcesResponse {
        config_resources: found.collect(),
        ..ListConfigResourcesResponse::default()
    }
}

fn names(context: &Context, kind: i8) -> Vec<String> {
    let image = context.metadata.image();
    match kind {
        RESOURCE_TOPIC => image.topics().map(|topic| topic.name.to_string()).collect(),
        RESOURCE_BROKER | RESOURCE_BROKER_LOGGER => vec![context.settings.node_id.to_string()],
        other => image.configured(other).map(str::to_owned).collect(),
    }
}
