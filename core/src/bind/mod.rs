//! One macro, by which an adapter hands on the patterns with its platform filled in.

mod contacts;
mod modules;
mod parallel;
mod streams;

/// Fills a platform in: defines, in the module where it stands, the names that an adapter's users know.
///
/// These are the types of all patterns that core makes on a platform, from `Timeout` to `Semaphore`, the functions `timeout`, `timeout_at`, `deadline`, `poll_until`, `parallel`, `parallel_array`, `memoize` and `retry`, the traits `TimeoutExt`, `EdgeStreamExt` and `ParallelStreamExt`, and the modules `prelude`, `guarded` with `Guarded`, those of the patterns with these types in place of core's, and `level`, with `Contact` and `Button` if core has the feature `embedded-hal`. The crate has to hand on all of
/// core, by `pub use aplomb::*`. Docs and their examples come along: they are told the crate's name, and the lines that open and close an asynchronous `main`.
///
/// # Examples
///
/// A platform of one's own:
///
/// ```
/// use aplomb::{Inline, ParentWaker, Platform};
/// use aplomb_sim::SimClock;
///
/// pub struct Own;
///
/// impl Platform for Own {
///     type Clock = SimClock;
///     type RawMutex = aplomb_sim::SimRawMutex;
///     type Word = aplomb::sync::NoWord;
///     type Storage = Inline<4>;
///     type Children = ParentWaker;
///
///     fn random() -> u64 { 4 }
/// }
///
/// aplomb::bind!(Own, in "own", main "# own::block_on(async {" to "# });");
///
/// use prelude::*;
///
/// static RETRY: Retry = checked!(Retry::new().max_attempts(2));
/// # fn main() {
/// let answer = aplomb_sim::block_on(RETRY.run(|| timeout(ms(5), async { Ok::<_, ()>(42) })));
/// assert_eq!(answer.ok(), Some(42));
/// # }
/// ```
#[macro_export]
macro_rules! bind {
    ($platform:ident, in $name:literal, main $open:literal to $close:literal) => {
        /// A [`Timeout`](struct@$crate::Timeout) on this platform's clock.
        pub type Timeout<F> = $crate::Timeout<F, <$platform as $crate::Platform>::Clock>;

        /// A [`Retry`](struct@$crate::Retry) on this platform.
        pub type Retry<B = $crate::backoff::Exponential, R = $crate::retry::RetryAll, O = ()> =
            $crate::Retry<'static, $platform, B, R, O>;

        /// A [`RetryBudget`](struct@$crate::RetryBudget) on this platform.
        pub type RetryBudget = $crate::RetryBudget<$platform>;

        /// A [`Debounce`](struct@$crate::edge::Gate) on this platform. The module [`debounce`]($crate::debounce) tells what it promises.
        pub type Debounce<M = $crate::edge::Reject> = $crate::Debounce<$platform, M>;

        /// A [`Throttle`](struct@$crate::edge::Gate) on this platform. The module [`throttle`]($crate::throttle) tells what it promises.
        pub type Throttle<M = $crate::edge::Reject> = $crate::Throttle<$platform, M>;

        /// For a [`Debounce`] or [`Throttle`] whose callers [share]($crate::edge::Share) the one result. They wait in `S`.
        pub type Share<T, S = <$platform as $crate::Platform>::Storage> = $crate::edge::Share<T, S>;

        /// A [`RateLimiter`](struct@$crate::RateLimiter) on this platform, whose waiters are kept in `S`. The module [`rate_limiter`]($crate::rate_limiter) tells what it promises.
        pub type RateLimiter<
            A = $crate::rate_limiter::TokenBucket,
            S = <$platform as $crate::Platform>::Storage,
            O = $crate::observe::Silent,
        > = $crate::RateLimiter<$platform, A, S, O>;

        /// A [`KeyedRateLimiter`](struct@$crate::KeyedRateLimiter) on this platform: a limiter for each key.
        pub type KeyedRateLimiter<
            K,
            A = $crate::rate_limiter::TokenBucket,
            S = <$platform as $crate::Platform>::Storage,
            H = $crate::key::FoldHash,
            const SHARDS: usize = 1,
            O = $crate::observe::Silent,
        > = $crate::KeyedRateLimiter<$platform, K, A, S, H, SHARDS, O>;

        /// A [`SingleFlight`](struct@$crate::SingleFlight) on this platform. The module [`single_flight`]($crate::single_flight) tells what it promises.
        pub type SingleFlight<
            K,
            T,
            E = ::core::convert::Infallible,
            W = $crate::single_flight::Restarts,
            S = <$platform as $crate::Platform>::Storage,
            H = $crate::key::FoldHash,
            const SHARDS: usize = 1,
            O = $crate::observe::Silent,
        > = $crate::SingleFlight<$platform, K, T, E, W, S, H, SHARDS, O>;

        /// A [`Cache`](struct@$crate::Cache) on this platform. The module [`cache`]($crate::cache) tells what it promises.
        pub type Cache<
            K,
            V,
            E = ::core::convert::Infallible,
            S = <$platform as $crate::Platform>::Storage,
            H = $crate::key::FoldHash,
            F = <$platform as $crate::Platform>::Storage,
            const SHARDS: usize = 1,
            O = $crate::observe::Silent,
        > = $crate::Cache<$platform, K, V, E, S, H, F, SHARDS, O>;

        /// A [`Memoize`](struct@$crate::Memoize) on this platform. The module [`memoize`](mod@$crate::memoize) tells what it promises.
        pub type Memoize<
            A,
            K,
            V,
            E = ::core::convert::Infallible,
            S = <$platform as $crate::Platform>::Storage,
            H = $crate::key::FoldHash,
            F = <$platform as $crate::Platform>::Storage,
            const SHARDS: usize = 1,
            O = $crate::observe::Silent,
        > = $crate::Memoize<$platform, A, K, V, E, S, H, F, SHARDS, O>;

        /// Keeps the values of a function of its key. Before it is called, it takes the settings of a [`Memoize`].
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use ", $name, "::prelude::*;")]
        ///
        /// async fn population(city: String) -> Result<u64, &'static str> { Ok(city.len() as u64 * 100_000) }
        ///
        #[doc = $open]
        /// let population = memoize(population).capacity(10);
        /// assert_eq!(population.call("Oslo").await, Ok(400_000));
        /// assert_eq!(population.call("Oslo").await, Ok(400_000), "and nobody was asked");
        #[doc = $close]
        /// ```
        pub const fn memoize<A, K, V, E, Fut>(function: A) -> Memoize<A, K, V, E>
        where
            A: Fn(K) -> Fut,
            Fut: ::core::future::Future<Output = ::core::result::Result<V, E>>,
        {
            Memoize::new(function)
        }

        /// A [`Pipeline`](struct@$crate::Pipeline) on this platform's clock. The module [`pipeline`]($crate::pipeline) tells what it promises.
        pub type Pipeline<L = ()> = $crate::Pipeline<$platform, L>;

        /// A timeout of a [`Pipeline`] on this platform's clock, in the type of its layers, which [`layers!`]($crate::layers) spells.
        pub type TimeLimit = $crate::pipeline::TimeoutLayer<$platform>;

        /// A [`CircuitBreaker`](struct@$crate::CircuitBreaker) on this platform. The module [`circuit_breaker`]($crate::circuit_breaker) tells what it promises.
        pub type CircuitBreaker<
            T = $crate::circuit_breaker::Consecutive,
            B = $crate::backoff::Constant,
            J = $crate::circuit_breaker::AnyError,
            S = <$platform as $crate::Platform>::Storage,
            O = $crate::observe::Silent,
        > = $crate::CircuitBreaker<$platform, T, B, J, S, O>;

        /// A [`KeyedCircuitBreaker`](struct@$crate::KeyedCircuitBreaker) on this platform: a breaker for each key.
        pub type KeyedCircuitBreaker<
            K,
            T = $crate::circuit_breaker::Consecutive,
            B = $crate::backoff::Constant,
            J = $crate::circuit_breaker::AnyError,
            S = <$platform as $crate::Platform>::Storage,
            H = $crate::key::FoldHash,
            const SHARDS: usize = 1,
            O = $crate::observe::Silent,
        > = $crate::KeyedCircuitBreaker<$platform, K, T, B, J, S, H, SHARDS, O>;

        /// A [`Batcher`](struct@$crate::Batcher) on this platform. The module [`batcher`]($crate::batcher) tells what it promises.
        pub type Batcher<
            I,
            T,
            E = ::core::convert::Infallible,
            S = <$platform as $crate::Platform>::Storage,
            O = $crate::observe::Silent,
        > = $crate::Batcher<$platform, I, T, E, S, O>;

        /// A [`Bulkhead`]($crate::Bulkhead) on this platform, whose waiters are kept in `S`. The module [`bulkhead`]($crate::bulkhead) tells what it promises.
        pub type Bulkhead<S = <$platform as $crate::Platform>::Storage, O = $crate::observe::Silent> = $crate::Bulkhead<$platform, S, O>;

        /// An [`AdaptiveLimit`]($crate::AdaptiveLimit) on this platform, whose waiters are kept in `S`. The module [`adaptive_limit`]($crate::adaptive_limit) tells what it promises.
        pub type AdaptiveLimit<
            A = $crate::adaptive_limit::Gradient,
            J = $crate::adaptive_limit::IgnoreErrors,
            S = <$platform as $crate::Platform>::Storage,
            O = $crate::observe::Silent,
        > = $crate::AdaptiveLimit<$platform, A, J, S, O>;
        /// A [`Hedge`](struct@$crate::Hedge) on this platform. The module [`hedge`]($crate::hedge) tells what it promises.
        pub type Hedge<
            D = $crate::hedge::After,
            S = $crate::Inline<1>,
            J = $crate::hedge::NoneFatal,
            O = $crate::observe::Silent,
        > = $crate::Hedge<$platform, D, S, J, O>;

        /// A [`Semaphore`]($crate::sync::Semaphore) on this platform, whose waiters are kept in `S`.
        pub type Semaphore<S = <$platform as $crate::Platform>::Storage> = $crate::sync::Semaphore<$platform, S>;

        /// A [`Pool`](struct@$crate::Pool) on this platform, whose waiting jobs are kept in `S`.
        pub type Pool<S = <$platform as $crate::Platform>::Storage, O = $crate::observe::Silent> = $crate::Pool<$platform, S, O>;

        /// A [`JobSet`](struct@$crate::JobSet) on this platform, whose jobs lie in `S`.
        pub type JobSet<J, S = <$platform as $crate::Platform>::Storage, O = $crate::observe::Silent> = $crate::JobSet<$platform, J, S, O>;

        /// Gives an operation so much time, from its first poll on. The module of this name tells what it promises.
        ///
        /// # Errors
        ///
        /// [`TimedOut`]($crate::TimeoutError::TimedOut) when the time is up; [`Failed`]($crate::TimeoutError::Failed) with the operation's own error.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use ", $name, "::prelude::*;")]
        ///
        /// async fn fetch_user(id: u32) -> Result<String, std::io::Error> { Ok(format!("user {id}")) }
        ///
        #[doc = $open]
        /// # let id = 7;
        /// # async {
        /// let user = timeout(secs(5), fetch_user(id)).await?;
        /// assert_eq!(user, "user 7");
        /// # Ok::<_, TimeoutError<std::io::Error>>(()) }.await.unwrap();
        ///
        /// let late = timeout(ms(50), std::future::pending::<Result<(), std::io::Error>>()).await;
        /// assert!(late.is_err_and(|error| error.is_timeout()));
        #[doc = $close]
        /// ```
        pub fn timeout<F>(after: ::core::time::Duration, operation: F) -> Timeout<F::IntoFuture>
        where
            F: ::core::future::IntoFuture<Output: $crate::Fallible>,
        {
            Timeout::with_clock(<<$platform as $crate::Platform>::Clock as $crate::Ambient>::CLOCK, after, operation.into_future())
        }

        /// Gives an operation time until a deadline.
        ///
        /// # Errors
        ///
        /// As [`timeout`](fn@timeout).
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use ", $name, "::prelude::*;")]
        ///
        /// # async fn fetch_user(id: u32) -> Result<String, std::io::Error> { Ok(format!("user {id}")) }
        #[doc = $open]
        /// # async {
        /// let deadline = deadline(secs(5)); // for all that this request needs
        /// let user = timeout_at(deadline, fetch_user(7)).await?;
        /// let friend = timeout_at(deadline, fetch_user(8)).await?;
        /// # Ok::<_, TimeoutError<std::io::Error>>(()) }.await.unwrap();
        #[doc = $close]
        /// ```
        pub fn timeout_at<F>(deadline: $crate::Deadline, operation: F) -> Timeout<F::IntoFuture>
        where
            F: ::core::future::IntoFuture<Output: $crate::Fallible>,
        {
            Timeout::at_with_clock(<<$platform as $crate::Platform>::Clock as $crate::Ambient>::CLOCK, deadline, operation.into_future())
        }

        /// The deadline so long from now.
        #[must_use]
        pub fn deadline(after: ::core::time::Duration) -> $crate::Deadline {
            $crate::Deadline::after(
                $crate::Clock::now(&<<$platform as $crate::Platform>::Clock as $crate::Ambient>::CLOCK),
                after,
            )
        }

        /// Calls an operation, and calls it again when it fails. Before it is awaited, it takes the settings of a [`Retry`]. The module of this name tells what it promises.
        ///
        /// # Errors
        ///
        /// [`RetryError`]($crate::RetryError) has the last error, the number of attempts, and why there was no further one.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use ", $name, "::prelude::*;")]
        ///
        /// # #[derive(Debug)] struct HttpError(u16);
        /// # impl HttpError { fn is_server_error(&self) -> bool { self.0 >= 500 } }
        /// async fn fetch_user(id: u32) -> Result<String, HttpError> { Ok(format!("user {id}")) }
        ///
        #[doc = $open]
        /// # let id = 7;
        /// # async {
        /// let user = retry(|| fetch_user(id))
        ///     .backoff(Exponential::from(ms(100)).max(secs(30)).jitter(Jitter::Full))
        ///     .max_attempts(5)
        ///     .retry_if(|e| e.is_server_error())
        ///     .await?;
        /// # assert_eq!(user, "user 7");
        /// # Ok::<_, RetryError<HttpError>>(()) }.await.unwrap();
        #[doc = $close]
        /// ```
        #[must_use = "a call does nothing unless awaited"]
        pub fn retry<F, Fut, T, E>(
            operation: F,
        ) -> Retry<$crate::backoff::Exponential, $crate::retry::RetryAll, $crate::retry::Call<$crate::retry::Plain<F>>>
        where
            F: FnMut() -> Fut,
            Fut: ::core::future::Future<Output = ::core::result::Result<T, E>>,
        {
            Retry::new().call(operation)
        }

        /// A [`Polling`](struct@$crate::Polling) on this platform.
        pub type Polling<O, U, B = $crate::backoff::Constant, N = $crate::observe::Silent> =
            $crate::Polling<$platform, O, U, B, N>;

        /// Calls an operation until a value comes of which `until` is true. Before it is awaited, it takes the settings of a [`Polling`]. The module [`polling`]($crate::polling) tells what it promises.
        ///
        /// # Errors
        ///
        /// [`PollError`]($crate::PollError) has the last value or error, the number of attempts, and why there was no further one.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use ", $name, "::prelude::*;")]
        ///
        /// # struct Job; impl Job { fn is_done(&self) -> bool { true } }
        /// async fn job_status(id: u32) -> Result<Job, std::io::Error> { Ok(Job) }
        ///
        #[doc = $open]
        /// # let id = 7;
        /// # async {
        /// let job = poll_until(|| job_status(id), |job| job.is_done()).every(secs(2)).max_attempts(30).await?;
        /// # let _ = job;
        /// # Ok::<_, PollError<Job, std::io::Error>>(()) }.await.map_err(|_| ()).unwrap();
        #[doc = $close]
        /// ```
        pub fn poll_until<O, U, Fut, T, E>(operation: O, until: U) -> Polling<O, U>
        where
            O: FnMut() -> Fut,
            Fut: ::core::future::Future<Output = ::core::result::Result<T, E>>,
            U: FnMut(&T) -> bool,
        {
            Polling::with_clock(<<$platform as $crate::Platform>::Clock as $crate::Ambient>::CLOCK, operation, until)
        }

        /// Timeouts as methods of every operation.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use ", $name, "::prelude::*;")]
        ///
        /// async fn answer() -> Result<u32, std::io::Error> { Ok(42) }
        ///
        #[doc = $open]
        /// assert_eq!(answer().timeout(secs(1)).await.ok(), Some(42));
        #[doc = $close]
        /// ```
        pub trait TimeoutExt: ::core::future::IntoFuture<Output: $crate::Fallible> + Sized {
            /// As the function [`timeout`](fn@timeout).
            fn timeout(self, after: ::core::time::Duration) -> Timeout<Self::IntoFuture> {
                timeout(after, self)
            }

            /// As the function [`timeout_at`].
            fn timeout_at(self, deadline: $crate::Deadline) -> Timeout<Self::IntoFuture> {
                timeout_at(deadline, self)
            }
        }

        impl<F: ::core::future::IntoFuture<Output: $crate::Fallible>> TimeoutExt for F {}

        $crate::bind_parallel!($platform, in $name, main $open to $close);
        $crate::bind_streams!($platform, in $name, main $open to $close);

        $crate::bind_modules! {
            adaptive_limit: AdaptiveLimit;
            batcher: Batcher;
            bulkhead: Bulkhead;
            cache: Cache;
            circuit_breaker: CircuitBreaker, KeyedCircuitBreaker;
            debounce: Debounce;
            edge: EdgeStream, PaceStream, Share;
            hedge: Hedge;
            memoize: Memoize;
            parallel: Parallel;
            pipeline: Pipeline, TimeLimit;
            polling: Polling;
            pool: JobSet, Pool;
            rate_limiter: KeyedRateLimiter, RateLimiter;
            retry: Retry, RetryBudget;
            single_flight: SingleFlight;
            sync: Semaphore;
            throttle: Throttle;
            timeout: Timeout;
        }

        /// Contacts that bounce: all of [`level`](mod@$crate::level), with this platform's clock filled in.
        pub mod level {
            pub use $crate::level::*;

            $crate::bind_contacts!(super::$platform);
        }

        /// Buses with timeout, retry and recovery: all of [`guarded`](mod@$crate::guarded), with this platform filled in.
        pub mod guarded {
            pub use $crate::guarded::*;

            /// A [`Guarded`]($crate::guarded::Guarded) on this platform.
            pub type Guarded<D, K = $crate::guarded::NoRecovery, B = $crate::backoff::Exponential, R = $crate::retry::RetryAll> =
                $crate::guarded::Guarded<'static, super::$platform, D, K, B, R>;
        }

        /// What every user needs.
        pub mod prelude {
            pub use $crate::prelude::*;

            pub use super::{
                AdaptiveLimit, Batcher, Bulkhead, Cache, CircuitBreaker, Debounce, EdgeStreamExt, Hedge, JobSet, KeyedCircuitBreaker, KeyedRateLimiter, Memoize, ParallelStreamExt, Pipeline, Pool, RateLimiter, Retry,
                RetryBudget, Semaphore, Share, SingleFlight, Throttle, TimeLimit, TimeoutExt, deadline, memoize, parallel, parallel_array, poll_until, retry, timeout,
                timeout_at,
            };
        }
    };
}
