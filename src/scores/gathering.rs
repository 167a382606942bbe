//! Questions that are asked together: while one lot is under way, the next gathers. There is no timer: one that comes
//! alone goes alone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The most questions of one lot.
const MOST: usize = 500;

/// Questions `Q` that wait to be asked, each with where its answer `A` goes.
pub(super) struct Gathering<Q, A> {
    waiting: Mutex<Waiting<Q, A>>,
    /// The most lots that are under way at one time.
    most_lots: usize,
}

struct Waiting<Q, A> {
    questions: Vec<Question<Q, A>>,
    /// Those who are asking lots.
    asking: usize,
}

/// A question, and where its answer goes.
pub(super) struct Question<Q, A> {
    pub asked: Q,
    answer: oneshot::Sender<A>,
}

impl<Q, A> Question<Q, A> {
    /// Answers it. Who asked may have left.
    pub(super) fn answer(self, answer: A) {
        let _ = self.answer.send(answer);
    }
}

/// The duty to ask lots until nothing waits any more. When it is dropped early, those who wait get no answer.
#[must_use]
pub(super) struct Duty<Q, A> {
    gathering: Arc<Gathering<Q, A>>,
    is_done: bool,
}

impl<Q, A> Gathering<Q, A> {
    pub(super) fn new(most_lots: usize) -> Arc<Self> {
        let waiting = Waiting { questions: Vec::new(), asking: 0 };
        Arc::new(Self { waiting: Mutex::new(waiting), most_lots })
    }

    /// Adds a question. Its answer comes there, unless the one who has the duty is cut off; with it the duty to ask, if
    /// it falls to the caller.
    pub(super) fn add(self: &Arc<Self>, asked: Q) -> (oneshot::Receiver<A>, Option<Duty<Q, A>>) {
        let (answer, answered) = oneshot::channel();
        let mut waiting = self.lock();
        waiting.questions.push(Question { asked, answer });
        let is_due = waiting.asking < self.most_lots;
        waiting.asking += usize::from(is_due);
        drop(waiting);
        (answered, is_due.then(|| Duty { gathering: self.clone(), is_done: false }))
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<Q, A>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Q, A> Duty<Q, A> {
    /// The next lot, or none, when the duty is done. Questions of which nobody waits for the answer are left out.
    pub(super) fn next_lot(&mut self) -> Option<Vec<Question<Q, A>>> {
        let mut waiting = self.gathering.lock();
        waiting.questions.retain(|question| !question.answer.is_closed());
        let most = waiting.questions.len().min(MOST);
        let lot: Vec<_> = waiting.questions.drain(..most).collect();
        if lot.is_empty() {
            waiting.asking -= 1;
            self.is_done = true;
            return None;
        }
        Some(lot)
    }
}

impl<Q, A> Drop for Duty<Q, A> {
    fn drop(&mut self) {
        if !self.is_done {
            let mut waiting = self.gathering.lock();
            waiting.asking -= 1;
            // Nobody else may come who would ask them.
            if waiting.asking == 0 {
                waiting.questions.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    fn asked(lot: &[Question<u32, u32>]) -> Vec<u32> {
        lot.iter().map(|question| question.asked).collect()
    }

    #[test]
    fn what_comes_while_a_lot_is_under_way_is_the_next_lot() {
        let gathering = Gathering::<u32, u32>::new(1);
        let (mut first, duty) = gathering.add(1);
        let mut duty = duty.unwrap();
        let lot = duty.next_lot().unwrap();
        assert_eq!(asked(&lot), [1]);
        let (mut second, none) = gathering.add(2);
        assert!(none.is_none());
        let (third, none) = gathering.add(3);
        assert!(none.is_none());
        drop(third);
        for question in lot {
            question.answer(10);
        }
        assert_eq!(first.try_recv(), Ok(10));
        let lot = duty.next_lot().unwrap();
        assert_eq!(asked(&lot), [2], "nobody waits for the third");
        for question in lot {
            question.answer(20);
        }
        assert_eq!(second.try_recv(), Ok(20));
        assert!(duty.next_lot().is_none());
        assert!(gathering.add(4).1.is_some(), "the next one begins again");
    }

    #[test]
    fn who_is_cut_off_leaves_nobody_waiting() {
        let gathering = Gathering::<u32, u32>::new(2);
        let (mut first, duty) = gathering.add(1);
        let (mut second, other) = gathering.add(2);
        assert!(other.is_some() && gathering.add(3).1.is_none(), "two lots at a time");
        drop(duty);
        assert_eq!(first.try_recv(), Err(TryRecvError::Empty), "the other one asks them");
        drop(other);
        assert_eq!((first.try_recv(), second.try_recv()), (Err(TryRecvError::Closed), Err(TryRecvError::Closed)));
        assert!(gathering.add(4).1.is_some());
    }

    #[test]
    fn a_lot_has_a_bound() {
        let gathering = Gathering::<u32, u32>::new(1);
        let mut duty = None;
        let mut answers = Vec::new();
        for number in 0..=u32::try_from(MOST).unwrap() {
            let (answer, due) = gathering.add(number);
            answers.push(answer);
            duty = duty.or(due);
        }
        let mut duty = duty.unwrap();
        assert_eq!(duty.next_lot().unwrap().len(), MOST);
        assert_eq!(duty.next_lot().unwrap().len(), 1);
    }
}
