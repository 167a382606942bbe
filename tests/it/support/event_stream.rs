//! Server-sent events as a client reads them.

use std::time::Duration;

use super::client::Client;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream that was opened.
pub(crate) struct EventStream {
    response: reqwest::Response,
    read: String,
}

impl EventStream {
    /// Opens the stream of an address with these headers.
    pub(crate) async fn open(url: &str, headers: &[(&str, &str)]) -> Self {
        let request = Client::http().get(url);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self::of(response)
    }

    /// The stream of an answer that has begun.
    pub(crate) fn of(response: reqwest::Response) -> Self {
        Self { response, read: String::new() }
    }

    /// The next block of lines; none at the end.
    pub(crate) async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.read.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.read = rest;
                return Some(block);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("it comes");
            self.read.push_str(std::str::from_utf8(&chunk.ok()??).unwrap());
        }
    }
}
