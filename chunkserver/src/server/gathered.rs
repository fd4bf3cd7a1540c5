//! What is gathered from all servers is made once for all who ask at the same time, and kept for a moment: ten open pages cost
//! as much as one.

use bytes::Bytes;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// How long an answer is good.
const FRESH: Duration = Duration::from_millis(500);
/// Answers that are kept, or are being made.
const MOST: usize = 16;

/// An answer, once it is there, and when that was.
type Place = Arc<OnceCell<(Instant, Bytes)>>;

/// Answers by what was asked.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    answers: Mutex<Vec<(String, Place)>>,
}

impl Gathered {
    /// The answer to `question`: one that was just given, or is being made, or that of `make`.
    pub(super) async fn get(&self, question: String, make: impl Future<Output = Vec<u8>>) -> Bytes {
        // When who began to make it is gone, another one begins anew.
        let place = self.place(question);
        let made = place.get_or_init(|| async {
            let bytes = make.await;
            (Instant::now(), bytes.into())
        });
        made.await.1.clone()
    }

    fn place(&self, question: String) -> Place {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|(_, place)| place.get().is_none_or(|(made, _)| made.elapsed() < FRESH));
        if let Some((_, place)) = answers.iter().find(|(asked, _)| *asked == question) {
            return Arc::clone(place);
        }
        if answers.len() >= MOST {
            answers.remove(0);
        }
        let place = Place::default();
        answers.push((question, Arc::clone(&place)));
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test(start_paused = true)]
    async fn those_who_ask_at_once_share_an_answer() {
        let (gathered, made) = (Gathered::default(), AtomicUsize::new(0));
        let ask = |question: &str| {
            gathered.get(question.to_owned(), async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                vec![made.fetch_add(1, Ordering::Relaxed) as u8]
            })
        };
        let (first, second, other) = tokio::join!(ask("a"), ask("a"), ask("b"));
        assert_eq!((&first, made.load(Ordering::Relaxed)), (&second, 2));
        assert_ne!(first, other);
        tokio::time::sleep(FRESH - Duration::from_millis(1)).await;
        assert_eq!(ask("a").await, first, "it is still fresh");
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(ask("a").await[..], [2]);
        // Who gives up leaves nothing that others wait for.
        assert!(tokio::time::timeout(Duration::from_millis(50), ask("c")).await.is_err());
        assert_eq!(ask("c").await[..], [3]);
        for number in 0..100 {
            ask(&number.to_string()).await;
        }
        assert!(gathered.answers.lock().unwrap().len() <= MOST);
    }
}
