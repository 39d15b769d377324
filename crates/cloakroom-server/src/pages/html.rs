//! From view structs to HTML: the templates, and what they share.

use askama::Template;
use cloakroom_core::{
    app::Registration,
    refusal::Code,
    session::{Browser, ClientKind, System},
};
use fluent_bundle::FluentValue;

use super::{
    assets,
    locale::Locale,
    message::text,
    moment::Moment,
    problem::{Done, Problem},
    view::{
        ChangePassword, Confirm, DeleteAccount, Device, Devices, ErrorPage, Flow, Onward, Page, Person, Reach, SignIn,
        SignOut, SignUp,
    },
};

#[derive(Template)]
#[template(path = "signin.html")]
struct SignInHtml<'a> {
    frame: Frame<'a>,
    view: &'a SignIn,
    registers: bool,
}

impl Page for SignIn {
    fn render(&self, locale: Locale, base: &str) -> String {
        let frame = Frame::new(locale, base, "signin", &self.flow).telling(self.error, self.done);
        let registers = self.registration == Registration::Open;
        finish(&SignInHtml { frame, view: self, registers })
    }
}

#[derive(Template)]
#[template(path = "signup.html")]
struct SignUpHtml<'a> {
    frame: Frame<'a>,
    view: &'a SignUp,
    hint: String,
}

impl Page for SignUp {
    fn render(&self, locale: Locale, base: &str) -> String {
        let frame = Frame::new(locale, base, "signup", &self.flow).telling(self.error, None);
        let hint = password_hint(self.password_min, locale);
        finish(&SignUpHtml { frame, view: self, hint })
    }
}

#[derive(Template)]
#[template(path = "signout.html")]
struct SignOutHtml<'a> {
    frame: Frame<'a>,
    person: &'a Person,
}

impl Page for SignOut {
    fn render(&self, locale: Locale, base: &str) -> String {
        let frame = Frame::new(locale, base, "signout", &self.flow).telling(self.error, None);
        finish(&SignOutHtml { frame, person: &self.person })
    }
}

#[derive(Template)]
#[template(path = "devices.html")]
struct DevicesHtml<'a> {
    frame: Frame<'a>,
    person: &'a Person,
    view: &'a Devices,
    devices: Vec<DeviceHtml<'a>>,
    alarms: Vec<AlarmHtml<'a>>,
    older: Option<String>,
}

impl Page for Devices {
    fn render(&self, locale: Locale, base: &str) -> String {
        let frame = Frame::new(locale, base, "devices", &self.flow).telling(self.error, self.done);
        let devices = self.devices.iter().map(|device| DeviceHtml {
            name: client_name(device.client, locale),
            shape: shape(device.client),
            active: Moment::new(device.last_active, self.now, locale),
            since: Moment::new(device.created, self.now, locale),
            device,
        });
        let alarms = self
            .alarms
            .iter()
            .map(|alarm| AlarmHtml { at: Moment::new(alarm.at, self.now, locale), app_name: &alarm.app_name });
        let older = self.before.as_ref().map(|before| frame.link_with("/devices", &[("before", before)]));
        let (devices, alarms) = (devices.collect(), alarms.collect());
        finish(&DevicesHtml { frame, person: &self.person, view: self, devices, alarms, older })
    }
}

/// One entry of the list, with what the template cannot work out.
struct DeviceHtml<'a> {
    device: &'a Device,
    name: String,
    shape: Shape,
    active: Moment,
    since: Moment,
}

/// One session that was ended for its owner's protection.
struct AlarmHtml<'a> {
    app_name: &'a str,
    at: Moment,
}

#[derive(Template)]
#[template(path = "password.html")]
struct ChangePasswordHtml<'a> {
    frame: Frame<'a>,
    person: &'a Person,
    hint: String,
}

impl Page for ChangePassword {
    fn render(&self, locale: Locale, base: &str) -> String {
        let frame = Frame::new(locale, base, "password-title", &self.flow).telling(self.error, self.done);
        let hint = password_hint(self.password_min, locale);
        finish(&ChangePasswordHtml { frame, person: &self.person, hint })
    }
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmHtml<'a> {
    frame: Frame<'a>,
    person: &'a Person,
    session: Option<&'a str>,
}

impl Page for Confirm {
    fn render(&self, locale: Locale, base: &str) -> String {
        let frame = Frame::new(locale, base, "confirm", &self.flow).telling(self.error, None);
        finish(&ConfirmHtml { frame, person: &self.person, session: self.session.as_deref() })
    }
}

#[derive(Template)]
#[template(path = "delete.html")]
struct DeleteAccountHtml<'a> {
    frame: Frame<'a>,
    person: &'a Person,
}

impl Page for DeleteAccount {
    fn render(&self, locale: Locale, base: &str) -> String {
        let frame = Frame::new(locale, base, "delete", &self.flow).telling(self.error, None);
        finish(&DeleteAccountHtml { frame, person: &self.person })
    }
}

#[derive(Template)]
#[template(path = "onward.html")]
struct OnwardHtml<'a> {
    frame: Frame<'a>,
    address: String,
}

impl Page for Onward {
    fn render(&self, locale: Locale, base: &str) -> String {
        let nothing = Flow::default();
        let frame = Frame::new(locale, base, "onward", &nothing);
        let address = frame.action(&self.address);
        finish(&OnwardHtml { frame, address })
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorHtml<'a> {
    frame: Frame<'a>,
    sentence: String,
    code: &'static str,
    signed_out: bool,
}

impl Page for ErrorPage {
    fn render(&self, locale: Locale, base: &str) -> String {
        let heading = match self.code {
            Code::NotFound | Code::MethodNotAllowed | Code::UnknownApp => "error-missing",
            Code::RateLimited | Code::Overloaded | Code::StoreUnavailable => "error-busy",
            Code::NotAdmitted | Code::CrossSiteRequest => "error-denied",
            Code::CredentialMissing
            | Code::CredentialInvalid
            | Code::SessionExpired
            | Code::SessionRevoked
            | Code::TokenExpired
            | Code::TokenReused
            | Code::WrongApp
            | Code::MfaRequired
            | Code::ReauthenticationRequired => "error-signin",
            Code::InvalidCredentials | Code::InvalidRequest | Code::EmailTaken | Code::TooLarge | Code::Internal => {
                "error-broken"
            }
        };
        finish(&ErrorHtml {
            frame: Frame::new(locale, base, heading, &self.flow),
            sentence: self.sentence.clone().unwrap_or_else(|| locale.refusal(self.code)),
            code: self.code.as_str(),
            // Whom an app does not admit may be somebody else there.
            signed_out: heading == "error-signin" || self.code == Code::NotAdmitted,
        })
    }
}

/// What every page has.
pub(super) struct Frame<'a> {
    locale: Locale,
    base: &'a str,
    /// The message that is title and heading.
    pub(super) heading: &'static str,
    flow: &'a Flow,
    error: Option<Problem>,
    done: Option<Done>,
}

impl<'a> Frame<'a> {
    pub(super) fn new(locale: Locale, base: &'a str, heading: &'static str, flow: &'a Flow) -> Self {
        Self { locale, base, heading, flow, error: None, done: None }
    }

    fn telling(self, error: Option<Problem>, done: Option<Done>) -> Self {
        Self { error, done, ..self }
    }

    pub(super) fn say(&self, key: &str) -> String {
        self.locale.say(key)
    }

    pub(super) fn say_of_app(&self, key: &str, app: &str) -> String {
        self.locale.say_with(key, [("app", text(app))])
    }

    pub(super) fn lang(&self) -> &'static str {
        self.locale.tag()
    }

    pub(super) fn title(&self) -> String {
        let key = if self.error.is_some() { "title-error" } else { "title" };
        self.locale.say_with(key, [("title", text(&self.say(self.heading)))])
    }

    /// The address of a form: what it carries stands in hidden fields.
    pub(super) fn action(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The address of another page, with what is carried on.
    pub(super) fn link(&self, path: &str) -> String {
        self.link_with(path, &[])
    }

    fn link_with(&self, path: &str, more: &[(&str, &str)]) -> String {
        self.action(&self.flow.address(path, more))
    }

    /// The name of one device's button for those who hear the page: which one it ends.
    fn device_of(&self, entry: &DeviceHtml<'_>) -> String {
        let about = [("device", text(&entry.name)), ("app", text(&entry.device.app_name))];
        self.locale.say_with("devices-end-of", about)
    }

    pub(super) fn stylesheet(&self) -> String {
        self.action(&assets::stylesheet().path)
    }

    pub(super) fn icon(&self) -> String {
        self.action(&assets::icon().path)
    }

    fn error_sentence(&self) -> Option<String> {
        self.error.map(|error| error.sentence(self.locale))
    }

    fn done_sentence(&self) -> Option<String> {
        self.done.map(|done| done.sentence(self.locale))
    }

    fn email_is_wrong(&self) -> bool {
        self.error.is_some_and(Problem::is_about_email)
    }

    fn password_is_wrong(&self) -> bool {
        self.error.is_some_and(Problem::is_about_password)
    }

    fn new_password_is_wrong(&self) -> bool {
        self.error.is_some_and(Problem::is_about_new_password)
    }
}

/// What a new password needs.
fn password_hint(minimum: usize, locale: Locale) -> String {
    locale.say_with("new-password-hint", [("minimum", FluentValue::from(minimum))])
}

/// What a device looks like in the list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Computer,
    Phone,
    Program,
}

fn shape(client: ClientKind) -> Shape {
    match (client.browser, client.system) {
        (Browser::Program, _) => Shape::Program,
        (_, System::Android | System::Ios) => Shape::Phone,
        _ => Shape::Computer,
    }
}

/// 'Firefox on Linux', 'Firefox · Linux'.
fn client_name(client: ClientKind, locale: Locale) -> String {
    // The names of products are the same in every language.
    let alone = |browser, system| ClientKind { browser, system }.describe();
    let browser = alone(client.browser, System::Unknown);
    let system = alone(Browser::Unknown, client.system);
    match (client.browser, client.system) {
        (Browser::Unknown, System::Unknown) => locale.say("client-unknown"),
        (Browser::Unknown, _) => system,
        (Browser::Program, System::Unknown) => locale.say("client-program"),
        (Browser::Program, _) => locale.say_with("client-program-on", [("system", text(&system))]),
        (_, System::Unknown) => browser,
        _ => locale.say_with("client", [("browser", text(&browser)), ("system", text(&system))]),
    }
}

/// Writing into a string fails only where a value's own `Display` does, and those here do not.
pub(super) fn finish(template: &impl Template) -> String {
    template.render().unwrap_or_default()
}
