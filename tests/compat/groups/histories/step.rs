//! What an actor may ask, told so that it means the same to both brokers: ids that a broker draws
//! are named by the order in which they appeared.

/// A member: one whose id the broker drew, or one that names itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Who {
    Nth(usize),
    Named(&'static str),
}

/// A producer id: one that the broker gave, or one that it never did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Pid {
    Nth(usize),
    Lie(i64),
}

/// What a member says that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owned {
    Nothing,
    /// What it was last told to have.
    Last,
    /// Without one partition of it.
    Less,
    /// Partition 0 of `pears`.
    Pear,
    /// A topic that there is not.
    Unknown,
}

/// Who speaks for a group's member; what does not fit the version is left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seat {
    pub(super) group: usize,
    pub(super) who: Who,
    pub(super) generation: i32,
    pub(super) instance: Option<&'static str>,
}

/// Who speaks for a transactional id.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Writer {
    pub(super) id: Option<usize>,
    pub(super) pid: Pid,
    pub(super) epoch: i16,
}

/// A partition: topic 0 is the sequence's own, 1 is `pears`, 2 does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place(pub(super) usize, pub(super) i32);

pub(super) type Names = &'static [&'static str];

/// One request; `v` is its version.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Join {
        v: i16,
        seat: Seat,
        kind: &'static str,
        protocols: Names,
        topics: Names,
        session_ms: i32,
        rebalance_ms: i32,
    },
    Sync {
        v: i16,
        seat: Seat,
        kind: Option<&'static str>,
        protocol: Option<&'static str>,
        assignments: Vec<(Who, &'static str)>,
    },
    Heartbeat {
        v: i16,
        seat: Seat,
    },
    Leave {
        v: i16,
        group: usize,
        members: Vec<(Who, Option<&'static str>)>,
    },
    Commit {
        v: i16,
        seat: Seat,
        place: Place,
        offset: i64,
        leader_epoch: i32,
        metadata: Option<usize>,
    },
    Offsets {
        v: i16,
        seat: Seat,
        all: bool,
        stable: bool,
    },
    DeleteOffsets {
        group: usize,
        place: Place,
    },
    DeleteGroups {
        v: i16,
        groups: Vec<usize>,
    },
    Beat {
        v: i16,
        seat: Seat,
        rack: Option<&'static str>,
        rebalance_ms: i32,
        topics: Option<Names>,
        regex: Option<&'static str>,
        assignor: Option<&'static str>,
        owned: Option<Owned>,
    },
    DescribeConsumer {
        v: i16,
        group: usize,
    },
    DescribeClassic {
        v: i16,
        group: usize,
    },
    ListGroups {
        v: i16,
        states: Names,
        types: Names,
    },
    Coordinator {
        v: i16,
        key: &'static str,
        kind: i8,
    },
    Init {
        v: i16,
        by: Writer,
        timeout_ms: i32,
    },
    Add {
        v: i16,
        by: Writer,
        places: Vec<Place>,
        verify: bool,
    },
    AddOffsets {
        v: i16,
        by: Writer,
        group: usize,
    },
    TxnCommit {
        v: i16,
        by: Writer,
        seat: Seat,
        place: Place,
        offset: i64,
    },
    Produce {
        v: i16,
        by: Writer,
        sequence: i32,
        place: Place,
        transactional: bool,
    },
    End {
        v: i16,
        by: Writer,
        commit: bool,
    },
    Mark {
        v: i16,
        by: Writer,
        commit: bool,
        place: Place,
        coordinator_epoch: i32,
        transaction_version: i8,
    },
    ListTransactions {
        v: i16,
        states: Names,
        of: Option<Pid>,
    },
    DescribeTransaction {
        id: usize,
    },
    Producers {
        place: Place,
    },
    Read {
        place: Place,
    },
}

impl Step {
    /// Whether the answer may have to wait for others.
    pub(super) fn may_wait(&self) -> bool {
        matches!(self, Step::Join { .. } | Step::Sync { .. })
    }

    /// Whether work in the background may follow.
    pub(super) fn ends_transactions(&self) -> bool {
        matches!(self, Step::Init { .. } | Step::End { .. })
    }
}
