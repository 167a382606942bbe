//! The HTTP door from outside: what it promises, what it refuses, and the shapes that clients rely on.

mod access_matrix;
mod bad_input;
mod openapi;
mod v1;
mod well_known;
mod wire;
