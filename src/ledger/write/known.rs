//! The memory of the writer from one transaction to the next: the logs' heads (`continuity.rs`), and the people whom it
//! has met lately, with their secrets, opened, so that the next check about one of them reads nothing. Only batches use
//! it; all that is read back, previewed or replayed asks the database.
//!
//! A person who is erased must not be remembered. Every erasure appends to its merchant's log, whichever process does it,
//! so the head says whether there was one: `append.rs` looks at what others appended since this process's last commit, in
//! the transaction that relies on what is remembered here. So nobody is remembered before this process has signed
//! a head of their merchant's log, and everybody is forgotten at the first erasure, this process's own too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::continuity::KnownLogs;
use super::subjects::Subject;
use crate::foundation::subject::{SubjectRef, SubjectRefs};

/// All that the writer remembers from one transaction to the next. A transaction works on a copy, which takes the place
/// of the original once it is committed.
#[derive(Clone)]
pub(crate) struct Known {
    pub logs: KnownLogs,
    pub subjects: KnownSubjects<Subject>,
}

/// Half the time for which someone is remembered at most.
const GENERATION: Duration = Duration::from_secs(30);

/// At most twice as many people are remembered: some 50 MB.
const MOST: usize = 65_536;

/// The people of one generation, each with the older form of the handle that they were asked for with.
type Generation<T> = HashMap<SubjectRef, (Option<SubjectRef>, Arc<T>)>;

/// Two generations: the older one is forgotten as a whole, which needs no order among the people.
struct Remembered<T> {
    young: Generation<T>,
    old: Generation<T>,
    since: Instant,
}

impl<T> Remembered<T> {
    fn find(&self, subject: &SubjectRefs) -> Option<Arc<T>> {
        let (former, known) = self.young.get(&subject.current).or_else(|| self.old.get(&subject.current))?;
        (*former == subject.former).then(|| known.clone())
    }

    /// Remembers one more, and returns those who are forgotten for it: so many are dropped outside the lock.
    fn insert(&mut self, subject: SubjectRefs, known: Arc<T>, now: Instant) -> Option<Generation<T>> {
        let forgotten = (self.young.len() >= MOST).then(|| self.age(now));
        // The one who stands there by another form of the handle may be another person.
        self.old.remove(&subject.current);
        self.young.insert(subject.current, (subject.former, known));
        forgotten
    }

    /// Forgets the older generation.
    fn age(&mut self, now: Instant) -> Generation<T> {
        self.since = now;
        let young = std::mem::take(&mut self.young);
        std::mem::replace(&mut self.old, young)
    }

    /// Forgets those who have been remembered for too long, and returns them.
    fn age_to(&mut self, now: Instant) -> [Generation<T>; 2] {
        let age = now.saturating_duration_since(self.since);
        let old = if age >= GENERATION { self.age(now) } else { Generation::new() };
        let older = if age >= GENERATION * 2 { std::mem::take(&mut self.old) } else { Generation::new() };
        [old, older]
    }
}

/// The memory of the writer, of people as `T`. A transaction works on a copy: whom it meets is remembered once it is
/// committed.
pub(crate) struct KnownSubjects<T> {
    remembered: Arc<Mutex<Remembered<T>>>,
    met: Vec<(SubjectRefs, Arc<T>)>,
    /// True if the open transaction took someone from memory.
    is_relied_on: bool,
    /// True if the open transaction asks the database for everyone.
    is_left_aside: bool,
}

impl<T> Clone for KnownSubjects<T> {
    fn clone(&self) -> Self {
        let (remembered, met) = (self.remembered.clone(), self.met.clone());
        Self { remembered, met, is_relied_on: self.is_relied_on, is_left_aside: self.is_left_aside }
    }
}

impl<T> KnownSubjects<T> {
    pub(crate) fn new() -> Self {
        let remembered = Remembered { young: Generation::new(), old: Generation::new(), since: Instant::now() };
        let remembered = Arc::new(Mutex::new(remembered));
        Self { remembered, met: Vec::new(), is_relied_on: false, is_left_aside: false }
    }

    /// The person, if they are remembered; for a caller that relies on nothing that this says.
    pub(crate) fn find(&self, wanted: &SubjectRefs, now: Instant) -> Option<Arc<T>> {
        let mut remembered = self.lock();
        let forgotten = remembered.age_to(now);
        let found = remembered.find(wanted);
        drop(remembered);
        drop(forgotten);
        found
    }

    /// For each of `wanted` the person, if they are remembered.
    pub(crate) fn find_all<'a>(
        &mut self,
        wanted: impl Iterator<Item = &'a SubjectRefs>,
        now: Instant,
    ) -> Vec<Option<Arc<T>>> {
        if self.is_left_aside {
            return wanted.map(|_| None).collect();
        }
        let mut remembered = self.lock();
        let forgotten = remembered.age_to(now);
        let found: Vec<_> = wanted.map(|subject| remembered.find(subject)).collect();
        drop(remembered);
        drop(forgotten);
        self.is_relied_on |= found.iter().any(Option::is_some);
        found
    }

    /// Tells whether the open transaction took someone from memory.
    pub(crate) const fn is_relied_on(&self) -> bool {
        self.is_relied_on
    }

    /// Lets the open transaction ask the database for everyone: it is not tried again when someone was erased.
    pub(crate) const fn leave_aside(&mut self) {
        self.is_left_aside = true;
    }

    /// Notes a person of the open transaction, who was read in it or made by it.
    pub(crate) fn meet(&mut self, subject: SubjectRefs, known: Arc<T>) {
        self.met.push((subject, known));
    }

    /// Leaves out whom the open transaction met: nothing proves that they were not erased since they were read.
    pub(crate) fn leave_out(&mut self) {
        self.met.clear();
    }

    /// Forgets everybody: someone was erased.
    pub(crate) fn forget(&mut self) {
        self.met.clear();
        let mut remembered = self.lock();
        let forgotten = (std::mem::take(&mut remembered.young), std::mem::take(&mut remembered.old));
        drop(remembered);
        drop(forgotten);
    }

    /// The transaction was committed.
    pub(crate) fn keep(&mut self, now: Instant) {
        let met = std::mem::take(&mut self.met);
        (self.is_relied_on, self.is_left_aside) = (false, false);
        let mut remembered = self.lock();
        let mut forgotten = Vec::from(remembered.age_to(now));
        for (subject, known) in met {
            forgotten.extend(remembered.insert(subject, known, now));
        }
        drop(remembered);
        drop(forgotten);
    }

    fn lock(&self) -> MutexGuard<'_, Remembered<T>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refs(current: u8, former: Option<u8>) -> SubjectRefs {
        SubjectRefs { current: SubjectRef([current; 32]), former: former.map(|it| SubjectRef([it; 32])) }
    }

    fn found(known: &mut KnownSubjects<&'static str>, subject: SubjectRefs, now: Instant) -> Option<&'static str> {
        known.find_all([&subject].into_iter(), now).remove(0).map(|it| *it)
    }

    #[test]
    fn people_are_remembered_after_the_commit_and_for_a_minute_at_most() {
        let mut known = KnownSubjects::<&'static str>::new();
        let start = Instant::now();
        known.meet(refs(1, None), Arc::new("a"));
        assert_eq!(found(&mut known, refs(1, None), start), None, "not committed");
        known.keep(start);
        assert_eq!(found(&mut known, refs(1, None), start), Some("a"));
        assert_eq!(found(&mut known, refs(1, Some(2)), start), None, "asked by another form");
        known.meet(refs(1, Some(2)), Arc::new("b"));
        known.keep(start);
        assert_eq!(found(&mut known, refs(1, None), start), None);
        assert_eq!(found(&mut known, refs(1, Some(2)), start), Some("b"));

        let later = start + GENERATION + Duration::from_secs(1);
        assert_eq!(found(&mut known, refs(1, Some(2)), later), Some("b"), "of the older generation");
        let later = start + GENERATION * 2 + Duration::from_secs(2);
        assert_eq!(found(&mut known, refs(1, Some(2)), later), None);

        known.meet(refs(3, None), Arc::new("c"));
        known.keep(later);
        assert_eq!(known.find(&refs(3, None), later + GENERATION * 3), None, "nobody asked for long");
    }

    #[test]
    fn nobody_is_remembered_after_an_erasure_and_no_more_than_there_is_room_for() {
        let mut known = KnownSubjects::<&'static str>::new();
        let now = Instant::now();
        known.meet(refs(1, None), Arc::new("a"));
        known.keep(now);
        known.meet(refs(2, None), Arc::new("b"));
        known.clone().forget();
        known.leave_out();
        known.keep(now);
        assert_eq!((known.find(&refs(1, None), now), known.find(&refs(2, None), now)), (None, None));

        let mut remembered = known.lock();
        let c = Arc::new("c");
        for nth in 0..u32::try_from(MOST * 3).unwrap() {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&nth.to_be_bytes());
            remembered.insert(SubjectRefs { current: SubjectRef(bytes), former: None }, c.clone(), now);
        }
        assert!(remembered.young.len() + remembered.old.len() <= 2 * MOST);
    }

    #[test]
    fn a_transaction_that_leaves_the_memory_aside_finds_nobody_in_it_and_relies_on_nobody() {
        let mut known = KnownSubjects::<&'static str>::new();
        let now = Instant::now();
        known.meet(refs(1, None), Arc::new("a"));
        known.keep(now);
        let mut copy = known.clone();
        copy.leave_aside();
        assert_eq!((found(&mut copy, refs(1, None), now), copy.is_relied_on()), (None, false));
        assert_eq!((found(&mut known, refs(1, None), now), known.is_relied_on()), (Some("a"), true));
    }
}
