//! Every metric that the server itself writes. `docs/metrics.md` has the same table; a test holds it against a running server.

use super::text::{Family, Kind};

/// A constant for each family.
macro_rules! families {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal)*] $help:literal;)+) => {
        $(pub(super) static $constant: Family =
            Family { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)+
    };
}

families! {
    VERIFICATIONS: Counter "cloakroom_verifications_total" ["from"]
        "credentials that were checked: answered from the near-cache, or checked or read anew (`source`)";
    VERIFICATIONS_REFUSED: Counter "cloakroom_verifications_refused_total" []
        "credentials that were checked and refused";
    VERIFICATIONS_UNDER_WAY: Gauge "cloakroom_verifications_under_way" []
        "checks that the near-cache cannot answer and that are under way";
    CACHED_FACTS: Gauge "cloakroom_cached_facts" [] "facts in the near-cache";
    ENDS_HELD: Gauge "cloakroom_ends_held" [] "ends that the verifier holds";
    ENDS_CAPACITY: Gauge "cloakroom_ends_capacity" [] "ends that it may hold; of what is more it keeps marks";
    ENDS_MARKED: Gauge "cloakroom_ends_marked" []
        "places of 65,536 that are marked for an end that found no room: credentials of such a place are asked about";
    MARKED_ASKED: Counter "cloakroom_marked_tokens_asked_total" []
        "questions about access tokens whose place was marked: one for each token and mark";
    LEASES_RENEWED: Counter "cloakroom_leases_renewed_total" [] "leases that were renewed";
    LEASE_AGE: Gauge "cloakroom_lease_age_seconds" [] "how long ago the revocation log was asked; +Inf without a lease";
    CLOCK_OFFSET: Gauge "cloakroom_clock_offset_seconds" []
        "how far this machine's wall clock is ahead of the store's time, which everything goes by";
    REVOCATION_LAG: Histogram "cloakroom_revocation_lag_seconds" []
        "from just before an end was acknowledged at another server to when this one knew of it, by the store's time";
    KEY_AGE: Gauge "cloakroom_key_age_seconds" ["purpose"] "how long the current key has been in use";
    SIGN_INS: Counter "cloakroom_sign_ins_total" ["app" "method" "outcome"]
        "sign-ins with a password: `ok`, or the code that the client was told";
    REFRESHES: Counter "cloakroom_refreshes_total" ["outcome"] "refreshes: `ok`, or the code that the client was told";
    EVENTS: Counter "cloakroom_events_total" ["kind"]
        "lines for the audit log, by kind; ends are signed_out, session_ended, account_ended, app_ended and theft";
    LIMITS_HIT: Counter "cloakroom_limits_hit_total" ["limit"] "attempts that a limit turned away";
    WORK_UNDER_WAY: Gauge "cloakroom_work_under_way" ["kind"] "sign-ins and refreshes that have a place";
    WORK_WAITING: Gauge "cloakroom_work_waiting" ["kind"] "sign-ins and refreshes that wait for a place";
    WORK_TURNED_AWAY: Counter "cloakroom_work_turned_away_total" ["kind"]
        "sign-ins and refreshes that were shed: they found no place";
    AUDIT_WAITING: Gauge "cloakroom_audit_lines_waiting" [] "audit lines that are not written yet";
    AUDIT_DROPPED: Counter "cloakroom_audit_lines_dropped_total" [] "audit lines that were lost because too many waited";
    AUDIT_REFUSED: Counter "cloakroom_audit_lines_refused_total" []
        "audit lines that were lost because the store refused them for good";
    TROUBLES: Gauge "cloakroom_troubles" ["part" "whose"]
        "what is wrong, as /readyz tells it: this server's own, which turn it to 503, and what all servers share";
    TASK_DEATHS: Counter "cloakroom_task_deaths_total" ["task"]
        "how often a background task or thread died; one that should go on was started again";
    LOG_LINES_LOST: Counter "cloakroom_log_lines_lost_total" []
        "lines of the program's log that could not be written";
    HASHES: Counter "cloakroom_password_hashes_total" [] "passwords that were hashed, to keep or to check one";
    HASHES_TAKEN_OVER: Counter "cloakroom_password_hashes_taken_over_total" []
        "passwords that were hashed a second time, because the first thread to do it stood still";
    HASHES_WAITING: Gauge "cloakroom_password_hashes_waiting" [] "passwords that wait to be hashed";
    HASHES_RUNNING: Gauge "cloakroom_password_hashes_running" [] "passwords that are being hashed";
    HASH_WAIT: Histogram "cloakroom_password_hash_wait_seconds" [] "how long passwords waited to be hashed";
    HASH_TIME: Histogram "cloakroom_password_hash_seconds" [] "how long hashing one took, by the clock";
    STORE_OPERATIONS: Histogram "cloakroom_store_operation_seconds" ["port" "operation"]
        "how long the stores took, the time that was waited for them included";
    STORE_FAILURES: Counter "cloakroom_store_failures_total" ["port" "operation"] "operations of the stores that failed";
    STORE_CONNECTIONS: Gauge "cloakroom_store_connections" ["holds" "store" "state"]
        "connections: the most there may be (`limit`), those there are, those in use, and those whose commit is `overdue`; of Redis the requests in use";
    STORE_CONNECTIONS_WAITING: Gauge "cloakroom_store_connections_waiting" ["holds" "store"]
        "operations that wait for a connection";
    STORE_WRITES_WAITING: Gauge "cloakroom_store_writes_waiting" ["holds" "store"]
        "writes (of PostgreSQL: ends and rotations) that wait for the next transaction";
    STORE_BATCHES: Counter "cloakroom_store_batches_total" ["holds" "store"]
        "transactions that such writes were gathered into";
    STORE_WRITES: Counter "cloakroom_store_batched_writes_total" ["holds" "store"]
        "writes that were in them";
    STORE_READS_WAITING: Gauge "cloakroom_store_reads_waiting" ["holds" "store"]
        "reads of sessions, and of accounts' standings, that wait for the next statement";
    STORE_READ_BATCHES: Counter "cloakroom_store_read_batches_total" ["holds" "store"]
        "statements that such reads were gathered into";
    STORE_READS: Counter "cloakroom_store_batched_reads_total" ["holds" "store"]
        "reads that were in them";
    FEED_READERS: Gauge "cloakroom_feed_readers" [] "services that follow the revocation feed here";
    FEED_DROPPED: Counter "cloakroom_feed_readers_dropped_total" []
        "readers of the revocation feed that were dropped because they did not keep up";
    HTTP_REQUESTS: Histogram "cloakroom_http_request_seconds" ["method" "route" "status"]
        "how long answers took to begin, by class of status; not of /v1/verify, which is counted above";
    TRACES_SENT: Counter "cloakroom_traces_sent_total" [] "traces that the collector took";
    TRACES_LOST: Counter "cloakroom_traces_lost_total" [] "traces that it did not take, or that too many waited for it";
    BUILD_INFO: Gauge "cloakroom_build_info" ["version"] "1, with the server's version";
    CPU: Counter "process_cpu_seconds_total" [] "time on a processor";
    RESIDENT: Gauge "process_resident_memory_bytes" [] "resident memory";
    THREADS: Gauge "process_threads" [] "threads";
    OPEN_FILES: Gauge "process_open_fds" [] "open files and connections";
    MOST_FILES: Gauge "process_max_fds" [] "how many there may be";
    STARTED: Gauge "process_start_time_seconds" [] "when the server began, in seconds since 1970";
}
