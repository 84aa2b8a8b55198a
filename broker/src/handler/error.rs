//! The only map from this broker's errors to Kafka's error codes.
//! Invariant: a code tells the client what to do (retry, look again, give up) as Kafka's own would.
//! Step 7 of the hallway.

use logway_journal::ReadError;
use logway_protocol::ErrorCode;
use logway_protocol::walk::Missed;

use crate::metadata::{
    AlterError, CreateTopicError, DeleteTopicError, FeatureError, GrowthError, MetadataError,
    QuotaError, ReassignmentError, ResourceError, TopicError,
};
use crate::partition::{
    AppendError, Availability, BatchRefusal, DeleteRecordsError, SequenceError,
};

/// An error as clients see it.
pub(crate) trait Code {
    /// Kafka's code.
    fn code(&self) -> ErrorCode;
}

impl Code for BatchRefusal {
    fn code(&self) -> ErrorCode {
        match self {
            BatchRefusal::TooLarge { .. } | BatchRefusal::Unpacked { .. } => {
                ErrorCode::MessageTooLarge
            }
            BatchRefusal::Corrupt(_) | BatchRefusal::Length(_) | BatchRefusal::UnknownMagic(_) => {
                ErrorCode::CorruptMessage
            }
            BatchRefusal::ZstdTooEarly(_) | BatchRefusal::Codec(_) => {
                ErrorCode::UnsupportedCompressionType
            }
            BatchRefusal::Epoch(_) => ErrorCode::InvalidProducerEpoch,
            BatchRefusal::Timestamp(_) => ErrorCode::InvalidTimestamp,
            BatchRefusal::Rejected(records) if records.iter().any(is_about_time) => {
                ErrorCode::InvalidTimestamp
            }
            BatchRefusal::Rejected(_)
            | BatchRefusal::NoBatch
            | BatchRefusal::MoreThanOne
            | BatchRefusal::Magic(_)
            | BatchRefusal::BaseOffset(_)
            | BatchRefusal::Count { .. }
            | BatchRefusal::Control
            | BatchRefusal::Sequence(_)
            | BatchRefusal::Records(_) => ErrorCode::InvalidRecord,
        }
    }
}

/// One such record gives the whole batch its code, as in Kafka.
fn is_about_time((_, missed): &(i32, Missed)) -> bool {
    matches!(missed, Missed::Timestamp(_))
}

impl Code for SequenceError {
    fn code(&self) -> ErrorCode {
        match self {
            SequenceError::Fenced { .. } => ErrorCode::InvalidProducerEpoch,
            SequenceError::OutOfOrder { .. } | SequenceError::NewEpochNotAtZero { .. } => {
                ErrorCode::OutOfOrderSequenceNumber
            }
            SequenceError::NotTransactional { .. } => ErrorCode::InvalidTxnState,
            SequenceError::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        }
    }
}

impl Code for AppendError {
    fn code(&self) -> ErrorCode {
        match self {
            AppendError::Deleted => ErrorCode::UnknownTopicOrPartition,
            AppendError::Closed => ErrorCode::NotLeaderOrFollower,
            AppendError::Sequence(error) => error.code(),
            AppendError::NotInTransaction => ErrorCode::InvalidTxnState,
            AppendError::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
            AppendError::Failed | AppendError::DiskFull(_) | AppendError::Journal(_) => {
                ErrorCode::KafkaStorageError
            }
        }
    }
}

impl Code for ReadError {
    fn code(&self) -> ErrorCode {
        match self {
            ReadError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            ReadError::Corrupt { .. } => ErrorCode::CorruptMessage,
            ReadError::Disk(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl Code for MetadataError {
    fn code(&self) -> ErrorCode {
        match self {
            MetadataError::Stopped => ErrorCode::NotController,
            MetadataError::Failed => ErrorCode::KafkaStorageError,
        }
    }
}

impl Code for CreateTopicError {
    fn code(&self) -> ErrorCode {
        match self {
            CreateTopicError::Exists(_) => ErrorCode::TopicAlreadyExists,
            CreateTopicError::Name(_) | CreateTopicError::Collision { .. } => {
                ErrorCode::InvalidTopicException
            }
            CreateTopicError::PartitionsNotPositive | CreateTopicError::TooManyPartitions(_) => {
                ErrorCode::InvalidPartitions
            }
            CreateTopicError::ReplicationNotPositive | CreateTopicError::ReplicationTooHigh(_) => {
                ErrorCode::InvalidReplicationFactor
            }
            CreateTopicError::Reserved(_)
            | CreateTopicError::AssignmentWithReplication
            | CreateTopicError::AssignmentWithPartitions => ErrorCode::InvalidRequest,
            CreateTopicError::Assignment(_) => ErrorCode::InvalidReplicaAssignment,
            CreateTopicError::Setting(_) => ErrorCode::InvalidConfig,
        }
    }
}

impl Code for AlterError {
    fn code(&self) -> ErrorCode {
        match self {
            AlterError::NoName(_) => ErrorCode::InvalidRequest,
            AlterError::Name(_) => ErrorCode::InvalidTopicException,
            AlterError::UnknownTopic(_) => ErrorCode::UnknownTopicOrPartition,
            AlterError::NotAList { .. } | AlterError::Setting(_) => ErrorCode::InvalidConfig,
            AlterError::Resource(error) => error.code(),
        }
    }
}

impl Code for ResourceError {
    fn code(&self) -> ErrorCode {
        match self {
            ResourceError::Fixed(_)
            | ResourceError::Value { .. }
            | ResourceError::Bounds(_)
            | ResourceError::Interval(_)
            | ResourceError::NoSubscription
            | ResourceError::UnknownOfMetrics(_)
            | ResourceError::Kind(_) => ErrorCode::InvalidRequest,
            ResourceError::MinIsrOfBroker
            | ResourceError::MinIsrRemoved
            | ResourceError::UnknownOfGroup(_)
            | ResourceError::Group(_)
            | ResourceError::Pattern(_)
            | ResourceError::UnknownOfBroker(_) => ErrorCode::InvalidConfig,
        }
    }
}

impl Code for GrowthError {
    fn code(&self) -> ErrorCode {
        match self {
            GrowthError::UnknownTopic => ErrorCode::UnknownTopicOrPartition,
            GrowthError::SameCount(_) | GrowthError::Fewer { .. } | GrowthError::TooMany(_) => {
                ErrorCode::InvalidPartitions
            }
            GrowthError::AssignmentCount { .. } | GrowthError::Assignment(_) => {
                ErrorCode::InvalidReplicaAssignment
            }
        }
    }
}

impl Code for ReassignmentError {
    fn code(&self) -> ErrorCode {
        match self {
            ReassignmentError::UnknownTopic(_) | ReassignmentError::UnknownPartition { .. } => {
                ErrorCode::UnknownTopicOrPartition
            }
            ReassignmentError::NoneInProgress => ErrorCode::NoReassignmentInProgress,
            ReassignmentError::Assignment(_) => ErrorCode::InvalidReplicaAssignment,
        }
    }
}

impl Code for FeatureError {
    fn code(&self) -> ErrorCode {
        match self {
            FeatureError::Update { .. } | FeatureError::Metadata { .. } => {
                ErrorCode::InvalidUpdateVersion
            }
            FeatureError::Repeated(_) => ErrorCode::InvalidRequest,
        }
    }
}

impl Code for QuotaError {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidRequest
    }
}

impl Code for DeleteRecordsError {
    fn code(&self) -> ErrorCode {
        match self {
            DeleteRecordsError::Policy => ErrorCode::PolicyViolation,
            DeleteRecordsError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            DeleteRecordsError::Unavailable(availability) => of_availability(*availability),
            DeleteRecordsError::Log(_) | DeleteRecordsError::Checkpoint(_) => {
                ErrorCode::KafkaStorageError
            }
        }
    }
}

impl Code for TopicError {
    fn code(&self) -> ErrorCode {
        match self {
            TopicError::Refused(error) => error.code(),
            TopicError::Random(_) => ErrorCode::UnknownServerError,
            TopicError::Metadata(error) => error.code(),
        }
    }
}

impl Code for DeleteTopicError {
    fn code(&self) -> ErrorCode {
        match self {
            DeleteTopicError::Unknown => ErrorCode::UnknownTopicOrPartition,
            DeleteTopicError::Metadata(error) => error.code(),
        }
    }
}

/// What a partition that does not serve answers.
pub(crate) fn of_availability(availability: Availability) -> ErrorCode {
    match availability {
        Availability::Online => ErrorCode::None,
        Availability::Failed => ErrorCode::KafkaStorageError,
        Availability::Deleted => ErrorCode::UnknownTopicOrPartition,
        Availability::Closed => ErrorCode::NotLeaderOrFollower,
    }
}

/// Whether the leader epoch a client knows (-1: none) is this partition's.
pub(crate) fn of_leader_epoch(known: i32, current: i32) -> ErrorCode {
    match known {
        epoch if epoch < 0 || epoch == current => ErrorCode::None,
        epoch if epoch < current => ErrorCode::FencedLeaderEpoch,
        _ => ErrorCode::UnknownLeaderEpoch,
    }
}
