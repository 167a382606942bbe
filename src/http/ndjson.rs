//! Long answers: as one JSON document, or as lines that tell how far it has come and at last the result.

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use serde::Serialize;

use super::problem::Problem;
use super::request::RequestId;
use crate::database::DatabaseError;
use crate::eligibility::chosen::TrialError;
use crate::eligibility::runs::Run;

/// The media type of one JSON document a line.
pub const NDJSON: &str = "application/x-ndjson";

/// Works `run` off and answers with what came out: as `{"progress":…}` lines and a last
/// `{"result":…}` (or `{"problem":…}`) where the request accepts NDJSON, else as one document. A client
/// that goes away drops the answer, and with it the run.
///
/// # Errors
/// What the run returns, for one document: what has begun to stream can only end with a problem's line.
pub async fn answer<R: Run + 'static>(req: &HttpRequest, id: RequestId, mut run: R) -> Result<HttpResponse, Problem> {
    if accepts_ndjson(req) {
        return Ok(HttpResponse::Ok().content_type(NDJSON).streaming(lines(run, id)));
    }
    while run.step().await?.is_some() {}
    let answer = run.finish().ok_or(TrialError::Database(DatabaseError::Interrupted))?;
    Ok(HttpResponse::Ok().json(answer))
}

fn accepts_ndjson(req: &HttpRequest) -> bool {
    let accepted = req.headers().get_all(header::ACCEPT).filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        let media_type = range.split(';').next().unwrap_or_default().trim();
        [NDJSON, "application/ndjson", "application/jsonl"].iter().any(|known| media_type.eq_ignore_ascii_case(known))
    })
}

/// The last line, or one with more to come.
enum Line<R> {
    More(Bytes, R),
    Last(Bytes),
}

fn lines<R: Run>(run: R, id: RequestId) -> impl stream::Stream<Item = Result<Bytes, actix_web::Error>> {
    stream::unfold(Some((run, id)), |state| async {
        let (run, id) = state?;
        let line = match next_line(run).await {
            Ok(line) => line,
            Err(problem) => Line::Last(problem_line(&problem, &id)),
        };
        Some(match line {
            Line::More(bytes, run) => (Ok(bytes), Some((run, id))),
            Line::Last(bytes) => (Ok(bytes), None),
        })
    })
}

async fn next_line<R: Run>(mut run: R) -> Result<Line<R>, Problem> {
    if let Some(progress) = run.step().await? {
        return Ok(Line::More(line("progress", &progress)?, run));
    }
    let answer = run.finish().ok_or(TrialError::Database(DatabaseError::Interrupted))?;
    Ok(Line::Last(line("result", &answer)?))
}

fn line(name: &str, value: &impl Serialize) -> Result<Bytes, Problem> {
    let value = serde_json::to_string(value).map_err(|error| Problem::internal(&error))?;
    Ok(format!("{{\"{name}\":{value}}}\n").into())
}

fn problem_line(problem: &Problem, id: &RequestId) -> Bytes {
    // The answer's status is out already, so this is the only place where it is logged.
    tracing::error!(request_id = %id, code = problem.kind.code(), cause = problem.cause.as_deref(), "a stream broke off");
    format!("{{\"problem\":{}}}\n", problem.body(id.as_str())).into()
}
