use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Instant,
};

use tokio::{sync::Notify, time::sleep};

use super::{state::ailing_at, *};

const PATIENCE: Duration = Duration::from_secs(10);

fn deaths(name: &str) -> u64 {
    failures().into_iter().find(|(task, _)| *task == name).map_or(0, |(_, deaths)| deaths)
}

fn ails(name: &str) -> Option<String> {
    ailing().into_iter().find(|ailing| ailing.task == name).map(|ailing| ailing.to_string())
}

async fn until(what: impl Fn() -> bool) {
    while !what() {
        sleep(Duration::from_millis(10)).await;
    }
}

/// R34: a task that dies is started again, and its death is counted.
#[tokio::test]
async fn a_task_that_dies_is_counted_and_started_again() {
    let lives = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&lives);
    let kept = keep("dies-once", PATIENCE, move |pulse| {
        let lives = Arc::clone(&counted);
        async move {
            pulse.round(async { assert!(lives.fetch_add(1, Ordering::Relaxed) > 0, "the first one dies") }).await;
            std::future::pending().await
        }
    });
    until(|| lives.load(Ordering::Relaxed) == 2).await;
    assert_eq!((deaths("dies-once"), ails("dies-once")), (1, None));
    kept.stop().await;
}

/// R34: what keeps dying is named, until a round goes well.
#[tokio::test]
async fn a_task_that_keeps_dying_is_named_until_a_round_goes_well() {
    let (sick, lives) = (Arc::new(AtomicU32::new(1)), Arc::new(AtomicU32::new(0)));
    let (fails, counted) = (Arc::clone(&sick), Arc::clone(&lives));
    let _kept = every("keeps-dying", [Duration::from_millis(1), PATIENCE], move || {
        let (fails, lives) = (Arc::clone(&fails), Arc::clone(&counted));
        async move {
            lives.fetch_add(1, Ordering::Relaxed);
            assert_eq!(fails.load(Ordering::Relaxed), 0, "it is sick");
        }
    });
    until(|| deaths("keeps-dying") == 2).await;
    assert_eq!(ails("keeps-dying"), None, "twice is no habit yet");
    until(|| deaths("keeps-dying") == 4).await;
    assert!(ails("keeps-dying").unwrap().contains("4 times in a row"));
    sick.store(0, Ordering::Relaxed);
    until(|| lives.load(Ordering::Relaxed) > 5).await;
    assert_eq!(ails("keeps-dying"), None);
}

#[test]
fn a_task_rests_for_longer_each_time_it_dies_but_never_for_long() {
    let pauses: Vec<_> = [1, 2, 3, 9, 10, u32::MAX].map(|row| pause_after(row).as_millis()).into();
    assert_eq!(pauses, [100, 200, 400, 25_600, 30_000, 30_000]);
}

/// R25: a round that does not end is named, and no longer once it does.
#[tokio::test]
async fn a_task_that_stands_still_is_named_until_it_goes_on() {
    let gate = Arc::new(Notify::new());
    let closed = Arc::clone(&gate);
    let kept = keep("stands-still", PATIENCE, move |pulse| {
        let gate = Arc::clone(&closed);
        async move {
            pulse.round(gate.notified()).await;
            Over
        }
    });
    let later = |secs| {
        let at = Instant::now() + Duration::from_secs(secs);
        ailing_at(at).into_iter().find(|ailing| ailing.task == "stands-still").map(|ailing| ailing.to_string())
    };
    until(|| later(60).is_some()).await;
    assert_eq!(later(5), None);
    assert!(later(60).unwrap().contains("stood still for 6"));
    gate.notify_one();
    kept.over().await;
    assert_eq!(later(60), None);
}

#[tokio::test]
async fn a_kept_task_ends_with_its_keeper_and_a_detached_one_does_not() {
    let alive = Arc::new(());
    for detached in [false, true] {
        let held = Arc::clone(&alive);
        let kept = keep("kept", PATIENCE, move |_| {
            let held = Arc::clone(&held);
            async move {
                std::future::pending::<()>().await;
                drop(held);
                Over
            }
        });
        if detached {
            kept.detach();
            // The task, and what it would be made of anew.
            until(|| Arc::strong_count(&alive) == 3).await;
        } else {
            drop(kept);
            until(|| Arc::strong_count(&alive) == 1).await;
        }
    }
}

#[tokio::test]
async fn the_panic_of_what_is_done_once_is_counted_and_reaches_whoever_waits() {
    let died = once("done-once", async { panic!("of grief") }).await;
    assert_eq!(died.unwrap_err().into_panic().downcast_ref::<&str>(), Some(&"of grief"));
    assert_eq!(deaths("done-once"), 1);
}

#[test]
fn a_thread_that_dies_is_started_again_with_what_it_had() {
    let (tell, told) = std::sync::mpsc::channel();
    let mut lives = 0;
    let thread = thread("thread", Some(7), PATIENCE, move |_| {
        lives += 1;
        tell.send((lives, std::thread::current().name().map(str::to_owned))).unwrap();
        assert!(lives > 2, "the first two die");
    });
    thread.unwrap().join().unwrap();
    let told: Vec<_> = told.iter().collect();
    assert_eq!(told, [1, 2, 3].map(|life| (life, Some("thread-7".to_owned()))));
    assert_eq!(deaths("thread"), 2);
}
