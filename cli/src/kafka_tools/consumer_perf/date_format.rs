//! Times in the letters of Java's `SimpleDateFormat`.
//!
//! Invariant: a pattern is read once and whole, so that a wrong letter is told before the run.

use jiff::Zoned;

use crate::kafka_tools::exception::Exception;

/// How times are written.
#[derive(Debug)]
pub(super) struct DateFormat {
    pieces: Vec<Piece>,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    /// Milliseconds of the second, with so many digits at least.
    Millis(usize),
    /// A conversion of `strftime`.
    Time(&'static str),
}

impl DateFormat {
    /// Reads a pattern.
    ///
    /// # Errors
    /// It has a letter that means nothing, or a quote that does not end.
    pub(super) fn of(pattern: &str) -> Result<Self, Exception> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut letters = pattern.chars().peekable();
        while let Some(letter) = letters.next() {
            let text = match letter {
                '\'' => quoted(&mut letters)?,
                letter if letter.is_ascii_alphabetic() => {
                    let mut count = 1;
                    while letters.next_if_eq(&letter).is_some() {
                        count += 1;
                    }
                    pieces.push(field(letter, count)?);
                    continue;
                }
                letter => letter.to_string(),
            };
            pieces.push(Piece::Text(text));
        }
        Ok(Self { pieces })
    }

    /// This moment.
    pub(super) fn now(&self) -> String {
        self.text(&Zoned::now())
    }

    fn text(&self, at: &Zoned) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Millis(width) => {
                    text.push_str(&format!("{:0width$}", at.millisecond()));
                }
                Piece::Time(conversion) => text.push_str(&at.strftime(conversion).to_string()),
            }
        }
        text
    }
}

/// The rest of a quoted text; a quote twice is a quote.
fn quoted(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, Exception> {
    if letters.next_if_eq(&'\'').is_some() {
        return Ok("'".to_owned());
    }
    let mut text = String::new();
    loop {
        match letters.next() {
            Some('\'') if letters.next_if_eq(&'\'').is_some() => text.push('\''),
            Some('\'') => return Ok(text),
            Some(letter) => text.push(letter),
            None => return Err(Exception::illegal_argument("Unterminated quote")),
        }
    }
}

fn field(letter: char, count: usize) -> Result<Piece, Exception> {
    let conversion = match (letter, count) {
        ('S', _) => return Ok(Piece::Millis(count)),
        ('y' | 'Y', 2) => "%y",
        ('y' | 'Y', _) => "%Y",
        ('M' | 'L', 1) => "%-m",
        ('M' | 'L', 2) => "%m",
        ('M' | 'L', 3) => "%b",
        ('M' | 'L', _) => "%B",
        ('d', 1) => "%-d",
        ('d', _) => "%d",
        ('D', 1) => "%-j",
        ('D', _) => "%j",
        ('E', ..=3) => "%a",
        ('E', _) => "%A",
        ('u', _) => "%u",
        ('a', _) => "%p",
        ('H', 1) => "%-H",
        ('H', _) => "%H",
        ('h', 1) => "%-I",
        ('h', _) => "%I",
        ('m', 1) => "%-M",
        ('m', _) => "%M",
        ('s', 1) => "%-S",
        ('s', _) => "%S",
        ('z', _) => "%Z",
        ('Z', _) => "%z",
        ('X', _) => "%:z",
        ('G' | 'w' | 'W' | 'F' | 'k' | 'K', _) => {
            let problem = format!("Pattern character '{letter}' is not supported by this tool");
            return Err(Exception::illegal_argument(problem));
        }
        (letter, _) => {
            let problem = format!("Illegal pattern character '{letter}'");
            return Err(Exception::illegal_argument(problem));
        }
    };
    Ok(Piece::Time(conversion))
}

#[cfg(test)]
mod tests {
    //! Patterns against what Java writes.

    use super::DateFormat;

    #[test]
    fn times_are_written_as_java_writes_them() {
        let at = jiff::civil::date(2026, 3, 5).at(7, 8, 9, 12_000_000);
        let at = at.to_zoned(jiff::tz::TimeZone::UTC).unwrap();
        for (pattern, expected) in [
            ("yyyy-MM-dd HH:mm:ss:SSS", "2026-03-05 07:08:09:012"),
            ("d/M/yy h:m:s.S a", "5/3/26 7:8:9.12 AM"),
            (
                "EEE, d MMM yyyy HH 'o''clock' Z",
                "Thu, 5 Mar 2026 07 o'clock +0000",
            ),
            ("''yy", "'26"),
        ] {
            let format = DateFormat::of(pattern).unwrap();
            assert_eq!(format.text(&at), expected, "{pattern}");
        }
        for wrong in ["QQ", "yyyy 'open"] {
            assert!(DateFormat::of(wrong).is_err(), "{wrong}");
        }
    }
}
