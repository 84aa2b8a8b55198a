//! Finds text in bytes without regard to ASCII case, fast enough to walk millions of lines.
//!
//! Invariant: agrees with a comparison of the ASCII-lowercased haystack and needle at every place;
//! the haystack need not be UTF-8. Part of step 12, the search.

use memchr::{memchr_iter, memchr2_iter};

/// A text to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needle {
    /// In lower case.
    text: Vec<u8>,
    /// Place of the byte that is rarest in log lines: candidates are found by it.
    rare_at: usize,
    escaped_in_json: bool,
}

impl Needle {
    /// Prepares `text`; empty text is no needle.
    #[must_use]
    pub fn new(text: &str) -> Option<Needle> {
        if text.is_empty() {
            return None;
        }
        let bytes = text.as_bytes().to_ascii_lowercase();
        let rare_at = (0..bytes.len()).min_by_key(|at| frequency(bytes[*at]))?;
        let escaped_in_json = bytes.iter().any(|byte| Needle::may_be_escaped(*byte));
        Some(Needle {
            text: bytes,
            rare_at,
            escaped_in_json,
        })
    }

    /// The words of `text`, each a needle of its own.
    #[must_use]
    pub fn words(text: &str) -> Vec<Needle> {
        text.split_whitespace().filter_map(Needle::new).collect()
    }

    /// The text in ASCII lower case.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether JSON may write this byte in another way.
    pub(crate) fn may_be_escaped(byte: u8) -> bool {
        !(0x20..0x7f).contains(&byte) || matches!(byte, b'"' | b'\\' | b'/')
    }

    /// Whether JSON may write the text differently from how it reads.
    #[must_use]
    pub fn is_escaped_in_json(&self) -> bool {
        self.escaped_in_json
    }

    /// Whether the text occurs in `haystack`.
    #[must_use]
    pub fn occurs_in(&self, haystack: &[u8]) -> bool {
        if haystack.len() < self.text.len() {
            return false;
        }
        // A candidate nearer to an edge than the needle reaches is none.
        let last = haystack.len() - self.text.len() + self.rare_at;
        let window = &haystack[self.rare_at..=last];
        let is_match = |start: usize| {
            haystack[start..start + self.text.len()].eq_ignore_ascii_case(&self.text)
        };
        let rare = self.text[self.rare_at];
        if rare.is_ascii_lowercase() {
            memchr2_iter(rare, rare.to_ascii_uppercase(), window).any(is_match)
        } else {
            memchr_iter(rare, window).any(is_match)
        }
    }
}

/// A rough rank of how often a byte occurs in log lines; higher is more often.
fn frequency(byte: u8) -> u8 {
    const LETTERS: &[u8] = b"zqjxkvwybghfpumdclrsniotae";
    match byte {
        b'a'..=b'z' => {
            let rank = LETTERS
                .iter()
                .position(|letter| *letter == byte)
                .unwrap_or(0);
            60 + 4 * u8::try_from(rank).unwrap_or(0)
        }
        b' ' | b'0' | b'1' => 255,
        b'2' => 200,
        b'3'..=b'9' | b'.' | b':' | b'-' | b'/' => 150,
        b',' | b'=' | b'[' | b']' | b'(' | b')' | b'"' | b'_' => 110,
        _ => 20,
    }
}
