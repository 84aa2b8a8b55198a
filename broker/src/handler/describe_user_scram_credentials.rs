//! DescribeUserScramCredentials 0: which users can log in with SCRAM (KIP-554). This broker asks nobody
//! who he is, so nobody has credentials; tools that show users' quotas ask for both.

use std::collections::HashMap;
use std::sync::Arc;

use logway_protocol::message::describe_user_scram_credentials::{
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
};
use logway_protocol::{ErrorCode, Text};

use super::Header;
use crate::context::Context;

/// Answers that no user is known, to each that was named.
pub(crate) async fn handle(
    _context: &Arc<Context>,
    _header: &Header,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    let asked = request.users.unwrap_or_default();
    let mut named: HashMap<Text, u32> = HashMap::new();
    for user in &asked {
        *named.entry(user.name.clone()).or_default() += 1;
    }
    let results = named.into_iter().map(|(user, times)| {
        let (code, text) = match times {
            1 => (
                ErrorCode::ResourceNotFound,
                format!("Attempt to describe a user credential that does not exist: {user}"),
            ),
            _ => (
                ErrorCode::DuplicateResource,
                format!("Cannot describe SCRAM credentials for the same user twice in a single request: {user}"),
            ),
        };
        DescribeUserScramCredentialsResult {
            user,
            error_code: code.code(),
            error_message: Some(Text::from(text)),
            credential_infos: Vec::new(),
        }
    });
    DescribeUserScramCredentialsResponse {
        error_message: None,
        results: results.collect(),
        ..DescribeUserScramCredentialsResponse::default()
    }
}
