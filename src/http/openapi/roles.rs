//! Who may call an operation, as the document shows it: `x-roles` for programs and a last sentence for people. Both
//! come from the permit that `routes.rs` mounts the operation with.

use actix_web::dev::{AppService, HttpServiceFactory};
use utoipa::openapi::path::{Operation, Paths};
use utoipa::openapi::{RefOr, Schema};
use utoipa_actix_web::OpenApiFactory;

use super::operations_of;
use crate::access::role::permit::Permit;
use crate::access::role::{Permission, Role};

/// An operation that is mounted as it is and documented with its roles.
pub(crate) struct WithRoles<S> {
    operation: S,
    /// None: everyone, without a key.
    permission: Option<Permission>,
}

/// An operation for callers with this permit: the one of its handler's `Authorized<…>`, which is what is enforced.
/// `tests/it/http/access_matrix.rs` asks every operation in every role, and fails where the two differ.
pub(crate) fn permitted<P: Permit, S>(_: P, operation: S) -> WithRoles<S> {
    WithRoles { operation, permission: Some(P::PERMISSION) }
}

/// An operation that needs no key.
pub(crate) const fn public<S>(operation: S) -> WithRoles<S> {
    WithRoles { operation, permission: None }
}

impl<S: HttpServiceFactory> HttpServiceFactory for WithRoles<S> {
    fn register(self, config: &mut AppService) {
        self.operation.register(config);
    }
}

impl<S: OpenApiFactory> OpenApiFactory for WithRoles<S> {
    fn paths(&self) -> Paths {
        let mut paths = self.operation.paths();
        for operation in paths.paths.values_mut().flat_map(operations_of) {
            document_roles(operation, self.permission);
        }
        paths
    }

    fn schemas(&self, schemas: &mut Vec<(String, RefOr<Schema>)>) {
        self.operation.schemas(schemas);
    }
}

fn document_roles(operation: &mut Operation, permission: Option<Permission>) {
    let roles = permission.map_or(&[][..], Permission::roles);
    let names = roles.iter().map(|role| role.as_str()).collect();
    operation.extensions.get_or_insert_default().insert("x-roles".to_owned(), names);
    if let Some(permission) = permission {
        let sentence = sentence(permission);
        operation.description = Some(match operation.description.take() {
            Some(text) if !text.is_empty() => format!("{text} {sentence}"),
            _ => sentence,
        });
    }
}

/// The roles of a permission in a sentence, each with what it is bound to.
fn sentence(permission: Permission) -> String {
    let roles = permission.roles();
    if roles == Role::ALL {
        return "Roles: all.".to_owned();
    }
    let names = roles.iter().map(|role| match permission.bound(*role) {
        Some(bound) => format!("{role} ({bound})"),
        None => role.to_string(),
    });
    format!("Roles: {}.", names.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_names_the_roles_and_what_each_is_bound_to() {
        for (permission, wanted) in [
            (Permission::ManagePerks, "Roles: admin."),
            (Permission::ReadScores, "Roles: admin, feeder, auditor, reader."),
            (Permission::Redeem, "Roles: admin, kiosk, desk, door (its own audience only)."),
            (
                Permission::ManageKeys,
                "Roles: operator (operator keys, and a merchant's admin keys), admin (keys of its own merchant).",
            ),
            (Permission::ReadOwnKey, "Roles: all."),
        ] {
            assert_eq!(sentence(permission), wanted);
        }
    }

    #[test]
    fn the_sentence_comes_last_and_what_is_public_has_none() {
        let documented = |text: Option<&str>, permission| {
            let mut operation = Operation::new();
            operation.description = text.map(str::to_owned);
            document_roles(&mut operation, permission);
            let roles = operation.extensions.unwrap()["x-roles"].clone();
            (operation.description, roles)
        };
        let admin = Some(Permission::ManagePerks);
        let roles = serde_json::json!(["admin"]);
        assert_eq!(documented(Some("By name."), admin), (Some("By name. Roles: admin.".to_owned()), roles.clone()));
        assert_eq!(documented(Some(""), admin), (Some("Roles: admin.".to_owned()), roles.clone()));
        assert_eq!(documented(None, admin), (Some("Roles: admin.".to_owned()), roles));
        assert_eq!(documented(Some("Alive."), None), (Some("Alive.".to_owned()), serde_json::json!([])));
    }
}
