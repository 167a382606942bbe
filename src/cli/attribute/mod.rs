//! `perkgate attribute`: declares what rules may look at of people besides scores, and imports it.

use std::fmt;
use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::error::CliError;
use super::feed::{self, FeedFile, FeedFormat, format_of};
use super::once::{self, ACTOR, MerchantFlag, Needs};
use super::output::confirmation::Confirmation;
use super::output::{table, write_part};
use super::{Completion, Invocation};
use crate::foundation::period::Period;
use crate::perks::attributes::{Attribute, AttributeError, AttributeTerms};
use crate::perks::life::Expected;
use crate::rules::declared::type_name;
use crate::rules::terms::Fallback;
use crate::scores::attributes::AttributeImport;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Declare an attribute, or change its terms: rules look at it as `subject.` and its name.
    Declare {
        /// Its name: a-z, 0-9 and _, a letter first.
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        merchant: MerchantFlag,
        /// The type of its values: text, number, boolean or list. It can't be changed while any are kept.
        #[arg(long = "type", value_name = "TYPE")]
        value_type: String,
        /// The purpose of its values: one of those that perks can have, such as `lounge`.
        #[arg(long, value_name = "PURPOSE")]
        purpose: String,
        /// How long after it was recorded a value is known, such as P30D; for good without it.
        #[arg(long, value_name = "DURATION")]
        max_age: Option<Period>,
        /// The decision about people without a value, wherever a rule looks at it: deny, refer, or ignore, which leaves it to
        /// the rest of the rule.
        #[arg(long, value_name = "FALLBACK", default_value = "ignore")]
        on_missing: String,
    },
    /// List what is declared.
    List {
        #[command(flatten)]
        merchant: MerchantFlag,
    },
    /// Delete an attribute with all its values. No rule that decides, or will, may look at it.
    Delete {
        /// Its name, without `subject.`.
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        merchant: MerchantFlag,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Import a feed of attributes: good lines are kept, bad ones are reported with their number.
    ///
    /// The feed is CSV with the header `subject,attribute,value,valid_until` (columns in any order, the last one if there
    /// are ends), or one JSON object with these fields a line. In CSV the members of a list are separated by `;`.
    /// Importing it again is safe: the last value stands. Exits with 1 when the import could not go on, or when every line
    /// of it was rejected; with 0 when only some were, or when there was no row in it.
    Import {
        /// The feed; `-` is standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        merchant: MerchantFlag,
        /// How the feed is written. Without it, as its name ends: .csv, .ndjson or .jsonl.
        #[arg(long)]
        format: Option<FeedFormat>,
    },
}

#[derive(Serialize)]
struct AttributeView {
    attribute: String,
    r#type: &'static str,
    purpose: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age: Option<Period>,
    on_missing: &'static str,
}

impl From<Attribute> for AttributeView {
    fn from(attribute: Attribute) -> Self {
        let Attribute { name, purpose, policy } = attribute;
        Self {
            attribute: name,
            r#type: type_name(policy.value_type),
            purpose: purpose.as_str(),
            max_age: policy.max_age,
            on_missing: policy.on_missing.as_str(),
        }
    }
}

impl fmt::Display for AttributeView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_part!(f, "Declared `subject.{}`: {}, for {}", self.attribute, self.r#type, self.purpose)?;
        self.max_age.map_or(Ok(()), |age| write_part!(f, ", known for {age}"))?;
        if self.on_missing == Fallback::Ignore.as_str() {
            return Ok(());
        }
        write_part!(f, "; without one: {}", self.on_missing)
    }
}

#[derive(Serialize)]
struct Listed {
    attributes: Vec<AttributeView>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.attributes.iter().map(|it| {
            let age = it.max_age.map_or_else(String::new, |age| age.to_string());
            [it.attribute.clone(), it.r#type.to_owned(), it.purpose.to_owned(), age, it.on_missing.to_owned()]
        });
        f.write_str(&table(["name", "type", "purpose", "max age", "on missing"], rows))
    }
}

#[derive(Serialize)]
struct Deleted {
    attribute: String,
    values: u64,
}

impl fmt::Display for Deleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_part!(f, "Deleted `subject.{}`, with what was kept of it: {}", self.attribute, self.values)
    }
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Completion, CliError> {
    match args.action {
        Action::Declare { name, merchant, value_type, purpose, max_age, on_missing } => {
            let (declared, _) = invocation.with_gateway(Needs::Existing, async |gateway| {
                let terms = AttributeTerms::read(&value_type, &purpose, max_age, Some(&on_missing))?;
                let merchant = once::merchant(gateway, &merchant).await?.id;
                let (catalog, anything) = (&gateway.catalog, Expected::Anything);
                Ok(catalog.put_attribute(&merchant, ACTOR, &name, terms, anything).await?)
            })?;
            invocation.output.show(&AttributeView::from(declared))?;
        }
        Action::List { merchant } => {
            let attributes = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?.id;
                Ok(gateway.catalog.list_attributes(&merchant).await?)
            })?;
            invocation
                .output
                .show(&Listed { attributes: attributes.into_iter().map(AttributeView::from).collect() })?;
        }
        Action::Delete { name, merchant, confirmation } => {
            let values = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?.id;
                confirmation.ask(&format!("delete the attribute `{name}` with what is kept of it for good"))?;
                let deleted = gateway.catalog.delete_attribute(&merchant, ACTOR, &name, Expected::Anything).await;
                if !matches!(deleted, Ok(()) | Err(AttributeError::NotFound(_))) {
                    deleted?;
                    return Ok(0);
                }
                match gateway.scores.attributes().clear(&merchant, &name).await? {
                    // Once more, where it was cut short.
                    Some(values) => Ok(values),
                    None => Ok(deleted.map(|()| 0)?),
                }
            })?;
            invocation.output.show(&Deleted { attribute: name, values })?;
        }
        Action::Import { file, merchant, format } => {
            let (format, feed) = (format_of(format, &file)?, FeedFile::open(file)?);
            let report = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?.id;
                let declared = gateway.catalog.declared_attributes(&merchant).await?;
                let clock = gateway.clock.clone();
                let config = AttributeImport { merchant: merchant.clone(), declared, format, clock };
                let (keyring, attributes) = (gateway.keyring.clone(), gateway.scores.attributes());
                let import = attributes.import(config, move |handle| keyring.subject_refs(&merchant, handle));
                feed::import(gateway, import, feed, invocation).await
            })?;
            return feed::show(report, invocation);
        }
    }
    Ok(Completion::Succeeded)
}
