//! ListConfigResources: names of things that have settings (KIP-714, KIP-1142).

use crate::text::Text;

api! { ListConfigResources: ListConfigResourcesRequest => ListConfigResourcesResponse, versions 0..=1, flexible 0 }

fields! {
    /// Kinds asked for.
    pub struct ListConfigResourcesRequest {
        resource_types: Vec<i8>, 1..;
    }

    /// Their names.
    pub struct ListConfigResourcesResponse {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        config_resources: Vec<ConfigResource>, 0..;
    }

    /// Part of [`ListConfigResourcesResponse`]: config resource.
    pub struct ConfigResource {
        resource_name: Text, 0..;
        resource_type: i8 = 16, 1.., ignorable(true);
    }
}
