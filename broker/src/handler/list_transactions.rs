//! ListTransactions 0-2: the transactions of this coordinator (KIP-664). v1 filters by how long they
//! have been open (KIP-994), v2 by a pattern for their ids (KIP-1152). Step 7 of the hallway.

use std::sync::Arc;

use logway_protocol::message::list_transactions::{
    ListTransactionsRequest, ListTransactionsResponse, TransactionState,
};
use logway_protocol::{ErrorCode, Text};
use regex::{Regex, RegexBuilder};

use super::Header;
use crate::context::Context;
use crate::transaction::{Filter, State};

/// Names of states that Kafka knows and no transaction here is ever seen in.
const PASSING_STATES: [&str; 2] = ["Dead", "PrepareEpochFence"];
/// Most memory that a pattern may take: it comes from outside.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// Answers the transactions that pass the filters.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: ListTransactionsRequest,
) -> ListTransactionsResponse {
    let (mut states, mut unknown_state_filters) = (Vec::new(), Vec::new());
    let mut passing = false;
    for name in request.state_filters {
        match State::ALL.into_iter().find(|state| state.name() == &*name) {
            Some(state) => states.push(state),
            None if PASSING_STATES.contains(&&*name) => passing = true,
            None => unknown_state_filters.push(name),
        }
    }
    let pattern = request
        .transactional_id_pattern
        .filter(|text| !text.is_empty());
    let refuse = |error: ErrorCode| ListTransactionsResponse {
        error_code: error.code(),
        ..ListTransactionsResponse::default()
    };
    let Ok(pattern) = pattern.as_deref().map(compiled).transpose() else {
        return refuse(ErrorCode::InvalidRegularExpression);
    };
    // Only states were asked for in which there is nothing.
    let nothing = states.is_empty() && (passing || !unknown_state_filters.is_empty());
    let filter = Filter {
        states,
        producer_ids: request.producer_id_filters,
        longer_than_ms: request.duration_filter,
    };
    let listed = match context.transactions.list(&filter) {
        Ok(_) if nothing => Vec::new(),
        Ok(listed) => listed,
        Err(error) => return refuse(error),
    };
    let fits = |id: &str| pattern.as_ref().is_none_or(|pattern| pattern.is_match(id));
    let listed = listed.into_iter().filter(|of| fits(&of.id));
    ListTransactionsResponse {
        unknown_state_filters,
        transaction_states: listed
            .map(|of| TransactionState {
                transactional_id: Text::from(&*of.id),
                producer_id: of.producer_id,
                transaction_state: Text::from_static(of.state.name()),
            })
            .collect(),
        ..ListTransactionsResponse::default()
    }
}

/// A pattern that must fit the whole id.
fn compiled(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(PATTERN_BYTES_MAX)
        .build()
}
