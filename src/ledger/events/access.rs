//! Merchants and their API keys: written by `access`.

use jiff::Timestamp;

use super::canonical::{Text, facts};

facts! {
    /// The facts of `merchant.created`. The first events said less.
    pub struct MerchantCreated<'a> {
        name: Option<Text<'a>>,
        slug: Option<Text<'a>>,
        /// There where its data is a test's.
        test: Option<bool>,
        time_zone: Option<Text<'a>>,
    }

    /// The facts of `merchant.renamed`.
    pub struct MerchantRenamed<'a> {
        name: Text<'a>,
        was: Text<'a>,
    }

    /// The facts of `merchant.rezoned`.
    pub struct MerchantRezoned<'a> {
        time_zone: Text<'a>,
        was: Text<'a>,
    }

    /// The facts of `account.reset`, which is about the account's key.
    pub struct AccountReset {
        /// It had a second factor, which ended with its password and its sessions.
        had_second_factor: bool,
    }

    /// The facts of `clerk.reset`, which is about the clerk's key: wrong PINs are forgotten.
    pub struct ClerkReset {
        /// The PIN is another, and ended the sessions of the one before.
        has_new_pin: bool,
    }

    /// The facts of `device.confirmed`, which is about the key that the screen acts under.
    pub struct DeviceConfirmed<'a> {
        /// The perk that it is for, where it is for one.
        perk: Option<Text<'a>>,
        /// The hash of what its browser holds (SHA-256, in hexadecimal).
        secret_sha256: Text<'a>,
    }

    /// The facts of `account.linked`: the subject of a provider by which the account's person may log in.
    pub struct AccountLinked<'a> {
        issuer: Text<'a>,
        label: Text<'a>,
        role: Text<'a>,
        /// SHA-256 of the issuer, a NUL and the subject, in hexadecimal.
        subject_sha256: Text<'a>,
    }

    /// The facts of `account.attached`, `account.link_made`, `account.suspended`, `account.restored` and
    /// `account.unlinked`, which are about the key that the person acts under.
    pub struct AccountNamed<'a> {
        label: Text<'a>,
        role: Text<'a>,
    }

    /// The facts of `account.role_changed`, which is about the account's key.
    pub struct AccountRoleChanged<'a> {
        role: Text<'a>,
        was: Text<'a>,
    }

    /// The facts of `key.created` and `key.revoked`: all that the key is bound to.
    pub struct KeyChanged<'a> {
        airports: Option<Text<'a>>,
        audience: Option<Text<'a>>,
        expires_at: Option<Timestamp>,
        kiosk: Option<Text<'a>>,
        label: Text<'a>,
        location: Option<Text<'a>>,
        origins: Option<Text<'a>>,
        role: Text<'a>,
    }
}
