//! Four operations, two at a time. After a failure nothing starts any more, but what is under way goes on to its end.

use core::cell::Cell;

use embassy_futures::join::join;

use crate::{Fault, operation};

/// Their results, in their order.
///
/// # Errors
///
/// That of one of them.
pub async fn paralleled(items: [u32; 4]) -> Result<[u32; 4], Fault> {
    let next = Cell::new(0);
    let results = Cell::new(Ok([0; 4]));
    let work = async || {
        while let (place, Ok(_)) = (next.get(), results.get())
            && let Some(_item) = items.get(place)
        {
            next.set(place + 1);
            let outcome = operation().await;
            results.set(results.get().and_then(|mut values: [u32; 4]| {
                values[place] = outcome?;
                Ok(values)
            }));
        }
    };
    join(work(), work()).await;
    results.get()
}
