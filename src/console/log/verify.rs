//! `/console/verify`: does a receipt hold? The browser says so by itself, or the server where it has no scripts: by the
//! keys that the reader gives, never by those that came with the receipt.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use serde::Deserialize;

use crate::access::role::permit::Audit;
use crate::audit::receipt::{ExaminationStep, Proof, Receipt, Status, examine, read_keys};
use crate::console::assets;
use crate::console::caller::Caller;
use crate::console::door::page_of;
use crate::console::form::Posted;
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::foundation::unicode::text_without_bom;
use crate::gateway::Gateway;
use crate::web::problem::{Problem, sentence};

#[derive(Template)]
#[template(path = "verify.html", config = "src/console/askama.toml")]
struct VerifyPage {
    frame: Frame,
    script: &'static str,
    fields: VerifyFields,
    errors: Vec<String>,
    outcome: Option<Outcome>,
}

/// The server's findings.
struct Outcome {
    class: &'static str,
    words: String,
    steps: Vec<StepView>,
    unproven: Vec<String>,
}

struct StepView {
    icon: Icon,
    word: &'static str,
    step: &'static str,
    detail: String,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(in crate::console) struct VerifyFields {
    receipt: String,
    proof: String,
    consistency: String,
    keys: String,
}

fn view(caller: &Caller<Audit>, gateway: &Gateway, fields: VerifyFields) -> VerifyPage {
    VerifyPage {
        frame: Frame::of("Verify a receipt", Section::Log, caller.session(), gateway.clock.now()),
        script: assets::verify_script(),
        fields,
        errors: Vec::new(),
        outcome: None,
    }
}

#[get("/verify")]
pub(in crate::console) async fn get_verify(
    caller: Caller<Audit>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    let published = gateway.keys.log_keys().into_iter();
    let keys: Vec<String> = published.map(|published| published.key.to_string()).collect();
    let fields = VerifyFields { keys: keys.join("\n"), ..VerifyFields::default() };
    page_of(StatusCode::OK, &view(&caller, &gateway, fields))
}

#[post("/verify")]
pub(in crate::console) async fn post_verify(
    caller: Caller<Audit>,
    gateway: Data<Gateway>,
    fields: Posted<VerifyFields>,
) -> Result<HttpResponse, Problem> {
    let mut view = view(&caller, &gateway, fields.0);
    match outcome(&view.fields) {
        Ok(outcome) => {
            view.outcome = Some(outcome);
            page_of(StatusCode::OK, &view)
        }
        Err(errors) => {
            view.errors = errors;
            page_of(StatusCode::UNPROCESSABLE_ENTITY, &view)
        }
    }
}

/// The outcome of the examination, or the papers that can't be read.
fn outcome(fields: &VerifyFields) -> Result<Outcome, Vec<String>> {
    let mut errors = Vec::new();
    let mut said = |what: &str, error: String| errors.push(sentence(&format!("{what}: {error}")));
    let receipt = Receipt::parse(text_without_bom(fields.receipt.trim())).map_err(|error| said("The receipt", error));
    let given = [("The proof", &fields.proof), ("The proof of consistency", &fields.consistency)];
    let given = given.into_iter().filter(|(_, text)| !text.trim().is_empty());
    let proofs: Vec<Proof> = given
        .filter_map(|(what, text)| Proof::parse(text_without_bom(text.trim())).map_err(|error| said(what, error)).ok())
        .collect();
    let keys = read_keys(text_without_bom(&fields.keys)).map_err(|error| said("The log keys", error));
    let (Ok(receipt), Ok(keys), true) = (receipt, keys, errors.is_empty()) else { return Err(errors) };
    let examined = examine(&receipt, &proofs, &keys);
    let wrong = examined.steps.iter().find(|step| step.status == Status::Fails);
    let (class, words) = match wrong {
        Some(step) => ("bad", format!("It does not hold: see {}.", step.step)),
        None if examined.is_complete() => ("good", "It holds, to the last member.".to_owned()),
        None => ("warn", "It holds, but not all of it was shown.".to_owned()),
    };
    let names = std::iter::once("receipt").chain(std::iter::repeat("proof"));
    let unproven = names.zip(&examined.unproven).flat_map(|(name, pointers)| {
        pointers.iter().map(move |pointer| format!("{name}: {}", if pointer.is_empty() { "all" } else { pointer }))
    });
    let unproven = unproven.collect();
    Ok(Outcome { class, words, unproven, steps: examined.steps.into_iter().map(step_view).collect() })
}

fn step_view(step: ExaminationStep) -> StepView {
    let (icon, word) = match step.status {
        Status::Holds => (Icon::Tick, "Holds: "),
        Status::Fails => (Icon::Cross, "Does not hold: "),
        Status::NotShown => (Icon::Warning, "Not shown: "),
    };
    StepView { icon, word, step: step.step, detail: step.detail }
}
