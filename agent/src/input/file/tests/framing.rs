//! The framer gives the same lines whatever the chunks. Step 2 of the hallway.

use std::io;

use proptest::prelude::*;

use crate::input::file::evidence::{ReadAt, Tail};
use crate::input::file::frame::{Cursor, Limits, Pass, read_lines};

/// Bytes that come in short reads of given lengths, growing while they are read.
struct Trickle<'a> {
    bytes: &'a [u8],
    chunks: std::cell::RefCell<std::iter::Cycle<std::vec::IntoIter<usize>>>,
}

impl ReadAt for Trickle<'_> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = self.bytes.get(offset as usize..).unwrap_or_default();
        let chunk = self.chunks.borrow_mut().next().unwrap_or(1).max(1);
        let count = rest.len().min(buf.len()).min(chunk);
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

#[derive(Debug, PartialEq, Eq, Clone)]
struct Seen {
    body: Vec<u8>,
    start: u64,
    end: u64,
    full_len: u64,
}

/// The lines of `bytes` as the rules say, all at once.
fn expected(bytes: &[u8], max: usize, end_is_line: bool) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut start = 0;
    for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
        let end = start + piece.len();
        let body = match piece {
            [body @ .., b'\r', b'\n'] | [body @ .., b'\n'] => body,
            rest if end_is_line => rest,
            _ => break,
        };
        seen.push(Seen {
            body: body[..body.len().min(max)].to_vec(),
            start: start as u64,
            end: end as u64,
            full_len: body.len() as u64,
        });
        start = end;
    }
    seen
}

/// Reads `bytes`, which become visible at the lengths of `stages`.
fn read_all(bytes: &[u8], stages: &[usize], chunks: &[usize], limits: Limits) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut cursor = Cursor::default();
    let mut buf = Vec::new();
    for (number, stage) in stages.iter().chain([&bytes.len()]).enumerate() {
        let source = Trickle {
            bytes: &bytes[..*stage],
            chunks: std::cell::RefCell::new(Vec::from(chunks).into_iter().cycle()),
        };
        let last = number == stages.len();
        let limits = Limits {
            end_is_line: limits.end_is_line && last,
            ..limits
        };
        loop {
            let pass = read_lines(&source, &mut cursor, &mut buf, limits, &mut |line| {
                assert_eq!(line.tail, Tail::of(&bytes[..line.end as usize]).bytes());
                seen.push(Seen {
                    body: line.body.to_vec(),
                    start: line.start,
                    end: line.end,
                    full_len: line.full_len,
                });
            });
            match pass.expect("memory can be read") {
                Pass::More => {}
                Pass::End => break,
                Pass::Replaced => panic!("nothing was replaced"),
            }
        }
        assert_eq!(cursor.tail, Tail::of(&bytes[..cursor.line_start as usize]));
    }
    seen
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        6 => proptest::num::u8::ANY,
        2 => Just(b'\n'),
        1 => Just(b'\r'),
        1 => Just(b'a'),
    ];
    let ending = proptest::sample::select(vec![&b"\n"[..], b"\r\n", b"\r\r\n", b"\n\n", b""]);
    let piece = (proptest::collection::vec(byte, 0..60), ending);
    proptest::collection::vec(piece, 0..20).prop_map(|pieces| {
        pieces
            .into_iter()
            .flat_map(|(body, end)| [body, end.to_vec()].concat())
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_chunking_gives_the_same_lines(
        bytes in text(),
        cuts in proptest::collection::vec(0.0..1.0_f64, 0..5),
        chunks in proptest::collection::vec(1_usize..50, 1..8),
        slice in 1_usize..100,
        max in 1_usize..80,
        end_is_line: bool,
    ) {
        let mut stages: Vec<usize> = cuts.iter().map(|cut| (cut * bytes.len() as f64) as usize).collect();
        stages.sort_unstable();
        let limits = Limits { line_bytes_max: max, slice_bytes: slice, end_is_line };
        let seen = read_all(&bytes, &stages, &chunks, limits);
        prop_assert_eq!(&seen, &expected(&bytes, max, end_is_line));
        // The spans lie side by side and cover the text up to the last line's end.
        let mut at = 0;
        for line in &seen {
            prop_assert_eq!(line.start, at);
            at = line.end;
        }
        let whole = if end_is_line { bytes.len() } else { bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |feed| feed + 1) };
        prop_assert_eq!(at, whole as u64);
    }

    #[test]
    fn replaced_bytes_before_the_cursor_are_noticed(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..200),
        flip in 0_usize..64,
    ) {
        let text = [&bytes[..], b"\n"].concat();
        let at = text.len() as u64;
        let mut cursor = Cursor::at(at, Tail::of(&text));
        let mut other = [&text[..], b"more\n"].concat();
        let target = text.len() - 1 - flip.min(text.len() - 1);
        other[target] ^= 1;
        let limits = Limits { line_bytes_max: 100, slice_bytes: 64, end_is_line: false };
        let source = Trickle { bytes: &other, chunks: std::cell::RefCell::new(vec![1000].into_iter().cycle()) };
        let pass = read_lines(&source, &mut cursor, &mut Vec::new(), limits, &mut |_| panic!("no line"));
        prop_assert_eq!(pass.expect("memory can be read"), Pass::Replaced);
    }
}

#[test]
fn a_lone_carriage_return_stays() {
    let limits = Limits {
        line_bytes_max: 100,
        slice_bytes: 3,
        end_is_line: true,
    };
    let bodies: Vec<Vec<u8>> = read_all(b"a\rb\r\n\r\n\nend\r", &[], &[2], limits)
        .into_iter()
        .map(|line| line.body)
        .collect();
    assert_eq!(bodies, [&b"a\rb"[..], b"", b"", b"end\r"]);
}

#[test]
fn a_long_line_is_cut_and_does_not_fill_memory() {
    let long = [vec![b'x'; 5_000_000], b"\nnext\n".to_vec()].concat();
    let limits = Limits {
        line_bytes_max: 1000,
        slice_bytes: 4096,
        end_is_line: false,
    };
    let mut cursor = Cursor::default();
    let mut buf = Vec::new();
    let source = Trickle {
        bytes: &long,
        chunks: std::cell::RefCell::new(vec![1 << 20].into_iter().cycle()),
    };
    let mut seen = Vec::new();
    while read_lines(&source, &mut cursor, &mut buf, limits, &mut |line| {
        seen.push((line.body.len(), line.full_len, line.start, line.end));
    })
    .expect("memory can be read")
        == Pass::More
    {
        assert!(
            buf.capacity() < 64 * 1024,
            "a line that is skipped is not kept"
        );
    }
    assert_eq!(
        seen,
        [
            (1000, 5_000_000, 0, 5_000_001),
            (4, 4, 5_000_001, 5_000_006)
        ]
    );
}
