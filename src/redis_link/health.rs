//! Tells whether Redis can be used, and why not: kept up by every command and by the heartbeat, and logged once
//! when it changes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{Notify, watch};

use super::fault::RedisFault;

/// So many answers in a row that didn't come, and nobody but the heartbeat asks any more.
pub(super) const FAILURES_TO_OPEN: u32 = 3;

/// The state of one Redis. All of it works, or none of it is used: a Redis that can be read and not written
/// would go on telling what nobody could take back.
pub(super) struct Health {
    state: watch::Sender<State>,
    failures: AtomicU32,
    /// Moves on with each heartbeat that found everything working.
    pub(super) beats: watch::Sender<u64>,
    /// Asks for a heartbeat now.
    pub(super) wake: Notify,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    /// The result of the last heartbeat, or of the commands since.
    pub(super) found: Result<(), RedisFault>,
    /// Channels that can't be subscribed to. The rest is used all the same.
    deaf: BTreeMap<String, RedisFault>,
}

impl State {
    fn fault(&self) -> Option<&RedisFault> {
        self.found.as_ref().err().or_else(|| self.deaf.values().next())
    }
}

impl Health {
    /// Not to be used until it first answered: a start without Redis then costs no request a time-out.
    pub(super) fn new() -> Self {
        let state = State { found: Err(RedisFault::NotAsked), deaf: BTreeMap::new() };
        Self {
            state: watch::Sender::new(state),
            failures: AtomicU32::new(0),
            beats: watch::Sender::new(0),
            wake: Notify::new(),
        }
    }

    pub(super) fn found(&self) -> Result<(), RedisFault> {
        self.state.borrow().found.clone()
    }

    pub(super) fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// The fault, if something doesn't work.
    pub(super) fn fault(&self) -> Option<RedisFault> {
        self.state.borrow().fault().cloned()
    }

    /// Notes what a command found. One that was refused says little of the others: the heartbeat looks at once.
    pub(super) fn note_command(&self, fault: Option<&RedisFault>) {
        match fault {
            None => self.failures.store(0, Ordering::Relaxed),
            Some(fault) if is_passing(fault) => self.note_failure(fault),
            Some(_) => self.wake.notify_one(),
        }
    }

    /// Notes what the heartbeat found.
    pub(super) fn note_beat(&self, found: Result<(), RedisFault>) {
        match found {
            Err(fault) if is_passing(&fault) => self.note_failure(&fault),
            Err(fault) => self.change(|state| state.found = Err(fault)),
            Ok(()) => {
                self.failures.store(0, Ordering::Relaxed);
                self.change(|state| state.found = Ok(()));
                self.beats.send_modify(|beats| *beats += 1);
            }
        }
    }

    /// Notes whether a channel could be subscribed to.
    pub(super) fn note_subscription(&self, channel: &str, refused: Option<RedisFault>) {
        self.change(|state| match refused {
            Some(fault) => drop(state.deaf.insert(channel.to_owned(), fault)),
            None => drop(state.deaf.remove(channel)),
        });
    }

    fn note_failure(&self, fault: &RedisFault) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if failures >= FAILURES_TO_OPEN {
            self.change(|state| state.found = Err(fault.clone()));
        }
    }

    /// Changes the state, and says so. As long as it fails in the same way one line is enough, whatever the
    /// words.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut changed = None;
        self.state.send_if_modified(|state| {
            let before = state.clone();
            change(state);
            let is_new = *state != before;
            changed = is_new.then(|| (before.fault().cloned(), state.clone()));
            is_new
        });
        // Not inside: a caller that asks for the state would wait for the log.
        let Some((before, now)) = changed else { return };
        match (before, now.fault()) {
            (Some(RedisFault::NotAsked), None) => tracing::info!("Redis answers"),
            (Some(_), None) => tracing::info!("Redis works again, and is used"),
            (Some(before), Some(fault)) if before.code() == fault.code() && before != RedisFault::NotAsked => {}
            (_, Some(fault)) if now.found.is_ok() => {
                tracing::warn!(reason = %fault, "what other replicas write can't be heard through Redis");
            }
            (_, Some(fault)) => tracing::warn!(reason = %fault, "Redis can't be used: going on without it"),
            (None, None) => {}
        }
    }
}

/// True if the next answer may well come: these are counted before they are believed.
const fn is_passing(fault: &RedisFault) -> bool {
    matches!(fault, RedisFault::Unreachable(_) | RedisFault::Silent)
}
