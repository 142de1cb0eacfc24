//! What a waterfall costs: no more than its largest step, however many there are; and what its steps may borrow.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::future::{Future, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aplomb::waterfall::{WaterfallError, waterfall};

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

/// Counts up to 1000, and fails there.
async fn count(number: u32) -> Result<u32, &'static str> {
    if number < 1_000 { Ok(number + 1) } else { Err("far enough") }
}

macro_rules! four_more {
    ($chain:expr) => {
        $chain.then(async |number| count(number).await).then(count).then(async |number| count(number).await).then(count)
    };
}

macro_rules! sixteen_more {
    ($chain:expr) => {
        four_more!(four_more!(four_more!(four_more!($chain))))
    };
}

#[test]
fn sixty_four_steps_compile_run_and_say_which_failed() {
    let four = waterfall(count).then(count).then(count).then(count);
    let chain = sixteen_more!(sixteen_more!(sixteen_more!(four_more!(four_more!(four_more!(four))))));
    assert_eq!(aplomb_sim::block_on(chain.run(936)), Ok(1_000));
    for step in 0..64 {
        let failed = aplomb_sim::block_on(chain.run(1_000 - u32::try_from(step).unwrap()));
        assert_eq!(failed, Err(WaterfallError { step, name: None, error: "far enough" }));
    }
}

#[test]
fn sixty_four_steps_are_as_large_as_the_largest() {
    let largest = size_of_future(&holds::<1_000>(0));
    let one = waterfall(async |number| holds::<1_000>(number).await.map_err(|_| "never"));
    let all =
        sixteen_more!(sixteen_more!(sixteen_more!(four_more!(four_more!(four_more!(one.then(count).then(count).then(count)))))));
    let all = all.run(0);
    assert!(size_of_future(&all) <= largest + 16, "{} bytes, the largest step has {largest}", size_of_future(&all));
    assert_eq!(aplomb_sim::block_on(all), Ok(64));
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

#[test]
fn names_that_are_closures_take_no_room() {
    let unnamed = waterfall(count).then(count).then(count).run(998);
    let named = waterfall(count).named(|| "first").then(count).named(|| "second").then(count).named(|| "third").run(998);
    assert_eq!(size_of_future(&named), size_of_future(&unnamed));
    assert_eq!(aplomb_sim::block_on(named), Err(WaterfallError { step: 2, name: Some("third"), error: "far enough" }));
}

#[test]
fn the_last_name_of_a_step_is_the_one_that_is_told() {
    let chain = waterfall(count).named("first").then(count).named(|| "once").named(String::from("then").leak() as &'static str);
    let failed = aplomb_sim::block_on(chain.run(999)).unwrap_err();
    assert_eq!((failed.step, failed.name), (1, Some("then")));
}

#[test]
fn after_its_end_it_is_pending() {
    let mut cx = Context::from_waker(Waker::noop());
    for (input, outcome) in [(0, Ok(2)), (1_000, Err(0)), (999, Err(1))] {
        let mut run = pin!(waterfall(count).then(count).run(input));
        assert_eq!(run.as_mut().poll(&mut cx).map_err(|failed| failed.step), Poll::Ready(outcome));
        assert_eq!(run.as_mut().poll(&mut cx), Poll::Pending);
    }
}

/// What the steps of the following tests hand on.
#[derive(Debug, Default)]
struct Journal {
    lines: Vec<String>,
}

async fn open(journal: &mut Journal) -> Outcome<&mut Journal> {
    tokio::task::yield_now().await;
    journal.lines.push("opened".into());
    Ok(journal)
}

async fn write<'a>(journal: &'a mut Journal, line: &str) -> Outcome<&'a str> {
    tokio::task::yield_now().await;
    journal.lines.push(line.into());
    Ok(journal.lines.last().unwrap())
}

async fn open_and_write(journal: &mut Journal, line: &str) -> Result<usize, WaterfallError<std::io::Error>> {
    waterfall(open).then(|journal| write(journal, line)).then(async |line| Ok(line.len())).run(journal).await
}

#[tokio::test]
async fn spawned_it_lends_state_to_one_step_after_another() {
    let spawned = tokio::spawn(async {
        let mut journal = Journal::default();
        let line = String::from("hello");
        let length = open_and_write(&mut journal, &line).await.unwrap() + open_and_write(&mut journal, &line).await.unwrap();
        (length, journal.lines)
    });
    assert_eq!(spawned.await.unwrap(), (10, ["opened", "hello", "opened", "hello"].map(String::from).to_vec()));
}

#[tokio::test]
async fn spawned_its_steps_may_capture_borrows_and_be_async_closures() {
    let spawned = tokio::spawn(async {
        let seen = std::sync::Mutex::new(Vec::new());
        let offset = 40;
        let chain = waterfall(async |number: &u32| {
            tokio::task::yield_now().await;
            seen.lock().unwrap().push(*number);
            Outcome::Ok(number)
        })
        .named("see")
        .then(async |number| {
            tokio::task::yield_now().await;
            Ok(*number + offset)
        })
        .named(|| "add");
        let sum = chain.run(&2).await.unwrap() + chain.run(&3).await.unwrap();
        (sum, seen.into_inner().unwrap())
    });
    assert_eq!(spawned.await.unwrap(), (85, vec![2, 3]));
}

#[tokio::test]
async fn spawned_it_owns_what_was_moved_into_it() {
    let text = String::from("moved");
    let prefix = String::from("it was ");
    let run = waterfall(async |text: String| Outcome::Ok(text.into_bytes()))
        .then(|bytes| ready(String::from_utf8(bytes).map_err(std::io::Error::other)))
        .then(async move |text| Ok(prefix + &text))
        .run(text);
    assert_eq!(tokio::spawn(run).await.unwrap().unwrap(), "it was moved");
}

#[tokio::test]
async fn it_can_be_spawned_with_what_it_has_borrowed_inside() {
    let chain = async {
        let text = String::from("hello");
        waterfall(|text: &str| std::future::ready(Outcome::Ok(text.len()))).run(&*text).await
    };
    assert_eq!(tokio::spawn(chain).await.unwrap().unwrap(), 5);
}
