//! DescribeConfigs 1-4: every setting of topics, brokers, groups and client metrics with source,
//! synonyms, type and text. A broker's come from what was set while it runs, its settings file and
//! Kafka's defaults, in this order. Its log has one level for everything, shown as the logger `root`.

use std::sync::Arc;

use logway_protocol::message::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};
use logway_protocol::{ErrorCode, Text};

use super::Header;
use crate::broker_setting::{self, BrokerSetting};
use crate::context::Context;
use crate::metadata::{
    GROUP_SETTINGS, InForce, Kind, METRICS_SETTINGS, RESOURCE_BROKER, RESOURCE_CLIENT_METRICS,
    RESOURCE_GROUP, RESOURCE_TOPIC, ResourceSetting, SETTINGS, Setting, Topic, dynamic_kind,
    is_dynamic,
};
use crate::setting_source::{self, Source};

/// Levels of loggers.
const RESOURCE_BROKER_LOGGER: i8 = 8;

/// The one logger.
pub(super) const ROOT_LOGGER: &str = "root";

/// Settings whose broker setting in milliseconds has no default in Kafka: hours stand behind it, and
/// are not shown.
const NO_DEFAULT: [&str; 3] = ["flush.ms", "retention.ms", "segment.ms"];

/// Broker settings in milliseconds that Kafka has no default of, the setting that stands for them then,
/// and its default.
const IN_MILLISECONDS: [(&str, &str, &str); 3] = [
    ("log.retention.ms", "log.retention.hours", "168"),
    ("log.roll.ms", "log.roll.hours", "168"),
    (
        "log.flush.interval.ms",
        "log.flush.scheduler.interval.ms",
        "9223372036854775807",
    ),
];

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
        RESOURCE_BROKER_LOGGER => of_logger(context, &asked.resource_name, detail, &wanted),
        RESOURCE_GROUP => of_resource(context, &asked, (GROUP_SETTINGS, Source::Group), detail),
        RESOURCE_CLIENT_METRICS => {
            let settings = (METRICS_SETTINGS, Source::ClientMetrics);
            of_resource(context, &asked, settings, detail)
        }
        other => Err((
            ErrorCode::InvalidRequest,
            format!(
                "resource type {other} has no settings; ask for topics (2), brokers (4), loggers (8), client metrics (16) or groups (32)"
            ),
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
            Ok(()) => (ErrorCode::UnknownTopicOrPartition, String::new()),
            Err(error) => (ErrorCode::InvalidTopicException, error.to_string()),
        });
    };
    let in_force = context.live.get();
    let settings = SETTINGS.iter().filter(|setting| wanted(setting.name));
    Ok(settings
        .map(|setting| topic_setting(&in_force, topic, setting).result(detail))
        .collect())
}

/// A setting with everything that is known about its value.
struct Row<'a> {
    name: &'a str,
    /// Names, values and where they come from, the one in force first.
    known: Vec<(&'a str, String, Source)>,
    /// What it is without any of these.
    default: Option<String>,
    /// None of a setting that this broker does not know.
    kind: Option<Kind>,
    read_only: bool,
    /// Its value is nobody's business: it may be a password.
    sensitive: bool,
    doc: &'a str,
}

impl Row<'_> {
    fn result(self, detail: Detail) -> DescribeConfigsResourceResult {
        let value = match self.known.first() {
            // Kafka shows the default's value even where no synonym carries it.
            None => (self.default, Source::Default),
            Some((_, value, source)) => (Some(value.clone()), *source),
        };
        let sensitive = self.sensitive;
        let synonym = |(name, value, source): (&str, String, Source)| DescribeConfigsSynonym {
            name: Text::from(name),
            value: (!sensitive).then(|| Text::from(value)),
            source: source.code(),
        };
        let synonyms = self.known.into_iter();
        let synonyms =
            synonyms.filter(|(_, _, source)| detail.synonyms && *source != Source::Logger);
        DescribeConfigsResourceResult {
            name: Text::from(self.name),
            value: value.0.filter(|_| !sensitive).map(Text::from),
            read_only: self.read_only,
            config_source: value.1.code(),
            is_sensitive: sensitive,
            synonyms: synonyms.map(synonym).collect(),
            config_type: self.kind.map_or(0, Kind::code),
            documentation: detail.documentation.then(|| Text::from(self.doc)),
        }
    }
}

fn topic_setting<'a>(in_force: &InForce, topic: &Topic, setting: &'a Setting) -> Row<'a> {
    let own = topic.configs.get(setting.name);
    let own = own.map(|value| (setting.name, value.clone(), Source::Topic));
    let mut known: Vec<_> = own.into_iter().collect();
    if let Some(name) = setting.broker_name {
        let broker = setting_source::of_broker_all(setting, in_force);
        let mut in_milliseconds = IN_MILLISECONDS.iter().filter(|_| !broker.is_empty());
        let stands_for = in_milliseconds.find(|(in_ms, _, _)| *in_ms == name);
        known.extend(
            broker
                .into_iter()
                .map(|(value, source)| (name, value, source)),
        );
        if let Some((_, other, default)) = stands_for {
            known.push((other, (*default).to_owned(), Source::Default));
        } else if !NO_DEFAULT.contains(&setting.name) {
            known.push((name, setting.default.to_owned(), Source::Default));
        }
    }
    Row {
        name: setting.name,
        known,
        default: Some(setting.default.to_owned()),
        kind: Some(setting.kind),
        read_only: false,
        sensitive: false,
        doc: setting.doc,
    }
}

fn of_broker(
    context: &Context,
    name: &str,
    detail: Detail,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<DescribeConfigsResourceResult>, Refused> {
    let in_force = context.live.get();
    let all = broker_setting::all(&in_force);
    // The empty name asks for what was set for all brokers while running, and for nothing else.
    if name.is_empty() {
        let set = in_force.cluster.iter().filter(|(name, _)| wanted(name));
        let rows = set.map(|(name, value)| {
            let known = vec![(name.as_str(), value.clone(), Source::Cluster)];
            let shown = all.iter().find(|setting| setting.name == name);
            Row {
                known,
                ..named_row(name, shown)
            }
        });
        return Ok(rows.map(|row| row.result(detail)).collect());
    }
    check_node(context, name)?;
    let settings = all.iter().filter(|setting| wanted(setting.name));
    let mut rows: Vec<_> = settings
        .map(|setting| broker_row(setting, &in_force).result(detail))
        .collect();
    // Kafka keeps settings that it does not know and shows them.
    let mut others: Vec<&String> = in_force
        .broker
        .keys()
        .chain(in_force.cluster.keys())
        .collect();
    others.retain(|name| wanted(name) && all.iter().all(|setting| setting.name != **name));
    others.sort();
    others.dedup();
    rows.extend(others.into_iter().map(|name| {
        let known = setting_source::dynamic(Some(name), &in_force).into_iter();
        Row {
            known: known
                .map(|(value, source)| (name.as_str(), value, source))
                .collect(),
            ..named_row(name, None)
        }
        .result(detail)
    }));
    Ok(rows)
}

fn named_row<'a>(name: &'a str, shown: Option<&BrokerSetting>) -> Row<'a> {
    let kind = shown.map(|setting| setting.kind);
    let kind = kind.or_else(|| dynamic_kind(name));
    Row {
        name,
        known: Vec::new(),
        default: None,
        kind,
        read_only: !is_dynamic(name),
        sensitive: matches!(kind, None | Some(Kind::Password)),
        doc: shown.map_or("", |setting| setting.doc),
    }
}

fn broker_row<'a>(setting: &'a BrokerSetting, in_force: &InForce) -> Row<'a> {
    let name = setting.name;
    let dynamic = setting_source::dynamic(Some(name), in_force).into_iter();
    let mut known: Vec<_> = dynamic
        .map(|(value, source)| (name, value, source))
        .collect();
    if let Some(value) = &setting.value
        && setting.default.as_ref() != Some(value)
    {
        known.push((name, value.clone(), Source::BrokerFile));
    }
    let mut default = setting.default.clone();
    match IN_MILLISECONDS.iter().find(|(in_ms, _, _)| *in_ms == name) {
        None => known.extend(default.clone().map(|value| (name, value, Source::Default))),
        Some((_, other, value)) if !known.is_empty() => {
            known.push((other, (*value).to_owned(), Source::Default));
        }
        Some(_) => default = None,
    }
    Row {
        default,
        known,
        ..named_row(name, Some(setting))
    }
}

fn check_node(context: &Context, name: &str) -> Result<(), Refused> {
    let node = context.settings.node_id;
    if name.parse() == Ok(node) {
        return Ok(());
    }
    Err((
        ErrorCode::InvalidRequest,
        match name.parse::<i32>() {
            Ok(_) => format!(
                "Unexpected broker id, expected {node} or empty string, but received {name}"
            ),
            Err(_) => format!("Broker id must be an integer, but it is: {name}"),
        },
    ))
}

/// The broker's log has one level, which is given where it starts.
fn of_logger(
    context: &Context,
    name: &str,
    detail: Detail,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<DescribeConfigsResourceResult>, Refused> {
    if name.is_empty() {
        let text = "Broker id must not be empty".to_owned();
        return Err((ErrorCode::InvalidRequest, text));
    }
    if let Ok(id) = name.parse::<i32>()
        && id != context.settings.node_id
    {
        let node = context.settings.node_id;
        let text = format!("Unexpected broker id, expected {node} but received {id}");
        return Err((ErrorCode::InvalidRequest, text));
    }
    check_node(context, name)?;
    if !wanted(ROOT_LOGGER) {
        return Ok(Vec::new());
    }
    let level = tracing::level_filters::LevelFilter::current().to_string();
    let row = Row {
        name: ROOT_LOGGER,
        known: vec![(ROOT_LOGGER, level.to_uppercase(), Source::Logger)],
        default: None,
        kind: Some(Kind::Text),
        read_only: true,
        sensitive: false,
        doc: "Level of the broker's log.",
    };
    Ok(vec![row.result(detail)])
}

/// A group or a subscription of client metrics: it may have settings before it is there itself.
fn of_resource(
    context: &Context,
    asked: &DescribeConfigsResource,
    (settings, source): (&'static [ResourceSetting], Source),
    detail: Detail,
) -> Result<Vec<DescribeConfigsResourceResult>, Refused> {
    if asked.resource_name.is_empty() {
        let kind = match source {
            Source::Group => "Group name",
            _ => "Client metrics subscription name",
        };
        return Err((
            ErrorCode::InvalidRequest,
            format!("{kind} must not be empty"),
        ));
    }
    let image = context.metadata.image();
    let own = image.configs(asked.resource_type, &asked.resource_name);
    let in_force = context.live.get();
    let file = broker_setting::all(&in_force);
    let keys = asked
        .configuration_keys
        .as_ref()
        .filter(|keys| !keys.is_empty());
    let settings = settings
        .iter()
        .filter(|setting| keys.is_none_or(|keys| keys.iter().any(|key| *key == setting.name)));
    let rows = settings.map(|setting| {
        let value = own.and_then(|own| own.get(setting.name));
        let mut known: Vec<_> = value
            .map(|value| (setting.name, value.clone(), source))
            .into_iter()
            .collect();
        let default = setting.broker_name;
        let of_broker = setting_source::dynamic(default, &in_force).into_iter();
        known.extend(of_broker.map(|(value, source)| (default.unwrap_or(""), value, source)));
        let of_file = file.iter().find(|of| Some(of.name) == default);
        let of_file = of_file.filter(|of| of.value != of.default);
        let of_file = of_file.and_then(|of| Some((of.name, of.value.clone()?, Source::BrokerFile)));
        known.extend(of_file);
        known.extend(default.map(|name| (name, setting.default.to_owned(), Source::Default)));
        Row {
            name: setting.name,
            known,
            default: Some(setting.default.to_owned()),
            kind: Some(setting.kind),
            read_only: false,
            sensitive: false,
            doc: setting.doc,
        }
        .result(detail)
    });
    Ok(rows.collect())
}
