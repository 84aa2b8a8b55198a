//! Bytes and file ranges through a real socket: in order, whole, and never short in silence.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use logway_journal::FileHandle;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::{FileRange, Output, Part};

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let (here, there) = tokio::join!(TcpStream::connect(to), listener.accept());
    (here.unwrap(), there.unwrap().0)
}

/// A file of `len` bytes, each telling its position.
fn file(len: usize) -> (tempfile::TempDir, Vec<u8>, Arc<File>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let bytes: Vec<u8> = (0..len).map(|at| (at * 7 / 3) as u8).collect();
    std::fs::write(&path, &bytes).unwrap();
    let file = File::options().read(true).write(true).open(path).unwrap();
    (dir, bytes, Arc::new(file))
}

fn range(file: &Arc<File>, position: usize, len: usize) -> Part {
    Part::File(FileRange {
        file: FileHandle::System(Arc::clone(file)),
        position: position as u64,
        len,
    })
}

async fn write_all(output: &mut Output, socket: &TcpStream) -> io::Result<usize> {
    let mut written = 0;
    while !output.is_empty() {
        written += output.write(socket).await?;
    }
    Ok(written)
}

#[tokio::test]
async fn parts_arrive_whole_and_in_order() {
    let (socket, mut peer) = sockets().await;
    let (_dir, bytes, file) = file(6 << 20);
    let mut output = Output::default();
    let mut expected = Vec::new();
    let mut parts = Vec::new();
    for step in 0..50usize {
        let header = Bytes::from(vec![step as u8; step % 7]);
        let (position, len) = (step * 1000 + 1, step * step * 1500 + 1);
        expected.extend_from_slice(&header);
        expected.extend_from_slice(&bytes[position..position + len]);
        parts.push(Part::Bytes(header));
        parts.push(range(&file, position, len));
    }
    for number in 0..40u8 {
        // More slices than one write takes.
        parts.push(Part::Bytes(Bytes::from(vec![number])));
        expected.push(number);
    }
    output.push_all(parts, None);
    assert_eq!(output.bytes(), expected.len());
    let total = expected.len();
    let receiving = async {
        let mut received = vec![0; total];
        peer.read_exact(&mut received).await.unwrap();
        received
    };
    let (written, received) = tokio::join!(write_all(&mut output, &socket), receiving);
    assert_eq!(written.unwrap(), total);
    assert_eq!(output.bytes(), 0);
    assert!(received == expected);
}

#[tokio::test]
async fn what_left_memory_is_brought_back() {
    let (socket, mut peer) = sockets().await;
    let (_dir, bytes, file) = file(5 << 20);
    file.sync_all().unwrap();
    // Where the file system keeps all in memory, this does nothing.
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let mut output = Output::default();
    output.push(Part::Bytes(Bytes::from_static(b"head")), None);
    output.push(range(&file, 10, bytes.len() - 10), None);
    let receiving = async {
        let mut received = vec![0; bytes.len() - 6];
        peer.read_exact(&mut received).await.unwrap();
        received
    };
    let (written, received) = tokio::join!(write_all(&mut output, &socket), receiving);
    assert_eq!(written.unwrap(), bytes.len() - 6);
    assert!(received[..4] == b"head"[..] && received[4..] == bytes[10..]);
}

#[tokio::test]
async fn a_file_that_was_cut_is_an_error() {
    let (socket, mut peer) = sockets().await;
    let (_dir, bytes, file) = file(100_000);
    file.set_len(60_000).unwrap();
    let mut output = Output::default();
    output.push_all(
        vec![
            Part::Bytes(Bytes::from_static(b"x")),
            range(&file, 0, 100_000),
        ],
        None,
    );
    let error = write_all(&mut output, &socket).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    drop(socket);
    let mut received = Vec::new();
    peer.read_to_end(&mut received).await.unwrap();
    assert!(received.len() <= 60_001 && received[1..] == bytes[..received.len() - 1]);
}

#[tokio::test]
async fn a_cancelled_write_is_taken_up_where_it_was() {
    let (socket, mut peer) = sockets().await;
    let (_dir, bytes, file) = file(20 << 20);
    let mut output = Output::default();
    output.push(range(&file, 0, bytes.len()), None);
    // Nobody reads: the socket fills up, and the wait for it is given up.
    let mut written = 0;
    loop {
        match within_a_moment(output.write(&socket)).await {
            Ok(sent) => written += sent.unwrap(),
            Err(()) if written > 0 => break,
            // A slow machine has not begun yet.
            Err(()) => {}
        }
    }
    assert!(written > 0 && written < bytes.len());
    assert_eq!(output.bytes(), bytes.len() - written);
    let total = bytes.len();
    let receiving = async {
        let mut received = vec![0; total];
        peer.read_exact(&mut received).await.unwrap();
        received
    };
    let (rest, received) = tokio::join!(write_all(&mut output, &socket), receiving);
    assert_eq!(written + rest.unwrap(), total);
    assert!(received == bytes);
}

/// What a future returns, unless it still waits after a moment.
async fn within_a_moment<T>(future: impl Future<Output = T>) -> Result<T, ()> {
    tokio::time::timeout(std::time::Duration::from_millis(200), future)
        .await
        .map_err(drop)
}
