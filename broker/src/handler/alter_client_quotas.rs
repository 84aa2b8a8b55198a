//! AlterClientQuotas 0-1: sets and removes quotas of users, clients and addresses (KIP-546); a verdict
//! for each entity. They hold for the next request.

use std::sync::Arc;

use logway_protocol::message::alter_client_quotas::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, AlterClientQuotasResponseEntityData,
    AlterClientQuotasResponseEntryData, EntryData,
};
use logway_protocol::{ErrorCode, Text};
use tracing::info;

use super::Header;
use super::error::Code;
use crate::context::Context;
use crate::metadata::{QuotaChange, alter_quotas};

/// Changes quotas.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: AlterClientQuotasRequest,
) -> AlterClientQuotasResponse {
    let changes: Vec<QuotaChange> = request.entries.iter().map(change).collect();
    let validate_only = request.validate_only;
    let altered = context.metadata.propose(move |image| {
        let (mut records, verdicts) = alter_quotas(image, &changes);
        if validate_only {
            records.clear();
        }
        (records, verdicts)
    });
    let verdicts: Vec<(ErrorCode, Option<String>)> = match altered.await {
        Ok(verdicts) => {
            info!(
                entities = verdicts.len(),
                validate_only, "client quotas altered"
            );
            let verdicts = verdicts.into_iter().map(|verdict| match verdict {
                Ok(()) => (ErrorCode::None, None),
                Err(error) => (error.code(), Some(error.to_string())),
            });
            verdicts.collect()
        }
        Err(error) => {
            let refused = (error.code(), Some(error.to_string()));
            request.entries.iter().map(|_| refused.clone()).collect()
        }
    };
    let entries = request.entries.into_iter().zip(verdicts);
    AlterClientQuotasResponse {
        entries: entries
            .map(|(entry, verdict)| answer(entry, verdict))
            .collect(),
        ..AlterClientQuotasResponse::default()
    }
}

fn change(entry: &EntryData) -> QuotaChange {
    let entity = entry.entity.iter();
    let operations = entry.ops.iter();
    QuotaChange {
        entity: entity
            .map(|part| {
                let name = part.entity_name.as_ref().map(Text::to_string);
                (part.entity_type.to_string(), name)
            })
            .collect(),
        operations: operations
            .map(|one| (one.key.to_string(), (!one.remove).then_some(one.value)))
            .collect(),
    }
}

fn answer(
    entry: EntryData,
    (code, message): (ErrorCode, Option<String>),
) -> AlterClientQuotasResponseEntryData {
    let entity = entry.entity.into_iter();
    AlterClientQuotasResponseEntryData {
        error_code: code.code(),
        error_message: message.map(Text::from),
        entity: entity
            .map(|part| AlterClientQuotasResponseEntityData {
                entity_type: part.entity_type,
                entity_name: part.entity_name,
            })
            .collect(),
    }
}
