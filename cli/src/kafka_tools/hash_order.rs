//! The order in which Kafka's tools list what they keep in hash tables.
//!
//! Invariant: scripts compare listings line by line, so the order is reproduced: buckets by the
//! hash of the name, within a bucket in order of arrival.

/// Java's hash of a text.
fn hash(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash: u32, unit| {
        hash.wrapping_mul(31).wrapping_add(unit.into())
    })
}

/// Java's hash of a partition of a topic.
fn hash_of_partition(topic: &str, partition: i32) -> u32 {
    let base = 31_u32.wrapping_add_signed(partition);
    base.wrapping_mul(31).wrapping_add(hash(topic))
}

fn bucket(hash: u32, table: usize) -> u32 {
    let mask = u32::try_from(table - 1).unwrap_or(u32::MAX);
    (hash ^ (hash >> 16)) & mask
}

/// Size of a table that grew from its smallest to hold this many entries.
fn grown_table(entries: usize) -> usize {
    let mut table = 16;
    while entries > table / 4 * 3 {
        table *= 2;
    }
    table
}

/// Orders as a table that grew from its smallest size.
pub(super) fn grown<T>(items: &mut [T], name: impl Fn(&T) -> &str) {
    let table = grown_table(items.len());
    items.sort_by_key(|item| bucket(hash(name(item)), table));
}

/// Orders partitions as a table that grew from its smallest size.
pub(super) fn grown_partitions<T>(items: &mut [T], name: impl Fn(&T) -> (&str, i32)) {
    let table = grown_table(items.len());
    items.sort_by_key(|item| {
        let (topic, partition) = name(item);
        bucket(hash_of_partition(topic, partition), table)
    });
}

/// Orders as a table that was made for this number of entries.
pub(super) fn sized<T>(items: &mut [T], name: impl Fn(&T) -> &str) {
    let mut table = items.len().next_power_of_two();
    if items.len() > table * 3 / 4 {
        table *= 2;
    }
    items.sort_by_key(|item| bucket(hash(name(item)), table));
}

#[cfg(test)]
mod tests {
    //! Orders seen in transcripts.

    use super::{grown, sized};

    #[test]
    fn groups_are_listed_as_a_grown_table() {
        let mut groups = ["active-group", "empty-group", "next-gen"];
        grown(&mut groups, |name| name);
        assert_eq!(groups, ["next-gen", "empty-group", "active-group"]);
    }

    #[test]
    fn topics_are_described_as_a_table_of_their_number() {
        let mut topics = [
            "audit",
            "defaults",
            "orders",
            "placed",
            "web.access",
            "web_errors",
        ];
        grown(&mut topics, |name| name);
        sized(&mut topics, |name| name);
        assert_eq!(
            topics,
            [
                "web.access",
                "orders",
                "placed",
                "defaults",
                "web_errors",
                "audit"
            ]
        );
    }
}
