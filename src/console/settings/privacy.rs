//! `/console/settings/privacy`: what is held on people, written from what is set, for a notice that they can read.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use askama::Template;

use super::sources::SourceView;
use crate::access::role::permit::ChangeMerchant;
use crate::console::caller::Caller;
use crate::console::door::page;
use crate::console::frame::{Frame, Section};
use crate::gateway::Gateway;
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "privacy.html", config = "src/console/askama.toml")]
struct PrivacyPage {
    frame: Frame,
    merchant: String,
    sources: Vec<SourceView>,
    /// The name of each attribute, its purpose, and how long it is known.
    attributes: Vec<(String, &'static str, String)>,
}

#[get("/settings/privacy")]
pub(in crate::console) async fn get_privacy(
    caller: Caller<ChangeMerchant>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    let sources = gateway.scores.list_sources(&merchant.id).await?;
    let attributes = gateway.catalog.list_attributes(&merchant.id).await?;
    let attribute = |it: &crate::perks::attributes::Attribute| {
        let known = it.policy.max_age.map_or_else(|| "until it is changed".to_owned(), |age| age.to_string());
        (it.name.clone(), it.purpose.as_str(), known)
    };
    page(&PrivacyPage {
        frame: Frame::of("Privacy notice", Section::Settings, caller.session(), gateway.clock.now()),
        merchant: merchant.name.clone(),
        sources: sources.iter().map(|source| SourceView::of(source, &[])).collect(),
        attributes: attributes.iter().map(attribute).collect(),
    })
}
