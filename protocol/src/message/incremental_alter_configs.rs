//! IncrementalAlterConfigs: changes of single settings (KIP-339).

use crate::text::Text;

api! { IncrementalAlterConfigs: IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse, versions 0..=1, flexible 1 }

fields! {
    /// What to change of which topics and brokers.
    pub struct IncrementalAlterConfigsRequest {
        resources: Vec<IncrementalAlterConfigsResource>, 0..;
        validate_only: bool, 0..;
    }

    /// Part of [`IncrementalAlterConfigsRequest`]: alter configs resource.
    pub struct IncrementalAlterConfigsResource {
        resource_type: i8, 0..;
        resource_name: Text, 0..;
        configs: Vec<IncrementalAlterableConfig>, 0..;
    }

    /// Part of [`IncrementalAlterConfigsRequest`]: alterable config. Operations: 0 set, 1 delete,
    /// 2 append, 3 subtract.
    pub struct IncrementalAlterableConfig {
        name: Text, 0..;
        config_operation: i8, 0..;
        value: Option<Text> = Some(Text::default()), 0..;
    }

    /// A result for each resource.
    pub struct IncrementalAlterConfigsResponse {
        throttle_time_ms: i32, 0..;
        responses: Vec<IncrementalAlterConfigsResourceResponse>, 0..;
    }

    /// Part of [`IncrementalAlterConfigsResponse`]: alter configs resource response.
    pub struct IncrementalAlterConfigsResourceResponse {
        error_code: i16, 0..;
        error_message: Option<Text> = Some(Text::default()), 0..;
        resource_type: i8, 0..;
        resource_name: Text, 0..;
    }
}
