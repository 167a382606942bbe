//! What operations can answer when they refuse, as sets that the OpenAPI document lists.

use std::collections::BTreeMap;

use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::web::problem::Kind;

/// A refusal (RFC 9457).
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "describes what web/problem.rs writes")]
pub(crate) struct ProblemView {
    /// `urn:perkgate:problem:` and the code.
    #[schema(example = "urn:perkgate:problem:invalid_request")]
    r#type: String,
    title: String,
    #[schema(example = 422)]
    status: u16,
    detail: String,
    /// Stable: branch on this.
    #[schema(example = "invalid_request")]
    code: String,
    /// Say it when you ask for help.
    request_id: String,
    /// Every spot that doesn't fit.
    errors: Option<Vec<SpotView>>,
}

/// One spot of a request that doesn't fit.
#[derive(ToSchema)]
#[schema(as = ProblemSpot)]
#[expect(dead_code, reason = "describes what web/problem.rs writes")]
pub(crate) struct SpotView {
    /// Where in the body (RFC 6901).
    #[schema(example = "/label")]
    pointer: Option<String>,
    /// Which parameter of the query, or of a form.
    parameter: Option<String>,
    #[schema(example = "unknown_field")]
    code: String,
    detail: String,
}

macro_rules! problem_sets {
    ($($(#[$doc:meta])* $name:ident = [$($kind:ident),+ $(,)?];)*) => {$(
        $(#[$doc])*
        pub struct $name;
        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                problems(&[$(Kind::$kind),+])
            }
        }
    )*};
}

problem_sets! {
    /// What every operation can answer, whatever it is.
    ProblemsOfAll = [ExpectationFailed];
    /// What can be wrong with the copy that a caller says it holds.
    ProblemsOfCopies = [BadRequest];
    /// What every operation that needs a key can answer: to the key, and to parameters that it doesn't take.
    ProblemsOfKeys = [BadRequest, MissingKey, InvalidKey, ExpiredKey, RevokedKey, Forbidden, OriginNotAllowed, InvalidRequest, RateLimited, TooManyFailedKeys, Internal, InDoubt, Unavailable];
    /// What a query can do wrong.
    ProblemsOfQuery = [BadRequest, InvalidRequest];
    /// What a body can do wrong.
    ProblemsOfBody = [BadRequest, MalformedJson, RequestTimeout, BodyTooLarge, UnsupportedMediaType, InvalidRequest];
    /// What a form can do wrong.
    ProblemsOfForms = [BadRequest, RequestTimeout, BodyTooLarge, UnsupportedMediaType, InvalidRequest];
    /// A name that names nothing, or nothing of this merchant.
    ProblemsOfNames = [NotFound];
    /// What was recorded too long ago.
    ProblemsOfPruning = [Pruned];
    /// What asking without being recorded can run into.
    ProblemsOfDryRuns = [TooManyDryRuns];
    /// What an idempotency key can do wrong.
    ProblemsOfIdempotency = [BadIdempotencyKey, InProgress, IdempotencyKeyReused];
    /// A name that is taken.
    ProblemsOfTaken = [AlreadyExists];
    /// What can stand in the way of a perk's new version.
    ProblemsOfRetired = [PerkRetired];
    /// What can stand in the way of a draft's change.
    ProblemsOfDrafts = [NotADraft, PerkRetired, PreconditionFailed, WeakTag];
    /// An edit that doesn't say of what.
    ProblemsOfEdits = [PreconditionRequired];
    /// What can stand in the way of a step in a version's or a perk's life.
    ProblemsOfSteps = [NotADraft, WrongStatus, PerkRetired, AlreadyScheduled, ApprovalRequired, PreconditionFailed, WeakTag];
    /// What one person can't do alone.
    ProblemsOfApproval = [SelfApproval];
    /// A score that is older than the one that stands.
    ProblemsOfScores = [StaleScore];
    /// A grant that can't be ended again.
    ProblemsOfReturns = [GrantVoided];
    /// What contesting can run into.
    ProblemsOfContests = [AlreadyExists, CaseFull, SelfApproval, WrongStatus];
    /// What a person's decision can run into.
    ProblemsOfRulings = [AlreadyDecided, LimitReached, PerkPaused, PerkRetired];
    /// What a long run can be told.
    ProblemsOfRuns = [TooManyRuns];
    /// What a token can be.
    ProblemsOfTokens = [AlreadyRedeemed, InvalidToken];
}

/// One entry a kind, under its status and code: sets that share a status would overwrite each other.
/// `merge_problems` makes one response a status of them.
fn problems(kinds: &[Kind]) -> BTreeMap<String, RefOr<Response>> {
    let response = |kind: &Kind| {
        let content = Content::new(Some(Ref::from_schema_name("Problem")));
        let description = format!("`{}`: {}", kind.code(), kind.title());
        ResponseBuilder::new().description(description).content("application/problem+json", content).build()
    };
    kinds.iter().map(|kind| (format!("{} {}", kind.status().as_str(), kind.code()), response(kind).into())).collect()
}
