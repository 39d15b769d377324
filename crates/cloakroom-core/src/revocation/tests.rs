//! What a verifier hears, in any order, and what its lease is worth.

use proptest::prelude::*;

use super::*;
use crate::{
    clock::{Boot, Timestamp},
    method::Method,
};

const LAG: Duration = Duration::from_secs(2);
const WALL: Timestamp = Timestamp::from_secs(1_800_000_000);

fn boot(ms: u64) -> Boot {
    Boot::from_millis(1_000_000 + ms)
}

fn session(n: u64) -> SessionId {
    let mut bytes = [7; 16];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    SessionId::from_bytes(bytes)
}

/// The line of that sequence; it ends the session of the same number.
fn line(sequence: u64) -> Entry {
    Entry {
        sequence,
        end: End::Session { session: session(sequence) },
        at: None,
        until: WALL + Duration::from_secs(400),
    }
}

fn lines(sequences: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    sequences.map(line).collect()
}

fn head(incarnation: u64, sequence: u64) -> Position {
    Position { incarnation: Incarnation(incarnation), sequence }
}

fn snapshot(head: Position, entries: Vec<Entry>) -> Answer {
    Answer { head, time: WALL, keys: KeySet::default(), snapshot: true, entries }
}

fn news(head: Position, entries: Vec<Entry>) -> Answer {
    Answer { head, time: WALL, keys: KeySet::default(), snapshot: false, entries }
}

/// A watch that has heard the first three lines at the beginning.
fn vigil() -> Vigil {
    let mut vigil = Vigil::new(100);
    vigil.hear(boot(0), WALL, boot(0), &snapshot(head(1, 3), lines(1..=3))).unwrap();
    vigil
}

fn held(vigil: &Vigil) -> Vec<u64> {
    (0..200).filter(|n| vigil.ended().has_session(session(*n))).collect()
}

fn verdict(vigil: &Vigil, epoch: u32) -> Verdict {
    let app = AppId::parse("web").unwrap();
    vigil.ended().judge(&Subject {
        session: session(500),
        account: (account(), Epoch(epoch)),
        app: (&app, Epoch(0)),
        method: Method::Jwt,
        kid: None,
    })
}

fn account() -> AccountId {
    AccountId::from_bytes([1; 16])
}

/// The lease is worth what the question was worth: it runs from when that was sent, however late the answer comes.
#[test]
fn a_lease_runs_from_when_the_question_was_sent() {
    let mut vigil = vigil();
    assert!(vigil.is_fresh(boot(1_999), LAG));
    assert!(!vigil.is_fresh(boot(2_000), LAG));
    let late = news(head(1, 3), vec![]);
    vigil.hear(boot(500), WALL + Duration::from_secs(2), boot(2_000), &late).unwrap();
    assert!(vigil.is_fresh(boot(2_499), LAG));
    assert!(!vigil.is_fresh(boot(2_500), LAG));
}

/// A clock that goes backwards, as none should, is no lease either.
#[test]
fn a_question_from_the_future_gives_no_lease() {
    assert!(!vigil().is_fresh(Boot::from_millis(999_999), LAG));
    assert!(!Vigil::new(1).is_fresh(boot(0), LAG));
}

#[test]
fn an_answer_heard_twice_changes_nothing() {
    let mut vigil = vigil();
    for answer in [news(head(1, 5), lines(4..=5)), snapshot(head(1, 5), lines(1..=5))] {
        vigil.hear(boot(10), WALL, boot(10), &answer).unwrap();
        let (once, era) = (vigil.ended().len(), vigil.era());
        vigil.hear(boot(10), WALL, boot(10), &answer).unwrap();
        assert_eq!((vigil.ended().len(), vigil.era(), vigil.position()), (once, era, Some(head(1, 5))));
    }
    assert_eq!(vigil.ended().len(), 5);
}

#[test]
fn an_answer_that_was_overtaken_changes_nothing() {
    let mut vigil = vigil();
    vigil.hear(boot(100), WALL, boot(100), &news(head(1, 6), lines(4..=6))).unwrap();
    for old in [news(head(1, 4), lines(4..=4)), snapshot(head(1, 4), lines(1..=4)), snapshot(head(9, 1), lines(1..=1))]
    {
        vigil.hear(boot(50), WALL, boot(50), &old).unwrap();
        assert_eq!((vigil.position(), vigil.era(), held(&vigil).len()), (Some(head(1, 6)), 0, 6));
        assert!(vigil.is_fresh(boot(2_099), LAG) && !vigil.is_fresh(boot(2_100), LAG));
    }
}

/// Lines that are missing cost the lease at once, and the next question asks for everything.
#[test]
fn a_gap_costs_the_lease_and_asks_for_a_snapshot() {
    for answer in [
        news(head(1, 6), lines(5..=6)),
        news(head(1, 6), vec![]),
        news(head(1, 6), lines(4..=5)),
        news(head(1, 2), vec![]),
        news(head(2, 4), lines(4..=4)),
    ] {
        let mut vigil = vigil();
        assert_eq!(vigil.hear(boot(10), WALL, boot(10), &answer), Err(Gap), "{answer:?}");
        assert_eq!((vigil.position(), held(&vigil)), (None, vec![1, 2, 3]));
        assert!(!vigil.is_fresh(boot(10), LAG));
        vigil.hear(boot(20), WALL, boot(20), &snapshot(head(1, 6), lines(1..=6))).unwrap();
        assert_eq!((held(&vigil).len(), vigil.era(), vigil.is_fresh(boot(20), LAG)), (6, 0, true));
    }
}

/// What was believed under another log, or one that has lost lines, is believed no longer.
#[test]
fn another_log_or_a_lower_head_turns_the_era() {
    for other in [head(2, 9), head(1, 2)] {
        let mut vigil = vigil();
        vigil.hear(boot(10), WALL, boot(10), &snapshot(other, lines(7..=7))).unwrap();
        assert_eq!((vigil.era(), held(&vigil), vigil.position()), (1, vec![7], Some(other)));
    }
}

/// This process has just written a line and acknowledged it. A snapshot that was read before that must not undo it.
#[test]
fn an_own_end_outlives_a_snapshot_that_was_read_before_it() {
    let mut fresh = Vigil::new(100);
    fresh.hear_own(WALL, boot(5), &line(1));
    fresh.hear(boot(0), WALL, boot(0), &snapshot(head(1, 0), vec![])).unwrap();
    assert_eq!(held(&fresh), [1]);

    let mut vigil = vigil();
    vigil.hear(boot(10), WALL, boot(10), &news(head(1, 9), vec![])).unwrap_err();
    vigil.hear_own(WALL, boot(25), &line(4));
    vigil.hear(boot(20), WALL, boot(20), &snapshot(head(1, 3), lines(1..=3))).unwrap();
    assert_eq!((held(&vigil), vigil.era()), (vec![1, 2, 3, 4], 0));
}

/// Nor is an own end that falls between a question and its answer a gap: a busy server would never keep its lease.
#[test]
fn an_own_end_beside_a_question_is_no_gap() {
    let mut vigil = vigil();
    vigil.hear_own(WALL, boot(5), &line(4));
    assert_eq!(held(&vigil), [1, 2, 3, 4]);
    vigil.hear(boot(4), WALL, boot(4), &news(head(1, 3), vec![])).unwrap();
    assert!(vigil.is_fresh(boot(2_003), LAG));
    // Another server's line came before it; the next answer brings both, and neither twice.
    vigil.hear_own(WALL, boot(6), &line(6));
    vigil.hear(boot(7), WALL, boot(7), &news(head(1, 6), lines(4..=6))).unwrap();
    assert_eq!((held(&vigil), vigil.ended().len()), (vec![1, 2, 3, 4, 5, 6], 6));
}

#[test]
fn a_full_set_loses_the_lease_and_never_an_end() {
    let mut vigil = Vigil::new(4);
    vigil.hear(boot(0), WALL, boot(0), &snapshot(head(1, 3), lines(1..=3))).unwrap();
    vigil.hear(boot(10), WALL, boot(10), &news(head(1, 5), lines(4..=5))).unwrap();
    assert!(!vigil.is_fresh(boot(10), LAG));
    assert_eq!((held(&vigil), vigil.position()), (vec![1, 2, 3, 4], None));
    // As long as there is too much to hold there is no lease, whoever asks.
    vigil.hear(boot(20), WALL, boot(20), &snapshot(head(1, 5), lines(1..=5))).unwrap();
    vigil.hear_own(WALL, boot(21), &line(6));
    assert!(!vigil.is_fresh(boot(20), LAG));
    assert_eq!(held(&vigil), [1, 2, 3, 4]);
    // Once there is room the lease comes back.
    let later = (boot(500_000), WALL + Duration::from_secs(500));
    vigil.hear(later.0, later.1, later.0, &snapshot(head(1, 6), vec![])).unwrap();
    assert!(vigil.is_fresh(later.0, LAG) && vigil.ended().is_empty());
}

#[test]
fn an_end_is_let_go_of_when_nobody_can_present_it_any_more() {
    let mut vigil = vigil();
    let wall = |secs| WALL + Duration::from_secs(secs);
    vigil.hear(boot(399_999), wall(400), boot(399_999), &news(head(1, 3), vec![])).unwrap();
    assert_eq!(held(&vigil), [1, 2, 3]);
    vigil.hear(boot(400_000), wall(400), boot(400_000), &news(head(1, 3), vec![])).unwrap();
    assert!(held(&vigil).is_empty() && vigil.ended().is_empty());
}

/// A later end of the same account is not let go of with the earlier one, and the other way round.
#[test]
fn an_account_is_held_for_its_longest_end() {
    for order in [[0, 1], [1, 0]] {
        let mut vigil = Vigil::new(9);
        for i in order {
            let entry = Entry {
                sequence: i + 1,
                end: End::Account { account: account(), epoch: Epoch(i as u32 + 1) },
                at: None,
                until: WALL + Duration::from_secs(400 + 100 * i),
            };
            vigil.hear_own(WALL, boot(0), &entry);
        }
        let later = Duration::from_secs(450);
        vigil.hear(boot(450_000), WALL + later, boot(450_000), &snapshot(head(1, 2), vec![])).unwrap();
        assert_eq!(verdict(&vigil, 1), Verdict::Account, "{order:?}");
        assert_eq!(verdict(&vigil, 2), Verdict::Goes);
    }
}

/// The wall clock leaps an hour ahead: what facts from before could still be used against is held on.
#[test]
fn a_wall_clock_that_leaps_lets_go_of_nothing() {
    let mut vigil = vigil();
    let leapt = WALL + Duration::from_secs(3600);
    vigil.hear(boot(100), leapt, boot(100), &news(head(1, 4), lines(4..=4))).unwrap();
    let fact_life = boot(FACT_LIFE.as_millis() as u64);
    vigil.hear(fact_life, leapt, fact_life, &news(head(1, 4), vec![])).unwrap();
    assert_eq!(held(&vigil), [1, 2, 3, 4]);
}

/// F059: epochs are counted, not timed. Issued, cut off and issued again in one second: the first is refused, the second
/// goes; and the cut-off is held for longer than any token that it must refuse, or any fact.
#[test]
fn two_logins_within_the_second_of_a_cut_off_are_told_apart() {
    let mut vigil = vigil();
    let longest = Duration::from_secs(3600);
    for token_life in [Duration::from_secs(60), longest] {
        assert!(Hold::of(token_life, None).until(WALL) > WALL + token_life + EXP_LEEWAY);
        assert!(Hold::of(token_life, None).until(WALL) > WALL + FACT_LIFE);
    }
    let refresh_expires = WALL + Duration::from_secs(30 * 86_400);
    assert!(Hold::of(longest, Some(refresh_expires)).until(WALL) > refresh_expires);

    let end = End::Account { account: account(), epoch: Epoch(1) };
    vigil.hear_own(WALL, boot(0), &Entry { sequence: 4, end, at: None, until: Hold::of(longest, None).until(WALL) });
    assert_eq!(verdict(&vigil, 0), Verdict::Account);
    assert_eq!(verdict(&vigil, 1), Verdict::Goes);
}

/// Two questions of one moment, whose answers cross: the one that knows less is no other log.
#[test]
fn an_answer_that_was_overtaken_within_its_moment_is_old_news() {
    for crossed in [snapshot(head(1, 3), lines(1..=3)), news(head(1, 3), lines(3..=3))] {
        let mut vigil = vigil();
        vigil.hear(boot(100), WALL, boot(100), &news(head(1, 4), lines(4..=4))).unwrap();
        vigil.hear(boot(100), WALL, boot(400), &crossed).unwrap();
        assert_eq!((vigil.era(), vigil.position(), held(&vigil)), (0, Some(head(1, 4)), vec![1, 2, 3, 4]));
        assert!(vigil.is_fresh(boot(400), LAG));
        // A log that is behind is another one, as soon as it was asked later.
        vigil.hear(boot(101), WALL, boot(401), &snapshot(head(1, 3), lines(1..=3))).unwrap();
        assert_eq!((vigil.era(), vigil.position()), (1, Some(head(1, 3))));
    }
}

/// An app's end by method ends that method's sessions only; a killed key ends what it made.
#[test]
fn apps_and_keys_end_what_is_theirs() {
    let (web, api, kid) = (AppId::parse("web").unwrap(), AppId::parse("api").unwrap(), Kid::parse("k1").unwrap());
    let mut vigil = Vigil::new(9);
    let of_method = End::App { app: web.clone(), method: Some(Method::Session), epoch: Epoch(2) };
    for (sequence, end) in [(1, of_method), (2, End::Key { kid })] {
        vigil.hear_own(WALL, boot(0), &Entry { sequence, end, at: None, until: WALL + LOG_LIFE });
    }
    let judge = |app: &AppId, epoch, method, kid| {
        let account = (account(), Epoch(0));
        vigil.ended().judge(&Subject { session: session(1), account, app: (app, Epoch(epoch)), method, kid })
    };
    assert_eq!(judge(&web, 1, Method::Session, None), Verdict::App);
    assert_eq!(judge(&web, 2, Method::Session, None), Verdict::Goes);
    assert_eq!(judge(&web, 1, Method::Jwt, None), Verdict::Goes);
    assert_eq!(judge(&api, 1, Method::Session, None), Verdict::Goes);
    assert_eq!(judge(&api, 0, Method::Jwt, Some(kid)), Verdict::Key);
}

/// A question, as the property below draws it: when it is sent after the last one, how long its answer takes, and how
/// many lines others write meanwhile.
type Round = (u64, u64, u64);

proptest! {
    /// However answers are delayed, repeated or lost: a fresh lease means that every line that is older than the lag is
    /// held.
    #[test]
    fn a_fresh_lease_means_that_all_is_known(
        rounds in prop::collection::vec((0u64..1500, 0u64..3000, 0u64..3), 1..20),
        lost in prop::collection::vec(any::<bool>(), 20),
        own in prop::collection::vec(any::<bool>(), 20),
    ) {
        let mut vigil = Vigil::new(100);
        // (when it arrives, when it was asked, after which position)
        let mut under_way: Vec<(u64, u64, Answer)> = vec![];
        let mut written: Vec<u64> = vec![];
        let mut now = 0;
        for (i, (wait, delay, lines_written)) in rounds.into_iter().map(|r: Round| r).enumerate() {
            now += wait;
            under_way.sort_by_key(|(arrives, ..)| *arrives);
            let arrived = under_way.iter().take_while(|(arrives, ..)| *arrives <= now).count();
            for (arrives, asked, answer) in under_way.drain(..arrived) {
                let wall = WALL + Duration::from_millis(arrives);
                let _ = vigil.hear(boot(asked), wall, boot(arrives), &answer);
                let _ = vigil.hear(boot(asked), wall, boot(arrives), &answer);
            }
            for _ in 0..lines_written {
                written.push(now);
                if own[i] {
                    vigil.hear_own(WALL + Duration::from_millis(now), boot(now), &line(written.len() as u64));
                }
            }
            let all = written.len() as u64;
            let answer = match vigil.position() {
                Some(after) => news(head(1, all), lines(after.sequence + 1..=all)),
                None => snapshot(head(1, all), lines(1..=all)),
            };
            if !lost[i] {
                under_way.push((now + delay, now, answer));
            }
            if vigil.is_fresh(boot(now), LAG) {
                let old = written.iter().take_while(|at| now - **at >= LAG.as_millis() as u64).count() as u64;
                prop_assert!((1..=old).all(|n| vigil.ended().has_session(session(n))), "{old} lines at {now}");
            }
        }
        prop_assert_eq!(vigil.era(), 0);
    }
}
