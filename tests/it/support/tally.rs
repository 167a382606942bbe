//! What a merchant's tables say, held against its log: every count is taken from both.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use jiff::Timestamp;
use perkgate::access::Merchant;
use perkgate::database::schema::{events, grants, limit_counters, redemptions};
use perkgate::database::{AnyConnection, Database, DatabaseError};
use perkgate::foundation::json::Json;
use perkgate::ledger::events::{StoredEvent, leaf_hash};
use perkgate::ledger::store::{self, CounterRow, EventRow, GrantRow, RedemptionRow};
use perkgate::ledger::write::{check, redemption as redeeming};
use perkgate::tlog::merkle;

/// What a merchant's log holds; the tables agree with it, or there is none.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Of every kind.
    pub events: usize,
    pub granted: usize,
    pub denied: usize,
    /// By grant: the check it came of.
    pub grants: HashMap<String, String>,
    /// The grants that were redeemed.
    pub redeemed: Vec<String>,
    /// By limit, scope value and window: what is used, and the most that may be.
    pub used: BTreeMap<(String, String, String), (u64, u64)>,
    /// By the same: the uses that haven't lapsed.
    uses: BTreeMap<(String, String, String), Vec<Use>>,
}

#[derive(Debug)]
struct Use {
    grant: String,
    /// Where each lapses by itself.
    counts_at: Option<Timestamp>,
    cost: u64,
}

impl Tally {
    /// # Panics
    /// When the log's head isn't the root of its events, or a table says other than the log.
    #[track_caller]
    pub(crate) fn take(database: &Database, merchant: &Merchant) -> Self {
        let merchant = merchant.clone();
        let read = |conn: &mut AnyConnection| Ok::<_, DatabaseError>(Rows::read(conn, &merchant));
        // One transaction: a gateway may still be writing.
        database.write_blocking(read).unwrap().tally()
    }

    /// What is used of this limit, all scopes and windows together.
    pub(crate) fn used_of(&self, limit: &str) -> u64 {
        self.used.iter().filter(|((id, ..), _)| id == limit).map(|(_, (used, _))| used).sum()
    }
}

struct Rows {
    size: usize,
    root: Vec<u8>,
    events: Vec<EventRow>,
    grants: Vec<GrantRow>,
    counters: Vec<CounterRow>,
    redemptions: Vec<RedemptionRow>,
}

impl Rows {
    fn read(conn: &mut AnyConnection, merchant: &Merchant) -> Self {
        let log = store::find_log(conn, Some(&merchant.id)).unwrap().unwrap();
        // Locked, so that what follows is of one moment.
        store::lock_logs(conn, &[&log.id]).unwrap();
        let log = store::find_log(conn, Some(&merchant.id)).unwrap().unwrap();
        let id = merchant.id.as_str();
        Self {
            size: usize::try_from(log.size).unwrap(),
            root: log.root,
            events: events::table
                .filter(events::log_id.eq(&log.id))
                .order(events::log_index)
                .select(EventRow::as_select())
                .load(conn)
                .unwrap(),
            grants: grants::table.filter(grants::merchant_id.eq(id)).select(GrantRow::as_select()).load(conn).unwrap(),
            counters: limit_counters::table
                .filter(limit_counters::merchant_id.eq(id))
                .select(CounterRow::as_select())
                .load(conn)
                .unwrap(),
            redemptions: redemptions::table
                .filter(redemptions::merchant_id.eq(id))
                .select(RedemptionRow::as_select())
                .load(conn)
                .unwrap(),
        }
    }

    #[track_caller]
    fn tally(self) -> Tally {
        assert_eq!(self.events.len(), self.size, "the log's head counts its events");
        let mut leaves = Vec::with_capacity(self.size);
        let mut tally = Tally { events: self.size, ..Tally::default() };
        let mut claims = HashMap::new();
        for (index, row) in self.events.iter().enumerate() {
            assert_eq!(row.log_index, i64::try_from(index).unwrap(), "no place is skipped");
            let body = row.body.as_deref().unwrap();
            let leaf = leaf_hash(body);
            assert_eq!(row.leaf_hash, leaf);
            leaves.push(leaf);
            let event = StoredEvent::parse(body).unwrap();
            match event.kind.as_str() {
                check::KIND => tally.check(&event, &mut claims),
                redeeming::KIND | redeeming::OFFLINE => tally.redemption(event),
                _ => {}
            }
        }
        assert_eq!(merkle::root_of(&leaves)[..], self.root[..], "the log's head is the root of its events");

        assert_eq!(self.grants.len(), tally.grants.len(), "each granted event has its grant, and no other");
        for grant in &self.grants {
            assert_eq!(tally.grants.get(&grant.id), Some(&grant.check_id));
            assert_eq!(claims.get(&grant.id), Some(&check::claims_digest(&grant.claims)));
        }
        let mut stored = BTreeMap::new();
        for row in self.counters.into_iter().filter(|row| row.used > 0) {
            stored.insert((row.limit_id, row.scope_key, row.window_key), u64::try_from(row.used).unwrap());
        }
        for (key, (used, max)) in &tally.used {
            assert!(used <= max, "over-granted: {used} of {max} for {key:?}");
            assert_eq!(stored.remove(key), Some(*used), "the counter of {key:?}");
        }
        assert!(stored.is_empty(), "counted, but not granted: {stored:?}");

        let mut redeemed: Vec<String> = self.redemptions.into_iter().map(|row| row.grant_id).collect();
        redeemed.sort_unstable();
        tally.redeemed.sort_unstable();
        assert_eq!(redeemed, tally.redeemed, "each redemption has its event");
        tally
    }
}

impl Tally {
    /// What the grant holds, it holds longer from the door on.
    fn redemption(&mut self, event: StoredEvent) {
        for hold in event.facts.member("holds").and_then(Json::as_list).unwrap_or_default() {
            let text = |name: &str| hold.member(name).and_then(Json::as_text).unwrap();
            let until = text("until").parse().unwrap();
            let of_hold = self.uses.iter_mut().filter(|((id, scope, _), _)| id == text("id") && scope == text("scope"));
            for held in of_hold.flat_map(|(_, of_limit)| of_limit).filter(|it| it.grant == event.about) {
                held.counts_at = Some(until);
            }
        }
        self.redeemed.push(event.about);
    }

    fn check(&mut self, event: &StoredEvent, claims: &mut HashMap<String, String>) {
        let text = |json: &Json, name: &str| json.member(name).and_then(Json::as_text).unwrap().to_owned();
        if text(&event.facts, "decision") != "granted" {
            self.denied += 1;
            return;
        }
        self.granted += 1;
        let grant = event.facts.member("grant").unwrap();
        let id = text(grant, "id");
        claims.insert(id.clone(), text(grant, "claims_sha256"));
        assert!(self.grants.insert(id.clone(), event.about.clone()).is_none(), "two events tell of one grant");
        for limit in event.facts.member("limits").and_then(Json::as_list).unwrap() {
            let count = |name: &str| u64::try_from(limit.member(name).and_then(Json::as_whole).unwrap()).unwrap();
            let key = (text(limit, "id"), text(limit, "scope"), text(limit, "window"));
            let instant = |name: &str| {
                let text = limit.member(name).and_then(Json::as_text)?;
                Some(text.parse::<Timestamp>().unwrap())
            };
            let counted = self.uses.entry(key.clone()).or_default();
            counted.push(Use { grant: id.clone(), counts_at: instant("counts_at"), cost: count("cost") });
            if let Some(horizon) = instant("horizon") {
                counted.retain(|it| it.counts_at.is_none_or(|at| at > horizon));
            }
            let used = counted.iter().map(|it| it.cost).sum();
            // The log is in the order of admission: each event tells what was used up to itself.
            assert_eq!(used, count("used"), "what the event says is used");
            self.used.insert(key, (used, count("max")));
        }
    }
}
