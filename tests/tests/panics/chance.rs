//! What panics by chance, and those who call.

use std::cell::Cell;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::panicking;

thread_local! {
    static RANDOM: Cell<u64> = const { Cell::new(0) };
    /// One chance in so many is taken; 0: none.
    pub(super) static ODDS: Cell<u64> = const { Cell::new(0) };
}

pub(super) fn draw(below: u64) -> u64 {
    let next = RANDOM.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    RANDOM.set(next);
    (next >> 33) % below
}

/// A chance to panic, unless something does.
pub(super) fn chance() {
    if ODDS.get() > 0 && !panicking() && draw(ODDS.get()) == 0 {
        resume_unwind(Box::new("by chance"));
    }
}

/// Nothing panics while it is set out.
pub(super) fn set_out(seed: u64) {
    RANDOM.set(seed);
    ODDS.set(0);
}

/// Things panic, more or less often.
pub(super) fn begin(seed: u64) {
    ODDS.set([40, 300, 1_500][usize::try_from(seed % 3).unwrap()]);
}

/// What may panic is done. What it returns, if it does not.
pub(super) fn attempt<R>(act: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(act)).ok()
}

/// A key, a value, or an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fragile(pub(super) u64);

impl Hash for Fragile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        chance();
        self.0.hash(state);
    }
}

impl Clone for Fragile {
    fn clone(&self) -> Self {
        chance();
        Self(self.0)
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        chance();
    }
}

pub(super) struct Operation {
    ends: Option<Result<Fragile, Fragile>>,
    is_ready: bool,
}

pub(super) fn operation(key: u64) -> Operation {
    chance();
    let value = Fragile(key);
    Operation { ends: Some(if draw(3) == 0 { Err(value) } else { Ok(value) }), is_ready: draw(2) == 0 }
}

impl Future for Operation {
    type Output = Result<Fragile, Fragile>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        chance();
        let is_ready = self.is_ready;
        if let Some(ended) = self.ends.take_if(|_| is_ready) {
            return Poll::Ready(ended);
        }
        self.is_ready = draw(4) == 0;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        chance();
    }
}

/// Says that it was woken, and then may panic; or when it is dropped.
#[derive(Default)]
pub(super) struct Wakes(pub(super) Arc<AtomicBool>);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
        chance();
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        chance();
    }
}

pub(super) type Call<'c> = Pin<Box<dyn Future<Output = ()> + 'c>>;

/// A call of which nobody wants to know what it ends with. It is no `async` block, which drops all that it holds when that panics.
pub(super) struct Ends<F>(pub(super) Pin<Box<F>>);

impl<F: Future> Future for Ends<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx).map(drop)
    }
}

pub(super) struct Caller<'c> {
    call: Call<'c>,
    /// Even if it panics.
    may_be_kept: bool,
    /// Since it was polled.
    is_woken: Arc<AtomicBool>,
}

impl Caller<'_> {
    /// Whether it is pending, unless it panics.
    pub(super) fn poll(&mut self) -> Option<bool> {
        self.is_woken.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::new(Wakes(Arc::clone(&self.is_woken))));
        let polled = attempt(|| self.call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        attempt(|| drop(waker));
        polled
    }
}

/// All who call are polled, dropped, or kept though they have panicked.
#[derive(Default)]
pub(super) struct Callers<'c> {
    pub(super) calls: Vec<Caller<'c>>,
    kept: Vec<Caller<'c>>,
}

impl<'c> Callers<'c> {
    pub(super) fn come(&mut self, call: impl Future + 'c) {
        self.add(call, true);
    }

    /// It goes when it panics: what is no call, but waits for a permit, goes on if it is polled again.
    pub(super) fn ask(&mut self, permit: impl Future + 'c) {
        self.add(permit, false);
    }

    fn add(&mut self, call: impl Future + 'c, may_be_kept: bool) {
        if self.calls.len() < 12 {
            let is_woken = Arc::new(AtomicBool::new(true));
            self.calls.push(Caller { call: Box::pin(Ends(Box::pin(call))), may_be_kept, is_woken });
        }
    }

    /// All who were woken are polled.
    pub(super) fn poll_woken(&mut self) {
        self.calls.retain_mut(|caller| !caller.is_woken.load(Ordering::Relaxed) || caller.poll() == Some(true));
    }

    pub(super) fn poll_one(&mut self) {
        if self.calls.is_empty() {
            return;
        }
        let at = usize::try_from(draw(self.calls.len() as u64)).unwrap();
        let polled = self.calls[at].poll();
        let stays = polled.is_some_and(|pending| pending && draw(16) > 0);
        if !stays {
            let caller = self.calls.swap_remove(at);
            if polled.is_none() && caller.may_be_kept && draw(2) == 0 {
                self.kept.push(caller);
            } else {
                attempt(|| drop(caller));
            }
        }
    }
}
