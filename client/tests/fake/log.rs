//! One partition of the fake: its records, and the numbers of its producers as Kafka checks them.

use std::collections::{HashMap, VecDeque};

use bytes::{Bytes, BytesMut};
use logway_protocol::batch::{BatchHeader, set_base_offset, verify_crc};
use logway_protocol::error_code::ErrorCode;
use logway_protocol::record::decode_records;

/// Batches per producer that are recognised as repeats.
const REMEMBERED: usize = 5;

#[derive(Debug, Default)]
pub(crate) struct Log {
    batches: Vec<(i64, Bytes)>,
    end: i64,
    producers: HashMap<i64, Producer>,
    /// Ends of transactions: offset, producer, whether it is a commit.
    markers: Vec<(i64, i64, bool)>,
    /// Refuse a producer that is not known and does not begin at 0. Kafka before 2.5 did; later
    /// ones take any number from a producer they do not know.
    pub(crate) is_strict: bool,
}

#[derive(Debug)]
struct Producer {
    epoch: i16,
    /// First and last number, and the offset.
    last: VecDeque<(i32, i32, i64)>,
}

impl Log {
    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    pub(crate) fn forget_producers(&mut self) {
        self.producers.clear();
    }

    pub(crate) fn append(&mut self, bytes: &Bytes) -> Result<i64, ErrorCode> {
        let header = BatchHeader::decode(bytes).map_err(|_| ErrorCode::CorruptMessage)?;
        verify_crc(bytes).map_err(|_| ErrorCode::CorruptMessage)?;
        assert_eq!(
            header.total_size(),
            bytes.len(),
            "exactly one batch per partition"
        );
        let offset = self.end;
        if header.has_producer() {
            let (first, last) = (header.base_sequence, header.last_sequence());
            if let Some(known) = self.repeat(&header) {
                return Ok(known);
            }
            self.check_numbers(&header)?;
            let producer = self
                .producers
                .entry(header.producer_id)
                .or_insert_with(|| Producer {
                    epoch: header.producer_epoch,
                    last: VecDeque::new(),
                });
            if producer.epoch != header.producer_epoch {
                *producer = Producer {
                    epoch: header.producer_epoch,
                    last: VecDeque::new(),
                };
            }
            producer.last.push_back((first, last, offset));
            if producer.last.len() > REMEMBERED {
                producer.last.pop_front();
            }
        }
        let mut stored = BytesMut::from(&**bytes);
        set_base_offset(&mut stored, offset).unwrap();
        self.batches.push((offset, stored.freeze()));
        self.end += i64::from(header.record_count);
        Ok(offset)
    }

    fn repeat(&self, header: &BatchHeader) -> Option<i64> {
        let producer = self.producers.get(&header.producer_id)?;
        let (first, last) = (header.base_sequence, header.last_sequence());
        let known = producer
            .last
            .iter()
            .find(|known| (known.0, known.1) == (first, last));
        known
            .filter(|_| producer.epoch == header.producer_epoch)
            .map(|known| known.2)
    }

    fn check_numbers(&self, header: &BatchHeader) -> Result<(), ErrorCode> {
        match self.producers.get(&header.producer_id) {
            None if header.base_sequence != 0 && self.is_strict => {
                Err(ErrorCode::UnknownProducerId)
            }
            None => Ok(()),
            Some(known) if header.producer_epoch < known.epoch => {
                Err(ErrorCode::InvalidProducerEpoch)
            }
            Some(known) if header.producer_epoch > known.epoch => match header.base_sequence {
                0 => Ok(()),
                _ => Err(ErrorCode::OutOfOrderSequenceNumber),
            },
            Some(known) => match known.last.back() {
                Some((_, last, _)) if header.base_sequence == last + 1 => Ok(()),
                _ => Err(ErrorCode::OutOfOrderSequenceNumber),
            },
        }
    }

    /// Whole batches from the one with `offset` on, the last cut off where `max` is.
    pub(crate) fn read(&self, offset: i64, max: usize) -> Bytes {
        let mut out = BytesMut::new();
        for (base, batch) in &self.batches {
            let next = BatchHeader::decode(batch).unwrap().record_count;
            if base + i64::from(next) > offset {
                out.extend_from_slice(batch);
                if out.len() > max {
                    let whole = out.len() - batch.len();
                    out.truncate(if whole == 0 { batch.len() } else { max });
                    break;
                }
            }
        }
        out.freeze()
    }

    pub(crate) fn values(&self) -> Vec<String> {
        let mut values = Vec::new();
        for (_, batch) in &self.batches {
            for record in decode_records(batch, usize::MAX).unwrap() {
                values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
            }
        }
        values
    }

    /// Writes a marker; batches of an older epoch that are still on their way are fenced by it.
    pub(crate) fn end_transaction(&mut self, id: i64, epoch: i16, commit: bool) {
        if let Some(producer) = self.producers.get_mut(&id)
            && producer.epoch != epoch
        {
            *producer = Producer {
                epoch,
                last: VecDeque::new(),
            };
        }
        self.markers.push((self.end, id, commit));
        self.end += 1;
    }

    /// Values as readers of committed records see them.
    pub(crate) fn committed(&self) -> Vec<String> {
        let mut values = Vec::new();
        for (offset, batch) in &self.batches {
            let header = BatchHeader::decode(batch).unwrap();
            let mut markers = self.markers.iter();
            let marker = markers.find(|(at, id, _)| at > offset && *id == header.producer_id);
            if !header.is_transactional() || marker.is_some_and(|(_, _, commit)| *commit) {
                for record in decode_records(batch, usize::MAX).unwrap() {
                    values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
                }
            }
        }
        values
    }

    /// Bytes of every batch.
    pub(crate) fn batches(&self) -> Vec<Bytes> {
        self.batches
            .iter()
            .map(|(_, batch)| batch.clone())
            .collect()
    }
}
