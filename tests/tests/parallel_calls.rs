//! What callers write: parallel operations that borrow, under `tokio::spawn`, in both forms.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::future::Future;
use std::pin::Pin;

use aplomb_tokio::parallel::Run;
use aplomb_tokio::prelude::*;
use futures_lite::{StreamExt, stream};
use tokio::runtime::Builder;

#[derive(Debug, PartialEq)]
struct NotFound;

struct Client {
    base: String,
}

impl Client {
    async fn get(&self, path: &str) -> Result<usize, NotFound> {
        tokio::task::yield_now().await;
        if path.is_empty() { Err(NotFound) } else { Ok(self.base.len() + path.len()) }
    }
}

fn client() -> (Client, [String; 4]) {
    (Client { base: "http://example/".into() }, ["a", "bc", "def", "ghij"].map(str::to_owned))
}

/// On all threads of a real runtime, where futures have to be `Send`.
fn on_threads<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(async { tokio::spawn(future).await.unwrap() })
}

#[test]
fn closures_may_capture_references_and_items_be_borrowed() {
    let lengths = on_threads(async {
        let (client, paths) = client();
        let borrowed: Vec<usize> = parallel(&paths, 2, |path| client.get(path)).await?;
        let iterated =
            parallel(paths.iter().map(String::as_str).filter(|path| path.len() > 1), 10, |path| client.get(path)).await?;
        let captured = parallel(&paths, 2, async |path: &String| client.get(path).await).keep_going().await.unwrap();
        assert_eq!((iterated.len(), captured.len()), (3, 4));
        let [first, .., last] = parallel_array(paths.each_ref(), 3, |path| client.get(path)).await?;
        assert_eq!((first, last), (16, 19));
        let boxed: Pin<Box<dyn Future<Output = _> + Send + '_>> =
            Box::pin(async { parallel(&paths, 1, |path| client.get(path)).await });
        assert_eq!(boxed.await?, borrowed);
        let owned: Vec<usize> = parallel(paths.clone(), 4, |path| {
            let client = &client;
            async move { client.get(&path).await }
        })
        .await?;
        assert_eq!(owned, borrowed);
        Ok::<_, ParallelError<NotFound>>(borrowed)
    });
    assert_eq!(lengths.unwrap(), [16, 17, 18, 19]);
}

#[test]
fn streams_borrow_too() {
    let sum = on_threads(async {
        let (client, paths) = client();
        let mut sum = 0;
        let mut lengths = parallel(&paths, 2, |path| client.get(path));
        while let Some(length) = lengths.next().await {
            sum += length?;
        }
        let lengths = stream::iter(&paths).parallel(3, |path| client.get(path)).completion_order();
        sum += lengths.map(|length| length.unwrap()).collect::<Vec<_>>().await.into_iter().sum::<usize>();
        sum += stream::iter(&paths).parallel(3, |path| client.get(path)).await?.into_iter().sum::<usize>();
        Ok::<_, ParallelError<NotFound>>(sum)
    });
    assert_eq!(sum, Ok(3 * (16 + 17 + 18 + 19)));
}

#[test]
fn work_that_cannot_fail_is_wrapped() {
    let lengths = on_threads(async {
        let (_, paths) = client();
        parallel(paths, 2, |path| infallible(async move { path.len() })).await
    });
    assert_eq!(lengths.unwrap(), [1, 2, 3, 4]);
}

#[test]
fn patterns_nest_in_it_without_a_box() {
    static RETRY: Retry<Constant> = checked!(Retry::new().backoff(Constant::every(ms(0))));
    let found = on_threads(async {
        let (client, paths) = client();
        parallel(&paths, 2, |path| RETRY.run(|| timeout(secs(5), client.get(path)))).await.map(|all| all.len())
    });
    assert_eq!(found.unwrap(), 4);
}

/// The future has a name, for a field or for a task of its own.
#[test]
fn the_future_has_a_name() {
    type Doubled = std::future::Ready<Result<u32, NotFound>>;
    type Doubling = Run<
        aplomb_tokio::Tokio,
        aplomb_tokio::parallel::Items<std::ops::Range<u32>>,
        fn(u32) -> Doubled,
        Doubled,
        aplomb_tokio::parallel::FailFast,
        aplomb_tokio::observe::Silent,
        aplomb_tokio::Heap,
        aplomb_tokio::Heap,
    >;
    fn double(item: u32) -> Doubled {
        std::future::ready(Ok(2 * item))
    }
    let run: Doubling = std::future::IntoFuture::into_future(parallel(0..3, 2, double as fn(u32) -> Doubled));
    assert_eq!(on_threads(run), Ok(vec![0, 2, 4]));
}
