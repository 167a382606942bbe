//! A history that is longer than the auditor's pages.

use std::time::{Duration, Instant};

use diesel::prelude::*;
use perkgate::access::Role;
use perkgate::audit::{Report, Request};
use perkgate::database::connection;
use perkgate::database::schema::{events, grants, limit_counters, redemptions};
use perkgate::foundation::entropy::Entropy;

use super::history::{event_with, events_of, rebuild};
use crate::support::world::{World, question};

const VISITS: usize = 1200;

fn verdict(world: &World) -> Report {
    perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {}).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_behind_the_first_page_of_anything_is_looked_at() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        let rule = r#"{"score":{"source":"klout","on_missing":"deny"},
          "tiers":[{"id":"all","rank":1,"when":{"attr":"score","op":"gte","value":1}}],
          "limits":[{"id":"person","scope":["subject"],"max":1,"window":{"lifetime":true}}]}"#;
        world.perk(&cathay, "sfo-lounge", rule).await;
        for nth in 0..VISITS {
            world.score(&cathay, &format!("twitter:p{nth}"), "50").await;
        }
        for first in (0..VISITS).step_by(200) {
            let asks =
                (first..first + 200).map(|nth| world.check(&kiosk, question("sfo-lounge", &format!("twitter:p{nth}"))));
            let tokens: Vec<_> =
                futures_util::future::join_all(asks).await.into_iter().map(|it| it.unwrap().token.unwrap()).collect();
            let deadline = Instant::now() + Duration::from_mins(1);
            let redeems = tokens.iter().map(|token| {
                let redeemer = &world.gateway.redeemer;
                redeemer.redeem(&kiosk, &cathay, token, "door".to_owned(), "1".to_owned(), deadline)
            });
            futures_util::future::join_all(redeems).await.into_iter().for_each(|it| drop(it.unwrap()));
        }
        let key = world.gateway.keyring.log_key();
        let lay_hands = |hands: &mut dyn FnMut(&mut perkgate::database::AnyConnection)| {
            let mut conn = world.database.open().dedicated().unwrap();
            connection::transaction(&mut conn, |conn| {
                hands(conn);
                Ok::<_, perkgate::database::DatabaseError>(())
            })
            .unwrap();
        };
        // As if each event had been a batch of its own: as many checkpoints as events.
        lay_hands(&mut |conn| {
            let all = events_of(conn, "cathay");
            rebuild(conn, "cathay", all, key.verifier(), &|text| key.sign(text));
        });
        let report = verdict(&world);
        assert_eq!(report.findings.listed(), []);
        let visits = u64::try_from(VISITS).unwrap();
        let checked = &report.checked;
        assert_eq!((checked.grants, checked.redemptions, checked.counters), (visits, visits, visits));
        assert!(checked.events > 2 * visits && checked.checkpoints > 2 * visits, "{checked:?}");

        let mut at = 0;
        lay_hands(&mut |conn| {
            let last =
                grants::table.select(diesel::dsl::max(grants::id)).first::<Option<String>>(conn).unwrap().unwrap();
            let told = format!(r#""id":"{last}""#);
            at = event_with(conn, "cathay", &told).log_index;
            diesel::update(grants::table.find(&last)).set(grants::kid.eq("x")).execute(conn).unwrap();
            diesel::delete(redemptions::table.filter(redemptions::grant_id.eq(&last))).execute(conn).unwrap();
            let scope = limit_counters::table.select(diesel::dsl::max(limit_counters::scope_key));
            let scope = scope.first::<Option<String>>(conn).unwrap().unwrap();
            let row = limit_counters::table.filter(limit_counters::scope_key.eq(scope));
            diesel::update(row).set(limit_counters::used.eq(0)).execute(conn).unwrap();
            let end = events_of(conn, "cathay").pop().unwrap();
            let row = events::table.find((end.log_id, end.log_index));
            diesel::update(row).set(events::kind.eq("x")).execute(conn).unwrap();
        });
        let report = verdict(&world);
        let counts: Vec<_> = report.findings.counts().iter().map(|(code, count)| (*code, *count)).collect();
        assert_eq!(
            counts,
            [("column_mismatch", 1), ("counter_mismatch", 1), ("grant_mismatch", 1), ("redemption_missing", 1)]
        );
        let grant = report.findings.listed().iter().find(|it| it.wrong.code() == "grant_mismatch").unwrap();
        assert_eq!(grant.place.index, Some(at));
    }
}
