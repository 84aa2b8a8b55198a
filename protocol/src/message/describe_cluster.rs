//! DescribeCluster: cluster id, controller and brokers (KIP-700).

use crate::text::Text;

api! { DescribeCluster: DescribeClusterRequest => DescribeClusterResponse, versions 0..=2, flexible 0 }

fields! {
    /// What to include.
    pub struct DescribeClusterRequest {
        include_cluster_authorized_operations: bool, 0..;
        endpoint_type: i8 = 1, 1..;
        include_fenced_brokers: bool, 2..;
    }

    /// The cluster.
    pub struct DescribeClusterResponse {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<Text>, 0..;
        endpoint_type: i8 = 1, 1..;
        cluster_id: Text, 0..;
        controller_id: i32 = -1, 0..;
        brokers: Vec<DescribeClusterBroker>, 0..;
        cluster_authorized_operations: i32 = i32::MIN, 0..;
    }

    /// Part of [`DescribeClusterResponse`]: describe cluster broker.
    pub struct DescribeClusterBroker {
        broker_id: i32, 0..;
        host: Text, 0..;
        port: i32, 0..;
        rack: Option<Text>, 0..;
        is_fenced: bool, 2..;
    }
}
