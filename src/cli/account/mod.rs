//! `perkgate account`: the people who use the console.

use std::fmt;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use jiff::Timestamp;
use serde::Serialize;

use super::error::CliError;
use super::once::{self, ACTOR, MerchantFlag, Needs, OwnerFlag};
use super::output::confirmation::Confirmation;
use super::output::{table, write_line, write_part};
use super::{Completion, Invocation};
use crate::access::accounts::link::NewLink;
use crate::access::accounts::{Account, AccountName, NewAccount, ROLES, Subject};
use crate::access::{AccessError, ApiKey, Merchant, Role};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{KeyId, MerchantSlug};
use crate::gateway::Gateway;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make an account for the console. It prints a link by which its person sets a password: for an hour, and once.
    Create(New),
    /// List the accounts of a merchant, or with --operator those of the operator.
    List {
        #[command(flatten)]
        owner: OwnerFlag,
    },
    /// End an account: its sessions end at once, and its name and password are deleted. Its key remains in the log.
    Disable {
        /// The name that its person logs in with.
        #[arg(value_name = "NAME")]
        name: AccountName,
        #[command(flatten)]
        owner: OwnerFlag,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Let a person log in by the provider of OpenID Connect that the settings name, as the subject by which it knows them.
    Link {
        /// The name of the account.
        #[arg(value_name = "NAME")]
        name: AccountName,
        /// The text by which the provider knows the person: they read it when they log in there and no account is linked.
        #[arg(value_name = "SUBJECT")]
        subject: String,
        #[command(flatten)]
        owner: OwnerFlag,
    },
    /// Take the link to a provider off an account; its sessions end.
    Unlink {
        /// The name of the account.
        #[arg(value_name = "NAME")]
        name: AccountName,
        #[command(flatten)]
        owner: OwnerFlag,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// End an account's password, second factor, link to a provider and sessions, and print a link by which its person sets another.
    Reset {
        /// The name that its person logs in with.
        #[arg(value_name = "NAME")]
        name: AccountName,
        #[command(flatten)]
        owner: OwnerFlag,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

#[derive(clap::Args)]
struct New {
    /// The name that its person logs in with, such as an address for e-mail. It is unique in the gateway.
    #[arg(value_name = "NAME")]
    name: AccountName,
    #[command(flatten)]
    merchant: MerchantFlag,
    /// The person's role: an admin runs a merchant's perks, an auditor reads, an operator runs the gateway.
    #[arg(
        long,
        required_unless_present = "key",
        value_parser = PossibleValuesParser::new(ROLES.map(Role::as_str)).try_map(|text| text.parse::<Role>())
    )]
    role: Option<Role>,
    /// The name that the log calls its person by, for good; what stands before the @ unless given.
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// The key that its person has already, and goes on using: the account acts under it, with its role and label, so that
    /// four eyes see one person.
    #[arg(long = "as", id = "key", value_name = "KEY", conflicts_with_all = ["role", "label"])]
    key: Option<KeyId>,
}

#[derive(Serialize)]
struct AccountView {
    account: AccountName,
    role: Role,
    label: String,
    /// Null for the operator's.
    merchant: Option<MerchantSlug>,
    key: KeyId,
    has_password: bool,
    created_at: Timestamp,
}

impl AccountView {
    fn of(account: Account, merchant: Option<&Merchant>) -> Self {
        let Account { key, name, role, label, has_password, created_at, .. } = account;
        let merchant = merchant.map(|merchant| merchant.slug.clone());
        Self { account: name, role, label, merchant, key, has_password, created_at }
    }
}

/// An account, and the link that its person opens.
#[derive(Serialize)]
struct Invited {
    #[serde(flatten)]
    account: AccountView,
    link: String,
    link_expires_at: Timestamp,
}

impl Invited {
    fn of(gateway: &Gateway, account: Account, merchant: Option<&Merchant>, link: &NewLink) -> Self {
        let address = link.address(&gateway.issuer_url);
        Self { account: AccountView::of(account, merchant), link: address, link_expires_at: link.expires_at }
    }
}

impl fmt::Display for Invited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AccountView { account, role, merchant, key, label, .. } = &self.account;
        let of = merchant.as_ref().map_or(String::new(), |slug| format!(" of {slug}"));
        write_line!(f, "{account} is {role}{of}; the log calls them {label} ({key})")?;
        write_line!(f, "They set their password here, once, until {}:", self.link_expires_at)?;
        write_part!(f, "  {}", self.link)
    }
}

/// A key that an account made, and that works on after its reset.
#[derive(Serialize)]
struct MadeKey {
    key: KeyId,
    role: Role,
    label: String,
}

impl MadeKey {
    fn of(key: ApiKey) -> Self {
        Self { key: key.id, role: key.role, label: key.label }
    }
}

/// An account that was reset.
#[derive(Serialize)]
struct Reset {
    #[serde(flatten)]
    invited: Invited,
    keys_made: Vec<MadeKey>,
}

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.invited.fmt(f)?;
        if self.keys_made.is_empty() {
            return Ok(());
        }
        write_part!(f, "\nIt made these keys, which work on: if someone else was in, revoke those that are not known")?;
        for MadeKey { key, role, label } in &self.keys_made {
            write_part!(f, "\n  {key}  {role}  {label}")?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Listed {
    accounts: Vec<AccountView>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.accounts.is_empty() {
            return f.write_str("There are no accounts.");
        }
        let rows = self.accounts.iter().map(|it| {
            let password = if it.has_password { "set" } else { "none yet" };
            let (role, key, since) = (it.role.to_string(), it.key.to_string(), it.created_at.to_string());
            [it.account.to_string(), role, it.label.clone(), password.to_owned(), since, key]
        });
        f.write_str(&table(["account", "role", "label", "password", "since", "key"], rows))
    }
}

/// An account that is linked to a provider, or was.
#[derive(Serialize)]
struct Linked {
    account: AccountName,
    key: KeyId,
    /// Null where it is linked to none.
    issuer: Option<String>,
    subject: Option<String>,
}

impl From<Account> for Linked {
    fn from(account: Account) -> Self {
        let (issuer, subject) = account.subject.map(|it| (it.issuer().to_owned(), it.name().to_owned())).unzip();
        Self { account: account.name, key: account.key, issuer, subject }
    }
}

impl fmt::Display for Linked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.issuer, &self.subject) {
            (Some(issuer), Some(subject)) => {
                write_part!(f, "{} logs in as {subject} at {issuer} too", self.account)
            }
            _ => write_part!(f, "{} is linked to no provider, and logs in by password only", self.account),
        }
    }
}

#[derive(Serialize)]
struct Ended {
    account: AccountName,
    key: KeyId,
    disabled: bool,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_part!(f, "{} can't log in any more; {} is revoked", self.account, self.key)
    }
}

async fn create(gateway: &Gateway, new: New) -> Result<Invited, CliError> {
    let New { name, merchant, role, label, key } = new;
    let directory = &gateway.directory;
    let is_operators = match (&role, &key) {
        (Some(role), _) => !role.has_merchant(),
        (None, Some(key)) => match directory.find_key(None, key.clone()).await {
            Ok(_) => true,
            Err(AccessError::UnknownKey) => false,
            Err(error) => return Err(error.into()),
        },
        (None, None) => false,
    };
    let is_named = merchant.merchant.is_some();
    let merchant = if is_named || !is_operators { Some(once::merchant(gateway, &merchant).await?) } else { None };
    let owner = merchant.as_ref().map(|it| it.id.clone());
    let (account, link) = match (role, key) {
        (_, Some(key)) => directory.attach_account(name, owner, key, ACTOR).await?,
        (role, None) => {
            // Without a key a role is asked for.
            let role = role.unwrap_or(Role::Auditor);
            directory.create_account(NewAccount { name, role, merchant: owner, label }, ACTOR).await?
        }
    };
    Ok(Invited::of(gateway, account, merchant.as_ref(), &link))
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Completion, CliError> {
    match args.action {
        Action::Create(new) => {
            let invited = invocation.with_gateway(Needs::Existing, async |gateway| create(gateway, new).await)?;
            invocation.output.show(&invited)?;
        }
        Action::List { owner } => {
            let listed = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::owner(gateway, &owner).await?;
                let accounts = gateway.directory.list_accounts(merchant.as_ref().map(|it| it.id.clone())).await?;
                let view = |account| AccountView::of(account, merchant.as_ref());
                Ok(Listed { accounts: accounts.into_iter().map(view).collect() })
            })?;
            invocation.output.show(&listed)?;
        }
        Action::Disable { name, owner, confirmation } => {
            let disabled = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::owner(gateway, &owner).await?.map(|it| it.id);
                let account = gateway.directory.find_account(merchant.clone(), name).await?;
                confirmation.ask(&format!("end the account `{}`", account.name))?;
                Ok(gateway.directory.disable_account(merchant, account.name, ACTOR).await?)
            })?;
            invocation.output.show(&Ended { account: disabled.name, key: disabled.key, disabled: true })?;
        }
        Action::Link { name, subject, owner } => {
            let linked = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::owner(gateway, &owner).await?.map(|it| it.id);
                let account = gateway.directory.find_account(merchant.clone(), name).await?;
                let unfit = |detail: &str| AccessError::Unfit(vec![FieldError::at("/subject", "not_allowed", detail)]);
                let provider = gateway.settings.openid.as_ref().ok_or_else(|| {
                    unfit("no provider is set: give PERKGATE_OIDC_ISSUER and PERKGATE_OIDC_CLIENT_ID")
                })?;
                let subject =
                    Subject::of(&provider.issuer, &subject).map_err(|fault| AccessError::Unfit(vec![fault]))?;
                Ok(gateway.directory.link_account(merchant, account.key, subject, ACTOR).await?)
            })?;
            invocation.output.show(&Linked::from(linked))?;
        }
        Action::Unlink { name, owner, confirmation } => {
            let unlinked = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::owner(gateway, &owner).await?.map(|it| it.id);
                let account = gateway.directory.find_account(merchant.clone(), name).await?;
                confirmation
                    .ask(&format!("take the link to a provider off `{}`, and end its sessions", account.name))?;
                Ok(gateway.directory.unlink_account(merchant, account.key, ACTOR).await?)
            })?;
            invocation.output.show(&Linked::from(unlinked))?;
        }
        Action::Reset { name, owner, confirmation } => {
            let reset = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::owner(gateway, &owner).await?;
                let id = merchant.as_ref().map(|it| it.id.clone());
                let account = gateway.directory.find_account(id.clone(), name).await?;
                confirmation
                    .ask(&format!("end the password, the second factor and the sessions of `{}`", account.name))?;
                let keys = gateway.directory.list_keys_made_by(&account).await?;
                let (account, link) = gateway.directory.reset_account(id, account.name, ACTOR).await?;
                let invited = Invited::of(gateway, account, merchant.as_ref(), &link);
                Ok(Reset { invited, keys_made: keys.into_iter().map(MadeKey::of).collect() })
            })?;
            invocation.output.show(&reset)?;
        }
    }
    Ok(Completion::Succeeded)
}
