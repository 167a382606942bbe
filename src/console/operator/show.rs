//! `/console/merchants/{slug}`: one merchant as the operator sees it: its name, its admins' keys, and how a first admin
//! gets in. What the merchant itself does is not shown.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::access::role::permit::ManageMerchants;
use crate::access::{ApiKey, KeyStatus, Merchant, Role};
use crate::console::accounts::LinkPage;
use crate::console::accounts::invite::InviteFields;
use crate::console::caller::Caller;
use crate::console::door::{page, page_of, see_other};
use crate::console::form::{Faults, Nothing, Posted};
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::console::words::When;
use crate::foundation::ids::{KeyId, MerchantSlug};
use crate::gateway::Gateway;
use crate::web::extract::{PageLimit, Params, Path};
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "merchant.html", config = "src/console/askama.toml")]
struct MerchantPage {
    frame: Frame,
    slug: String,
    name: String,
    zone: String,
    made: When,
    keys: Vec<AdminKey>,
    next: Option<String>,
    fields: InviteFields,
    faults: Faults,
}

struct AdminKey {
    id: String,
    label: String,
    made: When,
    works: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct MerchantQuery {
    cursor: Option<KeyId>,
}

impl MerchantPage {
    async fn of(
        caller: &Caller<ManageMerchants>,
        gateway: &Gateway,
        merchant: Merchant,
        cursor: Option<KeyId>,
    ) -> Result<Self, Problem> {
        let (now, limit) = (gateway.clock.now(), PageLimit::default());
        let of = Some(merchant.id);
        let fetched = gateway.directory.list_keys(of, Some(Role::Admin), cursor, limit.get() + 1).await?;
        let (keys, next) = limit.page(fetched, |key| key.id.to_string());
        Ok(Self {
            frame: Frame::of(merchant.name.clone(), Section::Merchants, caller.session(), now),
            slug: merchant.slug.to_string(),
            name: merchant.name,
            zone: merchant.time_zone,
            made: When::day(merchant.created_at, &TimeZone::UTC),
            keys: keys.into_iter().map(|key| admin_key(key, now)).collect(),
            next,
            fields: InviteFields::default(),
            faults: Faults::default(),
        })
    }
}

fn admin_key(key: ApiKey, now: Timestamp) -> AdminKey {
    AdminKey {
        works: key.status(now) == KeyStatus::Active,
        made: When::day(key.created_at, &TimeZone::UTC),
        id: key.id.to_string(),
        label: key.label,
    }
}

#[get("/merchants/{slug}")]
pub(in crate::console) async fn get_merchant(
    caller: Caller<ManageMerchants>,
    gateway: Data<Gateway>,
    slug: Path<MerchantSlug>,
    query: Params<MerchantQuery>,
) -> Result<HttpResponse, Problem> {
    let merchant = gateway.directory.find_merchant(slug.into_inner()).await?;
    page(&MerchantPage::of(&caller, &gateway, merchant, query.into_inner().cursor).await?)
}

/// Invites an admin: to four eyes a person of their own, as the operator has made them.
#[post("/merchants/{slug}/admins")]
pub(in crate::console) async fn post_admin(
    caller: Caller<ManageMerchants>,
    gateway: Data<Gateway>,
    slug: Path<MerchantSlug>,
    form: Posted<InviteFields>,
) -> Result<HttpResponse, Problem> {
    let merchant = gateway.directory.find_merchant(slug.into_inner()).await?;
    let fields = form.0;
    let made = match fields.read(Some(merchant.id.clone()), &[Role::Admin]) {
        Ok(new) => match gateway.directory.create_account(new, caller.actor()).await {
            Ok(made) => Ok(made),
            Err(error) => Err(InviteFields::faults(error)?),
        },
        Err(faults) => Err(faults),
    };
    match made {
        Ok((account, link)) => {
            let frame = Frame::of("A link for them", Section::Merchants, caller.session(), gateway.clock.now());
            let above = (format!("/console/merchants/{}", merchant.slug), merchant.name);
            page(&LinkPage::of(&gateway, frame, above, &account, &link))
        }
        Err(faults) => {
            let shown = MerchantPage::of(&caller, &gateway, merchant, None).await?;
            page_of(StatusCode::UNPROCESSABLE_ENTITY, &MerchantPage { fields, faults, ..shown })
        }
    }
}

#[derive(Template)]
#[template(path = "merchant_key.html", config = "src/console/askama.toml")]
struct AdminKeyPage {
    frame: Frame,
    slug: String,
    name: String,
    id: String,
    label: String,
}

/// A merchant's admin key that works on; the operator manages no other of a merchant's keys.
async fn find_key(gateway: &Gateway, path: (MerchantSlug, KeyId)) -> Result<(Merchant, ApiKey), Problem> {
    let (slug, id) = path;
    let merchant = gateway.directory.find_merchant(slug).await?;
    let key = gateway.directory.find_key(Some(merchant.id.clone()), id).await?;
    if key.role == Role::Admin { Ok((merchant, key)) } else { Err(Problem::not_found()) }
}

#[get("/merchants/{slug}/keys/{key}/revoke")]
pub(in crate::console) async fn get_revoke_admin(
    caller: Caller<ManageMerchants>,
    gateway: Data<Gateway>,
    path: Path<(MerchantSlug, KeyId)>,
) -> Result<HttpResponse, Problem> {
    let (merchant, key) = find_key(&gateway, path.into_inner()).await?;
    page(&AdminKeyPage {
        frame: Frame::of("Revoke an admin key", Section::Merchants, caller.session(), gateway.clock.now()),
        slug: merchant.slug.to_string(),
        name: merchant.name,
        id: key.id.to_string(),
        label: key.label,
    })
}

#[post("/merchants/{slug}/keys/{key}/revoke")]
pub(in crate::console) async fn post_revoke_admin(
    caller: Caller<ManageMerchants>,
    gateway: Data<Gateway>,
    path: Path<(MerchantSlug, KeyId)>,
    _form: Posted<Nothing>,
) -> Result<HttpResponse, Problem> {
    let (merchant, key) = find_key(&gateway, path.into_inner()).await?;
    gateway.directory.revoke_key(Some(merchant.id), key.id, caller.actor()).await?;
    Ok(see_other(&format!("/console/merchants/{}", merchant.slug)))
}
