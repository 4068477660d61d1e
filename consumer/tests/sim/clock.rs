//! Virtual time and the tasks that live in it: one thread, milliseconds that cost nothing, the same order in every replay.
//!
//! A task is an async function. It sleeps on the agenda, waits for a [`Promise`], and is polled only when one of them is due.
//! Every task has an owner (a process, a server, the world outside): killing an owner drops its tasks in the middle of what
//! they do, freezing it keeps them from being polled while the world goes on.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Milliseconds since the night began.
pub(crate) type Ms = u64;

/// More steps than any night needs: something spins.
const STEPS: u64 = 200_000;

type Work = Pin<Box<dyn Future<Output = ()>>>;

/// A task's number; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TaskId(u64);

/// Who a task dies and freezes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner(u32);

/// The world outside: it neither dies nor freezes.
pub(crate) const OUTSIDE: Owner = Owner(0);

struct Task {
    owner: Owner,
    /// Taken out while it is polled.
    work: Option<Work>,
}

/// The agenda and the tasks.
#[derive(Default)]
pub(crate) struct Clock {
    now: Cell<Ms>,
    numbers: Cell<u64>,
    owners: Cell<u32>,
    current: Cell<Option<TaskId>>,
    agenda: RefCell<BinaryHeap<Reverse<(Ms, u64, TaskId)>>>,
    tasks: RefCell<BTreeMap<TaskId, Task>>,
    ready: RefCell<VecDeque<TaskId>>,
    /// Frozen owners and what became due for them meanwhile.
    frozen: RefCell<BTreeMap<Owner, Vec<TaskId>>>,
    polls: Cell<u64>,
}

impl Clock {
    /// The present time.
    pub(crate) fn now(&self) -> Ms {
        self.now.get()
    }

    /// How often a task was polled so far: what the simulation itself costs.
    pub(crate) fn polls(&self) -> u64 {
        self.polls.get()
    }

    /// A new owner.
    pub(crate) fn owner(&self) -> Owner {
        self.owners.set(self.owners.get() + 1);
        Owner(self.owners.get())
    }

    /// Begins a task; it is polled for the first time when all that is ready before it was.
    pub(crate) fn spawn(&self, owner: Owner, work: impl Future<Output = ()> + 'static) -> TaskId {
        let id = TaskId(self.number());
        let work: Work = Box::pin(work);
        let task = Task {
            owner,
            work: Some(work),
        };
        self.tasks.borrow_mut().insert(id, task);
        self.ready.borrow_mut().push_back(id);
        id
    }

    /// Drops a task wherever it stands.
    pub(crate) fn abort(&self, id: TaskId) {
        let dropped = self.tasks.borrow_mut().remove(&id);
        // what it owned may end other things, which look at the clock
        drop(dropped);
    }

    /// Drops all tasks of an owner.
    pub(crate) fn kill(&self, owner: Owner) {
        let ids: Vec<TaskId> = self
            .tasks
            .borrow()
            .iter()
            .filter(|(_, task)| task.owner == owner)
            .map(|(id, _)| *id)
            .collect();
        self.frozen.borrow_mut().remove(&owner);
        ids.into_iter().for_each(|id| self.abort(id));
    }

    /// Stops polling the tasks of an owner, as SIGSTOP does.
    pub(crate) fn freeze(&self, owner: Owner) {
        self.frozen.borrow_mut().entry(owner).or_default();
    }

    /// Goes on; what became due meanwhile is polled now, in the order it became due or, `news_first`, the other way round.
    pub(crate) fn thaw(&self, owner: Owner, news_first: bool) {
        let mut due = self.frozen.borrow_mut().remove(&owner).unwrap_or_default();
        if news_first {
            due.reverse();
        }
        self.ready.borrow_mut().extend(due);
    }

    /// Drops everything: the night is over.
    pub(crate) fn end(&self) {
        // what is dropped may still want to say something
        while !self.tasks.borrow().is_empty() {
            let tasks = std::mem::take(&mut *self.tasks.borrow_mut());
            drop(tasks);
        }
    }

    /// Lets time pass up to `until`; returns whether anything is left on the agenda.
    pub(crate) fn run(&self, until: Ms) -> bool {
        loop {
            self.poll_ready();
            let next = self.agenda.borrow().peek().map(|Reverse((at, _, _))| *at);
            match next {
                Some(at) if at <= until => self.now.set(at),
                _ => break,
            }
            while let Some(id) = self.pop_due() {
                self.ready.borrow_mut().push_back(id);
            }
        }
        self.now.set(until);
        !self.agenda.borrow().is_empty()
    }

    fn pop_due(&self) -> Option<TaskId> {
        let mut agenda = self.agenda.borrow_mut();
        let due = agenda.peek().is_some_and(|Reverse((at, _, _))| *at <= self.now());
        due.then(|| agenda.pop().map(|Reverse((_, _, id))| id)).flatten()
    }

    fn poll_ready(&self) {
        loop {
            let next = self.ready.borrow_mut().pop_front();
            let Some(id) = next else { return };
            self.poll(id);
        }
    }

    fn poll(&self, id: TaskId) {
        let taken = {
            let mut tasks = self.tasks.borrow_mut();
            let Some(task) = tasks.get_mut(&id) else { return };
            if let Some(due) = self.frozen.borrow_mut().get_mut(&task.owner) {
                if !due.contains(&id) {
                    due.push(id);
                }
                return;
            }
            task.work.take()
        };
        let Some(mut work) = taken else { return };
        let before = self.current.replace(Some(id));
        self.polls.set(self.polls.get() + 1);
        assert!(self.polls.get() < STEPS, "something spins: {STEPS} steps in one night");
        let done = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        self.current.set(before);
        let mut tasks = self.tasks.borrow_mut();
        let ended = match (done, tasks.get_mut(&id)) {
            (Poll::Pending, Some(task)) => {
                task.work = Some(work);
                return;
            }
            // it ended, or was aborted by what it did itself
            (_, _) => (tasks.remove(&id), work),
        };
        drop(tasks);
        drop(ended);
    }

    fn number(&self) -> u64 {
        self.numbers.set(self.numbers.get() + 1);
        self.numbers.get()
    }

    fn me(&self) -> TaskId {
        self.current.get().expect("only tasks wait")
    }

    fn wake(&self, id: TaskId) {
        self.ready.borrow_mut().push_back(id);
    }

    /// Waits.
    pub(crate) fn sleep(self: &Rc<Self>, ms: Ms) -> Sleep {
        self.sleep_until(self.now() + ms)
    }

    /// Waits until a time.
    pub(crate) fn sleep_until(self: &Rc<Self>, at: Ms) -> Sleep {
        Sleep {
            clock: Rc::clone(self),
            at,
            written: false,
        }
    }
}

/// A wait on the agenda.
pub(crate) struct Sleep {
    clock: Rc<Clock>,
    at: Ms,
    written: bool,
}

impl Future for Sleep {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.clock.now() >= self.at {
            return Poll::Ready(());
        }
        if !self.written {
            self.written = true;
            let entry = Reverse((self.at, self.clock.number(), self.clock.me()));
            self.clock.agenda.borrow_mut().push(entry);
        }
        Poll::Pending
    }
}

struct Kept<T> {
    value: Option<T>,
    waiting: Vec<TaskId>,
}

/// A value that comes once; all who wait are woken, each gets a copy.
pub(crate) struct Promise<T> {
    clock: Rc<Clock>,
    kept: Rc<RefCell<Kept<T>>>,
}

impl<T> Clone for Promise<T> {
    fn clone(&self) -> Self {
        Self {
            clock: Rc::clone(&self.clock),
            kept: Rc::clone(&self.kept),
        }
    }
}

impl<T> std::fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Promise")
    }
}

impl<T: Clone> Promise<T> {
    /// A promise that is not kept yet.
    pub(crate) fn new(clock: &Rc<Clock>) -> Self {
        let kept = Kept {
            value: None,
            waiting: Vec::new(),
        };
        Self {
            clock: Rc::clone(clock),
            kept: Rc::new(RefCell::new(kept)),
        }
    }

    /// Keeps it; a second time changes nothing.
    pub(crate) fn keep(&self, value: T) {
        let mut kept = self.kept.borrow_mut();
        if kept.value.is_none() {
            kept.value = Some(value);
            for id in std::mem::take(&mut kept.waiting) {
                self.clock.wake(id);
            }
        }
    }

    /// Whether it is the same one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.kept, &other.kept)
    }

    /// Whether it is kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.kept.borrow().value.is_some()
    }
}

impl<T: Clone> Future for Promise<T> {
    type Output = T;
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        let mut kept = self.kept.borrow_mut();
        if let Some(value) = &kept.value {
            return Poll::Ready(value.clone());
        }
        let me = self.clock.me();
        if !kept.waiting.contains(&me) {
            kept.waiting.push(me);
        }
        Poll::Pending
    }
}

/// Whichever of two waits ends first; the first named where both have.
pub(crate) async fn first<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> Result<A, B> {
    let (mut a, mut b) = (std::pin::pin!(a), std::pin::pin!(b));
    std::future::poll_fn(move |context| {
        if let Poll::Ready(value) = a.as_mut().poll(context) {
            return Poll::Ready(Ok(value));
        }
        b.as_mut().poll(context).map(Err)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(clock: &Rc<Clock>, owner: Owner, at: Ms, notes: &Rc<RefCell<Vec<(Ms, u32)>>>, what: u32) -> TaskId {
        let (inner, notes) = (Rc::clone(clock), Rc::clone(notes));
        clock.spawn(owner, async move {
            inner.sleep_until(at).await;
            notes.borrow_mut().push((inner.now(), what));
        })
    }

    #[test]
    fn time_passes_in_the_order_of_the_agenda() {
        let (clock, notes) = (Rc::new(Clock::default()), Rc::default());
        noted(&clock, OUTSIDE, 50, &notes, 1);
        noted(&clock, OUTSIDE, 20, &notes, 2);
        noted(&clock, OUTSIDE, 50, &notes, 3);
        assert!(clock.run(30));
        assert!(!clock.run(100));
        assert_eq!(*notes.borrow(), [(20, 2), (50, 1), (50, 3)]);
    }

    #[test]
    fn a_frozen_owner_wakes_late_and_a_killed_one_never() {
        let (clock, notes) = (Rc::new(Clock::default()), Rc::default());
        let (frozen, killed) = (clock.owner(), clock.owner());
        noted(&clock, frozen, 10, &notes, 1);
        noted(&clock, killed, 10, &notes, 2);
        clock.freeze(frozen);
        clock.kill(killed);
        clock.run(500);
        assert!(notes.borrow().is_empty());
        clock.thaw(frozen, false);
        clock.run(600);
        assert_eq!(*notes.borrow(), [(500, 1)]);
    }

    #[test]
    fn a_promise_wakes_whoever_waits_and_the_first_of_two_waits_counts() {
        let (clock, notes) = (Rc::new(Clock::default()), Rc::<RefCell<Vec<Ms>>>::default());
        let promise = Promise::<u8>::new(&clock);
        let (c, n, p) = (Rc::clone(&clock), Rc::clone(&notes), promise.clone());
        clock.spawn(OUTSIDE, async move {
            assert_eq!(first(p.clone(), c.sleep(100)).await, Err(()));
            n.borrow_mut().push(c.now());
            assert_eq!(first(p, c.sleep(1_000)).await, Ok(7));
            n.borrow_mut().push(c.now());
        });
        clock.run(150);
        promise.keep(7);
        clock.run(2_000);
        assert_eq!(*notes.borrow(), [100, 150]);
    }
}
