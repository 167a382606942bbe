//! The page of a rule's form.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::layout::{Kept, Section, kept, place};
use super::sections::sections;
use crate::access::role::permit::ManagePerks;
use crate::console::assets;
use crate::console::caller::Caller;
use crate::console::door::page_of;
use crate::console::frame::{Frame, Section as Part};
use crate::console::icon::Icon;
use crate::console::perks::judge::{Judged, judge};
use crate::console::perks::saved::{Saved, label};
use crate::console::perks::sentences::{self, parts};
use crate::console::perks::versions::ChangeView;
use crate::console::words::zone_of;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::PerkSlug;
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::perks::perk::{RuleVersion, VersionStatus};
use crate::rules::diff::diff_documents;
use crate::rules::rule::Rule;
use crate::scores::score::Source;
use crate::web::problem::Problem;

/// The page of the form.
#[derive(Template)]
#[template(path = "rule.html", config = "src/console/askama.toml")]
pub(super) struct RuleFormPage {
    frame: Frame,
    script: &'static str,
    slug: String,
    name: String,
    number: i32,
    is_draft: bool,
    /// False where the version can't be changed any more, and nobody has begun to.
    pub can_edit: bool,
    etag: String,
    /// The document that the fields were made from.
    base: String,
    sections: Vec<Section>,
    kept: Vec<Kept>,
    note: String,
    saved: Option<Saved>,
    attributes: Vec<String>,
    /// The scale of the rule's score.
    scale: Option<(String, String)>,
    zone: String,
    checked: Checked,
    meanwhile: Option<Meanwhile>,
}

/// The verdict alone, as the page's script takes it.
#[derive(Template)]
#[template(path = "rule_checked.html", config = "src/console/askama.toml")]
pub(super) struct CheckedPart {
    pub checked: Checked,
}

/// The verdict on what stands in the form.
pub(super) struct Checked {
    /// None until something was typed.
    pub errors: Option<Vec<Found>>,
    pub warnings: Vec<Found>,
    /// The rule in sentences; none where it can't be read.
    parts: Option<Vec<sentences::Part>>,
}

/// Something wrong or odd, and its field.
pub(super) struct Found {
    pub field: Option<String>,
    pub pointer: String,
    pub detail: String,
}

/// The rule that someone else saved meanwhile.
pub(super) struct Meanwhile {
    pub by: String,
    /// The version's status, where it is no draft any more.
    pub status: Option<&'static str>,
    /// From theirs to what stands in the form.
    pub changes: Vec<ChangeView>,
}

/// The version that a form is of, as the one who edits it saw it.
pub(in crate::console::perks) struct At<'a> {
    pub slug: &'a PerkSlug,
    pub name: String,
    pub version: &'a RuleVersion,
    pub etag: String,
}

/// Everything that the form of a document needs.
pub(super) struct Surroundings {
    sources: Vec<Source>,
    attributes: Vec<String>,
    /// When its draft was saved, and by whom.
    saved: Option<Saved>,
}

impl Surroundings {
    pub(super) async fn of(
        gateway: &Gateway,
        caller: &Caller<ManagePerks>,
        version: &RuleVersion,
    ) -> Result<Self, Problem> {
        let merchant = &caller.merchant()?.id;
        let sources = gateway.scores.list_sources(merchant).await?;
        let declared = gateway.catalog.list_attributes(merchant).await?;
        let known = ["score", "score.age", "subject.network", "context.party", "occupancy.percent"];
        let pass =
            ["from", "to", "carrier", "flight", "compartment", "days_from_today", "frequent_flyer_airline", "status"];
        let attributes = known
            .iter()
            .map(|name| (*name).to_owned())
            .chain(declared.into_iter().map(|it| format!("subject.{}", it.name)))
            .chain(pass.iter().map(|name| format!("boarding_pass.{name}")))
            .chain(["context.departure".to_owned(), "context.scheduled_departure".to_owned()]);
        let saved = Saved::of(gateway, caller, version).await?;
        Ok(Self { sources, attributes: attributes.collect(), saved })
    }

    pub(super) fn form(&self, document: &Json) -> Vec<Section> {
        let names: Vec<String> = self.sources.iter().map(|source| source.name.to_string()).collect();
        sections(document, &names)
    }
}

/// The form of a document with its verdict, where there is one.
pub(super) fn view(
    gateway: &Gateway,
    caller: &Caller<ManagePerks>,
    at: At<'_>,
    surroundings: Surroundings,
    document: &Json,
    judged: Option<Judged>,
) -> RuleFormPage {
    let now = gateway.clock.now();
    let text = |name: &str| super::document::text(document, name);
    let zone = text("/time_zone").unwrap_or("UTC").to_owned();
    let source = surroundings.sources.iter().find(|source| Some(&*source.name.to_string()) == text("/score/source"));
    let scale = source.map(|source| (source.minimum.to_string(), source.maximum.to_string()));
    let mut sections = surroundings.form(document);
    let kept = kept(document, &sections);
    let checked = if let Some(judged) = judged {
        checked(&mut sections, judged, true)
    } else {
        let rule = Rule::stored(document, at.slug.as_str()).ok();
        checked(&mut sections, Judged { rule, errors: Vec::new(), warnings: Vec::new() }, false)
    };
    let known = zone_of(&zone).iana_name().unwrap_or("UTC").to_owned();
    RuleFormPage {
        frame: Frame::of(format!("Rule of {}", at.name), Part::Perks, caller.session(), now).in_zone(&known, now),
        script: assets::rule_script(),
        slug: at.slug.to_string(),
        name: at.name,
        number: at.version.version,
        is_draft: at.version.status == VersionStatus::Draft,
        can_edit: true,
        etag: at.etag,
        base: document.canonical(),
        sections,
        kept,
        note: String::new(),
        saved: surroundings.saved,
        attributes: surroundings.attributes,
        scale,
        zone,
        checked,
        meanwhile: None,
    }
}

fn pairs(list: &[FieldError]) -> impl Iterator<Item = (&str, &str)> {
    list.iter().map(|it| (it.path.as_str(), it.detail.as_str()))
}

/// Puts what is wrong at its fields.
pub(super) fn checked(sections: &mut [Section], judged: Judged, is_asked: bool) -> Checked {
    let Judged { rule, errors, warnings } = judged;
    let mut places = place(&mut *sections, pairs(&errors), true);
    places.extend(place(sections, pairs(&warnings), false));
    let found = |error: FieldError| Found {
        field: places.get(error.path.as_str()).cloned(),
        pointer: error.path.as_str().to_owned(),
        detail: error.detail,
    };
    let parts = rule.and_then(|rule| Json::parse(rule.canonical()).ok()).map(|document| parts(&document));
    Checked {
        errors: is_asked.then(|| errors.into_iter().map(found).collect()),
        warnings: warnings.into_iter().map(found).collect(),
        parts,
    }
}

impl RuleFormPage {
    pub(super) fn with_note(mut self, note: String) -> Self {
        self.note = note;
        self
    }

    pub(super) fn with_meanwhile(mut self, meanwhile: Meanwhile) -> Self {
        self.meanwhile = Some(meanwhile);
        self
    }

    pub(super) fn answer(&self, status: StatusCode) -> Result<HttpResponse, Problem> {
        page_of(status, self)
    }
}

/// The form of a document that was written as text and isn't saved yet.
pub(in crate::console::perks) async fn go_on(
    gateway: &Gateway,
    caller: &Caller<ManagePerks>,
    at: At<'_>,
    document: Json,
    note: String,
) -> Result<HttpResponse, Problem> {
    let judged = judge(gateway, &caller.merchant()?.id, at.slug, &document).await?;
    // The form is of the whole rule: shorter ways to write it are written out.
    let whole = judged.rule.as_ref().and_then(|rule| Json::parse(rule.canonical()).ok()).unwrap_or(document);
    let surroundings = Surroundings::of(gateway, caller, at.version).await?;
    view(gateway, caller, at, surroundings, &whole, Some(judged)).with_note(note).answer(StatusCode::OK)
}

/// The differences between the rule that someone else saved and the form's.
pub(super) async fn meanwhile(
    gateway: &Gateway,
    caller: &Caller<ManagePerks>,
    theirs: &RuleVersion,
    mine: &Rule,
) -> Result<Meanwhile, Problem> {
    let parse = |text: &str| Json::parse(text).map_err(|error| Problem::internal(&error));
    let (old, new) = (parse(&theirs.rule)?, parse(mine.canonical())?);
    let by = theirs.saved.as_ref().map_or(&theirs.author, |saved| &saved.by);
    let is_draft = theirs.status == VersionStatus::Draft;
    Ok(Meanwhile {
        by: label(gateway, caller, by).await?,
        status: (!is_draft).then(|| crate::console::perks::show::status_words(theirs.status).1),
        changes: diff_documents(&old, &new).into_iter().map(|change| ChangeView::of(&change.sentence)).collect(),
    })
}
