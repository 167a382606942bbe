//! Every page of the console.

use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};

use super::account::second_factor;
use super::accounts::{clerks, invite, list as account_list, show as account_show, steps as account_steps, subject};
use super::door::{attend_page, get_nothing};
use super::keys::{create as key_create, devices, list as key_list, revoke as key_revoke};
use super::log::{self, check, verify};
use super::operator::{health, list as merchant_list, new as merchant_new, show as merchant_show};
use super::perks::{backtest, close, edit, editor, everyone, list, new, show, simulate, steps, versions};
use super::settings::{self, members, privacy, sources};
use super::today::shared::SharedFigures;
use super::today::{self, stream};
use super::waiting::{self, decide, held};
use super::{account, assets, links, log_in, picture, reports};

/// Adds the console's pages.
#[expect(clippy::too_many_lines, reason = "a line a page")]
pub fn mount(config: &mut ServiceConfig) {
    let console = web::scope("/console");
    #[cfg(feature = "oidc")]
    let console = console
        .service(super::openid::get_begin)
        .service(super::openid::get_return)
        .service(super::openid::post_openid_code);
    config.service(
        console
            .wrap(from_fn(attend_page))
            .app_data(Data::new(SharedFigures::default()))
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
            .service(editor::get_rule)
            .service(editor::post_rule)
            .service(editor::post_check)
            .service(edit::get_rule_text)
            .service(edit::post_rule_text)
            .service(simulate::get_try)
            .service(simulate::post_try)
            .service(backtest::get_backtest)
            .service(backtest::post_backtest)
            .service(everyone::get_everyone)
            .service(everyone::post_everyone)
            .service(picture::get_picture)
            .service(picture::get_picture_data)
            .service(picture::post_redraw)
            .service(picture::post_picture)
            .service(versions::get_version)
            .service(today::get_today)
            .service(stream::watch_today)
            .service(waiting::get_waiting)
            .service(decide::post_case)
            .service(decide::post_request)
            .service(held::post_held)
            .service(steps::get_rollback)
            .service(steps::post_step)
            .service(close::get_close)
            .service(close::post_close)
            .service(close::post_open)
            .service(close::post_status)
            .service(reports::get_reports)
            .service(reports::get_report)
            .service(reports::get_report_csv)
            .service(log::get_log)
            .service(check::get_check)
            .service(verify::get_verify)
            .service(verify::post_verify)
            .service(key_list::get_keys)
            .service(key_create::get_new_key)
            .service(key_create::post_new_key)
            .service(key_revoke::get_revoke)
            .service(key_revoke::post_revoke)
            .service(devices::get_devices)
            .service(devices::post_device)
            .service(devices::post_confirm)
            .service(devices::get_remove)
            .service(devices::post_remove)
            .service(account_list::get_accounts)
            .service(invite::get_invite)
            .service(invite::post_invite)
            .service(account_show::get_account_of)
            .service(subject::get_subject)
            .service(subject::post_subject)
            .service(account_steps::get_account_step)
            .service(account_steps::post_account_step)
            .service(clerks::get_clerks)
            .service(clerks::post_clerk)
            .service(clerks::get_clerk)
            .service(clerks::post_pin)
            .service(clerks::post_end)
            .service(settings::get_settings)
            .service(settings::post_settings)
            .service(privacy::get_privacy)
            .service(members::get_members)
            .service(members::post_member)
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
