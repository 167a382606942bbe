//! A service elsewhere that scores and signals are fetched from, with good days and bad ones.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The path with its query.
    pub target: String,
    /// The headers, in small letters.
    pub head: String,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Between two bytes of the body, if it comes byte by byte.
    pub drip: Option<Duration>,
}

impl Reply {
    pub(crate) fn json(body: &serde_json::Value) -> Self {
        Self::of(200, "application/json", body.to_string())
    }

    pub(crate) fn of(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body: body.into(), drip: None }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::of(status, "application/json", "{}")
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl std::fmt::Display) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

type Answers = Arc<Mutex<Box<dyn FnMut(&Asked) -> Reply + Send>>>;

/// The service; it ends when this is dropped.
pub(crate) struct Elsewhere {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Answers,
    serving: JoinHandle<()>,
}

impl Elsewhere {
    pub(crate) async fn start(answer: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let answers: Answers = Arc::new(Mutex::new(Box::new(answer)));
        let (seen, answering) = (asked.clone(), answers.clone());
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(exchange(stream, seen.clone(), answering.clone()));
            }
        });
        Self { address, asked, answers, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it answers so.
    pub(crate) fn answer(&self, answer: impl FnMut(&Asked) -> Reply + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(answer);
    }

    /// What it was asked since this was called last.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// The paths of that.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.target).collect()
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn exchange(mut stream: TcpStream, seen: Arc<Mutex<Vec<Asked>>>, answers: Answers) -> Option<()> {
    let mut bytes = Vec::new();
    let end = loop {
        stream.read_buf(&mut bytes).await.ok().filter(|read| *read > 0)?;
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let target = head.split(' ').nth(1)?.to_owned();
    let asked = Asked { target, head: head.to_ascii_lowercase() };
    seen.lock().unwrap().push(asked.clone());
    let Reply { status, headers, body, drip } = (answers.lock().unwrap())(&asked);
    let mut head = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    for (name, value) in headers {
        head.extend([name, ": ", &value, "\r\n"]);
    }
    head += "\r\n";
    stream.write_all(head.as_bytes()).await.ok()?;
    match drip {
        None => stream.write_all(&body).await.ok()?,
        Some(pause) => {
            for byte in body {
                stream.write_all(&[byte]).await.ok()?;
                tokio::time::sleep(pause).await;
            }
        }
    }
    stream.shutdown().await.ok()
}
