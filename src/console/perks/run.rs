//! Pages that show how far something long has come, and its answer in the end: one answer, written as it goes, so that it works
//! without scripts and leaving the page ends the run.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Bytes;
use askama::Template;
use futures_util::stream;

use crate::console::icon::Icon;
use crate::console::words::grouped;
use crate::eligibility::runs::{Run, RunProgress};
use crate::gateway::Gateway;
use crate::web::deadline::{Advance, advance};
use crate::web::page::HTML;
use crate::web::problem::Problem;

/// Where the answer goes in a page: nothing that is escaped can be this.
const MARK: &str = "<!--answer-->";

#[derive(Template)]
#[template(path = "run_progress.html", config = "src/console/askama.toml")]
struct ProgressPart {
    verb: &'static str,
    done: String,
    of: String,
    progress: RunProgress,
}

#[derive(Template)]
#[template(path = "run_broken.html", config = "src/console/askama.toml")]
struct BrokenPart {
    detail: String,
}

/// The next part of a page.
enum Next<R> {
    Run(R, u64),
    End,
}

/// The page with what `run` comes to in the place of its mark; `show` makes the answer's part.
///
/// # Errors
/// A template that can't be written out.
pub(super) fn answer<R, F>(
    gateway: &Gateway,
    page: &impl Template,
    verb: &'static str,
    run: R,
    show: F,
) -> Result<HttpResponse, Problem>
where
    R: Run + 'static,
    F: Fn(R::Answer) -> Result<String, askama::Error> + 'static,
{
    let text = page.render().map_err(|error| Problem::internal(&error))?;
    let (head, tail) = text.split_once(MARK).unwrap_or((&text, ""));
    let (head, tail) = (Bytes::from(head.to_owned()), tail.to_owned());
    let stall = gateway.settings.timeouts.stall();
    let parts = stream::unfold((Some(Next::Run(run, 0)), show, tail), move |(next, show, tail)| async move {
        let (part, next) = match next? {
            Next::End => (tail.clone(), None),
            Next::Run(run, reported) => match step(run, reported, stall, verb, &show).await {
                Ok((part, Some((run, reported)))) => (part, Some(Next::Run(run, reported))),
                Ok((part, None)) => (part, Some(Next::End)),
                Err(problem) => (broken(&problem), Some(Next::End)),
            },
        };
        Some((Ok::<_, actix_web::Error>(Bytes::from(part)), (next, show, tail)))
    });
    let first = stream::once(async move { Ok(head) });
    Ok(HttpResponse::Ok().content_type(HTML).streaming(Box::pin(futures_util::StreamExt::chain(first, parts))))
}

/// A part of the page, and the run where it goes on.
type Step<R> = (String, Option<(R, u64)>);

async fn step<R: Run, F: Fn(R::Answer) -> Result<String, askama::Error>>(
    run: R,
    reported: u64,
    stall: Duration,
    verb: &'static str,
    show: &F,
) -> Result<Step<R>, Problem> {
    let internal = |error: askama::Error| Problem::internal(&error);
    Ok(match advance(run, reported, stall).await? {
        Advance::Further(run, progress) => {
            let part = ProgressPart { verb, done: grouped(progress.done), of: grouped(progress.of), progress };
            (part.render().map_err(internal)?, Some((run, progress.done)))
        }
        Advance::Done(answer) => (show(answer).map_err(internal)?, None),
    })
}

fn broken(problem: &Problem) -> String {
    // The answer's status is out already, so this is the only place where it is logged.
    tracing::error!(code = problem.kind.code(), cause = problem.cause.as_deref(), "a page broke off");
    // Its parts are texts: writing them to memory fails for nobody.
    BrokenPart { detail: problem.detail.to_string() }.render().unwrap_or_default()
}
