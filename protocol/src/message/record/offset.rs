//! Records of `__consumer_offsets`: committed offsets and the state of classic groups.
//! A key begins with its version as an i16: 0 and 1 are offsets, 2 is a group.

use bytes::Bytes;

use crate::text::Text;
use crate::uuid::Uuid;

data! { OffsetCommitKey, versions 0..=1, flexible never }
data! { OffsetCommitValue, versions 0..=4, flexible 4 }
data! { GroupMetadataKey, versions 2..=2, flexible never }
data! { GroupMetadataValue, versions 0..=4, flexible 4 }

fields! {
    /// Key of a committed offset (versions 0 and 1 are alike).
    pub struct OffsetCommitKey {
        group: Text, 0..;
        topic: Text, 0..;
        partition: i32, 0..;
    }

    /// A committed offset.
    pub struct OffsetCommitValue {
        offset: i64, 0..;
        leader_epoch: i32 = -1, 3.., ignorable(true);
        metadata: Text, 0..;
        commit_timestamp: i64, 0..;
        expire_timestamp: i64 = -1, 1..=1, ignorable(true);
        topic_id: Uuid, 4.., tag(0), ignorable(true);
    }

    /// Key of a group's state.
    pub struct GroupMetadataKey {
        group: Text, 0..;
    }

    /// A classic group's generation with its members.
    pub struct GroupMetadataValue {
        protocol_type: Text, 0..;
        generation: i32, 0..;
        protocol: Option<Text> = Some(Text::default()), 0..;
        leader: Option<Text> = Some(Text::default()), 0..;
        current_state_timestamp: i64 = -1, 2.., ignorable(true);
        members: Vec<MemberMetadata>, 0..;
    }

    /// Part of [`GroupMetadataValue`]: member metadata.
    pub struct MemberMetadata {
        member_id: Text, 0..;
        group_instance_id: Option<Text>, 3.., ignorable(true);
        client_id: Text, 0..;
        client_host: Text, 0..;
        rebalance_timeout: i32 = -1, 1.., ignorable(true);
        session_timeout: i32, 0..;
        subscription: Bytes, 0..;
        assignment: Bytes, 0..;
    }
}
