//! The query parameters that each operation takes, read from the OpenAPI document, and the middleware that refuses
//! any other. A parameter that is passed over does harm: `POST /v1/checks?dry_run=true` would grant.

use std::collections::BTreeSet;

use actix_web::Error;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::web::Data;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::{OpenApi, PathItem, RefOr};

use super::allowed_methods::AllowedMethods;
use super::path_pattern::PathPattern;
use crate::foundation::field_error::FieldError;
use crate::foundation::nearest::nearest;
use crate::web::params::members;
use crate::web::problem::Problem;

/// The operations of the document with the names of their query parameters.
pub(crate) struct KnownParameters(Vec<KnownOperation>);

struct KnownOperation {
    method: Method,
    pattern: PathPattern,
    names: BTreeSet<String>,
}

impl KnownParameters {
    pub(crate) fn of(document: &OpenApi) -> Self {
        let mut operations: Vec<KnownOperation> = Vec::new();
        for (path, item) in &document.paths.paths {
            operations
                .extend(operations_of(item).map(|(method, operation)| KnownOperation::of(method, path, operation)));
        }
        operations.sort_by_key(|operation| operation.pattern.rank());
        Self(operations)
    }

    /// Passes when the operation takes every parameter of the query, or when there is no such operation: that is for
    /// the router to say.
    fn check(&self, method: &Method, path: &str, query: &str) -> Result<(), Problem> {
        let Some(operation) = self.0.iter().find(|operation| operation.fits(method, path)) else { return Ok(()) };
        let unknown = members(query)?.into_iter().filter(|(name, _)| !operation.names.contains(name));
        let errors: Vec<_> = unknown.map(|(name, _)| operation.refuse(&name)).collect();
        if errors.is_empty() { Ok(()) } else { Err(Problem::invalid(errors)) }
    }
}

/// The operations of a path by their methods.
pub(crate) fn operations_of(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    let all = [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

impl KnownOperation {
    fn of(method: Method, path: &str, operation: &Operation) -> Self {
        let name = |parameter: &RefOr<Parameter>| match parameter {
            RefOr::T(it) if it.parameter_in == ParameterIn::Query => Some(it.name.clone()),
            RefOr::T(_) | RefOr::Ref(_) => None,
        };
        let names = operation.parameters.iter().flatten().filter_map(name).collect();
        Self { method, pattern: PathPattern::parse(path), names }
    }

    fn fits(&self, method: &Method, path: &str) -> bool {
        self.method == *method && self.pattern.fits(path)
    }

    fn refuse(&self, name: &str) -> FieldError {
        let known = self.names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let meant = nearest(name, self.names.iter().map(String::as_str));
        let meant = meant.map(|meant| format!(": did you mean `{meant}`?")).unwrap_or_default();
        let takes = match (known.is_empty(), &self.method) {
            (false, _) => format!("it takes {known}{meant}"),
            (true, &Method::GET | &Method::DELETE) => "it takes none".to_owned(),
            (true, _) => "it takes none: what it is to do stands in the body".to_owned(),
        };
        FieldError::of_parameter(name, "unknown_field", format!("this operation has no parameter `{name}`; {takes}"))
    }
}

fn check(req: &ServiceRequest) -> Result<(), Problem> {
    // Decoded, as the router reads it: `/v1/%63hecks` is `/v1/checks`.
    let path = req.match_info().as_str();
    if let Some(methods) = req.app_data::<Data<AllowedMethods>>() {
        methods.check(req.method(), path)?;
    }
    match req.app_data::<Data<KnownParameters>>() {
        // Of nearly every request the query is empty: nothing is looked up for it.
        Some(parameters) if !req.query_string().is_empty() => parameters.check(req.method(), path, req.query_string()),
        _ => Ok(()),
    }
}

/// The middleware of everything under `/v1`, behind the key: no operation can forget it. It refuses methods, too, that
/// the router would take for another path than the address means.
///
/// # Errors
/// The errors of the rest; its own refusals are answers.
pub(crate) async fn refuse_unknown_parameters(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match check(&req) {
        Ok(()) => next.call(req).await.map(ServiceResponse::map_into_boxed_body),
        Err(problem) => Ok(req.error_response(problem)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::openapi;

    #[test]
    fn the_operation_is_found_that_the_router_would_find() {
        let known = KnownParameters::of(&openapi::document());
        let refused = |method: Method, path: &str, query: &str| {
            let errors = known.check(&method, path, query).err().map(|problem| problem.errors);
            errors.into_iter().flatten().map(|error| error.path.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(refused(Method::GET, "/v1/perks", "limit=1&cursor=a"), [""; 0]);
        assert_eq!(refused(Method::GET, "/v1/perks", "limit=1&b=&a=2"), ["a", "b"]);
        assert_eq!(refused(Method::POST, "/v1/grants/void", "dry_run=true"), ["dry_run"]);
        assert_eq!(refused(Method::GET, "/v1/grants/void", "dry_run=true"), ["dry_run"]);
        assert_eq!(refused(Method::DELETE, "/v1/keys/key_1", "merchant=cathay"), [""; 0]);
        // No operation: a 404 or a 405 of the router's.
        assert_eq!(refused(Method::DELETE, "/v1/checks", "a=1"), [""; 0]);
        assert_eq!(refused(Method::GET, "/v1/perks/", "a=1"), [""; 0]);
    }
}
