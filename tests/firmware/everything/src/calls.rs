//! Patterns that are a call's own, or bring operations together.

use core::fmt::Write;
use core::pin::pin;

use aplomb_embassy::backoff::{Fibonacci, Linear, List};
use aplomb_embassy::edge::Share;
use aplomb_embassy::fallback::{fallback, fallback_value};
use aplomb_embassy::hedge::Percentile;
use aplomb_embassy::prelude::*;

use crate::streams::drained;
use crate::{Asked, Fault, Paper, answer, ask, told, unknown, used};

static BUDGET: RetryBudget = RetryBudget::new(500).retry_cost(5).success_refund(1);
static STANDARD: Retry = Retry::standard(&BUDGET);
static DELAYS: [core::time::Duration; 2] = [ms(10), ms(20)];
static DEBOUNCE: Debounce = checked!(Debounce::new(ms(80)).leading(true).max_wait(ms(500)));
static SHARED: Debounce<Share<Result<u32, Fault>, Inline<4>>> = Debounce::shared(ms(80));
static TRIGGER: Throttle<Trigger<u32>> = Throttle::triggered(ms(50));
static AFTER: Hedge = checked!(Hedge::after(ms(200)).max_hedges(1).budget(percent(10)).burst(3));
static BY_PERCENTILE: Hedge<Percentile, Inline<2>> =
    checked!(Hedge::percentile(percent(95)).storage().initial_delay(ms(50)).max_delay(secs(1)).max_hedges(2));
static JOBS: JobSet<Asked, Inline<4>> = JobSet::new(2).storage();
static POOL: Pool<Inline<4>> = Pool::new(2).storage();
static BATCHER: Batcher<u32, u32, Fault, Inline<4>> =
    Batcher::new(3).storage().max_wait(ms(100)).max_weight(10).weigh_by(|item| *item).max_concurrent(2);

pub async fn all() {
    timeouts().await;
    retries().await;
    polling().await;
    edges().await;
    hedges().await;
    several().await;
}

async fn timeouts() {
    told(timeout(ms(u64::from(unknown())), answer()).await);
    told(timeout_at(deadline(secs(1)), answer()).await);
    told(fallback_value(answer(), unknown()).fallback_if(|fault: &Fault| fault.0 == unknown()).await);
    told(fallback(answer(), |fault: Fault| ask(fault.0)).await);
}

async fn retries() {
    told(STANDARD.run(answer).await);
    used(write!(Paper, "{STANDARD:?} {BUDGET:?}"));
    told(Retry::reconnect().run(answer).await);
    let mut context = unknown();
    told(STANDARD.run_with(&mut context, async |context: &mut u32| ask(*context).await).await);
    told(STANDARD.run_mut(async || ask(context).await).await);
    let linear = Linear::from(ms(50)).step(ms(u64::from(unknown()))).max(secs(1)).jitter(Jitter::Equal);
    told(retry(answer).backoff(linear).max_attempts(unknown()).deadline(secs(5)).retry_if(|fault| fault.0 > 3).await);
    let fibonacci = Fibonacci::from(ms(u64::from(unknown()))).jitter(Jitter::Decorrelated);
    told(retry(answer).backoff(fibonacci).attempt_timeout(ms(100)).retry_if_value(|value| *value == 3).await);
    let exponential = Exponential::from(ms(50)).factor(Ratio::new(3, 2)).jitter(Jitter::Proportional(percent(20)));
    let asks = |outcome: Result<&u32, &Fault>| outcome.err().map(|fault| ms(u64::from(fault.0)));
    told(retry(answer).backoff(exponential).retry_after(asks).retry_after_max(secs(9)).reset_after(secs(60)).await);
    told(retry(answer).backoff(List::of(&DELAYS)).budget(&BUDGET).between(|_| async { told(answer().await) }).await);
    let again = async |context: &mut u32| used(ask(*context).await.is_ok());
    told(STANDARD.run_with_between(&mut context, async |context: &mut u32| ask(*context).await, again).await);
    told(STANDARD.run_blocking(|| if unknown() > 3 { Ok(context) } else { Err(Fault(context)) }, used));
    used(BUDGET.withdraw());
    BUDGET.deposit();
    used(BUDGET.available());
    used(Exponential::from(ms(50)).jitter(Jitter::Full).delays(unknown().into()).next());
    told(retry(answer).backoff(DELAYS.into_iter()).deadline_at(deadline(secs(5))).await);
    told(Retry::new().forever().call_numbered(|attempt| ask(attempt.number)).await);
}

async fn polling() {
    told(poll_until(answer, |value| *value == unknown()).at_rate(ms(200)).deadline(secs(5)).await);
    let delays = Exponential::from(ms(50));
    told(poll_until(answer, |value| *value > 3).backoff(delays).initial_delay(ms(9)).tolerate_errors_in_a_row(2).await);
}

async fn edges() {
    told(Debounce::new(ms(unknown().into())).max_wait(ms(unknown().into())).check());
    told(Throttle::new(ms(unknown().into())).leading(unknown() > 3).check());
    told(DEBOUNCE.call(answer).await);
    used((DEBOUNCE.flush(), DEBOUNCE.cancel()));
    told(SHARED.call(answer).await);
    used((DEBOUNCE.is_pending(), SHARED.is_pending(), TRIGGER.is_pending()));
    TRIGGER.trigger(unknown());
    used(TRIGGER.next().await);
    used(write!(Paper, "{DEBOUNCE:?} {SHARED:?} {TRIGGER:?}"));
    used(TRIGGER.run(async |value| used(ask(value).await)).await);
}

async fn hedges() {
    told(AFTER.run(answer).await);
    told(BY_PERCENTILE.run(answer).await);
    used(BY_PERCENTILE.snapshot());
    told(AFTER.run_numbered(ask).await);
    used(write!(Paper, "{AFTER:?} {BY_PERCENTILE:?}"));
}

async fn several() {
    let items = [unknown(), unknown(), unknown()];
    told(parallel_array(items, unknown() as usize, ask).stored_in::<Inline<2>>().await);
    told(parallel_array(items, 2, ask).stored_in::<Inline<2>>().keep_going().completion_order().await);
    told(waterfall(ask).then(ask).then(ask).named(|| if unknown() > 3 { "third" } else { "last" }).run(unknown()).await);
    used(JOBS.add(Asked(unknown())).is_ok());
    JOBS.pause();
    JOBS.resume();
    if let Ok(results) = JOBS.results() {
        drained(pin!(results.completion_order())).await;
    }
    used((JOBS.set_concurrency(unknown()), JOBS.cancel_waiting(), JOBS.snapshot()));
    JOBS.close();
    told(POOL.run(answer).priority(3).await);
    told(POOL.try_run(answer).await);
    used((POOL.set_concurrency(unknown()), POOL.cancel_waiting()));
    POOL.pause();
    POOL.resume();
    used(POOL.drained().await);
    told(BATCHER.call(unknown(), async |items| answer().await.map(|_| items)).await);
    told(BATCHER.call_once(unknown(), async |items| answer().await.map(|_| items)).await);
    told(BATCHER.call(unknown(), async |_| answer().await.map(|value| [Ok(value), Err(Fault(value))])).await);
    used((BATCHER.flush(), BATCHER.snapshot()));
    used(write!(Paper, "{POOL:?} {JOBS:?} {BATCHER:?} {:?}", JOBS.add(Asked(unknown()))));
}
