//! DescribeConfigs 1-4: every setting of topics and brokers with source, synonyms, type and text.
//! A broker is described by its settings file; what it does not name has Kafka's default.

use std::sync::Arc;

use logway_protocol::message::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};
use logway_protocol::{ErrorCode, Text};

use super::Header;
use crate::broker_setting::{self, BrokerSetting};
use crate::context::Context;
use crate::metadata::{RESOURCE_BROKER, RESOURCE_TOPIC, SETTINGS, Setting, Topic};
use crate::setting_source::{self, Source};

/// Per-logger levels; this broker's log is not set that way.
const RESOURCE_BROKER_LOGGER: i8 = 8;

/// Settings whose broker setting in milliseconds has no default in Kafka: hours stand behind it, and
/// are not shown.
const NO_DEFAULT: [&str; 3] = ["flush.ms", "retention.ms", "segment.ms"];

/// Answers each resource.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let detail = Detail {
        synonyms: request.include_synonyms,
        documentation: request.include_documentation,
    };
    let results = request
        .resources
        .into_iter()
        .map(|asked| describe(context, asked, detail));
    DescribeConfigsResponse {
        results: results.collect(),
        ..DescribeConfigsResponse::default()
    }
}

/// What the client wants to see beside the values.
#[derive(Clone, Copy)]
struct Detail {
    synonyms: bool,
    documentation: bool,
}

type Refused = (ErrorCode, String);

fn describe(
    context: &Context,
    asked: DescribeConfigsResource,
    detail: Detail,
) -> DescribeConfigsResult {
    let wanted = |name: &str| match &asked.configuration_keys {
        Some(keys) if !keys.is_empty() => keys.iter().any(|key| key == name),
        _ => true,
    };
    let configs = match asked.resource_type {
        RESOURCE_TOPIC => of_topic(context, &asked.resource_name, detail, &wanted),
        RESOURCE_BROKER => of_broker(context, &asked.resource_name, detail, &wanted),
        RESOURCE_BROKER_LOGGER => Ok(Vec::new()),
        other => Err((
            ErrorCode::InvalidRequest,
            format!("Unsupported resource type: {other}"),
        )),
    };
    let (error, configs) = match configs {
        Ok(configs) => (None, configs),
        Err(refused) => (Some(refused), Vec::new()),
    };
    DescribeConfigsResult {
        error_code: error
            .as_ref()
            .map_or(ErrorCode::None, |(code, _)| *code)
            .code(),
        error_message: error.map(|(_, message)| Text::from(message)),
        resource_type: asked.resource_type,
        resource_name: asked.resource_name,
        configs,
    }
}

fn of_topic(
    context: &Context,
    name: &str,
    detail: Detail,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<DescribeConfigsResourceResult>, Refused> {
    let image = context.metadata.image();
    let Some(topic) = image.topic(name) else {
        return Err(match crate::metadata::check_topic_name(name) {
            Ok(()) => (
                ErrorCode::UnknownTopicOrPartition,
                "This server does not host this topic-partition.".to_owned(),
            ),
            Err(error) => (ErrorCode::InvalidTopicException, error.to_string()),
        });
    };
    let settings = SETTINGS.iter().filter(|setting| wanted(setting.name));
    Ok(settings
        .map(|setting| topic_setting(context, topic, setting, detail))
        .collect())
}

fn topic_setting(
    context: &Context,
    topic: &Topic,
    setting: &Setting,
    detail: Detail,
) -> DescribeConfigsResourceResult {
    let (value, source) = setting_source::of_topic(setting, &topic.configs, &context.settings);
    let mut synonyms = Vec::new();
    if detail.synonyms {
        if source == Source::Topic {
            synonyms.push(synonym(setting.name, &value, Source::Topic));
        }
        let (broker_value, broker_source) = setting_source::of_broker(setting, &context.settings);
        if let Some(name) = setting.broker_name {
            if broker_source == Source::BrokerFile {
                synonyms.push(synonym(name, &broker_value, Source::BrokerFile));
            }
            if !NO_DEFAULT.contains(&setting.name) {
                synonyms.push(synonym(name, setting.default, Source::Default));
            }
        }
    }
    DescribeConfigsResourceResult {
        name: Text::from(setting.name),
        value: Some(Text::from(value)),
        read_only: false,
        config_source: source.code(),
        is_sensitive: false,
        synonyms,
        config_type: setting.kind.code(),
        documentation: detail.documentation.then(|| Text::from(setting.doc)),
    }
}

fn synonym(name: &str, value: &str, source: Source) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym {
        name: Text::from(name),
        value: Some(Text::from(value)),
        source: source.code(),
    }
}

fn of_broker(
    context: &Context,
    name: &str,
    detail: Detail,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<DescribeConfigsResourceResult>, Refused> {
    // The empty name asks for what was set for all brokers while running: nothing yet.
    if name.is_empty() {
        return Ok(Vec::new());
    }
    if name.parse() != Ok(context.settings.node_id) {
        let node = context.settings.node_id;
        return Err((
            ErrorCode::InvalidRequest,
            format!("Unexpected broker id, expected {node}, but received {name}"),
        ));
    }
    let settings = broker_setting::all(&context.settings);
    let settings = settings.into_iter().filter(|setting| wanted(setting.name));
    Ok(settings
        .map(|setting| broker_result(&setting, detail))
        .collect())
}

fn broker_result(setting: &BrokerSetting, detail: Detail) -> DescribeConfigsResourceResult {
    let source = if setting.value == setting.default {
        Source::Default
    } else {
        Source::BrokerFile
    };
    let mut synonyms = Vec::new();
    if detail.synonyms {
        if source == Source::BrokerFile {
            synonyms.push(synonym(setting.name, &setting.value, source));
        }
        synonyms.push(synonym(setting.name, &setting.default, Source::Default));
    }
    DescribeConfigsResourceResult {
        name: Text::from(setting.name),
        value: Some(Text::from(setting.value.as_str())),
        read_only: true,
        config_source: source.code(),
        is_sensitive: false,
        synonyms,
        config_type: setting.kind.code(),
        documentation: detail.documentation.then(|| Text::from(setting.doc)),
    }
}
