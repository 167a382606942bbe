//! The HTTP door from outside: what it promises, what it refuses, and the shapes that clients rely on.
//!
//! A new endpoint gets a file under `v1/` named as its path, a sample in `access_matrix.rs`, and, if it
//! reads JSON, a line in `bad_input.rs`; both lists fail until it has. `assert_shape!(reply, @"")` locks
//! a body as text: run once, look at the difference, and take it over with `cargo insta review`.

mod access_matrix;
mod bad_input;
mod bodies;
mod connections;
mod cors;
mod generated_clients;
mod hostile_text;
mod klout;
mod malformed;
mod openapi;
mod stopping;
mod unknown_parameters;
mod v1;
mod well_known;
mod wire;
