//! Long answers: as one JSON document, or as lines that tell how far it has come and at last the result.

use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use serde::Serialize;

use crate::database::DatabaseError;
use crate::eligibility::rule_selection::TrialError;
use crate::eligibility::runs::Run;
use crate::gateway::Gateway;
use crate::web::deadline::{Advance, Deadline, advance};
use crate::web::problem::Problem;
use crate::web::request::RequestId;

/// The media type of one JSON document a line.
pub(super) const NDJSON: &str = "application/x-ndjson";

/// Works `run` off and answers with what came out: as `{"progress":…}` lines and a last
/// `{"result":…}` (or `{"problem":…}`) where the request accepts NDJSON, else as one document. A client
/// that goes away drops the answer, and with it the run.
///
/// # Errors
/// The errors of the run, for one document: what has begun to stream can only end with a problem's line.
pub(super) async fn answer<R: Run + 'static>(
    req: &HttpRequest,
    id: RequestId,
    mut run: R,
) -> Result<HttpResponse, Problem> {
    if accepts_ndjson(req) {
        let stall = req.app_data::<Data<Gateway>>().map_or(Duration::MAX, |it| it.settings.timeouts.stall());
        return Ok(HttpResponse::Ok().content_type(NDJSON).streaming(lines(run, id, stall)));
    }
    // The request's own deadline bounds each step.
    while run.step().await?.is_some() {
        Deadline::progress(req);
    }
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
    /// With how far it has come.
    More(Bytes, R, u64),
    Last(Bytes),
}

fn lines<R: Run>(
    run: R,
    id: RequestId,
    stall: Duration,
) -> impl stream::Stream<Item = Result<Bytes, actix_web::Error>> {
    stream::unfold(Some((run, id, 0)), move |state| async move {
        let (run, id, reported) = state?;
        let line = match next_line(run, reported, stall).await {
            Ok(line) => line,
            Err(problem) => Line::Last(problem_line(&problem, &id)),
        };
        Some(match line {
            Line::More(bytes, run, reported) => (Ok(bytes), Some((run, id, reported))),
            Line::Last(bytes) => (Ok(bytes), None),
        })
    })
}

async fn next_line<R: Run>(run: R, reported: u64, stall: Duration) -> Result<Line<R>, Problem> {
    Ok(match advance(run, reported, stall).await? {
        Advance::Further(run, progress) => Line::More(line("progress", &progress)?, run, progress.done),
        Advance::Done(answer) => Line::Last(line("result", &answer)?),
    })
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

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;
    use crate::eligibility::runs::RunProgress;

    /// So many steps of one each, the last of which may fail.
    struct Counted {
        done: u64,
        of: u64,
        fails: bool,
    }

    impl Run for Counted {
        type Answer = &'static str;

        async fn step(&mut self) -> Result<Option<RunProgress>, TrialError> {
            if self.done == self.of {
                return if self.fails { Err(TrialError::NoScore) } else { Ok(None) };
            }
            self.done += 1;
            Ok(Some(RunProgress { done: self.done, of: self.of }))
        }

        fn finish(self) -> Option<&'static str> {
            Some("all")
        }
    }

    async fn lines_of(run: Counted) -> Vec<String> {
        let lines = lines(run, RequestId::named("req_1"), Duration::from_secs(30))
            .map(|line| String::from_utf8(line.unwrap().to_vec()).unwrap());
        lines.collect().await
    }

    #[tokio::test]
    async fn progress_comes_in_few_lines_and_the_result_last() {
        let few = lines_of(Counted { done: 0, of: 3, fails: false }).await;
        assert_eq!(few[0], "{\"progress\":{\"done\":1,\"of\":3}}\n");
        assert_eq!((few.len(), few[3].as_str()), (4, "{\"result\":\"all\"}\n"));
        let many = lines_of(Counted { done: 0, of: 100_000, fails: false }).await;
        assert_eq!(many.len(), 201);
        assert_eq!(many[199], "{\"progress\":{\"done\":100000,\"of\":100000}}\n");
    }

    #[tokio::test]
    async fn what_fails_on_the_way_ends_with_a_problem() {
        let broken = lines_of(Counted { done: 0, of: 1, fails: true }).await;
        assert_eq!(broken.len(), 2);
        assert!(
            broken[1].starts_with("{\"problem\":{\"type\":\"urn:perkgate:problem:invalid_request\""),
            "{}",
            broken[1]
        );
        assert!(broken[1].contains("\"request_id\":\"req_1\""));
    }
}
