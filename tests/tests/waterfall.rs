//! What a waterfall costs: no more than its largest step.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::future::Future;
use std::hint::black_box;
use std::task::{Context, Poll};

use aplomb::waterfall::waterfall;

type Outcome<T> = Result<T, std::io::Error>;

/// A step that holds so many bytes while it waits.
async fn holds<const N: usize>(input: u32) -> Outcome<u32> {
    let held = [1_u8; N];
    let mut yielded = false;
    std::future::poll_fn(|cx: &mut Context<'_>| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    Ok(input + u32::from(black_box(&held)[0]))
}

fn size_of_future<F: Future>(future: &F) -> usize {
    size_of_val(future)
}

#[test]
fn the_future_is_as_large_as_its_largest_step() {
    let largest = size_of_future(&holds::<1_000>(0));
    let five = waterfall(holds::<100>).then(holds::<1_000>).then(holds::<300>).then(holds::<800>).then(holds::<900>).run(1);
    assert!(size_of_future(&five) <= largest + 8, "{} bytes, the largest step has {largest}", size_of_future(&five));
    assert_eq!(aplomb_sim::block_on(five).unwrap(), 6);
}

#[test]
fn three_steps_that_hold_nothing_take_no_more_than_a_few_words() {
    let ready = |input: u32| std::future::ready(Outcome::Ok(input + 1));
    let three = waterfall(ready).then(ready).then(ready).run(1);
    assert!(size_of_future(&three) <= 24, "{} bytes", size_of_future(&three));
    assert_eq!(aplomb_sim::block_on(three).unwrap(), 4);
}

#[test]
fn a_chain_that_can_be_copied_runs_again() {
    let chain = waterfall(holds::<1>).then(holds::<2>);
    for input in 0..3 {
        assert_eq!(aplomb_sim::block_on(chain.run(input)).unwrap(), input + 2);
    }
}

#[tokio::test]
async fn it_can_be_spawned_with_what_it_has_borrowed_inside() {
    let chain = async {
        let text = String::from("hello");
        waterfall(|text: &str| std::future::ready(Outcome::Ok(text.len()))).run(&*text).await
    };
    assert_eq!(tokio::spawn(chain).await.unwrap().unwrap(), 5);
}
