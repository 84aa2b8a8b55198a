//! Command lines in the style of Kafka's tools: `--name value`, `--name=value`, names cut short.
//!
//! Invariant: reading a command line asks nobody and ends nothing; what is wrong with it is an
//! error in the words that scripts know.

use crate::progress::{Progress, Unit};

/// What may follow an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing.
    Nothing,
    /// A value.
    Value,
    /// A value, or nothing.
    MaybeValue,
}

/// An option of a tool.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opt {
    /// Its name, without dashes.
    pub(super) name: &'static str,
    /// What may follow it.
    pub(super) takes: Takes,
    /// What it does, for the option table.
    pub(super) help: &'static str,
}

/// An option that stands alone.
pub(super) const fn flag(name: &'static str, help: &'static str) -> Opt {
    let takes = Takes::Nothing;
    Opt { name, takes, help }
}

/// An option with a value.
pub(super) const fn value(name: &'static str, help: &'static str) -> Opt {
    let takes = Takes::Value;
    Opt { name, takes, help }
}

/// An option that may have a value.
pub(super) const fn maybe(name: &'static str, help: &'static str) -> Opt {
    let takes = Takes::MaybeValue;
    Opt { name, takes, help }
}

/// A command line that was read.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    given: Vec<(&'static str, Option<String>)>,
    /// Words that belong to no option.
    pub(super) rest: Vec<String>,
    /// Whether to draw how far long work is.
    pub(super) progress: bool,
}

impl Parsed {
    /// A bar for so many records, if there is to be one.
    pub(super) fn bar(&self, records: u64) -> Progress {
        if self.progress {
            Progress::beside_results(records, Unit::Records)
        } else {
            Progress::hidden()
        }
    }
}

impl Parsed {
    /// Whether the option was given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == name)
    }

    /// The option's last value.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut given = self.given.iter().rev();
        given
            .find(|(given, _)| *given == name)
            .and_then(|(_, value)| value.as_deref())
    }

    /// All values of the option, in order.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.given
            .iter()
            .filter(move |(given, _)| *given == name)
            .filter_map(|(_, value)| value.as_deref())
    }

    /// Which of these options were given, with their values, in order.
    pub(super) fn order(&self, names: &[&str]) -> Vec<(&'static str, Option<&str>)> {
        self.given
            .iter()
            .filter(|(given, _)| names.contains(given))
            .map(|(given, value)| (*given, value.as_deref()))
            .collect()
    }

    /// The option's last value as a number.
    ///
    /// # Errors
    /// It is none; the words are those of the library that Kafka's tools read their options with.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        self.get(name)
            .map(|text| {
                text.parse()
                    .map_err(|_| format!("Cannot parse argument '{text}' of option {name}"))
            })
            .transpose()
    }
}

/// Reads a command line.
///
/// # Errors
/// A word starts like an option and is none, or an option lacks its value.
pub(super) fn parse(options: &[Opt], args: &[String]) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    let mut words = args.iter().peekable();
    while let Some(word) = words.next() {
        if word == "--" {
            parsed.rest.extend(words.by_ref().cloned());
            break;
        }
        if !looks_like_an_option(word) {
            parsed.rest.push(word.clone());
            continue;
        }
        let bare = word.trim_start_matches('-');
        let (name, mut value) = match bare.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (bare, None),
        };
        let option =
            find(options, name).ok_or_else(|| format!("{name} is not a recognized option"))?;
        match option.takes {
            Takes::Nothing => value = None,
            Takes::Value if value.is_none() => {
                let next = words.next().cloned();
                value = Some(next.ok_or_else(|| format!("Option {name} requires an argument"))?);
            }
            Takes::MaybeValue if value.is_none() => {
                value = words.next_if(|next| !looks_like_an_option(next)).cloned();
            }
            Takes::Value | Takes::MaybeValue => {}
        }
        parsed.given.push((option.name, value));
    }
    Ok(parsed)
}

fn looks_like_an_option(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-') && !word.starts_with("-=")
}

/// The option of that name, or the only one that begins so.
fn find<'a>(options: &'a [Opt], name: &str) -> Option<&'a Opt> {
    if let Some(exact) = options.iter().find(|option| option.name == name) {
        return Some(exact);
    }
    let mut begin = options
        .iter()
        .filter(|option| option.name.starts_with(name));
    match (begin.next(), begin.next()) {
        (Some(only), None) if !name.is_empty() => Some(only),
        _ => None,
    }
}

/// Options that every tool has.
pub(super) const EVERYWHERE: [Opt; 2] = [
    flag("help", "Print this and end."),
    flag(
        "version",
        "Print the release that the tool stands for and end.",
    ),
];

/// The table of a tool's options.
pub(super) fn table(options: &[Opt]) -> String {
    let left = |option: &Opt| match option.takes {
        Takes::Nothing => format!("--{}", option.name),
        Takes::Value => format!("--{} <value>", option.name),
        Takes::MaybeValue => format!("--{} [value]", option.name),
    };
    let width = options.iter().map(|o| left(o).len()).max().unwrap_or(0);
    let mut sorted: Vec<&Opt> = options.iter().collect();
    sorted.sort_by_key(|option| option.name);
    let mut text = format!("{:<width$}  What it does\n", "Option");
    for option in sorted {
        text.push_str(&format!("{:<width$}  {}\n", left(option), option.help));
    }
    text
}

#[cfg(test)]
mod tests;
