//! Streams that are debounced and throttled, with a platform filled in.

#[doc(hidden)]
#[macro_export]
macro_rules! bind_streams {
    ($platform:ident, in $name:literal, main $open:literal to $close:literal) => {
        /// Debounce and throttle as methods of every stream.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use ", $name, "::prelude::*;")]
        /// use futures_lite::{StreamExt, stream};
        ///
        #[doc = $open]
        /// let newest = stream::iter([1, 2, 3]).debounce(ms(20)).collect::<Vec<_>>().await;
        /// assert_eq!(newest, [3]);
        /// let paced = stream::iter([1, 2, 3]).pace(ms(1)).collect::<Vec<_>>().await;
        /// assert_eq!(paced, [1, 2, 3]);
        #[doc = $close]
        /// ```
        pub trait EdgeStreamExt: $crate::edge::Stream + Sized {
            /// The newest item, when there was none for so long. What is pending at the end of the stream comes then.
            fn debounce(self, wait: ::core::time::Duration) -> EdgeStream<Self> {
                EdgeStream::debounce(<<$platform as $crate::Platform>::Clock as $crate::Ambient>::CLOCK, wait, self)
            }

            /// The first item, and then none for so long.
            fn throttle_first(self, interval: ::core::time::Duration) -> EdgeStream<Self> {
                EdgeStream::throttle_first(<<$platform as $crate::Platform>::Clock as $crate::Ambient>::CLOCK, interval, self)
            }

            /// The first item, and then the newest at the end of each interval.
            fn throttle_latest(self, interval: ::core::time::Duration) -> EdgeStream<Self> {
                EdgeStream::throttle_latest(<<$platform as $crate::Platform>::Clock as $crate::Ambient>::CLOCK, interval, self)
            }

            /// The newest item, so long after the first.
            fn audit(self, interval: ::core::time::Duration) -> EdgeStream<Self> {
                EdgeStream::audit(<<$platform as $crate::Platform>::Clock as $crate::Ambient>::CLOCK, interval, self)
            }

            /// The items that start by these terms.
            ///
            /// # Errors
            ///
            /// [`ConfigError`]($crate::ConfigError) if the terms make no sense.
            fn edges(self, terms: $crate::edge::Terms) -> ::core::result::Result<EdgeStream<Self>, $crate::ConfigError> {
                EdgeStream::with_clock(<<$platform as $crate::Platform>::Clock as $crate::Ambient>::CLOCK, terms, self)
            }

            /// All items, never closer than an interval.
            fn pace(self, interval: ::core::time::Duration) -> PaceStream<Self> {
                PaceStream::with_clock(<<$platform as $crate::Platform>::Clock as $crate::Ambient>::CLOCK, interval, self)
            }
        }

        impl<S: $crate::edge::Stream> EdgeStreamExt for S {}

        /// An [`EdgeStream`]($crate::edge::EdgeStream) on this platform's clock.
        pub type EdgeStream<S> = $crate::edge::EdgeStream<S, <$platform as $crate::Platform>::Clock>;

        /// A [`PaceStream`]($crate::edge::PaceStream) on this platform's clock.
        pub type PaceStream<S> = $crate::edge::PaceStream<S, <$platform as $crate::Platform>::Clock>;
    };
}
