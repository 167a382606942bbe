//! An answer as its person has it by their link: with all that became of it, and with what they may do about it.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Linked, Links};
use crate::decision::decide::Decision;
use crate::eligibility::checker::{Answer, CheckError, Checker};
use crate::eligibility::requests::SubjectRequests;
use crate::foundation::ids::EventId;
use crate::ledger::LedgerError;
use crate::ledger::cases::contest::{Contest, ContestError, ContestStatus, Objection};
use crate::ledger::cases::model::{Referral, ReferralStatus};
use crate::ledger::cases::requests::{PERSON, RequestKind, SubjectRequest, SubjectRequestError};
use crate::ledger::read::objections;
use crate::perks::active_perk::Deciding;
use crate::rules::messages::Messages;
use crate::telemetry::meters;

/// Shows people their own answers. Cheap to clone.
#[derive(Clone)]
pub struct OwnAnswers {
    pub(crate) links: Arc<Links>,
    pub(crate) checker: Checker,
    pub(crate) requests: Arc<SubjectRequests>,
}

/// A request of the person, and when it is carried out, as things are.
#[derive(Debug, Clone)]
pub struct OwnRequest {
    pub request: SubjectRequest,
    pub carried_out_at: Option<Timestamp>,
}

/// An answer, and all that became of it.
pub struct OwnAnswer {
    pub answer: Answer,
    /// The rule that decided; none where it can't be read.
    pub deciding: Option<Arc<Deciding>>,
    /// The words of the closure that refused.
    pub closure: Option<Messages>,
    /// The requests that were made by this link.
    pub requests: Vec<OwnRequest>,
    case: Option<Referral>,
    is_overridden: bool,
}

impl OwnAnswer {
    /// True for a refusal that nobody has contested or made good.
    #[must_use]
    pub fn can_be_contested(&self) -> bool {
        self.answer.decided.decision == Decision::Denied && self.case.is_none() && !self.is_overridden
    }

    /// True if a desk let the person in all the same.
    #[must_use]
    pub const fn is_overridden(&self) -> bool {
        self.is_overridden
    }

    /// The status of the contest that it belongs to, if there is one.
    #[must_use]
    pub fn contest(&self) -> Option<ContestStatus> {
        self.case.as_ref().filter(|case| case.contest.is_some()).map(|case| ContestStatus::of(case.status))
    }

    /// The status of the referral that it belongs to, where a person decides.
    #[must_use]
    pub fn referral(&self) -> Option<ReferralStatus> {
        self.case.as_ref().filter(|case| case.contest.is_none()).map(|case| case.status)
    }
}

impl OwnAnswers {
    /// The check of a link; none of one that is bent, invented or too old.
    ///
    /// # Errors
    /// The database's.
    pub async fn find(&self, link: &str) -> Result<Option<Linked>, LedgerError> {
        self.links.find(link).await
    }

    /// The answer of a link; none if it is there no longer.
    ///
    /// # Errors
    /// The database's, and a record that can't be read.
    pub async fn read(&self, linked: &Linked) -> Result<Option<OwnAnswer>, CheckError> {
        let (merchant, check) = (&linked.merchant, &linked.check);
        let Some(answer) = self.checker.find_check(merchant, check).await? else { return Ok(None) };
        let reader = self.checker.ledger.reader();
        let case = match answer.decided.decision {
            Decision::Referred => reader.referral_of(&merchant.id, answer.joins.as_ref().unwrap_or(check)).await?,
            Decision::Denied => reader.case_of(&merchant.id, check).await?,
            Decision::Granted => None,
        };
        let is_denied = answer.decided.decision == Decision::Denied;
        let is_overridden = is_denied && reader.find_override(&merchant.id, check).await?.is_some();
        let deciding = self.checker.rule_behind(merchant, &answer).await;
        let closure = self.checker.words_of_closure_behind(merchant, &answer).await;
        let mut requests = Vec::new();
        for request in self.requests.list_by(&merchant.id, check).await? {
            requests.push(self.with_its_time(request).await?);
        }
        Ok(Some(OwnAnswer { answer, deciding, closure, requests, case, is_overridden }))
    }

    /// Contests a refusal in the person's own words. The same again gets the same answer, as the first may have been lost;
    /// another reason must not seem to have been heard.
    ///
    /// # Errors
    /// [`ContestError`].
    pub async fn contest(&self, linked: &Linked, reason: String) -> Result<ContestStatus, ContestError> {
        let at = self.checker.clock.now();
        let event = EventId::new(at, &self.checker.entropy);
        let (merchant, check) = (linked.merchant.id.clone(), linked.check.clone());
        let objection = Objection { merchant, check, event, at, by: PERSON, reason };
        let repeated = objection.clone();
        let case = match self.checker.ledger.contest(objection).await {
            Ok(Contest::Opened(case)) => {
                meters().contests.count(["opened"]);
                case
            }
            Ok(Contest::Added(case)) => {
                meters().contests.count(["added"]);
                case
            }
            Err(error @ ContestError::AlreadyContested) => {
                let reader = self.checker.ledger.reader();
                let is_repeated = objections::is_repeated(reader, repeated).await?;
                let known = reader.case_of(&linked.merchant.id, &linked.check).await?;
                known
                    .filter(|case| is_repeated && case.contested_by(&linked.check) == Some(PERSON.role))
                    .ok_or(error)?
            }
            Err(error) => return Err(error),
        };
        Ok(ContestStatus::of(case.status))
    }

    /// Makes a request, or finds the one for the same that is pending: true for one that was made.
    ///
    /// # Errors
    /// [`SubjectRequestError`].
    pub async fn ask(&self, linked: &Linked, kind: RequestKind) -> Result<(OwnRequest, bool), SubjectRequestError> {
        let (request, is_new) = self.requests.make(&linked.merchant.id, &linked.check, kind).await?;
        Ok((self.with_its_time(request).await?, is_new))
    }

    async fn with_its_time(&self, request: SubjectRequest) -> Result<OwnRequest, LedgerError> {
        let carried_out_at = self.requests.carried_out_at(&request, self.checker.clock.now()).await?;
        Ok(OwnRequest { request, carried_out_at })
    }
}
