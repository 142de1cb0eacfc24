//! Batchers and their calls.

use std::future::Ready;
use std::rc::Rc;

use aplomb::batcher::{Again, Call, Cause, Event, Once, Snapshot};
use aplomb::observe::Silent;
use aplomb::{BatchError, Batcher, Heap, Inline, Storage};
use aplomb_embassy::Embassy;
use aplomb_sim::{Manual, Sim};
use aplomb_smol::Smol;
use aplomb_tokio::Tokio;

use super::Lacks;

type Load<S> = fn(<S as Storage>::Slots<u32>) -> Ready<Result<[u32; 2], u32>>;
type Brings<P, S, K> =
    Call<&'static Batcher<P, u32, u32, u32, S>, P, u32, u32, u32, S, Silent, K, Load<S>, Ready<Result<[u32; 2], u32>>>;

#[test]
fn batchers() {
    types! {
        Batcher<Tokio, u32, u32, u32>: "Send Sync Unpin",
        Batcher<Smol, u32, u32, u32>: "Send Sync Unpin",
        Batcher<Embassy, u32, u32, u32>: "Send Sync Unpin",
        Batcher<Embassy, u32, u32, u32, Inline<4>>: "Send Sync Unpin",
        Batcher<Sim, u32, u32, u32>: "Send Sync Unpin",
        Batcher<Manual<'static, 4>, u32, u32, u32>: "Unpin",
        Batcher<Tokio, Rc<u32>, u32, u32>: "Unpin",
        Brings<Tokio, Heap, Again>: "Send Sync",
        Brings<Tokio, Heap, Once>: "Send Sync",
        Brings<Smol, Heap, Again>: "Send Sync Unpin",
        Brings<Embassy, Inline<4>, Again>: "Send Sync Unpin",
        BatchError<u32>: "Send Sync Unpin Copy",
        BatchError<Rc<u32>>: "Unpin",
        Event: "Send Sync Unpin Copy",
        Cause: "Send Sync Unpin Copy",
        Snapshot: "Send Sync Unpin Copy",
    }
}

/// Of a call, an in-place batch and what is kept of it are its largest parts.
#[test]
fn sizes_of_batchers() {
    assert!(size_of::<Brings<Embassy, Inline<4>, Once>>() <= 136, "{}", size_of::<Brings<Embassy, Inline<4>, Once>>());
    assert!(size_of::<Brings<Tokio, Heap, Once>>() <= 264, "{}", size_of::<Brings<Tokio, Heap, Once>>());
}
