//! Seeing what a rule would do before it does it: to one subject at any instant, or to everyone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::caveats::{
    Deciding, attribute_is_newer, attributes_of_other_types, caveats_of, limits_not_known, place_closed,
};
use super::checker::pass_visit;
use super::known_person::{known_later, known_person};
use super::limits_at::LimitsAnswer;
use super::population::{Everyone, Question, Tally, Warning};
use super::rule_selection::{Choice, Chosen, TrialError, choose, rule_of};
use super::runs::{Run, RunPermit, RunProgress, Runs};
use super::trial::Trial;
use crate::access::Merchant;
use crate::database::DatabaseError;
use crate::decision::decide::{decide, looked_at};
use crate::decision::decided::Decided;
use crate::decision::facts::{Context, Facts, ScoreFact};
use crate::decision::forecast::Outlook;
use crate::decision::rollout::rollout_bucket;
use crate::decision::trace::{Trace, trace};
use crate::foundation::clock::Clock;
use crate::foundation::entropy::Entropy;
use crate::foundation::ids::{KeyId, MerchantId, PerkSlug, SourceName};
use crate::foundation::subject::{SubjectHandle, SubjectRef};
use crate::keyring::Keyring;
use crate::ledger::Ledger;
use crate::ledger::entry::{Actor, CheckEntry, CheckRequest, DecidingRule};
use crate::perks::catalog::Catalog;
use crate::rules::limit::{Place, ScopeDigests};
use crate::rules::rule::Rule;
use crate::scores::Scores;
use crate::scores::score::EARLIEST;

/// Nobody waits for a preview in the ledger's queue: it is not asked.
const PATIENCE: Duration = Duration::from_secs(5);

/// Number of versions that are read at once.
const VERSIONS: u32 = 100;

/// A decision as it would be made, and why.
#[derive(Debug, Clone)]
pub struct Simulated {
    pub perk: PerkSlug,
    /// None for a rule that is no version.
    pub version: Option<i32>,
    pub rule: Arc<Rule>,
    pub at: Timestamp,
    /// Its limits as they would stand, were it granted: by what is used now, or had been used by an earlier instant.
    pub decided: Decided,
    pub trace: Trace,
    pub warnings: Vec<Warning>,
}

/// A question about everyone whose score is known.
#[derive(Debug, Clone)]
pub struct EveryoneTrial {
    pub perk: PerkSlug,
    pub choice: Choice,
    /// The context that every visitor is taken to bring.
    pub context: Context,
    /// Now without it.
    pub at: Option<Timestamp>,
}

/// Tries rules out; records and consumes nothing. Cheap to clone.
#[derive(Clone)]
pub struct Simulator {
    pub(crate) catalog: Catalog,
    pub(crate) scores: Scores,
    pub(crate) ledger: Ledger,
    pub(crate) keyring: Keyring,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) runs: Runs,
}

impl Simulator {
    /// The rule's decision about one subject as it would be, with its trace.
    ///
    /// # Errors
    /// [`TrialError`].
    pub async fn simulate(&self, merchant: &Merchant, actor: &Actor, trial: Trial) -> Result<Simulated, TrialError> {
        let chosen = choose(&self.catalog, &self.scores, &merchant.id, &trial.perk, trial.choice.clone()).await?;
        let rule = &chosen.rule;
        trial.context.check_for(rule).map_err(TrialError::Context)?;
        // Looked at once: a moment later, now is past.
        let now = self.clock.now();
        let at = trial.at.unwrap_or(now);
        let score = self.score(merchant, &chosen, &trial, at).await?;
        let network = match (&trial.network, &trial.subject) {
            (Some(network), _) => Some(network.clone()),
            (None, Some(subject)) => subject.network().map(str::to_owned),
            (None, None) => None,
        };
        let rollout_bucket = trial
            .subject
            .as_ref()
            .map(|subject| rollout_bucket(&chosen.perk.id, &self.keyring.subject_ref(&merchant.id, subject)));
        let context = match &trial.boarding_pass {
            Some(pass) => trial.context.clone().with_pass(pass, rule.time_zone(), at, &trial.airports),
            None => trial.context.clone(),
        };
        let references = trial.subject.as_ref().map(|subject| self.keyring.subject_refs(&merchant.id, subject));
        let mut person = known_person(&self.catalog, &self.scores, merchant, rule, references.as_ref()).await?;
        person.assume(&trial.attributes);
        let context = context.of_person(person);
        let facts =
            Facts { score, network, context, rollout_bucket, location: trial.location.clone(), closed_until: None };
        let decided = decide(rule, &facts, at);
        let deciding = self.deciding(&merchant.id, &chosen, at).await?;
        let mut warnings = caveats_of(&chosen, &trial, score.filter(|_| trial.score.is_none()), deciding);
        let declared = self.catalog.declared_for(&merchant.id, rule).await?;
        warnings.extend(attributes_of_other_types(&trial.attributes, &declared));
        if let Some(references) = references.as_ref().filter(|_| at < now) {
            let later = known_later(&self.scores, merchant, rule, references, at).await?;
            let is_assumed = |name: &String| trial.attributes.names().any(|assumed| assumed == name);
            warnings
                .extend(later.into_iter().filter(|name| !is_assumed(name)).map(|name| attribute_is_newer(&name, at)));
        }
        let closures = self.catalog.list_closures(&merchant.id, &chosen.perk.slug).await?;
        warnings.extend(place_closed(&closures, trial.location.as_deref(), at));
        // Limits are asked about a grant, now or once waiting is enough for the rest of the rule.
        let asks_limits = decided.is_granted() || decided.next_eligible_at.is_some();
        let decided = if !asks_limits || rule.limits().is_empty() {
            decided
        } else if let Some(subject) = trial.subject.clone() {
            let entry = self.entry(merchant, actor, &chosen, &trial, &facts, decided, subject, at);
            if at < now {
                let LimitsAnswer { decided, unknown } = self.limits_at(&chosen, entry).await?;
                warnings.extend(limits_not_known(&unknown, at));
                decided
            } else if entry.decided.is_granted() {
                self.ledger.reader().preview(entry).await?
            } else {
                let next_eligible_at = self.ledger.reader().next_admitted(entry.clone()).await?;
                Decided { next_eligible_at, ..entry.decided }
            }
        } else if !decided.is_granted() {
            decided
        } else {
            let place = place(merchant, &trial);
            let claims = rule.claims(decided.tier.as_deref().unwrap_or_default(), trial.context.party(), &place, at);
            decided.within(&claims)
        };
        // What the trace ends with is the same decision: the limits may have taken the rule's tier away.
        let trace = Trace { decision: decided.decision, tier: decided.tier.clone(), ..trace(rule, &facts, at) };
        Ok(Simulated {
            perk: chosen.perk.slug.clone(),
            version: chosen.version,
            rule: rule.clone(),
            at,
            decided,
            trace,
            warnings,
        })
    }

    async fn deciding(&self, merchant: &MerchantId, chosen: &Chosen, at: Timestamp) -> Result<Deciding, TrialError> {
        let mut deciding = Deciding::at(at, chosen.version);
        let mut before = None;
        loop {
            let page = self.catalog.list_versions(merchant, &chosen.perk.slug, before, VERSIONS).await?;
            for version in &page {
                deciding.meet(version);
            }
            before = page.last().map(|version| version.version);
            if page.len() < VERSIONS as usize {
                return Ok(deciding);
            }
        }
    }

    async fn score(
        &self,
        merchant: &Merchant,
        chosen: &Chosen,
        trial: &Trial,
        at: Timestamp,
    ) -> Result<Option<ScoreFact>, TrialError> {
        let Some(source) = &chosen.source else { return Ok(None) };
        if let Some((value, observed_at)) = trial.score {
            if value < source.minimum || value > source.maximum {
                return Err(TrialError::OffScale { minimum: source.minimum, maximum: source.maximum });
            }
            if observed_at.is_some_and(|at| at < EARLIEST) {
                return Err(TrialError::Unobserved);
            }
            return Ok(Some(ScoreFact { value, observed_at: observed_at.unwrap_or(at) }));
        }
        let Some(subject) = &trial.subject else { return Ok(None) };
        let references = self.keyring.subject_refs(&merchant.id, subject);
        let found = self.scores.find(&merchant.id, &source.name, references).await?;
        Ok(found.map(|score| ScoreFact { value: score.value, observed_at: score.observed_at }))
    }

    /// The check as the ledger previews it. It has no grant, so nothing of it could be signed.
    #[expect(clippy::too_many_arguments, reason = "everything that an entry is made of")]
    fn entry(
        &self,
        merchant: &Merchant,
        actor: &Actor,
        chosen: &Chosen,
        trial: &Trial,
        facts: &Facts,
        decided: Decided,
        subject: SubjectHandle,
        at: Timestamp,
    ) -> CheckEntry {
        let Chosen { perk, version, rule, .. } = chosen;
        let pass = trial.boarding_pass.as_ref();
        let visit = pass.and_then(|pass| pass_visit(pass, rule.time_zone(), at, &trial.airports));
        let request = CheckRequest {
            at,
            merchant: merchant.id.clone(),
            key: actor.key.clone().unwrap_or_else(|| KeyId::new(at, &self.entropy)),
            role: actor.role,
            location: trial.location.clone(),
            kiosk: trial.kiosk.clone(),
            subject: self.keyring.subject_refs(&merchant.id, &subject),
            handle: subject,
            party: facts.context.party().clone(),
            context: looked_at(rule, facts),
            pass: visit,
            digests: ScopeDigests::default(),
            deadline: Instant::now() + PATIENCE,
        };
        let (version, hash) = (version.unwrap_or_default(), rule.hash().into());
        let by = DecidingRule { perk: &perk.id, slug: &perk.slug, version, hash, rule };
        let outlook = Some(Box::new(Outlook { rule: rule.clone(), facts: facts.clone() }));
        CheckEntry { outlook, ..CheckEntry::new(request, by, decided, &self.entropy) }
    }

    /// Begins to count what the rule would mean for everyone who has a score from its source.
    ///
    /// # Errors
    /// [`TrialError`]; [`TrialError::NoScore`] when no condition looks at one.
    pub async fn everyone(&self, merchant: &Merchant, trial: EveryoneTrial) -> Result<EveryoneRun, TrialError> {
        let EveryoneTrial { perk, choice, context, at } = trial;
        let Chosen { perk, version, rule, source } =
            choose(&self.catalog, &self.scores, &merchant.id, &perk, choice).await?;
        let source = source.ok_or(TrialError::NoScore)?;
        context.check_for(&rule).map_err(TrialError::Context)?;
        let permit = self.runs.begin(&merchant.id)?;
        let mut warnings = Vec::new();
        let mut published = None;
        if let Some(version) = perk.published_version {
            let deciding = rule_of(&self.catalog, &merchant.id, &perk, version).await?;
            if deciding.hash() == rule.hash() {
                // Nothing to compare: it decides already.
            } else if deciding.looks_at_score() && deciding.score().is_none_or(|policy| policy.source != source.name) {
                let detail = format!("Version {version} goes by another source, so nobody can be compared with it.");
                warnings.push(Warning { code: "other_source", detail });
            } else {
                published = Some((version, Arc::new(deciding)));
            }
        }
        // Of nobody it is known more than the score: all are dealt with as is declared for those without a value.
        let mut person = known_person(&self.catalog, &self.scores, merchant, &rule, None).await?;
        if let Some((_, published)) = &published {
            person.want_as(&known_person(&self.catalog, &self.scores, merchant, published, None).await?);
        }
        let context = context.of_person(person);
        let of = self.scores.count(&merchant.id, &source.name).await?;
        let source_name = source.name.clone();
        let at = at.unwrap_or_else(|| self.clock.now());
        let question =
            Question { id: perk.id, perk: perk.slug, version, rule, published, source, context, at, warnings };
        Ok(EveryoneRun {
            scores: self.scores.clone(),
            merchant: merchant.id.clone(),
            source: source_name,
            tally: Some(Box::new(Tally::new(question))),
            after: None,
            progress: RunProgress { done: 0, of },
            is_over: false,
            permit,
        })
    }
}

fn place<'a>(merchant: &'a Merchant, trial: &'a Trial) -> Place<'a> {
    let (location, kiosk) = (trial.location.as_deref(), trial.kiosk.as_deref());
    Place { merchant: merchant.id.as_str(), location, kiosk, pass_month: None }
}

/// Everyone being counted.
pub struct EveryoneRun {
    scores: Scores,
    merchant: MerchantId,
    source: SourceName,
    /// Away while a chunk is counted on another thread.
    tally: Option<Box<Tally>>,
    after: Option<SubjectRef>,
    progress: RunProgress,
    is_over: bool,
    permit: RunPermit,
}

impl Run for EveryoneRun {
    type Answer = Everyone;

    async fn step(&mut self) -> Result<Option<RunProgress>, TrialError> {
        if self.is_over {
            return Ok(None);
        }
        let page = self.scores.page(&self.merchant, &self.source, self.after).await?;
        let Some((last, _)) = page.last() else {
            self.is_over = true;
            return Ok(None);
        };
        self.after = Some(*last);
        self.progress.done += page.len() as u64;
        // Scores may come in while they are counted.
        self.progress.of = self.progress.of.max(self.progress.done);
        let mut tally = self.tally.take().ok_or(DatabaseError::Interrupted)?;
        let tally = self.permit.compute(move || {
            tally.count(page.into_iter());
            tally
        });
        self.tally = Some(tally.await?);
        Ok(Some(self.progress))
    }

    fn finish(self) -> Option<Everyone> {
        self.tally.map(|tally| tally.finish())
    }
}
