//! What a log promises about the incarnations that it had before.

use std::sync::Arc;

use super::{DAY, NOW, account::epoch_of, deletion_at, hash, key, registered, session_id};
use crate::{
    account::AccountState,
    key::Purpose,
    random::Rng,
    revocation::{Hold, LOG_LIFE, Position, Since},
    store::{AccountChange, AccountStore, Basis, EndRequest, KeyChange},
};

/// R20: whoever writes the first line of an incarnation notes the one before it, with its last line that is still here.
/// `renew` makes the log another incarnation, as a restore does.
///
/// # Panics
/// When it does not.
pub async fn former_incarnations<S: AccountStore>(store: S, renew: impl AsyncFn()) {
    let store = Arc::new(store) as Arc<dyn AccountStore>;
    let rng = Rng::seeded(60);
    let end = async |times: u32| {
        for _ in 0..times {
            store.end(&[(EndRequest::Session(session_id(&rng)), Hold::lasting(DAY))], Some(NOW)).await.unwrap();
        }
        store.log_head().await.unwrap()
    };
    let account = registered(&store, "ada@example.com", &rng).await.id;
    let empty = store.lineage().await.unwrap();
    assert_eq!((empty.former, empty.pruned), (vec![Position { sequence: 0, ..empty.head }], 0));

    let first = end(3).await;
    assert_eq!(store.lineage().await.unwrap().former, [first]);
    renew().await;
    let unwritten = store.lineage().await.unwrap();
    assert_ne!(unwritten.head.incarnation, first.incarnation);
    assert_eq!(unwritten.former, [first], "no line is of the new incarnation");
    renew().await;
    // Nothing is left of an incarnation in which nothing was written.
    let second = end(1).await;
    assert_eq!(store.lineage().await.unwrap().former, [first, second]);

    // R14: what was raised in the moments that are lost is not given again, whatever the clock did with them.
    let eve = registered(&store, "eve@example.com", &rng).await.id;
    let raise = [(EndRequest::Account(eve, Basis::Operator), Hold::lasting(DAY))];
    let raised = epoch_of(&store.end(&raise, None).await.unwrap()[0]);
    let time = store.log_since(Since::Ever, None).await.unwrap().time;
    assert!(u64::from(raised.0) + 60 >= time.secs() + 3600, "{raised:?} at {time:?}");
    let second = store.log_head().await.unwrap();

    // Whatever the first line is about.
    for change in [super::password(hash(super::HASH)), AccountChange::State(AccountState::Disabled)] {
        let before = store.log_head().await.unwrap();
        renew().await;
        store.change(account, change, Hold::lasting(DAY), Some(NOW)).await.unwrap().expect("it is there");
        let after = store.lineage().await.unwrap();
        assert_eq!(after.former[after.former.len() - 2..], [before, after.head]);
        assert_eq!(after.head, store.log_head().await.unwrap());
    }
    let key = key::key("k1", Purpose::Mac, 1);
    let kids = vec![key.kid];
    assert!(key::change(&store, KeyChange::Add(key)).await.is_some());
    let before = store.log_head().await.unwrap();
    renew().await;
    let kill = KeyChange::Kill { kids, hold: Hold::lasting(DAY), next: None };
    assert_eq!(key::change(&store, kill).await.map(|entries| entries.len()), Some(1));
    let after = store.lineage().await.unwrap();
    assert_eq!(after.former[after.former.len() - 2..], [before, after.head]);

    let lineage = store.lineage().await.unwrap();
    assert_eq!(lineage.former[..2], [first, second]);
    assert_eq!(lineage.seen(Position { sequence: 9, ..first }), Some(3));

    // What was pruned is out of reach under any name; so names of before need not be kept.
    while store.prune_log(deletion_at(NOW + DAY + LOG_LIFE), 100).await.unwrap() > 0 {}
    let last = store.log_head().await.unwrap();
    renew().await;
    let head = end(1).await;
    let lineage = store.lineage().await.unwrap();
    assert_eq!((lineage.pruned, lineage.former), (last.sequence, vec![last, head]));
}
