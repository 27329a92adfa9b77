//! As little of an HTTP client as keeps a connection busy: both servers are asked by the same one, and what
//! it computes counts for both.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A connection that is kept, with one request at a time.
pub struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub async fn connect(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::with_capacity(4_096) }
    }

    /// Asks, and checks that the answer is a 200 of which nothing is missing.
    pub async fn ask(&mut self, request: &str) {
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.read.clear();
        let (head, length) = loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break (end + 4, length(&self.read[..end]));
            }
            self.read_more().await;
        };
        while self.read.len() < head + length {
            self.read_more().await;
        }
        assert_eq!(self.read.len(), head + length, "one answer to each request");
    }

    async fn read_more(&mut self) {
        let count = self.stream.read_buf(&mut self.read).await.unwrap();
        assert!(count > 0, "the server hung up after {:?}", String::from_utf8_lossy(&self.read));
    }
}

/// How long the body is that comes after `head`.
fn length(head: &[u8]) -> usize {
    let head = str::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let of = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    };
    head.lines().find_map(of).expect("a length")
}
