//! AlterClientQuotas: sets and removes limits of users, clients and addresses (KIP-546).

use crate::text::Text;

api! { AlterClientQuotas: AlterClientQuotasRequest => AlterClientQuotasResponse, versions 0..=1, flexible 1 }

fields! {
    /// Entities with the limits to set or remove.
    pub struct AlterClientQuotasRequest {
        entries: Vec<EntryData>, 0..;
        validate_only: bool, 0..;
    }

    /// Part of [`AlterClientQuotasRequest`]: entry data.
    pub struct EntryData {
        entity: Vec<EntityData>, 0..;
        ops: Vec<OpData>, 0..;
    }

    /// Part of [`AlterClientQuotasRequest`]: entity data.
    pub struct EntityData {
        entity_type: Text, 0..;
        entity_name: Option<Text> = Some(Text::default()), 0..;
    }

    /// Part of [`AlterClientQuotasRequest`]: op data.
    pub struct OpData {
        key: Text, 0..;
        value: f64, 0..;
        remove: bool, 0..;
    }

    /// A result for each entity.
    pub struct AlterClientQuotasResponse {
        throttle_time_ms: i32, 0..;
        entries: Vec<AlterClientQuotasResponseEntryData>, 0..;
    }

    /// Part of [`AlterClientQuotasResponse`]: alter client quotas response entry data.
    pub struct AlterClientQuotasResponseEntryData {
        error_code: i16, 0..;
        error_message: Option<Text> = Some(Text::default()), 0..;
        entity: Vec<AlterClientQuotasResponseEntityData>, 0..;
    }

    /// Part of [`AlterClientQuotasResponse`]: alter client quotas response entity data.
    pub struct AlterClientQuotasResponseEntityData {
        entity_type: Text, 0..;
        entity_name: Option<Text> = Some(Text::default()), 0..;
    }
}
