//! Patterns that are a call's own, or bring operations together.

use aplomb_embassy::backoff::{Fibonacci, Linear, List};
use aplomb_embassy::edge::Share;
use aplomb_embassy::fallback::{fallback, fallback_value};
use aplomb_embassy::hedge::Percentile;
use aplomb_embassy::prelude::*;

use crate::{Fault, answer, ask, unknown, used};

static BUDGET: RetryBudget = RetryBudget::new(500).retry_cost(5).success_refund(1);
static STANDARD: Retry = Retry::standard(&BUDGET);
static DELAYS: [core::time::Duration; 2] = [ms(10), ms(20)];
static DEBOUNCE: Debounce = checked!(Debounce::new(ms(80)).leading(true).max_wait(ms(500)));
static SHARED: Debounce<Share<Result<u32, Fault>, Inline<4>>> = Debounce::shared(ms(80));
static TRIGGER: Throttle<Trigger<u32>> = Throttle::triggered(ms(50));
static AFTER: Hedge = checked!(Hedge::after(ms(200)).max_hedges(1).budget(percent(10)).burst(3));
static BY_PERCENTILE: Hedge<Percentile, Inline<2>> =
    checked!(Hedge::percentile(percent(95)).storage().initial_delay(ms(50)).max_delay(secs(1)).max_hedges(2));
static JOBS: JobSet<core::future::Ready<Result<u32, Fault>>, Inline<4>> = JobSet::new(2).storage();
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
    used(timeout(ms(u64::from(unknown())), answer()).await);
    used(timeout_at(deadline(secs(1)), answer()).await);
    used(fallback_value(answer(), unknown()).fallback_if(|fault: &Fault| fault.0 == unknown()).await);
    used(fallback(answer(), |fault: Fault| ask(fault.0)).await);
}

async fn retries() {
    used(STANDARD.run(answer).await);
    used(Retry::reconnect().run(answer).await);
    let mut context = unknown();
    used(STANDARD.run_with(&mut context, async |context: &mut u32| ask(*context).await).await);
    used(STANDARD.run_mut(async || ask(context).await).await);
    let linear = Linear::from(ms(50)).step(ms(u64::from(unknown()))).max(secs(1)).jitter(Jitter::Equal);
    used(retry(answer).backoff(linear).max_attempts(unknown()).deadline(secs(5)).retry_if(|fault| fault.0 > 3).await);
    let fibonacci = Fibonacci::from(ms(u64::from(unknown()))).jitter(Jitter::Decorrelated);
    used(retry(answer).backoff(fibonacci).attempt_timeout(ms(100)).retry_if_value(|value| *value == 3).await);
    let exponential = Exponential::from(ms(50)).factor(Ratio::new(3, 2)).jitter(Jitter::Proportional(percent(20)));
    let asks = |outcome: Result<&u32, &Fault>| outcome.err().map(|fault| ms(u64::from(fault.0)));
    used(retry(answer).backoff(exponential).retry_after(asks).retry_after_max(secs(9)).reset_after(secs(60)).await);
    used(retry(answer).backoff(List::of(&DELAYS)).budget(&BUDGET).between(|_| async { used(answer().await) }).await);
    used(Retry::new().call_numbered(|attempt| ask(attempt.number)).await);
}

async fn polling() {
    used(poll_until(answer, |value| *value == unknown()).at_rate(ms(200)).deadline(secs(5)).await);
    let delays = Exponential::from(ms(50));
    used(poll_until(answer, |value| *value > 3).backoff(delays).initial_delay(ms(9)).tolerate_errors_in_a_row(2).await);
}

async fn edges() {
    used(DEBOUNCE.call(answer).await);
    used((DEBOUNCE.flush(), DEBOUNCE.cancel()));
    used(SHARED.call(answer).await);
    TRIGGER.trigger(unknown());
    used(TRIGGER.next().await);
    used(TRIGGER.run(async |value| used(ask(value).await)).await);
}

async fn hedges() {
    used(AFTER.run(answer).await);
    used(BY_PERCENTILE.run(answer).await);
    used(BY_PERCENTILE.snapshot());
}

async fn several() {
    let items = [unknown(), unknown(), unknown()];
    used(parallel_array(items, unknown() as usize, ask).stored_in::<Inline<2>>().await);
    used(parallel_array(items, 2, ask).stored_in::<Inline<2>>().keep_going().completion_order().await);
    used(waterfall(ask).then(ask).then(ask).named("third").run(unknown()).await);
    used(JOBS.add(core::future::ready(Ok(unknown()))).is_ok());
    used(JOBS.snapshot());
    used(POOL.run(answer).priority(3).await);
    used(POOL.try_run(answer).await);
    used((POOL.set_concurrency(unknown()), POOL.cancel_waiting()));
    POOL.pause();
    POOL.resume();
    used(POOL.drained().await);
    used(BATCHER.call(unknown(), async |items| answer().await.map(|_| items)).await);
    used(BATCHER.call_once(unknown(), async |items| answer().await.map(|_| items)).await);
    used((BATCHER.flush(), BATCHER.snapshot()));
}
