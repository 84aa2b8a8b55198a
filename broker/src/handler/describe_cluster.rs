//! DescribeCluster 0-2: cluster id, controller and brokers. One node: it is both.

use std::sync::Arc;

use logway_protocol::message::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};
use logway_protocol::{ErrorCode, Text};

use super::Header;
use crate::context::Context;

/// Endpoint type "brokers"; controllers (2) have no listener of their own here.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

/// Without an authorizer everybody may do everything a cluster knows: create, alter, describe,
/// cluster action, describe and alter configs, idempotent write.
pub(super) const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;

/// Answers the cluster.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    let refusal = match request.endpoint_type {
        BROKERS => None,
        CONTROLLERS => Some((
            ErrorCode::MismatchedEndpointType,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER",
        )),
        _ => Some((
            ErrorCode::UnsupportedEndpointType,
            "Unsupported endpoint type",
        )),
    };
    if let Some((code, message)) = refusal {
        return DescribeClusterResponse {
            error_code: code.code(),
            error_message: Some(Text::from(message)),
            endpoint_type: BROKERS,
            ..DescribeClusterResponse::default()
        };
    }
    let node_id = context.settings.node_id;
    DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: Text::from(&*context.cluster_id),
        controller_id: node_id,
        brokers: vec![DescribeClusterBroker {
            broker_id: node_id,
            host: Text::from(&context.endpoint.host),
            port: i32::from(context.endpoint.port),
            rack: None,
            is_fenced: false,
        }],
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            i32::MIN
        },
        ..DescribeClusterResponse::default()
    }
}
