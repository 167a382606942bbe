//! The parameters that a request's path, query and headers name, read strictly.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::{Kind, Problem};
use super::serde_error::SerdeError;
use crate::foundation::field_error::FieldError;
use crate::foundation::language::Languages;

/// A query string of type `T`, whose fields read from text. Unknown and doubled parameters are refused.
#[derive(Debug)]
pub struct Params<T>(T);

impl<T> Params<T> {
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Params<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Params<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read_query(req.query_string()).map(Self))
    }
}

fn read_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let members = members(query)?;
    let fault = |(name, value): (&String, &Value)| {
        let has = |wrong| name.contains(wrong) || value.as_str().is_some_and(|it| it.contains(wrong));
        let detail = if has('\0') { NUL } else { has(char::REPLACEMENT_CHARACTER).then_some(NOT_UTF8)? };
        Some(FieldError::of_parameter(name, "invalid_value", detail))
    };
    let errors: Vec<_> = members.iter().filter_map(fault).collect();
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    fit(members)
}

/// The parameters of a query or a form, none of them twice.
pub(crate) fn members(encoded: &str) -> Result<Map<String, Value>, Problem> {
    #[expect(clippy::disallowed_types, reason = "only to split the pairs; what is in them is read by `fit`")]
    let pairs = web::Query::<Vec<(String, String)>>::from_query(encoded)
        .map_err(|_| Problem::new(Kind::BadRequest, "The parameters can't be read."))?
        .into_inner();
    let mut members = Map::new();
    for (name, value) in pairs {
        if members.insert(name.clone(), value.into()).is_some() {
            return Err(Problem::invalid(vec![FieldError::of_parameter(
                name.clone(),
                "duplicate_field",
                format!("The parameter `{name}` stands twice."),
            )]));
        }
    }
    Ok(members)
}

/// Reads parameters into `T` and says which doesn't fit.
pub(crate) fn fit<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, Problem> {
    serde_path_to_error::deserialize(Value::Object(members)).map_err(|error| {
        let found = SerdeError::of(&error.inner().to_string());
        let name = found.field.unwrap_or_else(|| error.path().to_string());
        Problem::invalid(vec![FieldError::of_parameter(name, found.code, found.detail)])
    })
}

/// A version's number; query parameters come as text.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub struct VersionNumber(pub i32);

impl TryFrom<String> for VersionNumber {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        let number = text.parse().ok().filter(|number| *number > 0 && text.bytes().all(|b| b.is_ascii_digit()));
        number.map(Self).ok_or("give the number of a version, such as 2")
    }
}

/// A number of days, 1 to 400; query parameters come as text.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub struct DayCount(pub i64);

impl TryFrom<String> for DayCount {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        let number =
            text.parse().ok().filter(|number| (1..=400).contains(number) && text.bytes().all(|b| b.is_ascii_digit()));
        number.map(Self).ok_or("give a number of days from 1 to 400")
    }
}

/// Why a text with a NUL is refused: PostgreSQL's text can't hold one, SQLite's can, and one answer on every database
/// is better than a failure on one. Not so in forms: a token that holds one is one that is not alive.
pub(crate) const NUL: &str = "a NUL character (U+0000) can't stand in any text here: leave it out";

/// Bytes that are no UTF-8 are read as this character, and would look for nothing that there is.
const NOT_UTF8: &str = "this is not UTF-8, or has a character (U+FFFD) that stands for what was not";

/// The thing that the path names, of type `T` (one value, or a tuple in order). What can't be a name of its
/// kind names nothing: 404.
#[derive(Debug)]
pub struct Path<T>(T);

impl<T> Path<T> {
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Path<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Path<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let path = web::Path::<T>::from_request(req, payload).into_inner();
        ready(path.map(|path| Self(path.into_inner())).map_err(|_| Problem::not_found()))
    }
}

/// A caller's name for one question, so that a retry gets the first answer: 1–255 printable ASCII
/// characters. Not to be wrapped in `Option`, which would take a malformed key for none and grant
/// twice: absence is in here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(Option<String>);

impl IdempotencyKey {
    pub fn into_inner(self) -> Option<String> {
        self.0
    }

    /// The key that a field of a form holds.
    pub(crate) fn of_text(text: &str) -> Result<Self, Problem> {
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b));
        if fits { Ok(Self(Some(text.to_owned()))) } else { Err(bad_idempotency_key()) }
    }
}

impl FromRequest for IdempotencyKey {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut sent = req.headers().get_all("idempotency-key");
        ready(match (sent.next(), sent.next()) {
            (None, _) => Ok(Self(None)),
            (Some(value), None) => Self::of_text(value.to_str().unwrap_or_default()),
            (Some(_), Some(_)) => Err(bad_idempotency_key()),
        })
    }
}

/// The languages that guests want to be addressed in, by the `Accept-Language` of who asks for them.
#[derive(Debug)]
pub struct GuestLanguages(pub Languages);

impl FromRequest for GuestLanguages {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let sent: Vec<&str> =
            req.headers().get_all(header::ACCEPT_LANGUAGE).filter_map(|value| value.to_str().ok()).collect();
        ready(Ok(Self(Languages::of_header(&sent.join(",")))))
    }
}

fn bad_idempotency_key() -> Problem {
    Problem::new(Kind::BadIdempotencyKey, "Send one `Idempotency-Key` of 1 to 255 printable ASCII characters.")
}

/// The number of entries that a page of a list has: 1–200, 50 unless asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PageLimit(u16);

impl PageLimit {
    pub const MAX: u16 = 200;

    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Splits one entry more than the page off: `fetched` has up to `get() + 1`, and the cursor is
    /// that of the page's last entry when there are more.
    pub fn page<T>(self, mut fetched: Vec<T>, cursor: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
        let more = fetched.len() > usize::from(self.0);
        fetched.truncate(self.0.into());
        let next = if more { fetched.last().map(cursor) } else { None };
        (fetched, next)
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(50)
    }
}

/// A text that is no page limit.
#[derive(Debug)]
pub struct BadPageLimit;

impl fmt::Display for BadPageLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a page has 1 to {} entries", PageLimit::MAX)
    }
}

impl TryFrom<String> for PageLimit {
    type Error = BadPageLimit;

    fn try_from(text: String) -> Result<Self, BadPageLimit> {
        text.parse().ok().filter(|limit| (1..=Self::MAX).contains(limit)).map(Self).ok_or(BadPageLimit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::field_error::FieldPath;
    use crate::foundation::ids::KeyId;
    use actix_web::test::TestRequest;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct List {
        limit: Option<PageLimit>,
        cursor: Option<KeyId>,
    }

    #[test]
    fn a_query_names_the_parameter_that_does_not_fit() {
        let list: List = read_query("limit=7").unwrap();
        assert_eq!((list.limit, list.cursor), (Some(PageLimit(7)), None));
        let refused = |query: &str| {
            let problem = read_query::<List>(query).unwrap_err();
            let error = problem.errors.into_iter().next().unwrap();
            (error.path, error.code)
        };
        assert_eq!(refused("limit=0"), (FieldPath::parameter("limit"), "invalid_value"));
        assert_eq!(refused("limit=201"), (FieldPath::parameter("limit"), "invalid_value"));
        assert_eq!(refused("cursor=key_%00"), (FieldPath::parameter("cursor"), "invalid_value"));
        assert_eq!(refused("limit=1&cursor=%00"), (FieldPath::parameter("cursor"), "invalid_value"));
        assert_eq!(refused("cursor=key_%FF"), (FieldPath::parameter("cursor"), "invalid_value"));
        assert_eq!(refused("page=2"), (FieldPath::parameter("page"), "unknown_field"));
        assert_eq!(refused("limit=1&limit=2"), (FieldPath::parameter("limit"), "duplicate_field"));
    }

    #[test]
    fn an_idempotency_key_is_one_short_plain_text_or_refused() {
        let read = |values: &[&str]| {
            let request = values
                .iter()
                .fold(TestRequest::default(), |request, value| request.append_header(("idempotency-key", *value)));
            let key = IdempotencyKey::from_request(&request.to_http_request(), &mut Payload::None).into_inner();
            key.map(IdempotencyKey::into_inner).map_err(|problem| problem.kind)
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["a retry, 1"]), Ok(Some("a retry, 1".into())));
        for bad in [vec![""], vec!["a", "a"], vec!["é"], vec![&*"a".repeat(256)]] {
            assert_eq!(read(&bad), Err(Kind::BadIdempotencyKey), "{bad:?}");
        }
    }

    #[test]
    fn a_page_has_a_cursor_only_when_there_is_more() {
        let page = |fetched: Vec<u8>| PageLimit(2).page(fetched, ToString::to_string);
        assert_eq!(page(vec![1, 2, 3]), (vec![1, 2], Some("2".into())));
        assert_eq!(page(vec![1, 2]), (vec![1, 2], None));
        assert_eq!(page(vec![]), (vec![], None));
    }
}
