//! `/v1/audit`: the signed heads of the merchant's log, and proofs that lead to them.

use std::fmt;

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::role::permit::Audit;
use crate::eligibility::shown::proof::InclusionProofShown;
use crate::foundation::field_error::FieldError;
use crate::foundation::subject::hex;
use crate::gateway::Gateway;
use crate::http::openapi::problems::{ProblemsOfKeys, ProblemsOfNames, ProblemsOfQuery};
use crate::ledger::read::evidence::{ConsistencyProof, ProofError, Recordable, SignedHead};
use crate::web::auth::Authorized;
use crate::web::extract::{PageLimit, Params, Path};
use crate::web::problem::Problem;

/// The number of events of a tree: from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TreeSize(u64);

/// A text that is no size.
#[derive(Debug)]
pub struct BadTreeSize;

impl fmt::Display for BadTreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size is a whole number of events from 1 on, as checkpoints have it in their second line")
    }
}

impl TryFrom<String> for TreeSize {
    type Error = BadTreeSize;

    fn try_from(text: String) -> Result<Self, BadTreeSize> {
        let is_plain = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|size| is_plain && *size > 0).map(Self).ok_or(BadTreeSize)
    }
}

/// A signed head of the log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Checkpoint)]
pub struct CheckpointView {
    #[schema(example = "cathay")]
    log: String,
    /// The log's own name, in the note's first line.
    #[schema(example = "perks.example.com/cathay")]
    origin: String,
    /// The number of events that it covers.
    #[schema(example = 18)]
    size: u64,
    /// The root of the tree over them (RFC 9162 §2.1.1), in base64 as the note has it.
    #[schema(example = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")]
    root: String,
    /// The signed note (C2SP tlog-checkpoint). Verify it with the log key that you keep.
    checkpoint: String,
    #[schema(value_type = String, format = DateTime)]
    signed_at: Timestamp,
}

/// A page of checkpoints.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckpointsView {
    checkpoints: Vec<CheckpointView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

/// The proof that an event stands in the log.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `eligibility::shown` writes")]
pub struct InclusionProofView {
    #[schema(example = "evt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    event: String,
    #[schema(example = "cathay")]
    log: String,
    #[schema(example = 6)]
    index: u64,
    /// In hexadecimal, as in receipts.
    leaf_hash: String,
    /// The size of the tree that the path leads to.
    #[schema(example = 18)]
    size: u64,
    /// Its root, in base64 as checkpoints have it.
    root: String,
    /// From the leaf up (RFC 9162 §2.1.3), each in hexadecimal.
    path: Vec<String>,
    /// Null when nothing was signed at that size.
    checkpoint: Option<String>,
    /// The event's own bytes: their hash is `leaf_hash`, so what they say is what the log says. Null once they are
    /// pruned.
    body: Option<String>,
}

/// The proof that the log was only appended to.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsistencyProofView {
    #[schema(example = "cathay")]
    log: String,
    #[schema(example = 18)]
    from: u64,
    #[schema(example = 4000)]
    to: u64,
    /// RFC 9162 §2.1.4, each hash in hexadecimal.
    path: Vec<String>,
    /// The checkpoints that were signed at the two sizes.
    checkpoints: Vec<CheckpointView>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProofQuery {
    /// The size of the tree to lead to; the newest checkpoint's unless given.
    #[param(value_type = Option<u64>, minimum = 1)]
    size: Option<TreeSize>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ConsistencyQuery {
    /// The smaller size: that of the checkpoint or receipt you hold.
    #[param(value_type = u64, minimum = 1, example = 18)]
    from: TreeSize,
    /// The larger size; the newest checkpoint's unless given.
    #[param(value_type = Option<u64>, minimum = 1)]
    to: Option<TreeSize>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CheckpointsQuery {
    /// Only the one of this size.
    #[param(value_type = Option<u64>, minimum = 1)]
    size: Option<TreeSize>,
    /// Entries a page, 1–200; 50 unless given.
    #[param(value_type = Option<u16>)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<TreeSize>,
}

impl From<SignedHead> for CheckpointView {
    fn from(head: SignedHead) -> Self {
        let SignedHead { log, checkpoint, note, signed_at } = head;
        let root = BASE64.encode(checkpoint.root);
        Self { log, origin: checkpoint.origin, size: checkpoint.size, root, checkpoint: note, signed_at }
    }
}

impl From<ConsistencyProof> for ConsistencyProofView {
    fn from(proof: ConsistencyProof) -> Self {
        let ConsistencyProof { log, from, to, path, heads } = proof;
        let path = path.iter().map(|hash| hex(hash)).collect();
        Self { log, from, to, path, checkpoints: heads.into_iter().map(CheckpointView::from).collect() }
    }
}

/// `parameter` is what the tree that was asked for goes by.
fn refused(parameter: &'static str, error: ProofError) -> Problem {
    let detail = error.to_string();
    let parameter = match error {
        ProofError::NotFound => return Problem::not_found(),
        ProofError::Ledger(error) => return error.into(),
        ProofError::TooLarge { .. } | ProofError::TooSmall { .. } => parameter,
        ProofError::Reversed { .. } => "from",
    };
    Problem::invalid(vec![FieldError::of_parameter(parameter, "invalid_value", detail)])
}

/// List checkpoints
///
/// The signed heads of the merchant's log, the newest first. Keep one elsewhere, and nobody can take
/// back what it covers without your seeing it.
#[utoipa::path(
    tag = "audit",
    params(CheckpointsQuery),
    responses((status = 200, description = "One page", body = CheckpointsView), ProblemsOfQuery, ProblemsOfKeys)
)]
#[get("/audit/checkpoints")]
pub(crate) async fn list_checkpoints(
    caller: Authorized<Audit>,
    gateway: Data<Gateway>,
    query: Params<CheckpointsQuery>,
) -> Result<HttpResponse, Problem> {
    let CheckpointsQuery { size, limit, cursor } = query.into_inner();
    let merchant = &caller.merchant()?.id;
    let limit = limit.unwrap_or_default();
    let fetched = if let Some(TreeSize(size)) = size {
        gateway.ledger.reader().find_checkpoint(merchant, size).await?.into_iter().collect()
    } else {
        let below = cursor.map(|TreeSize(size)| size);
        gateway.ledger.reader().list_checkpoints(merchant, below, u32::from(limit.get()) + 1).await?
    };
    let (heads, next_cursor) = limit.page(fetched, |head| head.checkpoint.size.to_string());
    let checkpoints = heads.into_iter().map(CheckpointView::from).collect();
    Ok(HttpResponse::Ok().json(CheckpointsView { checkpoints, next_cursor }))
}

/// Prove an event
///
/// The proof that it stands in the merchant's log: the path from its leaf hash to the root at `size`, and the
/// checkpoint that signs that root. A check's id works too: it means the event of its decision, which
/// its receipt is about. `perkgate audit receipt` verifies the answer offline.
#[utoipa::path(
    tag = "audit",
    params(
        ("event" = String, Path, description = "The id of an event, or of a check", example = "evt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"),
        ProofQuery
    ),
    responses(
        (status = 200, description = "The proof", body = InclusionProofView),
        ProblemsOfNames, ProblemsOfQuery, ProblemsOfKeys
    )
)]
#[get("/audit/events/{event}/proof")]
pub(crate) async fn get_event_proof(
    caller: Authorized<Audit>,
    gateway: Data<Gateway>,
    event: Path<Recordable>,
    query: Params<ProofQuery>,
) -> Result<HttpResponse, Problem> {
    let size = query.size.map(|TreeSize(size)| size);
    let proof = gateway.ledger.reader().prove_inclusion(&caller.merchant()?.id, event.into_inner(), size).await;
    let proof = proof.map_err(|error| refused("size", error))?;
    Ok(HttpResponse::Ok().json(InclusionProofShown::from(proof)))
}

/// Prove that nothing was taken back
///
/// The proof that the log of `to` events begins with the log of `from` events, with what was signed at the two
/// sizes.
#[utoipa::path(
    tag = "audit",
    params(ConsistencyQuery),
    responses(
        (status = 200, description = "The proof", body = ConsistencyProofView),
        ProblemsOfQuery, ProblemsOfKeys
    )
)]
#[get("/audit/consistency")]
pub(crate) async fn get_consistency(
    caller: Authorized<Audit>,
    gateway: Data<Gateway>,
    query: Params<ConsistencyQuery>,
) -> Result<HttpResponse, Problem> {
    let ConsistencyQuery { from: TreeSize(from), to } = query.into_inner();
    let to = to.map(|TreeSize(to)| to);
    let proof = gateway.ledger.reader().prove_consistency(&caller.merchant()?.id, from, to).await;
    let proof = proof.map_err(|error| refused("to", error))?;
    Ok(HttpResponse::Ok().json(ConsistencyProofView::from(proof)))
}
