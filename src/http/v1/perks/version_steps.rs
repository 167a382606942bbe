//! `POST /v1/perks/{perk}/versions/{version}/…`: the steps of a version's life.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::Deserialize;
use utoipa::ToSchema;

use super::versions::{SteppedView, answer_step};
use crate::access::role::permit::ManagePerks;
use crate::foundation::ids::PerkSlug;
use crate::gateway::Gateway;
use crate::http::openapi::problems::{
    ProblemsOfApproval, ProblemsOfBody, ProblemsOfKeys, ProblemsOfNames, ProblemsOfSteps,
};
use crate::perks::perk::VersionStatus;
use crate::perks::versions::{Taken, VersionStep};
use crate::web::auth::Authorized;
use crate::web::extract::{Body, Path};
use crate::web::preconditions::{IfMatch, Optional};
use crate::web::problem::Problem;

/// Why; the body may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteBody {
    #[schema(example = "The lounge was full every evening.")]
    pub change_note: Option<String>,
}

/// From when on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleBody {
    /// An instant (RFC 3339), or the local time in the rule's zone, without an offset.
    #[schema(example = "2026-12-01T09:00")]
    at: String,
    change_note: Option<String>,
}

/// The things that can be done with a version of this status.
pub(crate) const fn next_step(status: VersionStatus) -> &'static str {
    match status {
        VersionStatus::Draft => "Submit it, or publish it.",
        VersionStatus::InReview => "Approve it, or withdraw it.",
        VersionStatus::Approved => "Publish it, schedule it, or withdraw it.",
        VersionStatus::Scheduled => "Unschedule it, or publish it at once.",
        VersionStatus::Published => "Add a version to change the rule.",
        VersionStatus::Retired => "Add a version, or roll back to this one.",
    }
}

struct Request {
    caller: Authorized<ManagePerks>,
    gateway: Data<Gateway>,
    path: Path<(PerkSlug, i32)>,
    expected: IfMatch,
}

impl Request {
    async fn take(self, step: VersionStep, note: Option<String>) -> Result<HttpResponse, Problem> {
        let (perk, number) = self.path.into_inner();
        let taken = Taken { step, note, expected: self.expected.or_anything() };
        let merchant = &self.caller.merchant()?.id;
        let made = self.gateway.catalog.step(merchant, self.caller.actor(), &perk, number, taken).await?;
        answer_step(&self.gateway, merchant, made).await
    }
}

macro_rules! steps {
    ($($(#[$($doc:tt)*])* $name:ident, $path:tt, $step:expr, $done:tt;)*) => {$(
        $(#[$($doc)*])*
        #[utoipa::path(
            tag = "perks",
            params(
                ("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge"),
                ("version" = i32, Path, description = "Its number", example = 2),
                ("If-Match" = Option<String>, Header, description = "The version's `ETag`: a version that has changed since you looked is left alone (412)")
            ),
            request_body(content = Option<NoteBody>, description = "Why; may be left out"),
            responses(
                (status = 200, description = $done, body = SteppedView, headers(("ETag" = String, description = "What `If-Match` takes"))),
                ProblemsOfSteps, ProblemsOfApproval, ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys
            )
        )]
        #[post($path)]
        pub(crate) async fn $name(
            caller: Authorized<ManagePerks>,
            gateway: Data<Gateway>,
            path: Path<(PerkSlug, i32)>,
            expected: IfMatch,
            body: Optional<NoteBody>,
        ) -> Result<HttpResponse, Problem> {
            Request { caller, gateway, path, expected }.take($step, body.into_inner().change_note).await
        }
    )*};
}

steps! {
    /// Submit a version
    ///
    /// The draft goes into review and can't be edited any more.
    submit_version, "/perks/{perk}/versions/{version}/submit", VersionStep::Submit, "In review";
    /// Approve a version
    ///
    /// A version in review may be published. Where the merchant asks for four eyes, this takes someone
    /// who did not write on it: keys that one person made count as that person. Send the `ETag` that
    /// you looked at as `If-Match`, so that you approve what you saw.
    approve_version, "/perks/{perk}/versions/{version}/approve", VersionStep::Approve, "Approved";
    /// Reject a version
    ///
    /// A version in review or approved goes back to its author as a draft, with a note.
    reject_version, "/perks/{perk}/versions/{version}/reject", VersionStep::Reject, "A draft again";
    /// Withdraw a version
    ///
    /// A version in review or approved becomes a draft again, to be edited; an approval is lost.
    withdraw_version, "/perks/{perk}/versions/{version}/withdraw", VersionStep::Withdraw, "A draft again";
    /// Publish a version
    ///
    /// A draft, or what is approved or scheduled, decides from now on, and the version before it is
    /// retired. Limits go on counting. Where the merchant asks for four eyes, someone other than its
    /// author must have approved it.
    publish_version, "/perks/{perk}/versions/{version}/publish", VersionStep::Publish, "Published";
    /// Unschedule a version
    ///
    /// It is what it was before it was scheduled: approved, or a draft.
    unschedule_version, "/perks/{perk}/versions/{version}/unschedule", VersionStep::Unschedule, "Not scheduled any more";
}

/// Schedule a version
///
/// It decides from that very instant on, on every replica at once, and the version before it is then
/// retired. One version of a perk at a time can be scheduled. Needs what publishing needs.
#[utoipa::path(
    tag = "perks",
    params(
        ("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge"),
        ("version" = i32, Path, description = "Its number", example = 2),
        ("If-Match" = Option<String>, Header, description = "The version's `ETag`: a version that has changed since you looked is left alone (412)")
    ),
    request_body = ScheduleBody,
    responses(
        (status = 200, description = "Scheduled", body = SteppedView, headers(("ETag" = String, description = "What `If-Match` takes"))),
        ProblemsOfSteps, ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys
    )
)]
#[post("/perks/{perk}/versions/{version}/schedule")]
pub(crate) async fn schedule_version(
    caller: Authorized<ManagePerks>,
    gateway: Data<Gateway>,
    path: Path<(PerkSlug, i32)>,
    expected: IfMatch,
    body: Body<ScheduleBody>,
) -> Result<HttpResponse, Problem> {
    let ScheduleBody { at, change_note } = body.into_inner();
    Request { caller, gateway, path, expected }.take(VersionStep::Schedule(at), change_note).await
}
