//! Both ways of waking children, under the same tests.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use aplomb::children::Children;
use aplomb::{OwnWakers, ParentWaker, Platform};
use aplomb_sim::{Sim, World};

type Own = OwnWakers<<aplomb_tokio::Tokio as Platform>::RawMutex>;
type Child = Pin<Box<dyn Future<Output = ()>>>;

/// All children, until all have ended; notes who was polled.
struct All<C> {
    wakers: C,
    children: Vec<Option<Child>>,
    polled: Rc<RefCell<Vec<usize>>>,
}

impl<C: Children> All<C> {
    fn new(children: Vec<Child>) -> (Self, Rc<RefCell<Vec<usize>>>) {
        let polled = Rc::default();
        let all = Self { wakers: C::EMPTY, children: children.into_iter().map(Some).collect(), polled: Rc::clone(&polled) };
        (all, polled)
    }
}

impl<C: Children + Unpin> Future for All<C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.wakers.begin(this.children.len(), cx.waker());
        while let Some(index) = this.wakers.next_ready() {
            let Some(child) = this.children[index].as_mut() else { continue };
            this.polled.borrow_mut().push(index);
            if this.wakers.poll_child(index, cx, |cx| child.as_mut().poll(cx)).is_ready() {
                this.children[index] = None;
            }
        }
        if this.children.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// A waker that counts.
#[derive(Default)]
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A child that is ready when its gate opens, and whoever opens it.
fn gated() -> (Child, impl Fn()) {
    let (open, waker) = (Rc::new(Cell::new(false)), Rc::new(RefCell::new(None::<Waker>)));
    let (seen, kept) = (Rc::clone(&open), Rc::clone(&waker));
    let child = poll_fn(move |cx| {
        kept.replace(Some(cx.waker().clone()));
        if seen.get() { Poll::Ready(()) } else { Poll::Pending }
    });
    let opener = move || {
        open.set(true);
        if let Some(waker) = waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    };
    (Box::pin(child), opener)
}

fn yields(times: u32) -> Child {
    let mut left = times;
    Box::pin(poll_fn(move |cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }))
}

fn all_end<C: Children + Unpin + 'static>() {
    let world = World::new();
    let sleeper = |nanos| Box::pin(aplomb_sim::sleep(std::time::Duration::from_nanos(nanos))) as Child;
    let (all, _) = All::<C>::new(vec![sleeper(30), yields(5), sleeper(10), yields(0), sleeper(20)]);
    let ended = world.spawn("all", all);
    world.run().unwrap();
    assert!(ended.is_finished());
    assert_eq!(world.now().as_nanos(), 30);
}

#[test]
fn all_children_end_whoever_wakes_them() {
    all_end::<ParentWaker>();
    all_end::<Own>();
    all_end::<<Sim as Platform>::Children>();
}

#[test]
fn with_wakers_of_their_own_only_those_are_polled_that_were_woken() {
    let (children, open): (Vec<Child>, Vec<_>) = (0..100).map(|_| gated()).unzip();
    let (mut all, polled) = All::<Own>::new(children);
    let count = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut cx = Context::from_waker(&waker);
    assert!(Pin::new(&mut all).poll(&mut cx).is_pending());
    assert_eq!(polled.take(), (0..100).collect::<Vec<_>>());
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
    for index in [70, 3] {
        open[index]();
    }
    assert_eq!(count.0.load(Ordering::Relaxed), 1, "the parent is woken once for both");
    assert!(Pin::new(&mut all).poll(&mut cx).is_pending());
    assert_eq!(polled.take(), [70, 3]);
    for open in &open {
        open();
    }
    assert!(Pin::new(&mut all).poll(&mut cx).is_ready());
}

#[test]
fn a_child_that_wakes_itself_has_its_next_turn_in_the_next_poll() {
    let (mut all, polled) = All::<Own>::new(vec![yields(3), yields(1)]);
    let count = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&count));
    for expected in [vec![0, 1], vec![0, 1], vec![0]] {
        assert!(Pin::new(&mut all).poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(polled.take(), expected);
        assert_eq!(count.0.swap(0, Ordering::Relaxed), 1);
    }
    assert!(Pin::new(&mut all).poll(&mut Context::from_waker(&waker)).is_ready());
}

/// What holds of both, whoever is woken how: nobody is forgotten, and nobody keeps the others from their turn.
fn keeps_its_promises<C: Children + Unpin>() {
    let waker = Waker::from(Arc::new(Wakes::default()));
    let poll = |all: &mut All<C>| Pin::new(all).poll(&mut Context::from_waker(&waker));
    // All are polled once at first.
    let (gates, open): (Vec<Child>, Vec<_>) = (0..4).map(|_| gated()).unzip();
    let (mut all, polled) = All::<C>::new(gates);
    assert!(poll(&mut all).is_pending());
    assert_eq!(polled.take(), [0, 1, 2, 3]);
    // Who was woken is polled at the next poll, and once.
    for index in [2, 0] {
        open[index]();
        open[index]();
    }
    assert!(poll(&mut all).is_pending());
    let again = polled.take();
    assert!([0, 2].iter().all(|index| again.iter().filter(|polled| *polled == index).count() == 1), "{again:?}");
    assert!(all.children[0].is_none() && all.children[2].is_none());
    // Slots that are added are polled without having been woken; the others are not forgotten.
    let (late, open_late) = gated();
    all.children.push(Some(late));
    assert!(poll(&mut all).is_pending());
    assert!(polled.take().contains(&4));
    open_late();
    open[1]();
    open[3]();
    assert!(poll(&mut all).is_ready());
}

#[test]
fn nobody_is_forgotten_and_nobody_polled_twice() {
    keeps_its_promises::<ParentWaker>();
    keeps_its_promises::<Own>();
    keeps_its_promises::<<Sim as Platform>::Children>();
}

/// One that wakes itself at every poll, and never ends: a poll of the parent ends all the same, and the others have their turn.
#[test]
fn a_child_that_always_wakes_itself_starves_nobody() {
    fn check<C: Children + Unpin>() {
        let (gate, open) = gated();
        let (mut all, polled) = All::<C>::new(vec![yields(u32::MAX), gate]);
        let count = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&count));
        for _ in 0..10 {
            assert!(Pin::new(&mut all).poll(&mut Context::from_waker(&waker)).is_pending());
            assert_eq!(polled.take().iter().filter(|slot| **slot == 0).count(), 1);
            assert!(count.0.swap(0, Ordering::Relaxed) > 0, "the parent is to come again");
        }
        open();
        assert!(Pin::new(&mut all).poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(all.children[1].is_none());
    }
    check::<ParentWaker>();
    check::<Own>();
}

/// A pool: whenever a child ends, its slot takes the next one, which is polled in the same poll.
#[test]
fn a_slot_is_renewed_until_nothing_is_left() {
    fn check<C: Children>(mut wakers: C) {
        let (mut left, mut ended) = (10, 0);
        let mut slots: Vec<Option<Child>> = vec![Some(yields(0)), Some(yields(1)), Some(yields(2))];
        let mut polls = 0;
        let mut poll = |cx: &mut Context<'_>| {
            polls += 1;
            wakers.begin(slots.len(), cx.waker());
            while let Some(index) = wakers.next_ready() {
                let Some(child) = slots[index].as_mut() else { continue };
                if wakers.poll_child(index, cx, |cx| child.as_mut().poll(cx)).is_pending() {
                    continue;
                }
                ended += 1;
                slots[index] = (left > 0).then(|| yields(left % 2));
                if left > 0 {
                    left -= 1;
                    wakers.renew(index);
                }
            }
            if slots.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
        };
        let count = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&count));
        while poll(&mut Context::from_waker(&waker)).is_pending() {
            assert!(count.0.swap(0, Ordering::Relaxed) > 0, "it waits, and nobody will wake it");
        }
        assert_eq!(ended, 13);
        assert!(polls <= 7, "{polls} polls: what ends at once does not wait for another");
    }
    check(ParentWaker::EMPTY);
    check(Own::EMPTY);
}

#[test]
fn a_renewed_slot_comes_again_in_the_same_poll() {
    fn check<C: Children>(mut wakers: C) {
        wakers.begin(1, Waker::noop());
        assert_eq!(wakers.next_ready(), Some(0));
        wakers.renew(0);
        assert_eq!(wakers.next_ready(), Some(0));
        assert_eq!(wakers.next_ready(), None);
        wakers.begin(3, Waker::noop());
        // Renewed or not, what nobody has polled comes once.
        wakers.renew(1);
        let ready: Vec<usize> = std::iter::from_fn(|| wakers.next_ready()).collect();
        assert!(ready == [1, 2] || ready == [0, 1, 2], "{ready:?}");
        // The one before has woken itself meanwhile: its turn is in the next poll.
        wakers.begin(3, Waker::noop());
        wakers.poll_child(0, &mut Context::from_waker(Waker::noop()), |cx| cx.waker().wake_by_ref());
        wakers.begin(3, Waker::noop());
        assert_eq!(wakers.next_ready(), Some(0));
        wakers.poll_child(0, &mut Context::from_waker(Waker::noop()), |cx| cx.waker().wake_by_ref());
        wakers.renew(2);
        let ready: Vec<usize> = std::iter::from_fn(|| wakers.next_ready()).collect();
        assert!(ready == [2] || ready == [1, 2], "{ready:?}");
    }
    check(ParentWaker::EMPTY);
    check(Own::EMPTY);
}

/// A waker may outlive the future: it wakes nobody that it should not, and nothing is polled that is gone.
#[test]
fn a_waker_that_outlives_its_parent_does_no_harm() {
    let (gate, open) = gated();
    let (mut all, _) = All::<Own>::new(vec![gate]);
    let count = Arc::new(Wakes::default());
    assert!(Pin::new(&mut all).poll(&mut Context::from_waker(&Waker::from(Arc::clone(&count)))).is_pending());
    drop(all);
    open();
    open();
    assert!(count.0.load(Ordering::Relaxed) <= 1, "one stray wake at most");
}

#[test]
fn a_wake_from_another_thread_is_not_lost() {
    for _ in 0..200 {
        let (sender, wakers) = std::sync::mpsc::channel::<Waker>();
        let ready = Arc::new(AtomicU32::new(0));
        let thread = std::thread::spawn({
            let ready = Arc::clone(&ready);
            move || {
                for waker in wakers {
                    ready.fetch_add(1, Ordering::SeqCst);
                    waker.wake();
                }
            }
        });
        let child = |sender: std::sync::mpsc::Sender<Waker>, ready: Arc<AtomicU32>| -> Child {
            let mut sent = false;
            Box::pin(poll_fn(move |cx| {
                if !std::mem::replace(&mut sent, true) {
                    sender.send(cx.waker().clone()).unwrap();
                    return Poll::Pending;
                }
                if ready.load(Ordering::SeqCst) == 3 {
                    Poll::Ready(())
                } else {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            }))
        };
        let children = (0..3).map(|_| child(sender.clone(), Arc::clone(&ready))).collect();
        drop(sender);
        let (all, _) = All::<Own>::new(children);
        async_io::block_on(all);
        thread.join().unwrap();
    }
}

#[test]
fn nothing_is_allocated_for_a_child_in_a_slot_that_has_been_used() {
    let mut wakers = Own::EMPTY;
    wakers.begin(2, Waker::noop());
    let mut identities = Vec::new();
    for _ in 0..3 {
        while let Some(slot) = wakers.next_ready() {
            let mut cx = Context::from_waker(Waker::noop());
            identities.push((slot, wakers.poll_child(slot, &mut cx, |cx| cx.waker().data() as usize)));
        }
        wakers.begin(2, Waker::noop());
        wakers.renew(0);
    }
    let first = identities[0].1;
    assert!(identities.iter().filter(|(slot, _)| *slot == 0).all(|(_, waker)| *waker == first), "{identities:?}");
}
