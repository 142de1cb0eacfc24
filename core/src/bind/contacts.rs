//! Contacts and buttons, with a platform filled in, where core has them.

/// The part of [`bind!`] that depends on a feature of core's, which the crate that it is expanded in need not have.
#[cfg(feature = "embedded-hal")]
#[doc(hidden)]
#[macro_export]
macro_rules! bind_contacts {
    ($platform:path) => {
        /// A [`Contact`]($crate::level::Contact) on this platform's clock.
        pub type Contact<I, M = $crate::level::LevelDebouncer> =
            $crate::level::Contact<<$platform as $crate::Platform>::Clock, I, M>;

        /// A [`Button`]($crate::level::Button) on this platform's clock.
        pub type Button<I> = $crate::level::Button<<$platform as $crate::Platform>::Clock, I>;
    };
}

#[cfg(not(feature = "embedded-hal"))]
#[doc(hidden)]
#[macro_export]
macro_rules! bind_contacts {
    ($platform:path) => {};
}
