//! The part of a decision that is for the guest, in the words of every command that shows one.

use std::fmt;

use super::write_line;
use crate::eligibility::shown::explanation::{OfferShown, ReasonShown};
use crate::foundation::language::Languages;

/// The languages of the guest.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LanguageFlag {
    /// The guest's languages, as browsers send them: `zh-HK`, or `fr-CA, fr;q=0.8, en;q=0.5`.
    #[arg(long = "language", value_name = "LANGUAGES", default_value = "en")]
    pub languages: Languages,
}

/// Writes each reason with its sentence for the guest; then what else there is.
pub(crate) fn write_reasons(f: &mut fmt::Formatter<'_>, reasons: &[ReasonShown], offers: &[OfferShown]) -> fmt::Result {
    reasons.iter().try_for_each(|reason| {
        write_line!(f, "  {}", reason.message)?;
        match (&reason.guest_message, &reason.guest_language) {
            (Some(message), Some(language)) => write_line!(f, "    guests are told, in {language}: {message}"),
            _ => Ok(()),
        }
    })?;
    offers.iter().try_for_each(|OfferShown { text, language, price, url }| {
        let price = price.as_ref().map(|price| format!(", {} {}", price.amount, price.currency)).unwrap_or_default();
        let url = url.as_ref().map(|url| format!(", {url}")).unwrap_or_default();
        write_line!(f, "  instead they are offered, in {language}: {text}{price}{url}")
    })
}
