//! The console's door: pages for merchants' admins and auditors, and for the operator. It turns requests into calls of
//! the rooms, and their answers into HTML that works without scripts.
//!
//! - `routes`: every page; `door`: the way of every request here, and the form of its refusal
//! - `cookie`: where a session is held
//! - `caller`: who asks, by their session; `form`: what they send, with the proof that one of our pages sent it
//! - `frame`: what stands around every page; `words`: instants and numbers as pages say them; `assets`: styles and
//!   scripts
//! - `addresses`: where a log-in comes back to; `kept`: a form that came after its session had ended
//! - `today`, `waiting`, `log`: what happens, what waits for a person, what happened
//! - `log_in`, `links`, `account`, `keys`, `accounts`, `settings`, `operator`, `perks`, `picture`, `reports`: the pages; `refusals`: errors
//!   as pages
//!
//! To add a page:
//! 1. Write the handler with actix's `#[get("/…")]` (the scope adds `/console`). Its first argument is
//!    `caller: Caller<permit::…>`, which is refused before anything else is read; then `Path` and `Params` of the room `web`.
//! 2. Its template goes into `templates/`, extends `page.html` and has a `frame: Frame`; `#[template(path = "…", config =
//!    "src/console/askama.toml")]`. Templates escape what they are given: never `safe`. What they show is made ready here.
//! 3. What changes something is a `#[post("/…")]` that reads a `Posted<T>`; it ends with `door::see_other`, so that
//!    nothing is sent twice. It changes all in one step, and nothing that can fail comes after: a page that says it can't save
//!    says that nothing was done. What can't be taken back asks once more on a page of its own.
//! 4. Return `Result<HttpResponse, Problem>`: `door` makes the page of a refusal, the same for foreign and unknown ids.
//! 5. Name it in `routes.rs`, and in the navigation of `frame.rs`, with the same permit.
//! 6. Its line in `tests/browser/pages.mjs`: a browser then holds for it what holds for every page.
//!
//! Pages stand in no OpenAPI document: that describes the API alone. `design.md` has the components and their states.

mod account;
mod accounts;
mod addresses;
mod assets;
mod caller;
mod cookie;
mod door;
mod form;
mod frame;
mod kept;
mod keys;
mod links;
mod log;
mod log_in;
#[cfg(feature = "oidc")]
mod openid;
mod operator;
mod perks;
mod picture;
mod refusals;
mod reports;
mod routes;
mod settings;
mod today;
mod waiting;
mod words;

use crate::web::page::icon;
pub use routes::mount;
