//! The `tracing-subscriber` layer: from tracing's events and spans to entries.
//!
//! **Invariant:** never blocks longer than the stated full policy, never panics by itself, and never
//! takes in what the appender's own threads log. Step 4′ of the hallway.

use std::{fmt, sync::Arc};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    layer::{Context as LayerContext, Layer},
    registry::{LookupSpan, SpanRef},
};

use crate::{
    appender::{Appender, Source},
    event::{Context, FieldValue, FieldVisitor, Fields, Location},
    local,
    span_fields::SpanFields,
};

/// Sends events to a topic; made by [`Builder::build`](crate::Builder::build).
///
/// Add it to a `tracing_subscriber::Registry`, with a filter of its own if it shall see less than the
/// other layers.
#[derive(Debug)]
pub struct LogwayLayer {
    appender: Arc<Appender>,
}

impl LogwayLayer {
    pub(crate) fn new(appender: Arc<Appender>) -> Self {
        LogwayLayer { appender }
    }
}

impl<S> Layer<S> for LogwayLayer
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: LayerContext<'_, S>) {
        let mut fields = SpanFields::default();
        attributes.record(&mut Tracing(&mut fields));
        if let Some(span) = context.span(id) {
            keep(&span, fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: LayerContext<'_, S>) {
        let mut fields = SpanFields::default();
        values.record(&mut Tracing(&mut fields));
        if let Some(span) = context.span(id) {
            keep(&span, fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: LayerContext<'_, S>) {
        if local::is_worker() {
            return;
        }
        let metadata = event.metadata();
        let bridged = (metadata.target() == LOG_TARGET).then(|| Bridged::of(event));
        let mut source = Source {
            level: *metadata.level(),
            logger: metadata.target(),
            location: Location {
                module: metadata.module_path(),
                file: metadata.file(),
                line: metadata.line(),
            },
            fields: &EventFields(event),
            context: &Scope {
                event,
                context: &context,
            },
        };
        if let Some(bridged) = &bridged {
            bridged.apply(&mut source);
        }
        self.appender.append(&source);
    }
}

/// Stores fields with their span. Two layers of this kind store them once each; the second finds the
/// names there already and only repeats their values.
fn keep<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>, fields: SpanFields) {
    let mut extensions = span.extensions_mut();
    match extensions.get_mut::<SpanFields>() {
        Some(known) => known.merge(fields),
        None => extensions.insert(fields),
    }
}

/// Passes tracing's fields on.
struct Tracing<'a>(&'a mut dyn FieldVisitor);

impl Visit for Tracing<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.field(field.name(), FieldValue::Float(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0
            .field(field.name(), FieldValue::Signed(i128::from(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0
            .field(field.name(), FieldValue::Unsigned(u128::from(value)));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.0.field(field.name(), FieldValue::Signed(value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.0.field(field.name(), FieldValue::Unsigned(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.field(field.name(), FieldValue::Bool(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.field(field.name(), FieldValue::Text(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.0.field(field.name(), FieldValue::Error(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.field(field.name(), FieldValue::Shown(value));
    }
}

/// An event's own fields.
struct EventFields<'a>(&'a Event<'a>);

impl Fields for EventFields<'_> {
    fn visit(&self, visitor: &mut dyn FieldVisitor) {
        if self.0.metadata().target() == LOG_TARGET {
            self.0.record(&mut Tracing(&mut WithoutLog(visitor)));
        } else {
            self.0.record(&mut Tracing(visitor));
        }
    }
}

/// The spans around an event, the innermost first.
struct Scope<'a, S> {
    event: &'a Event<'a>,
    context: &'a LayerContext<'a, S>,
}

impl<S> Context for Scope<'_, S>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn visit(&self, visitor: &mut dyn FieldVisitor) {
        for span in self.context.event_scope(self.event).into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<SpanFields>() {
                fields.visit(visitor);
            }
        }
    }
}

/// Target of the events that `tracing-log` makes of records of the `log` library; what they really
/// are stands in fields named `log.…`.
const LOG_TARGET: &str = "log";

/// The origin of a record of the `log` library.
#[derive(Default)]
struct Bridged {
    target: Option<String>,
    module: Option<String>,
    file: Option<String>,
    line: Option<u32>,
}

impl Bridged {
    fn of(event: &Event<'_>) -> Bridged {
        let mut bridged = Bridged::default();
        event.record(&mut Tracing(&mut bridged));
        bridged
    }

    fn apply<'a>(&'a self, source: &mut Source<'a>) {
        if let Some(target) = &self.target {
            source.logger = target;
        }
        let Bridged {
            module, file, line, ..
        } = self;
        source.location = Location {
            module: module.as_deref(),
            file: file.as_deref(),
            line: *line,
        };
    }
}

impl FieldVisitor for Bridged {
    fn field(&mut self, name: &'static str, value: FieldValue<'_>) {
        match (name, value) {
            ("log.target", FieldValue::Text(text)) => self.target = Some(text.to_owned()),
            ("log.module_path", FieldValue::Text(text)) => self.module = Some(text.to_owned()),
            ("log.file", FieldValue::Text(text)) => self.file = Some(text.to_owned()),
            ("log.line", FieldValue::Unsigned(line)) => self.line = u32::try_from(line).ok(),
            _ => {}
        }
    }
}

/// Leaves out the fields that [`Bridged`] has read.
struct WithoutLog<'a>(&'a mut dyn FieldVisitor);

impl FieldVisitor for WithoutLog<'_> {
    fn field(&mut self, name: &'static str, value: FieldValue<'_>) {
        if !name.starts_with("log.") {
            self.0.field(name, value);
        }
    }
}
