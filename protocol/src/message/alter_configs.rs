//! AlterConfigs: all settings of a resource at once; what is not named goes back to its default.

use crate::text::Text;

api! { AlterConfigs: AlterConfigsRequest => AlterConfigsResponse, versions 0..=2, flexible 2 }

fields! {
    /// The settings that topics and brokers are to have.
    pub struct AlterConfigsRequest {
        resources: Vec<AlterConfigsResource>, 0..;
        validate_only: bool, 0..;
    }

    /// Part of [`AlterConfigsRequest`]: alter configs resource.
    pub struct AlterConfigsResource {
        resource_type: i8, 0..;
        resource_name: Text, 0..;
        configs: Vec<AlterableConfig>, 0..;
    }

    /// Part of [`AlterConfigsRequest`]: alterable config.
    pub struct AlterableConfig {
        name: Text, 0..;
        value: Option<Text> = Some(Text::default()), 0..;
    }

    /// A result for each resource.
    pub struct AlterConfigsResponse {
        throttle_time_ms: i32, 0..;
        responses: Vec<AlterConfigsResourceResponse>, 0..;
    }

    /// Part of [`AlterConfigsResponse`]: alter configs resource response.
    pub struct AlterConfigsResourceResponse {
        error_code: i16, 0..;
        error_message: Option<Text> = Some(Text::default()), 0..;
        resource_type: i8, 0..;
        resource_name: Text, 0..;
    }
}
