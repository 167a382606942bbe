//! Every page of the screens.

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};

use super::desk::{acts, answer, ask as ask_at_desk, inside, place, sign};
use super::door::{attend_screen, get_nothing};
use super::kiosk::{self, ask};
use super::{assets, desk, frames, gate, my, pair, wall};

/// Adds the pages of the screens.
pub fn mount(config: &mut ServiceConfig) {
    config
        .service(
            web::scope("/pair")
                .wrap(from_fn(attend_screen))
                .service(pair::get_pair)
                .service(pair::post_pair)
                .service(pair::get_state)
                .default_service(web::to(get_nothing)),
        )
        .service(
            web::scope("/kiosk")
                .wrap(from_fn(attend_screen))
                .service(kiosk::get_kiosk)
                .service(kiosk::get_state)
                .service(ask::post_check)
                .service(ask::post_again)
                .service(ask::post_undo)
                .service(assets::get_worker)
                .service(assets::get_manifest)
                .default_service(web::to(get_nothing)),
        )
        .service(
            web::scope("/wall")
                .wrap(from_fn(attend_screen))
                .service(wall::get_wall)
                .service(wall::get_state)
                .default_service(web::to(get_nothing)),
        )
        .service(
            web::scope("/desk")
                .wrap(from_fn(attend_screen))
                .service(desk::get_desk)
                .service(desk::get_side)
                .service(ask_at_desk::post_check)
                .service(answer::get_check)
                .service(acts::post_override)
                .service(acts::post_paid)
                .service(acts::post_undo)
                .service(acts::post_guests)
                .service(inside::get_inside)
                .service(inside::post_release)
                .service(place::get_count)
                .service(place::post_count)
                .service(place::get_close)
                .service(place::post_close)
                .service(place::post_open)
                .service(sign::post_sign_in)
                .service(sign::post_sign_off)
                .default_service(web::to(get_nothing)),
        )
        .service(
            web::scope("/door")
                .wrap(from_fn(attend_screen))
                .service(gate::get_door)
                .service(gate::state::get_state)
                .service(gate::ask::post_redeem)
                .service(gate::ask::post_late)
                .service(assets::get_gate_worker)
                .service(assets::get_gate_manifest)
                .default_service(web::to(get_nothing)),
        )
        .service(
            web::scope("/my")
                .wrap(from_fn(my::attend_person))
                .service(my::get_why)
                .service(my::get_contest)
                .service(my::post_contest)
                .service(my::get_ask)
                .service(my::post_ask)
                .default_service(web::to(get_nothing)),
        )
        .service(
            web::scope("/screens")
                .wrap(from_fn(attend_screen))
                .service(assets::get_asset)
                .service(frames::post_frame)
                .default_service(web::to(get_nothing)),
        );
}
