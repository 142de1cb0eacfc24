/// What a batch has for an item: a value, or a `Result` of its own.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// static HALVES: Batcher<u32, u32, &str> = Batcher::new(8);
///
/// async fn halve(numbers: Vec<u32>) -> Result<Vec<Result<u32, &'static str>>, &'static str> {
///     Ok(numbers.iter().map(|n| if n % 2 == 0 { Ok(n / 2) } else { Err("odd") }).collect())
/// }
///
/// aplomb_sim::block_on(async {
///     assert_eq!(HALVES.call(8, halve).await, Ok(4));
///     assert_eq!(HALVES.call(7, halve).await, Err(BatchError::Failed("odd")));
/// });
/// ```
pub trait Answer<T, E> {
    /// As the item's result.
    ///
    /// # Errors
    ///
    /// The item's own.
    fn into_result(self) -> Result<T, E>;
}

impl<T, E> Answer<T, E> for T {
    #[inline]
    fn into_result(self) -> Result<T, E> {
        Ok(self)
    }
}

impl<T, E> Answer<T, E> for Result<T, E> {
    #[inline]
    fn into_result(self) -> Self {
        self
    }
}
