//! What each page shows. Plain structs: a handler fills one in and renders it.
//!
//! No field can hold a password: a form that is shown again keeps the e-mail address and nothing secret.

use cloakroom_core::{
    app::Registration, clock::Timestamp, ids::SessionId, method::Method, refusal::Code, session::ClientKind,
};

use super::{
    locale::Locale,
    problem::{Done, Problem},
};

/// A page that can be shown.
pub trait Page {
    /// The whole HTML document. `base` stands before every path of ours: empty, or like `/auth`.
    #[must_use]
    fn render(&self, locale: Locale, base: &str) -> String;
}

/// What is carried from page to page: as hidden fields in forms, as a query in links.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Flow {
    /// The app's id, if the person came for a certain one.
    pub app: Option<String>,
    /// Where to go afterwards; the handler has checked it.
    pub return_to: Option<String>,
}

/// Who is signed in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Person {
    /// What the person wants to be called.
    pub name: Option<String>,
    /// The account's e-mail address.
    pub email: String,
}

/// `/signin`: posts `email`, `password`, `app`, `return_to`.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// What to carry on.
    pub flow: Flow,
    /// What the app is called.
    pub app_name: Option<String>,
    /// Whether the way to `/signup` is shown.
    pub registration: Registration,
    /// What was typed before, or empty.
    pub email: String,
    /// Why it did not go through.
    pub error: Option<Problem>,
    /// What was just done.
    pub done: Option<Done>,
}

/// `/signup`: posts `email`, `name` (may be empty), `password`, `app`, `return_to`.
#[derive(Clone, Debug)]
pub struct SignUp {
    /// What to carry on.
    pub flow: Flow,
    /// What the app is called.
    pub app_name: Option<String>,
    /// The fewest characters of a password.
    pub password_min: usize,
    /// What was typed before, or empty.
    pub email: String,
    /// What was typed before, or empty.
    pub name: String,
    /// Why it did not go through.
    pub error: Option<Problem>,
}

/// `/signout`: asks, and posts `app`, `return_to`.
#[derive(Clone, Debug)]
pub struct SignOut {
    /// What to carry on.
    pub flow: Flow,
    /// Who is signed in.
    pub person: Person,
    /// Why it did not go through.
    pub error: Option<Problem>,
}

/// `/devices`: the list. Its forms post `session` to `/devices/end`, and nothing more to `/devices/end-others`; both
/// also `app`, `return_to`.
#[derive(Clone, Debug)]
pub struct Devices {
    /// What to carry on.
    pub flow: Flow,
    /// Who is signed in.
    pub person: Person,
    /// The account's sessions, in the order to show.
    pub devices: Vec<Device>,
    /// Whether there are apps whose sessions cannot be listed, because no record is kept.
    pub unlisted: bool,
    /// The time now, for 'three minutes ago'.
    pub now: Timestamp,
    /// Why it did not go through.
    pub error: Option<Problem>,
    /// What was just done.
    pub done: Option<Done>,
}

/// One session in the list.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its id; a form sends it back as `session`.
    pub session: SessionId,
    /// What its app is called.
    pub app_name: String,
    /// How it proves itself.
    pub method: Method,
    /// When it began.
    pub created: Timestamp,
    /// When it was last used.
    pub last_active: Timestamp,
    /// On what kind of browser and system.
    pub client: ClientKind,
    /// From which network address, where known.
    pub address: Option<String>,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// `/password`: posts `current`, `new`, `app`, `return_to`.
#[derive(Clone, Debug)]
pub struct ChangePassword {
    /// What to carry on.
    pub flow: Flow,
    /// Who is signed in.
    pub person: Person,
    /// The fewest characters of a password.
    pub password_min: usize,
    /// Why it did not go through.
    pub error: Option<Problem>,
    /// What was just done.
    pub done: Option<Done>,
}

/// `/account/delete`: posts `password`, `app`, `return_to`.
#[derive(Clone, Debug)]
pub struct DeleteAccount {
    /// What to carry on.
    pub flow: Flow,
    /// Who is signed in.
    pub person: Person,
    /// Why it did not go through.
    pub error: Option<Problem>,
}

/// In place of a page that cannot be shown.
#[derive(Clone, Debug)]
pub struct ErrorPage {
    /// What to carry on.
    pub flow: Flow,
    /// The stable code, shown small.
    pub code: Code,
    /// A sentence for the person; without one, that of the code. See [`Problem::sentence`].
    pub sentence: Option<String>,
}
