//! What HTTP has to say: statuses and fields for what is rejected ([`HttpStatus`], [`GrpcStatus`]), rules by which a response is retried ([`Transient`], [`retry_after`]) counts as a failure ([`ServerErrors`]) or as a sign of overload ([`Overloads`]),
//! which requests may be sent twice ([`Idempotent`]), keys ([`PeerAddress`], [`ForwardedFor`], [`Header`]), and deadlines that come with a request ([`DeadlineLayer`], [`InExtensions`]).
//!
//! It is not called as the crate `http`, so that both can be named:
//!
//! ```
//! use aplomb_tokio::prelude::*;
//! use aplomb_tower::*;
//! use http::Request;
//!
//! static API: Bulkhead = checked!(Bulkhead::new(20));
//!
//! let layer = BulkheadLayer::new(&API).respond(web::HttpStatus::new());
//! let request = Request::get("/").body(()).unwrap();
//! # let _ = (layer, request);
//! ```

mod deadline;
mod grpc;
mod key;
mod policy;
mod replay;
mod retry_after;
mod status;
mod transient;

pub use deadline::{DeadlineLayer, Deadlines, GrpcTimeout, InExtensions, TimeOf, grpc_timeout};
pub use grpc::GrpcStatus;
pub use key::{ForwardedFor, Header, PeerAddress};
pub use replay::{AttemptNumber, Idempotent, is_idempotent};
pub use retry_after::retry_after;
pub use status::HttpStatus;
pub use transient::{EveryError, Overloads, RetryErrors, ServerErrors, Transient};
