//! Every message, one file per API, and the table of them.
//!
//! To add an API: write its file in the form of `description`, add its line to `apis!` below.

use std::ops::RangeInclusive;

use bytes::{Bytes, BytesMut};

use crate::api_key::ApiKey;
use crate::codec::{DecodeError, Decoder, EncodeError, Encoder, Hole, bytes_of};
use crate::wire::Wire;

pub mod add_offsets_to_txn;
pub mod add_partitions_to_txn;
pub mod alter_client_quotas;
pub mod alter_configs;
pub mod alter_partition_reassignments;
pub mod api_versions;
pub mod consumer_group_describe;
pub mod consumer_group_heartbeat;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_client_quotas;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_groups;
pub mod describe_log_dirs;
pub mod describe_producers;
pub mod describe_quorum;
pub mod describe_topic_partitions;
pub mod describe_transactions;
pub mod describe_user_scram_credentials;
pub mod elect_leaders;
pub mod end_txn;
pub mod fetch;
pub mod find_coordinator;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_config_resources;
pub mod list_groups;
pub mod list_offsets;
pub mod list_partition_reassignments;
pub mod list_transactions;
pub mod metadata;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod record;
pub mod sync_group;
pub mod txn_offset_commit;
pub mod update_features;
pub mod write_txn_markers;

/// A structure that stands alone: it knows its versions.
pub trait Message: Wire + Default + Clone + std::fmt::Debug + PartialEq {
    /// Kafka's name of the message.
    const NAME: &'static str;
    /// Versions described here.
    const VERSIONS: RangeInclusive<i16>;
    /// First flexible version (KIP-482), `i16::MAX` if there is none.
    const FLEXIBLE_FROM: i16;

    /// Whether `version` is flexible.
    fn is_flexible(version: i16) -> bool {
        version >= Self::FLEXIBLE_FROM
    }

    /// Appends the message in `version` to `buf`.
    ///
    /// # Errors
    /// The version is unknown or cannot carry what is set.
    fn write(&self, buf: &mut BytesMut, version: i16) -> Result<(), EncodeError> {
        match bytes_of(&self.write_outline(buf, version)?) {
            0 => Ok(()),
            elsewhere => Err(EncodeError::Elsewhere(elsewhere)),
        }
    }

    /// As [`Message::write`], but bytes may be elsewhere: returns where they belong, counted from
    /// the start of `buf`.
    ///
    /// # Errors
    /// See [`Message::write`].
    fn write_outline(&self, buf: &mut BytesMut, version: i16) -> Result<Vec<Hole>, EncodeError> {
        if !Self::VERSIONS.contains(&version) {
            return Err(EncodeError::Version {
                message: Self::NAME,
                version,
            });
        }
        let mut out = Encoder::new(std::mem::take(buf), version, Self::is_flexible(version));
        let written = self.encode(&mut out);
        let (bytes, holes) = out.into_outline();
        *buf = bytes;
        written.map(|()| holes)
    }

    /// The message's bytes in `version`.
    ///
    /// # Errors
    /// See [`Message::write`].
    fn encode_version(&self, version: i16) -> Result<Bytes, EncodeError> {
        let mut buf = BytesMut::new();
        self.write(&mut buf, version)?;
        Ok(buf.freeze())
    }

    /// Reads a message that takes up all of `bytes`.
    ///
    /// # Errors
    /// The version is unknown, or the bytes are not such a message.
    fn decode_version(bytes: Bytes, version: i16) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return Err(DecodeError::Version {
                message: Self::NAME,
                version,
            });
        }
        let mut input = Decoder::new(bytes, version, Self::is_flexible(version));
        let message = Self::decode(&mut input)?;
        match input.remaining() {
            0 => Ok(message),
            left => Err(DecodeError::Trailing(left)),
        }
    }
}

/// A request: a message with a key and a response.
pub trait Request: Message {
    /// The API.
    const KEY: ApiKey;
    /// What answers it, in the same version.
    type Response: Message;
}

/// The table of APIs that are described here.
macro_rules! apis {
    ($($key:ident: $request:ty;)*) => {
        impl ApiKey {
            /// Versions described here; `None` if the API is not.
            pub fn versions(self) -> Option<RangeInclusive<i16>> {
                match self {
                    $(Self::$key => Some(<$request>::VERSIONS),)*
                    _ => None,
                }
            }

            /// First flexible version; `i16::MAX` if there is none.
            pub fn flexible_from(self) -> i16 {
                match self {
                    $(Self::$key => <$request>::FLEXIBLE_FROM,)*
                    _ => i16::MAX,
                }
            }
        }

        /// Decodes the body of any request and encodes it again: what a fuzzer calls.
        ///
        /// # Errors
        /// The bytes are not such a request.
        pub fn decode_any_request(
            key: ApiKey,
            version: i16,
            body: Bytes,
        ) -> Result<Box<dyn std::fmt::Debug>, DecodeError> {
            match key {
                $(ApiKey::$key => Ok(Box::new(<$request>::decode_version(body, version)?)),)*
                _ => Err(DecodeError::ApiKey(key.code())),
            }
        }
    };
}

apis! {
    ApiVersions: api_versions::ApiVersionsRequest;
    Metadata: metadata::MetadataRequest;
    Produce: produce::ProduceRequest;
    Fetch: fetch::FetchRequest;
    ListOffsets: list_offsets::ListOffsetsRequest;
    CreateTopics: create_topics::CreateTopicsRequest;
    DeleteTopics: delete_topics::DeleteTopicsRequest;
    FindCoordinator: find_coordinator::FindCoordinatorRequest;
    JoinGroup: join_group::JoinGroupRequest;
    SyncGroup: sync_group::SyncGroupRequest;
    Heartbeat: heartbeat::HeartbeatRequest;
    LeaveGroup: leave_group::LeaveGroupRequest;
    OffsetCommit: offset_commit::OffsetCommitRequest;
    OffsetFetch: offset_fetch::OffsetFetchRequest;
    OffsetForLeaderEpoch: offset_for_leader_epoch::OffsetForLeaderEpochRequest;
    ListGroups: list_groups::ListGroupsRequest;
    DescribeGroups: describe_groups::DescribeGroupsRequest;
    InitProducerId: init_producer_id::InitProducerIdRequest;
    DescribeCluster: describe_cluster::DescribeClusterRequest;
    DescribeConfigs: describe_configs::DescribeConfigsRequest;
    AlterConfigs: alter_configs::AlterConfigsRequest;
    IncrementalAlterConfigs: incremental_alter_configs::IncrementalAlterConfigsRequest;
    DeleteRecords: delete_records::DeleteRecordsRequest;
    AddPartitionsToTxn: add_partitions_to_txn::AddPartitionsToTxnRequest;
    AddOffsetsToTxn: add_offsets_to_txn::AddOffsetsToTxnRequest;
    EndTxn: end_txn::EndTxnRequest;
    WriteTxnMarkers: write_txn_markers::WriteTxnMarkersRequest;
    TxnOffsetCommit: txn_offset_commit::TxnOffsetCommitRequest;
    DescribeLogDirs: describe_log_dirs::DescribeLogDirsRequest;
    CreatePartitions: create_partitions::CreatePartitionsRequest;
    DeleteGroups: delete_groups::DeleteGroupsRequest;
    ElectLeaders: elect_leaders::ElectLeadersRequest;
    AlterPartitionReassignments: alter_partition_reassignments::AlterPartitionReassignmentsRequest;
    ListPartitionReassignments: list_partition_reassignments::ListPartitionReassignmentsRequest;
    OffsetDelete: offset_delete::OffsetDeleteRequest;
    DescribeClientQuotas: describe_client_quotas::DescribeClientQuotasRequest;
    AlterClientQuotas: alter_client_quotas::AlterClientQuotasRequest;
    DescribeQuorum: describe_quorum::DescribeQuorumRequest;
    DescribeUserScramCredentials: describe_user_scram_credentials::DescribeUserScramCredentialsRequest;
    UpdateFeatures: update_features::UpdateFeaturesRequest;
    DescribeProducers: describe_producers::DescribeProducersRequest;
    DescribeTransactions: describe_transactions::DescribeTransactionsRequest;
    ListTransactions: list_transactions::ListTransactionsRequest;
    ConsumerGroupHeartbeat: consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;
    ConsumerGroupDescribe: consumer_group_describe::ConsumerGroupDescribeRequest;
    ListConfigResources: list_config_resources::ListConfigResourcesRequest;
    DescribeTopicPartitions: describe_topic_partitions::DescribeTopicPartitionsRequest;
}

#[cfg(test)]
mod tests;
