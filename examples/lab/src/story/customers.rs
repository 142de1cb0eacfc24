use std::rc::Rc;
use std::time::Duration;

use aplomb_tokio::Tokio;
use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::plan::{PATIENCE, Plan, RATE};
use super::service::{Service, path};
use crate::http::fetch;
use crate::policy::{Failure, Policy, Sent, Stack};

/// Lets all of them call, and waits for the last call.
///
/// # Errors
///
/// Says which policy makes no sense.
pub(super) async fn all(customers: &[Policy], service: &Rc<Service>, plan: &Plan) -> Result<(), String> {
    let mut all = JoinSet::new();
    for (index, policy) in customers.iter().enumerate() {
        let stack = Stack::new(policy, PATIENCE).map_err(|error| error.to_string())?;
        let customer = Customer { index, path: path(index), stack, service: Rc::clone(service) };
        all.spawn_local(Rc::new(customer).call_until(plan.time, Rng::with_seed(plan.seed)));
    }
    all.join_all().await;
    Ok(())
}

struct Customer {
    index: usize,
    path: String,
    stack: Stack<Tokio>,
    service: Rc<Service>,
}

impl Customer {
    /// Calls at random times, which are the same for all customers, whether or not earlier calls have ended.
    async fn call_until(self: Rc<Self>, end: Duration, mut random: Rng) {
        let mut calls = JoinSet::new();
        let mut at = Duration::ZERO;
        loop {
            at += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / RATE);
            if at >= end {
                break;
            }
            sleep(at.saturating_sub(self.service.elapsed())).await;
            let customer = Rc::clone(&self);
            calls.spawn_local(async move { customer.call().await });
        }
        calls.join_all().await;
    }

    async fn call(&self) {
        let began = self.service.elapsed();
        let request = || -> Sent<'_> {
            Box::pin(async {
                let answer = fetch(self.service.address(), &self.path).await;
                answer.map(drop).map_err(|_| Failure::Unavailable)
            })
        };
        let outcome = self.stack.call(&request).await;
        self.service.note(self.index, began, outcome.is_ok());
    }
}
