//! Patterns that are told what counts as what: by a closure, by a predicate, by a judge of aplomb's.

use aplomb_embassy::adaptive_limit::{self, Aimd, OnTimeout, OverloadIf};
use aplomb_embassy::backoff::Constant;
use aplomb_embassy::circuit_breaker::{self, FailureIf};
use aplomb_embassy::hedge::{self, FatalIf};
use aplomb_embassy::prelude::*;

use crate::{Fault, answer, told, unknown};

type If = fn(&Fault) -> bool;
type By<V> = fn(Result<&u32, &Fault>) -> V;

static FAILS_IF: CircuitBreaker<Consecutive, Constant, FailureIf<If>, Inline<1>> =
    CircuitBreaker::consecutive(3).storage().failure_if(is_grave as If);
static FAILS_BY: CircuitBreaker<LastCalls, Constant, By<circuit_breaker::Verdict>, Inline<1>> =
    CircuitBreaker::last_calls(20).storage().judged_by(failure as By<_>);
static ALL_FAIL_IF: KeyedCircuitBreaker<u32, LastTime, Constant, FailureIf<If>, Inline<4>> =
    KeyedCircuitBreaker::new(CircuitBreaker::last_time(secs(10)).storage().failure_if(is_grave as If));
static FATAL_IF: Hedge<After, Inline<1>, FatalIf<If>> = Hedge::after(ms(20)).fatal_if(is_grave as If);
static FATAL_BY: Hedge<After, Inline<1>, By<hedge::Verdict>> = Hedge::after(ms(20)).judged_by(fatal as By<_>);
static OVERLOAD_IF: AdaptiveLimit<Aimd, OverloadIf<If>, Inline<4>> =
    AdaptiveLimit::new().storage().algorithm(Aimd::new(ms(100))).overload_if(is_grave as If);
static OVERLOAD_BY: AdaptiveLimit<Aimd, By<adaptive_limit::Verdict>, Inline<4>> =
    AdaptiveLimit::new().storage().algorithm(Aimd::new(ms(100))).judged_by(overload as By<_>);
static ON_TIMEOUT: AdaptiveLimit<Aimd, OnTimeout, Inline<4>> =
    AdaptiveLimit::new().storage().algorithm(Aimd::new(ms(100))).judged_by(OnTimeout);

#[allow(clippy::trivially_copy_pass_by_ref, reason = "a predicate is asked so")]
fn is_grave(fault: &Fault) -> bool {
    fault.0 == unknown()
}

fn failure(outcome: Result<&u32, &Fault>) -> circuit_breaker::Verdict {
    use circuit_breaker::Verdict::{Failure, Ignored, Success};
    outcome.map_or_else(|fault| if is_grave(fault) { Failure } else { Ignored }, |_| Success)
}

fn fatal(outcome: Result<&u32, &Fault>) -> hedge::Verdict {
    use hedge::Verdict::{Failure, Fatal, Success};
    outcome.map_or_else(|fault| if is_grave(fault) { Fatal } else { Failure }, |_| Success)
}

fn overload(outcome: Result<&u32, &Fault>) -> adaptive_limit::Verdict {
    use adaptive_limit::Verdict::{Ignored, Overload, Success};
    outcome.map_or_else(|fault| if is_grave(fault) { Overload } else { Ignored }, |_| Success)
}

pub async fn all() {
    let key = unknown();
    told(FAILS_IF.run(answer).await);
    told(FAILS_BY.run(answer).await);
    told(ALL_FAIL_IF.run(&key, answer).await);
    told(FATAL_IF.run(answer).await);
    told(FATAL_BY.run(answer).await);
    told(OVERLOAD_IF.run(answer).await);
    told(OVERLOAD_BY.run(answer).await);
    told(ON_TIMEOUT.run(|| timeout(ms(50), answer())).await);
    let pipeline = Pipeline::new().timeout(ms(50));
    told(ON_TIMEOUT.run(|| pipeline.run(answer)).await);
    told(Pipeline::new().circuit_breaker(&FAILS_IF).hedge(&FATAL_IF).adaptive_limit(&OVERLOAD_IF).run(answer).await);
}
