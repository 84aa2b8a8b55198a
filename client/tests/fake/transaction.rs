//! The fake's transaction coordinator, under both protocols, as strict as Kafka about epochs.

use std::collections::{BTreeMap, BTreeSet};

use logway_protocol::error_code::ErrorCode;
use logway_protocol::message::add_offsets_to_txn::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse,
};
use logway_protocol::message::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    AddPartitionsToTxnTopicResult,
};
use logway_protocol::message::end_txn::{EndTxnRequest, EndTxnResponse};
use logway_protocol::message::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use logway_protocol::message::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
};

use super::Log;

/// First version of EndTxn that raises the epoch.
const V2: i16 = 5;

/// The one transactional id there is, and the offsets of the one group.
#[derive(Debug, Default)]
pub(crate) struct Coordinator {
    id: i64,
    epoch: i16,
    known: bool,
    /// The epoch before the last one, if the client raised it.
    raised: Option<i16>,
    ongoing: bool,
    partitions: BTreeSet<i32>,
    group: bool,
    pending: BTreeMap<i32, i64>,
    /// Epoch that asked for the last end, and how that was.
    last: Option<(i16, bool)>,
    /// Committed offsets.
    pub(crate) offsets: BTreeMap<i32, i64>,
    /// Transactions ended so.
    pub(crate) committed: usize,
}

impl Coordinator {
    fn check(&self, (id, epoch): (i64, i16)) -> Result<(), ErrorCode> {
        match (self.known && id == self.id, epoch == self.epoch) {
            (false, _) => Err(ErrorCode::InvalidProducerIdMapping),
            (true, false) => Err(ErrorCode::ProducerFenced),
            (true, true) => Ok(()),
        }
    }

    /// Whether a batch may be stored; under the second protocol its partition joins.
    pub(crate) fn admit(
        &mut self,
        partition: i32,
        (id, epoch): (i64, i16),
        v2: bool,
    ) -> Result<(), ErrorCode> {
        self.check((id, epoch))
            .map_err(|_| ErrorCode::InvalidProducerEpoch)?;
        if v2 {
            self.partitions.insert(partition);
            self.ongoing = true;
        }
        if self.ongoing && self.partitions.contains(&partition) {
            Ok(())
        } else {
            Err(ErrorCode::InvalidTxnState)
        }
    }

    pub(crate) fn init(
        &mut self,
        request: &InitProducerIdRequest,
        logs: &mut [Log],
    ) -> InitProducerIdResponse {
        let result = self.try_init(request, logs);
        InitProducerIdResponse {
            error_code: result.err().unwrap_or(ErrorCode::None).code(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            ..Default::default()
        }
    }

    fn try_init(
        &mut self,
        request: &InitProducerIdRequest,
        logs: &mut [Log],
    ) -> Result<(), ErrorCode> {
        if request.producer_id >= 0 {
            if self.raised == Some(request.producer_epoch) {
                return Ok(());
            }
            self.check((request.producer_id, request.producer_epoch))?;
        }
        if self.ongoing {
            self.finish(false, logs);
            self.last = None;
        }
        if self.known {
            self.raised = (request.producer_id >= 0).then_some(self.epoch);
            self.epoch += 1;
        } else {
            (self.known, self.id) = (true, 77);
        }
        Ok(())
    }

    pub(crate) fn add_partitions(
        &mut self,
        request: &AddPartitionsToTxnRequest,
    ) -> AddPartitionsToTxnResponse {
        let producer = (
            request.v3_and_below_producer_id,
            request.v3_and_below_producer_epoch,
        );
        let code = self.check(producer).err().unwrap_or(ErrorCode::None);
        let topics = request.v3_and_below_topics.iter().map(|topic| {
            if code == ErrorCode::None {
                self.ongoing = true;
                self.partitions.extend(&topic.partitions);
            }
            let partitions = topic.partitions.iter();
            AddPartitionsToTxnTopicResult {
                name: topic.name.clone(),
                results_by_partition: partitions
                    .map(|index| AddPartitionsToTxnPartitionResult {
                        partition_index: *index,
                        partition_error_code: code.code(),
                    })
                    .collect(),
            }
        });
        AddPartitionsToTxnResponse {
            results_by_topic_v3_and_below: topics.collect(),
            ..Default::default()
        }
    }

    pub(crate) fn add_group(
        &mut self,
        request: &AddOffsetsToTxnRequest,
    ) -> AddOffsetsToTxnResponse {
        let checked = self.check((request.producer_id, request.producer_epoch));
        if checked.is_ok() {
            (self.ongoing, self.group) = (true, true);
        }
        AddOffsetsToTxnResponse {
            error_code: checked.err().unwrap_or(ErrorCode::None).code(),
            ..Default::default()
        }
    }

    pub(crate) fn commit_offsets(
        &mut self,
        request: &TxnOffsetCommitRequest,
        version: i16,
    ) -> TxnOffsetCommitResponse {
        let mut checked = self.check((request.producer_id, request.producer_epoch));
        if checked.is_ok() && version >= V2 {
            (self.ongoing, self.group) = (true, true);
        }
        if checked.is_ok() && !self.group {
            checked = Err(ErrorCode::InvalidTxnState);
        }
        let code = checked.err().unwrap_or(ErrorCode::None);
        let topics = request.topics.iter().map(|topic| {
            for offset in &topic.partitions {
                if code == ErrorCode::None {
                    self.pending
                        .insert(offset.partition_index, offset.committed_offset);
                }
            }
            let partitions = topic.partitions.iter();
            TxnOffsetCommitResponseTopic {
                name: topic.name.clone(),
                partitions: partitions
                    .map(|offset| TxnOffsetCommitResponsePartition {
                        partition_index: offset.partition_index,
                        error_code: code.code(),
                    })
                    .collect(),
            }
        });
        TxnOffsetCommitResponse {
            topics: topics.collect(),
            ..Default::default()
        }
    }

    pub(crate) fn end(
        &mut self,
        request: &EndTxnRequest,
        version: i16,
        logs: &mut [Log],
    ) -> EndTxnResponse {
        let result = self.try_end(request, version >= V2, logs);
        let next = version >= V2 && result.is_ok();
        EndTxnResponse {
            error_code: result.err().unwrap_or(ErrorCode::None).code(),
            producer_id: if next { self.id } else { -1 },
            producer_epoch: if next { self.epoch } else { -1 },
            ..Default::default()
        }
    }

    fn try_end(
        &mut self,
        request: &EndTxnRequest,
        v2: bool,
        logs: &mut [Log],
    ) -> Result<(), ErrorCode> {
        let asked = (request.producer_epoch, request.committed);
        if !self.ongoing && self.last == Some(asked) && request.producer_id == self.id {
            return Ok(());
        }
        self.check((request.producer_id, request.producer_epoch))?;
        if !self.ongoing && (request.committed || !v2) {
            return Err(ErrorCode::InvalidTxnState);
        }
        if v2 {
            // The markers carry the next epoch, which fences whatever is still on its way.
            self.epoch += 1;
        }
        self.finish(request.committed, logs);
        self.last = Some(asked);
        self.raised = None;
        Ok(())
    }

    fn finish(&mut self, commit: bool, logs: &mut [Log]) {
        for partition in std::mem::take(&mut self.partitions) {
            logs[usize::try_from(partition).unwrap()].end_transaction(self.id, self.epoch, commit);
        }
        let pending = std::mem::take(&mut self.pending);
        if commit {
            self.offsets.extend(pending);
        }
        self.committed += usize::from(commit);
        (self.ongoing, self.group) = (false, false);
    }
}
