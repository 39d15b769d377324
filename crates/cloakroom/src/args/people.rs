//! Arguments about accounts, their sessions, and services.

use clap::{ArgGroup, Args, Subcommand};

use super::methods;

/// `account`.
#[derive(Subcommand)]
pub(crate) enum Account {
    /// Make an account, whether apps take registrations or not
    #[command(after_help = "\
Examples:
  cloakroom account add ada@example.com --name Ada          # asks for the password
  cloakroom account add ada@example.com --generate          # makes one and prints it once
  cloakroom account add ada@example.com --password-stdin < password.txt")]
    Add {
        /// Its e-mail address
        email: String,
        /// What the person wants to be called
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Show every account
    List,
    /// Take the right to sign in, and end every session
    Disable {
        /// An e-mail address or an id
        who: String,
    },
    /// Give the right to sign in back
    Enable {
        /// An e-mail address or an id
        who: String,
    },
    /// Remove an account for good, and end every session; asks first at a terminal
    Delete {
        /// An e-mail address or an id
        who: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Set a password, and end every session
    Password {
        /// An e-mail address or an id
        who: String,
        #[command(flatten)]
        password: PasswordFrom,
    },
}

/// Where a new password comes from; at a terminal it is asked for.
#[derive(Args, Clone, Copy)]
#[group(multiple = false)]
pub(crate) struct PasswordFrom {
    /// Read the password from the first line of the standard input
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// Make a password and print it once
    #[arg(long)]
    pub(crate) generate: bool,
}

/// `session`.
#[derive(Subcommand)]
pub(crate) enum Session {
    /// Show an account's devices, or how many sessions there are by app and method
    #[command(after_help = "\
Sessions of the method jwt-stateless are kept nowhere, so that they are neither listed nor counted.

Examples:
  cloakroom session list
  cloakroom session list ada@example.com --app web")]
    List {
        /// An e-mail address or an id
        account: Option<String>,
        /// Only those of this app
        #[arg(long)]
        app: Option<String>,
        /// Only those of this method
        #[arg(long, value_parser = methods())]
        method: Option<String>,
    },
    /// End a session, all of an account's, or all of an app's
    #[command(after_help = "\
Examples:
  cloakroom session revoke 3q2-7wAAAAAAAAAAAAAAAA
  cloakroom session revoke --account ada@example.com
  cloakroom session revoke --app api --method jwt-stateless")]
    Revoke(Revoke),
}

/// `session revoke`.
#[derive(Args)]
#[group(skip)]
#[command(group = ArgGroup::new("which").args(["session", "account", "app"]).required(true))]
pub(crate) struct Revoke {
    /// The session's id, as `session list`, logs and tokens (`sid`) show it
    #[arg(value_name = "SID", allow_hyphen_values = true)]
    pub(crate) session: Option<String>,
    /// All sessions of this account (e-mail address or id)
    #[arg(long, value_name = "WHO")]
    pub(crate) account: Option<String>,
    /// All sessions of this app
    #[arg(long)]
    pub(crate) app: Option<String>,
    /// Of the app, only those of this method
    #[arg(long, requires = "app", conflicts_with_all = ["session", "account"], value_parser = methods())]
    pub(crate) method: Option<String>,
}

/// `service`.
#[derive(Subcommand)]
pub(crate) enum Service {
    /// Add a service; prints {"id","secret"} this once
    #[command(after_help = "\
The service authenticates by HTTP Basic with the two. The secret is kept as a hash only: who loses it adds a new service.")]
    Add {
        /// What you call it
        name: String,
    },
    /// Show every service
    List,
    /// Remove a service: its secret is refused from now on
    Remove {
        /// Its id
        id: String,
    },
}
