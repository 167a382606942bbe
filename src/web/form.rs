//! The body of a request as a form, where a standard asks for one.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::extract::read_large;
use super::params::{fit, members};
use super::problem::{Kind, Problem};

/// The media type that a form is sent as.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// A form of type `T`, whose fields read from text. As the OAuth standards have it (RFC 6749 §3.2):
/// unknown parameters are passed over, empty ones count as left out, doubled ones are refused. It may have `LEAST` bytes
/// whatever the settings say.
pub(crate) struct Form<T, const LEAST: usize = 0>(T);

impl<T, const LEAST: usize> Form<T, LEAST> {
    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

impl<T: DeserializeOwned + 'static, const LEAST: usize> FromRequest for Form<T, LEAST> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, payload) = (req.clone(), payload.take());
        Box::pin(async move {
            let raw = read_large(&req, payload, FORM, LEAST).await?;
            let text = std::str::from_utf8(&raw).map_err(|_| Problem::new(Kind::BadRequest, "A form is UTF-8."))?;
            parse(text).map(Self)
        })
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let mut members = members(text)?;
    members.retain(|_, value| value.as_str() != Some(""));
    fit(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::field_error::FieldPath;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    struct Ask {
        token: String,
        hint: Option<String>,
    }

    fn refused(text: &str) -> (FieldPath, &'static str) {
        let problem = parse::<Ask>(text).unwrap_err();
        assert_eq!(problem.kind, Kind::InvalidRequest, "{text}");
        let error = problem.errors.into_iter().next().unwrap();
        (error.path, error.code)
    }

    #[test]
    fn a_form_is_read_as_the_standards_have_it() {
        let ask = |token: &str, hint: Option<&str>| Ask { token: token.into(), hint: hint.map(Into::into) };
        assert_eq!(parse::<Ask>("token=a.b-c_d&hint=x").unwrap(), ask("a.b-c_d", Some("x")));
        assert_eq!(parse::<Ask>("token=a%2Bb+c&unknown=1&hint=").unwrap(), ask("a+b c", None));
        for missing in ["", "token=", "token", "hint=x", "&&", "Token=a"] {
            assert_eq!(refused(missing), (FieldPath::parameter("token"), "missing_field"), "{missing}");
        }
        assert_eq!(refused("token=a&token=a"), (FieldPath::parameter("token"), "duplicate_field"));
        assert_eq!(refused("token=a&x=1&x="), (FieldPath::parameter("x"), "duplicate_field"));
    }
}
