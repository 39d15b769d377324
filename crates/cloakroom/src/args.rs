//! The arguments, and with them the help texts.

mod lab;
mod people;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, builder::PossibleValuesParser};
use cloakroom_core::{audit::Kind, key::Purpose, method::Method};

pub(crate) use self::{
    lab::{Advise, Attack, Compare},
    people::{Account, PasswordFrom, Revoke, Service, Session},
};

/// Keeps people signed in, by server-side sessions, by tokens, or by what lies between.
#[derive(Parser)]
#[command(
    name = "cloakroom",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    after_help = "Run `cloakroom COMMAND --help` for examples.",
    after_long_help = CONVENTIONS
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const CONVENTIONS: &str = "\
How commands work:
  While a server runs on the data directory, commands go to it through its private socket (control.sock, which only the
  server's own user and root may use). Otherwise they open the store themselves.

Output:
  Answers go to the standard output, for people or, with --json, as one line of JSON. Errors and remarks go to the
  standard error stream; with --json an error is {\"error\":{\"code\":…,\"detail\":…}}. Colours appear at a terminal only, and
  not if NO_COLOR is set.

Exit status:
  0  done
  1  refused, or something was found
  2  wrong usage or configuration

Environment:
  Every setting can come from CLOAKROOM_… as well: CLOAKROOM_LISTEN, CLOAKROOM_DATA_DIR, CLOAKROOM_STORE__SESSIONS and so
  on. CLOAKROOM_CONFIG names the file, CLOAKROOM_SECRET holds the master secret, CLOAKROOM_LOG is a filter for the log.";

const ATTACK: &str = "\
Each attack is tried on a deliberately careless login first, where it must succeed, and then on a server of this program, which
is started for it, by each method. A time in the table is a window: for so long it worked, and no longer than was declared
beforehand. With --target a server that runs is attacked, on this machine only; it gets accounts and failed sign-ins by that,
so let it be one that holds nothing of worth. Attacks in which a browser takes part need Chromium and are left out without it.

Exit status 1 if anything succeeded against Cloakroom, failed against the careless login, or was left out.

Examples:
  cloakroom attack --out report
  cloakroom attack --only alg-none,fixation
  cloakroom attack --target http://localhost:8080";

/// Options of every command.
#[derive(Args)]
pub(crate) struct Common {
    /// The configuration file; without one, built-in settings hold
    #[arg(long, global = true, value_name = "FILE", help_heading = "Common options")]
    pub(crate) config: Option<PathBuf>,
    /// Where the store, the keys and the private socket are [default: cloakroom-data]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Common options")]
    pub(crate) data_dir: Option<String>,
    /// Print JSON
    #[arg(long, global = true, help_heading = "Common options")]
    pub(crate) json: bool,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Start the server
    #[command(after_help = "\
Without a configuration file the server keeps everything in ./cloakroom-data and has four apps, one of each method: web,
api, edge and stateless. It prints where it serves once it does; its log goes to the standard error stream. SIGTERM and
SIGINT stop it when requests under way are answered, a second one at once.

Examples:
  cloakroom serve
  cloakroom serve --config /etc/cloakroom.toml
  cloakroom serve --listen 127.0.0.1:9000 --data-dir /var/lib/cloakroom
  cloakroom serve --explain --data-dir /tmp/explained      # for looking, not for people: it kills real keys")]
    Serve(Serve),
    /// Look at access tokens
    #[command(subcommand)]
    Token(Token),
    /// The keys that sign tokens and seal tickets
    #[command(subcommand)]
    Key(Key),
    /// Who can sign in
    #[command(subcommand)]
    Account(Account),
    /// Who is signed in
    #[command(subcommand)]
    Session(Session),
    /// Services that may introspect, revoke and follow the feed
    #[command(subcommand)]
    Service(Service),
    /// Where sessions and accounts are kept
    #[command(subcommand)]
    Store(Store),
    /// Copy the SQLite store as it stands at this moment into a file, whether a server runs or not
    #[command(after_help = "\
The file holds accounts, keys (wrapped by the master secret), the log, and the sessions that are kept in SQLite. The master
secret is in none: keep it apart, for without it a backup cannot be used. With accounts in PostgreSQL use pg_dump.

Example:
  cloakroom backup /var/backups/cloakroom-$(date +%F).db")]
    Backup {
        /// The file to be made
        file: PathBuf,
    },
    /// Put a backup back into a data directory without a store, or make good what was put back by other means
    #[command(after_help = "\
Sessions that ended after the backup was made live again, and so do keys that were killed and accounts that were deleted
since, unless --end-all ends every session and kills every key, so that everybody signs in again. Either way the revocation
log is a new incarnation, by which verifiers drop all that they believed.

Examples:
  cloakroom restore cloakroom-2026-11-01.db --end-all
  cloakroom restore --in-place --end-all      # the tables in PostgreSQL, or the SQLite file, were put back by other means")]
    #[command(group = ArgGroup::new("what").args(["file", "in_place"]).required(true))]
    Restore {
        /// The backup
        file: Option<PathBuf>,
        /// The configured store was put back already
        #[arg(long)]
        in_place: bool,
        /// End every session that the backup might bring back, and kill every key
        #[arg(long)]
        end_all: bool,
    },
    /// What happened
    #[command(subcommand)]
    Audit(Audit),
    /// The configuration
    #[command(subcommand)]
    Config(Config),
    /// Say which method to use for what you have and need: why, with which settings, at what cost, and what would change it
    #[command(after_help = "\
Without a case file it asks up to ten questions at a terminal, and elsewhere takes the default case. Every key may be left out:

  clients = [\"browser\"]          # browser | mobile | service | third_party
  live_sessions = 10_000
  requests_per_second = 100
  logins_per_second = 1
  servers = 1
  regions = 1
  store_round_trip_ms = 1.0
  shared_store = true            # a store that all servers reach can be run
  end_within = \"1m\"              # nothing may be accepted this long after an end; 0s: from the next request on; any: till expiry
  verifiers = \"own\"              # own | many_services | third_party (cannot reach Cloakroom on each request)
  cross_site = false             # pages and API on different sites
  offline_verification = false   # verifiers may be cut off from server and feed for hours
  sensitive = false              # money, health, administration
  egress_price_per_gb = 0.09     # any currency

Examples:
  cloakroom advise
  cloakroom advise --case shop.toml --lang ko")]
    Advise(Advise),
    /// Try to break in: at a deliberately careless login, and at this server by each method
    #[command(after_help = ATTACK)]
    Attack(Attack),
    /// Look for what is wrong, and say what would help
    #[command(after_help = "\
Looks at the clocks, file permissions, the certificate, settings for proxies, the stores, the disk, limits of the system,
memory for password hashing, the keys, and whether a running server answers. Exit status 1 if something failed.")]
    Doctor,
    /// Measure the four methods on your own case: cost, bytes, ends, theft, survival
    #[command(after_help = "\
Starts servers of its own on loopback, with stores of its own: memory and SQLite, and PostgreSQL and Redis where they are
installed. Writes report.html, report.md and result.json. Takes less than ten minutes, with --quick less than one; Ctrl-C keeps what
is done. Let nothing else run meanwhile.

Examples:
  cloakroom compare --quick
  cloakroom compare --case shop.toml --out comparison --lang ko")]
    Compare(Compare),
    /// A server that is filled before it answers, as `compare` starts it
    #[command(hide = true)]
    ServeSubject(cloakroom_lab::subject::SubjectArgs),
}

/// `serve`.
#[derive(Args)]
pub(crate) struct Serve {
    /// Where to listen, as 127.0.0.1:8080; port 0 lets the system choose
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Show on /explain, to this machine alone, what is sent, kept and done when somebody signs in by each method
    #[arg(long)]
    pub(crate) explain: bool,
}

/// `token`.
#[derive(Subcommand)]
pub(crate) enum Token {
    /// Check a token with a public key, and print its claims
    #[command(after_help = "\
Checks form, header, signature and claims, and that the token has begun and not ended (5 s of leeway on `exp`, 60 s on an
`iat` in the future). Whether it has been revoked, or belongs to your app, is not checked here: that is a verifier's part.

Examples:
  curl -s http://localhost:8080/.well-known/jwks.json > keys.json
  cloakroom token verify --jwk keys.json eyJ0eXAiOiJhdCtqd3Qi…
  echo \"$TOKEN\" | cloakroom token verify --jwk keys.json -
  cloakroom token verify --jwk key.json --signature-only \"$JWS\"     # anybody's compact JWS")]
    Verify(Verify),
    /// Print what a token says, WITHOUT checking anything
    #[command(after_help = "\
Anybody can write a token that says anything. Never decide by what this prints.")]
    Inspect {
        /// The token; - reads it from the standard input
        token: String,
    },
}

/// `token verify`.
#[derive(Args)]
pub(crate) struct Verify {
    /// A public key (JWK), or a set of them (JWK set)
    #[arg(long, value_name = "FILE")]
    pub(crate) jwk: PathBuf,
    /// Check the signature alone, of anybody's JWS: neither claims nor times
    #[arg(long)]
    pub(crate) signature_only: bool,
    /// The token; - reads it from the standard input
    pub(crate) token: String,
}

/// `key`.
#[derive(Subcommand)]
pub(crate) enum Key {
    /// Show every key and what it is: next, current, retired, gone or killed
    List,
    /// Make the next key now; it is published at once and used after the lead time. Nobody is signed out
    #[command(after_help = "\
Examples:
  cloakroom key rotate          # of every purpose in use
  cloakroom key rotate EdDSA")]
    Rotate {
        /// What the key is for; without it, everything that has keys
        #[arg(value_parser = purposes())]
        purpose: Option<String>,
    },
    /// Drop a stolen key: everything it has made is refused from now on
    Kill {
        /// The key's name, as `key list` shows it
        kid: String,
    },
    /// Change the master secret, which wraps the keys. Nobody is signed out
    #[command(after_help = "\
Where the server makes its own secret (master.secret in the data directory, or secret_file):
  cloakroom key rewrap --generate

  The new secret is written beside the file, then the keys are wrapped anew, then the new file takes the old one's name.
  Wherever that is interrupted, the next start finds the right one of the two.

Where you bring the secret, as CLOAKROOM_SECRET or in secret_file: put the new one in its place, and the old one into
CLOAKROOM_SECRET_OLD (or name its file in secret_old_file):
  CLOAKROOM_SECRET=\"$NEW\" CLOAKROOM_SECRET_OLD=\"$OLD\" cloakroom key rewrap

  A server that runs goes on with the new secret; see to it that its next start gets it too. Where several servers share
  their accounts, restart all of them with both secrets first, and with the new one alone afterwards. Repeating the command is
  harmless. Keep the old secret as long as you keep backups that were made under it.

A secret is 32 random bytes or more, in base64: head -c 32 /dev/urandom | base64")]
    Rewrap {
        /// Make a new secret and put it into the master secret's file
        #[arg(long)]
        generate: bool,
    },
}

/// `store`.
#[derive(Subcommand)]
pub(crate) enum Store {
    /// Copy the sessions of one store to another while servers serve, or accounts while none does, and compare the two
    #[command(after_help = "\
FROM and TO are written as store.sessions is: sqlite (that of the data directory), postgres://… or redis://…. Of TO, only an
sqlite must be nobody's. The revocation log is read where store.accounts says.

  1  Start every server with store.other_sessions = TO: it finds the sessions of both.
  2  Start every server with store.sessions = TO and store.other_sessions = FROM: new sessions begin in TO.
  3  cloakroom store copy FROM TO
  4  Start every server without store.other_sessions.

A single server can leave out step 1. Nobody is signed out by it; see docs/stores.md. A copy that was broken off is run again:
what is there is passed by. Exit status 1 if TO lacks something.

Example:
  cloakroom store copy sqlite redis://127.0.0.1:6379")]
    Copy {
        /// Where the sessions are
        from: String,
        /// Where they are to be
        to: String,
        /// Copy the accounts, keys and logs instead, from sqlite to postgres://… or back; no server may run meanwhile
        #[arg(long)]
        accounts: bool,
    },
    /// Read all of the configured stores, and say what is not as it should be
    #[command(after_help = "\
May run beside servers. Exit status 1 if something was found.")]
    Check,
}

/// `audit`.
#[derive(Subcommand)]
pub(crate) enum Audit {
    /// Show the audit log, newest first
    #[command(after_help = "\
Examples:
  cloakroom audit list --account ada@example.com --kind sign_in_refused
  cloakroom audit list --limit 20 --before 4711          # the page after the one that ended with line 4711")]
    List(AuditList),
}

/// `audit list`.
#[derive(Args)]
pub(crate) struct AuditList {
    /// Only this account's (e-mail address or id)
    #[arg(long, value_name = "WHO")]
    pub(crate) account: Option<String>,
    /// Only events of this kind
    #[arg(long, value_parser = kinds(), hide_possible_values = true)]
    pub(crate) kind: Option<String>,
    /// Only this session's
    #[arg(long, value_name = "SID", allow_hyphen_values = true)]
    pub(crate) session: Option<String>,
    /// Only what stands before this line of the log
    #[arg(long, value_name = "ID")]
    pub(crate) before: Option<u64>,
    /// How many lines
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) limit: u32,
}

/// `config`.
#[derive(Subcommand)]
pub(crate) enum Config {
    /// Check the configuration, and print what it comes to: how soon an end is heeded, how large cookies can become
    #[command(after_help = "\
Every mistake is told at once, with where the value came from and what would be right; the exit status is then 2.

Examples:
  cloakroom config check --config cloakroom.toml")]
    Check,
}

fn purposes() -> PossibleValuesParser {
    PossibleValuesParser::new(Purpose::ALL.map(Purpose::name))
}

fn methods() -> PossibleValuesParser {
    PossibleValuesParser::new(Method::ALL.map(Method::name))
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(Kind::ALL.iter().map(|(_, name)| *name))
}
