//! The door for clients of Klout's API, version 2, as its last clients speak it (`Klout` for Python, `coffee_klout` for
//! Node): identities and users, from the scores of the source `klout`.
//!
//! - `admission`: the key, which stands in the address here and nowhere else, and refusals in Klout's form
//! - `identity`: a number for a handle; `user`: a score for a number
//!
//! It is Klout's contract, not ours, so it is not in our document. The key of a request is in no log: what is logged is
//! the pattern of its route. Only keys of the role `reader` are taken, which can do nothing but read scores.

mod admission;
mod identity;
mod user;

use actix_web::middleware::from_fn;
use actix_web::web::{ServiceConfig, scope};

use admission::answer_as_klout;

/// Adds the routes.
pub(super) fn mount(config: &mut ServiceConfig) {
    config.service(
        scope("/v2")
            .wrap(from_fn(answer_as_klout))
            .service(identity::get_identity_of_screen_name)
            .service(identity::get_networks_of_id)
            .service(identity::get_identity)
            .service(user::get_user)
            .service(user::get_score)
            .service(user::get_influence)
            .service(user::get_topics),
    );
}
