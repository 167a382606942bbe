//! What actix can do on this machine: JSON in, JSON out, nothing else.

use std::net::{SocketAddr, TcpListener};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Question {
    perk: String,
    subject: String,
}

/// Runs until it is dropped.
pub struct Bare {
    address: SocketAddr,
    handle: ServerHandle,
}

impl Bare {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = HttpServer::new(|| App::new().route("/v1/checks", web::post().to(echo)))
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { address, handle }
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let stopping = self.handle.stop(false);
        actix_web::rt::spawn(stopping);
    }
}

#[expect(clippy::disallowed_types, reason = "this measures actix itself")]
async fn echo(question: web::Json<Question>) -> HttpResponse {
    HttpResponse::Ok().json(question.into_inner())
}
