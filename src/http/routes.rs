//! Every route on one page.

use actix_web::middleware::from_fn;
use actix_web::web;
use actix_web::web::ServiceConfig;
use utoipa_actix_web::scope;

use super::docs::{get_docs, get_openapi};
use super::health::{get_livez, get_readyz};
use super::middleware::known_parameters::refuse_unknown_parameters;
use super::schemas::get_perk_schema;
use super::v1::access::{keys, me, merchants};
use super::v1::audit::{export, proofs, search};
use super::v1::cases::{contests, referrals};
use super::v1::checks::{batch, lists as check_lists};
use super::v1::grants::lists as grant_lists;
use super::v1::perks::{approvals, backtests, diff, simulations, steps, version_steps, versions};
use super::v1::scores::sources;
use super::v1::{audit, checks, grants, perks, reports, scores, subjects, tokens};
use super::well_known::{get_jwks, get_log_keys};
use crate::web::auth::require_key;
use crate::web::cors::answer_preflight;

/// Adds the routes that the OpenAPI document describes.
pub fn routes(config: &mut utoipa_actix_web::service_config::ServiceConfig<'_>) {
    config
        .service(get_livez)
        .service(get_readyz)
        .service(get_jwks)
        .service(get_log_keys)
        .service(get_perk_schema)
        .service(
            // Everything under /v1 but a browser's question before it asks needs a key, and then knows its parameters:
            // the last one is asked first.
            scope("/v1")
                .wrap(from_fn(refuse_unknown_parameters))
                .wrap(from_fn(require_key))
                .wrap(from_fn(answer_preflight))
                .service(checks::create_check)
                .service(batch::create_checks)
                .service(check_lists::list_checks)
                .service(check_lists::search_checks)
                .service(checks::get_check)
                // Before what fits their addresses too, so that logs and metrics name the right route.
                .service(grant_lists::list_grants)
                .service(grant_lists::search_grants)
                .service(grants::void_grants)
                .service(grants::get_grant)
                .service(grants::release_grant)
                .service(grants::void_grant)
                .service(referrals::list_referrals)
                .service(referrals::get_referral)
                .service(referrals::decide_referral)
                .service(contests::create_contest)
                .service(contests::list_contests)
                .service(contests::get_contest)
                .service(contests::uphold_contest)
                .service(contests::overturn_contest)
                .service(audit::list_events)
                .service(export::get_export)
                .service(search::search_events)
                .service(subjects::erase_subject)
                .service(subjects::get_record)
                .service(proofs::get_event_proof)
                .service(proofs::list_checkpoints)
                .service(proofs::get_consistency)
                .service(reports::get_grants_report)
                .service(reports::get_billing_report)
                .service(reports::get_fairness_report)
                .service(tokens::redeem_token)
                .service(tokens::introspect_token)
                .service(tokens::revoke_token)
                .service(perks::create_perk)
                .service(perks::list_perks)
                .service(perks::get_perk)
                .service(diff::get_diff)
                .service(simulations::simulate_check)
                .service(simulations::simulate_everyone)
                .service(backtests::backtest_perk)
                .service(versions::create_version)
                .service(versions::list_versions)
                .service(versions::get_version)
                .service(versions::edit_version)
                .service(versions::delete_version)
                .service(version_steps::submit_version)
                .service(version_steps::approve_version)
                .service(version_steps::reject_version)
                .service(version_steps::withdraw_version)
                .service(version_steps::publish_version)
                .service(version_steps::schedule_version)
                .service(version_steps::unschedule_version)
                .service(steps::update_perk)
                .service(steps::rollback_perk)
                .service(steps::pause_perk)
                .service(steps::resume_perk)
                .service(steps::retire_perk)
                .service(approvals::get_approvals)
                .service(approvals::put_approvals)
                .service(scores::import_scores)
                .service(scores::put_score)
                .service(scores::get_score)
                .service(scores::delete_score)
                .service(sources::create_source)
                .service(sources::list_sources)
                .service(merchants::create_merchant)
                .service(merchants::list_merchants)
                .service(merchants::get_merchant)
                .service(merchants::update_merchant)
                .service(me::get_me)
                .service(keys::create_key)
                .service(keys::list_keys)
                .service(keys::get_key)
                .service(keys::revoke_key),
        );
}

/// The document itself and the page that shows it.
pub fn undocumented(config: &mut ServiceConfig) {
    config.service(get_openapi).service(web::redirect("/docs", "/docs/")).service(get_docs);
}
