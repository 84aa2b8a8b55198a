//! The codecs on their own: content, framing, limits, bombs and garbage.
//!
//! Invariant under test: what others compress is read, what is written is what others read, and no
//! input costs more memory than its limit.

use bytes::{BufMut, Bytes, BytesMut};
use logway_protocol::compression::{Compression, CompressionError, compress, decompress};
use proptest::prelude::*;

const CODECS: [Compression; 4] = [
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];
const XERIAL_HEADER: &[u8] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
const LZ4_HEADER: [u8; 7] = [0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, 0x82];

fn exceeded(result: &Result<Bytes, CompressionError>) -> bool {
    matches!(result, Err(CompressionError::LimitExceeded { .. }))
}

fn corrupt(result: &Result<Bytes, CompressionError>) -> bool {
    matches!(result, Err(CompressionError::Corrupt { .. }))
}

/// Content of `length` bytes that neither repeats quickly nor is random.
fn prose(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"etaoin shrdlu"[state as usize >> 8 & 7]
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}

#[test]
fn content_comes_back_at_the_edges_of_blocks() {
    let (snappy, lz4) = (32 * 1024, 64 * 1024);
    for length in [
        0,
        1,
        snappy - 1,
        snappy,
        snappy + 1,
        lz4 - 1,
        lz4,
        lz4 + 1,
        3 * lz4 + 17,
    ] {
        let content = prose(length);
        for codec in Compression::ALL {
            let packed = compress(codec, &content).unwrap();
            assert_eq!(
                decompress(codec, &packed, length).unwrap(),
                content,
                "{codec} {length}"
            );
            if length > 0 {
                assert!(
                    exceeded(&decompress(codec, &packed, length - 1)),
                    "{codec} {length}"
                );
            }
        }
    }
}

#[test]
fn bombs_are_stopped_at_the_limit() {
    let zeros = vec![0; 6 << 20];
    for codec in CODECS {
        let bomb = compress(codec, &zeros).unwrap();
        assert!(exceeded(&decompress(codec, &bomb, 1 << 18)), "{codec}");
    }
    // A Zstandard frame that asks for a window of 2 GiB is refused before anything is read.
    let window = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 0xA8, 0x01, 0x00, 0x00];
    assert!(corrupt(&decompress(Compression::Zstd, &window, 1 << 30)));
}

#[test]
fn snappy_is_written_in_the_chunks_of_the_java_client() {
    let content = prose(40 * 1024);
    let packed = compress(Compression::Snappy, &content).unwrap();
    let mut rest = packed.strip_prefix(XERIAL_HEADER).unwrap();
    let mut sizes = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let (chunk, tail) = tail.split_at(u32::from_be_bytes(*length) as usize);
        sizes.push(snap::raw::decompress_len(chunk).unwrap());
        rest = tail;
    }
    assert_eq!(sizes, [32 * 1024, 8 * 1024]);
}

#[test]
fn snappy_is_read_in_both_framings() {
    let content = prose(100_000);
    let raw = snap::raw::Encoder::new().compress_vec(&content).unwrap();
    assert_eq!(
        decompress(Compression::Snappy, &raw, content.len()).unwrap(),
        content
    );
    assert!(exceeded(&decompress(
        Compression::Snappy,
        &raw,
        content.len() - 1
    )));
    // Streams that follow each other, header included, and an empty chunk between them.
    let stream = compress(Compression::Snappy, &content).unwrap();
    let joined = [&stream, [0, 0, 0, 0].as_slice(), &stream].concat();
    let expected = [content.as_slice(), content.as_slice()].concat();
    let unpacked = decompress(Compression::Snappy, &joined, expected.len()).unwrap();
    assert_eq!(unpacked, expected);
}

#[test]
fn snappy_blocks_that_announce_too_much_are_refused() {
    // 4 GiB - 1 announced by five bytes, raw and in a chunk.
    let block = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F];
    assert!(corrupt(&decompress(
        Compression::Snappy,
        &block,
        usize::MAX
    )));
    let mut chunk = BytesMut::from(XERIAL_HEADER);
    chunk.put_u32(5);
    chunk.put_slice(&block);
    assert!(corrupt(&decompress(
        Compression::Snappy,
        &chunk,
        usize::MAX
    )));
    for length in [1, 6, i32::MAX as u32, u32::MAX] {
        let mut chunk = BytesMut::from(XERIAL_HEADER);
        chunk.put_u32(length);
        chunk.put_slice(&[0; 3]);
        chunk.truncate(XERIAL_HEADER.len() + 4 + usize::from(length == 1) * 3);
        assert!(
            corrupt(&decompress(Compression::Snappy, &chunk, 1000)),
            "{length}"
        );
    }
    assert!(corrupt(&decompress(
        Compression::Snappy,
        &XERIAL_HEADER[..12],
        1000
    )));
}

#[test]
fn lz4_is_one_frame_of_independent_blocks() {
    let packed = compress(Compression::Lz4, &prose(70_000)).unwrap();
    assert!(packed.starts_with(&LZ4_HEADER));
    assert!(packed.ends_with(&[0; 4]));
    // What cannot be compressed is stored.
    let mut state = 7u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    })
    .take(1000)
    .collect();
    let stored = compress(Compression::Lz4, &noise).unwrap();
    assert_eq!(stored.len(), LZ4_HEADER.len() + 4 + noise.len() + 4);
    assert_eq!(decompress(Compression::Lz4, &stored, 1000).unwrap(), noise);
    assert!(exceeded(&decompress(Compression::Lz4, &stored, 999)));
}

#[test]
fn lz4_frames_of_an_independent_encoder_are_read() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use std::io::Write;
    let content = prose(300_000);
    let frame = |info: FrameInfo| {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&content).unwrap();
        encoder.finish().unwrap()
    };
    let sizes = [
        BlockSize::Max64KB,
        BlockSize::Max256KB,
        BlockSize::Max1MB,
        BlockSize::Max4MB,
    ];
    for size in sizes {
        for checks in [false, true] {
            let info = FrameInfo::new()
                .block_size(size)
                .block_checksums(checks)
                .content_checksum(checks)
                .content_size(checks.then_some(content.len() as u64));
            let packed = frame(info);
            assert_eq!(
                decompress(Compression::Lz4, &packed, content.len()).unwrap(),
                content
            );
            if checks {
                let mut damaged = packed;
                damaged[30] ^= 1;
                assert!(corrupt(&decompress(
                    Compression::Lz4,
                    &damaged,
                    content.len()
                )));
            }
        }
    }
    // Linked blocks: the Java client and broker refuse them too.
    let linked = frame(FrameInfo::new().block_mode(BlockMode::Linked));
    assert!(corrupt(&decompress(
        Compression::Lz4,
        &linked,
        content.len()
    )));
}

#[test]
fn our_lz4_frames_are_read_by_an_independent_decoder() {
    use std::io::Read;
    for length in [0, 1000, 200_000] {
        let content = prose(length);
        let packed = compress(Compression::Lz4, &content).unwrap();
        let mut unpacked = Vec::new();
        lz4_flex::frame::FrameDecoder::new(packed.as_ref())
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, content);
    }
}

#[test]
fn lz4_blocks_may_lie() {
    let block = |size: u32, data: &[u8]| {
        let mut frame = BytesMut::from(LZ4_HEADER.as_slice());
        frame.put_u32_le(size);
        frame.put_slice(data);
        frame.freeze()
    };
    for size in [1, 9, 0x7FFF_FFFF, 0x8000_0009, 0xFFFF_FFFF] {
        let frame = block(size, &[0xFF; 8]);
        assert!(
            corrupt(&decompress(Compression::Lz4, &frame, 1 << 20)),
            "{size:#x}"
        );
    }
    // A stored block above the frame's own 64 KiB.
    let large = block(0x8000_0000 | 70_000, &vec![1; 70_000]);
    assert!(corrupt(&decompress(Compression::Lz4, &large, 1 << 20)));
    // The end mark is missing.
    let packed = compress(Compression::Lz4, b"content").unwrap();
    assert!(corrupt(&decompress(
        Compression::Lz4,
        &packed.slice(..packed.len() - 4),
        100
    )));
    for at in 0..LZ4_HEADER.len() {
        let mut damaged = BytesMut::from(packed.as_ref());
        damaged[at] ^= 0x10;
        assert!(
            corrupt(&decompress(Compression::Lz4, &damaged, 100)),
            "header byte {at}"
        );
    }
}

#[test]
fn gzip_members_and_zstd_frames_may_follow_each_other() {
    for codec in [Compression::Gzip, Compression::Zstd] {
        let one = compress(codec, b"one ").unwrap();
        let two = compress(codec, b"two").unwrap();
        let joined = [one.as_ref(), two.as_ref()].concat();
        assert_eq!(
            decompress(codec, &joined, 7).unwrap(),
            b"one two".as_slice()
        );
    }
}

proptest! {
    #[test]
    fn any_content_comes_back(content in prop::collection::vec(any::<u8>(), 0..2000)) {
        for codec in Compression::ALL {
            let packed = compress(codec, &content).unwrap();
            prop_assert_eq!(&decompress(codec, &packed, content.len()).unwrap(), &content);
        }
    }

    #[test]
    fn garbage_behind_a_right_beginning_never_panics(garbage in prop::collection::vec(any::<u8>(), 0..300)) {
        let starts: [&[u8]; 6] = [
            &[],
            XERIAL_HEADER,
            &LZ4_HEADER,
            &[0x28, 0xB5, 0x2F, 0xFD],
            &[0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3],
            &[0x28, 0xB5, 0x2F, 0xFD, 0x00, 0x58],
        ];
        for start in starts {
            let input = [start, &garbage].concat();
            for codec in Compression::ALL {
                if let Ok(content) = decompress(codec, &input, 10_000) {
                    prop_assert!(content.len() <= 10_000);
                }
            }
        }
    }

    #[test]
    fn damaged_and_cut_content_never_panics(
        content in prop::collection::vec(0..4u8, 0..3000),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        for codec in CODECS {
            let packed = compress(codec, &content).unwrap();
            let mut damaged = packed.to_vec();
            let index = at.index(damaged.len());
            damaged[index] = byte;
            drop(decompress(codec, &damaged, 10_000));
            let cut = decompress(codec, &packed[..index], content.len());
            // A cut between two chunks of Snappy goes unseen here: the records are counted.
            prop_assert!(cut.map_or(true, |unpacked| unpacked.len() <= content.len()));
        }
    }
}
