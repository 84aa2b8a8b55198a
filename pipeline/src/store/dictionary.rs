//! Text to small numbers: sources, origins, names and series are stored once and cached.
//!
//! Invariant: a cached number was read or written inside the current or a committed transaction;
//! after a rollback the caches are emptied. Each cache is emptied when it reaches its limit, so
//! unbounded names cost time, not memory. Step 11.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Transaction, params};

use crate::transform::{Series, Value, influx};

/// Entries per cache after which it is emptied.
const CACHE_ENTRIES_MAX: usize = 50_000;
/// Longest host, path, logger or service name that is stored; the body keeps the whole.
const NAME_BYTES_MAX: usize = 1024;

/// The caches of the writing connection.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    sources: HashMap<(String, i32), i64>,
    origins: HashMap<String, i64>,
    names: HashMap<String, i64>,
    series: HashMap<Box<[u8]>, Vec<Field>>,
    series_fields: usize,
}

/// One field of a series.
#[derive(Debug)]
struct Field {
    name: String,
    kind: &'static str,
    id: i64,
}

impl Dictionary {
    /// Forgets everything; after a rollback.
    pub(crate) fn clear(&mut self) {
        *self = Dictionary::default();
    }

    /// The number of a topic partition in its present incarnation.
    pub(crate) fn source(
        &mut self,
        tx: &Transaction<'_>,
        topic: &str,
        partition: i32,
    ) -> rusqlite::Result<i64> {
        // Few entries, and asked for once per run of rows of one partition.
        if let Some(id) = self.sources.get(&(topic.to_owned(), partition)) {
            return Ok(*id);
        }
        let incarnation: i64 = tx.query_row(
            "SELECT coalesce(max(incarnation), 0) FROM offsets WHERE topic = ?1 AND partition = ?2",
            params![topic, partition],
            |row| row.get(0),
        )?;
        tx.execute(
            "INSERT INTO sources (topic, partition, incarnation) VALUES (?1, ?2, ?3)
             ON CONFLICT DO NOTHING",
            params![topic, partition, incarnation],
        )?;
        let id = tx.query_row(
            "SELECT id FROM sources WHERE topic = ?1 AND partition = ?2 AND incarnation = ?3",
            params![topic, partition, incarnation],
            |row| row.get(0),
        )?;
        self.sources.insert((topic.to_owned(), partition), id);
        Ok(id)
    }

    pub(crate) fn origin(&mut self, tx: &Transaction<'_>, value: &str) -> rusqlite::Result<i64> {
        lookup(&mut self.origins, tx, value, &ORIGINS)
    }

    pub(crate) fn name(
        &mut self,
        tx: &Transaction<'_>,
        value: Option<&str>,
    ) -> rusqlite::Result<Option<i64>> {
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let value = &value[..value.floor_char_boundary(NAME_BYTES_MAX)];
        lookup(&mut self.names, tx, value, &NAMES).map(Some)
    }

    /// The numbers of a series' fields, in the order of `fields`, appended to `ids`.
    pub(crate) fn series(
        &mut self,
        tx: &Transaction<'_>,
        series: &Series<'_>,
        fields: &[(std::borrow::Cow<'_, str>, Value<'_>)],
        ids: &mut Vec<i64>,
    ) -> rusqlite::Result<()> {
        if self.series_fields >= CACHE_ENTRIES_MAX {
            self.series.clear();
            self.series_fields = 0;
        }
        let owned;
        let key: &[u8] = match series {
            Series::Line(text) => text,
            Series::Parts { name, tags } => {
                // No line-protocol series starts with a newline: the two forms never meet.
                owned = format!("\n{name}\n{}", tags_json(tags));
                owned.as_bytes()
            }
        };
        if !self.series.contains_key(key) {
            self.series.insert(key.into(), Vec::new());
        }
        let known = self.series.get_mut(key).expect("inserted above");
        for (position, (field, value)) in fields.iter().enumerate() {
            let kind = kind_of(value);
            let hit = |entry: &Field| entry.name == field.as_ref() && entry.kind == kind;
            // Lines of one series name their fields in one order, so the guess is nearly always right.
            let found = known.get(position).filter(|entry| hit(entry));
            if let Some(entry) = found.or_else(|| known.iter().find(|entry| hit(entry))) {
                ids.push(entry.id);
                continue;
            }
            let (name, tags) = match series {
                Series::Line(text) => influx::series_parts(text),
                Series::Parts { name, tags } => (name.clone(), tags.clone()),
            };
            let id = series_id(tx, [&name, &tags_json(&tags), field], kind)?;
            known.retain(|entry| entry.name != field.as_ref());
            known.push(Field {
                name: field.as_ref().to_owned(),
                kind,
                id,
            });
            self.series_fields += 1;
            ids.push(id);
        }
        Ok(())
    }

    /// Forgets the sources; after an incarnation has changed.
    pub(crate) fn forget_sources(&mut self) {
        self.sources.clear();
    }
}

struct Table {
    select: &'static str,
    insert: &'static str,
}

const ORIGINS: Table = Table {
    select: "SELECT id FROM origins WHERE value = ?1",
    insert: "INSERT INTO origins (value) VALUES (?1)",
};
const NAMES: Table = Table {
    select: "SELECT id FROM names WHERE value = ?1",
    insert: "INSERT INTO names (value) VALUES (?1)",
};

fn lookup(
    cache: &mut HashMap<String, i64>,
    tx: &Transaction<'_>,
    value: &str,
    table: &Table,
) -> rusqlite::Result<i64> {
    if let Some(id) = cache.get(value) {
        return Ok(*id);
    }
    if cache.len() >= CACHE_ENTRIES_MAX {
        cache.clear();
    }
    let known = tx
        .prepare_cached(table.select)?
        .query_row([value], |row| row.get(0))
        .optional()?;
    let id = match known {
        Some(id) => id,
        None => tx.prepare_cached(table.insert)?.insert([value])?,
    };
    cache.insert(value.to_owned(), id);
    Ok(id)
}

fn series_id(tx: &Transaction<'_>, key: [&str; 3], kind: &str) -> rusqlite::Result<i64> {
    let [name, tags, field] = key;
    tx.prepare_cached(
        "INSERT INTO series (name, tags, field, kind) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (name, tags, field) DO UPDATE SET kind = excluded.kind
         RETURNING id",
    )?
    .query_row(params![name, tags, field, kind], |row| row.get(0))
}

fn kind_of(value: &Value<'_>) -> &'static str {
    match value {
        Value::Float(_) => "float",
        Value::Int(_) => "integer",
        Value::Uint(_) => "unsigned",
        Value::Bool(_) => "boolean",
        Value::Text(_) => "text",
    }
}

fn tags_json(tags: &std::collections::BTreeMap<String, String>) -> String {
    serde_json::to_string(tags).expect("a map of strings is JSON")
}
