//! TODO

mod compact;
mod direct;
mod exponential;
mod fetching;
mod get;
mod iter;
mod refresh;
mod refresher;
mod refreshes;
mod rules;
mod serve;
mod settings;
mod shard;
mod snapshot;
mod store;

pub(crate) use self::fetching::Fetching;
pub use self::get::Get;
pub use self::iter::Iter;
pub use self::refresh::{GetWithRefresh, Read, Refresh};
pub use self::refresher::Refresher;
pub(crate) use self::serve::Entered;
pub use self::serve::{Serve, ServeBy};
pub use self::settings::Cache;
pub(crate) use self::shard::Reading;
pub use self::snapshot::Snapshot;
