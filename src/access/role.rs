//! The permissions of each role: one table, and nothing else decides them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The purpose of a key. A key has one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs the gateway: makes merchants and their first admin keys. Belongs to no merchant.
    Operator,
    /// Runs a merchant's perks, rules, sources and keys.
    Admin,
    /// Asks for one person at a time.
    Kiosk,
    /// Spends tokens of its own audience.
    Door,
    /// Writes scores.
    Feeder,
    /// Reads what was granted, and proves it.
    Auditor,
    /// Serves guests at a counter: asks for one person at a time, and mends what came of it.
    Desk,
    /// Reads scores and how they came about, here and in the way of Klout's API.
    Reader,
}

/// A name that is no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role is `operator`, `admin`, `kiosk`, `door`, `feeder`, `auditor`, `desk` or `reader`")]
pub struct UnknownRole;

impl Role {
    pub const ALL: [Self; 8] =
        [Self::Operator, Self::Admin, Self::Kiosk, Self::Door, Self::Feeder, Self::Auditor, Self::Desk, Self::Reader];

    /// The role's name on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Kiosk => "kiosk",
            Self::Door => "door",
            Self::Feeder => "feeder",
            Self::Auditor => "auditor",
            Self::Desk => "desk",
            Self::Reader => "reader",
        }
    }

    /// True if keys of this role belong to a merchant. The operator's belong to none, so that no
    /// merchant's question can be asked with them.
    #[must_use]
    pub const fn has_merchant(self) -> bool {
        !matches!(self, Self::Operator)
    }

    /// True if the role may do `permission`.
    #[must_use]
    pub fn may(self, permission: Permission) -> bool {
        permission.roles().contains(&self)
    }

    /// True if a key of this role may make, see and revoke keys of `other`: operators hand a
    /// merchant its admin keys, admins do the rest within their merchant.
    #[must_use]
    pub const fn may_manage(self, other: Self) -> bool {
        match self {
            Self::Operator => matches!(other, Self::Operator | Self::Admin),
            Self::Admin => other.has_merchant(),
            Self::Kiosk | Self::Door | Self::Feeder | Self::Auditor | Self::Desk | Self::Reader => false,
        }
    }
}

impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = [$($role:ident $(($bound:literal))?),+];)*) => {
        /// Something that a role may or may not do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Permission {
            $($(#[$doc])* $name,)*
        }

        impl Permission {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The roles that may.
            #[must_use]
            pub const fn roles(self) -> &'static [Role] {
                match self {
                    $(Self::$name => &[$(Role::$role),+],)*
                }
            }

            /// The words for what `role` is bound to where it may; none where it may with all that its key reaches.
            #[must_use]
            pub fn bound(self, role: Role) -> Option<&'static str> {
                let bounds: &[(Role, &'static str)] = match self {
                    $(Self::$name => &[$($((Role::$role, $bound),)?)+],)*
                };
                bounds.iter().find(|(bound, _)| *bound == role).map(|(_, words)| *words)
            }
        }

        /// The same permissions as types, for a door's signatures.
        pub mod permit {
            use super::Permission;

            /// A type that stands for a permission.
            pub trait Permit {
                const PERMISSION: Permission;
            }
            $(
                $(#[$doc])*
                #[derive(Debug, Clone, Copy)]
                pub struct $name;
                impl Permit for $name {
                    const PERMISSION: Permission = Permission::$name;
                }
            )*
        }
    };
}

// In brackets: what a role is bound to, in the words that the API's document shows.
permissions! {
    /// Make and list merchants.
    ManageMerchants = [Operator];
    /// Give one's own merchant another name and time zone.
    ChangeMerchant = [Admin];
    /// See what one's own key is.
    ReadOwnKey = [Operator, Admin, Kiosk, Door, Feeder, Auditor, Desk, Reader];
    /// Make, list and revoke keys (whose: `Role::may_manage`).
    ManageKeys = [
        Operator("operator keys, and a merchant's admin keys"),
        Admin("keys of its own merchant")
    ];
    /// Make and remove clerks, and let them in again.
    ManageClerks = [Admin];
    /// Pair screens, and sign them off.
    ManageDevices = [Admin];
    /// See who the clerks are.
    ListClerks = [Admin, Desk];
    /// Sign a clerk in.
    SignIn = [Desk];
    /// Perks, their rules and versions.
    ManagePerks = [Admin];
    /// See who is inside, and correct the count.
    CountInside = [Admin, Desk];
    /// Make and list score sources, and declare attributes of people.
    ManageSources = [Admin];
    /// Close a place for a while, and open it.
    ClosePlaces = [Admin, Desk];
    /// Check (dry runs too), check a batch, read one's own checks.
    Check = [Admin, Kiosk, Desk];
    /// See what others than one's own key asked.
    SeeChecks = [Admin, Desk];
    /// Let someone in by hand whom a rule refused, on the rule's terms.
    Override = [Admin, Desk];
    /// See who overrode what.
    ListOverrides = [Admin, Auditor, Desk];
    /// Redeem a token.
    Redeem = [Admin, Kiosk, Desk, Door("its own audience only")];
    /// Decide what a rule has referred to a person.
    Decide = [Admin];
    /// Say that a guest left.
    Release = [Admin, Kiosk, Desk, Door("its own audience only")];
    /// Take a mistaken grant back.
    Void = [Admin];
    /// Revoke a token.
    RevokeTokens = [Admin];
    /// Ask whether a token is alive.
    Introspect = [Admin, Kiosk, Desk, Door("its own audience only")];
    /// Put, delete and import scores; import attributes of people; enrol them, and import signals.
    WriteScores = [Admin, Feeder];
    /// See a score's value, its history and how it came about.
    ReadScores = [Admin, Feeder, Auditor, Reader];
    /// See scores in the way of Klout's API, whose requests have their key in the address.
    ReadAsKlout = [Reader];
    /// Reports, audit events, exports and proofs.
    Audit = [Admin, Auditor];
    /// Answer a person who asks what is held on them, or to be erased.
    AnswerSubjects = [Admin];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_one_in_the_design() {
        let lines: Vec<String> = Permission::ALL
            .iter()
            .map(|p| {
                let marks: String = Role::ALL.iter().map(|role| if role.may(*p) { '+' } else { '.' }).collect();
                format!("{marks} {p:?}")
            })
            .collect();
        // operator, admin, kiosk, door, feeder, auditor, desk, reader
        assert_eq!(
            lines,
            [
                "+....... ManageMerchants",
                ".+...... ChangeMerchant",
                "++++++++ ReadOwnKey",
                "++...... ManageKeys",
                ".+...... ManageClerks",
                ".+...... ManageDevices",
                ".+....+. ListClerks",
                "......+. SignIn",
                ".+...... ManagePerks",
                ".+....+. CountInside",
                ".+...... ManageSources",
                ".+....+. ClosePlaces",
                ".++...+. Check",
                ".+....+. SeeChecks",
                ".+....+. Override",
                ".+...++. ListOverrides",
                ".+++..+. Redeem",
                ".+...... Decide",
                ".+++..+. Release",
                ".+...... Void",
                ".+...... RevokeTokens",
                ".+++..+. Introspect",
                ".+..+... WriteScores",
                ".+..++.+ ReadScores",
                ".......+ ReadAsKlout",
                ".+...+.. Audit",
                ".+...... AnswerSubjects",
            ]
        );
    }

    #[test]
    fn operators_hand_out_admin_keys_and_admins_never_operator_keys() {
        let managed = |by: Role| Role::ALL.into_iter().filter(|role| by.may_manage(*role)).collect::<Vec<_>>();
        assert_eq!(managed(Role::Operator), [Role::Operator, Role::Admin]);
        assert_eq!(
            managed(Role::Admin),
            [Role::Admin, Role::Kiosk, Role::Door, Role::Feeder, Role::Auditor, Role::Desk, Role::Reader]
        );
        assert_eq!(managed(Role::Kiosk), []);
    }

    #[test]
    fn a_role_reads_back_from_its_name() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{role}\""));
        }
        assert_eq!("root".parse::<Role>(), Err(UnknownRole));
    }
}
