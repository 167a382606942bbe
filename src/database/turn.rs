//! The turns of writers to SQLite: one at a time, and the ledger before everyone else.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// SQLite's own lock would do, but a waiter there sleeps and retries: an import could starve the
/// checks. Here a waiter is woken, and the first class goes first.
#[derive(Default)]
pub(super) struct WriteTurns {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    taken: bool,
    first_waiting: usize,
}

/// The right to write; given back when dropped.
pub struct WriteGuard<'a>(&'a WriteTurns);

impl WriteTurns {
    pub(super) fn take(&self, first: bool) -> WriteGuard<'_> {
        let mut state = self.lock();
        state.first_waiting += usize::from(first);
        while state.taken || (!first && state.first_waiting > 0) {
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.first_waiting -= usize::from(first);
        state.taken = true;
        WriteGuard(self)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        self.0.lock().taken = false;
        self.0.freed.notify_all();
    }
}
