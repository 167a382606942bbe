//! `/console/merchants/new`: makes a merchant.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use jiff::Timestamp;
use serde::Deserialize;

use crate::access::AccessError;
use crate::access::role::permit::ManageMerchants;
use crate::console::caller::Caller;
use crate::console::door::{page, page_of, see_other};
use crate::console::form::{Faults, Posted};
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::foundation::ids::MerchantSlug;
use crate::gateway::Gateway;
use crate::web::problem::{Problem, sentence};

#[derive(Template)]
#[template(path = "merchant_new.html", config = "src/console/askama.toml")]
struct NewMerchantPage {
    frame: Frame,
    fields: MerchantFields,
    faults: Faults,
}

/// A new merchant as it is typed.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::console) struct MerchantFields {
    #[serde(default)]
    slug: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    time_zone: String,
}

impl NewMerchantPage {
    fn of(caller: &Caller<ManageMerchants>, now: Timestamp, fields: MerchantFields, faults: Faults) -> Self {
        Self { frame: Frame::of("New merchant", Section::Merchants, caller.session(), now), fields, faults }
    }
}

#[get("/merchants/new")]
pub(in crate::console) async fn get_new_merchant(
    caller: Caller<ManageMerchants>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    page(&NewMerchantPage::of(&caller, gateway.clock.now(), MerchantFields::default(), Faults::default()))
}

#[post("/merchants/new")]
pub(in crate::console) async fn post_new_merchant(
    caller: Caller<ManageMerchants>,
    gateway: Data<Gateway>,
    form: Posted<MerchantFields>,
) -> Result<HttpResponse, Problem> {
    let fields = form.0;
    let slug = match fields.slug.trim().parse::<MerchantSlug>() {
        // The address of this very page would hide it.
        Ok(slug) if slug.as_str() != "new" => Ok(slug),
        Ok(_) => Err(Faults::at("slug", "This name is the console’s own: choose another.")),
        Err(error) => Err(Faults::at("slug", sentence(&error.to_string()))),
    };
    let made = match slug {
        Ok(slug) => {
            let zone = Some(fields.time_zone.trim()).filter(|zone| !zone.is_empty());
            match gateway.directory.create_merchant(slug, &fields.name, zone, caller.actor()).await {
                Ok(merchant) => Ok(merchant),
                Err(AccessError::Unfit(errors)) => Err(Faults::of(&errors, &["name", "slug", "time_zone"])),
                Err(AccessError::MerchantExists(_)) => {
                    Err(Faults::at("slug", "There is a merchant of this short name already."))
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(faults) => Err(faults),
    };
    match made {
        Ok(merchant) => Ok(see_other(&format!("/console/merchants/{}", merchant.slug))),
        Err(faults) => {
            let page = NewMerchantPage::of(&caller, gateway.clock.now(), fields, faults);
            page_of(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}
