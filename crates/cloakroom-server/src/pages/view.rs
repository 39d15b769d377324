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

impl Flow {
    /// A path below the base path, with what is carried on and more in its query.
    pub fn address(&self, path: &str, more: &[(&str, &str)]) -> String {
        let carried = [("app", self.app.as_deref()), ("return_to", self.return_to.as_deref())];
        let carried = carried.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)));
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(carried.chain(more.iter().copied()));
        match query.finish() {
            query if query.is_empty() => path.to_owned(),
            query => format!("{path}?{query}"),
        }
    }
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
    /// Where the list goes on: the value of `before` in a link to this page.
    pub before: Option<String>,
    /// What the account must be told: sessions that were ended because a replaced refresh token came back.
    pub alarms: Vec<Alarm>,
    /// What the form of `/devices/end-others` ends.
    pub reach: Reach,
    /// Whether there are apps whose sessions cannot be listed, because no record is kept.
    pub unlisted: bool,
    /// The time now, for 'three minutes ago'.
    pub now: Timestamp,
    /// Why it did not go through.
    pub error: Option<Problem>,
    /// What was just done.
    pub done: Option<Done>,
}

/// A session that was ended because its refresh token came back after it had been replaced: two had it.
#[derive(Clone, Debug)]
pub struct Alarm {
    /// When it was noticed.
    pub at: Timestamp,
    /// What the session's app is called.
    pub app_name: String,
}

/// How much 'end all others' ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// All sessions but the one that asks.
    Others,
    /// All sessions: the one that asks keeps no record by which it could be told apart.
    Everything,
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

/// In place of the devices, where ending others needs the password again: posts `password`, and `session` where one is to end,
/// `app`, `return_to`.
#[derive(Clone, Debug)]
pub struct Confirm {
    /// What to carry on.
    pub flow: Flow,
    /// Who is signed in.
    pub person: Person,
    /// Which session is to end; `None`: all others.
    pub session: Option<String>,
    /// Why it did not go through.
    pub error: Option<Problem>,
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

/// On the way to a page that needs a `SameSite=Strict` cookie: a browser that comes from another site sends that one only
/// with the next request, which this page makes.
#[derive(Clone, Debug)]
pub struct Onward {
    /// The path and query to go on to, below the base path.
    pub address: String,
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
