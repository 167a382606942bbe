//! One folder a resource, as `src/http/v1` has them.

mod absent;
mod access;
mod attributes;
mod audit;
mod cases;
mod checks;
mod enrolment;
mod evening;
mod grants;
mod links;
mod perks;
mod reports;
mod scores;
mod subjects;
mod tokens;

use diesel::prelude::*;
use perkgate::access::NewKey;
use perkgate::access::Role;
use perkgate::database::{DatabaseError, schema};
use perkgate::foundation::ids::KeyId;
use perkgate::foundation::json::Json;
use perkgate::ledger::entry::Actor;
use perkgate::ledger::events::StoredEvent;

use crate::support::app::TestApp;
use crate::support::client::Client;

/// The events of the first merchant about perks and rules, in their order.
async fn life(app: &TestApp) -> Vec<StoredEvent> {
    let merchant = app.cathay.id.as_str().to_owned();
    let read = app.world.gateway.database.read(move |conn| {
        let bodies: Vec<Option<String>> = schema::events::table
            .inner_join(schema::logs::table.on(schema::logs::id.eq(schema::events::log_id)))
            .filter(schema::logs::merchant_id.eq(merchant))
            .order(schema::events::log_index)
            .select(schema::events::body)
            .load(conn)?;
        Ok::<_, DatabaseError>(bodies)
    });
    let all = read.await.unwrap().into_iter().map(|body| StoredEvent::parse(&body.unwrap()).unwrap());
    let about = ["perk.", "rule.", "approvals."];
    all.filter(|event| about.iter().any(|prefix| event.kind.starts_with(prefix))).collect()
}

/// What happened since `before` events.
async fn kinds(app: &TestApp, before: usize) -> Vec<String> {
    life(app).await.into_iter().skip(before).map(|event| event.kind).collect()
}

fn fact<'a>(event: &'a StoredEvent, name: &str) -> Option<&'a str> {
    event.facts.member(name).and_then(Json::as_text)
}

/// An admin whose key another made; none for the command line.
async fn admin_made_by(app: &TestApp, maker: Option<&KeyId>) -> (KeyId, Client) {
    let actor = Actor { key: maker.cloned(), role: if maker.is_some() { "admin" } else { "cli" } };
    let new = NewKey::of(Role::Admin, Some(app.cathay.id.clone()), "a person");
    let (key, secret) = app.world.gateway.directory.create_key(new, actor).await.unwrap();
    (key.id, app.bearing(Some(format!("Bearer {}", secret.expose()))))
}

/// 40 or more, once a day.
pub(super) const LOUNGE: &str = r#"{"score":{"source":"klout","max_age":"P7D"},
  "tiers":[{"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"person-day","scope":["subject"],"max":1,"window":{"calendar":"day"}}]}"#;

/// 40 or more, as often as you like.
pub(super) const OPEN_LOUNGE: &str = r#"{"at_least":40,"score":"klout"}"#;
