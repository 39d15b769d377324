//! The pages that people see: sign up, sign in, sign out, devices, password, deleting the account, and errors.
//!
//! A page is a plain struct of what it shows ([`SignIn`], [`Devices`], …), and [`Page::render`] turns it into HTML: a
//! pure function of struct, language and base path. There is no script; every form works by POST. Style and icon are
//! files of their own ([`assets`]), so that the content security policy can forbid everything inline. Whatever comes
//! from outside is escaped by the templates; nothing here marks a text as safe (F024, F026).

pub mod assets;
mod explain;
mod html;
mod locale;
mod message;
mod moment;
mod problem;
mod sequence;
#[cfg(test)]
mod tests;
mod view;

pub use explain::Explain;
pub use locale::Locale;
pub use message::{Messages, text};
pub use problem::{Done, Problem};
pub use view::{
    Alarm, ChangePassword, Confirm, DeleteAccount, Device, Devices, ErrorPage, Flow, Onward, Page, Person, Reach,
    SignIn, SignOut, SignUp,
};
