//! Results as columns for people or as JSON for programs.

use std::io::Write;

use serde_json::{Map, Value};

use crate::args::Output;
use crate::failure::Failure;

/// Rows under named columns.
pub(crate) struct Table {
    columns: &'static [&'static str],
    rows: Vec<Vec<Value>>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(columns: &'static [&'static str]) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row with one value for each column.
    pub(crate) fn row(&mut self, values: impl IntoIterator<Item = Value>) {
        self.rows.push(values.into_iter().collect());
    }

    /// Prints everything in the form asked for.
    pub(crate) fn print(&self, output: Output) -> Result<(), Failure> {
        let text = match output {
            Output::Table => self.columns_text(),
            Output::Json => self.json_text(),
        };
        print(text.as_bytes())
    }

    fn json_text(&self) -> String {
        let row = |row: &Vec<Value>| {
            let fields = self
                .columns
                .iter()
                .map(|c| c.to_lowercase().replace('-', "_"));
            Value::Object(fields.zip(row.iter().cloned()).collect::<Map<_, _>>())
        };
        format!("{}\n", Value::Array(self.rows.iter().map(row).collect()))
    }

    fn columns_text(&self) -> String {
        let cells: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(cell).collect())
            .collect();
        let width = |i: usize, name: &str| {
            cells
                .iter()
                .map(|row| row[i].chars().count())
                .max()
                .unwrap_or(0)
                .max(name.len())
        };
        let widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(i, name)| width(i, name))
            .collect();
        let mut text = String::new();
        let header = self.columns.iter().map(|name| (*name).to_owned()).collect();
        for row in std::iter::once(&header).chain(&cells) {
            let line: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            text.push_str(line.join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// Writes to standard output. A reader that went away (`| head`) is no failure.
pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Failure::failed(error, "write to standard output")),
    }
}
