//! The caller: what a key stands for once it has been recognised.

use super::merchant::Merchant;
use super::role::{Permission, Role};
use crate::foundation::ids::KeyId;
use crate::foundation::web_origin::WebOrigin;
use crate::ledger::entry::Actor;

/// The holder of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub key: KeyId,
    pub role: Role,
    /// None for operators, and for them only.
    pub merchant: Option<Merchant>,
    /// Where the key is used. Limits and rules read it from here, never from the caller.
    pub location: Option<String>,
    pub kiosk: Option<String>,
    /// The one audience that a door redeems.
    pub audience: Option<String>,
    /// The airports at which the key is used.
    pub airports: Vec<String>,
    /// The only web origins whose pages may use the key; none where the settings' count.
    pub origins: Vec<WebOrigin>,
}

/// Why a principal may not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    #[error("a key of role `{role}` may not do this")]
    Role { role: Role, permission: Permission },
    #[error("a key of role `{role}` belongs to no merchant")]
    NoMerchant { role: Role },
    #[error("a key of role `{role}` may not manage keys of role `{other}`")]
    ManageRole { role: Role, other: Role },
}

impl Principal {
    /// Passes when the role may.
    ///
    /// # Errors
    /// [`Forbidden::Role`] otherwise.
    pub fn may(&self, permission: Permission) -> Result<(), Forbidden> {
        if self.role.may(permission) { Ok(()) } else { Err(Forbidden::Role { role: self.role, permission }) }
    }

    /// The merchant that the key belongs to: where every query starts (promise 6).
    ///
    /// # Errors
    /// [`Forbidden::NoMerchant`] for operators.
    pub fn merchant(&self) -> Result<&Merchant, Forbidden> {
        self.merchant.as_ref().ok_or(Forbidden::NoMerchant { role: self.role })
    }

    /// The only location at which it acts, rather than asks: that of a desk whose key has one. It can't see the others.
    #[must_use]
    pub fn acts_only_at(&self) -> Option<&str> {
        self.location.as_deref().filter(|_| self.role == Role::Desk)
    }

    /// Passes when this principal may make and revoke keys of `other`.
    ///
    /// # Errors
    /// [`Forbidden::ManageRole`] otherwise.
    pub fn may_manage(&self, other: Role) -> Result<(), Forbidden> {
        if self.role.may_manage(other) { Ok(()) } else { Err(Forbidden::ManageRole { role: self.role, other }) }
    }

    /// The principal as audit events name it.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor { key: Some(self.key.clone()), role: self.role.as_str() }
    }
}
