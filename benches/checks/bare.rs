//! What actix can do on this machine: JSON in, JSON out, nothing else.

use std::net::{SocketAddr, TcpListener};

use actix_web::{App, HttpResponse, HttpServer, web};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Question {
    perk: String,
    subject: String,
}

/// Runs until the process ends, on threads of its own.
pub(crate) fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = || HttpServer::new(|| App::new().route("/v1/checks", web::post().to(echo))).disable_signals();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async { server().listen(listener).unwrap().run().await.unwrap() });
    });
    address
}

#[expect(clippy::disallowed_types, reason = "this measures actix itself")]
async fn echo(question: web::Json<Question>) -> HttpResponse {
    HttpResponse::Ok().json(question.into_inner())
}
