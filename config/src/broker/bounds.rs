//! The ranges of the settings of groups, transactions and limits.
//!
//! **Invariant:** a violation names the setting and what it may be.

use std::net::IpAddr;

use super::Broker;
use crate::error::{Violation, require, within};

impl Broker {
    pub(super) fn check_groups(&self) -> Result<(), Violation> {
        within(
            "offsets_topic_num_partitions",
            self.offsets_topic_num_partitions,
            1..=10_000,
        )?;
        within(
            "offsets_retention_minutes",
            self.offsets_retention_minutes,
            1..=i32::MAX,
        )?;
        let check = self.offsets_retention_check_interval_ms;
        within("offsets_retention_check_interval_ms", check, 1..=86_400_000)?;
        within(
            "offset_metadata_max_bytes",
            self.offset_metadata_max_bytes,
            0..=i32::MAX,
        )?;
        let delay = self.group_initial_rebalance_delay_ms;
        within("group_initial_rebalance_delay_ms", delay, 0..=3_600_000)?;
        within(
            "group_min_session_timeout_ms",
            self.group_min_session_timeout_ms,
            1..=i32::MAX,
        )?;
        require(
            self.group_max_session_timeout_ms >= self.group_min_session_timeout_ms,
            "group_max_session_timeout_ms",
            format!(
                "must not be below group_min_session_timeout_ms ({}), is {}",
                self.group_min_session_timeout_ms, self.group_max_session_timeout_ms
            ),
        )?;
        within("group_max_size", self.group_max_size, 1..=i32::MAX)?;
        let consumer = self.group_consumer.check();
        consumer.map_err(|violation| violation.within("group_consumer"))
    }

    pub(super) fn check_transactions(&self) -> Result<(), Violation> {
        let partitions = self.transaction_state_log_num_partitions;
        let name = "transaction_state_log_num_partitions";
        within(name, partitions, 1..=10_000)?;
        let looks = [
            (
                "transaction_max_timeout_ms",
                self.transaction_max_timeout_ms,
            ),
            (
                "transactional_id_expiration_ms",
                self.transactional_id_expiration_ms,
            ),
            (
                "transaction_abort_timed_out_transaction_cleanup_interval_ms",
                self.transaction_abort_timed_out_transaction_cleanup_interval_ms,
            ),
            (
                "transaction_remove_expired_transaction_cleanup_interval_ms",
                self.transaction_remove_expired_transaction_cleanup_interval_ms,
            ),
        ];
        for (name, value) in looks {
            within(name, value, 1..=i32::MAX)?;
        }
        Ok(())
    }

    pub(super) fn check_limits(&self) -> Result<(), Violation> {
        within(
            "socket_request_max_bytes",
            self.socket_request_max_bytes,
            1024..=i32::MAX,
        )?;
        require(
            self.socket_request_max_bytes >= self.message_max_bytes,
            "socket_request_max_bytes",
            format!(
                "must hold a batch of message_max_bytes ({})",
                self.message_max_bytes
            ),
        )?;
        within(
            "decompressed_max_ratio",
            self.decompressed_max_ratio,
            1..=u32::MAX,
        )?;
        require(
            self.decompressed_max_bytes >= 1024 * 1024,
            "decompressed_max_bytes",
            "must be at least 1 MiB",
        )?;
        within("max_connections", self.max_connections, 1..=i32::MAX)?;
        within(
            "max_connections_per_ip",
            self.max_connections_per_ip,
            0..=i32::MAX,
        )?;
        let overrides = split_overrides(&self.max_connections_per_ip_overrides);
        if let Some(Err(problem)) = overrides.into_iter().find(Result::is_err) {
            let name = "max_connections_per_ip_overrides";
            return Err(Violation::new(name, problem));
        }
        within(
            "connections_max_idle_ms",
            self.connections_max_idle_ms,
            1..=u64::MAX,
        )?;
        let request = usize::try_from(self.socket_request_max_bytes).unwrap_or(0);
        require(
            self.queued_max_bytes >= request,
            "queued_max_bytes",
            format!("must hold one request of socket_request_max_bytes ({request})"),
        )?;
        within("fetch_max_bytes", self.fetch_max_bytes, 1024..=i32::MAX)?;
        within(
            "max_incremental_fetch_session_cache_slots",
            self.max_incremental_fetch_session_cache_slots,
            0..=i32::MAX,
        )?;
        within("quota_window_num", self.quota_window_num, 1..=3600)?;
        within(
            "quota_window_size_seconds",
            self.quota_window_size_seconds,
            1..=3600,
        )?;
        within(
            "producer_id_expiration_ms",
            self.producer_id_expiration_ms,
            1..=u64::MAX,
        )
    }
}

/// Reads `ADDRESS:COUNT,ADDRESS:COUNT`; an IPv6 address may stand in brackets.
pub(super) fn split_overrides(text: &str) -> Vec<Result<(IpAddr, i32), String>> {
    let items = text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty());
    let read = |item: &str| {
        let (address, count) = item.rsplit_once(':')?;
        let address = address.trim_matches(['[', ']']).parse().ok()?;
        let count = count.parse().ok().filter(|count| *count >= 0)?;
        Some((address, count))
    };
    items
        .map(|item| read(item).ok_or_else(|| format!("`{item}` is not ADDRESS:COUNT")))
        .collect()
}
