//! From a pattern's text to its pieces, by logback's grammar: `%[width]word{options}`,
//! `%[width](group)`, `%word(group){options}`, and the escapes `\% \( \) \_ \\ \t \n \r`.
//!
//! **Invariant:** an unknown word, a bad option or an open bracket is an error with its place, never a
//! piece that prints something else.

use std::{iter::Peekable, str::CharIndices, sync::atomic::AtomicU64};

use regex::Regex;

use crate::{event::Moment, layout::CustomValue};

use super::{DateFormat, Effect, PatternError, PatternLayout, Piece, Setting, Width, Word};

/// Groups may stand in one another this deep.
const DEPTH_MAX: usize = 16;

impl PatternLayout {
    /// Parses a pattern; `service` and `custom` answer `%contextName` and `%property`.
    pub(crate) fn parse(
        pattern: &str,
        service: Option<&str>,
        custom: Vec<(&'static str, CustomValue)>,
    ) -> Result<PatternLayout, PatternError> {
        let mut parser = Parser {
            pattern,
            rest: pattern.char_indices().peekable(),
            words: Vec::new(),
        };
        let pieces = parser.pieces(0)?;
        let has = |kind: Kind| parser.words.contains(&kind);
        Ok(PatternLayout {
            pieces,
            setting: Setting {
                service: service.unwrap_or("default").to_owned(),
                custom,
                started: Moment::now(),
                sequence: AtomicU64::new(0),
            },
            fields_in_message: !has(Kind::Fields),
            errors_at_end: !has(Kind::Error),
        })
    }
}

/// Words whose presence changes what is added by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fields,
    Error,
}

struct Parser<'a> {
    pattern: &'a str,
    rest: Peekable<CharIndices<'a>>,
    words: Vec<Kind>,
}

impl Parser<'_> {
    /// Pieces up to the end, or up to the bracket that closes the group.
    fn pieces(&mut self, depth: usize) -> Result<Vec<Piece>, PatternError> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let opened = self.at();
        loop {
            match self.rest.next() {
                None if depth > 0 => return Err(self.error(opened, "this group is not closed")),
                None => break,
                Some((_, ')')) if depth > 0 => break,
                Some((_, '\\')) => self.escape(&mut literal),
                Some((at, '%')) => {
                    if !literal.is_empty() {
                        pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    }
                    pieces.push(self.conversion(at, depth)?);
                }
                Some((_, c)) => literal.push(c),
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(pieces)
    }

    fn escape(&mut self, literal: &mut String) {
        match self.rest.next().map(|(_, c)| c) {
            Some('t') => literal.push('\t'),
            Some('n') => literal.push('\n'),
            Some('r') => literal.push('\r'),
            // Only ends the word before it.
            Some('_') => {}
            Some(c) => literal.push(c),
            None => literal.push('\\'),
        }
    }

    /// What follows a `%`.
    fn conversion(&mut self, start: usize, depth: usize) -> Result<Piece, PatternError> {
        if depth >= DEPTH_MAX {
            return Err(self.error(start, "groups stand in one another too deeply"));
        }
        let width = self.width(start)?;
        let mut name = String::new();
        while let Some((_, c)) = self
            .rest
            .next_if(|(_, c)| c.is_ascii_alphanumeric() || *c == '_')
        {
            name.push(c);
        }
        let grouped = name.is_empty() || is_group(&name);
        if grouped {
            if self.rest.next_if(|(_, c)| *c == '(').is_none() {
                let what = if name.is_empty() {
                    "a conversion word"
                } else {
                    "a group: (…)"
                };
                return Err(self.error(start, &format!("{what} must follow")));
            }
            let mut inner = self.pieces(depth + 1)?;
            let options = self.options(start)?;
            let effect = effect(&name, &options).map_err(|problem| self.error(start, &problem))?;
            if matches!(effect, Effect::Prefix) {
                inner = prefixed(inner);
            }
            return Ok(Piece::Group(inner, effect, width));
        }
        let options = self.options(start)?;
        let word = word(&name, &options).map_err(|problem| self.error(start, &problem))?;
        match word {
            Word::Fields { .. } => self.words.push(Kind::Fields),
            Word::Error { .. } | Word::NoError => self.words.push(Kind::Error),
            _ => {}
        }
        Ok(Piece::Word(word, width))
    }

    /// `-20.-30`, all of it optional.
    fn width(&mut self, start: usize) -> Result<Width, PatternError> {
        let pad_right = self.rest.next_if(|(_, c)| *c == '-').is_some();
        let pad_zero = self.rest.next_if(|(_, c)| *c == '0').is_some();
        let min = self.number(start)?.unwrap_or(0);
        let mut width = Width {
            min,
            max: None,
            pad_right,
            pad_zero,
            cut_end: false,
        };
        if self.rest.next_if(|(_, c)| *c == '.').is_some() {
            width.cut_end = self.rest.next_if(|(_, c)| *c == '-').is_some();
            let max = self.number(start)?;
            width.max = Some(max.ok_or_else(|| self.error(start, "a number must follow the dot"))?);
        }
        Ok(width)
    }

    fn number(&mut self, start: usize) -> Result<Option<usize>, PatternError> {
        let mut digits = String::new();
        while let Some((_, digit)) = self.rest.next_if(|(_, c)| c.is_ascii_digit()) {
            digits.push(digit);
        }
        match digits.parse() {
            _ if digits.is_empty() => Ok(None),
            Ok(number) if number <= WIDTH_MAX => Ok(Some(number)),
            _ => Err(self.error(start, &format!("a width is at most {WIDTH_MAX}"))),
        }
    }

    /// `{a, 'b'}`: parts between commas, trimmed, quotes taken off.
    fn options(&mut self, start: usize) -> Result<Vec<String>, PatternError> {
        let mut options = Vec::new();
        if self.rest.next_if(|(_, c)| *c == '{').is_none() {
            return Ok(options);
        }
        let mut option = String::new();
        let mut quoted = false;
        loop {
            match self.rest.next().map(|(_, c)| c) {
                None => return Err(self.error(start, "its option is not closed by }")),
                Some('}') => break,
                Some(',') => {
                    options.push(finish_option(&mut option, &mut quoted));
                }
                Some(quote @ ('"' | '\'')) if option.trim().is_empty() => {
                    option.clear();
                    quoted = self.quoted(quote, &mut option);
                    if !quoted {
                        return Err(self.error(start, "a quote in its option has no end"));
                    }
                }
                Some('\\') if self.rest.peek().is_some_and(|(_, c)| "}{,".contains(*c)) => {
                    option.extend(self.rest.next().map(|(_, c)| c));
                }
                Some(c) => option.push(c),
            }
        }
        options.push(finish_option(&mut option, &mut quoted));
        Ok(options)
    }

    /// The text up to the closing quote; false when there is none.
    fn quoted(&mut self, quote: char, option: &mut String) -> bool {
        for (_, c) in self.rest.by_ref() {
            if c == quote {
                return true;
            }
            option.push(c);
        }
        false
    }

    fn at(&mut self) -> usize {
        self.rest.peek().map_or(self.pattern.len(), |(at, _)| *at)
    }

    fn error(&self, at: usize, problem: &str) -> PatternError {
        PatternError {
            pattern: self.pattern.to_owned(),
            at: self.pattern[..at].chars().count() + 1,
            problem: problem.to_owned(),
        }
    }
}

/// Widest padding and longest cut.
const WIDTH_MAX: usize = 10_000;

fn finish_option(option: &mut String, quoted: &mut bool) -> String {
    let text = std::mem::take(option);
    if std::mem::take(quoted) {
        text
    } else {
        text.trim().to_owned()
    }
}

/// Words that stand before a group.
fn is_group(name: &str) -> bool {
    matches!(name, "replace" | "highlight" | "prefix") || colour(name).is_some()
}

/// The ANSI code of logback's colour words.
fn colour(name: &str) -> Option<&'static str> {
    Some(match name {
        "black" => "30",
        "red" => "31",
        "green" => "32",
        "yellow" => "33",
        "blue" => "34",
        "magenta" => "35",
        "cyan" => "36",
        "white" => "37",
        "gray" | "boldBlack" => "1;30",
        "boldRed" => "1;31",
        "boldGreen" => "1;32",
        "boldYellow" => "1;33",
        "boldBlue" => "1;34",
        "boldMagenta" => "1;35",
        "boldCyan" => "1;36",
        "boldWhite" => "1;37",
        _ => return None,
    })
}

fn effect(name: &str, options: &[String]) -> Result<Effect, String> {
    Ok(match (name, options) {
        ("", _) => Effect::Plain,
        ("highlight", _) => Effect::Highlight,
        ("prefix", _) => Effect::Prefix,
        ("replace", [pattern, replacement, ..]) => {
            let regex = Regex::new(pattern)
                .map_err(|error| format!("`{pattern}` is not a regular expression: {error}"))?;
            Effect::Replace(regex, java_replacement(replacement))
        }
        ("replace", _) => return Err("%replace(…) needs {regex, replacement}".to_owned()),
        (name, _) => Effect::Colour(colour(name).ok_or_else(|| unknown(name))?),
    })
}

/// Java's `$1x` is group 1 and an x; the same text names group `1x` in Rust.
fn java_replacement(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '$' => {
                let digits: String =
                    std::iter::from_fn(|| rest.next_if(char::is_ascii_digit)).collect();
                out.push_str(&if digits.is_empty() {
                    "$".into()
                } else {
                    format!("${{{digits}}}")
                });
            }
            '\\' => match rest.next() {
                Some('$') => out.push_str("$$"),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            c => out.push(c),
        }
    }
    out
}

fn unknown(name: &str) -> String {
    format!("`%{name}` is not a conversion word")
}

/// The word with its options.
fn word(name: &str, options: &[String]) -> Result<Word, String> {
    let first = options.first().map(String::as_str);
    Ok(match name {
        "d" | "date" => Word::Date(DateFormat::parse(options)?),
        "ms" | "micros" => Word::Micros,
        "ep" | "epoch" => Word::Epoch {
            seconds: first == Some("seconds"),
        },
        "r" | "relative" => Word::Relative,
        "level" | "le" | "p" => Word::Level,
        "t" | "thread" => Word::Thread,
        "lo" | "logger" | "c" => Word::Logger {
            length: length(first)?,
        },
        "m" | "msg" | "message" => Word::Message,
        "C" | "class" => Word::Class {
            length: length(first)?,
        },
        "M" | "method" => Word::Method,
        "L" | "line" => Word::Line,
        "F" | "file" => Word::File,
        "caller" => Word::Caller,
        "X" | "mdc" => Word::Mdc {
            key: first.filter(|key| !key.is_empty()).map(with_default),
        },
        "ex" | "exception" | "throwable" | "xEx" | "xException" | "xThrowable" | "rEx"
        | "rootException" => Word::Error {
            lines: lines(first)?,
        },
        "nopex" | "nopexception" => Word::NoError,
        "cn" | "contextName" => Word::Context,
        "property" => {
            let (key, default) = with_default(first.ok_or("%property needs {name}")?);
            Word::Property { key, default }
        }
        "marker" => Word::Marker,
        "kvp" | "maskedKvp" => Word::Fields {
            quote: match first.unwrap_or("DOUBLE") {
                "NONE" => "",
                "SINGLE" => "'",
                "DOUBLE" => "\"",
                other => return Err(format!("quotes are NONE, SINGLE or DOUBLE, not `{other}`")),
            },
        },
        "n" => Word::Newline,
        "lsn" | "sn" | "sequenceNumber" => Word::Sequence,
        name => return Err(unknown(name)),
    })
}

fn length(option: Option<&str>) -> Result<Option<usize>, String> {
    let parse = |text: &str| {
        text.parse()
            .map_err(|_| format!("`{text}` is not a length"))
    };
    option.map(parse).transpose()
}

fn lines(option: Option<&str>) -> Result<Option<usize>, String> {
    match option {
        None | Some("full") => Ok(None),
        Some("short") => Ok(Some(1)),
        Some("none") => Ok(Some(0)),
        Some(depth) => length(Some(depth)),
    }
}

/// `key:-default`.
fn with_default(option: &str) -> (String, String) {
    let (key, default) = option.split_once(":-").unwrap_or((option, ""));
    (key.to_owned(), default.to_owned())
}

/// `%prefix(%level %logger)` writes `level=INFO logger=…`.
fn prefixed(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out = Vec::new();
    for piece in pieces {
        if let Piece::Word(word, _) = &piece
            && let Some(name) = prefix(word)
        {
            out.push(Piece::Literal(format!("{name}=")));
        }
        out.push(piece);
    }
    out
}

fn prefix(word: &Word) -> Option<String> {
    Some(match word {
        Word::Date(_) => "date".to_owned(),
        Word::Level => "level".to_owned(),
        Word::Thread => "thread".to_owned(),
        Word::Logger { .. } => "logger".to_owned(),
        Word::Message => "message".to_owned(),
        Word::Class { .. } => "class".to_owned(),
        Word::Method => "method".to_owned(),
        Word::Line => "line".to_owned(),
        Word::File => "file".to_owned(),
        Word::Context => "contextName".to_owned(),
        Word::Relative => "relative".to_owned(),
        Word::Sequence => "sequenceNumber".to_owned(),
        Word::Mdc {
            key: Some((key, _)),
        }
        | Word::Property { key, .. } => key.clone(),
        _ => return None,
    })
}
