//! The fields of a span, kept with it until it closes.
//!
//! **Invariant:** values are formatted before the span's lock is taken, and are plain from then on: no
//! code of the application runs while a lock is held. A name has one value, the last one recorded.

use crate::event::{FieldValue, FieldVisitor, write_chain};

/// Fields of one span, in the order in which they were first recorded.
#[derive(Debug, Default)]
pub(crate) struct SpanFields(Vec<(&'static str, Kept)>);

/// A value in its own type, owned.
#[derive(Debug)]
enum Kept {
    Text(String),
    Bool(bool),
    Signed(i128),
    Unsigned(u128),
    Float(f64),
}

impl SpanFields {
    /// Takes over newer values.
    pub(crate) fn merge(&mut self, newer: SpanFields) {
        for (name, value) in newer.0 {
            self.put(name, value);
        }
    }

    pub(crate) fn visit(&self, visitor: &mut dyn FieldVisitor) {
        for (name, kept) in &self.0 {
            let value = match kept {
                Kept::Text(text) => FieldValue::Text(text),
                Kept::Bool(truth) => FieldValue::Bool(*truth),
                Kept::Signed(number) => FieldValue::Signed(*number),
                Kept::Unsigned(number) => FieldValue::Unsigned(*number),
                Kept::Float(number) => FieldValue::Float(*number),
            };
            visitor.field(name, value);
        }
    }

    fn put(&mut self, name: &'static str, value: Kept) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }
}

impl FieldVisitor for SpanFields {
    fn field(&mut self, name: &'static str, value: FieldValue<'_>) {
        let kept = match value {
            FieldValue::Text(text) => Kept::Text(text.to_owned()),
            FieldValue::Shown(shown) => Kept::Text(format!("{shown:?}")),
            FieldValue::Bool(truth) => Kept::Bool(truth),
            FieldValue::Signed(number) => Kept::Signed(number),
            FieldValue::Unsigned(number) => Kept::Unsigned(number),
            FieldValue::Float(number) => Kept::Float(number),
            FieldValue::Error(error) => {
                let mut text = String::new();
                write_chain(error, &mut text).ok();
                Kept::Text(text)
            }
        };
        self.put(name, kept);
    }
}
