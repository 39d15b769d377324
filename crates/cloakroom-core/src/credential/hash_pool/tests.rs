#![expect(clippy::await_holding_lock, reason = "held so that a thread of the pool stands still; no task takes it")]

use std::{future::Future, pin::pin, task::Context};

use super::*;

const GOOD: &str = "correct horse battery staple";

fn settings(threads: usize, queue: usize) -> PoolSettings {
    PoolSettings {
        parameters: HashParameters::weak_for_tests(),
        threads: NonZeroUsize::new(threads).unwrap(),
        queue,
        ..PoolSettings::default()
    }
}

fn pool(threads: usize, queue: usize) -> HashPool {
    HashPool::start(settings(threads, queue), Rng::seeded(7)).unwrap()
}

fn chosen() -> NewPassword {
    NewPassword::choose(GOOD.into(), &[]).unwrap()
}

fn typed(text: &str) -> LoginPassword {
    LoginPassword::parse(text.into())
}

/// A hash larger than the pool's own: checking against it stands still while `outsized` is held.
fn larger() -> PasswordHash {
    let text = format!("$argon2id$v=19$m=128,t=1,p=1${}${}", "A".repeat(22), "A".repeat(43));
    PasswordHash::parse(&text).unwrap()
}

/// Begins a call, as a server does; the job is queued after this.
fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) {
    assert!(future.poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
}

fn wait_until(what: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !what() {
        assert!(Instant::now() < deadline, "it never came to that");
        thread::sleep(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn the_right_password_matches_and_others_do_not() {
    let pool = pool(2, 8);
    let hash = pool.hash(chosen()).await.unwrap();
    assert!(matches!(pool.check(typed(GOOD), Some(hash.clone())).await, Ok(Checked::Matched { rehash: None })));
    assert!(!pool.check(typed("correct horse battery stable"), Some(hash.clone())).await.unwrap().is_match());
    assert_ne!(pool.hash(chosen()).await.unwrap(), hash, "each hash has its own salt");
}

#[tokio::test]
async fn a_chosen_password_is_judged_on_the_pool() {
    let pool = pool(1, 8);
    let choose = |text: &str| pool.choose(text.into(), vec!["zwetschge@example.test".into()]);
    pool.hash(choose(GOOD).await.unwrap().unwrap()).await.unwrap();
    assert_eq!(choose("Zwetschge1").await.unwrap().unwrap_err().code(), "too_weak");
    assert_eq!(choose("short").await.unwrap().unwrap_err().code(), "too_short");
    assert_eq!(pool.runs(), 1);
}

/// F077, F078: with or without an account, a password, or either's good form: one run of the same parameters each.
#[tokio::test]
async fn every_check_costs_one_run() {
    let pool = pool(1, 8);
    let hash = pool.hash(chosen()).await.unwrap();
    let huge = "x".repeat(100_000);
    for (password, against, expected) in [
        (typed(GOOD), Some(&hash), true),
        (typed("wrong"), Some(&hash), false),
        (typed(""), Some(&hash), false),
        (typed(&huge), Some(&hash), false),
        (LoginPassword::missing(), Some(&hash), false),
        (typed(GOOD), None, false),
        (typed(""), None, false),
        (typed(&huge), None, false),
        (LoginPassword::missing(), None, false),
    ] {
        let before = pool.runs();
        let checked = pool.check(password, against.cloned()).await.unwrap();
        assert_eq!((checked.is_match(), pool.runs() - before), (expected, 1));
    }
}

/// F077: the decoy is well formed, or it would fail fast.
#[tokio::test]
async fn the_decoy_is_a_hash_like_any_other() {
    let pool = pool(1, 8);
    let (decoy, real) = (&pool.shared.decoy, pool.hash(chosen()).await.unwrap());
    assert_eq!(PasswordHash::parse(&decoy.to_phc()).as_ref(), Ok(decoy));
    assert_eq!(decoy.to_phc().len(), real.to_phc().len());
    assert_eq!(decoy.parameters(), real.parameters());
}

#[tokio::test]
async fn a_password_with_an_old_hash_can_be_hashed_anew() {
    let pool = pool(1, 8);
    let mut memory = vec![Block::new(); 64];
    let old = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    let old = PasswordHash::parse(old).unwrap();
    let Checked::Matched { rehash: Some(password) } = pool.check(typed("password"), Some(old)).await.unwrap() else {
        panic!("the old hash is larger, and of this password");
    };
    let new = pool.hash(password).await.unwrap();
    assert_eq!(new.matches(b"password", &mut memory), Ok(true));
    assert!(!new.needs_rehash(&pool.parameters()));
}

/// F076: what passes the bound is turned away at once, with a time to come back; memory and threads stay bounded.
#[tokio::test]
async fn a_full_queue_turns_the_next_away() {
    let pool = pool(1, 2);
    let held = pool.shared.outsized.lock();
    let mut running = pin!(pool.check(typed(GOOD), Some(larger())));
    poll_once(running.as_mut());
    wait_until(|| pool.running() == 1);
    let mut queued = [0, 1].map(|_| Box::pin(pool.check(typed(GOOD), None)));
    for check in &mut queued {
        poll_once(check.as_mut());
    }
    assert_eq!((pool.running(), pool.queued()), (1, 2));

    let refused = pool.check(typed(GOOD), None).await;
    assert!(matches!(refused, Err(PoolError::Overloaded { retry_after }) if retry_after >= Duration::from_secs(1)));

    drop(held);
    assert!(!running.await.unwrap().is_match());
    for check in queued {
        assert!(!check.await.unwrap().is_match());
    }
    assert_eq!(pool.runs(), 3);
}

#[tokio::test]
async fn the_time_to_come_back_grows_with_the_queue() {
    let pool = pool(1, 8);
    pool.shared.average_micros.store(2_000_000, Ordering::Relaxed);
    let waiting = |n: usize| {
        let queue = (0..n).map(|_| Job::Check(typed(""), None, oneshot::channel().0)).collect();
        pool.shared.retry_after(&State { queue, running: 1, stopped: false })
    };
    assert_eq!([waiting(0), waiting(4)], [Duration::from_secs(2), Duration::from_secs(10)]);
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_computed() {
    let pool = pool(1, 2);
    let held = pool.shared.outsized.lock();
    let mut running = Box::pin(pool.check(typed(GOOD), Some(larger())));
    poll_once(running.as_mut());
    wait_until(|| pool.running() == 1);
    for _ in 0..9 {
        // The client hangs up; its place in the queue is not lost to others.
        let mut abandoned = Box::pin(pool.check(typed(GOOD), None));
        poll_once(abandoned.as_mut());
    }
    let mut patient = Box::pin(pool.hash(chosen()));
    poll_once(patient.as_mut());
    drop(held);
    patient.await.unwrap();
    assert_eq!(pool.runs(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_runs_one_hash_for_each_thread() {
    let pool = Arc::new(pool(2, 1000));
    let hash = pool.hash(chosen()).await.unwrap();
    let storm: Vec<_> = (0..200)
        .map(|n| {
            let (pool, hash) = (Arc::clone(&pool), hash.clone());
            tokio::spawn(async move {
                let checked = pool.check(typed(if n % 2 == 0 { GOOD } else { "wrong" }), Some(hash)).await.unwrap();
                assert!(pool.running() <= 2);
                assert_eq!(checked.is_match(), n % 2 == 0);
            })
        })
        .collect();
    for check in storm {
        check.await.unwrap();
    }
    assert_eq!(pool.runs(), 201);
}

#[tokio::test]
async fn without_a_queue_an_idle_thread_still_takes_a_job() {
    let pool = pool(1, 0);
    assert!(!pool.check(typed(GOOD), None).await.unwrap().is_match());
    assert!(!pool.check(typed(GOOD), None).await.unwrap().is_match());
}

#[test]
fn the_threads_end_with_the_pool() {
    let pool = pool(3, 8);
    let shared = Arc::downgrade(&pool.shared);
    wait_until(|| shared.strong_count() == 4);
    // Time for them to fall asleep.
    thread::sleep(Duration::from_millis(30));
    drop(pool);
    wait_until(|| shared.strong_count() == 0);
}

#[tokio::test]
async fn a_queued_job_fails_when_the_pool_is_dropped() {
    let pool = pool(1, 8);
    let shared = Arc::clone(&pool.shared);
    let held = shared.outsized.lock();
    let (reply, _patient) = oneshot::channel();
    shared.enqueue(Job::Check(typed(GOOD), Some(larger()), reply)).unwrap();
    wait_until(|| pool.running() == 1);
    let (reply, answer) = oneshot::channel();
    shared.enqueue(Job::Hash(chosen(), reply)).unwrap();
    drop(pool);
    answer.await.expect_err("given up");
    drop(held);
}

/// The threads give way to everything else in the process.
#[test]
fn the_threads_have_low_priority() {
    let pool = pool(2, 8);
    let own = rustix::process::getpriority_process(None).unwrap();
    let lowered = || {
        let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok());
        // Field 19 of proc_pid_stat(5), counted from after the name in parentheses.
        let nice = |stat: &str| stat.rsplit_once(") ")?.1.split(' ').nth(16)?.parse::<i32>().ok();
        stats.filter(|stat| stat.contains("(hash-") && nice(stat) == Some((own + 10).min(19))).count()
    };
    wait_until(|| lowered() >= 2);
    drop(pool);
}
