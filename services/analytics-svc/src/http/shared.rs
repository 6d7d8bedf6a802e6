//! One answer for all who ask for the same within a while: ten pages cost what one does.

use std::{sync::Arc, time::Duration};

use chrono::NaiveDate;
use tokio::{sync::Mutex, time::Instant};

use super::panels::Refused;

/// What made for a refusal may be over at any time.
const REFUSAL_AGE_MAX: Duration = Duration::from_secs(1);

/// What an answer depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// Of the materializations; none before the first.
    pub(super) version: Option<u64>,
    pub(super) day: NaiveDate,
    pub(super) is_today: bool,
}

/// JSON.
pub(super) type Answer = Result<Arc<str>, Refused>;

#[derive(Default)]
pub(super) struct Shared(Mutex<Option<Kept>>);

struct Kept {
    key: Key,
    at: Instant,
    answer: Answer,
}

impl Kept {
    fn is_good(&self, age_max: Duration) -> bool {
        let age_max = if self.answer.is_ok() { age_max } else { age_max.min(REFUSAL_AGE_MAX) };
        self.at.elapsed() < age_max
    }
}

impl Shared {
    /// The answer that is kept, if it is for the same and not older than that; else a new one. Those who come meanwhile wait for it.
    pub(super) async fn get(
        &self,
        key: Key,
        age_max: Duration,
        ask: impl Future<Output = Answer>,
    ) -> Answer {
        let mut kept = self.0.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.key == key && kept.is_good(age_max)) {
            return kept.answer.clone();
        }
        let answer = ask.await;
        *kept = Some(Kept { key, at: Instant::now(), answer: answer.clone() });
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::http::StatusCode;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_is_asked_once_until_it_is_old_or_another_is_wanted() {
        let (shared, asked) = (Shared::default(), AtomicU32::new(0));
        let day = NaiveDate::from_ymd_opt(2026, 11, 24).unwrap();
        let first = Key { version: Some(1), day, is_today: true };
        let get = async |key: Key| {
            let ask = async {
                tokio::time::sleep(Duration::from_millis(10)).await;
                Ok(asked.fetch_add(1, Ordering::Relaxed).to_string().into())
            };
            shared.get(key, Duration::from_secs(2), ask).await.unwrap()
        };
        let (one, other) = tokio::join!(get(first), get(first));
        assert_eq!((&*one, &*other), ("0", "0"));
        assert_eq!(&*get(Key { version: Some(2), ..first }).await, "1");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(&*get(Key { version: Some(2), ..first }).await, "1");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(&*get(Key { version: Some(2), ..first }).await, "2");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_soon_asked_for_again() {
        let shared = Shared::default();
        let day = NaiveDate::from_ymd_opt(2026, 11, 24).unwrap();
        let key = Key { version: Some(1), day, is_today: true };
        let get =
            async |answer: Answer| shared.get(key, Duration::from_secs(60), async { answer }).await;
        let refused = Refused::new(StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED", "too long");
        get(Err(refused.clone())).await.unwrap_err();
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert_eq!(get(Ok("0".into())).await, Err(refused));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(get(Ok("1".into())).await, Ok("1".into()));
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert_eq!(get(Ok("2".into())).await, Ok("1".into()));
    }
}
