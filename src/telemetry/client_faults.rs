//! Faults of clients before there is a request: no HTTP, a broken chunk, a connection cut in between. The HTTP
//! library writes an error for each, and a stranger could fill a log with them; they are nobody's fault here, so they
//! are recorded at `debug`.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Beginnings of the messages that the library writes when a client misbehaves or disconnects. Its own failures, and
/// those of our answers' bodies, begin otherwise and stay errors.
const OF_CLIENTS: [&str; 8] = [
    "stream error: request parse error",
    "stream error: I/O error",
    "stream error: request did not complete",
    "stream error: connection shutdown timeout",
    "stream error: handler dropped payload",
    "MAX_BUFFER_SIZE unprocessed data reached",
    "write zero; closing",
    "Send data error",
];

/// Takes the library's lines about clients out, and writes its own at `debug` in their place.
pub(super) struct ClientFaults;

impl<S: Subscriber> Layer<S> for ClientFaults {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        if !event.metadata().target().starts_with("actix_http::") {
            return true;
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        let Message(message) = message;
        if !OF_CLIENTS.iter().any(|start| message.starts_with(start)) {
            return true;
        }
        tracing::debug!(fault = message, "a client sent what is no HTTP, or went away");
        false
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
