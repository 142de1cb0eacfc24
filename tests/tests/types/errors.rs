//! Every error answers the same three questions, in one way.

use std::time::Duration;

use aplomb::edge::{DriveError, EdgeError};
use aplomb::level::GestureError;
use aplomb::pool::Rejected;
use aplomb::sync::{AcquireError, TryAcquireError};
use aplomb::time::ms;
use aplomb::{
    BatchError, BreakerError, BulkheadError, ConfigError, HedgeError, LimitError, ParallelError, PollError, PoolError,
    RateLimitError, RetryError, TimeoutError, WaterfallError,
};

/// A table of errors, and what they answer.
macro_rules! answers {
    ($($error:expr => $expected:expr,)*) => {{
        $(
            let error = $error;
            let answers: (bool, bool, Option<Duration>) = (error.is_rejected(), error.is_timeout(), error.retry_after());
            assert_eq!(answers, $expected, "{}", stringify!($error));
        )*
    }};
}

const REJECTED: (bool, bool, Option<Duration>) = (true, false, None);
const LATE: (bool, bool, Option<Duration>) = (true, true, None);
const TIMED_OUT: (bool, bool, Option<Duration>) = (false, true, None);
const OTHERWISE: (bool, bool, Option<Duration>) = (false, false, None);

const NONSENSE: ConfigError = ConfigError::MaxConcurrent { value: 0 };

#[test]
fn errors_of_patterns() {
    answers! {
        TimeoutError::<u32>::TimedOut { after: None } => TIMED_OUT,
        TimeoutError::Failed(1) => OTHERWISE,
        RetryError::Budget { attempts: 1, last: TimeoutError::Failed(1) } => REJECTED,
        RetryError::<u32>::Deadline { attempts: 1, last: None } => TIMED_OUT,
        RetryError::Refused { attempts: 1, error: 1 } => OTHERWISE,
        PollError::<u32, u32>::Deadline { attempts: 1, last: None } => TIMED_OUT,
        PollError::<u32, u32>::Exhausted { attempts: 1, last: Ok(1) } => OTHERWISE,
        EdgeError::<u32>::Superseded => REJECTED,
        EdgeError::<u32>::Full { waiting: 1 } => REJECTED,
        EdgeError::Failed(1) => OTHERWISE,
        DriveError::Busy => REJECTED,
        DriveError::Config(NONSENSE) => OTHERWISE,
        WaterfallError { step: 0, name: None, error: 1 } => OTHERWISE,
        GestureError::Pin(1) => OTHERWISE,
        RateLimitError::<u32>::Limited { retry_after: Some(ms(250)) } => (true, false, Some(ms(250))),
        RateLimitError::<u32>::TableFull { capacity: 1, retry_after: Some(ms(1)) } => (true, false, Some(ms(1))),
        RateLimitError::<u32>::Deadline { retry_after: None } => LATE,
        RateLimitError::<u32>::QueueFull { waiting: 1, retry_after: None } => REJECTED,
        RateLimitError::<u32>::Config(NONSENSE) => OTHERWISE,
        RateLimitError::Failed(1) => OTHERWISE,
        BreakerError::<u32>::TableFull { capacity: 1, retry_after: Some(ms(1)) } => (true, false, Some(ms(1))),
        BatchError::<u32>::QueueFull { waiting: 1 } => REJECTED,
        BatchError::<u32>::WrongLength { items: 2, results: 1 } => OTHERWISE,
        BatchError::<u32>::Abandoned => OTHERWISE,
        BatchError::<u32>::Config(NONSENSE) => OTHERWISE,
        BatchError::Failed(1) => OTHERWISE,
        BulkheadError::<u32>::TimedOut { after: ms(1) } => LATE,
        BulkheadError::<u32>::Busy => REJECTED,
        BulkheadError::<u32>::NoPlaces => REJECTED,
        BulkheadError::<u32>::Config(NONSENSE) => OTHERWISE,
        BulkheadError::Failed(1) => OTHERWISE,
        LimitError::<u32>::TimedOut { after: ms(1) } => LATE,
        LimitError::<u32>::Busy => REJECTED,
        LimitError::<u32>::Closed => REJECTED,
        LimitError::<u32>::Config(NONSENSE) => OTHERWISE,
        LimitError::Failed(1) => OTHERWISE,
        HedgeError::Failed { attempts: 2, error: 1 } => OTHERWISE,
        HedgeError::Fatal { attempts: 1, error: 1 } => OTHERWISE,
        HedgeError::<u32>::Config(NONSENSE) => OTHERWISE,
        ParallelError::<u32>::Full { capacity: 1 } => REJECTED,
        ParallelError::Failed { index: 0, error: 1 } => OTHERWISE,
        PoolError::<u32>::QueueFull { waiting: 1 } => REJECTED,
        PoolError::<u32>::Busy => REJECTED,
        PoolError::<u32>::Cancelled => OTHERWISE,
        Rejected { job: (), reason: PoolError::Closed } => REJECTED,
        Rejected { job: (), reason: PoolError::Config(NONSENSE) } => OTHERWISE,
        AcquireError::QueueFull { waiting: 1 } => REJECTED,
        AcquireError::TooMany { requested: 2, permits: 1 } => REJECTED,
        TryAcquireError::NoPermits { requested: 2, free: 1 } => REJECTED,
        TryAcquireError::Closed => REJECTED,
    }
}
