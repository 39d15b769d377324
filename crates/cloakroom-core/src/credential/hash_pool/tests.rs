#![expect(clippy::await_holding_lock, reason = "held so that a thread of the pool stands still; no task takes it")]

use std::{future::Future, pin::pin, task::Context, time::Instant};

use argon2::Block;

use super::{queue::Due, *};

const GOOD: &str = "correct horse battery staple";

fn settings(threads: usize, queue: usize) -> PoolSettings {
    PoolSettings {
        parameters: HashParameters::weak_for_tests(),
        threads: NonZeroUsize::new(threads).unwrap(),
        queue,
        // However busy the machine is, the reserve keeps out of it.
        patience: Duration::from_hours(1),
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
    for (room, seconds) in [(0, 2), (4, 10)] {
        let pool = pool(1, room);
        let held = pool.shared.outsized.lock();
        let mut running = pin!(pool.check(typed(GOOD), Some(larger())));
        poll_once(running.as_mut());
        wait_until(|| pool.running() == 1);
        pool.shared.average_micros.store(2_000_000, Ordering::Relaxed);
        let mut queued: Vec<_> = (0..room).map(|_| Box::pin(pool.check(typed(GOOD), None))).collect();
        for check in &mut queued {
            poll_once(check.as_mut());
        }
        let Err(PoolError::Overloaded { retry_after }) = pool.check(typed(GOOD), None).await else {
            panic!("there is room for {room}");
        };
        assert_eq!(retry_after, Duration::from_secs(seconds));
        drop(held);
    }
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

/// Whatever the scheduler does with the threads: who comes while one is free is not turned away.
#[tokio::test]
async fn what_a_free_thread_has_not_come_for_yet_takes_none_of_the_room() {
    let pool = starved(2);
    let mut checks: Vec<_> = (0..2 + 8).map(|_| Box::pin(pool.check(typed(GOOD), None))).collect();
    for check in &mut checks {
        poll_once(check.as_mut());
    }
    assert!(matches!(pool.check(typed(GOOD), None).await, Err(PoolError::Overloaded { .. })));
    let _running = pool.shared.state.lock().begin().unwrap();
    assert!(matches!(pool.check(typed(GOOD), None).await, Err(PoolError::Overloaded { .. })));
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
    wait_until(|| shared.strong_count() == 5);
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
    shared.enqueue(Task::Check(typed(GOOD), Some(larger()), Reply::new(reply))).unwrap();
    wait_until(|| pool.running() == 1);
    let (reply, answer) = oneshot::channel();
    shared.enqueue(Task::Hash(chosen(), Reply::new(reply))).unwrap();
    drop(pool);
    answer.await.expect_err("given up");
    drop(held);
}

/// The threads give way to everything else on the machine, the reserve only to what is of ordinary priority.
#[cfg(target_os = "linux")]
#[test]
fn the_threads_have_low_priority() {
    let pool = pool(2, 8);
    let own = rustix::process::getpriority_process(None).unwrap();
    let count = |name: &str, field: usize, value: i32| {
        let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok());
        // Fields of proc_pid_stat(5) are counted from after the name in parentheses, which is the second.
        let read = |stat: &str| stat.rsplit_once(") ")?.1.split(' ').nth(field - 3)?.parse::<i32>().ok();
        stats.filter(|stat| stat.contains(name) && read(stat) == Some(value)).count()
    };
    let (niceness, policy, idle) = (19, 41, 5);
    wait_until(|| count("(hash-0)", policy, idle) >= 1 && count("(hash-1)", policy, idle) >= 1);
    wait_until(|| count("(hash-reserve)", niceness, (own + 10).min(19)) >= 1);
    drop(pool);
}

/// A pool whose threads never come on a processor, as on a machine where everything is busy.
fn starved(threads: usize) -> HashPool {
    let settings = PoolSettings { patience: Duration::ZERO, ..settings(threads, 8) };
    let pool = HashPool::start(settings, Rng::seeded(7)).unwrap();
    let shared = Arc::clone(&pool.shared);
    drop(pool);
    wait_until(|| Arc::strong_count(&shared) == 1);
    shared.state.lock().stopped = false;
    HashPool { shared }
}

fn due(pool: &HashPool, now: Instant) -> Due {
    pool.shared.state.lock().due(now, Duration::from_secs(1), pool.shared.settings.threads.get())
}

#[tokio::test]
async fn what_no_thread_comes_for_is_taken_over_by_the_reserve() {
    let pool = starved(1);
    let begun = Instant::now();
    assert!(matches!(due(&pool, begun), Due::Never));
    let mut check = Box::pin(pool.check(typed(GOOD), None));
    poll_once(check.as_mut());
    assert!(matches!(due(&pool, begun), Due::Later(then) if then >= begun + Duration::from_secs(1)));
    let later = Instant::now() + Duration::from_secs(1);
    let Due::Now(job) = due(&pool, later) else { panic!("it has waited for a second") };
    assert_eq!((pool.running(), pool.queued()), (1, 0));
    job.run(&pool.shared, &mut Vec::new(), || ());
    assert!(!check.await.unwrap().is_match());
    assert!(matches!(due(&pool, later), Due::Never));
    assert_eq!(pool.running(), 0);
}

#[tokio::test]
async fn what_stands_still_at_a_thread_is_taken_over_and_answered_once() {
    let pool = starved(1);
    let mut check = Box::pin(pool.check(typed(GOOD), None));
    poll_once(check.as_mut());
    let at_a_thread = pool.shared.state.lock().begin().unwrap();
    let mut next = Box::pin(pool.hash(chosen()));
    poll_once(next.as_mut());
    let later = Instant::now() + Duration::from_secs(1);
    let Due::Now(job) = due(&pool, later) else { panic!("it has run for a second") };
    assert!(Arc::ptr_eq(&job, &at_a_thread));
    job.run(&pool.shared, &mut Vec::new(), || ());
    assert!(!check.await.unwrap().is_match());
    // What is queued behind it comes next, for the thread gets on with nothing.
    let Due::Now(job) = due(&pool, later) else { panic!("nobody else comes for it") };
    job.run(&pool.shared, &mut Vec::new(), || ());
    next.await.unwrap();
    // The thread comes on a processor at last; its answer is to nobody.
    at_a_thread.run(&pool.shared, &mut Vec::new(), || pool.shared.state.lock().end(&at_a_thread));
    assert!(matches!(due(&pool, later), Due::Never));
    assert_eq!((pool.running(), pool.runs(), pool.taken_over()), (0, 2, 1));
}

/// In a storm jobs wait for longer than that, while the threads get on with others.
#[tokio::test]
async fn what_only_waits_its_turn_is_left_alone() {
    let pool = starved(1);
    let mut checks: Vec<_> = (0..3).map(|_| Box::pin(pool.check(typed(GOOD), None))).collect();
    for check in &mut checks {
        poll_once(check.as_mut());
    }
    let later = Instant::now() + Duration::from_millis(900);
    let _running = pool.shared.state.lock().begin().unwrap();
    assert!(matches!(due(&pool, later), Due::Later(then) if then > later));
}

/// The reserve itself, beside threads that never come.
#[tokio::test]
async fn a_starved_pool_still_answers() {
    let pool = starved(1);
    let shared = Arc::clone(&pool.shared);
    tasks::thread("hash-reserve", None, ROUND, move |pulse| threads::reserve(&shared, pulse)).unwrap();
    pool.shared.cost_micros.store(0, Ordering::Relaxed);
    assert!(!pool.check(typed(GOOD), None).await.unwrap().is_match());
}
