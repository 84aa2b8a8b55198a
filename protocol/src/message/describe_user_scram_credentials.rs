//! DescribeUserScramCredentials: which users can log in with SCRAM, and how (KIP-554). Key 50, version 0.

use crate::text::Text;

api! { DescribeUserScramCredentials: DescribeUserScramCredentialsRequest => DescribeUserScramCredentialsResponse, versions 0..=0, flexible 0 }

fields! {
    /// Users asked for; null for all.
    pub struct DescribeUserScramCredentialsRequest {
        users: Option<Vec<UserName>> = Some(Vec::new()), 0..;
    }

    /// Part of [`DescribeUserScramCredentialsRequest`]: user name.
    pub struct UserName {
        name: Text, 0..;
    }

    /// Users with their credentials.
    pub struct DescribeUserScramCredentialsResponse {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<Text> = Some(Text::default()), 0..;
        results: Vec<DescribeUserScramCredentialsResult>, 0..;
    }

    /// Part of [`DescribeUserScramCredentialsResponse`]: describe user scram credentials result.
    pub struct DescribeUserScramCredentialsResult {
        user: Text, 0..;
        error_code: i16, 0..;
        error_message: Option<Text> = Some(Text::default()), 0..;
        credential_infos: Vec<CredentialInfo>, 0..;
    }

    /// Part of [`DescribeUserScramCredentialsResponse`]: credential info.
    pub struct CredentialInfo {
        mechanism: i8, 0..;
        iterations: i32, 0..;
    }
}
