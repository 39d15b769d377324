//! What the account port promises about the audit log.

use std::{net::IpAddr, sync::Arc};

use super::{DAY, MINUTE, NOW, account_id, app, deletion_at, session_id};
use crate::{
    audit::{Event, Filter, Kind, Origin, Stored},
    clock::Timestamp,
    credential::Network,
    ids::{AccountId, AppId, SessionId},
    random::Rng,
    refusal::Reason,
    store::{AccountStore, StoreError},
};

type Store = Arc<dyn AccountStore>;

fn event(at: Timestamp, kind: Kind, account: Option<AccountId>, session: Option<SessionId>) -> Event {
    Event { at, kind, account, session, app: None, origin: Origin::default(), reason: None, detail: None }
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("it is an address")
}

/// Whether a line is what was written.
fn tells(stored: &Stored, event: &Event) -> bool {
    stored.at == event.at
        && stored.kind == event.kind
        && stored.account == event.account
        && stored.session == event.session
        && stored.app.as_deref() == event.app.as_ref().map(AppId::as_str)
        && stored.address == event.origin.address
        && stored.user_agent == event.origin.user_agent
        && stored.reason.as_deref() == event.reason.map(Reason::as_str)
        && stored.detail == event.detail
}

pub(super) async fn the_audit_log_is_paged_and_filtered(store: Store) {
    let rng = Rng::seeded(40);
    let (ada, eve) = (account_id(&rng), account_id(&rng));
    let session = session_id(&rng);
    let mut events = Vec::new();
    for (n, (kind, _)) in Kind::ALL.iter().enumerate() {
        let account = [Some(ada), Some(eve), None][n % 3];
        let mut one = event(NOW + MINUTE * n as u32, *kind, account, (n % 4 == 0).then_some(session));
        if n % 2 == 0 {
            one.app = Some(app("web"));
            one.origin.address = Some(address(if n % 4 == 0 { "192.0.2.7" } else { "2001:db8::1" }));
            one.origin.user_agent = Some("Mozilla/5.0 'or 1=1; --".to_owned());
            one.reason = Some(Reason::ALL[n]);
            one.detail = Some("generation 7".to_owned());
        }
        events.push(one);
    }
    let (first, second) = events.split_at(5);
    store.audit(first).await.unwrap();
    store.audit(&[]).await.unwrap();
    store.audit(second).await.unwrap();
    events.reverse();
    let page = async |filter: Filter, limit| store.audit_page(&filter, limit).await.unwrap();
    let all = page(Filter::default(), 1000).await;
    assert_eq!(all.len(), events.len());
    assert!(all.iter().zip(&events).all(|(stored, event)| tells(stored, event)), "newest first, and all that was told");
    assert!(all.windows(2).all(|pair| pair[0].id > pair[1].id));

    let mut paged = Vec::new();
    loop {
        let before = paged.last().map(|stored: &Stored| stored.id);
        let next = page(Filter { before, ..Filter::default() }, 4).await;
        assert!(next.len() <= 4);
        if next.is_empty() {
            break;
        }
        paged.extend(next);
    }
    assert_eq!(paged, all);

    let only = |keep: &dyn Fn(&Stored) -> bool| all.iter().filter(|stored| keep(stored)).cloned().collect::<Vec<_>>();
    let by_account = Filter { account: Some(ada), ..Filter::default() };
    assert_eq!(page(by_account.clone(), 1000).await, only(&|s| s.account == Some(ada)));
    let by_session = Filter { session: Some(session), ..Filter::default() };
    assert_eq!(page(by_session.clone(), 1000).await, only(&|s| s.session == Some(session)));
    let by_kind = Filter { kind: Some(Kind::Theft), ..Filter::default() };
    assert_eq!(page(by_kind, 1000).await, only(&|s| s.kind == Kind::Theft));
    let last = all[3].id;
    let by_all =
        Filter { account: Some(ada), session: Some(session), kind: Some(Kind::Registered), before: Some(last) };
    let expected =
        only(&|s| s.account == Some(ada) && s.session == Some(session) && s.kind == Kind::Registered && s.id < last);
    assert_eq!(expected.len(), 1);
    assert_eq!(page(by_all, 1000).await, expected);
    assert_eq!(page(Filter { account: Some(account_id(&rng)), ..by_session }, 10).await, []);
}

pub(super) async fn sign_ins_tell_where_they_came_from(store: Store) {
    let rng = Rng::seeded(41);
    let (ada, eve) = (account_id(&rng), account_id(&rng));
    let (first, second, unknown) = (session_id(&rng), session_id(&rng), session_id(&rng));
    let from = |kind, account, session, from: &str, agent: &str| {
        let origin = Origin { address: Some(address(from)), user_agent: Some(agent.to_owned()) };
        Event { origin, ..event(NOW, kind, Some(account), Some(session)) }
    };
    let events = [
        from(Kind::SignedIn, ada, first, "192.0.2.7", "Firefox"),
        from(Kind::Rotated, ada, first, "192.0.2.99", "Chrome"),
        from(Kind::SignedIn, ada, second, "2001:db8:1:2:3:4:5:6", "curl"),
        from(Kind::SignInRefused, eve, unknown, "192.0.2.7", "curl"),
    ];
    store.audit(&events).await.unwrap();
    let mut origins = store.origins(&[second, unknown, first]).await.unwrap();
    origins.sort_unstable_by_key(|(session, _)| *session);
    let mut expected = vec![(first, events[0].origin.clone()), (second, events[2].origin.clone())];
    expected.sort_unstable_by_key(|(session, _)| *session);
    assert_eq!(origins, expected);
    assert_eq!(store.origins(&[]).await.unwrap(), []);
    for (account, from, known) in [
        (ada, "192.0.2.7", true),
        (ada, "::ffff:192.0.2.7", true),
        (ada, "192.0.2.8", false),
        (ada, "192.0.2.99", false),
        (ada, "2001:db8:1:2::ffff", true),
        (ada, "2001:db8:1:3::1", false),
        (eve, "192.0.2.7", false),
    ] {
        let network = Network::from(address(from)).to_string();
        assert_eq!(store.has_signed_in_from(account, &network).await.unwrap(), known, "{network}");
    }
}

/// R37: whoever writes behind a line that a store does not take must know that trying again changes nothing.
pub(super) async fn lines_that_cannot_be_kept_are_refused_for_good_and_together(store: Store) {
    let mut events: Vec<_> = (0..3).map(|n| event(NOW + MINUTE * n, Kind::Registered, None, None)).collect();
    events[1].detail = Some("a zero byte: \0".to_owned());
    let kept = match store.audit(&events).await {
        Ok(()) => 3,
        Err(StoreError::Refused(why)) => {
            assert!(!why.contains("zero byte"), "{why}");
            0
        }
        Err(error) => panic!("it is for good: {error}"),
    };
    assert_eq!(store.audit_page(&Filter::default(), 100).await.unwrap().len(), kept);
    events.remove(1);
    store.audit(&events).await.unwrap();
    assert_eq!(store.audit_page(&Filter::default(), 100).await.unwrap().len(), kept + 2);
}

pub(super) async fn an_audit_log_is_cut_off_at_its_old_end(store: Store) {
    let events: Vec<_> = (0..20).map(|day| event(NOW + DAY * day, Kind::Registered, None, None)).collect();
    store.audit(&events).await.unwrap();
    let all = store.audit_page(&Filter::default(), 100).await.unwrap();
    assert_eq!(store.prune_audit(deletion_at(NOW), 100).await.unwrap(), 0);
    assert_eq!(store.prune_audit(deletion_at(NOW + DAY * 10), 4).await.unwrap(), 4, "no more than asked");
    assert_eq!(store.prune_audit(deletion_at(NOW + DAY * 10), 100).await.unwrap(), 6);
    assert_eq!(store.prune_audit(deletion_at(NOW + DAY * 10), 100).await.unwrap(), 0);
    assert_eq!(store.audit_page(&Filter::default(), 100).await.unwrap(), all[..10]);
    assert_eq!(store.prune_audit(deletion_at(NOW + DAY * 100), 100).await.unwrap(), 10);
    store.audit(&events[..1]).await.unwrap();
    let next = store.audit_page(&Filter::default(), 100).await.unwrap();
    assert!(next[0].id > all[0].id, "no place is used twice");
}
