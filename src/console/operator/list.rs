//! `/console/merchants`: the operator's merchants.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use askama::Template;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::access::Merchant;
use crate::access::role::permit::ManageMerchants;
use crate::console::caller::Caller;
use crate::console::door::page;
use crate::console::frame::{Frame, Section};
use crate::console::words::When;
use crate::foundation::ids::MerchantId;
use crate::gateway::Gateway;
use crate::web::extract::{PageLimit, Params};
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "merchants.html", config = "src/console/askama.toml")]
struct MerchantsPage {
    frame: Frame,
    merchants: Vec<MerchantView>,
    next: Option<String>,
}

struct MerchantView {
    slug: String,
    name: String,
    zone: String,
    made: When,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct MerchantsQuery {
    cursor: Option<MerchantId>,
}

#[get("/merchants")]
pub(in crate::console) async fn get_merchants(
    caller: Caller<ManageMerchants>,
    gateway: Data<Gateway>,
    query: Params<MerchantsQuery>,
) -> Result<HttpResponse, Problem> {
    let limit = PageLimit::default();
    let fetched = gateway.directory.list_merchants(query.into_inner().cursor, limit.get() + 1).await?;
    let (merchants, next) = limit.page(fetched, |merchant| merchant.id.to_string());
    let view = |it: Merchant| MerchantView {
        slug: it.slug.to_string(),
        name: it.name,
        zone: it.time_zone,
        made: When::day(it.created_at, &TimeZone::UTC),
    };
    let frame = Frame::of("Merchants", Section::Merchants, caller.session(), gateway.clock.now());
    page(&MerchantsPage { frame, merchants: merchants.into_iter().map(view).collect(), next })
}
