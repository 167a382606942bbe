//! A small HTTP server that keeps what it is sent: somebody outside who takes anchors.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// One request as it came.
#[derive(Debug)]
pub(crate) struct Received {
    /// The request line and the headers.
    pub head: String,
    pub body: String,
}

impl Received {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}: ")))?;
        line.split_once(": ").map(|(_, value)| value)
    }
}

/// It answers with the given statuses, one a request, and with 204 when they are used up.
pub(crate) struct Receiver {
    pub address: SocketAddr,
    received: mpsc::UnboundedReceiver<Received>,
    serving: JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn start(answers: &[&str]) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), answers)
    }

    pub(crate) fn on(listener: TcpListener, answers: &[&str]) -> Self {
        let address = listener.local_addr().unwrap();
        let (sender, received) = mpsc::unbounded_channel();
        let mut answers: Vec<String> = answers.iter().rev().map(|answer| (*answer).to_owned()).collect();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = answers.pop().unwrap_or_else(|| "204 No Content".to_owned());
                if let Some(request) = exchange(stream, &answer).await {
                    let _ = sender.send(request);
                }
            }
        });
        Self { address, received, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/anchors", self.address)
    }

    /// The next request, once it is there.
    pub(crate) async fn next(&mut self) -> Received {
        let patience = std::time::Duration::from_mins(1);
        tokio::time::timeout(patience, self.received.recv()).await.expect("nothing was sent").unwrap()
    }

    /// What has come and nobody has asked for.
    pub(crate) fn waiting(&mut self) -> usize {
        std::iter::from_fn(|| self.received.try_recv().ok()).count()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The head of the request that comes in, and its body.
pub(super) async fn read_request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        stream.read_buf(&mut bytes).await.ok().filter(|read| *read > 0)?;
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
        bytes.drain(..end + 4);
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        break (head, length.unwrap_or(0));
    };
    while bytes.len() < length {
        stream.read_buf(&mut bytes).await.ok().filter(|read| *read > 0)?;
    }
    Some((head, bytes))
}

async fn exchange(mut stream: TcpStream, answer: &str) -> Option<Received> {
    let (head, body) = read_request(&mut stream).await?;
    let body = String::from_utf8(body).ok()?;
    let reply = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(reply.as_bytes()).await.ok()?;
    Some(Received { head, body })
}
