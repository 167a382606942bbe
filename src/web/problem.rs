//! Every refusal as RFC 9457 `application/problem+json`: one table of kinds. What the rooms' errors
//! become is in `http/error_mapping.rs`.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use crate::database::Mismatch;
use crate::foundation::escape;
use crate::foundation::field_error::FieldError;

macro_rules! kinds {
    ($($kind:ident = $status:literal $code:literal $title:literal;)*) => {
        /// The kind of a problem. The code is stable: clients branch on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $($kind,)*
        }

        impl Kind {
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            const fn row(self) -> (u16, &'static str, &'static str) {
                match self {
                    $(Self::$kind => ($status, $code, $title),)*
                }
            }
        }
    };
}

kinds! {
    BadRequest = 400 "bad_request" "The request can't be understood";
    MalformedJson = 400 "malformed_json" "The body is not valid JSON";
    BadIdempotencyKey = 400 "bad_idempotency_key" "The idempotency key can't be used";
    MissingKey = 401 "missing_key" "An API key is needed";
    InvalidKey = 401 "invalid_key" "The API key is not valid";
    ExpiredKey = 401 "expired_key" "The API key has expired";
    RevokedKey = 401 "revoked_key" "The API key was revoked";
    SuspendedKey = 401 "suspended_key" "The API key's account is suspended";
    Forbidden = 403 "forbidden" "The key may not do this";
    OtherLocation = 403 "other_location" "The key acts at another location";
    ClerkRequired = 403 "clerk_required" "A clerk must sign in";
    ClerkSessionInvalid = 403 "clerk_session_invalid" "The clerk must sign in again";
    OriginNotAllowed = 403 "origin_not_allowed" "Pages of this origin may not ask";
    SelfApproval = 403 "self_approval" "Another person must do this";
    WrongPin = 403 "wrong_pin" "The PIN is wrong";
    NotFound = 404 "not_found" "There is nothing here";
    MethodNotAllowed = 405 "method_not_allowed" "This method is not allowed here";
    RequestTimeout = 408 "request_timeout" "The request took too long to arrive";
    AttributeInUse = 409 "attribute_in_use" "The attribute is in use";
    AlreadyExists = 409 "already_exists" "There is one already";
    AlreadyDecided = 409 "already_decided" "A person has decided this already";
    AlreadyOverridden = 409 "already_overridden" "The refusal was overridden before";
    AlreadyRedeemed = 409 "already_redeemed" "The token was spent before";
    CaseFull = 409 "case_full" "The case has all that it takes";
    CorrectionClosed = 409 "correction_closed" "It is too late to correct this";
    GrantReleased = 409 "grant_released" "The grant was released";
    GrantVoided = 409 "grant_voided" "The grant was taken back";
    InProgress = 409 "in_progress" "The same request is being worked on";
    NoOccupancy = 409 "no_occupancy" "Nobody counts who is inside";
    TooFewInside = 409 "too_few_inside" "So many are not inside";
    LimitReached = 409 "limit_reached" "A limit has no room for this";
    SubjectErased = 409 "subject_erased" "The person was erased";
    GuestsExceeded = 409 "guests_exceeded" "More guests came than may be brought";
    NotOverridable = 409 "not_overridable" "This can't be overridden";
    NotRefused = 409 "not_refused" "The check was not refused";
    PaymentUsed = 409 "payment_used" "The payment let someone in before";
    OverrideExhausted = 409 "override_exhausted" "The overrides are used up";
    OverrideWindowClosed = 409 "override_window_closed" "It is too late to override this";
    NotADraft = 409 "not_a_draft" "The version is no draft any more";
    AlreadyScheduled = 409 "already_scheduled" "Another version is scheduled";
    ApprovalRequired = 409 "approval_required" "Another person must approve it first";
    TooManyClerks = 409 "too_many_clerks" "There are as many clerks as there may be";
    PerkPaused = 409 "perk_paused" "The perk is paused";
    PlaceClosed = 409 "place_closed" "The place is closed";
    PerkRetired = 409 "perk_retired" "The perk is retired";
    StaleScore = 409 "stale_score" "A newer score stands";
    UndoOver = 409 "undo_over" "It is too late to undo the grant";
    WrongStatus = 409 "wrong_status" "Its status doesn't allow this";
    Pruned = 410 "pruned" "It is too long ago";
    PreconditionFailed = 412 "precondition_failed" "It has changed meanwhile";
    WeakTag = 412 "weak_tag" "A weak tag can't be compared";
    BodyTooLarge = 413 "body_too_large" "The body is too large";
    UnsupportedMediaType = 415 "unsupported_media_type" "The body is of the wrong type";
    ExpectationFailed = 417 "expectation_failed" "The expectation can't be met";
    IdempotencyKeyReused = 422 "idempotency_key_reused" "The idempotency key stands for another request";
    InvalidRequest = 422 "invalid_request" "Something in the request doesn't fit";
    InvalidToken = 422 "invalid_token" "The token is not valid here";
    PreconditionRequired = 428 "precondition_required" "Say which state you mean";
    PinLocked = 429 "pin_locked" "Too many PINs were wrong";
    RateLimited = 429 "rate_limited" "Too many requests with this key";
    TooManyDryRuns = 429 "too_many_dry_runs" "Too many dry runs about one person";
    TooManyStreams = 429 "too_many_streams" "Too many streams with this key";
    TooManyRuns = 429 "too_many_runs" "Too many simulations run at once";
    TooManyVisits = 429 "too_many_visits" "Too many requests from this address";
    TooManyFailedKeys = 429 "too_many_failed_keys" "Too many failed keys from this address";
    Internal = 500 "internal" "Something went wrong here";
    InDoubt = 503 "in_doubt" "It is not known whether this was done";
    RuleNewer = 503 "rule_newer" "This replica is too old for the rule";
    Unavailable = 503 "unavailable" "Not now: please try again";
}

impl Kind {
    #[must_use]
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    #[must_use]
    pub const fn code(self) -> &'static str {
        self.row().1
    }

    #[must_use]
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// The kind for a status that actix itself answered.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::MissingKey,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            408 => Self::RequestTimeout,
            413 => Self::BodyTooLarge,
            415 => Self::UnsupportedMediaType,
            417 => Self::ExpectationFailed,
            422 => Self::InvalidRequest,
            429 => Self::RateLimited,
            503 => Self::Unavailable,
            400..=499 => Self::BadRequest,
            _ => Self::Internal,
        }
    }
}

/// A refusal on its way out. `request.rs` writes its body, with the request's id in it.
#[derive(Debug, Clone)]
pub struct Problem {
    pub kind: Kind,
    pub detail: Cow<'static, str>,
    pub errors: Vec<FieldError>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// For the log alone: what went wrong inside, with its chain.
    pub cause: Option<String>,
    /// True if it is about what the address names, which `request.rs` then says.
    pub is_absent: bool,
}

impl Problem {
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = Cow::Owned(sentence(&detail.into()));
        Self { kind, detail, errors: Vec::new(), headers: Vec::new(), cause: None, is_absent: false }
    }

    /// Nothing here: also the answer for what belongs to another merchant. On its way out it says what was asked for,
    /// by the address alone, so that nobody learns what others have.
    #[must_use]
    pub fn not_found() -> Self {
        let detail = "There is nothing at this address, or not for this key.";
        Self { is_absent: true, ..Self::new(Kind::NotFound, detail) }
    }

    /// The same about something that a body or a query names.
    #[must_use]
    pub fn absent(kind: &str, id: &str) -> Self {
        Self::new(Kind::NotFound, absence(kind, id))
    }

    /// A 422 that names every field that doesn't fit.
    #[must_use]
    pub fn invalid(mut errors: Vec<FieldError>) -> Self {
        for error in &mut errors {
            error.detail = sentence(&error.detail);
        }
        let detail = match errors.as_slice() {
            [one] => one.detail.clone().into(),
            _ => Cow::Borrowed("Several things in the request don't fit: see errors."),
        };
        Self { errors, ..Self::new(Kind::InvalidRequest, detail) }
    }

    /// The same, with every field of the body below this pointer.
    #[must_use]
    pub fn below(self, base: &str) -> Self {
        let errors = self.errors.into_iter().map(|error| error.below(base)).collect();
        Self { errors, ..self }
    }

    /// A 422 for what a room found in one member of the body; `base` is that member's pointer.
    #[must_use]
    pub fn of_fields(base: &str, errors: Vec<FieldError>) -> Self {
        Self::invalid(errors).below(base)
    }

    /// A 500. The text is fixed; `cause` goes to the log only.
    pub fn internal(cause: &(dyn Error + 'static)) -> Self {
        let detail = "The request failed for a reason of ours. It is logged under this request id.";
        Self { cause: Some(chain(cause)), ..Self::new(Kind::Internal, detail) }
    }

    /// A 503 that may pass. The text is fixed; `cause` goes to the log only.
    pub fn unavailable(cause: &(dyn Error + 'static)) -> Self {
        let detail = "Something that this needs is not there at the moment. Nothing was done.";
        Self { cause: Some(chain(cause)), ..Self::new(Kind::Unavailable, detail) }.retry_after(1)
    }

    /// A 503 that only an operator of the gateway can end, so it says what happened.
    pub fn lost_database(mismatch: &Mismatch) -> Self {
        let detail = format!(
            "{} Nothing is recorded until an operator of this gateway has looked at it and restarted it.",
            mismatch.summary()
        );
        Self { cause: Some(mismatch.code().to_owned()), ..Self::new(Kind::Unavailable, detail) }.retry_after(30)
    }

    /// A 503 after which the caller can't know whether it was done, and the answer says so: to say "nothing
    /// was done" here would be a lie half of the time.
    pub fn in_doubt(cause: &(dyn Error + 'static)) -> Self {
        let detail = "The database went away while this was being committed, so it may or may not have been done. \
                      Ask again with the same Idempotency-Key to learn which.";
        Self { cause: Some(chain(cause)), ..Self::new(Kind::InDoubt, detail) }.retry_after(1)
    }

    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.with(header::RETRY_AFTER, seconds.into())
    }

    /// The document, for the request with this id.
    #[must_use]
    pub fn body(&self, request_id: &str) -> String {
        #[derive(Serialize)]
        struct Document<'a> {
            #[serde(rename = "type")]
            kind: String,
            title: &'a str,
            status: u16,
            detail: &'a str,
            code: &'a str,
            request_id: &'a str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            errors: &'a [FieldError],
        }
        let (status, code, title) = self.kind.row();
        let kind = format!("urn:perkgate:problem:{code}");
        let document = Document { kind, title, status, detail: &self.detail, code, request_id, errors: &self.errors };
        serde_json::to_string(&document).unwrap_or_default()
    }
}

/// The most characters of what a caller made up that are repeated.
const REPEATED: usize = 80;

/// Says that there is no such thing, or not for this key.
pub(crate) fn absence(kind: &str, id: &str) -> String {
    let shown: String = id.chars().take(REPEATED).collect();
    let rest = if shown.len() < id.len() { "…" } else { "" };
    format!("There is no {kind} `{}{rest}`, or not for this key.", escape::line(&shown))
}

/// The text with a capital and a full stop: the rooms' errors are written to stand within a sentence.
#[must_use]
pub fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let mut out: String = chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect();
    if !out.ends_with(['.', '?', '!', '…']) {
        out.push('.');
    }
    out
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code(), self.detail)
    }
}

impl Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.kind.status());
        for (name, value) in &self.headers {
            response.headers_mut().append(name.clone(), value.clone());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_code_of_its_own_and_an_error_status() {
        let mut codes: Vec<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            assert!(kind.status().is_client_error() || kind.status().is_server_error(), "{kind:?}");
        }
    }

    #[test]
    fn a_detail_is_a_sentence() {
        assert_eq!(sentence("use a duration"), "Use a duration.");
        assert_eq!(sentence("`until` is early."), "`until` is early.");
        assert_eq!(sentence("What is this?"), "What is this?");
    }

    #[test]
    fn a_problem_reads_as_rfc_9457_has_it() {
        let problem = Problem::invalid(vec![FieldError::at("/label", "unknown_field", "What is this?")]);
        insta::assert_snapshot!(
            problem.body("req_1"),
            @r#"{"type":"urn:perkgate:problem:invalid_request","title":"Something in the request doesn't fit","status":422,"detail":"What is this?","code":"invalid_request","request_id":"req_1","errors":[{"pointer":"/label","code":"unknown_field","detail":"What is this?"}]}"#
        );
    }
}
