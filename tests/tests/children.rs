//! Both ways of waking children, under the same tests.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use aplomb::children::{Children, FutureGroup, PinnedStorage, Turn};
use aplomb::{Heap, Inline, OwnWakers, ParentWaker, Platform};
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

/// A group: whenever a child ends, its slot takes the next one, which is polled in the same poll.
#[test]
fn a_slot_takes_one_after_another_until_nothing_is_left() {
    fn check<C: Children, S: PinnedStorage>() {
        let (mut left, mut ended, mut polls) = (13, 0, 0);
        let mut group = pin!(FutureGroup::<Child, u32, C, S>::new(3));
        let mut poll = |cx: &mut Context<'_>| {
            polls += 1;
            let mut turn = Turn::new();
            ended += std::iter::from_fn(|| group.as_mut().next_ended(&mut turn, cx)).count();
            while left > 0
                && group.len() < 3
                && let Some(vacancy) = group.as_mut().vacancy()
            {
                left -= 1;
                ended += usize::from(vacancy.admit(left, yields(left % 3), &mut turn, cx).is_some());
            }
            if group.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        };
        let count = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&count));
        while poll(&mut Context::from_waker(&waker)).is_pending() {
            assert!(count.0.swap(0, Ordering::Relaxed) > 0, "it waits, and nobody will wake it");
        }
        assert_eq!(ended, 13);
        assert!(polls <= 7, "{polls} polls: what ends at once does not wait for another");
    }
    check::<ParentWaker, Inline<3>>();
    check::<ParentWaker, Heap>();
    check::<Own, Inline<5>>();
    check::<Own, Heap>();
}

/// As a stream does, which hands on one at a time.
#[test]
fn those_that_have_not_had_their_turn_have_it_in_the_next_poll() {
    fn check<C: Children>() {
        let mut group = pin!(FutureGroup::<Child, usize, C, Heap>::new(usize::MAX));
        let (gates, open): (Vec<Child>, Vec<_>) = (0..9).map(|_| gated()).unzip();
        let count = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        let mut turn = Turn::new();
        for (index, gate) in gates.into_iter().enumerate() {
            assert!(group.as_mut().vacancy().unwrap().admit(index, gate, &mut turn, &mut cx).is_none());
        }
        let mut ended = Vec::new();
        for several in [&[7, 2, 4][..], &[0, 8, 1, 5], &[3, 6]] {
            for index in several {
                open[*index]();
            }
            assert!(count.0.swap(0, Ordering::Relaxed) > 0);
            ended.extend(std::iter::from_fn(|| group.as_mut().next_ended(&mut Turn::new(), &mut cx)).map(|(index, ())| index));
            assert_eq!(group.len(), 9 - ended.len());
        }
        ended.sort_unstable();
        assert_eq!(ended, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }
    check::<ParentWaker>();
    check::<Own>();
}

/// It comes into an empty group, which knows nobody yet whom to wake.
#[test]
fn the_first_child_wakes_its_parent_even_while_it_is_polled_first() {
    fn check<C: Children>() {
        let mut group = pin!(FutureGroup::<Child, (), C, Inline<1>>::new(1));
        for _ in 0..3 {
            let count = Arc::new(Wakes::default());
            let waker = Waker::from(Arc::clone(&count));
            let mut cx = Context::from_waker(&waker);
            let vacancy = group.as_mut().vacancy().unwrap();
            assert!(vacancy.admit((), yields(1), &mut Turn::new(), &mut cx).is_none());
            assert!(count.0.load(Ordering::Relaxed) > 0);
            assert!(group.as_mut().vacancy().is_none());
            assert_eq!(group.as_mut().next_ended(&mut Turn::new(), &mut cx), Some(((), ())));
        }
    }
    check::<ParentWaker>();
    check::<Own>();
}

#[test]
fn a_group_that_is_cleared_takes_new_ones() {
    fn check<C: Children>() {
        let dropped = Rc::new(Cell::new(0));
        let mut group = pin!(FutureGroup::<Child, u32, C, Inline<4>>::new(4));
        let waker = Waker::noop();
        let mut cx = Context::from_waker(waker);
        for round in 1..=3 {
            for tag in 0..4 {
                let guard = CountsDrops(Rc::clone(&dropped));
                let child: Child = Box::pin(async move {
                    let _guard = guard;
                    std::future::pending::<()>().await;
                });
                assert!(group.as_mut().vacancy().unwrap().admit(tag, child, &mut Turn::new(), &mut cx).is_none());
            }
            assert!(group.as_mut().vacancy().is_none());
            group.as_mut().clear();
            assert_eq!((dropped.get(), group.len()), (4 * round, 0));
        }
    }
    check::<ParentWaker>();
    check::<Own>();
}

struct CountsDrops(Rc<Cell<u32>>);

impl Drop for CountsDrops {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn a_new_child_may_be_polled_before_the_next_poll_begins() {
    let mut wakers = Own::EMPTY;
    let wake = |cx: &mut Context<'_>| cx.waker().wake_by_ref();
    wakers.poll_child(0, &mut Context::from_waker(Waker::noop()), wake);
    assert!(wakers.listen(Waker::noop()), "it woke itself when nobody listened");
    wakers.begin(1, Waker::noop());
    assert_eq!(wakers.next_ready(), Some(0));
    assert!(!wakers.listen(Waker::noop()));
    wakers.begin(3, Waker::noop());
    wakers.poll_child(0, &mut Context::from_waker(Waker::noop()), wake);
    // Those that nobody has polled come; whoever woke itself meanwhile has its turn in the next poll.
    assert_eq!(std::iter::from_fn(|| wakers.next_ready()).collect::<Vec<_>>(), [1, 2]);
    wakers.begin(3, Waker::noop());
    assert_eq!(std::iter::from_fn(|| wakers.next_ready()).collect::<Vec<_>>(), [0]);
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
    let mut group = pin!(FutureGroup::<Child, (), Own, Heap>::new(2));
    let mut cx = Context::from_waker(Waker::noop());
    let identities = Rc::new(RefCell::new(Vec::new()));
    for _ in 0..5 {
        let seen = Rc::clone(&identities);
        let child: Child = Box::pin(poll_fn(move |cx| {
            seen.borrow_mut().push(cx.waker().data() as usize);
            Poll::Ready(())
        }));
        assert!(group.as_mut().vacancy().unwrap().admit((), child, &mut Turn::new(), &mut cx).is_some());
    }
    let identities = identities.take();
    assert!(identities.iter().all(|waker| *waker == identities[0]), "{identities:?}");
}
