//! What makes no sense is refused.

use aplomb::key::FoldHash;
use aplomb::rate_limiter::{KeyedRateLimiter, Rate, RateLimitError, RateLimiter, TokenBucket};
use aplomb::{ConfigError, Inline};
use aplomb_sim::{Sim, block_on};

#[test]
fn more_callers_than_there_is_room_for_are_refused() {
    type Limiter = RateLimiter<Sim, TokenBucket, Inline<4>>;
    let limiter = |most| Limiter::max_waiting(RateLimiter::new(Rate::per_second(1)).storage(), most);
    assert!(limiter(4).check().is_ok() && limiter(u32::MAX).check().is_ok());
    let refused = ConfigError::WaitingPlaces { value: 5, most: 4 };
    assert_eq!(limiter(5).check().err(), Some(refused));
    assert_eq!(limiter(5).config_error(), Some(refused));
    let limiter = limiter(5);
    block_on(async {
        for _ in 0..2 {
            assert_eq!(limiter.try_acquire(1).err(), Some(RateLimitError::Config(refused)));
            assert_eq!(limiter.acquire(1).await.err(), Some(RateLimitError::Config(refused)));
        }
    });
}

#[test]
fn more_callers_of_a_key_than_there_is_room_for_are_refused() {
    type Limiter = KeyedRateLimiter<Sim, u8, TokenBucket, Inline<4>, FoldHash, 2>;
    let limiter = |most| Limiter::max_waiting(KeyedRateLimiter::new(Rate::per_second(1)).storage().shards(), most);
    assert!(limiter(4).check().is_ok() && limiter(u32::MAX).check().is_ok());
    let refused = ConfigError::WaitingPlaces { value: 5, most: 4 };
    assert_eq!(limiter(5).check().err(), Some(refused));
    assert_eq!(limiter(5).config_error(), Some(refused));
    assert_eq!(block_on(limiter(5).acquire(&1, 1)).err(), Some(RateLimitError::Config(refused)));
}

#[test]
fn a_table_that_cannot_be_is_told_of_by_the_first_call() {
    type Limiter = KeyedRateLimiter<Sim, u8, TokenBucket, Inline<4>>;
    for value in [0, 5] {
        let limiter = Limiter::capacity(KeyedRateLimiter::new(Rate::per_second(1)).storage(), value);
        let refused = RateLimitError::Config(ConfigError::Capacity { value, most: 4 });
        block_on(async {
            assert_eq!(limiter.try_acquire(&1, 1).err(), Some(refused));
            assert_eq!(limiter.acquire(&1, 1).await.err(), Some(refused));
            assert_eq!(limiter.reserve(&1, 1).err(), Some(refused));
        });
    }
}
