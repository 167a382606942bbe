//! The problems that operations can refuse with, as sets that the OpenAPI document lists.

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
    /// Problems of every operation, whatever it is.
    ProblemsOfAll = [ExpectationFailed];
    /// Problems with the copy that a caller says it holds.
    ProblemsOfCopies = [BadRequest];
    /// Problems of every operation that needs a key: with the key, and with parameters that it doesn't take.
    ProblemsOfKeys = [BadRequest, MissingKey, InvalidKey, ExpiredKey, RevokedKey, SuspendedKey, Forbidden, OriginNotAllowed, InvalidRequest, RateLimited, TooManyFailedKeys, Internal, InDoubt, Unavailable];
    /// Problems with a query.
    ProblemsOfQuery = [BadRequest, InvalidRequest];
    /// Problems with a body.
    ProblemsOfBody = [BadRequest, MalformedJson, RequestTimeout, BodyTooLarge, UnsupportedMediaType, InvalidRequest];
    /// Problems with a form.
    ProblemsOfForms = [BadRequest, RequestTimeout, BodyTooLarge, UnsupportedMediaType, InvalidRequest];
    /// A name that names nothing, or nothing of this merchant.
    ProblemsOfNames = [NotFound];
    /// A record that was made too long ago.
    ProblemsOfPruning = [Pruned];
    /// A rule that a newer build wrote.
    ProblemsOfRules = [RuleNewer];
    /// Problems of asking without being recorded.
    ProblemsOfDryRuns = [TooManyDryRuns];
    /// Problems with an idempotency key.
    ProblemsOfIdempotency = [BadIdempotencyKey, InProgress, IdempotencyKeyReused];
    /// A name that is taken.
    ProblemsOfTaken = [AlreadyExists];
    /// Obstacles to a perk's new version.
    ProblemsOfRetired = [PerkRetired];
    /// Obstacles to a draft's change.
    ProblemsOfDrafts = [NotADraft, PerkRetired, PreconditionFailed, WeakTag];
    /// An edit that doesn't say of what.
    ProblemsOfEdits = [PreconditionRequired];
    /// Obstacles to a step in a version's or a perk's life.
    ProblemsOfSteps = [NotADraft, WrongStatus, PerkRetired, AlreadyScheduled, ApprovalRequired, PreconditionFailed, WeakTag, RuleNewer];
    /// An action that one person can't take alone.
    ProblemsOfApproval = [SelfApproval];
    /// Obstacles to a change of an attribute.
    ProblemsOfAttributes = [ApprovalRequired, AttributeInUse, PreconditionFailed, RuleNewer, WeakTag];
    /// A score that is older than the one that stands.
    ProblemsOfScores = [StaleScore];
    /// A grant that can't be ended again.
    ProblemsOfReturns = [GrantVoided];
    /// Grants that can't be corrected, or not so.
    ProblemsOfCorrections = [CorrectionClosed, GrantReleased, GrantVoided, LimitReached, PreconditionFailed, SubjectErased, GuestsExceeded, WeakTag];
    /// Problems of who follows a link, and has no key.
    ProblemsOfLinks = [BadRequest, TooManyVisits, InvalidRequest, Internal, InDoubt, Unavailable];
    /// A request that can't be made or decided.
    ProblemsOfRequests = [AlreadyDecided, SubjectErased];
    /// Obstacles to a decision about what is held.
    ProblemsOfHeld = [AlreadyDecided];
    /// A payment that was for something else.
    ProblemsOfPayments = [PaymentUsed];
    /// Refusals that can't be overridden, or not any more.
    ProblemsOfOverrides = [AlreadyDecided, AlreadyOverridden, LimitReached, NotOverridable, NotRefused, OverrideExhausted, OverrideWindowClosed, PerkPaused, PlaceClosed, PerkRetired, RuleNewer, SubjectErased];
    /// Problems of acting for a clerk.
    ProblemsOfActing = [ClerkRequired, ClerkSessionInvalid, OtherLocation];
    /// Obstacles to a key's end.
    ProblemsOfRevoking = [WrongStatus];
    /// Obstacles to one more clerk.
    ProblemsOfClerks = [TooManyClerks];
    /// Problems of signing in.
    ProblemsOfSignIn = [PinLocked, WrongPin];
    /// A grant that can't be undone.
    ProblemsOfUndoing = [AlreadyRedeemed, GrantReleased, GrantVoided, UndoOver];
    /// Problems of contesting.
    ProblemsOfContests = [AlreadyExists, AlreadyOverridden, CaseFull, SelfApproval, WrongStatus];
    /// Nobody counts who is inside.
    ProblemsOfOccupancy = [NoOccupancy, RuleNewer];
    /// A count that can't be corrected so.
    ProblemsOfCounting = [TooFewInside];
    /// No more streams.
    ProblemsOfStreams = [TooManyStreams];
    /// Problems of a person's decision.
    ProblemsOfRulings = [AlreadyDecided, AlreadyOverridden, LimitReached, PerkPaused, PlaceClosed, PerkRetired, RuleNewer];
    /// Problems of a long run.
    ProblemsOfRuns = [TooManyRuns];
    /// Problems with a token.
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
