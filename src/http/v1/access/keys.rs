//! `/v1/keys`: who may call, made and revoked by operators and admins.

use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::role::permit::ManageKeys;
use crate::access::{AccessError, ApiKey, KeyStatus, Merchant, NewKey, Principal, Role};
use crate::foundation::ids::{KeyId, MerchantSlug};
use crate::foundation::web_origin::WebOrigin;
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{
    ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys, ProblemsOfNames, ProblemsOfQuery, ProblemsOfRevoking,
};
use crate::http::v1::perks::WarningView;
use crate::web::auth::Authorized;
use crate::web::extract::{Body, IdempotencyKey, PageLimit, Params, Path};
use crate::web::once::{Created, once};
use crate::web::problem::Problem;

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyView {
    #[schema(value_type = String, example = "key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    id: KeyId,
    #[schema(value_type = enumerations::Role)]
    role: Role,
    #[schema(example = "SFO A12")]
    label: String,
    /// Null for operator keys.
    #[schema(value_type = Option<String>, example = "cathay")]
    merchant: Option<MerchantSlug>,
    #[schema(example = "SFO-A")]
    location: Option<String>,
    #[schema(example = "A12")]
    kiosk: Option<String>,
    /// The one audience that a door redeems.
    audience: Option<String>,
    /// The airports at which it is used (IATA codes): a boarding pass counts by the leg that departs from one of them,
    /// nearest today.
    #[schema(example = json!(["SFO"]))]
    airports: Vec<String>,
    /// The only web origins whose pages may use it; where there are none, the settings' `allowed_origins` count.
    #[schema(value_type = Vec<String>, example = json!(["https://kiosk.example.com"]))]
    origins: Vec<WebOrigin>,
    #[schema(value_type = enumerations::KeyStatus)]
    status: KeyStatus,
    /// The key that made it, or `cli` for the command line.
    created_by: String,
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T09:00:00Z")]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
    /// The hour in which it was last used; null before its first use. Written some seconds behind a use.
    #[schema(value_type = Option<String>, format = DateTime, example = "2026-11-23T09:00:00Z")]
    last_used_at: Option<Timestamp>,
}

impl KeyView {
    /// `merchant` is the one it belongs to.
    fn of(key: ApiKey, merchant: Option<MerchantSlug>, now: Timestamp) -> Self {
        let status = key.status(now);
        let ApiKey {
            id,
            merchant: _,
            role,
            label,
            location,
            kiosk,
            audience,
            airports,
            origins,
            created_by,
            created_at,
            expires_at,
            revoked_at,
            last_used_at,
            is_suspended: _,
        } = key;
        Self {
            id,
            role,
            label,
            merchant,
            location,
            kiosk,
            audience,
            airports,
            origins,
            status,
            created_by: created_by.map_or_else(|| "cli".to_owned(), String::from),
            created_at,
            expires_at,
            revoked_at,
            last_used_at,
        }
    }
}

/// A key with its secret, which is shown this once.
#[derive(Serialize, ToSchema)]
pub struct NewKeyView {
    /// Keep it: only a hash of it is stored.
    #[schema(example = "pgk_5f0c…_1a2b3c4d")]
    key: String,
    /// Warnings about it: a kiosk without a place under a limit that counts by place, a door for an audience that
    /// no rule names.
    warnings: Vec<WarningView>,
    #[serde(flatten)]
    rest: KeyView,
}

/// The properties of a new key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKeyBody {
    /// Operators make `operator` and `admin` keys; admins make every other, and `admin`.
    #[schema(value_type = enumerations::Role)]
    role: Role,
    /// For people, 1–80 characters.
    #[schema(example = "SFO A12")]
    label: String,
    /// For operators, who make a merchant's admin keys. An admin's own merchant is the default.
    #[schema(value_type = Option<String>, example = "cathay")]
    merchant: Option<MerchantSlug>,
    /// Kiosk, desk and door keys: where it is used; limits and rules can count by it.
    #[schema(example = "SFO-A")]
    location: Option<String>,
    /// Kiosk, desk and door keys: which one.
    #[schema(example = "A12")]
    kiosk: Option<String>,
    /// Door keys: the only audience that it may redeem.
    #[schema(example = "sfo-lounge")]
    audience: Option<String>,
    /// Keys that check: the airports at which it is used, 20 at most, by IATA code. A boarding pass counts by the leg
    /// that departs from one of them, nearest today.
    #[serde(default)]
    #[schema(example = json!(["SFO"]))]
    airports: Vec<String>,
    /// The only web origins (`scheme://host[:port]`) whose pages may use it from a browser, 20 at most; without any,
    /// the settings' `allowed_origins` count.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["https://kiosk.example.com"]))]
    origins: Vec<WebOrigin>,
    #[schema(value_type = Option<String>, format = DateTime, example = "2027-11-23T00:00:00Z")]
    expires_at: Option<Timestamp>,
}

/// Make a key
///
/// The answer shows the secret, once.
#[utoipa::path(
    tag = "keys",
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 printable ASCII characters: a retry gets the first answer")),
    request_body = NewKeyBody,
    responses(
        (status = 201, description = "Made; the secret is in this answer only", body = NewKeyView, headers(("Location" = String, description = "Where it is"))),
        ProblemsOfNames, ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys
    )
)]
#[post("/keys")]
pub(crate) async fn create_key(
    caller: Authorized<ManageKeys>,
    gateway: Data<Gateway>,
    key: IdempotencyKey,
    body: Body<NewKeyBody>,
) -> Result<HttpResponse, Problem> {
    let request = body.hash();
    let NewKeyBody { role, label, merchant, location, kiosk, audience, airports, origins, expires_at } =
        body.into_inner();
    caller.may_manage(role)?;
    let (merchant, slug) = whose(&caller, &gateway, merchant).await?.map(|it| (it.id, it.slug)).unzip();
    let new = NewKey { role, merchant, label, location, kiosk, audience, airports, origins, expires_at };
    let work = async {
        let (made, secret) = gateway.directory.create_key(new, caller.actor()).await?;
        let location = format!("/v1/keys/{}", made.id);
        // The key is made and this is the only answer that shows it: what can't be looked up is left out.
        let warnings = gateway.warnings_of_key(&made).await.unwrap_or_default();
        let warnings = warnings.into_iter().map(WarningView::of).collect();
        let rest = KeyView::of(made, slug, gateway.clock.now());
        Created::new(Some(location), &NewKeyView { key: secret.expose().to_owned(), warnings, rest })
    };
    once(&gateway, &caller, "keys", key, request, work).await
}

/// Which keys, and where the page begins.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct KeysQuery {
    /// For operators: a merchant's admin keys instead of the operator's own.
    #[param(value_type = Option<String>, example = "cathay")]
    merchant: Option<MerchantSlug>,
    /// Only keys of this role.
    #[param(value_type = Option<enumerations::Role>, example = "kiosk")]
    role: Option<Role>,
    /// Entries on the page.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<KeyId>,
}

/// A page of keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeysView {
    keys: Vec<KeyView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

/// List keys
///
/// In the order they were made, revoked and expired ones too.
#[utoipa::path(
    tag = "keys",
    params(KeysQuery),
    responses((status = 200, description = "One page", body = KeysView), ProblemsOfNames, ProblemsOfQuery, ProblemsOfKeys)
)]
#[get("/keys")]
pub(crate) async fn list_keys(
    caller: Authorized<ManageKeys>,
    gateway: Data<Gateway>,
    query: Params<KeysQuery>,
) -> Result<HttpResponse, Problem> {
    let KeysQuery { merchant, role, limit, cursor } = query.into_inner();
    let (merchant, slug) = whose(&caller, &gateway, merchant).await?.map(|it| (it.id, it.slug)).unzip();
    let role = match (role, caller.role, &merchant) {
        (Some(role), _, _) => {
            caller.may_manage(role)?;
            Some(role)
        }
        (None, Role::Operator, Some(_)) => Some(Role::Admin),
        (None, _, _) => None,
    };
    let limit = limit.unwrap_or_default();
    let fetched = gateway.directory.list_keys(merchant, role, cursor, limit.get() + 1).await?;
    let (keys, next_cursor) = limit.page(fetched, |key| key.id.to_string());
    let now = gateway.clock.now();
    let keys = keys.into_iter().map(|key| KeyView::of(key, slug.clone(), now)).collect();
    Ok(HttpResponse::Ok().json(KeysView { keys, next_cursor }))
}

/// Whose key a path means.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct KeyQuery {
    /// For operators: the merchant whose admin key it is.
    #[param(value_type = Option<String>, example = "cathay")]
    merchant: Option<MerchantSlug>,
}

/// Show a key
///
/// Without its secret.
#[utoipa::path(
    tag = "keys",
    params(("key" = String, Path, description = "The key's id", example = "key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"), KeyQuery),
    responses((status = 200, description = "The key", body = KeyView), ProblemsOfNames, ProblemsOfQuery, ProblemsOfKeys)
)]
#[get("/keys/{key}")]
pub(crate) async fn get_key(
    caller: Authorized<ManageKeys>,
    gateway: Data<Gateway>,
    id: Path<KeyId>,
    query: Params<KeyQuery>,
) -> Result<HttpResponse, Problem> {
    let (key, merchant) = find_managed(&caller, &gateway, id.into_inner(), query.into_inner()).await?;
    Ok(HttpResponse::Ok().json(KeyView::of(key, merchant, gateway.clock.now())))
}

/// Revoke a key
///
/// It stops working here at once and on every replica within a second. Revoking it again changes
/// nothing. The key of an account ends that account: neither one's own nor the last that lets others in can be ended
/// so.
#[utoipa::path(
    tag = "keys",
    params(("key" = String, Path, description = "The key's id", example = "key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"), KeyQuery),
    responses((status = 204, description = "Revoked"), ProblemsOfRevoking, ProblemsOfNames, ProblemsOfQuery, ProblemsOfKeys)
)]
#[delete("/keys/{key}")]
pub(crate) async fn revoke_key(
    caller: Authorized<ManageKeys>,
    gateway: Data<Gateway>,
    id: Path<KeyId>,
    query: Params<KeyQuery>,
) -> Result<HttpResponse, Problem> {
    let (key, _) = find_managed(&caller, &gateway, id.into_inner(), query.into_inner()).await?;
    gateway.directory.revoke_key(key.merchant, key.id, caller.actor()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The merchant whose keys the caller means: an admin's is its own and a foreign one is not there;
/// an operator names one, or means the operator's own keys.
async fn whose(
    caller: &Principal,
    gateway: &Gateway,
    named: Option<MerchantSlug>,
) -> Result<Option<Merchant>, Problem> {
    match (&caller.merchant, named) {
        (Some(own), Some(named)) if named != own.slug => Err(Problem::absent("merchant", named.as_str())),
        (Some(own), _) => Ok(Some(own.clone())),
        (None, Some(named)) => match gateway.directory.find_merchant(named.clone()).await {
            Err(AccessError::UnknownMerchant) => Err(Problem::absent("merchant", named.as_str())),
            found => Ok(Some(found?)),
        },
        (None, None) => Ok(None),
    }
}

/// The key, and whose it is, if the caller may manage it; one that it may not manage is not there.
async fn find_managed(
    caller: &Principal,
    gateway: &Gateway,
    id: KeyId,
    query: KeyQuery,
) -> Result<(ApiKey, Option<MerchantSlug>), Problem> {
    let (merchant, slug) = whose(caller, gateway, query.merchant).await?.map(|it| (it.id, it.slug)).unzip();
    let key = gateway.directory.find_key(merchant, id).await?;
    caller.may_manage(key.role).map_err(|_| Problem::not_found())?;
    Ok((key, slug))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use serde_json::{Value, json};

    use super::*;
    use crate::http::testing::{Answer, CLI, Rig};

    async fn delete(rig: &Rig, path: &str, key: &str) -> Answer {
        rig.ask(TestRequest::delete().uri(path).insert_header(("authorization", key))).await
    }

    fn ids(answer: &Answer) -> Vec<String> {
        let json = answer.json();
        json["keys"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect()
    }

    #[actix_web::test]
    async fn an_admin_makes_a_kiosk_key_that_works_at_once_and_is_shown_once() {
        let rig = Rig::start().await;
        let admin = rig.key(Role::Admin).await;
        let body = r#"{"role":"kiosk","label":" SFO A12 ","location":"SFO-A","kiosk":"A12","expires_at":"2027-01-01T00:00:00Z"}"#;
        let made = rig.post("/v1/keys", &admin, body).await;
        assert_eq!(made.status, 201);
        let mut view = made.json();
        let secret = view["key"].as_str().unwrap().to_owned();
        let id = view["id"].as_str().unwrap().to_owned();
        assert_eq!(made.header("location"), format!("/v1/keys/{id}"));
        assert!(id.starts_with("key_") && secret.starts_with("pgk_"));
        rig.get("/v1/keys", &format!("Bearer {secret}")).await.problem(403, "forbidden");

        let shown = rig.get(&format!("/v1/keys/{id}"), &admin).await;
        assert_eq!(shown.status, 200);
        assert!(!shown.text.contains("pgk_"));
        view.as_object_mut().unwrap().remove("key");
        assert_eq!(view.as_object_mut().unwrap().remove("warnings"), Some(json!([])));
        assert_eq!(shown.json(), view, "everything but the secret is still there");
        assert_eq!(view["created_by"].as_str().map(|by| by.starts_with("key_")), Some(true));
        for (name, value) in [
            ("role", "kiosk"),
            ("label", "SFO A12"),
            ("location", "SFO-A"),
            ("kiosk", "A12"),
            ("merchant", rig.cathay.slug.as_str()),
            ("expires_at", "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(view[name], value, "{name}");
        }
        assert_eq!((&view["audience"], &view["revoked_at"]), (&Value::Null, &Value::Null));
    }

    #[actix_web::test]
    async fn an_operator_hands_a_merchant_its_admin_key_and_no_other() {
        let rig = Rig::start().await;
        let operator = rig.key(Role::Operator).await;
        let made = rig.post("/v1/keys", &operator, r#"{"role":"admin","label":"first","merchant":"cathay"}"#).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let admin = format!("Bearer {}", made.json()["key"].as_str().unwrap());
        let kiosk = rig.post("/v1/keys", &admin, r#"{"role":"kiosk","label":"A12"}"#).await;
        assert_eq!(kiosk.status, 201);

        rig.post("/v1/keys", &operator, r#"{"role":"kiosk","label":"x","merchant":"cathay"}"#)
            .await
            .problem(403, "forbidden");
        rig.post("/v1/keys", &admin, r#"{"role":"operator","label":"x"}"#).await.problem(403, "forbidden");
        let without = rig.post("/v1/keys", &operator, r#"{"role":"admin","label":"x"}"#).await;
        assert_eq!(without.problem(422, "invalid_request"), [("/merchant".to_owned(), "required".to_owned())]);
        rig.post("/v1/keys", &operator, r#"{"role":"admin","label":"x","merchant":"nobody"}"#)
            .await
            .problem(404, "not_found");

        // What the operator may not manage is not there for it, either.
        let (admin_id, kiosk_id) = (made.json()["id"].clone(), kiosk.json()["id"].clone());
        assert_eq!(ids(&rig.get("/v1/keys?merchant=cathay", &operator).await), [admin_id.as_str().unwrap()]);
        let kiosk_path = format!("/v1/keys/{}?merchant=cathay", kiosk_id.as_str().unwrap());
        rig.get(&kiosk_path, &operator).await.problem(404, "not_found");
        delete(&rig, &kiosk_path, &operator).await.problem(404, "not_found");
        rig.get("/v1/keys?merchant=cathay&role=kiosk", &operator).await.problem(403, "forbidden");
        let admin_path = format!("/v1/keys/{}?merchant=cathay", admin_id.as_str().unwrap());
        assert_eq!(delete(&rig, &admin_path, &operator).await.status, 204);
        rig.get("/v1/keys", &admin).await.problem(401, "revoked_key");
    }

    #[actix_web::test]
    async fn a_revoked_key_stops_at_once_and_can_be_revoked_again() {
        let rig = Rig::start().await;
        let admin = rig.key(Role::Admin).await;
        let (feeder, secret) = rig.make(NewKey::of(Role::Feeder, Some(rig.cathay.id.clone()), "feed")).await;
        let path = format!("/v1/keys/{}", feeder.id);
        rig.get("/v1/keys", &secret).await.problem(403, "forbidden");
        for _ in 0..2 {
            let answer = delete(&rig, &path, &admin).await;
            assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
        }
        rig.get("/v1/keys", &secret).await.problem(401, "revoked_key");
        assert_eq!(rig.get(&path, &admin).await.json()["revoked_at"], "1970-01-01T00:00:00Z");
    }

    #[actix_web::test]
    async fn another_merchants_key_is_not_there() {
        let rig = Rig::start().await;
        let admin = rig.key(Role::Admin).await;
        let american =
            rig.gateway.directory.create_merchant("american".parse().unwrap(), "American", None, CLI).await.unwrap();
        let (foreign, foreign_admin) = rig.make(NewKey::of(Role::Admin, Some(american.id), "x")).await;
        let foreign = format!("/v1/keys/{}", foreign.id);
        for path in [foreign.as_str(), &format!("{foreign}?merchant=american"), "/v1/keys/key_x", "/v1/keys/x%00"] {
            rig.get(path, &admin).await.problem(404, "not_found");
            delete(&rig, path, &admin).await.problem(404, "not_found");
        }
        rig.get("/v1/keys?merchant=american", &admin).await.problem(404, "not_found");
        rig.post("/v1/keys", &admin, r#"{"role":"kiosk","label":"x","merchant":"american"}"#)
            .await
            .problem(404, "not_found");
        assert_eq!(rig.get("/v1/keys", &foreign_admin).await.status, 200, "and it still works");
        assert_eq!(ids(&rig.get("/v1/keys?merchant=cathay", &admin).await).len(), 1);
    }

    #[actix_web::test]
    async fn what_does_not_fit_a_key_is_pointed_at() {
        let rig = Rig::start().await;
        let admin = rig.key(Role::Admin).await;
        for (body, pointer, code) in [
            (json!({"role": "kiosk"}), "/label", "missing_field"),
            (json!({"role": "root", "label": "x"}), "/role", "unknown_value"),
            (json!({"role": "kiosk", "label": ""}), "/label", "invalid_value"),
            (json!({"role": "kiosk", "label": "x".repeat(4096)}), "/label", "invalid_value"),
            (json!({"role": "kiosk", "label": "a\u{0}b"}), "/label", "invalid_value"),
            (json!({"role": "kiosk", "label": "a\u{202E}b"}), "/label", "invalid_value"),
            (json!({"role": "feeder", "label": "x", "location": "SFO"}), "/location", "not_allowed"),
            (json!({"role": "kiosk", "label": "x", "audience": "sfo"}), "/audience", "not_allowed"),
            (
                json!({"role": "kiosk", "label": "x", "expires_at": "1969-01-01T00:00:00Z"}),
                "/expires_at",
                "in_the_past",
            ),
            (json!({"role": "kiosk", "label": "x", "expires_at": "tomorrow"}), "/expires_at", "invalid_value"),
        ] {
            let answer = rig.post("/v1/keys", &admin, &body.to_string()).await;
            assert_eq!(answer.problem(422, "invalid_request"), [(pointer.to_owned(), code.to_owned())], "{body}");
        }
        assert_eq!(ids(&rig.get("/v1/keys", &admin).await).len(), 1, "none was made");
    }

    #[actix_web::test]
    async fn keys_are_listed_page_by_page() {
        let rig = Rig::start().await;
        let admin = rig.key(Role::Admin).await;
        for label in ["a", "b", "c", "d"] {
            rig.make(NewKey::of(Role::Kiosk, Some(rig.cathay.id.clone()), label)).await;
        }
        let whole = ids(&rig.get("/v1/keys", &admin).await);
        assert_eq!(whole.len(), 5);
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = rig.get(&format!("/v1/keys?limit=2{cursor}"), &admin).await;
            paged.extend(ids(&page));
            match page.json()["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(paged, whole);
        assert_eq!(ids(&rig.get("/v1/keys?role=kiosk", &admin).await).len(), 4);
    }

    #[actix_web::test]
    async fn a_key_made_on_another_replica_works_here_at_once() {
        let rig = Rig::start().await;
        let (_, secret) = rig.make_elsewhere(NewKey::of(Role::Operator, None, "new")).await;
        assert_eq!(rig.get("/v1/keys", &secret).await.status, 200);
    }
}
