//! DescribeConfigs: settings of topics and brokers with their sources.

use crate::text::Text;

api! { DescribeConfigs: DescribeConfigsRequest => DescribeConfigsResponse, versions 1..=4, flexible 4 }

fields! {
    /// Resources and keys; null keys ask for all.
    pub struct DescribeConfigsRequest {
        resources: Vec<DescribeConfigsResource>, 0..;
        include_synonyms: bool, 1..;
        include_documentation: bool, 3..;
    }

    /// Part of [`DescribeConfigsRequest`]: describe configs resource.
    pub struct DescribeConfigsResource {
        resource_type: i8, 0..;
        resource_name: Text, 0..;
        configuration_keys: Option<Vec<Text>> = Some(Vec::new()), 0..;
    }

    /// The settings of each resource.
    pub struct DescribeConfigsResponse {
        throttle_time_ms: i32, 0..;
        results: Vec<DescribeConfigsResult>, 0..;
    }

    /// Part of [`DescribeConfigsResponse`]: describe configs result.
    pub struct DescribeConfigsResult {
        error_code: i16, 0..;
        error_message: Option<Text> = Some(Text::default()), 0..;
        resource_type: i8, 0..;
        resource_name: Text, 0..;
        configs: Vec<DescribeConfigsResourceResult>, 0..;
    }

    /// Part of [`DescribeConfigsResponse`]: describe configs resource result.
    pub struct DescribeConfigsResourceResult {
        name: Text, 0..;
        value: Option<Text> = Some(Text::default()), 0..;
        read_only: bool, 0..;
        config_source: i8 = -1, 1..;
        is_sensitive: bool, 0..;
        synonyms: Vec<DescribeConfigsSynonym>, 1..;
        config_type: i8, 3.., ignorable(true);
        documentation: Option<Text> = Some(Text::default()), 3.., ignorable(true);
    }

    /// Part of [`DescribeConfigsResponse`]: describe configs synonym.
    pub struct DescribeConfigsSynonym {
        name: Text, 1..;
        value: Option<Text> = Some(Text::default()), 1..;
        source: i8, 1..;
    }
}
