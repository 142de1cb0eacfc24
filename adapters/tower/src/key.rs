/// What a request is counted under: its client, its user, the host it goes to. Every `Fn(&Request) -> Key` is one; with the feature `http`, see `web::PeerAddress`, `web::ForwardedFor` and `web::Header`.
///
/// A request always has a key. Where what it is made of may be missing, let the key be an `Option`: those without share one limit, and none goes free.
///
/// # Examples
///
/// ```
/// use aplomb_tower::KeyOf;
///
/// struct Upload { user: u32 }
///
/// fn count_by<K: KeyOf<Upload, Key = u32>>(key_of: K) -> u32 { key_of.key(&Upload { user: 7 }) }
///
/// assert_eq!(count_by(|upload: &Upload| upload.user), 7);
/// ```
pub trait KeyOf<Q> {
    /// What requests are told apart by.
    type Key;

    /// The key of that request.
    fn key(&self, request: &Q) -> Self::Key;
}

impl<Q, K, F: Fn(&Q) -> K> KeyOf<Q> for F {
    type Key = K;

    fn key(&self, request: &Q) -> K {
        self(request)
    }
}
