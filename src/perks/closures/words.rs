//! The words of a closure, also once it is over, was replaced or opened: answers that it gave are given again.

use serde::Deserialize;

use super::{CLOSED, read_message};
use crate::database::DatabaseError;
use crate::foundation::document::Node;
use crate::foundation::ids::{ClosureId, MerchantId, PerkSlug};
use crate::foundation::json::Json;
use crate::perks::catalog::Catalog;
use crate::perks::error::PerkError;
use crate::rules::messages::Messages;

/// The event that closed a place, as far as it has words.
#[derive(Deserialize)]
struct ClosingEvent {
    facts: Facts,
}

#[derive(Deserialize)]
struct Facts {
    closure: String,
    message: Option<String>,
}

impl Catalog {
    /// The words for guests that a closure of the perk was made with. No I/O while it stands; else its event tells, which is
    /// never pruned.
    ///
    /// # Errors
    /// The database's.
    pub async fn words_of_closure(
        &self,
        merchant: &MerchantId,
        slug: &PerkSlug,
        closure: &str,
    ) -> Result<Option<Messages>, PerkError> {
        let Some(perk) = self.known(merchant, slug) else { return Ok(None) };
        if let Some(known) = perk.closures.iter().find(|known| known.id.as_str() == closure) {
            return Ok(known.message.clone());
        }
        let Ok(closure) = closure.parse::<ClosureId>() else { return Ok(None) };
        let said = format!(r#""closure":"{closure}""#);
        let bodies = self.ledger.reader().list_bodies_saying(merchant, perk.id.as_str(), CLOSED, said).await?;
        for body in bodies {
            let ClosingEvent { facts } = serde_json::from_str(&body).map_err(|e| DatabaseError::corrupt("event", e))?;
            if facts.closure == closure.as_str() {
                return Ok(facts.message.as_deref().map(words).transpose()?);
            }
        }
        Ok(None)
    }
}

/// Reads the words as they are stored.
pub(super) fn words(text: &str) -> Result<Messages, DatabaseError> {
    let json = Json::parse(text).map_err(|e| DatabaseError::corrupt("closure's message", e))?;
    read_message(&Node::stored(&json)).map_err(|_| DatabaseError::corrupt("closure's message", text))
}
