//! `/desk/checks/{check}`: the answer about a guest, as a desk may know it: the tier, the sentence to say, the gap in whole
//! points and never the score; and what can be done about it. A check is shown at the desk that asked it only.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use askama::Template;
use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use super::caller::AtDesk;
use super::form::{Looking, refuse};
use super::frame::Frame;
use super::own::{decided, own_check};
use super::views::{GrantView, OpeningView};
use super::words::{Moment, counted, label_of, welcome};
use crate::access::Permission;
use crate::decision::decide::Decision;
use crate::decision::reason::ReasonCode;
use crate::eligibility::grants::{GrantShown, GrantStatus};
use crate::eligibility::overrides::Overrider;
use crate::eligibility::shown::check::CheckShown;
use crate::eligibility::shown::explanation::{GuestsShown, OfferShown};
use crate::eligibility::shown::opening::OpeningShown;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::CheckId;
use crate::foundation::language::Languages;
use crate::gateway::Gateway;
use crate::ledger::grants::correction::OPEN_FOR;
use crate::ledger::grants::undo::{PATIENCE, UndoReason};
use crate::rules::rule::Rule;
use crate::tokens::claims::SKEW_SECONDS;
use crate::web::extract::{GuestLanguages, Path};
use crate::web::page::icon::Icon;
use crate::web::page::page;
use crate::web::page::qr::QrView;
use crate::web::problem::Problem;

/// The longest time that an answer waits for what may be done about it.
const OPENINGS_WITHIN: Duration = Duration::from_millis(500);

/// The time for which a door takes a token past its end, as clocks differ.
const SKEW: SignedDuration = SignedDuration::from_secs(SKEW_SECONDS);

/// The look of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Granted,
    Denied,
    Waiting,
    /// It was granted, and opens no door any more.
    Ended,
}

#[derive(Template)]
#[template(path = "desk_answer.html", config = "src/screens/askama.toml")]
struct AnswerPage {
    frame: Frame,
    check: String,
    form: Form,
    title: String,
    under: String,
    /// The sentences to say, each with its language where it isn't the desk's own.
    say: Vec<(String, Option<String>)>,
    reasons: Vec<String>,
    next: Option<Moment>,
    offers: Vec<OfferShown>,
    limits: Vec<String>,
    code: Option<QrView>,
    until: Option<Moment>,
    link: Option<QrView>,
    grant: Option<GrantView>,
    by_hand: Option<OpeningView>,
    paid: Option<OpeningView>,
    /// The check that was granted in its place, and that its grant is over.
    overridden: Option<(String, bool)>,
    undo_reasons: Vec<(&'static str, String)>,
}

impl AnswerPage {
    /// The page that a sign-in leads back to.
    fn back(&self) -> String {
        format!("/desk/checks/{}", self.check)
    }

    fn why(&self) -> &'static str {
        match self.form {
            Form::Denied => "Letting them in by hand needs your PIN, for ten minutes.",
            _ => "Correcting and undoing need your PIN, for ten minutes.",
        }
    }
}

#[get("/checks/{check}")]
pub(in crate::screens) async fn get_check(
    looking: Looking,
    gateway: Data<Gateway>,
    check: Path<CheckId>,
    languages: GuestLanguages,
) -> Result<HttpResponse, Problem> {
    let desk = looking.0;
    let frame = Frame::load(&gateway, &desk).await;
    match Box::pin(Shower { gateway: &gateway, desk: &desk, languages: &languages.0 }.show(&check)).await {
        Ok(shown) => page(&shown.into_page(frame)),
        Err(problem) => refuse(frame, problem, None),
    }
}

/// The means to show a check.
struct Shower<'a> {
    gateway: &'a Gateway,
    desk: &'a AtDesk,
    languages: &'a Languages,
}

/// A check as a desk may see it.
struct Shown {
    check: CheckId,
    at: Timestamp,
    view: CheckShown,
    /// A person looked at it, and said no.
    is_declined: bool,
    grant: Option<GrantShown>,
    /// The grant is this desk's, or the clerk's who is signed in.
    may_undo: bool,
    overridden: Option<(CheckId, bool)>,
    rule: Option<Arc<Rule>>,
}

impl Shower<'_> {
    async fn show(&self, check: &CheckId) -> Result<Shown, Problem> {
        let (gateway, merchant) = (self.gateway, self.desk.merchant()?);
        let asked = own_check(gateway, self.desk, check).await?;
        let (answer, is_declined) = decided(gateway, self.desk, asked, check).await?;
        let at = answer.at;
        let rule = gateway.checker.rule_behind(merchant, &answer).await.map(|deciding| deciding.rule.clone());
        let closure = gateway.checker.words_of_closure_behind(merchant, &answer).await;
        let reads_scores = self.desk.principal.role.may(Permission::ReadScores);
        let view = CheckShown::of(answer, reads_scores).for_guests(rule.as_deref(), self.languages);
        let view = view.with_closure(closure.as_ref(), self.languages).with_link(|check| gateway.links.address(check));
        let grant = match &view.grant {
            Some(grant) => gateway.checker.find_grant(&merchant.id, grant).await?,
            None => None,
        };
        let may_undo = match &grant {
            Some(grant) if grant.key == self.desk.principal.key => true,
            Some(grant) => self.desk.clerk(gateway).await.is_some_and(|clerk| clerk == grant.key),
            None => false,
        };
        let (view, overridden) = if view.decision == Decision::Denied && !is_declined {
            self.with_openings(view, check).await?
        } else {
            (view, None)
        };
        Ok(Shown { check: check.clone(), at, view, is_declined, grant, may_undo, overridden, rule })
    }

    /// The ways by hand that are left, or where one of them led to.
    async fn with_openings(
        &self,
        view: CheckShown,
        check: &CheckId,
    ) -> Result<(CheckShown, Option<(CheckId, bool)>), Problem> {
        let (checker, merchant) = (&self.gateway.checker, self.desk.merchant()?);
        let principal = &self.desk.principal;
        let by = Overrider { key: principal.key.clone(), role: principal.role.as_str(), place: self.desk.place() };
        let openings = checker.openings(by, merchant, (check, &view.perk, view.rule_version));
        // The answer stands: it must not be kept back for what can be tried.
        let view = match timeout(OPENINGS_WITHIN, Box::pin(openings)).await {
            Ok(Ok(openings)) => view.with_openings(openings),
            Ok(Err(error)) => {
                tracing::warn!(%error, "what may be overridden can't be read now");
                view
            }
            Err(_) => view,
        };
        if view.by_override.is_some() || view.by_payment.is_some() {
            return Ok((view, None));
        }
        let overridden = checker.find_overridden(merchant, check).await?;
        let granted = overridden.and_then(|granted| {
            let is_over = granted.grant.is_some_and(|grant| grant.end.is_some());
            Some((granted.check?, is_over))
        });
        Ok((view, granted))
    }
}

impl Shown {
    fn into_page(self, frame: Frame) -> AnswerPage {
        let grant = self.grant.as_ref().map(|grant| self.grant_view(grant, &frame));
        let form = self.form();
        let (title, under) = (self.title(form), self.under(form, &frame));
        let (by_hand, paid) = (&self.view.by_override, &self.view.by_payment);
        let by_hand = by_hand.as_ref().map(|opening| self.opening(opening, &frame));
        let paid = paid.as_ref().map(|opening| self.opening(opening, &frame));
        // The limits of the rule itself: what is left by hand is said where it is done.
        let limits = self.view.limits.iter().filter(|limit| !limit.id.starts_with('_')).map(|limit| {
            let reset = limit.resets_at.map(|at| format!(", again at {}", frame.moment(at).text)).unwrap_or_default();
            format!("{}: {} left{reset}", label_of(&limit.id.replace('-', "_")), limit.remaining)
        });
        let say = self.say(form);
        let is_refused = form == Form::Denied;
        let reasons = self.view.reasons.iter().filter(|_| is_refused).map(|reason| reason.message.clone());
        let token = self.code(form, frame.now());
        AnswerPage {
            check: self.check.to_string(),
            form,
            title,
            under,
            say,
            reasons: reasons.collect(),
            next: self.view.next_eligible_at.filter(|_| is_refused).map(|at| frame.moment(at)),
            limits: limits.collect(),
            code: token.and_then(QrView::of_long),
            until: self.view.token_expires_at.map(|at| frame.moment(at)),
            link: self.view.link.as_deref().and_then(QrView::of),
            grant,
            by_hand,
            paid,
            overridden: self.overridden.map(|(check, is_over)| (check.to_string(), is_over)),
            undo_reasons: UndoReason::ALL.map(|reason| (reason.as_str(), label_of(reason.as_str()))).to_vec(),
            offers: self.view.offers,
            frame,
        }
    }

    fn form(&self) -> Form {
        match (self.view.decision, &self.grant) {
            (Decision::Denied, _) => Form::Denied,
            (Decision::Referred, _) if self.is_declined => Form::Denied,
            (Decision::Referred, _) => Form::Waiting,
            (Decision::Granted, Some(grant)) => match grant.status {
                GrantStatus::Active | GrantStatus::Redeemed => Form::Granted,
                _ => Form::Ended,
            },
            (Decision::Granted, None) => Form::Ended,
        }
    }

    fn has_expired(&self) -> bool {
        self.grant.as_ref().is_some_and(|grant| grant.status == GrantStatus::Expired)
    }

    /// The code for the door, while one would take it.
    fn code(&self, form: Form, now: Timestamp) -> Option<&str> {
        let grant = self.grant.as_ref().filter(|_| form == Form::Granted)?;
        let is_spent = grant.single_use && grant.status == GrantStatus::Redeemed;
        self.view.token.as_deref().filter(|_| !is_spent && now < grant.token_expires_at)
    }

    /// From when on what an undone grant used is free again, where that is to come: a door that is offline may take its
    /// token until then.
    fn free_at(&self, now: Timestamp) -> Option<Timestamp> {
        let grant = self.grant.as_ref().filter(|grant| grant.undone.is_some())?;
        let is_asked = self.rule.as_deref().is_some_and(|rule| rule.token().online_only);
        let free_at = grant.token_expires_at.checked_add(SKEW).ok()?;
        (!is_asked && now < free_at).then_some(free_at)
    }

    fn tier_name(&self, id: &str) -> String {
        let tier = self.rule.as_deref().and_then(|rule| rule.tier(id));
        tier.map_or_else(|| id.to_owned(), |tier| tier.name.clone())
    }

    fn title(&self, form: Form) -> String {
        let has = |code| self.view.reasons.iter().any(|reason| reason.code == code);
        let undone = self.grant.as_ref().is_some_and(|grant| grant.undone.is_some());
        match form {
            Form::Granted => self.view.tier.as_deref().map_or_else(|| "Come in".to_owned(), |id| self.tier_name(id)),
            Form::Waiting => "A person decides this".to_owned(),
            Form::Ended if undone => "This was undone".to_owned(),
            Form::Ended if self.view.released_at.is_some() => "They have left".to_owned(),
            Form::Ended if self.has_expired() => "The code has expired".to_owned(),
            Form::Ended => "This was taken back".to_owned(),
            Form::Denied if self.is_declined => "Not admitted: a person said no".to_owned(),
            Form::Denied if has(ReasonCode::PlaceClosed) => "The place is closed".to_owned(),
            Form::Denied if has(ReasonCode::LimitReached) => "Not admitted: a limit is reached".to_owned(),
            Form::Denied => match self.view.reasons.iter().filter_map(|reason| reason.short_by).min() {
                Some(gap) => {
                    let points = Decimal::rounded_up(gap).unsigned_abs();
                    format!("Not admitted: {} short", counted(points, "point", "points"))
                }
                None => "Not admitted".to_owned(),
            },
        }
    }

    fn under(&self, form: Form, frame: &Frame) -> String {
        let at = frame.moment(self.at).text;
        let ended = self.grant.as_ref().and_then(|grant| grant.ended_at).map(|at| frame.moment(at).text);
        let came =
            self.grant.as_ref().and_then(|grant| grant.redeemed_at.iter().min()).map(|at| frame.moment(*at).text);
        match (form, ended) {
            (Form::Ended, Some(ended)) => match self.free_at(frame.now()).map(|at| frame.moment(at).text) {
                Some(free) => format!(
                    "Granted at {at}, ended at {ended}. What it used of limits is free again at {free}: until then a door \
                     that is offline may still take its code."
                ),
                None => format!("Granted at {at}, ended at {ended}. Its code opens no door any more."),
            },
            (Form::Ended, None) if self.has_expired() => {
                let over = self.view.token_expires_at.map(|at| frame.moment(at).text).unwrap_or_default();
                format!("Granted at {at}, and nobody came in with it until {over}. Scan them again to ask again.")
            }
            (Form::Granted, _) if came.is_some() => {
                format!("Granted at {at}, came in at {}", came.unwrap_or_default())
            }
            (Form::Granted, _) => format!("Granted at {at}"),
            _ => format!("Asked at {at}"),
        }
    }

    fn say(&self, form: Form) -> Vec<(String, Option<String>)> {
        let own = |text: &str| vec![(text.to_owned(), None)];
        match form {
            Form::Granted => vec![(welcome(self.guests()), None)],
            Form::Waiting => own("Someone is looking at it. It takes a moment: please stay here."),
            Form::Ended => Vec::new(),
            Form::Denied => {
                let said = self
                    .view
                    .reasons
                    .iter()
                    .filter_map(|reason| Some((reason.guest_message.clone()?, reason.guest_language.clone())));
                let said: Vec<_> = said.collect();
                if said.is_empty() { own("I’m sorry, it doesn’t work this time.") } else { said }
            }
        }
    }

    /// The guests who came, as they are known now.
    fn guests(&self) -> Option<GuestsShown> {
        let corrected = self.grant.as_ref().and_then(|grant| grant.corrected).map(|came| came.guests.map(Into::into));
        corrected.unwrap_or(self.view.guests)
    }

    fn grant_view(&self, grant: &GrantShown, frame: &Frame) -> GrantView {
        let came = grant.corrected.unwrap_or(grant.granted);
        let tier = self.rule.as_deref().zip(grant.tier.as_deref()).and_then(|(rule, tier)| rule.tier(tier));
        let terms = tier.and_then(|tier| tier.guests);
        let uncounted = came.guests.map_or(0, |guests| guests.uncounted);
        let is_open = matches!(grant.status, GrantStatus::Active | GrantStatus::Redeemed);
        let first = grant.redeemed_at.iter().min().copied().unwrap_or(grant.granted_at).max(grant.granted_at);
        let ahead = |from: Timestamp, length| {
            from.checked_add(length).ok().filter(|until| frame.now() < *until).map(|until| frame.moment(until))
        };
        let may_undo = self.may_undo && grant.status == GrantStatus::Active;
        GrantView {
            tag: grant.tag.clone(),
            people: came.party.saturating_sub(uncounted),
            young: terms.and_then(|terms| terms.under).map(|under| (uncounted, under)),
            terms: terms.map(|terms| {
                let free = counted(terms.free, "guest is free", "guests are free");
                let most = counted(terms.max, "guest", "guests");
                if terms.free == terms.max { free } else { format!("{free}, at most {most}; the others are charged") }
            }),
            is_corrected: grant.corrected.is_some(),
            correct_until: ahead(first, OPEN_FOR).filter(|_| is_open),
            undo_until: ahead(grant.granted_at, PATIENCE).filter(|_| may_undo),
        }
    }

    fn opening(&self, it: &OpeningShown, frame: &Frame) -> OpeningView {
        // The price of what is sold where that is one thing alone.
        let price = self.view.offers.iter().find_map(|offer| offer.price.as_ref()).filter(|_| it.tiers.len() == 1);
        OpeningView {
            reasons: it.reasons.iter().map(|code| (code.clone(), label_of(code))).collect(),
            tiers: it.tiers.iter().map(|id| (id.clone(), self.tier_name(id))).collect(),
            left: it.left,
            resets: it.resets_at.map(|at| frame.moment(at)),
            until: frame.moment(it.until),
            price: price.map(|price| (price.amount.clone(), price.currency.clone())),
        }
    }
}
