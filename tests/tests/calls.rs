//! What callers write: each shape of a call, where it has to work.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::future::{Future, IntoFuture, ready};
use std::time::Duration;

use aplomb_tokio::prelude::*;
use tokio::runtime::Builder;

#[derive(Debug, Clone, Copy, PartialEq)]
struct HttpError(u16);

impl HttpError {
    fn is_server_error(self) -> bool {
        self.0 >= 500
    }
}

impl std::fmt::Display for HttpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "status {}", self.0)
    }
}

impl std::error::Error for HttpError {}

#[derive(Debug, PartialEq)]
struct User(u32);

async fn fetch_user(id: u32) -> Result<User, HttpError> {
    tokio::task::yield_now().await;
    Ok(User(id))
}

type Anything = Box<dyn std::error::Error + Send + Sync>;

/// On all threads of a real runtime, where futures have to be `Send`.
fn on_threads<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(async { tokio::spawn(future).await.unwrap() })
}

static BUDGET: RetryBudget = RetryBudget::new(500);
static RETRY: Retry = checked!(Retry::standard(&BUDGET).max_attempts(4).deadline(secs(10)));
static AT_ONCE: Retry<Constant> = checked!(Retry::new().backoff(Constant::every(Duration::ZERO)));

static HEDGE: Hedge = checked!(Hedge::after(ms(50)));
static FOLLOWED: Hedge<Percentile, Inline<3>> =
    checked!(Hedge::percentile(percent(95)).storage().max_hedges(3).budget(percent(5)));

#[test]
fn hedges_and_fallbacks_are_called_on_threads() {
    let user = on_threads(async {
        let id = 7;
        let user = HEDGE.run(|| fetch_user(id)).await?;
        assert_eq!(user, User(7));
        let hosts = [1, 2, 3, 4];
        let user = FOLLOWED.run_numbered(|start| fetch_user(hosts[start as usize - 1])).await?;
        assert_eq!(user, User(1));
        let user =
            fallback(fetch_user(id), |error| async move { if error.is_server_error() { Ok(User(0)) } else { Err(error) } });
        assert_eq!(user.await?, User(7));
        let broken = timeout(secs(1), async { Err::<User, _>(HttpError(503)) });
        let user = fallback_value(broken, User(0)).fallback_if(|error| !error.is_timeout()).await?;
        Ok::<_, Anything>(user)
    });
    assert_eq!(user.unwrap(), User(0));
}

#[test]
fn the_lines_of_the_design_compile_as_written() {
    let user = on_threads(async {
        let id = 7;
        let user = timeout(secs(5), fetch_user(id)).await?;
        assert_eq!(user, User(7));
        let user = retry(|| fetch_user(id))
            .backoff(Exponential::from(ms(100)).max(secs(30)).jitter(Jitter::Full))
            .max_attempts(5)
            .retry_if(|e| e.is_server_error())
            .await?;
        Ok::<_, Anything>(user)
    });
    assert_eq!(user.unwrap(), User(7));
}

struct Client {
    calls: std::sync::atomic::AtomicU32,
}

impl Client {
    async fn get(&self, path: &str) -> Result<usize, HttpError> {
        tokio::task::yield_now().await;
        let before = self.calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if before % 3 < 2 { Err(HttpError(503)) } else { Ok(path.len()) }
    }

    /// A method that hands out a retried future.
    fn get_often<'c>(&'c self, path: &'c str) -> impl Future<Output = Result<usize, RetryError<HttpError>>> + Send + 'c {
        AT_ONCE.run(move || self.get(path))
    }
}

fn client() -> Client {
    Client { calls: 0.into() }
}

#[test]
fn closures_may_capture_references_under_spawn() {
    let got = on_threads(async {
        let (client, path) = (client(), String::from("/users"));
        let mut counted = 0;
        let counting = AT_ONCE.run(|| {
            counted += 1;
            client.get(&path)
        });
        let first = counting.await?;
        let second = client.get_often(&path).await?;
        let boxed: std::pin::Pin<Box<dyn Future<Output = _> + Send + '_>> = Box::pin(AT_ONCE.run(|| client.get("/")));
        Ok::<_, RetryError<HttpError>>((first, second, boxed.await?, counted))
    });
    assert_eq!(got, Ok((6, 6, 1, 3)));
}

/// An `async` closure that captures by shared reference makes a future that can be sent; `AsyncFnMut` could not say so.
#[test]
fn async_closures_that_capture_by_shared_reference() {
    let got = on_threads(async {
        let (client, path) = (client(), String::from("/users"));
        let owned = AT_ONCE.run(async || client.get(&path).await).await?;
        let told = retry(async || client.get(&path).await).backoff(Constant::every(Duration::ZERO)).await?;
        Ok::<_, RetryError<HttpError>>((owned, told))
    });
    assert_eq!(got, Ok((6, 6)));
}

#[test]
fn a_function_by_its_name_and_a_generic_caller() {
    async fn fetch() -> Result<u32, HttpError> {
        Ok(1)
    }
    fn go<F, Fut>(operation: F) -> tokio::task::JoinHandle<Result<u32, RetryError<HttpError>>>
    where
        F: FnMut() -> Fut + Send + 'static,
        Fut: Future<Output = Result<u32, HttpError>> + Send + 'static,
    {
        tokio::spawn(retry(operation).into_future())
    }
    assert_eq!(on_threads(async { go(fetch).await.unwrap() }), Ok(1));
    assert_eq!(on_threads(RETRY.run(fetch)), Ok(1));
}

#[derive(Debug, PartialEq)]
struct NoCarrier;

#[derive(Default)]
struct Modem {
    sent: u32,
    resets: u32,
}

impl Modem {
    async fn send(&mut self, frame: &mut [u8]) -> Result<u32, NoCarrier> {
        tokio::task::yield_now().await;
        self.sent += 1;
        frame[0] += 1;
        if self.sent < 3 { Err(NoCarrier) } else { Ok(self.sent) }
    }

    async fn reset(&mut self) {
        tokio::task::yield_now().await;
        self.resets += 1;
    }

    async fn dial(&mut self) -> Result<u32, NoCarrier> {
        self.send(&mut [0]).await
    }
}

#[test]
fn one_thing_may_be_lent_mutably_under_spawn() {
    let (sent, frame) = on_threads(async {
        let mut lent = (Modem::default(), [0; 4]);
        let sent = AT_ONCE.run_with(&mut lent, async |(modem, frame)| modem.send(frame).await).await;
        (sent, lent.1[0])
    });
    assert_eq!((sent, frame), (Ok(3), 3));
    let (sent, resets) = on_threads(async {
        let mut modem = Modem::default();
        let sent = AT_ONCE
            .run_with_between(&mut modem, async |modem| modem.send(&mut [0]).await, async |modem| modem.reset().await)
            .await;
        (sent, modem.resets)
    });
    assert_eq!((sent, resets), (Ok(3), 2));
}

#[test]
fn a_method_by_its_path_may_be_what_is_lent_to() {
    let dialled = on_threads(async { AT_ONCE.run_with(&mut Modem::default(), Modem::dial).await });
    assert_eq!(dialled, Ok(3));
}

/// What is lent may be used together with what is captured by shared reference.
#[test]
fn one_thing_is_lent_and_another_captured_under_spawn() {
    let (got, asked) = on_threads(async {
        let (client, path, mut asked) = (client(), String::from("/users"), 0);
        let got = AT_ONCE
            .run_with(&mut asked, async |asked| {
                *asked += 1;
                client.get(&path).await
            })
            .await;
        (got, asked)
    });
    assert_eq!((got, asked), (Ok(6), 3));
}

/// A context that holds references: under `spawn` the compiler does not see yet that it may be sent.
#[test]
fn references_may_be_lent_on_one_thread() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let (mut modem, mut frame) = (Modem::default(), [0; 4]);
    let sent = tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut lent = (&mut modem, &mut frame);
        AT_ONCE.run_with(&mut lent, async |(modem, frame)| modem.send(&mut **frame).await).await
    });
    assert_eq!((sent, frame[0]), (Ok(3), 3));
}

/// What is captured by value may be lent, too.
#[test]
fn an_async_closure_may_lend_from_itself_on_one_thread() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let (client, path) = (client(), String::from("/users"));
    let got = runtime.block_on(AT_ONCE.run_mut(async move || client.get(&path).await));
    assert_eq!(got, Ok(6));
}

#[test]
fn what_is_captured_may_be_lent_on_one_thread() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let (mut modem, mut frame) = (Modem::default(), [0; 4]);
    let sent = runtime.block_on(AT_ONCE.run_mut(async || modem.send(&mut frame).await));
    assert_eq!((sent, frame[0]), (Ok(3), 3));
}

#[test]
fn patterns_nest_without_a_box() {
    let outcome = on_threads(async {
        let client = client();
        let inner = || AT_ONCE.run(|| timeout(secs(1), client.get("/users")));
        RETRY.run(|| inner().timeout(secs(2))).await
    });
    assert_eq!(outcome.unwrap(), 6);
}

/// Attempts are multiplied, each under its own timeout: the outer retry sees the timeout's error, the timeout sees the inner retry's.
#[test]
fn a_retry_around_a_timeout_around_a_retry_around_a_timeout() {
    use aplomb_sim::prelude::*;
    static INNER: Retry<Constant> = checked!(Retry::new().max_attempts(2).backoff(Constant::every(ms(10))));
    static OUTER: Retry<Constant> = checked!(Retry::new().max_attempts(3).backoff(Constant::every(ms(100))));
    let starts = std::cell::Cell::new(0);
    let (error, took) = aplomb_sim::block_on(async {
        let error = OUTER
            .run(|| {
                let inner = || {
                    starts.set(starts.get() + 1);
                    timeout(ms(30), std::future::pending::<Result<(), HttpError>>())
                };
                timeout(ms(60), INNER.call(inner).into_future())
            })
            .await
            .unwrap_err();
        (error, aplomb_sim::now() - aplomb::Instant::ORIGIN)
    });
    // The second inner attempt begins at 40 of 60, and is not granted its 30.
    assert_eq!((starts.get(), took), (6, ms(3 * 60 + 2 * 100)));
    assert_eq!(error.attempts(), 3);
    assert!(error.inner().is_some_and(TimeoutError::is_timeout), "the timeout is the operation's own error here");
    assert_eq!(error.to_string(), "gave up after 3 attempts: timed out after 60ms");
}

/// Real tasks that share one policy, and one budget.
#[test]
fn one_policy_serves_many_tasks() {
    static BUDGET: RetryBudget = RetryBudget::new(20);
    static SHARED: Retry<Constant> = checked!(Retry::standard(&BUDGET).backoff(Constant::every(Duration::ZERO)));
    let attempts: u32 = on_threads(async {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..20 {
            calls.spawn(SHARED.run(|| ready(Err::<(), _>(HttpError(503)))));
        }
        calls.join_all().await.iter().map(|outcome| outcome.unwrap_err().attempts()).sum()
    });
    assert_eq!(attempts, 20 + 4, "twenty first attempts, and as many retries as twenty tokens pay for");
    assert_eq!(BUDGET.available(), 0);
}

#[test]
fn a_call_can_be_told_everything() {
    let told = on_threads(async {
        let client = client();
        let (mut events, mut hooks) = (Vec::new(), 0);
        let got = RETRY
            .call(|| client.get("/users"))
            .backoff(Linear::from(ms(1)).step(ms(1)).max(ms(2)))
            .max_attempts(9)
            .attempt_timeout(secs(1))
            .retry_if(|e| e.is_server_error())
            .retry_if_value(|length| *length == 0)
            .retry_after(|outcome| outcome.err().map(|_| ms(1)))
            .retry_after_max(secs(1))
            .reset_after(secs(60))
            .seed(7)
            .notify(|event| events.push(format!("{event:?}")))
            .between(|_| {
                hooks += 1;
                ready(())
            })
            .await;
        (got, events, hooks)
    });
    assert_eq!(told.0, Ok(6));
    assert_eq!(told.1.len(), 3, "{:?}", told.1);
    assert!(told.1[0].contains("Retrying") && told.1[2].contains("Succeeded { attempts: 3 }"), "{:?}", told.1);
    assert_eq!(told.2, 2);
}

/// Of what holds a reference, the compiler wants to know for any two lifetimes whether it may be sent.
#[test]
fn calls_with_a_deadline_may_be_spawned_whatever_their_keys_and_errors_hold() {
    type Fault = std::sync::Arc<dyn std::error::Error + Send + Sync>;
    static FLIGHTS: SingleFlight<&str, &str, Fault> = SingleFlight::new();
    static SURVIVES: SingleFlight<&str, &str, Fault, Survives> = SingleFlight::surviving();
    static CACHE: Cache<&str, &str, Fault> = Cache::new();
    async fn ask() -> Result<&'static str, Fault> {
        tokio::task::yield_now().await;
        Ok("ann")
    }
    let memoized = memoize(|_: &str| ask());
    let answers = on_threads(async move {
        let by = deadline(secs(60));
        let first = [
            FLIGHTS.run(&"7", ask).deadline_at(by).with_shared().await.result,
            SURVIVES.run(&"7", ask).deadline_at(by).await,
            CACHE.get(&"7", ask).deadline_at(by).await,
            memoized.call(&"7").deadline_at(by).await,
        ];
        let read = CACHE.get_with_refresh(&"8", ask).deadline_at(by).await;
        first.into_iter().chain([read.map(|read| read.value)]).map(Result::unwrap).collect::<Vec<_>>()
    });
    assert_eq!(answers, ["ann"; 5]);
}

#[test]
fn a_numbered_operation_knows_its_attempt_and_the_time() {
    use aplomb_sim::prelude::*;
    static RETRY: Retry<Constant> = Retry::new().backoff(Constant::every(ms(10)));
    let mut seen = Vec::new();
    let failed = aplomb_sim::block_on(async {
        RETRY
            .call_numbered(|attempt| {
                seen.push((attempt.number, attempt.elapsed));
                ready(Err::<(), _>(()))
            })
            .await
    });
    assert_eq!(failed.unwrap_err().attempts(), 3);
    assert_eq!(seen, [(1, ms(0)), (2, ms(10)), (3, ms(20))]);
}

#[test]
fn code_without_futures_retries_too() {
    let (mut left, mut slept) = (2, Vec::new());
    let got = RETRY.run_blocking(
        || {
            left -= 1;
            if left >= 0 { Err("busy") } else { Ok(7) }
        },
        |pause| slept.push(pause),
    );
    assert_eq!((got, slept.len()), (Ok(7), 2));
    let refused = Retry::new().max_attempts(0).run_blocking(|| -> Result<(), ()> { panic!("started") }, |_| {});
    assert_eq!(refused, Err(RetryError::Config(ConfigError::MaxAttempts { value: 0 })));
}

/// What the docs say of it, on a processor of 64 bits; on one of 32, benches/footprint weighs it.
#[test]
fn a_call_of_a_static_policy_is_little_larger_than_its_attempt() {
    static LINK: aplomb_embassy::Retry = checked!(aplomb_embassy::Retry::new().attempt_timeout(ms(200)));

    async fn dial(frame: &mut [u8; 64]) -> Result<u8, NoCarrier> {
        std::future::pending::<()>().await;
        Ok(frame[0])
    }

    let mut frame = [0; 64];
    let sleep = size_of::<aplomb_embassy::EmbassySleep>();
    let attempt = size_of_val(&dial(&mut frame)) + sleep;
    let run = size_of_val(&LINK.run(|| async {
        std::future::pending::<()>().await;
        Ok::<_, NoCarrier>(frame)
    }));
    assert!(run <= size_of_val(&frame) + 8 + sleep + 104, "{run}");
    let run_with = size_of_val(&LINK.run_with(&mut frame, dial));
    assert!(run_with <= attempt + 160, "{run_with}");
    let between = size_of_val(&LINK.run_with_between(&mut frame, dial, async |frame| frame[0] = 0));
    assert!(between <= attempt + 160, "{between}");
    // The closure's own future is around that of what it calls.
    let run_mut = size_of_val(&LINK.run_mut(async || dial(&mut frame).await));
    assert!(run_mut <= attempt + 16 + 160, "{run_mut}");
}
