//! `/my/{link}`: the person of a check sees its answer in their language, and says what they want to say about it. The link
//! alone lets them in: there is no cookie, so no other site's form does anything that who sends it couldn't.
//!
//! Everything works without a script. Asking twice is safe: the ledger knows what was asked.

mod view;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, get, post};
use askama::Template;
use serde::Deserialize;

use self::view::{Asked, Frame, Tab, Why};
use super::assets;
use super::words::Speaker;
use crate::eligibility::links::Linked;
use crate::eligibility::links::own::OwnAnswer;
use crate::foundation::ids;
use crate::foundation::language::Languages;
use crate::gateway::Gateway;
use crate::ledger::cases::contest::{ContestError, MAX_REASON};
use crate::ledger::cases::requests::RequestKind;
use crate::web::extract::{Params, Path};
use crate::web::form::Form;
use crate::web::page::arrival::client_of;
use crate::web::page::{HTML, page_of, see_other, transport, write_headers};
use crate::web::problem::{Kind, Problem};
use crate::web::state::State;

/// These pages use no device.
const PERMISSIONS: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";

/// The language that was chosen on the page. Mail and messengers add members of their own to addresses.
#[derive(Deserialize)]
pub(super) struct Chosen {
    #[serde(default)]
    lang: Option<String>,
}

/// One who follows a link, and the language to speak to them.
struct Reader {
    linked: Linked,
    link: String,
    say: Speaker,
    /// For the rule's own words.
    languages: Languages,
    /// The language that they chose, which the page's own links go on with.
    chosen: Option<&'static str>,
}

impl Reader {
    async fn of(
        req: &HttpRequest,
        gateway: &Gateway,
        state: &State,
        link: String,
        chosen: &Chosen,
    ) -> Result<Self, Problem> {
        state.limits.take_link(client_of(req, gateway))?;
        let linked = gateway.own_answers.find(&link).await?.ok_or_else(Problem::not_found)?;
        let (say, languages) = speaker_of(req, chosen.lang.as_deref());
        let chosen = chosen.lang.as_deref().filter(|lang| *lang == say.tag()).map(|_| say.tag());
        Ok(Self { linked, link, say, languages, chosen })
    }

    async fn read(&self, gateway: &Gateway) -> Result<OwnAnswer, Problem> {
        gateway.own_answers.read(&self.linked).await?.ok_or_else(Problem::not_found)
    }

    /// The address of one of the pages.
    fn at(&self, tab: Tab) -> String {
        let lang = self.chosen.map(|tag| format!("?lang={tag}")).unwrap_or_default();
        format!("/my/{}{}{lang}", self.link, tab.path())
    }
}

/// Speaks the language that was chosen, or else the one that the browser asks for; with the languages for a rule's words.
fn speaker_of(req: &HttpRequest, chosen: Option<&str>) -> (Speaker, Languages) {
    let sent = req.headers().get_all(header::ACCEPT_LANGUAGE).filter_map(|value| value.to_str().ok());
    let wanted = sent.collect::<Vec<_>>().join(",");
    let say = Speaker::of(chosen, &Languages::of_header(&wanted));
    let is_chosen = chosen == Some(say.tag());
    // What was chosen stands before what the browser wants.
    let languages = if is_chosen { format!("{},{wanted}", say.tag()) } else { wanted };
    (say, Languages::of_header(&languages))
}

#[derive(Template)]
#[template(path = "my/why.html", config = "src/screens/askama.toml")]
struct WhyPage {
    frame: Frame,
    why: Why,
    /// The key of what is wrong with what was typed.
    fault: Option<&'static str>,
    typed: String,
    /// True where something else was asked before.
    is_too_late: bool,
}

#[derive(Template)]
#[template(path = "my/ask.html", config = "src/screens/askama.toml")]
struct AskPage {
    frame: Frame,
    is_record: bool,
    asked: Option<Asked>,
    may_ask: bool,
}

#[derive(Template)]
#[template(path = "my/refusal.html", config = "src/screens/askama.toml")]
struct RefusalPage {
    say: Speaker,
    styles: &'static str,
    icon: &'static str,
    title: &'static str,
    lead: &'static str,
    /// The fault, in English, where we have no words for it.
    detail: String,
}

#[get("/{link}")]
pub(super) async fn get_why(
    req: HttpRequest,
    gateway: Data<Gateway>,
    state: Data<State>,
    link: Path<String>,
    chosen: Params<Chosen>,
) -> Result<HttpResponse, Problem> {
    let reader = Reader::of(&req, &gateway, &state, link.into_inner(), &chosen).await?;
    show_why(&gateway, &reader, StatusCode::OK, (None, String::new())).await
}

async fn show_why(
    gateway: &Gateway,
    reader: &Reader,
    status: StatusCode,
    (fault, typed): (Option<&'static str>, String),
) -> Result<HttpResponse, Problem> {
    let own = reader.read(gateway).await?;
    let mut frame = Frame::of(gateway, reader, Tab::Why, own.deciding.as_deref(), &own.answer).await;
    let why = Why::of(own, &frame, &reader.languages);
    frame.title = why.title(reader.say);
    let is_too_late = status == StatusCode::CONFLICT;
    page_of(status, &WhyPage { frame, why, fault, typed, is_too_late })
}

/// Why a refusal is wrong.
#[derive(Deserialize)]
pub(super) struct ObjectionForm {
    #[serde(default)]
    reason: String,
}

#[post("/{link}/contest")]
pub(super) async fn post_contest(
    req: HttpRequest,
    gateway: Data<Gateway>,
    state: Data<State>,
    link: Path<String>,
    chosen: Params<Chosen>,
    form: Form<ObjectionForm>,
) -> Result<HttpResponse, Problem> {
    let reader = Reader::of(&req, &gateway, &state, link.into_inner(), &chosen).await?;
    let typed = form.into_inner().reason;
    // A reason is one paragraph; a form's text may have several.
    let reason = typed.split_whitespace().collect::<Vec<_>>().join(" ");
    let fault = if reason.is_empty() { "my.wrong.empty" } else { "my.wrong.unfit" };
    let Ok(reason) = ids::label(&reason, MAX_REASON) else {
        return show_why(&gateway, &reader, StatusCode::UNPROCESSABLE_ENTITY, (Some(fault), typed)).await;
    };
    match gateway.own_answers.contest(&reader.linked, reason).await {
        Err(ContestError::AlreadyContested) => {
            show_why(&gateway, &reader, StatusCode::CONFLICT, (None, String::new())).await
        }
        // The page says how it stands.
        Ok(_) | Err(ContestError::NotRefused(_) | ContestError::Decided { .. } | ContestError::Overridden { .. }) => {
            Ok(see_other(&reader.at(Tab::Why)))
        }
        Err(error) => Err(error.into()),
    }
}

/// The address of a form is left behind where it was refused: it leads to its page.
#[get("/{link}/contest")]
pub(super) async fn get_contest(
    req: HttpRequest,
    gateway: Data<Gateway>,
    state: Data<State>,
    link: Path<String>,
    chosen: Params<Chosen>,
) -> Result<HttpResponse, Problem> {
    let reader = Reader::of(&req, &gateway, &state, link.into_inner(), &chosen).await?;
    Ok(see_other(&reader.at(Tab::Why)))
}

/// A request that a person makes about themselves.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Wanted {
    Record,
    Erasure,
}

impl Wanted {
    const fn parts(self) -> (Tab, RequestKind) {
        match self {
            Self::Record => (Tab::Record, RequestKind::Record),
            Self::Erasure => (Tab::Erasure, RequestKind::Erasure),
        }
    }
}

#[get("/{link}/{wanted:record|erasure}")]
pub(super) async fn get_ask(
    req: HttpRequest,
    gateway: Data<Gateway>,
    state: Data<State>,
    path: Path<(String, Wanted)>,
    chosen: Params<Chosen>,
) -> Result<HttpResponse, Problem> {
    let (link, wanted) = path.into_inner();
    let reader = Reader::of(&req, &gateway, &state, link, &chosen).await?;
    show_ask(&gateway, &reader, wanted).await
}

#[post("/{link}/{wanted:record|erasure}")]
pub(super) async fn post_ask(
    req: HttpRequest,
    gateway: Data<Gateway>,
    state: Data<State>,
    path: Path<(String, Wanted)>,
    chosen: Params<Chosen>,
) -> Result<HttpResponse, Problem> {
    let (link, wanted) = path.into_inner();
    let reader = Reader::of(&req, &gateway, &state, link, &chosen).await?;
    let (tab, kind) = wanted.parts();
    gateway.own_answers.ask(&reader.linked, kind).await?;
    Ok(see_other(&reader.at(tab)))
}

async fn show_ask(gateway: &Gateway, reader: &Reader, wanted: Wanted) -> Result<HttpResponse, Problem> {
    let (tab, kind) = wanted.parts();
    let own = reader.read(gateway).await?;
    let frame = Frame::of(gateway, reader, tab, own.deciding.as_deref(), &own.answer).await;
    let is_record = tab == Tab::Record;
    let asked = own.requests.into_iter().rfind(|asked| asked.request.kind == kind);
    let asked = asked.map(|asked| Asked::of(&asked, &frame));
    let may_ask = asked.as_ref().is_none_or(|asked| asked.is_over);
    page_of(StatusCode::OK, &AskPage { frame, is_record, asked, may_ask })
}

/// The middleware of these pages.
///
/// # Errors
/// The errors of the rest; its own refusals are answers.
pub(super) async fn attend_person(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = match admit(&req) {
        Ok(()) => next.call(req).await?.map_into_boxed_body(),
        Err(problem) => req.error_response(problem),
    };
    let mut response = show_refusal(response);
    let headers = response.headers_mut();
    write_headers(headers, PERMISSIONS);
    // The address is a secret: it lies in no cache, and pages that it leads to don't learn it.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Language"));
    Ok(response)
}

fn admit(req: &ServiceRequest) -> Result<(), Problem> {
    let gateway = req.app_data::<Data<Gateway>>();
    let gateway = gateway.ok_or_else(|| Problem::new(Kind::Internal, "The door was built without its gateway."))?;
    let transport = transport::of(req, &gateway.settings.server.trusted_proxies)?;
    req.extensions_mut().insert(transport);
    Ok(())
}

/// Gives every refusal a page in the person's language.
fn show_refusal(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let Some(problem) = response.response().error().and_then(Error::as_error::<Problem>) else { return response };
    let (title, lead) = match problem.kind {
        Kind::NotFound => ("my.over.title", "my.over.lead"),
        _ if status == StatusCode::TOO_MANY_REQUESTS => ("my.busy.title", "my.busy.lead"),
        _ if status.is_server_error() => ("my.away.title", "my.away.lead"),
        _ => ("kiosk.fault.title", "kiosk.fault.lead"),
    };
    let detail = if title == "kiosk.fault.title" { problem.detail.to_string() } else { String::new() };
    let query = response.request().query_string();
    let chosen = query.split('&').find_map(|pair| pair.strip_prefix("lang="));
    let (say, _) = speaker_of(response.request(), chosen);
    let page = RefusalPage { say, styles: assets::person_styles(), icon: assets::icon(), title, lead, detail };
    let Ok(text) = page.render() else { return response };
    let (request, response) = response.into_parts();
    let mut response = response.set_body(BoxBody::new(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(HTML));
    ServiceResponse::new(request, response)
}
