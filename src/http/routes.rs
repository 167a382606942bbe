//! Every route on one page, each with the permit that it takes: the document's roles come from it.

use actix_web::middleware::from_fn;
use actix_web::web;
use actix_web::web::ServiceConfig;
use utoipa_actix_web::scope;

use super::docs::{get_docs, get_openapi};
use super::health::{get_livez, get_readyz};
use super::middleware::known_parameters::refuse_unknown_parameters;
use super::openapi::roles::{permitted, public};
use super::schemas::get_perk_schema;
use super::v1::access::{clerks, devices, keys, me, merchants};
use super::v1::attributes::import as attribute_import;
use super::v1::audit::{export, proofs, search};
use super::v1::cases::{contests, referrals};
use super::v1::checks::{batch, lists as check_lists, overrides, paid};
use super::v1::enrolment::{self, signals};
use super::v1::grants::lists as grant_lists;
use super::v1::perks::{
    approvals, backtests, closures, diff, occupancy, picture, simulations, steps, version_steps, versions,
};
use super::v1::scores::{explain, held, history, models, sources};
use super::v1::{attributes, audit, checks, grants, links, perks, reports, scores, subject_requests, subjects, tokens};
use super::well_known::{get_jwks, get_log_keys};
use crate::access::role::permit::{
    AnswerSubjects, Audit, Check, ClosePlaces, CountInside, Decide, Introspect, ListClerks, ListOverrides,
    ManageClerks, ManageDevices, ManageKeys, ManageMerchants, ManagePerks, ManageSources, Override, ReadOwnKey,
    ReadScores, Redeem, Release, RevokeTokens, SignIn, Void, WriteScores,
};
use crate::web::auth::require_key;
use crate::web::cors::answer_preflight;

/// Adds the routes that the OpenAPI document describes.
#[expect(clippy::too_many_lines, reason = "every route stands on one page")]
pub fn routes(config: &mut utoipa_actix_web::service_config::ServiceConfig<'_>) {
    config
        .service(public(get_livez))
        .service(public(get_readyz))
        .service(public(get_jwks))
        .service(public(get_log_keys))
        .service(public(get_perk_schema))
        .service(
            // Before those that need a key: the link is enough.
            scope("/v1/my")
                .wrap(from_fn(refuse_unknown_parameters))
                .service(public(links::get_own_answer))
                .service(public(links::create_own_contest))
                .service(public(links::requests::create_own_request)),
        )
        .service(
            // Everything else under /v1 but a browser's question before it asks needs a key, and then knows its parameters:
            // the last one is asked first.
            scope("/v1")
                .wrap(from_fn(refuse_unknown_parameters))
                .wrap(from_fn(require_key))
                .wrap(from_fn(answer_preflight))
                .service(permitted(Check, checks::create_check))
                .service(permitted(Check, batch::create_checks))
                .service(permitted(Check, check_lists::list_checks))
                .service(permitted(Check, check_lists::search_checks))
                .service(permitted(Check, checks::get_check))
                .service(permitted(Override, overrides::override_check))
                .service(permitted(Override, paid::enter_paid))
                .service(permitted(ListOverrides, overrides::list_overrides))
                // Before what fits their addresses too, so that logs and metrics name the right route.
                .service(permitted(Check, grant_lists::list_grants))
                .service(permitted(Check, grant_lists::search_grants))
                .service(permitted(Void, grants::void_grants))
                .service(permitted(Check, grants::get_grant))
                .service(permitted(Check, grants::correct::correct_grant))
                .service(permitted(Release, grants::release_grant))
                .service(permitted(Void, grants::void_grant))
                .service(permitted(Check, grants::undo::undo_grant))
                .service(permitted(Decide, referrals::list_referrals))
                .service(permitted(Decide, referrals::get_referral))
                .service(permitted(Decide, referrals::decide_referral))
                .service(permitted(Check, contests::create_contest))
                .service(permitted(Decide, contests::list_contests))
                .service(permitted(Decide, contests::get_contest))
                .service(permitted(Decide, contests::uphold_contest))
                .service(permitted(Decide, contests::overturn_contest))
                .service(permitted(Audit, audit::list_events))
                .service(permitted(Audit, export::get_export))
                .service(permitted(Audit, search::search_events))
                .service(permitted(AnswerSubjects, subjects::erase_subject))
                .service(permitted(AnswerSubjects, subjects::get_record))
                .service(permitted(AnswerSubjects, subject_requests::list_subject_requests))
                .service(permitted(AnswerSubjects, subject_requests::confirm_subject_request))
                .service(permitted(AnswerSubjects, subject_requests::decline_subject_request))
                .service(permitted(Audit, proofs::get_event_proof))
                .service(permitted(Audit, proofs::list_checkpoints))
                .service(permitted(Audit, proofs::get_consistency))
                .service(permitted(Audit, reports::get_grants_report))
                .service(permitted(Audit, reports::get_billing_report))
                .service(permitted(Audit, reports::get_fairness_report))
                .service(permitted(Redeem, tokens::redeem_token))
                .service(permitted(Redeem, tokens::late::redeem_tokens_late))
                .service(permitted(Introspect, tokens::introspect_token))
                .service(permitted(RevokeTokens, tokens::revoke_token))
                .service(permitted(ManagePerks, perks::create_perk))
                .service(permitted(ManagePerks, perks::list_perks))
                .service(permitted(ManagePerks, perks::get_perk))
                .service(permitted(ManagePerks, diff::get_diff))
                .service(permitted(ManagePerks, simulations::simulate_check))
                .service(permitted(ManagePerks, simulations::simulate_everyone))
                .service(permitted(ManagePerks, backtests::backtest_perk))
                .service(permitted(ManagePerks, versions::create_version))
                .service(permitted(ManagePerks, versions::list_versions))
                .service(permitted(ManagePerks, versions::get_version))
                .service(permitted(ManagePerks, versions::edit_version))
                .service(permitted(ManagePerks, versions::delete_version))
                .service(permitted(ManagePerks, version_steps::submit_version))
                .service(permitted(ManagePerks, version_steps::approve_version))
                .service(permitted(ManagePerks, version_steps::reject_version))
                .service(permitted(ManagePerks, version_steps::withdraw_version))
                .service(permitted(ManagePerks, version_steps::publish_version))
                .service(permitted(ManagePerks, version_steps::schedule_version))
                .service(permitted(ManagePerks, version_steps::unschedule_version))
                .service(permitted(ManagePerks, steps::update_perk))
                .service(permitted(ManagePerks, steps::rollback_perk))
                .service(permitted(ManagePerks, steps::pause_perk))
                .service(permitted(ManagePerks, steps::resume_perk))
                .service(permitted(ManagePerks, steps::retire_perk))
                .service(permitted(ManagePerks, picture::get_picture))
                .service(permitted(ClosePlaces, closures::create_closure))
                .service(permitted(ClosePlaces, closures::list_closures))
                .service(permitted(ClosePlaces, closures::delete_closure))
                .service(permitted(CountInside, occupancy::get_occupancy))
                .service(permitted(CountInside, occupancy::stream::watch_occupancy))
                .service(permitted(CountInside, occupancy::correct_occupancy))
                .service(permitted(ManagePerks, approvals::get_approvals))
                .service(permitted(ManagePerks, approvals::put_approvals))
                .service(permitted(WriteScores, scores::import_scores))
                .service(permitted(WriteScores, scores::put_score))
                .service(permitted(ReadScores, scores::get_score))
                .service(permitted(ReadScores, explain::get_score_explanation))
                .service(permitted(ReadScores, history::get_score_history))
                .service(permitted(WriteScores, scores::delete_score))
                .service(permitted(ManageSources, sources::create_source))
                .service(permitted(ManageSources, sources::list_sources))
                .service(permitted(ManageSources, held::list_held))
                .service(permitted(ManageSources, held::release_held))
                .service(permitted(ManageSources, held::drop_held))
                .service(permitted(ManageSources, held::put_guard))
                .service(permitted(ManageSources, models::create_model))
                .service(permitted(ManageSources, models::list_models))
                .service(permitted(ManageSources, models::get_model_diff))
                .service(permitted(ManageSources, models::approve_model))
                .service(permitted(WriteScores, attribute_import::import_attributes))
                .service(permitted(WriteScores, enrolment::put_accounts))
                .service(permitted(WriteScores, enrolment::search_accounts))
                .service(permitted(WriteScores, enrolment::delete_accounts))
                .service(permitted(WriteScores, enrolment::put_consents))
                .service(permitted(WriteScores, signals::import_signals))
                .service(permitted(ManageSources, attributes::put_attribute))
                .service(permitted(ManageSources, attributes::get_attribute))
                .service(permitted(ManageSources, attributes::list_attributes))
                .service(permitted(ManageSources, attributes::delete_attribute))
                .service(permitted(ManageMerchants, merchants::create_merchant))
                .service(permitted(ManageMerchants, merchants::list_merchants))
                .service(permitted(ManageMerchants, merchants::get_merchant))
                .service(permitted(ManageMerchants, merchants::update_merchant))
                .service(permitted(ManageDevices, devices::create_device))
                .service(permitted(ManageDevices, devices::list_devices))
                .service(permitted(ManageDevices, devices::confirm_device))
                .service(permitted(ManageDevices, devices::delete_device))
                .service(permitted(ManageClerks, clerks::create_clerk))
                .service(permitted(ListClerks, clerks::list_clerks))
                .service(permitted(ManageClerks, clerks::delete_clerk))
                .service(permitted(ManageClerks, clerks::put_clerk_pin))
                .service(permitted(ManageClerks, clerks::unlock_clerk))
                .service(permitted(SignIn, clerks::create_session))
                .service(permitted(ReadOwnKey, me::get_me))
                .service(permitted(ManageKeys, keys::create_key))
                .service(permitted(ManageKeys, keys::list_keys))
                .service(permitted(ManageKeys, keys::get_key))
                .service(permitted(ManageKeys, keys::revoke_key)),
        );
}

/// The document itself and the page that shows it.
pub fn undocumented(config: &mut ServiceConfig) {
    config.service(get_openapi).service(web::redirect("/docs", "/docs/")).service(get_docs);
}
