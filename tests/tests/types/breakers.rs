//! Circuit breakers.

use std::future::{Ready, ready};
use std::rc::Rc;
use std::sync::Arc;

use aplomb::circuit_breaker::{
    AnyError, Changed, Consecutive, Event, FailureIf, LastCalls, LastTime, OfKey, Permit, Run, Snapshot, State, Tally, Verdict,
};
use aplomb::{BreakerError, CircuitBreaker, Inline, KeyedCircuitBreaker};
use aplomb_embassy::Embassy;
use aplomb_smol::Smol;
use aplomb_tokio::Tokio;

use super::{Lacks, Local, Op, Start};

type Called<F> = Run<&'static CircuitBreaker<Tokio>, Start<F>, F>;
type Keyed<K> = KeyedCircuitBreaker<Tokio, K>;
type Watched = CircuitBreaker<Tokio, Consecutive, aplomb::backoff::Constant, AnyError, Inline<1>, Rc<()>>;

#[test]
fn breakers() {
    types! {
        CircuitBreaker<Tokio>: "Send Sync Unpin",
        CircuitBreaker<Smol, LastCalls>: "Send Sync Unpin",
        CircuitBreaker<Embassy, LastTime>: "Send Sync Unpin",
        Watched: "Unpin",
        Keyed<String>: "Send Sync Unpin",
        Keyed<Rc<str>>: "Unpin",
        Called<Op>: "Send Sync Unpin",
        Called<Local>: "Unpin",
        Permit<&'static CircuitBreaker<Tokio>>: "Send Sync Unpin",
        Permit<Arc<CircuitBreaker<Tokio>>>: "Send Sync Unpin",
        Permit<OfKey<'static, Keyed<String>, str>>: "Send Sync Unpin",
        Changed<'static, Tokio>: "Send Sync",
        Changed<'static, Embassy>: "Send Sync Unpin",
        FailureIf<fn(&u32) -> bool>: "Send Sync Unpin Copy",
        BreakerError<u32>: "Send Sync Unpin Copy",
        State: "Send Sync Unpin Copy",
        Event: "Send Sync Unpin Copy",
        Snapshot: "Send Sync Unpin Copy",
        Tally: "Send Sync Unpin Copy",
        Verdict: "Send Sync Unpin Copy",
    }
}

/// What a breaker takes on a server, and on firmware with nobody who waits for changes.
#[test]
fn sizes_of_breakers() {
    type Bare<T> = CircuitBreaker<Embassy, T, aplomb::backoff::Constant, AnyError, Inline<0>>;
    println!(
        "a breaker on tokio: {}, {} by the last 128 calls, {} by time; on firmware {}",
        size_of::<CircuitBreaker<Tokio>>(),
        size_of::<CircuitBreaker<Tokio, LastCalls>>(),
        size_of::<CircuitBreaker<Tokio, LastTime>>(),
        size_of::<Bare<Consecutive>>(),
    );
    assert!(size_of::<Bare<Consecutive>>() <= 240);
    assert!(size_of::<Called<Ready<Result<u32, u32>>>>() <= 48);
}

/// Under `spawn`, closures of every shape.
#[tokio::test]
async fn calls_are_spawned() {
    static BREAKER: CircuitBreaker<Tokio> = CircuitBreaker::consecutive(3);
    let (name, mut count) = (String::from("ann"), 0);
    let called = tokio::spawn(async move {
        let greeted = BREAKER.run(|| ready(Ok::<_, u32>(name.len()))).await?;
        BREAKER.run(async || ready(Ok::<_, u32>(())).await).await?;
        let counted = BREAKER
            .run(|| {
                let count = &mut count;
                async move {
                    *count += greeted;
                    Ok::<_, u32>(*count)
                }
            })
            .await?;
        Ok::<_, BreakerError<u32>>(counted)
    });
    assert_eq!(called.await.unwrap(), Ok(3));
    let owned = Arc::new(CircuitBreaker::<Tokio>::consecutive(1));
    let permit = CircuitBreaker::permit_owned(Arc::clone(&owned)).unwrap();
    tokio::spawn(async move { permit.failure() }).await.unwrap();
    assert_eq!(owned.state(), State::Open);
}
