//! Every page of the console.

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};

use super::account::second_factor;
use super::accounts::{clerks, invite, list as account_list, show as account_show, steps};
use super::door::{attend_page, get_nothing};
use super::keys::{create as key_create, list as key_list, revoke as key_revoke};
use super::operator::{health, list as merchant_list, new as merchant_new, show as merchant_show};
use super::perks::{edit, list, new, show, simulate, versions};
use super::settings::{self, privacy, sources};
use super::{account, assets, links, log_in, picture, reports};

/// Adds the console's pages.
pub fn mount(config: &mut ServiceConfig) {
    config.service(
        web::scope("/console")
            .wrap(from_fn(attend_page))
            .service(assets::get_asset)
            .service(log_in::get_log_in)
            .service(log_in::post_log_in)
            .service(log_in::get_log_out)
            .service(log_in::post_log_out)
            .service(links::get_link)
            .service(links::post_link)
            .service(account::get_account)
            .service(account::post_password)
            .service(account::post_end_sessions)
            .service(second_factor::get_code)
            .service(second_factor::post_code)
            .service(second_factor::post_remove_code)
            .service(second_factor::post_renew_codes)
            .service(log_in::get_home)
            .service(list::get_perks)
            .service(new::get_new_perk)
            .service(new::post_new_perk)
            .service(show::get_perk)
            .service(edit::get_rule)
            .service(edit::post_rule)
            .service(simulate::get_try)
            .service(simulate::post_try)
            .service(picture::get_picture)
            .service(picture::get_picture_data)
            .service(picture::post_redraw)
            .service(picture::post_picture)
            .service(versions::get_version)
            .service(versions::post_step)
            .service(reports::get_reports)
            .service(reports::get_report)
            .service(reports::get_report_csv)
            .service(key_list::get_keys)
            .service(key_create::get_new_key)
            .service(key_create::post_new_key)
            .service(key_revoke::get_revoke)
            .service(key_revoke::post_revoke)
            .service(account_list::get_accounts)
            .service(invite::get_invite)
            .service(invite::post_invite)
            .service(account_show::get_account_of)
            .service(steps::get_account_step)
            .service(steps::post_account_step)
            .service(clerks::get_clerks)
            .service(clerks::post_clerk)
            .service(clerks::get_clerk)
            .service(clerks::post_pin)
            .service(clerks::post_end)
            .service(settings::get_settings)
            .service(settings::post_settings)
            .service(privacy::get_privacy)
            .service(sources::get_sources)
            .service(sources::post_source)
            .service(merchant_list::get_merchants)
            .service(merchant_new::get_new_merchant)
            .service(merchant_new::post_new_merchant)
            .service(merchant_show::get_merchant)
            .service(merchant_show::post_admin)
            .service(merchant_show::get_revoke_admin)
            .service(merchant_show::post_revoke_admin)
            .service(health::get_health)
            .default_service(web::to(get_nothing)),
    );
}
