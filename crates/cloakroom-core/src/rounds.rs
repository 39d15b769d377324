//! A question that is asked once for all who ask at a time.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::sync::Mutex;

/// The rounds of one question.
///
/// There is one at a time. Whoever comes meanwhile shares the next one: so each answer was asked for after everyone who is
/// given it had come, nobody waits for more than two rounds, and who is asked has one question at a time, however many ask.
pub(crate) struct Rounds<T> {
    begun: AtomicU64,
    last: Mutex<Option<Round<T>>>,
}

/// A round that is over.
struct Round<T> {
    number: u64,
    answer: T,
}

impl<T: Clone> Rounds<T> {
    pub(crate) const fn new() -> Self {
        Self { begun: AtomicU64::new(0), last: Mutex::const_new(None) }
    }

    /// The answer of a round that begins after this call. Who gives up in the middle of one leaves it to the next.
    pub(crate) async fn ask<F: Future<Output = T>>(&self, question: impl FnOnce() -> F) -> T {
        let before = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if let Some(round) = last.as_ref().filter(|round| round.number > before) {
            return round.answer.clone();
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let answer = question().await;
        *last = Some(Round { number, answer: answer.clone() });
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, sync::atomic::AtomicU32};

    use futures_util::{FutureExt, future::join_all};
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn a_thousand_who_ask_at_once_cost_two_rounds() {
        let (rounds, gate, asked) = (Rounds::new(), Semaphore::new(0), AtomicU32::new(0));
        let ask = || {
            rounds.ask(|| async {
                let number = asked.fetch_add(1, Ordering::Relaxed) + 1;
                gate.acquire().await.unwrap().forget();
                number
            })
        };
        let mut first = pin!(ask());
        assert!(first.as_mut().now_or_never().is_none());
        let mut others = pin!(join_all((0..1000).map(|_| ask())));
        assert!(others.as_mut().now_or_never().is_none());
        gate.add_permits(2);
        // What the first is told was asked before the others came.
        assert_eq!(first.await, 1);
        assert!(others.await.iter().all(|answer| *answer == 2));
    }

    #[tokio::test]
    async fn one_who_gives_up_leaves_the_question_to_the_next() {
        let rounds = Rounds::new();
        let mut given_up = Box::pin(rounds.ask(std::future::pending));
        assert!(given_up.as_mut().now_or_never().is_none());
        let mut waiting = pin!(rounds.ask(|| async { 2 }));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(given_up);
        assert_eq!(waiting.await, 2);
    }
}
