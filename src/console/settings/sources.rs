//! `/console/sources`: where scores come from.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use serde::Deserialize;

use crate::access::role::permit::ManageSources;
use crate::console::caller::Caller;
use crate::console::door::{page, page_of, see_other};
use crate::console::form::{Faults, Posted};
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::SourceName;
use crate::foundation::period::Period;
use crate::gateway::Gateway;
use crate::scores::ScoreError;
use crate::scores::held::{HeldFeed, HeldState};
use crate::scores::pulling::views::PullState;
use crate::scores::score::{Source, SourceKind};
use crate::web::problem::{Problem, sentence};

/// How often scores are renewed, as it is chosen.
const RENEWALS: [(&str, &str); 5] =
    [("", "Not known"), ("PT1H", "Every hour"), ("P1D", "Every day"), ("P7D", "Every week"), ("P30D", "Every 30 days")];

#[derive(Template)]
#[template(path = "sources.html", config = "src/console/askama.toml")]
struct SourcesPage {
    frame: Frame,
    sources: Vec<SourceView>,
    fields: SourceFields,
    renewals: Vec<(&'static str, &'static str, bool)>,
    faults: Faults,
}

/// A source as pages show it.
pub(super) struct SourceView {
    pub name: String,
    pub from: String,
    pub to: String,
    pub renewed: String,
    pub kind: &'static str,
    /// Number of feeds and runs that wait for a person.
    pub held: usize,
    /// How one that is fetched is doing; empty otherwise.
    pub state: String,
}

impl SourceView {
    pub(super) fn of(source: &Source, held: &[HeldFeed]) -> Self {
        Self {
            held: held.iter().filter(|it| it.source == source.name && it.state == HeldState::Held).count(),
            name: source.name.to_string(),
            from: source.minimum.to_string(),
            to: source.maximum.to_string(),
            kind: match source.kind {
                SourceKind::Push => "pushed by feeds",
                SourceKind::Pull => "fetched",
                SourceKind::Computed => "computed from signals",
            },
            state: String::new(),
            renewed: source.refresh.map_or_else(|| "not known".to_owned(), |period| format!("every {period}")),
        }
    }
}

/// A new source as it is typed.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::console) struct SourceFields {
    #[serde(default)]
    name: String,
    #[serde(default)]
    min: String,
    #[serde(default)]
    max: String,
    #[serde(default)]
    refresh: String,
}

impl SourceFields {
    fn read(&self) -> Result<(SourceName, Decimal, Decimal, Option<Period>), Faults> {
        let name = self.name.trim().parse().map_err(|_| {
            Faults::at("name", "Use 1 to 63 small letters, digits, hyphens and underscores, a letter first.")
        })?;
        let end = |field: &'static str, text: &str| {
            Decimal::typed(text).map_err(|_| Faults::at(field, "Type a number, such as 0 or 100."))
        };
        let (min, max) = (end("min", &self.min)?, end("max", &self.max)?);
        let known = RENEWALS.iter().find(|(period, _)| !period.is_empty() && *period == self.refresh);
        Ok((name, min, max, known.and_then(|(period, _)| period.parse().ok())))
    }
}

impl SourcesPage {
    async fn of(
        caller: &Caller<ManageSources>,
        gateway: &Gateway,
        fields: SourceFields,
        faults: Faults,
    ) -> Result<Self, Problem> {
        let merchant = &caller.merchant()?.id;
        let sources = gateway.scores.list_sources(merchant).await?;
        let held = gateway.scores.list_held(merchant, None).await?;
        let states = gateway.pulls.states(merchant).await?;
        let view = |source: &Source| {
            let state = states.get(source.name.as_str()).map_or_else(String::new, words_of);
            SourceView { state, ..SourceView::of(source, &held) }
        };
        Ok(Self {
            frame: Frame::of("Sources", Section::Settings, caller.session(), gateway.clock.now()),
            sources: sources.iter().map(view).collect(),
            renewals: RENEWALS.map(|(period, words)| (period, words, period == fields.refresh)).to_vec(),
            fields,
            faults,
        })
    }
}

/// How a source that is fetched is doing, in words.
fn words_of(state: &PullState) -> String {
    let status = match (state.status, state.waits_until) {
        ("budget_spent", _) => "today’s requests are spent".to_owned(),
        ("backing_off", Some(until)) => format!("the service asks for patience until {until:.0}"),
        ("failing", Some(until)) => format!("it fails, and is asked again after {until:.0}"),
        ("new", _) => "not fetched yet".to_owned(),
        _ => state.last_run_at.map_or_else(String::new, |at| format!("last fetched {at:.0}")),
    };
    let fault = state.fault.as_ref().map_or_else(String::new, |fault| format!(". Last fault: {fault}"));
    format!("{}: {status}. {} of {} requests left today{fault}", state.connector, state.budget_left, state.budget)
}

#[get("/sources")]
pub(in crate::console) async fn get_sources(
    caller: Caller<ManageSources>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    page(&SourcesPage::of(&caller, &gateway, SourceFields::default(), Faults::default()).await?)
}

#[post("/sources")]
pub(in crate::console) async fn post_source(
    caller: Caller<ManageSources>,
    gateway: Data<Gateway>,
    form: Posted<SourceFields>,
) -> Result<HttpResponse, Problem> {
    let fields = form.0;
    let faults = match fields.read() {
        Ok((name, min, max, refresh)) => {
            let (merchant, now) = (&caller.merchant()?.id, gateway.clock.now());
            let made = gateway
                .scores
                .create_source(&gateway.ledger, caller.actor(), merchant, name, min, max, refresh, now)
                .await;
            match made {
                Ok(_) => return Ok(see_other(&"/console/sources")),
                Err(error @ ScoreError::SourceExists(_)) => Faults::at("name", sentence(&error.to_string())),
                Err(error @ ScoreError::Source(_)) => {
                    let field = if error.field().is_some() { "max" } else { "name" };
                    Faults::at(field, sentence(&error.to_string()))
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(faults) => faults,
    };
    page_of(StatusCode::UNPROCESSABLE_ENTITY, &SourcesPage::of(&caller, &gateway, fields, faults).await?)
}
