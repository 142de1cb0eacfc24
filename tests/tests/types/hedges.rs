//! Hedges and fallbacks.

use std::future::Ready;

use aplomb::fallback::{Fallback, OnlyIf, Value};
use aplomb::hedge::{After, Cause, Event, FatalIf, NoneFatal, Numbered, Percentile, Run, Snapshot, Verdict};
use aplomb::time::ms;
use aplomb::{Clock, Heap, Hedge, HedgeError, Inline, Platform, checked};
use aplomb_embassy::Embassy;
use aplomb_sim::Sim;
use aplomb_smol::Smol;
use aplomb_tokio::Tokio;

use crate::{Lacks, Local, ManualFour, Op};

type Call<P, F, S = Inline<1>> = Run<&'static Hedge<P, After, S>, fn() -> F>;
type Outcome = Result<u32, u32>;

#[test]
fn hedges() {
    types! {
        Hedge<Tokio>: "Send Sync Unpin",
        Hedge<Smol, Percentile>: "Send Sync Unpin",
        Hedge<Embassy, Percentile, Inline<3>>: "Send Sync Unpin",
        Hedge<Sim>: "Send Sync Unpin",
        Hedge<Tokio, After, Heap>: "Send Sync Unpin",
        Hedge<ManualFour>: "Unpin",
        Call<Tokio, Op>: "Send Sync",
        Call<Smol, Op>: "Send Sync Unpin",
        Call<Embassy, Op, Inline<3>>: "Send Sync Unpin",
        Call<Tokio, Op, Heap>: "Send Sync",
        Call<Tokio, Local>: "",
        Call<Embassy, Local>: "Unpin",
        Numbered<fn(u32) -> Op>: "Send Sync Unpin Copy",
        After: "Send Sync Unpin Copy",
        Percentile: "Send Sync Unpin Copy",
        NoneFatal: "Send Sync Unpin Copy",
        FatalIf<fn(&u32) -> bool>: "Send Sync Unpin Copy",
        Verdict: "Send Sync Unpin Copy",
        Event: "Send Sync Unpin Copy",
        Cause: "Send Sync Unpin Copy",
        Snapshot: "Send Sync Unpin Copy",
        HedgeError<u32>: "Send Sync Unpin Copy",
    }
}

#[test]
fn fallbacks() {
    types! {
        Fallback<Op, Value<u32>, Ready<Outcome>>: "Send Sync Unpin",
        Fallback<Local, fn(u32) -> Op, Op>: "Unpin",
        Fallback<Op, OnlyIf<fn(u32) -> Local, fn(&u32) -> bool>, Local>: "Unpin",
        Value<u32>: "Send Sync Unpin Copy",
        OnlyIf<Value<u32>, fn(&u32) -> bool>: "Send Sync Unpin Copy",
    }
}

#[test]
fn a_hedge_stands_in_a_static_on_every_platform() {
    macro_rules! on {
        ($($platform:ty),*) => {{
            $({
                static FIXED: Hedge<$platform> = checked!(Hedge::<$platform>::after(ms(50)));
                static FOLLOWED: Hedge<$platform, Percentile> =
                    checked!(Hedge::<$platform, Percentile>::percentile(aplomb::ratio::percent(95)).max_delay(ms(500)));
                assert_eq!((FIXED.snapshot().delay, FOLLOWED.snapshot().delay), (ms(50), std::time::Duration::MAX));
            })*
        }};
    }
    on!(Tokio, Smol, Embassy, Sim);
}

#[test]
fn a_call_is_its_starts_its_sleep_and_some_80_bytes() {
    fn check<P: Platform + 'static>(name: &str) {
        let (op, sleep) = (size_of::<Option<Op>>(), size_of::<<P::Clock as Clock>::Sleep>());
        let (one, three) = (size_of::<Call<P, Op>>(), size_of::<Call<P, Op, Inline<3>>>());
        println!("hedge on {name}: {one} bytes with one hedge, {three} with three; a start is {op}, the sleep {sleep}");
        assert!(one <= 2 * op + sleep + 88, "{name}");
        assert!(three <= 4 * op + sleep + 88, "{name}");
    }
    check::<Tokio>("tokio");
    check::<Smol>("smol");
    check::<Embassy>("embassy");
    check::<Sim>("sim");
}
