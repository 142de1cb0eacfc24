//! Single requests made into batches: who calls the service, when it is ready, and what becomes of the others when that goes wrong.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aplomb_tokio::prelude::*;
use aplomb_tower::web::HttpStatus;
use aplomb_tower::{BatchLayer, BulkheadLayer, Reason, Rejection};
use http::{Response, StatusCode};
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

#[tokio::test(start_paused = true)]
async fn requests_that_come_together_go_together_and_each_has_its_own_response() {
    static SQUARES: Batcher<u32, u64> = checked!(Batcher::new(3).max_wait(ms(50)));
    static BATCHES: AtomicU32 = AtomicU32::new(0);
    let squares = BatchLayer::new(&SQUARES).layer(service_fn(async |numbers: Vec<u32>| {
        BATCHES.fetch_add(1, Ordering::Relaxed);
        sleep(ms(10)).await;
        Ok::<_, Infallible>(numbers.into_iter().map(|number| u64::from(number).pow(2)).collect::<Vec<_>>())
    }));
    let began = Instant::now();
    let calls: Vec<_> = (0..7).map(|number| tokio::spawn(squares.clone().oneshot(number))).collect();
    for (number, call) in (0..).zip(calls) {
        assert_eq!(call.await.unwrap(), Ok(number * number));
        assert_eq!(began.elapsed(), if number < 6 { ms(10) } else { ms(60) });
    }
    assert_eq!(BATCHES.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn it_may_be_owned() {
    let halves: Arc<Batcher<u32, u32>> = Arc::new(Batcher::new(2));
    let service = BatchLayer::new(Arc::clone(&halves))
        .layer(service_fn(async |numbers: Vec<u32>| Ok::<_, Infallible>(numbers.iter().map(|n| n / 2).collect::<Vec<_>>())));
    let calls = [4, 6].map(|number| tokio::spawn(service.clone().oneshot(number)));
    for (half, call) in [2, 3].into_iter().zip(calls) {
        assert_eq!(call.await.unwrap(), Ok(half));
    }
    assert_eq!((halves.snapshot().waiting, halves.snapshot().running), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_request_may_fail_alone_and_an_error_is_for_all() {
    static HALVES: Batcher<u32, u32, &str> = checked!(Batcher::new(2));
    let halves = BatchLayer::new(&HALVES).layer(service_fn(async |numbers: Vec<u32>| {
        if numbers.contains(&13) {
            return Err("bad luck");
        }
        Ok(numbers.into_iter().map(|n| if n % 2 == 0 { Ok(n / 2) } else { Err("odd") }).collect::<Vec<_>>())
    }));
    let both = async |one, other| tokio::join!(halves.clone().oneshot(one), halves.clone().oneshot(other));
    assert_eq!(both(8, 7).await, (Ok(4), Err(BatchError::Failed("odd"))));
    assert_eq!(both(8, 13).await, (Err(BatchError::Failed("bad luck")), Err(BatchError::Failed("bad luck"))));
    let respond = |_: &Rejection| 0;
    let own = BatchLayer::new(&HALVES).respond(respond).layer(service_fn(async |_: Vec<u32>| Err::<Vec<u32>, _>("down")));
    assert_eq!(own.oneshot(1).await, Err("down"));
}

/// A limiter within counts batches, and is asked by the one that calls.
#[tokio::test(start_paused = true)]
async fn the_service_within_is_ready_once_a_batch() {
    static NAMES: Batcher<u32, String, BulkheadError<Infallible>> = checked!(Batcher::new(2));
    static PLACES: Bulkhead = Bulkhead::new(1);
    let names = ServiceBuilder::new().layer(BatchLayer::new(&NAMES)).layer(BulkheadLayer::new(&PLACES)).service(service_fn(
        async |ids: Vec<u32>| {
            sleep(ms(10)).await;
            Ok::<_, Infallible>(ids.iter().map(ToString::to_string).collect::<Vec<_>>())
        },
    ));
    let began = Instant::now();
    let calls: Vec<_> = (0..6).map(|id| tokio::spawn(names.clone().oneshot(id))).collect();
    for (id, call) in (0..).zip(calls) {
        assert_eq!(call.await.unwrap().unwrap(), id.to_string());
        assert_eq!(began.elapsed(), ms(10) * (id / 2 + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_leads_and_is_dropped_hands_over_or_not() {
    static AGAIN: Batcher<u32, u32> = checked!(Batcher::new(2));
    static ONCE: Batcher<u32, u32> = checked!(Batcher::new(2));
    // It answers one request, and never two.
    let service = service_fn(async |ids: Vec<u32>| if ids.len() > 1 { pending().await } else { Ok::<_, Infallible>(ids) });
    let again = BatchLayer::new(&AGAIN).layer(service);
    let [follows, leads] = [1, 2].map(|id| tokio::spawn(again.clone().oneshot(id)));
    sleep(ms(1)).await;
    leads.abort();
    assert_eq!(follows.await.unwrap(), Ok(1));

    let once = BatchLayer::new(&ONCE).once().layer(service);
    let respond = |rejection: &Rejection| if rejection.reason == Reason::Lost { 0 } else { 9 };
    let responds = BatchLayer::new(&ONCE).once().respond(respond).layer(service);
    let [follows, leads] = [1, 2].map(|id| tokio::spawn(once.clone().oneshot(id)));
    sleep(ms(1)).await;
    leads.abort();
    assert_eq!(follows.await.unwrap(), Err(BatchError::Abandoned));
    let [follows, leads] = [1, 2].map(|id| tokio::spawn(responds.clone().oneshot(id)));
    sleep(ms(1)).await;
    leads.abort();
    assert_eq!(follows.await.unwrap(), Ok(0));
}

#[tokio::test(start_paused = true)]
async fn in_the_terms_of_http() {
    static CROWDED: Batcher<u32, Response<String>> = checked!(Batcher::new(1).max_waiting(1).max_concurrent(1));
    static SHORT: Batcher<u32, Response<String>> = Batcher::new(1);
    static WRONG: Batcher<u32, Response<String>> = Batcher::new(0);
    let ask = async |batcher, answers| {
        let service = service_fn(move |_: Vec<u32>| async move {
            sleep(ms(10)).await;
            Ok::<_, Infallible>((0..answers).map(|_| Response::new(String::new())).collect::<Vec<_>>())
        });
        BatchLayer::new(batcher).respond(HttpStatus::new()).layer(service).oneshot(7).await.unwrap().status()
    };
    let (runs, waits, full) = tokio::join!(ask(&CROWDED, 1), ask(&CROWDED, 1), ask(&CROWDED, 1));
    assert_eq!([runs, waits, full], [StatusCode::OK, StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE]);
    assert_eq!(ask(&SHORT, 2).await, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(ask(&WRONG, 1).await, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_the_leaders_and_the_others_end() {
    static NAMES: Batcher<u32, u32> = checked!(Batcher::new(2));
    let names =
        BatchLayer::new(&NAMES).layer(service_fn(async |_: Vec<u32>| -> Result<Vec<u32>, Infallible> { panic!("its own") }));
    let [follows, leads] = [1, 2].map(|id| tokio::spawn(names.clone().oneshot(id)));
    assert_eq!(follows.await.unwrap(), Err(BatchError::Abandoned));
    assert!(leads.await.unwrap_err().is_panic());
    assert_eq!((NAMES.snapshot().waiting, NAMES.snapshot().running), (0, 0));
}
