//! The modules of patterns, with a platform filled in.

/// The part of [`bind!`] by which a pattern has one name wherever it is found: without it, `pipeline::Pipeline` would be core's, and `prelude::Pipeline` the platform's, and whoever imports all of both could use neither.
#[doc(hidden)]
#[macro_export]
macro_rules! bind_modules {
    ($($module:ident: $($pattern:ident),+;)+) => {$(
        #[doc = concat!("All of [`", stringify!($module), "`](mod@$crate::", stringify!($module), "), with this platform filled in.")]
        pub mod $module {
            pub use $crate::$module::*;

            pub use super::{$($pattern),+};
        }
    )+};
}
