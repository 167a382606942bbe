//! The body of a request, read strictly and within bounds; and, from `params.rs`, what else it names.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Bytes, BytesMut, Data};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use aws_lc_rs::digest;
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use serde::de::{self, DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_path_to_error::Segment;

use super::deadline::Deadline;
use super::params::NUL;
pub use super::params::{GuestLanguages, IdempotencyKey, PageLimit, Params, Path};
use super::problem::{Kind, Problem};
pub(crate) use super::serde_error::SerdeError;
use super::serde_error::is_text;
use crate::foundation::field_error::FieldError;
use crate::foundation::json::push_pointer;
use crate::foundation::unicode::without_bom;
use crate::gateway::Gateway;

/// A JSON body of type `T`. `T` refuses unknown fields.
#[derive(Debug)]
pub struct Body<T> {
    value: T,
    raw: Bytes,
}

impl<T> Body<T> {
    pub fn into_inner(self) -> T {
        self.value
    }

    /// SHA-256 of the bytes as they came: whether a retry asks the same.
    pub fn hash(&self) -> [u8; 32] {
        let mut out = [0; 32];
        for (to, from) in out.iter_mut().zip(digest::digest(&digest::SHA256, &self.raw).as_ref()) {
            *to = *from;
        }
        out
    }
}

impl<T> Deref for Body<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        Self::read_by(parse, 0, req, payload)
    }
}

impl<T: 'static> Body<T> {
    fn read_by(
        parse: fn(&[u8]) -> Result<T, Problem>,
        least: usize,
        req: &HttpRequest,
        payload: &mut Payload,
    ) -> LocalBoxFuture<'static, Result<Self, Problem>> {
        let (req, payload) = (req.clone(), payload.take());
        Box::pin(async move {
            require_type(&req, "application/json")?;
            let raw = read_bytes(&req, payload, least).await?;
            let value = parse(&raw)?;
            Ok(Self { value, raw })
        })
    }
}

/// A body whose texts are each read by themselves: the questions of a batch, a token that is forged when it holds
/// a NUL. It may have `LEAST` bytes whatever the settings say.
#[derive(Debug)]
pub struct Pieces<T, const LEAST: usize = 0>(pub Body<T>);

impl<T: DeserializeOwned + 'static, const LEAST: usize> FromRequest for Pieces<T, LEAST> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = Body::read_by(parse_frame, LEAST, req, payload);
        Box::pin(async move { Ok(Self(body.await?)) })
    }
}

/// Reads a body of this type whole, within the bounds of the settings.
pub(crate) async fn read(req: &HttpRequest, payload: Payload, wanted: &str) -> Result<Bytes, Problem> {
    require_type(req, wanted)?;
    read_bytes(req, payload, 0).await
}

/// [`read`] of what may be as large as `least` bytes, whatever the settings bound bodies by.
pub(crate) async fn read_large(
    req: &HttpRequest,
    payload: Payload,
    wanted: &str,
    least: usize,
) -> Result<Bytes, Problem> {
    require_type(req, wanted)?;
    read_bytes(req, payload, least).await
}

/// [`read`], or none when there is no body. Whether a chunked body is empty shows only at its end: proxies send what
/// has no body as an empty one, and then without a type.
pub(crate) async fn read_optional(req: &HttpRequest, payload: Payload, wanted: &str) -> Result<Option<Bytes>, Problem> {
    let length = req.headers().get(header::CONTENT_LENGTH).map(HeaderValue::as_bytes);
    if !matches!(length, None | Some(b"0")) {
        return read(req, payload, wanted).await.map(Some);
    }
    let raw = read_bytes(req, payload, 0).await?;
    if raw.is_empty() {
        return Ok(None);
    }
    require_type(req, wanted)?;
    Ok(Some(raw))
}

async fn read_bytes(req: &HttpRequest, payload: Payload, least: usize) -> Result<Bytes, Problem> {
    let (limit, deadline) = req.app_data::<Data<Gateway>>().map_or((65_536, Duration::from_secs(10)), |gateway| {
        (gateway.settings.bounds.body_limit_bytes.max(least), gateway.settings.timeouts.body)
    });
    let too_large = || Problem::new(Kind::BodyTooLarge, format!("A body here is at most {limit} bytes."));
    let announced = req.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > limit as u64) {
        return Err(too_large());
    }
    // One deadline over all of it: a time-out between bytes would let one byte a second go on.
    let all = tokio::time::timeout(deadline, gather(payload, limit));
    match all.await {
        Ok(Ok(raw)) => {
            Deadline::body_came(req);
            Ok(raw)
        }
        Ok(Err(Unread::TooLarge)) => Err(too_large()),
        Ok(Err(Unread::Broken(error))) => {
            let cause = Some(error.to_string());
            Err(Problem { cause, ..Problem::new(Kind::BadRequest, "The body broke off before its end.") })
        }
        Err(_) => {
            let detail = format!("The body did not arrive within {} seconds.", deadline.as_secs_f32());
            Err(Problem::new(Kind::RequestTimeout, detail))
        }
    }
}

enum Unread {
    TooLarge,
    Broken(PayloadError),
}

async fn gather(mut payload: Payload, limit: usize) -> Result<Bytes, Unread> {
    let mut raw = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| match error {
            PayloadError::Overflow => Unread::TooLarge,
            error => Unread::Broken(error),
        })?;
        if raw.len() + chunk.len() > limit {
            return Err(Unread::TooLarge);
        }
        raw.extend_from_slice(&chunk);
    }
    Ok(raw.freeze())
}

fn require_type(req: &HttpRequest, wanted: &str) -> Result<(), Problem> {
    if !req.content_type().eq_ignore_ascii_case(wanted) {
        let detail = format!("Send the body as `Content-Type: {wanted}`.");
        return Err(Problem::new(Kind::UnsupportedMediaType, detail));
    }
    match content_coding(req) {
        Coding::Identity => Ok(()),
        // Only imports unpack: a compressed body would look malformed here.
        Coding::Gzip | Coding::Other => {
            Err(unsupported_coding("Send the body as it is, without a `Content-Encoding`.", "identity"))
        }
    }
}

/// The way a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    /// Another, or several.
    Other,
}

/// The way that `Content-Encoding` says the body is packed (RFC 9110 §8.4.1).
pub(crate) fn content_coding(req: &HttpRequest) -> Coding {
    let mut codings = req
        .headers()
        .get_all(header::CONTENT_ENCODING)
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"));
    match (codings.next(), codings.next()) {
        (None, _) => Coding::Identity,
        (Some(coding), None) if is_gzip(coding) => Coding::Gzip,
        _ => Coding::Other,
    }
}

fn is_gzip(coding: &[u8]) -> bool {
    coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip")
}

/// A 415 that names the codings which would do (RFC 9110 §15.5.16).
pub(crate) fn unsupported_coding(detail: &'static str, accepted: &'static str) -> Problem {
    Problem::new(Kind::UnsupportedMediaType, detail).with(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted))
}

/// Reads JSON into `T` and says where it doesn't fit.
///
/// # Errors
/// 400 `malformed_json`, or 422 `invalid_request` with the field.
pub fn parse<T: DeserializeOwned>(raw: &[u8]) -> Result<T, Problem> {
    let raw = without_bom(raw);
    match find_nul(raw) {
        Some(pointer) => {
            // As reading the handle would call it.
            let code = if pointer == "/subject" { "bad_subject" } else { "invalid_value" };
            Err(Problem::invalid(vec![FieldError::at(pointer, code, NUL)]))
        }
        None => read_object(raw),
    }
}

/// Where the first text with a NUL stands; none in what can't be read, which is refused for that.
fn find_nul(raw: &[u8]) -> Option<String> {
    // JSON has one way to write it, and hardly any body does.
    memchr::memmem::find(raw, br"\u0000")?;
    let mut reader = serde_json::Deserializer::from_slice(raw);
    let error = serde_path_to_error::deserialize::<_, NoNul>(&mut reader).err()?;
    if !error.inner().is_data() {
        return None;
    }
    let mut pointer = around_texts(pointer_of(error.path()));
    // Of a name with a NUL in it the object around is named: a pointer is to be read, too.
    if let Some(nul) = pointer.find('\0') {
        let around = pointer.get(..nul).and_then(|before| before.rfind('/')).unwrap_or_default();
        pointer.truncate(around);
    }
    Some(pointer)
}

/// JSON in whose texts and names there is no NUL.
struct NoNul;

impl<'de> Deserialize<'de> for NoNul {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for NoNul {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without a NUL")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self, E> {
        if text.contains('\0') { Err(E::custom(NUL)) } else { Ok(self) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self, E> {
        Ok(self)
    }
}

/// [`parse`], whatever stands in texts that are kept to be read later.
fn parse_frame<T: DeserializeOwned>(raw: &[u8]) -> Result<T, Problem> {
    read_object(without_bom(raw))
}

fn read_object<T: DeserializeOwned>(raw: &[u8]) -> Result<T, Problem> {
    // serde would fill a struct from a list by position, and no client means that.
    if raw.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|byte| *byte != b'{') {
        serde_json::from_slice::<IgnoredAny>(raw).map_err(|error| malformed(&error))?;
        return Err(Problem::invalid(vec![FieldError::at("", "wrong_type", "The body must be an object.")]));
    }
    // Keeping the path costs as much as reading: only a body that is refused is read again for it.
    serde_json::from_slice(raw).or_else(|_| read_with_path(raw))
}

fn read_with_path<T: DeserializeOwned>(raw: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(raw);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().clone();
        refuse(&path, error.inner())
    })?;
    reader.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let detail = format!("{} at line {line}, column {column}.", bare(error));
    Problem::new(Kind::MalformedJson, detail)
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => push_pointer(&mut pointer, &index.to_string()),
            Segment::Map { key } => push_pointer(&mut pointer, key),
            Segment::Enum { variant } => push_pointer(&mut pointer, variant),
            Segment::Unknown => {}
        }
    }
    pointer
}

/// The pointer up to the first name that is rather a text: it may name a person.
fn around_texts(mut pointer: String) -> String {
    let names = pointer.split('/').skip(1).take_while(|step| !is_text(step));
    let end = names.map(|step| 1 + step.len()).sum();
    pointer.truncate(end);
    pointer
}

fn refuse(path: &serde_path_to_error::Path, error: &serde_json::Error) -> Problem {
    if !error.is_data() {
        return malformed(error);
    }
    let found = SerdeError::of(&bare(error));
    let mut pointer = around_texts(pointer_of(path));
    // serde finds out about these in the object around them.
    if let Some(field) = &found.field {
        let mut step = String::new();
        push_pointer(&mut step, field);
        if !pointer.ends_with(&step) {
            pointer.push_str(&step);
        }
    }
    Problem::invalid(vec![FieldError::at(pointer, found.code, found.detail)])
}

/// The message of `serde_json` without the place it adds.
fn bare(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text.get(..at).unwrap_or_default().to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::decimal::Decimal;
    use crate::foundation::ids::PerkSlug;
    use crate::foundation::json::Json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Ask {
        #[expect(dead_code, reason = "only read from JSON")]
        perk: PerkSlug,
        value: Option<Decimal>,
        context: Option<Json>,
        #[serde(default)]
        tiers: Vec<Tier>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Tier {
        #[expect(dead_code, reason = "only read from JSON")]
        id: String,
        when: Box<serde_json::value::RawValue>,
    }

    fn spot(text: &str) -> (Kind, String, String) {
        let problem = parse::<Ask>(text.as_bytes()).unwrap_err();
        let (pointer, code) =
            problem.errors.first().map(|error| (error.path.to_string(), error.code.to_owned())).unwrap_or_default();
        (problem.kind, pointer, code)
    }

    fn at(pointer: &str, code: &str) -> (Kind, String, String) {
        (Kind::InvalidRequest, pointer.to_owned(), code.to_owned())
    }

    #[test]
    fn exact_numbers_free_json_and_raw_values_pass_through() {
        let ask: Ask = parse(
            br#"{"perk":"a","value":47.25,"context":{"x":[1.5]},"tiers":[{"id":"t","when":{"attr":"score","value":0.001}}]}"#,
        )
        .unwrap();
        assert_eq!(ask.value, Some(Decimal::from_thousandths(47_250)));
        assert_eq!(ask.context.unwrap().canonical(), r#"{"x":[1.5]}"#);
        assert_eq!(ask.tiers[0].when.get(), r#"{"attr":"score","value":0.001}"#);
    }

    #[test]
    fn what_does_not_fit_is_pointed_at() {
        assert_eq!(spot(r#"{"perk":"a","extra":1}"#), at("/extra", "unknown_field"));
        assert_eq!(spot(r"{}"), at("/perk", "missing_field"));
        assert_eq!(spot(r#"{"perk":"a","perk":"a"}"#), at("/perk", "duplicate_field"));
        assert_eq!(spot(r#"{"perk":7}"#), at("/perk", "wrong_type"));
        assert_eq!(spot(r#"{"perk":"A B"}"#), at("/perk", "invalid_value"));
        assert_eq!(spot(r#"{"perk":"a\u0000"}"#), at("/perk", "invalid_value"));
        assert_eq!(spot("{\"perk\":\"a\u{202E}b\"}"), at("/perk", "invalid_value"));
        assert_eq!(spot(r#"{"perk":"a","value":"40"}"#), at("/value", "wrong_type"));
        assert_eq!(spot(r#"{"perk":"a","value":40.000000000000000000000000000001}"#), at("/value", "invalid_value"));
        assert_eq!(spot(r#"{"perk":"a","context":{"x":{"y":1,"y":2}}}"#), at("/context", "invalid_value"));
        assert_eq!(spot(r#"{"perk":"a","tiers":[{"id":"x","when":1,"a/b":2}]}"#), at("/tiers/0/a~1b", "unknown_field"));
        assert_eq!(spot(r#"{"perk":"a","tiers":[{"id":"x"}]}"#), at("/tiers/0/when", "missing_field"));
        assert_eq!(spot("[]"), at("", "wrong_type"));
    }

    #[test]
    fn a_misspelt_field_is_named_with_the_one_that_was_meant() {
        let detail = |text: &str| parse::<Ask>(text.as_bytes()).unwrap_err().errors.remove(0).detail;
        let misspelt = detail(r#"{"perk":"a","contxt":{}}"#);
        assert!(misspelt.starts_with("Unknown field `contxt`, expected one of "), "{misspelt}");
        assert!(misspelt.ends_with(": did you mean `context`?"), "{misspelt}");
        assert!(!detail(r#"{"perk":"a","extra":1}"#).contains("did you mean"));
    }

    #[test]
    fn no_type_of_this_program_is_named_to_a_client() {
        #[derive(Debug, Deserialize)]
        struct Numbers {
            #[expect(dead_code, reason = "only read from JSON")]
            version: Option<i32>,
            #[expect(dead_code, reason = "only read from JSON")]
            #[serde(default)]
            limit: u16,
        }
        for (text, wrong) in [
            (r#"{"version":"2"}"#, "Invalid type: string, expected a whole number"),
            (r#"{"version":2.5}"#, "Invalid type: floating point, expected a whole number"),
            (r#"{"version":99999999999}"#, "Invalid value: integer `99999999999`, expected a whole number"),
            (r#"{"limit":-1}"#, "Invalid value: integer `-1`, expected a whole number"),
        ] {
            let detail = parse::<Numbers>(text.as_bytes()).unwrap_err().errors.remove(0).detail;
            assert!(detail.starts_with(wrong), "{detail}");
        }
    }

    #[test]
    fn a_nul_is_found_in_any_text_and_any_name() {
        for (text, pointer) in [
            (r#"{"perk":"a","context":{"x":["b","a\u0000"]}}"#, "/context/x/1"),
            (r#"{"perk":"a","context":{"a\u0000b":1}}"#, "/context"),
            (r#"{"perk":"a","tiers":[{"id":"x\u0000","when":1}]}"#, "/tiers/0/id"),
            (r#"{"perk":"a","tiers":[{"id":"x","when":{"a":"\u0000"}}]}"#, "/tiers/0/when/a"),
        ] {
            assert_eq!(spot(text), at(pointer, "invalid_value"), "{text}");
        }
        // A backslash before what only looks like one; and the fault that comes first is reported.
        assert!(parse::<Ask>(br#"{"perk":"a","context":{"x":"\\u0000"}}"#).is_ok());
        assert_eq!(spot(r#"{"perk":"\u0000""#).0, Kind::InvalidRequest);
        assert_eq!(spot(r#"{"perk":x,"context":"\u0000"}"#).0, Kind::MalformedJson);
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        let deep_context = format!(r#"{{"perk":"a","context":{}1{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
        assert_eq!(spot(&deep_context), at("/context", "invalid_value"));
        let deep = "[".repeat(60_000);
        for text in
            ["", "{", "NaN", "{\"perk\":}", "{\"perk\":\"a\"} x", "{'perk':1}", "\u{FEFF}\u{FEFF}{\"perk\":\"a\"}"]
        {
            assert_eq!(spot(text).0, Kind::MalformedJson, "{text}");
        }
        assert_ne!(spot(&deep).0, Kind::Internal);
        // RFC 8259 §8.1: a byte order mark may be ignored.
        assert!(parse::<Ask>("\u{FEFF}{\"perk\":\"a\"}".as_bytes()).is_ok());
        assert_eq!(spot("\u{FEFF}{\"perk\":\"a\\u0000\"}"), at("/perk", "invalid_value"));
        assert_eq!(parse::<Ask>(b"{\"perk\":\"\xff\"}").unwrap_err().kind, Kind::MalformedJson);
    }
}
