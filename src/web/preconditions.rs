//! The version that a request says the thing must still have (RFC 9110 §13), and a body that may be left out.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{self, EntityTag, HeaderValue};
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::extract::{parse, read_optional};
use super::problem::{Kind, Problem};
use crate::perks::life::Expected;

/// The header `If-Match`, or none.
#[derive(Debug, Clone)]
pub(crate) struct IfMatch(Option<Expected>);

impl IfMatch {
    /// The expectation that was sent; without one, anything fits.
    #[must_use]
    pub(crate) fn or_anything(self) -> Expected {
        self.0.unwrap_or_default()
    }

    /// The expectation that was sent; `what` is edited.
    ///
    /// # Errors
    /// 428 when nothing was: an edit that doesn't say what it edits could undo another's.
    pub(crate) fn required(self, what: &str) -> Result<Expected, Problem> {
        self.0.ok_or_else(|| {
            let detail =
                format!("Send the `ETag` of the {what} that you edited as `If-Match`; GET the {what} to learn it.");
            Problem::new(Kind::PreconditionRequired, detail)
        })
    }
}

impl FromRequest for IfMatch {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut values = req.headers().get_all(header::IF_MATCH).peekable();
        if values.peek().is_none() {
            return ready(Ok(Self(None)));
        }
        ready(values.map(HeaderValue::as_bytes).map(expected).collect::<Result<Vec<_>, _>>().and_then(of_lines))
    }
}

/// One line of the header (RFC 9110 §13.1.1).
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Anything,
    Tags(Vec<EntityTag>),
}

fn expected(line: &[u8]) -> Result<Line, Problem> {
    let malformed = || {
        let detail = "The header `If-Match` is malformed. Send the `ETag` as it came, with its quotes, as in \
                      `If-Match: \"2f0c9a\"`; several are separated by commas, and `*` stands alone.";
        Problem::new(Kind::BadRequest, detail)
    };
    let line = std::str::from_utf8(line).map_err(|_| malformed())?.trim();
    if line == "*" {
        return Ok(Line::Anything);
    }
    let tags: Result<Vec<EntityTag>, _> =
        outside_quotes(line).map(str::trim).filter(|tag| !tag.is_empty()).map(str::parse).collect();
    match tags {
        Ok(tags) if !tags.is_empty() => Ok(Line::Tags(tags)),
        _ => Err(malformed()),
    }
}

/// The parts of a list; a comma within quotes parts nothing.
fn outside_quotes(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

/// All lines as one. A weak tag says that the state is about the same, so it can't tell whether the state is the very
/// same (§8.8.3.2): it is passed over beside a strong one, and refused alone.
fn of_lines(lines: Vec<Line>) -> Result<IfMatch, Problem> {
    let mut strong = Vec::new();
    for line in lines {
        match line {
            Line::Anything => return Ok(IfMatch(Some(Expected::Anything))),
            Line::Tags(tags) => strong.extend(tags.into_iter().filter(|tag| !tag.weak)),
        }
    }
    if strong.is_empty() {
        let detail = "The tag in `If-Match` is weak (`W/\"…\"`), and a weak tag can't tell whether this is still the \
                      state that you saw; nothing was changed. The gateway's own tags are strong: a proxy between made \
                      it weak, as proxies do that compress answers. Have it leave `/v1` uncompressed, or ask with \
                      `Accept-Encoding: identity`, and GET the tag again.";
        return Err(Problem::new(Kind::WeakTag, detail));
    }
    if strong.iter().all(|tag| is_altered(tag.tag())) {
        let detail = "The tag in `If-Match` was altered on its way, as Apache's `mod_deflate` does that writes `-gzip` \
                      into it; nothing was changed. Have the proxy leave `/v1` uncompressed (`DeflateAlterETag \
                      NoChange`), or ask with `Accept-Encoding: identity`, and GET the tag again.";
        return Err(Problem::new(Kind::PreconditionFailed, detail));
    }
    Ok(IfMatch(Some(Expected::OneOf(strong.iter().map(|tag| tag.tag().to_owned()).collect()))))
}

/// Tells if tags were made from the gateway's own by a proxy: Apache's `mod_deflate` writes `-gzip` into them.
fn is_altered(tag: &str) -> bool {
    ["-gzip", "-br", "-deflate"].iter().any(|suffix| tag.ends_with(suffix))
}

/// A JSON body of type `T`, or its default when there is none. Not `Option<Body<T>>`, which would
/// take a malformed body for none.
#[derive(Debug)]
pub(crate) struct Optional<T>(T);

impl<T> Optional<T> {
    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

impl<T: DeserializeOwned + Default + 'static> FromRequest for Optional<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, payload) = (req.clone(), payload.take());
        Box::pin(async move {
            match read_optional(&req, payload, "application/json").await? {
                Some(raw) => parse(&raw).map(Self),
                None => Ok(Self(T::default())),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Option<Expected>, Kind> {
        let lines: Result<Vec<_>, _> = lines.iter().map(|line| expected(line.as_bytes())).collect();
        lines.and_then(of_lines).map(|read| read.0).map_err(|problem| problem.kind)
    }

    #[test]
    fn strong_tags_are_read_weak_ones_alone_are_refused_and_what_is_no_tag_is_malformed() {
        let tags = |tags: &[&str]| Ok(Some(Expected::OneOf(tags.iter().map(|&tag| tag.to_owned()).collect())));
        assert_eq!(read(&["\"a\""]), tags(&["a"]));
        assert_eq!(read(&[" \"a\" , ,\"b,c\"", "\"\""]), tags(&["a", "b,c", ""]));
        assert_eq!(read(&["W/\"a\", \"b\""]), tags(&["b"]));
        assert_eq!(read(&["W/\"a\"", "\"b\""]), tags(&["b"]));
        assert_eq!(read(&["*"]), Ok(Some(Expected::Anything)));
        assert_eq!(read(&["W/\"a\", W/\"b\""]), Err(Kind::WeakTag));
        assert_eq!(read(&["\"a-gzip\""]), Err(Kind::PreconditionFailed));
        assert_eq!(read(&["\"a-gzip\", \"a\""]), tags(&["a-gzip", "a"]));
        for malformed in ["", ",", "a", "\"a", "a\"", "\"a\" \"b\"", "w/\"a\"", "W/a", "*, \"a\"", "\"a b\"", "'a'"] {
            assert_eq!(read(&[malformed]), Err(Kind::BadRequest), "{malformed}");
        }
    }
}
