//! What refresh promises, in any interleaving: tabs that share a token, lost and late answers, thieves.
//!
//! Requests are taken apart as the engine does them: read the record, judge, swap; a lost swap is judged anew. Everything
//! that happens to the record is done by [`Record::rotation`] and [`Write::apply`].

use std::time::Duration;

use proptest::prelude::*;

use super::{Effect, Record, Rotation, Write, Written, record::tests::any_record};
use crate::{clock::Timestamp, ids::Generation};

const GRACE: Duration = Duration::from_secs(30);

/// The store: one record, and when each generation was replaced.
struct Store {
    now: Timestamp,
    record: Option<Record>,
    replaced: Vec<Timestamp>,
    grace: Duration,
}

/// How far a request has come.
#[derive(Clone, Debug, Default)]
enum Request {
    /// There is none.
    #[default]
    Resting,
    /// It has read this.
    Read(Record),
    /// It has been answered with this generation; the answer is under way.
    Answered(Generation),
}

/// A tab, or a thief: the generation that it holds, and its request.
#[derive(Clone, Debug)]
struct Client {
    holds: Generation,
    request: Request,
    lost_swaps: u32,
}

/// What a step of a request came to.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    /// Nothing yet.
    On,
    /// To an answer.
    To(Generation),
    /// The session is over, or has been found to be stolen.
    End(Option<Rotation>),
}

impl Store {
    fn new(mut record: Record, grace: Duration) -> Self {
        record.generation = Generation(0);
        record.rotated = Timestamp::from_secs(1_800_000_000);
        Self { now: record.rotated, record: Some(record), replaced: vec![], grace }
    }

    fn generation(&self) -> Generation {
        self.record.as_ref().expect("the session lives").generation
    }

    /// Whether a client that holds this generation comes back in time: it was not replaced, or not longer than the grace
    /// period ago.
    fn in_time(&self, holds: Generation) -> bool {
        self.replaced.get(holds.0 as usize).is_none_or(|at| self.now < *at + self.grace)
    }

    fn write(&mut self, write: &Write) -> Written {
        let (effect, written) = write.apply(self.record.as_ref(), || self.now);
        match effect {
            Effect::Leave => {}
            Effect::Put(record) => {
                if record.generation != self.generation() {
                    self.replaced.resize(record.generation.0 as usize, self.now);
                }
                self.record = Some(record);
            }
            Effect::Remove => self.record = None,
        }
        written
    }

    /// The second half of a request: judge what was read, and swap.
    fn judge(&mut self, client: &mut Client, read: &Record) -> Came {
        let rotation = read.rotation(client.holds, self.now.since(read.rotated), self.grace);
        let to = match rotation {
            Rotation::Keep | Rotation::Repeat => return Came::To(read.generation),
            Rotation::Advance => read.generation.next(),
            Rotation::CatchUp => client.holds,
            Rotation::Stolen => {
                let _ = self.write(&Write::Delete);
                return Came::End(Some(rotation));
            }
        };
        match self.write(&Write::Rotate { from: read.generation, to, at: Some(self.now), active: Some(self.now) }) {
            Written::Done(_) => Came::To(to),
            Written::Conflict(now_there) => {
                client.lost_swaps += 1;
                client.request = Request::Read(now_there);
                Came::On
            }
            Written::Absent => Came::End(None),
        }
    }

    /// A whole refresh that nothing comes between.
    fn refresh(&mut self, client: &mut Client) -> Came {
        let Some(read) = self.record.clone() else { return Came::End(None) };
        let came = self.judge(client, &read);
        if let Came::To(generation) = came {
            client.holds = generation;
        }
        came
    }
}

impl Client {
    fn new(holds: Generation) -> Self {
        Self { holds, request: Request::Resting, lost_swaps: 0 }
    }
}

/// What happens next to a client: its request goes one step on, after so many milliseconds; the last says whether an
/// answer that arrives is lost.
type Event = (usize, u64, bool);

fn events(clients: usize) -> impl Strategy<Value = Vec<Event>> {
    // Often at once, sometimes a moment later, sometimes so late that tokens have grown up.
    let wait = prop_oneof![4 => Just(0u64), 3 => 1u64..2_000, 2 => 10_000u64..31_000, 1 => 29_999u64..30_001];
    prop::collection::vec((0..clients, wait, prop::bool::weighted(0.3)), 1..200)
}

proptest! {
    /// F048, F049, F050, F054: N tabs with one token, in any interleaving, with answers that are lost or late. Whoever
    /// comes back within the grace period with what it holds is answered, never refused, and never loses more than one
    /// swap; and all hold the present generation or the one before.
    #[test]
    fn tabs_that_come_back_in_time_are_never_refused(
        record in any_record(), events in (2usize..8).prop_flat_map(|n| (Just(n), events(n))),
    ) {
        let (count, events) = events;
        let mut store = Store::new(record, GRACE);
        let mut clients = vec![Client::new(Generation(0)); count];
        for (n, wait, lost) in events {
            store.now = store.now + Duration::from_millis(wait);
            let client = &mut clients[n];
            if !matches!(client.request, Request::Answered(_)) && !store.in_time(client.holds) {
                // It slept too long, or its request was held up for too long: not what is promised here. It goes on with
                // what another tab holds, as tabs of one browser do.
                *client = Client::new(store.generation());
            }
            match std::mem::take(&mut client.request) {
                Request::Resting => {
                    client.lost_swaps = 0;
                    client.request = Request::Read(store.record.clone().expect("the session lives"));
                }
                Request::Read(read) => match store.judge(client, &read) {
                    Came::To(generation) => client.request = Request::Answered(generation),
                    Came::On => prop_assert_eq!(client.lost_swaps, 1),
                    Came::End(why) => prop_assert!(false, "{:?} was refused: {:?}", client, why),
                },
                Request::Answered(_) if lost => {}
                // Of two answers a client keeps the later generation: a late answer is no step back.
                Request::Answered(generation) => client.holds = client.holds.max(generation),
            }
            prop_assert!(store.record.is_some());
        }
        // At most one rotation per grace period, whoever asks.
        for pair in store.replaced.windows(2) {
            prop_assert!(pair[1].since(pair[0]) >= GRACE);
        }
    }

    /// F048: all of N requests at once have read the same record; in whichever order they swap, one wins and all are
    /// given its successor.
    #[test]
    fn of_many_at_once_one_rotates_and_all_get_its_successor(
        record in any_record(), order in Just((0..100).collect::<Vec<usize>>()).prop_shuffle(), late in 0u64..29_999,
    ) {
        let mut store = Store::new(record, GRACE);
        store.now = store.now + GRACE;
        let read = store.record.clone().expect("the session lives");
        let mut clients = vec![Client::new(Generation(0)); 100];
        for n in &order {
            let came = store.judge(&mut clients[*n], &read);
            prop_assert_eq!(came, if n == &order[0] { Came::To(Generation(1)) } else { Came::On });
        }
        store.now = store.now + Duration::from_millis(late);
        for n in &order[1..] {
            prop_assert_eq!(store.refresh(&mut clients[*n]), Came::To(Generation(1)));
        }
        prop_assert_eq!(store.generation(), Generation(1));
    }

    /// F054: a thief and an owner who both go on are told apart as soon as one comes back with what the other has replaced
    /// longer than the grace period ago; the session ends then, for both.
    #[test]
    fn a_thief_and_an_owner_who_diverge_are_found_out(
        record in any_record(), steps in prop::collection::vec((any::<bool>(), 30_000u64..100_000_000), 2..40),
    ) {
        let mut store = Store::new(record, GRACE);
        let mut holders = [Client::new(Generation(0)), Client::new(Generation(0))];
        let mut before = None;
        for (thief, wait) in steps {
            store.now = store.now + Duration::from_millis(wait);
            let came = store.refresh(&mut holders[usize::from(thief)]);
            if before.is_some_and(|before| before != thief) {
                prop_assert_eq!(came, Came::End(Some(Rotation::Stolen)));
                for holder in &mut holders {
                    prop_assert_eq!(store.refresh(holder), Came::End(None));
                }
                return Ok(());
            }
            prop_assert_eq!(came, Came::To(store.generation()));
            before = Some(thief);
        }
    }

    /// What this cannot do: a thief who copies the bearer token and shadows its owner within each grace period, before or
    /// after, is not found out for as long as neither diverges.
    #[test]
    fn a_thief_who_shadows_within_each_grace_period_is_not_found_out(
        record in any_record(),
        rounds in prop::collection::vec((any::<bool>(), 30_000u64..1_000_000, 0u64..30_000), 1..50),
    ) {
        let mut store = Store::new(record, GRACE);
        let mut holders = [Client::new(Generation(0)), Client::new(Generation(0))];
        for (n, (first, rest, lag)) in rounds.into_iter().enumerate() {
            store.now = store.now + Duration::from_millis(rest);
            for (wait, holder) in [(0, first), (lag, !first)] {
                store.now = store.now + Duration::from_millis(wait);
                prop_assert_eq!(store.refresh(&mut holders[usize::from(holder)]), Came::To(Generation(n as u32 + 1)));
            }
        }
    }

    /// A store that has lost its last rotations takes a later generation as the current one, once, and the session goes on;
    /// what is one behind that is an honest repeat, and what is older is theft.
    #[test]
    fn a_store_that_lost_its_last_moments_catches_up(
        record in any_record(), lost in 1u32..50, after in 0u64..29_999,
    ) {
        let mut store = Store::new(record, GRACE);
        let mut ahead = Client::new(Generation(lost));
        prop_assert_eq!(store.refresh(&mut ahead), Came::To(Generation(lost)));
        prop_assert_eq!(store.generation(), Generation(lost));
        store.now = store.now + Duration::from_millis(after);
        prop_assert_eq!(store.refresh(&mut Client::new(Generation(lost - 1))), Came::To(Generation(lost)));
        if lost > 1 {
            let mut old = Client::new(Generation(lost - 2));
            prop_assert_eq!(store.refresh(&mut old), Came::End(Some(Rotation::Stolen)));
        }
    }

    /// F053: reuse is told by generation alone. Rotations within one second, even one millisecond, and then the first
    /// token: reuse, whatever the grace period.
    #[test]
    fn two_generations_behind_is_reuse_in_the_same_millisecond(
        record in any_record(), rotations in 2u32..5, grace in 0u64..100_000,
    ) {
        let mut store = Store::new(record, Duration::ZERO);
        let mut owner = Client::new(Generation(0));
        for n in 1..=rotations {
            prop_assert_eq!(store.refresh(&mut owner), Came::To(Generation(n)));
        }
        store.grace = Duration::from_millis(grace);
        for old in 0..rotations - 1 {
            let record = store.record.as_ref().expect("the session lives");
            prop_assert_eq!(record.rotation(Generation(old), store.now.since(record.rotated), store.grace), Rotation::Stolen);
        }
    }
}

/// F054: the grace period is fixed at the rotation. Repeats do not stretch it: one tick past it the old token is theft.
#[test]
fn repeats_do_not_stretch_the_grace_period() {
    let record = Record { generation: Generation(7), rotated: Timestamp::from_secs(1_800_000_000), ..any_one() };
    let mut store = Store::new(record, GRACE);
    store.now = store.now + GRACE;
    assert_eq!(store.refresh(&mut Client::new(Generation(0))), Came::To(Generation(1)));
    for second in 0..30 {
        assert_eq!(store.refresh(&mut Client::new(Generation(0))), Came::To(Generation(1)), "after {second} s");
        assert_eq!(store.refresh(&mut Client::new(Generation(1))), Came::To(Generation(1)), "young: it stays");
        store.now = store.now + Duration::from_secs(1);
    }
    assert_eq!(store.refresh(&mut Client::new(Generation(0))), Came::End(Some(Rotation::Stolen)));
}

fn any_one() -> Record {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    any_record().new_tree(&mut runner).expect("a record").current()
}
