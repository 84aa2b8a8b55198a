//! FindCoordinator: the broker that coordinates a group (key type 0) or a transactional id (1).

use crate::text::Text;

api! { FindCoordinator: FindCoordinatorRequest => FindCoordinatorResponse, versions 0..=6, flexible 3 }

fields! {
    /// Keys, several from version 4.
    pub struct FindCoordinatorRequest {
        key: Text, 0..=3;
        key_type: i8, 1..;
        coordinator_keys: Vec<Text>, 4..;
    }

    /// The coordinator of each key.
    pub struct FindCoordinatorResponse {
        throttle_time_ms: i32, 1.., ignorable(true);
        error_code: i16, 0..=3;
        error_message: Option<Text> = Some(Text::default()), 1..=3, ignorable(true);
        node_id: i32, 0..=3;
        host: Text, 0..=3;
        port: i32, 0..=3;
        coordinators: Vec<Coordinator>, 4..;
    }

    /// Part of [`FindCoordinatorResponse`]: coordinator.
    pub struct Coordinator {
        key: Text, 4..;
        node_id: i32, 4..;
        host: Text, 4..;
        port: i32, 4..;
        error_code: i16, 4..;
        error_message: Option<Text> = Some(Text::default()), 4.., ignorable(true);
    }
}
