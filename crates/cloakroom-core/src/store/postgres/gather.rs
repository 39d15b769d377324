//! What many ask at a time is asked once: questions of one kind are gathered into statements for all of them.
//!
//! Nobody waits for others to come: a question is sent at once while few are under way, and what gathers behind those goes
//! together. So one alone is as quick as without, and the more there are, the less each costs: parsing and planning, the way
//! there and back, and the commit are shared. What is under way goes on though who asked has gone, for others wait for it.
//!
//! Such a statement takes arrays as `(SELECT $1)`. That hides their length from PostgreSQL, which otherwise plans it anew each
//! time for fear that the length matters (76 µs, as long as the whole work for eight questions).

use std::{collections::VecDeque, future::Future, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::oneshot, time::timeout};
use tokio_postgres::Row;

use super::{columns::number, error::unreadable, pool::Pool};
use crate::{
    store::{Batches, Gathered, StoreError},
    tasks,
};

/// The most questions of one kind that wait.
const QUEUE: usize = 4096;

/// The most look-ups in one statement.
pub(super) const LOOK_UPS: usize = 128;

/// One of a kind of questions that can be asked together.
pub(super) trait Question: Sized + Send + Sync + 'static {
    /// What is answered.
    type Answer: Send + 'static;
    /// The most questions in one statement or transaction.
    const MOST: usize;
    /// The most statements or transactions that are under way.
    const AT_ONCE: usize = 4;
    /// How many exchanges with the server one is, each within the time that a statement has.
    const EXCHANGES: u32 = 1;
    /// Whether it is asked though nobody waits for the answer any more.
    const UNHEARD: bool = false;

    /// Asks them all; the answers in their order.
    fn ask(pool: &Pool, questions: &[Self]) -> impl Future<Output = Result<Vec<Self::Answer>, StoreError>> + Send;
}

/// Where questions of one kind gather.
pub(super) struct Gather<Q: Question>(Arc<Inner<Q>>);

struct Inner<Q: Question> {
    pool: Arc<Pool>,
    /// As long as without others: for a connection to become free, and for what is done on it.
    patience: Duration,
    waiting: Mutex<Waiting<Q>>,
    batches: Batches,
}

struct Waiting<Q: Question> {
    queue: VecDeque<Asked<Q>>,
    under_way: usize,
}

struct Asked<Q: Question> {
    question: Q,
    reply: Reply<Q>,
}

type Reply<Q> = oneshot::Sender<Result<<Q as Question>::Answer, StoreError>>;

impl<Q: Question> Gather<Q> {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        let patience = pool.connect_timeout() + pool.statement_timeout() * Q::EXCHANGES;
        Self::with_patience(pool, patience)
    }

    fn with_patience(pool: Arc<Pool>, patience: Duration) -> Self {
        let waiting = Mutex::new(Waiting { queue: VecDeque::new(), under_way: 0 });
        Self(Arc::new(Inner { pool, patience, waiting, batches: Batches::default() }))
    }

    /// The answer to a question that is sent after this call.
    ///
    /// # Errors
    /// Whatever befell the statement that it was in; [`StoreError::Unavailable`] when too many wait, or for too long.
    pub(super) async fn ask(&self, question: Q) -> Result<Q::Answer, StoreError> {
        let (reply, answer) = oneshot::channel();
        {
            let mut waiting = self.0.waiting.lock();
            if waiting.queue.len() >= QUEUE {
                return Err(StoreError::Unavailable("too many questions wait for PostgreSQL".to_owned()));
            }
            waiting.queue.push_back(Asked { question, reply });
            if waiting.under_way < Q::AT_ONCE {
                waiting.under_way += 1;
                tasks::once("gather", work(Place { of: Arc::clone(&self.0), held: true }));
            }
        }
        let lost = |_| StoreError::Unavailable("a statement for PostgreSQL was given up".to_owned());
        let slow = |_| StoreError::Unavailable("PostgreSQL did not come to a question in time".to_owned());
        timeout(self.0.patience, answer).await.map_err(slow)?.map_err(lost)?
    }

    /// What waits, and what has been asked.
    pub(super) fn gathered(&self) -> Gathered {
        self.0.batches.with_waiting(self.0.waiting.lock().queue.len())
    }
}

async fn work<Q: Question>(mut place: Place<Q>) {
    while let Some((questions, replies)) = place.next() {
        place.of.batches.add(questions.len());
        match Box::pin(Q::ask(&place.of.pool, &questions)).await {
            Ok(answers) => {
                for (reply, answer) in replies.into_iter().zip(answers) {
                    // Whoever asked may have gone.
                    let _ = reply.send(Ok(answer));
                }
            }
            Err(error) => {
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }
}

/// The right to ask.
struct Place<Q: Question> {
    of: Arc<Inner<Q>>,
    held: bool,
}

impl<Q: Question> Place<Q> {
    /// What is to be asked next. If nothing waits the place is given back, under the same lock: whoever comes later sees it.
    fn next(&mut self) -> Option<(Vec<Q>, Vec<Reply<Q>>)> {
        let mut waiting = self.of.waiting.lock();
        let (mut questions, mut replies) = (Vec::new(), Vec::new());
        while questions.len() < Q::MOST
            && let Some(asked) = waiting.queue.pop_front()
        {
            if Q::UNHEARD || !asked.reply.is_closed() {
                questions.push(asked.question);
                replies.push(asked.reply);
            }
        }
        if questions.is_empty() {
            waiting.under_way -= 1;
            self.held = false;
            return None;
        }
        Some((questions, replies))
    }
}

impl<Q: Question> Drop for Place<Q> {
    fn drop(&mut self) {
        if !self.held {
            return;
        }
        // Its holder died in the middle. If nobody is left to come for those who wait, they are told so.
        let mut waiting = self.of.waiting.lock();
        waiting.under_way -= 1;
        if waiting.under_way == 0 {
            waiting.queue.clear();
        }
    }
}

/// Each row at the place of the question that it answers, which stands in `column` and begins with 1.
pub(super) fn placed(rows: Vec<Row>, column: usize, questions: usize) -> Result<Vec<Option<Row>>, StoreError> {
    let mut answers: Vec<Option<Row>> = std::iter::repeat_with(|| None).take(questions).collect();
    for row in rows {
        let place = number(&row, column)? as usize;
        let answer = place.checked_sub(1).and_then(|place| answers.get_mut(place));
        *answer.ok_or_else(|| unreadable("the place of an answer"))? = Some(row);
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::{join, join_all};
    use tokio::{
        sync::{Semaphore, mpsc},
        task::JoinHandle,
    };

    use super::{
        super::{connection::Connector, url::Url},
        *,
    };

    /// A question that waits at a gate, and is answered by how many were asked with it.
    struct Knock {
        gate: Arc<Gate>,
        number: usize,
    }

    struct Gate {
        open: Semaphore,
        came: mpsc::UnboundedSender<Vec<usize>>,
        inside: AtomicUsize,
        most_inside: AtomicUsize,
    }

    /// The one that nobody answers well, and the one at which the asker dies.
    const BAD: usize = 13;
    const DEADLY: usize = 17;

    impl Question for Knock {
        type Answer = usize;
        const MOST: usize = 8;
        const AT_ONCE: usize = 2;

        async fn ask(_: &Pool, questions: &[Self]) -> Result<Vec<usize>, StoreError> {
            let gate = &questions[0].gate;
            let numbers: Vec<_> = questions.iter().map(|knock| knock.number).collect();
            gate.most_inside.fetch_max(gate.inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            gate.came.send(numbers.clone()).unwrap();
            gate.open.acquire().await.unwrap().forget();
            gate.inside.fetch_sub(1, Ordering::SeqCst);
            assert!(!numbers.contains(&DEADLY), "this one kills");
            if numbers.contains(&BAD) { Err(StoreError::Full) } else { Ok(vec![questions.len(); questions.len()]) }
        }
    }

    /// With nobody at the gate but whom the test lets in, and the batches that come there.
    fn gather() -> (Arc<Gather<Knock>>, Arc<Gate>, mpsc::UnboundedReceiver<Vec<usize>>) {
        gather_for(Duration::from_secs(60))
    }

    fn gather_for(patience: Duration) -> (Arc<Gather<Knock>>, Arc<Gate>, mpsc::UnboundedReceiver<Vec<usize>>) {
        // No connection is made: nothing here asks a database.
        let url = Url::parse("postgres://cloakroom@localhost/people").unwrap();
        let pool = Pool::new(Connector::new(&url).unwrap(), 1).unwrap();
        let (came, coming) = mpsc::unbounded_channel();
        let (inside, most_inside) = Default::default();
        let gate = Arc::new(Gate { open: Semaphore::new(0), came, inside, most_inside });
        (Arc::new(Gather::with_patience(Arc::new(pool), patience)), gate, coming)
    }

    fn knock(
        gather: &Arc<Gather<Knock>>,
        gate: &Arc<Gate>,
        number: usize,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send + use<> {
        let (gather, gate) = (Arc::clone(gather), Arc::clone(gate));
        async move { gather.ask(Knock { gate, number }).await }
    }

    /// Two of them, each under way by itself, so that whoever comes now waits.
    async fn occupy(
        gather: &Arc<Gather<Knock>>,
        gate: &Arc<Gate>,
        coming: &mut mpsc::UnboundedReceiver<Vec<usize>>,
        numbers: [usize; 2],
    ) -> Vec<JoinHandle<Result<usize, StoreError>>> {
        let mut asking = Vec::new();
        for number in numbers {
            asking.push(tokio::spawn(knock(gather, gate, number)));
            assert_eq!(coming.recv().await.unwrap(), [number]);
        }
        asking
    }

    async fn until_waiting(gather: &Gather<Knock>, count: usize) {
        while gather.gathered().waiting < count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn one_alone_is_asked_at_once_and_what_comes_behind_goes_together() {
        let (gather, gate, mut coming) = gather();
        let mut asking = occupy(&gather, &gate, &mut coming, [0, 1]).await;
        asking.extend((2..22).filter(|n| *n != BAD && *n != DEADLY).map(|n| tokio::spawn(knock(&gather, &gate, n))));
        until_waiting(&gather, 18).await;
        gate.open.add_permits(100);
        let answers: Vec<_> = join_all(asking).await.into_iter().map(|answer| answer.unwrap().unwrap()).collect();
        assert_eq!(answers[..3], [1, 1, 8]);
        assert_eq!(answers[18..], [2, 2]);
        assert_eq!(gather.gathered(), Gathered { waiting: 0, batches: 5, operations: 20 });
        assert_eq!(gate.most_inside.load(Ordering::SeqCst), 2);
        // And again, when all have gone.
        assert_eq!(knock(&gather, &gate, 30).await, Ok(1));
    }

    #[tokio::test]
    async fn an_error_is_told_to_those_who_were_asked_together_and_to_nobody_else() {
        let (gather, gate, mut coming) = gather();
        let first = tokio::spawn(join(knock(&gather, &gate, 0), knock(&gather, &gate, BAD)));
        assert_eq!(coming.recv().await.unwrap(), [0, BAD]);
        gate.open.add_permits(2);
        assert_eq!(first.await.unwrap(), (Err(StoreError::Full), Err(StoreError::Full)));
        assert_eq!(knock(&gather, &gate, 1).await, Ok(1));
    }

    #[tokio::test]
    async fn whoever_has_gone_is_not_asked_for() {
        let (gather, gate, mut coming) = gather();
        let asking = occupy(&gather, &gate, &mut coming, [0, 1]).await;
        let gone = [2, 3].map(|number| tokio::spawn(knock(&gather, &gate, number)));
        until_waiting(&gather, 2).await;
        for one in gone {
            one.abort();
            assert!(one.await.unwrap_err().is_cancelled());
        }
        let last = tokio::spawn(knock(&gather, &gate, 4));
        until_waiting(&gather, 3).await;
        gate.open.add_permits(100);
        assert_eq!(coming.recv().await.unwrap(), [4]);
        assert_eq!(last.await.unwrap(), Ok(1));
        // What is under way goes on though its asker has gone.
        for one in asking {
            assert_eq!(one.await.unwrap(), Ok(1));
        }
    }

    #[tokio::test]
    async fn the_death_of_one_who_asks_is_told_and_others_go_on() {
        let (gather, gate, mut coming) = gather();
        let dying = occupy(&gather, &gate, &mut coming, [DEADLY, DEADLY]).await;
        let waiting = tokio::spawn(knock(&gather, &gate, 1));
        until_waiting(&gather, 1).await;
        gate.open.add_permits(2);
        let told = StoreError::Unavailable("a statement for PostgreSQL was given up".to_owned());
        for one in dying.into_iter().chain([waiting]) {
            assert_eq!(one.await.unwrap(), Err(told.clone()));
        }
        gate.open.add_permits(1);
        assert_eq!(knock(&gather, &gate, 2).await, Ok(1));
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let (gather, gate, _coming) = gather_for(Duration::from_millis(5));
        let answers = join_all((20..40).map(|number| knock(&gather, &gate, number))).await;
        assert!(answers.iter().all(|answer| matches!(answer, Err(StoreError::Unavailable(_)))));
        // Those who were not asked for yet have gone, and are not.
        gate.open.add_permits(100);
        assert_eq!(knock(&gather, &gate, 0).await, Ok(1));
        assert_eq!(gather.gathered().operations, 8 + 8 + 1);
    }

    #[tokio::test]
    async fn more_than_may_wait_are_refused_at_once() {
        let (gather, gate, mut coming) = gather();
        let mut asked = occupy(&gather, &gate, &mut coming, [0, 1]).await;
        asked.extend((0..QUEUE).map(|number| tokio::spawn(knock(&gather, &gate, 100 + number))));
        until_waiting(&gather, QUEUE).await;
        let refused = StoreError::Unavailable("too many questions wait for PostgreSQL".to_owned());
        assert_eq!(knock(&gather, &gate, 50).await, Err(refused));
        gate.open.add_permits(QUEUE);
        for one in asked {
            assert!(one.await.unwrap().is_ok());
        }
    }
}
