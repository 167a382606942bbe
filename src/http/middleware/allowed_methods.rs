//! The methods that each path of the OpenAPI document takes: what `Allow` says, and what an address that fits two
//! paths is held to.

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use utoipa::openapi::{OpenApi, PathItem};

use super::known_parameters::operations_of;
use super::path_pattern::PathPattern;
use crate::web::problem::{Kind, Problem};

/// The documented paths, those with the fewest variables first.
pub(crate) struct AllowedMethods(Vec<AllowedPath>);

struct AllowedPath {
    pattern: PathPattern,
    methods: Vec<Method>,
    allow: HeaderValue,
    /// Another path fits the same addresses, so that the router would try its methods too.
    is_shared: bool,
}

impl AllowedMethods {
    pub(crate) fn of(document: &OpenApi) -> Self {
        let paths = &document.paths.paths;
        let patterns: Vec<_> = paths.keys().map(|path| PathPattern::parse(path)).collect();
        let path = |(path, item): (&String, &PathItem)| {
            // Ids are never words, but a person may be called `import`: that address means both.
            let people = paths.iter().filter(|(other, _)| other.ends_with("/{subject}") && *other != path);
            let items: Vec<_> = people.filter(|(other, _)| PathPattern::parse(other).fits(path)).collect();
            let items = || items.iter().map(|(_, item)| *item).chain([item]);
            let takes = |wanted: &Method| {
                let wanted = if *wanted == Method::HEAD { &Method::GET } else { wanted };
                items().flat_map(operations_of).any(|(method, _)| method == *wanted)
            };
            let all = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
            let methods: Vec<Method> = all.into_iter().filter(takes).collect();
            let names = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
            let allow = HeaderValue::from_str(&names).ok()?;
            // Variables keep their braces, which fit variables only.
            let is_shared = patterns.iter().filter(|pattern| pattern.fits(path)).count() > 1;
            Some(AllowedPath { pattern: PathPattern::parse(path), methods, allow, is_shared })
        };
        let mut allowed: Vec<AllowedPath> = paths.iter().filter_map(path).collect();
        allowed.sort_by_key(|path| path.pattern.rank());
        Self(allowed)
    }

    /// The refusal of a method that this address doesn't take; none for an address that isn't documented.
    pub(crate) fn refuse(&self, method: &Method, address: &str) -> Option<Problem> {
        let path = self.0.iter().find(|path| path.pattern.fits(address))?;
        Some(refuse(method, path.allow.clone()))
    }

    /// Refuses what the router would take for another path that fits the address too: `GET /v1/grants/void` asks for
    /// no grant.
    pub(crate) fn check(&self, method: &Method, address: &str) -> Result<(), Problem> {
        let mut shared = self.0.iter().filter(|path| path.is_shared);
        match shared.find(|path| path.pattern.fits(address)) {
            Some(path) if !path.methods.contains(method) => Err(refuse(method, path.allow.clone())),
            _ => Ok(()),
        }
    }
}

/// A 405 with the methods that are allowed.
pub(crate) fn refuse(method: &Method, allow: HeaderValue) -> Problem {
    Problem::new(Kind::MethodNotAllowed, format!("The method {method} is not allowed here.")).with(header::ALLOW, allow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::openapi;

    #[test]
    fn an_address_that_fits_two_paths_means_the_one_with_more_names() {
        let allowed = AllowedMethods::of(&openapi::document());
        let check = |method: Method, address: &str| {
            let problem = allowed.check(&method, address).err()?;
            let allow = problem.headers.into_iter().find(|(name, _)| name == header::ALLOW);
            allow.map(|(_, value)| value.to_str().unwrap().to_owned())
        };
        for address in ["/v1/grants/void", "/v1/checks/batch"] {
            assert_eq!(check(Method::POST, address), None, "{address}");
            assert_eq!(check(Method::GET, address).as_deref(), Some("POST"), "{address}");
        }
        // Someone may be called that.
        let import = "/v1/scores/klout/import";
        for method in [Method::POST, Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
            assert_eq!(check(method, import), None);
        }
        assert_eq!(check(Method::PATCH, import).as_deref(), Some("GET, HEAD, POST, PUT, DELETE"));
        // The router's.
        assert_eq!(check(Method::PUT, "/v1/scores/klout/Import"), None);
        assert_eq!(check(Method::DELETE, "/v1/checks"), None);
    }
}
