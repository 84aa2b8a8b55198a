//! DeleteTopics: the end of topics, by name or, from version 6, by id.

use crate::text::Text;
use crate::uuid::Uuid;

api! { DeleteTopics: DeleteTopicsRequest => DeleteTopicsResponse, versions 1..=6, flexible 4 }

fields! {
    /// Which topics.
    pub struct DeleteTopicsRequest {
        topics: Vec<DeleteTopicState>, 6..;
        topic_names: Vec<Text>, 0..=5, ignorable(true);
        timeout_ms: i32, 0..;
    }

    /// Part of [`DeleteTopicsRequest`]: delete topic state.
    pub struct DeleteTopicState {
        name: Option<Text>, 6..;
        topic_id: Uuid, 6..;
    }

    /// A result for each topic.
    pub struct DeleteTopicsResponse {
        throttle_time_ms: i32, 1..;
        responses: Vec<DeletableTopicResult>, 0..;
    }

    /// Part of [`DeleteTopicsResponse`]: deletable topic result.
    pub struct DeletableTopicResult {
        name: Option<Text> = Some(Text::default()), 0.., nullable(6..);
        topic_id: Uuid, 6.., ignorable(true);
        error_code: i16, 0..;
        error_message: Option<Text>, 5.., ignorable(true);
    }
}
