//! Parallel, with a platform filled in.

#[doc(hidden)]
#[macro_export]
macro_rules! bind_parallel {
    ($platform:ident, in $name:literal, main $open:literal to $close:literal) => {
        /// A [`Parallel`](struct@$crate::Parallel) on this platform. The module [`parallel`]($crate::parallel) tells what it promises.
        pub type Parallel<Src, F, Fut, M = $crate::parallel::FailFast, N = $crate::observe::Silent> =
            $crate::Parallel<$platform, Src, F, Fut, M, N>;

        /// As [`Parallel`], of the items of an array, whose results make an array too.
        pub type ParallelArray<I, F, Fut, const N: usize> = $crate::Parallel<
            $platform,
            $crate::parallel::Items<::core::array::IntoIter<I, N>>,
            F,
            Fut,
            $crate::parallel::FailFast,
            $crate::observe::Silent,
            <$platform as $crate::Platform>::Storage,
            $crate::parallel::Array<N>,
        >;

        /// Calls an operation for each item, at most `limit` of them at once. Awaited, it ends with all values, in the order of the items; it is a stream of them too. Before that, it takes the settings of a
        /// [`Parallel`]. The module [`parallel`]($crate::parallel) tells what it promises.
        ///
        /// # Errors
        ///
        /// [`ParallelError`]($crate::ParallelError) has the first error, and says for which item it was; the others have been dropped.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use ", $name, "::prelude::*;")]
        ///
        /// # struct Page;
        /// async fn fetch(url: &str) -> Result<Page, std::io::Error> { Ok(Page) }
        ///
        #[doc = $open]
        /// # async {
        /// # let urls = ["a.example", "b.example"];
        /// let pages = parallel(urls, 10, |url| fetch(url)).await?;
        /// assert_eq!(pages.len(), 2);
        /// # Ok::<_, ParallelError<std::io::Error>>(()) }.await.unwrap();
        #[doc = $close]
        /// ```
        pub fn parallel<I, F, Fut>(items: I, limit: usize, operation: F) -> Parallel<$crate::parallel::Items<I::IntoIter>, F, Fut>
        where
            I: ::core::iter::IntoIterator,
            F: FnMut(I::Item) -> Fut,
            Fut: ::core::future::Future<Output: $crate::Fallible>,
        {
            Parallel::of_items(items, limit, operation)
        }

        /// As [`parallel`](fn@parallel), for an array: the values make an array too, for which nothing is allocated.
        ///
        /// # Errors
        ///
        /// As [`parallel`](fn@parallel).
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use ", $name, "::prelude::*;")]
        ///
        /// async fn sample(channel: u8) -> Result<u16, std::io::Error> { Ok(100 * u16::from(channel)) }
        ///
        #[doc = $open]
        /// # async {
        /// let [left, right] = parallel_array([1, 2], 2, |channel| sample(channel)).await?;
        /// assert_eq!((left, right), (100, 200));
        /// # Ok::<_, ParallelError<std::io::Error>>(()) }.await.unwrap();
        #[doc = $close]
        /// ```
        pub fn parallel_array<I, F, Fut, const N: usize>(items: [I; N], limit: usize, operation: F) -> ParallelArray<I, F, Fut, N>
        where
            F: FnMut(I) -> Fut,
            Fut: ::core::future::Future<Output: $crate::Fallible>,
        {
            ParallelArray::of_array(items, limit, operation)
        }

        /// Parallel operations as a method of every stream.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use ", $name, "::prelude::*;")]
        /// use futures_lite::{StreamExt, stream};
        /// use std::pin::pin;
        ///
        /// async fn fetch(id: u32) -> Result<u32, std::io::Error> { Ok(10 * id) }
        ///
        #[doc = $open]
        /// # async {
        /// let mut users = pin!(stream::iter(1..=3).parallel(2, |id| fetch(id)));
        /// let mut sum = 0;
        /// while let Some(user) = users.next().await {
        ///     sum += user?;
        /// }
        /// assert_eq!(sum, 60);
        /// # Ok::<_, ParallelError<std::io::Error>>(()) }.await.unwrap();
        #[doc = $close]
        /// ```
        pub trait ParallelStreamExt: $crate::edge::Stream + Sized {
            /// Calls an operation for each item, at most `limit` of them at once: a stream of their results in the order of the items; awaited, all of them. It asks for an item only when it can be started.
            fn parallel<F, Fut>(self, limit: usize, operation: F) -> Parallel<Self, F, Fut>
            where
                F: FnMut(Self::Item) -> Fut,
                Fut: ::core::future::Future<Output: $crate::Fallible>,
            {
                Parallel::of_stream(self, limit, operation)
            }
        }

        impl<S: $crate::edge::Stream> ParallelStreamExt for S {}
    };
}
