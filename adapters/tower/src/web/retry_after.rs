use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;

/// How long a response asks to wait: its `Retry-After`, as seconds or as a date (RFC 9110, 10.2.3). A date is taken from `now`; one that has passed is zero, which [`Transient`](super::Transient) takes for no hint at all. What cannot be read is ignored, and so is `Retry-After` that comes twice.
///
/// # Examples
///
/// ```
/// use aplomb_tower::web::retry_after;
/// use http::HeaderMap;
/// use std::time::{Duration, SystemTime};
///
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
/// let mut fields = HeaderMap::new();
/// assert_eq!(retry_after(&fields, now), None);
/// fields.insert("retry-after", "120".parse().unwrap());
/// assert_eq!(retry_after(&fields, now), Some(Duration::from_mins(2)));
/// fields.insert("retry-after", "Sun, 06 Nov 1994 08:49:40 GMT".parse().unwrap());
/// assert_eq!(retry_after(&fields, now), Some(Duration::from_secs(3)));
/// ```
#[must_use]
pub fn retry_after(fields: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let mut values = fields.get_all(RETRY_AFTER).iter();
    let value = values.next()?.to_str().ok()?.trim();
    if values.next().is_some() {
        return None;
    }
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than can be counted are for ever.
        return Some(value.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_ignored() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
        let long_ago = Some(Duration::ZERO);
        for (value, expected) in [
            ("0", Some(Duration::ZERO)),
            (" 7 ", Some(Duration::from_secs(7))),
            ("99999999999999999999999", Some(Duration::MAX)),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT", long_ago),
            ("Sun, 06 Nov 1994 08:00:00 GMT", long_ago),
            ("Sun, 06 Nov 1994 09:49:37 GMT", Some(Duration::from_hours(1))),
            ("Sunday, 06-Nov-94 08:49:38 GMT", Some(Duration::from_secs(1))), // the obsolete forms of RFC 850 and of asctime
            ("Sun Nov  6 08:49:38 1994", Some(Duration::from_secs(1))),
        ] {
            let mut fields = HeaderMap::new();
            fields.insert(RETRY_AFTER, value.parse().expect("a value"));
            assert_eq!(retry_after(&fields, now), expected, "{value}");
        }
        let mut twice = HeaderMap::new();
        twice.append(RETRY_AFTER, "1".parse().expect("a value"));
        twice.append(RETRY_AFTER, "2".parse().expect("a value"));
        assert_eq!(retry_after(&twice, now), None);
    }
}
