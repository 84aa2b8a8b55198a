//! DescribeClientQuotas: limits of users, clients and addresses (KIP-546).

use crate::text::Text;

api! { DescribeClientQuotas: DescribeClientQuotasRequest => DescribeClientQuotasResponse, versions 0..=1, flexible 1 }

fields! {
    /// A filter on entities.
    pub struct DescribeClientQuotasRequest {
        components: Vec<ComponentData>, 0..;
        strict: bool, 0..;
    }

    /// Part of [`DescribeClientQuotasRequest`]: component data.
    pub struct ComponentData {
        entity_type: Text, 0..;
        match_type: i8, 0..;
        r#match: Option<Text> = Some(Text::default()), 0..;
    }

    /// Entities with their limits.
    pub struct DescribeClientQuotasResponse {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<Text> = Some(Text::default()), 0..;
        entries: Option<Vec<EntryData>> = Some(Vec::new()), 0..;
    }

    /// Part of [`DescribeClientQuotasResponse`]: entry data.
    pub struct EntryData {
        entity: Vec<EntityData>, 0..;
        values: Vec<ValueData>, 0..;
    }

    /// Part of [`DescribeClientQuotasResponse`]: entity data.
    pub struct EntityData {
        entity_type: Text, 0..;
        entity_name: Option<Text> = Some(Text::default()), 0..;
    }

    /// Part of [`DescribeClientQuotasResponse`]: value data.
    pub struct ValueData {
        key: Text, 0..;
        value: f64, 0..;
    }
}
