//! Values for the perf test: random letters, those of a file, or numbers that count up.

use bytes::Bytes;

use crate::kafka_tools::exception::Exception;
use crate::kafka_tools::options::Parsed;
use crate::kafka_tools::output::End;

/// Where values come from.
#[derive(Debug)]
pub(super) struct Payloads {
    kind: Kind,
    /// State of the generator (xorshift), never zero.
    random: u64,
}

#[derive(Debug)]
enum Kind {
    Random(usize),
    Of(Vec<Bytes>),
    Monotonic,
}

impl Payloads {
    /// The values that the command line asks for.
    pub(super) fn of(parsed: &Parsed) -> Result<Self, End> {
        let size: Option<usize> = parsed.number("record-size").map_err(End::Usage)?;
        let sources = ["record-size", "payload-file", "payload-monotonic"];
        if sources.iter().filter(|name| parsed.has(name)).count() != 1 {
            return Err(End::Usage(
                "one of the arguments --record-size --payload-file --payload-monotonic is required"
                    .to_owned(),
            ));
        }
        let kind = match (size, parsed.get("payload-file")) {
            (Some(0), _) => {
                return Err(End::Usage(
                    "--record-size should be greater than zero.".to_owned(),
                ));
            }
            (Some(size), _) => Kind::Random(size),
            (None, Some(path)) => Kind::Of(read(path, parsed.get("payload-delimiter"))?),
            (None, None) => Kind::Monotonic,
        };
        let random = 0x9E37_79B9_7F4A_7C15;
        Ok(Self { kind, random })
    }

    /// The value of record `number`.
    pub(super) fn next(&mut self, number: u64) -> Bytes {
        match &self.kind {
            Kind::Monotonic => number.to_string().into(),
            Kind::Random(size) => {
                let letter = |_| b'A' + u8::try_from(draw(&mut self.random) % 26).unwrap_or(0);
                (0..*size).map(letter).collect::<Vec<u8>>().into()
            }
            Kind::Of(values) => {
                let drawn = draw(&mut self.random) % values.len() as u64;
                values[usize::try_from(drawn).unwrap_or(0)].clone()
            }
        }
    }
}

fn draw(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random >> 11
}

fn read(path: &str, delimiter: Option<&str>) -> Result<Vec<Bytes>, End> {
    let text = std::fs::read_to_string(path)
        .map_err(|_| Exception::new("java.nio.file.NoSuchFileException", path))?;
    let delimiter = delimiter.unwrap_or("\n").replace("\\n", "\n");
    let values: Vec<Bytes> = text
        .split(delimiter.as_str())
        .filter(|value| !value.is_empty())
        .map(|value| Bytes::from(value.to_owned()))
        .collect();
    if values.is_empty() {
        return Err(Exception::illegal_argument("Payload file is empty.").into());
    }
    Ok(values)
}
