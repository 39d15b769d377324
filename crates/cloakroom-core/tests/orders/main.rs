//! Every pair of operations at two servers at once, in every order of what they ask of the stores; and each of them cut at every
//! point, by a server that dies or a client that leaves. What is seen afterwards must be what one of the two serial orders gives.
//!
//! The model is the engine itself: an operation is a state machine whose steps are its calls of the stores, and a gate before the
//! stores says whose step is next. So no operation, and no point between two writes, can be missing here.

mod acts;
mod course;
#[expect(dead_code, reason = "the tests of a store use more of it")]
#[path = "../store_postgres/database.rs"]
mod database;
mod gate;
#[path = "../lab/mod.rs"]
mod lab;
mod pair;
#[expect(dead_code, reason = "the tests of a store use more of it")]
#[path = "../store_redis/server.rs"]
mod server;
mod town;

use std::sync::Arc;

use acts::{Act, Deed, Outcome, Person, Seen, perform, seen};
use course::{Choices, Doing, walk};
use gate::{Call, Flaw};
use pair::Pair;
use town::Town;

/// What is seen of somebody afterwards, at all servers.
async fn afterwards(town: &Town, person: &Person, outcomes: [Option<Outcome>; 2]) -> Seen {
    seen(&[&town.onlooker, &town.servers[0].engine, &town.servers[1].engine], person, outcomes).await
}

/// One after the other.
async fn serial(town: &mut Town, deeds: &[Deed]) -> Seen {
    let person = town.somebody().await;
    let mut outcomes = [None, None];
    for deed in deeds {
        outcomes[deed.server] = Some(perform(*deed, &town.servers[deed.server].engine, &person).await);
    }
    afterwards(town, &person, outcomes).await
}

/// All orders of two deeds; how many there were. The first that ends as no serial order does.
async fn all_orders(town: &mut Town, pair: Pair, deeds: [Deed; 2]) -> Result<usize, String> {
    let [one, other] = deeds;
    let mut allowed = vec![serial(town, &[one, other]).await, serial(town, &[other, one]).await];
    allowed.extend(while_carried_over(town, pair, deeds).await);
    let (mut choices, mut orders) = (Choices::default(), 0);
    loop {
        let person = Arc::new(town.somebody().await);
        let doing = deeds.map(|deed| Doing::begin(deed, &person, town));
        let told_apart = walk(&doing, &mut choices).await;
        let [one, other] = doing;
        let ((one, calls), (other, others_calls)) = (one.outcome().await, other.outcome().await);
        if told_apart {
            orders += 1;
            let seen = afterwards(town, &person, [one, other]).await;
            if !allowed.contains(&seen) {
                return Err(format!(
                    "{deeds:?}\n  {seen:?}\n  is none of {allowed:#?}\n  {calls:?}\n  {others_calls:?}\n  {choices:?}"
                ));
            }
        }
        if !choices.next() {
            return Ok(orders);
        }
    }
}

/// Where sessions stand apart, 'end all others' raises the epoch in one store and carries its session over in another. What else that
/// session asks for between the two is refused, and can be asked again.
async fn while_carried_over(town: &mut Town, pair: Pair, deeds: [Deed; 2]) -> Vec<Seen> {
    let mut allowed = Vec::new();
    for [carries, asks] in [deeds, [deeds[1], deeds[0]]] {
        let of_one = asks.act.has_actor() && asks.browser == carries.browser;
        if pair.apart() && carries.act == Act::EndOthers && of_one {
            allowed.push(serial(town, &[carries]).await.refused(asks.server));
        }
    }
    allowed
}

/// Each pair; where both are done from a browser, from two and from one.
fn pairs() -> Vec<[Deed; 2]> {
    let mut pairs = Vec::new();
    for (at, one) in Act::ALL.into_iter().enumerate() {
        for other in Act::ALL.into_iter().skip(at) {
            let of = |browser| [Deed { act: one, server: 0, browser: 0 }, Deed { act: other, server: 1, browser }];
            pairs.push(of(1));
            if one.has_actor() && other.has_actor() {
                pairs.push(of(0));
            }
        }
    }
    pairs
}

/// `step`: of so many pairs one is tried.
async fn every_pair(pair: Pair, step: usize) {
    let mut town = pair.town(Flaw::Nothing).await;
    let (mut orders, mut broken) = (0, Vec::new());
    for deeds in pairs().into_iter().step_by(step) {
        match all_orders(&mut town, pair, deeds).await {
            Ok(walked) => orders += walked,
            Err(what) => broken.push(what),
        }
    }
    println!("{orders} orders of {} pairs", pairs().len().div_ceil(step));
    assert!(broken.is_empty(), "{} are broken:\n{}", broken.len(), broken.join("\n"));
}

#[tokio::test]
async fn two_operations_at_once_do_what_one_after_the_other_does() {
    every_pair(Pair::Together, 1).await;
}

/// A third of the pairs.
#[tokio::test]
async fn two_operations_at_once_do_what_one_after_the_other_does_where_sessions_stand_apart() {
    every_pair(Pair::Apart, 3).await;
}

/// `cargo nextest run -p cloakroom-core --all-features --test orders --run-ignored only`
#[tokio::test]
#[ignore = "all pairs where sessions stand apart take a minute more"]
async fn every_pair_where_sessions_stand_apart() {
    every_pair(Pair::Apart, 1).await;
}

/// An operation whose compare is taken away is found out.
#[tokio::test]
async fn an_operation_that_compares_nothing_is_found_out() {
    let mut town = Pair::Together.town(Flaw::Uncompared).await;
    for (one, other, browser) in [
        (Act::Change, Act::Change, 1),
        (Act::Change, Act::EndAnother, 1),
        (Act::EndAnother, Act::EndEverything, 1),
        (Act::Change, Act::OperatorSetsPassword, 1),
    ] {
        let deeds = [Deed { act: one, server: 0, browser: 0 }, Deed { act: other, server: 1, browser }];
        assert!(all_orders(&mut town, Pair::Together, deeds).await.is_err(), "{deeds:?}: nothing was found");
    }
}

/// What else is done while a server dies in the middle of something.
const BESIDES: [Option<Act>; 5] =
    [None, Some(Act::EndEverything), Some(Act::OperatorEndsAll), Some(Act::SignOutExchanged), Some(Act::SignIn)];

/// A server dies at every point of every operation, and another goes on.
async fn a_server_dies_anywhere(pair: Pair) {
    let mut town = pair.town(Flaw::Nothing).await;
    let mut deaths = 0;
    for act in Act::ALL {
        for besides in BESIDES {
            let deed = Deed { act, server: 0, browser: 0 };
            let others: Vec<_> = besides.into_iter().map(|act| Deed { act, server: 1, browser: 1 }).collect();
            let allowed = not_or_done(&mut town, pair, deed, &others).await;
            for calls in 0.. {
                let person = Arc::new(town.somebody().await);
                let doing = Doing::begin(deed, &person, &town);
                let died = advance(&doing, calls).await;
                if died {
                    let _ = doing.die();
                    town.replace(0).await;
                } else {
                    drop(doing.outcome().await);
                }
                let mut outcomes = [None, None];
                for other in &others {
                    outcomes[1] = Some(perform(*other, &town.servers[1].engine, &person).await);
                }
                let seen = afterwards(&town, &person, outcomes).await;
                assert!(
                    seen.strangers <= usize::from(act.begins_one()),
                    "{pair:?}, {deed:?}, {besides:?}, {calls} calls: {seen:?}"
                );
                let seen = seen.unheard(0);
                assert!(
                    allowed.contains(&seen),
                    "{pair:?}, {deed:?}, dead after {calls} calls, {besides:?}\n  {seen:?}\n  is none of {allowed:#?}"
                );
                if !died {
                    break;
                }
                deaths += 1;
            }
        }
    }
    println!("{pair:?}: {deaths} deaths");
}

/// What may be seen where nobody heard what came of a deed: it was not done, or before or after the others.
async fn not_or_done(town: &mut Town, pair: Pair, deed: Deed, others: &[Deed]) -> Vec<Seen> {
    let mut orders = vec![others.to_vec()];
    let mut acts = vec![deed.act];
    if pair.apart() && deed.act == Act::EndOthers {
        // One store raises the epoch and the other carries the session over: a server that dies in between ends all sessions.
        acts.push(Act::EndEverything);
    }
    for act in acts {
        let deed = Deed { act, ..deed };
        orders.push([&[deed], others].concat());
        orders.push([others, &[deed]].concat());
    }
    let mut allowed = Vec::new();
    for order in orders {
        allowed.push(serial(town, &order).await.unheard(deed.server));
    }
    allowed
}

/// Lets so many calls pass; whether it was not over by then.
async fn advance(doing: &Doing, calls: usize) -> bool {
    for _ in 0..calls {
        if doing.next().await.is_none() {
            return false;
        }
        doing.let_one_pass();
    }
    doing.next().await.is_some()
}

/// One test for each pair of stores, so that they run beside each other.
mod a_server_that_dies_between_any_two_calls_leaves_what_was_done_or_was_not {
    use super::{Pair, a_server_dies_anywhere};

    #[tokio::test]
    #[ignore = "half a minute more: `apart` and `postgres_and_redis` have more points"]
    async fn together() {
        a_server_dies_anywhere(Pair::Together).await;
    }

    #[tokio::test]
    async fn apart() {
        a_server_dies_anywhere(Pair::Apart).await;
    }

    #[tokio::test]
    #[ignore = "half a minute more: `apart` and `postgres_and_redis` have more points"]
    async fn moving() {
        a_server_dies_anywhere(Pair::Moving).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "half a minute more: `postgres_and_redis` has more points"]
    async fn postgres() {
        a_server_dies_anywhere(Pair::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn postgres_and_redis() {
        a_server_dies_anywhere(Pair::PostgresRedis).await;
    }
}

/// A client leaves at every point of every operation. `cut`: what it had begun is not finished. What is wrong then.
async fn a_client_leaves_anywhere(pair: Pair, cut: bool) -> Vec<String> {
    let mut town = pair.town(Flaw::Nothing).await;
    let mut wrong = Vec::new();
    for act in Act::ALL {
        let deed = Deed { act, server: 0, browser: 0 };
        let allowed = not_or_done(&mut town, Pair::Together, deed, &[]).await;
        let whole = writes(&town.uncut(deed).await);
        for calls in 0.. {
            let person = Arc::new(town.somebody().await);
            let mut doing = Doing::begin(deed, &person, &town);
            let left = advance(&doing, calls).await;
            if left {
                doing.hang_up().await;
            }
            let calls_made = if left && cut {
                let calls_made = doing.die();
                town.replace(0).await;
                calls_made
            } else {
                doing.finish().await;
                doing.outcome().await.1
            };
            let done = writes(&calls_made);
            let seen = afterwards(&town, &person, [None, None]).await;
            let none_or_all = done.is_empty() || done == whole;
            let strangers = seen.strangers <= usize::from(act.begins_one());
            if !(none_or_all && strangers && allowed.contains(&seen.clone().unheard(0))) {
                wrong.push(format!("{pair:?}, {act:?}, {calls} calls: {done:?} of {whole:?}, {seen:?}"));
            }
            if !left {
                break;
            }
        }
    }
    wrong
}

/// Its writes are all done, or none of them.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_begun_is_finished_wherever_its_client_leaves() {
    for pair in Pair::ALL {
        assert_eq!(a_client_leaves_anywhere(pair, false).await, [""; 0]);
    }
}

#[tokio::test]
async fn an_operation_that_a_client_can_cut_is_found_out() {
    assert!(!a_client_leaves_anywhere(Pair::Apart, true).await.is_empty());
}

/// The writes among calls.
fn writes(calls: &[Call]) -> Vec<&'static str> {
    calls.iter().filter(|call| call.writes).map(|call| call.verb).collect()
}

/// What each operation writes, in this order: where sessions stand in the account's database, and where they stand apart. The log
/// comes before the record that it ends, so that nothing that has ended can come back; and a password before its session.
const WRITES: [(Act, &[&str], &[&str]); 18] = [
    (Act::SignIn, &["create record"], &["create record"]),
    (Act::SignInAlone, &["end", "create record"], &["end", "create record"]),
    (Act::Renew, &["rotate"], &["rotate"]),
    (Act::Change, &["change account", "create record"], &["change account", "create record"]),
    (Act::DeleteAccount, &["change account"], &["change account"]),
    (Act::SignOut, &["end"], &["end", "delete record"]),
    (Act::SignOutEverywhere, &["end", "end"], &["end", "end", "delete record"]),
    (Act::EndAnother, &["end"], &["end", "delete record"]),
    (Act::EndOthers, &["end"], &["end", "carry over"]),
    (Act::EndEverything, &["end"], &["end"]),
    (Act::Exchange, &["exchange"], &["exchange", "create record", "delete record"]),
    (Act::SignOutExchanged, &["end"], &["end", "delete record"]),
    (Act::OperatorRevokes, &["end"], &["end", "delete record"]),
    (Act::OperatorEndsAll, &["end"], &["end"]),
    (Act::OperatorSetsPassword, &["change account"], &["change account"]),
    (Act::OperatorDisables, &["change account"], &["change account"]),
    (Act::OperatorDeletes, &["change account"], &["change account"]),
    (Act::OperatorEndsApp, &["end"], &["end"]),
];

#[tokio::test]
async fn operations_write_in_this_order() {
    assert_eq!(WRITES.map(|(act, ..)| act), Act::ALL);
    let [mut together, mut apart] = [Pair::Together.town(Flaw::Nothing).await, Pair::Apart.town(Flaw::Nothing).await];
    for (act, here, there) in WRITES {
        for (town, expected) in [(&mut together, here), (&mut apart, there)] {
            let calls = town.uncut(Deed { act, server: 0, browser: 0 }).await;
            assert_eq!(writes(&calls), expected, "{act:?}");
        }
    }
}
