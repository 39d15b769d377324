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
    Entry { sequence, end: End::Session { session: session(sequence) }, at: None, until: WALL }
}

fn lines(sequences: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    sequences.map(line).collect()
}

fn head(incarnation: u64, sequence: u64) -> Position {
    Position { incarnation: Incarnation(incarnation), sequence }
}

fn snapshot(head: Position, entries: Vec<Entry>) -> Answer {
    Answer { head, time: WALL, keys: KeySet::default(), snapshot: true, rest: None, hold: VERIFIERS_HOLD, entries }
}

fn news(head: Position, entries: Vec<Entry>) -> Answer {
    Answer { snapshot: false, ..snapshot(head, entries) }
}

/// A watch that has heard the first three lines at the beginning.
fn vigil() -> Vigil {
    let mut vigil = Vigil::new(100, VERIFIERS_HOLD);
    vigil.hear(boot(0), boot(0), &snapshot(head(1, 3), lines(1..=3))).unwrap();
    vigil
}

fn held(vigil: &Vigil) -> Vec<u64> {
    (0..200).filter(|n| vigil.ended().has_session(session(*n))).collect()
}

/// The line that raises the account to that epoch.
fn raised(sequence: u64, epoch: u32) -> Entry {
    let end = End::Account { account: account(), epoch: Epoch(epoch) };
    Entry { sequence, end, at: None, until: WALL }
}

fn subject(n: u64) -> Subject<'static> {
    static WEB: std::sync::LazyLock<AppId> = std::sync::LazyLock::new(|| AppId::parse("web").unwrap());
    let account = (AccountId::from_bytes([0; 16]), Epoch(0));
    Subject { session: session(n), account, app: (&WEB, Epoch(0)), method: Method::Jwt, kid: None }
}

/// Which of these sessions are marked, and up to which line they would have to be asked about.
fn marked(vigil: &Vigil, sessions: std::ops::RangeInclusive<u64>, now: Boot) -> Vec<(u64, u64)> {
    let marks = sessions.map(|n| (n, vigil.ended().mark(&subject(n), now)));
    marks.filter(|(_, line)| *line > 0).collect()
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
    vigil.hear(boot(500), boot(2_000), &late).unwrap();
    assert!(vigil.is_fresh(boot(2_499), LAG));
    assert!(!vigil.is_fresh(boot(2_500), LAG));
}

/// A clock that goes backwards, as none should, is no lease either.
#[test]
fn a_question_from_the_future_gives_no_lease() {
    assert!(!vigil().is_fresh(Boot::from_millis(999_999), LAG));
    assert!(!Vigil::new(1, VERIFIERS_HOLD).is_fresh(boot(0), LAG));
}

#[test]
fn an_answer_heard_twice_changes_nothing() {
    let mut vigil = vigil();
    for answer in [news(head(1, 5), lines(4..=5)), snapshot(head(1, 5), lines(1..=5))] {
        vigil.hear(boot(10), boot(10), &answer).unwrap();
        let (once, era) = (vigil.ended().len(), vigil.era());
        vigil.hear(boot(10), boot(10), &answer).unwrap();
        assert_eq!((vigil.ended().len(), vigil.era(), vigil.position()), (once, era, Some(head(1, 5))));
    }
    assert_eq!(vigil.ended().len(), 5);
}

#[test]
fn an_answer_that_was_overtaken_changes_nothing() {
    let mut vigil = vigil();
    vigil.hear(boot(100), boot(100), &news(head(1, 6), lines(4..=6))).unwrap();
    for old in [news(head(1, 4), lines(4..=4)), snapshot(head(1, 4), lines(1..=4)), snapshot(head(9, 1), lines(1..=1))]
    {
        vigil.hear(boot(50), boot(50), &old).unwrap();
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
        assert_eq!(vigil.hear(boot(10), boot(10), &answer), Err(Gap), "{answer:?}");
        assert_eq!((vigil.position(), held(&vigil)), (None, vec![1, 2, 3]));
        assert!(!vigil.is_fresh(boot(10), LAG));
        vigil.hear(boot(20), boot(20), &snapshot(head(1, 6), lines(1..=6))).unwrap();
        assert_eq!((held(&vigil).len(), vigil.era(), vigil.is_fresh(boot(20), LAG)), (6, 0, true));
    }
}

/// What was believed under another log, or one that has lost lines, is believed no longer.
#[test]
fn another_log_or_a_lower_head_turns_the_era() {
    for other in [head(2, 9), head(1, 2)] {
        let mut vigil = vigil();
        vigil.hear(boot(10), boot(10), &snapshot(other, lines(7..=7))).unwrap();
        assert_eq!((vigil.era(), held(&vigil), vigil.position()), (1, vec![7], Some(other)));
    }
}

/// This process has just written a line and acknowledged it. A snapshot that was read before that must not undo it.
#[test]
fn an_own_end_outlives_a_snapshot_that_was_read_before_it() {
    let mut fresh = Vigil::new(100, VERIFIERS_HOLD);
    fresh.hear_own(boot(5), &line(1));
    fresh.hear(boot(0), boot(0), &snapshot(head(1, 0), vec![])).unwrap();
    assert_eq!(held(&fresh), [1]);

    let mut vigil = vigil();
    vigil.hear(boot(10), boot(10), &news(head(1, 9), vec![])).unwrap_err();
    vigil.hear_own(boot(25), &line(4));
    vigil.hear(boot(20), boot(20), &snapshot(head(1, 3), lines(1..=3))).unwrap();
    assert_eq!((held(&vigil), vigil.era()), (vec![1, 2, 3, 4], 0));
}

/// Nor is an own end that falls between a question and its answer a gap: a busy server would never keep its lease.
#[test]
fn an_own_end_beside_a_question_is_no_gap() {
    let mut vigil = vigil();
    vigil.hear_own(boot(5), &line(4));
    assert_eq!(held(&vigil), [1, 2, 3, 4]);
    vigil.hear(boot(4), boot(4), &news(head(1, 3), vec![])).unwrap();
    assert!(vigil.is_fresh(boot(2_003), LAG));
    // Another server's line came before it; the next answer brings both, and neither twice.
    vigil.hear_own(boot(6), &line(6));
    vigil.hear(boot(7), boot(7), &news(head(1, 6), lines(4..=6))).unwrap();
    assert_eq!((held(&vigil), vigil.ended().len()), (vec![1, 2, 3, 4, 5, 6], 6));
}

/// R1: a full set neither loses the lease nor forgets: of what it cannot hold it keeps marks.
#[test]
fn a_full_set_marks_what_it_cannot_hold() {
    let mut vigil = Vigil::new(4, VERIFIERS_HOLD);
    vigil.hear(boot(0), boot(0), &snapshot(head(1, 3), lines(1..=3))).unwrap();
    assert_eq!(marked(&vigil, 1..=9, boot(0)), []);
    vigil.hear(boot(10), boot(10), &news(head(1, 6), lines(4..=6))).unwrap();
    assert!(vigil.is_fresh(boot(10), LAG));
    assert_eq!((held(&vigil), vigil.position()), (vec![1, 2, 3, 4], Some(head(1, 6))));
    assert_eq!(marked(&vigil, 1..=9, boot(10)), [(5, 5), (6, 6)]);
    // What is read after a line was heard knows of it, and of no later one.
    assert_eq!(vigil.reading(boot(10)).line, 6);
    assert!(!vigil.is_marked(&subject(5), 5, boot(10)) && vigil.is_marked(&subject(6), 5, boot(10)));
    // Heard again, as in a snapshot, it is no other line.
    vigil.hear(boot(20), boot(20), &snapshot(head(1, 6), lines(1..=6))).unwrap();
    vigil.hear_own(boot(21), &line(5));
    vigil.hear_own(boot(21), &line(6));
    assert_eq!((marked(&vigil, 1..=9, boot(21)), vigil.reading(boot(21)).line), (vec![(5, 5), (6, 6)], 6));
    assert_eq!(vigil.ended().marks(boot(21)), 2);
    // A mark is kept for as long as the end would have been; then there is room again.
    let over = 21 + VERIFIERS_HOLD.as_millis() as u64;
    assert_eq!(marked(&vigil, 1..=9, boot(over - 1)), [(5, 5), (6, 6)]);
    assert_eq!(marked(&vigil, 1..=9, boot(over)), []);
    let over = over + 2_000;
    vigil.hear(boot(over), boot(over), &news(head(1, 7), lines(7..=7))).unwrap();
    assert_eq!((held(&vigil), vigil.reading(boot(over)).line), (vec![7], 0));
}

/// Another log has other numbers.
#[test]
fn the_marks_of_another_log_are_forgotten() {
    let mut vigil = Vigil::new(0, VERIFIERS_HOLD);
    vigil.hear(boot(0), boot(0), &snapshot(head(1, 9), lines(8..=9))).unwrap();
    vigil.hear(boot(10), boot(10), &snapshot(head(2, 1), lines(1..=1))).unwrap();
    assert_eq!((marked(&vigil, 1..=9, boot(10)), vigil.reading(boot(10)).line), (vec![(1, 1)], 1));
}

/// R1: whatever one account does, it has one entry.
#[test]
fn an_account_has_one_entry_however_often_it_ends() {
    let mut vigil = Vigil::new(2, VERIFIERS_HOLD);
    for n in 1..=50_000 {
        vigil.hear_own(boot(n), &raised(n, n as u32));
    }
    vigil.hear_own(boot(50_000), &line(50_001));
    assert_eq!((vigil.ended().len(), vigil.ended().marks(boot(50_000))), (2, 0));
    assert!(vigil.ended().has_session(session(50_001)));
    assert_eq!((verdict(&vigil, 49_999), verdict(&vigil, 50_000)), (Verdict::Account, Verdict::Goes));
}

#[test]
fn an_end_is_let_go_of_when_nobody_can_present_it_any_more() {
    let mut vigil = vigil();
    let hold = VERIFIERS_HOLD.as_millis() as u64;
    vigil.hear(boot(hold), boot(hold), &news(head(1, 3), vec![])).unwrap();
    assert_eq!(held(&vigil), [1, 2, 3]);
    // Seconds are counted, and none of them too few.
    let over = hold + 2_000;
    vigil.hear(boot(over), boot(over), &news(head(1, 3), vec![])).unwrap();
    assert!(held(&vigil).is_empty() && vigil.ended().is_empty());
}

/// R15: for how long is the reader's matter: of a feed that asks for longer it holds everything for longer.
#[test]
fn a_feed_may_ask_for_a_longer_hold_and_never_for_a_shorter_one() {
    for (asked, held_for) in [(Duration::from_secs(60), VERIFIERS_HOLD), (VERIFIERS_HOLD * 2, VERIFIERS_HOLD * 2)] {
        let mut vigil = vigil();
        vigil.hear(boot(1), boot(1), &Answer { hold: asked, ..news(head(1, 3), vec![]) }).unwrap();
        let last = held_for.as_millis() as u64;
        vigil.hear(boot(last), boot(last), &news(head(1, 3), vec![])).unwrap();
        assert_eq!(held(&vigil), [1, 2, 3]);
        vigil.hear(boot(last + 2_000), boot(last + 2_000), &news(head(1, 3), vec![])).unwrap();
        assert!(held(&vigil).is_empty());
    }
}

/// A later end of the same account is not let go of with the earlier one.
#[test]
fn an_account_is_held_from_its_last_end_on() {
    let mut vigil = Vigil::new(9, VERIFIERS_HOLD);
    vigil.hear_own(boot(0), &raised(1, 1));
    vigil.hear_own(boot(60_000), &raised(2, 2));
    // What is known says nothing new.
    vigil.hear_own(boot(120_000), &raised(2, 2));
    vigil.hear_own(boot(120_000), &raised(1, 1));
    let hold = VERIFIERS_HOLD.as_millis() as u64;
    for (now, verdicts) in [(hold + 60_000, [Verdict::Account, Verdict::Goes]), (hold + 62_000, [Verdict::Goes; 2])] {
        vigil.hear(boot(now), boot(now), &snapshot(head(1, 2), vec![])).unwrap();
        assert_eq!([verdict(&vigil, 1), verdict(&vigil, 2)], verdicts);
    }
}

/// A flood that was heard at once runs out at once: the watch goes on while it does.
#[test]
fn a_flood_is_let_go_of_bit_by_bit() {
    let mut vigil = Vigil::new(30_000, VERIFIERS_HOLD);
    vigil.hear(boot(0), boot(0), &snapshot(head(1, 25_000), lines(1..=25_000))).unwrap();
    let mut left = vec![];
    for n in 0..4 {
        let now = VERIFIERS_HOLD.as_millis() as u64 + 2_000 + n;
        vigil.hear(boot(now), boot(now), &news(head(1, 25_000), vec![])).unwrap();
        left.push(vigil.ended().len());
    }
    assert_eq!(left, [15_000, 5_000, 0, 0]);
}

/// A snapshot in pages is one snapshot: there is no lease before its last page, and that runs from the first question.
#[test]
fn a_snapshot_that_comes_in_pages_gives_one_lease() {
    let mut vigil = Vigil::new(100, VERIFIERS_HOLD);
    assert_eq!(vigil.question(), Since::Ever);
    let page = |lines, rest| Answer { rest, ..snapshot(head(1, 9), lines) };
    assert_eq!(vigil.hear(boot(0), boot(5), &page(lines(7..=9), Some(7))), Ok(Heard::Page));
    assert_eq!(vigil.question(), Since::Below { head: head(1, 9), line: 7 });
    assert!(!vigil.is_fresh(boot(5), LAG) && vigil.position().is_none());
    // What this process writes meanwhile is not undone by it.
    vigil.hear_own(boot(6), &line(10));
    assert_eq!(vigil.hear(boot(500), boot(505), &page(lines(4..=6), None)), Ok(Heard::All));
    assert_eq!((held(&vigil), vigil.question()), ((4..=10).collect(), Since::Line(head(1, 9))));
    assert!(vigil.is_fresh(boot(1_999), LAG) && !vigil.is_fresh(boot(2_000), LAG));
}

/// Another log takes its place while the pages of one come: all is begun anew, and nothing of both is mixed.
#[test]
fn pages_of_another_log_begin_anew() {
    let mut vigil = Vigil::new(100, VERIFIERS_HOLD);
    let page = |head, lines, rest| Answer { rest, ..snapshot(head, lines) };
    vigil.hear(boot(0), boot(0), &page(head(1, 9), lines(7..=9), Some(7))).unwrap();
    vigil.hear(boot(10), boot(10), &page(head(2, 4), lines(3..=4), Some(3))).unwrap();
    assert_eq!((held(&vigil), vigil.era()), (vec![3, 4], 1));
    assert_eq!(vigil.question(), Since::Below { head: head(2, 4), line: 3 });
    vigil.hear(boot(20), boot(20), &page(head(2, 4), lines(1..=2), None)).unwrap();
    assert_eq!((held(&vigil), vigil.era(), vigil.position()), (vec![1, 2, 3, 4], 1, Some(head(2, 4))));
}

/// News that come in pages give a lease with the last of them, and lose nothing between.
#[test]
fn news_that_come_in_pages_give_the_lease_with_the_last() {
    let mut vigil = vigil();
    let page = |lines, rest| Answer { rest, ..news(head(1, 8), lines) };
    assert_eq!(vigil.hear(boot(1_000), boot(1_000), &page(lines(4..=6), Some(6))), Ok(Heard::Page));
    assert_eq!((vigil.question(), vigil.asked()), (Since::Line(head(1, 6)), Some(boot(0))));
    assert_eq!(vigil.hear(boot(1_500), boot(1_500), &page(lines(7..=8), None)), Ok(Heard::All));
    assert_eq!((vigil.position(), vigil.asked()), (Some(head(1, 8)), Some(boot(1_500))));
    // A page that leaves a line out is a gap as ever.
    assert_eq!(
        vigil.hear(boot(2_000), boot(2_000), &Answer { rest: Some(11), ..news(head(1, 12), lines(10..=11)) }),
        Err(Gap)
    );
}

/// F059: epochs are counted, not timed. Issued, cut off and issued again in one second: the first is refused, the second
/// goes; and the cut-off is held for longer than any token that it must refuse, or any fact.
#[test]
fn two_logins_within_the_second_of_a_cut_off_are_told_apart() {
    let mut vigil = vigil();
    let longest = Duration::from_secs(3600);
    assert!(VERIFIERS_HOLD > longest + EXP_LEEWAY + REQUEST_LIMIT && VERIFIERS_HOLD > FACT_LIFE + REQUEST_LIMIT);
    vigil.hear_own(boot(0), &raised(4, 1));
    assert_eq!(verdict(&vigil, 0), Verdict::Account);
    assert_eq!(verdict(&vigil, 1), Verdict::Goes);
}

/// Two questions of one moment, whose answers cross: the one that knows less is no other log.
#[test]
fn an_answer_that_was_overtaken_within_its_moment_is_old_news() {
    for crossed in [snapshot(head(1, 3), lines(1..=3)), news(head(1, 3), lines(3..=3))] {
        let mut vigil = vigil();
        vigil.hear(boot(100), boot(100), &news(head(1, 4), lines(4..=4))).unwrap();
        vigil.hear(boot(100), boot(400), &crossed).unwrap();
        assert_eq!((vigil.era(), vigil.position(), held(&vigil)), (0, Some(head(1, 4)), vec![1, 2, 3, 4]));
        assert!(vigil.is_fresh(boot(400), LAG));
        // A log that is behind is another one, as soon as it was asked later.
        vigil.hear(boot(101), boot(401), &snapshot(head(1, 3), lines(1..=3))).unwrap();
        assert_eq!((vigil.era(), vigil.position()), (1, Some(head(1, 3))));
    }
}

/// An app's end by method ends that method's sessions only; a killed key ends what it made.
#[test]
fn apps_and_keys_end_what_is_theirs() {
    let (web, api, kid) = (AppId::parse("web").unwrap(), AppId::parse("api").unwrap(), Kid::parse("k1").unwrap());
    let mut vigil = Vigil::new(9, VERIFIERS_HOLD);
    let of_method = End::App { app: web.clone(), method: Some(Method::Session), epoch: Epoch(2) };
    for (sequence, end) in [(1, of_method), (2, End::Key { kid })] {
        vigil.hear_own(boot(0), &Entry { sequence, end, at: None, until: WALL });
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

    // A killed key stays so for good, in another log too.
    let late = VERIFIERS_HOLD.as_millis() as u64 * 2;
    for n in 0..2 {
        vigil.hear(boot(late + n), boot(late + n), &snapshot(head(n + 1, 0), vec![])).unwrap();
        assert!(vigil.ended().has_key(kid));
    }
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
        let mut vigil = Vigil::new(100, VERIFIERS_HOLD);
        // (when it arrives, when it was asked, after which position)
        let mut under_way: Vec<(u64, u64, Answer)> = vec![];
        let mut written: Vec<u64> = vec![];
        let mut now = 0;
        for (i, (wait, delay, lines_written)) in rounds.into_iter().map(|r: Round| r).enumerate() {
            now += wait;
            under_way.sort_by_key(|(arrives, ..)| *arrives);
            let arrived = under_way.iter().take_while(|(arrives, ..)| *arrives <= now).count();
            for (arrives, asked, answer) in under_way.drain(..arrived) {
                let _ = vigil.hear(boot(asked), boot(arrives), &answer);
                let _ = vigil.hear(boot(asked), boot(arrives), &answer);
            }
            for _ in 0..lines_written {
                written.push(now);
                if own[i] {
                    vigil.hear_own(boot(now), &line(written.len() as u64));
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
