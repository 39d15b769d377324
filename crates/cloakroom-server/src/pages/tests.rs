//! Every page in both languages. With `CLOAKROOM_RENDER_DIR` set, the pages are also written there, to be looked at.

use std::{fs, path::PathBuf, time::Duration};

use cloakroom_core::{
    app::Registration,
    clock::Timestamp,
    ids::SessionId,
    method::Method,
    refusal::Code,
    session::{Browser, ClientKind, System},
};

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_795_563_900);

/// Markup for each place where a text could stand: between tags, in an attribute, in an address.
const HOSTILE: &str = "</title></p><script>alert(1)</script>\"><img src=x onerror=alert(2)>' onfocus='x&amp;";

fn flow() -> Flow {
    Flow { app: Some("shop".into()), return_to: Some("https://shop.example/cart?a=1&b=2".into()) }
}

fn person() -> Person {
    Person { name: Some("Ada Lovelace".into()), email: "ada@example.test".into() }
}

fn sign_in() -> SignIn {
    SignIn {
        flow: flow(),
        app_name: Some("Shop".into()),
        registration: Registration::Open,
        email: String::new(),
        error: None,
        done: None,
    }
}

fn sign_up() -> SignUp {
    SignUp {
        flow: flow(),
        app_name: Some("Shop".into()),
        password_min: 8,
        email: String::new(),
        name: String::new(),
        error: None,
    }
}

fn device(number: u8, browser: Browser, system: System, ago: u64) -> Device {
    Device {
        session: SessionId::from_bytes([number; 16]),
        app_name: "Shop".into(),
        method: Method::Session,
        created: NOW - Duration::from_secs(ago * 40),
        last_active: NOW - Duration::from_secs(ago),
        client: ClientKind { browser, system },
        address: Some("203.0.113.7".into()),
        current: false,
    }
}

fn devices() -> Devices {
    Devices {
        flow: flow(),
        person: person(),
        devices: vec![
            Device { current: true, ..device(1, Browser::Firefox, System::Linux, 5) },
            Device { method: Method::Jwt, app_name: "Mobile".into(), ..device(2, Browser::Safari, System::Ios, 180) },
            Device {
                address: Some("2001:db8:85a3:1234:5678:8a2e:370:7334".into()),
                ..device(3, Browser::Chrome, System::Windows, 7200)
            },
            Device { address: None, method: Method::Phantom, ..device(4, Browser::Program, System::Unknown, 90_000) },
            device(5, Browser::Unknown, System::Unknown, 200_000),
        ],
        before: Some("1795563900000.AgICAgICAgICAgICAgICAg".into()),
        alarms: vec![Alarm { at: NOW - Duration::from_hours(30), app_name: "Mobile".into() }],
        reach: Reach::Others,
        unlisted: true,
        now: NOW,
        error: None,
        done: None,
    }
}

fn change_password() -> ChangePassword {
    ChangePassword { flow: flow(), person: person(), password_min: 8, error: None, done: None }
}

fn confirm() -> Confirm {
    Confirm { flow: flow(), person: person(), session: None, error: None }
}

fn delete_account() -> DeleteAccount {
    DeleteAccount { flow: flow(), person: person(), error: None }
}

fn error_page(code: Code) -> ErrorPage {
    ErrorPage { flow: flow(), code, sentence: None }
}

/// Every page, in every state that looks different.
fn pages() -> Vec<(&'static str, Box<dyn Page>)> {
    let wait = Some(Duration::from_secs(90));
    let email = || "ada@example.test".to_owned();
    vec![
        ("signin", Box::new(sign_in())),
        ("signin-done", Box::new(SignIn { done: Some(Done::SignedOut), ..sign_in() })),
        (
            "signin-wrong",
            Box::new(SignIn { email: email(), error: Some(Problem::Refused(Code::InvalidCredentials)), ..sign_in() }),
        ),
        (
            "signin-limited",
            Box::new(SignIn { email: email(), error: Some(Problem::RateLimited { wait }), ..sign_in() }),
        ),
        ("signin-plain", Box::new(SignIn { flow: Flow::default(), app_name: None, ..sign_in() })),
        ("signup", Box::new(sign_up())),
        ("signup-weak", Box::new(SignUp { email: email(), error: Some(Problem::PasswordTooWeak), ..sign_up() })),
        ("signup-taken", Box::new(SignUp { email: email(), error: Some(Problem::EmailTaken), ..sign_up() })),
        ("signout", Box::new(SignOut { flow: flow(), person: person(), error: None })),
        ("devices", Box::new(devices())),
        ("devices-done", Box::new(Devices { done: Some(Done::OthersEnded), devices: vec![], ..devices() })),
        ("devices-everything", Box::new(Devices { reach: Reach::Everything, alarms: vec![], ..devices() })),
        ("onward", Box::new(Onward { address: "/devices?app=shop&onward=1".into() })),
        ("password", Box::new(change_password())),
        ("password-wrong", Box::new(ChangePassword { error: Some(Problem::WrongPassword), ..change_password() })),
        ("confirm", Box::new(confirm())),
        (
            "confirm-wrong",
            Box::new(Confirm { session: Some("s".into()), error: Some(Problem::WrongPassword), ..confirm() }),
        ),
        ("delete", Box::new(delete_account())),
        ("delete-wrong", Box::new(DeleteAccount { error: Some(Problem::WrongPassword), ..delete_account() })),
        ("error-missing", Box::new(error_page(Code::NotFound))),
        ("error-busy", Box::new(error_page(Code::StoreUnavailable))),
        ("error-signin", Box::new(error_page(Code::SessionRevoked))),
        ("error-broken", Box::new(error_page(Code::Internal))),
    ]
}

fn everywhere(mut check: impl FnMut(&str, Locale, &str)) {
    for (name, page) in pages() {
        for locale in Locale::ALL {
            check(name, locale, &page.render(locale, "/auth"));
        }
    }
}

fn occurrences(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

#[test]
fn every_page_is_a_whole_document_in_its_language() {
    everywhere(|name, locale, html| {
        assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"), "{name}");
        assert!(html.contains(&format!("<html lang=\"{}\">", locale.tag())), "{name}");
        assert!(html.contains("name=\"viewport\"") && html.contains("content=\"light dark\""), "{name}");
        for once in ["<title>", "<h1>", "<main id=\"main\"", "class=\"skip\" href=\"#main\""] {
            assert_eq!(occurrences(html, once), 1, "{once} in {name}");
        }
        let korean = html.chars().any(|c| ('가'..='힣').contains(&c));
        assert_eq!(korean, locale == Locale::Korean, "{name}");
    });
}

#[test]
fn each_page_has_its_own_title_which_begins_with_error_when_something_went_wrong() {
    let title = |html: &str| html.split("<title>").nth(1).and_then(|t| t.split('<').next()).map(str::to_owned);
    let of = |page: &dyn Page| title(&page.render(Locale::English, "")).unwrap_or_default();
    assert_eq!(of(&sign_in()), "Sign in · Cloakroom");
    assert_eq!(of(&SignIn { error: Some(Problem::BadEmail), ..sign_in() }), "Error: Sign in · Cloakroom");
    let calm: Vec<String> = vec![
        of(&sign_in()),
        of(&sign_up()),
        of(&devices()),
        of(&change_password()),
        of(&delete_account()),
        of(&SignOut { flow: flow(), person: person(), error: None }),
        of(&error_page(Code::NotFound)),
    ];
    let mut distinct = calm.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), calm.len());
}

/// F024: the policy of the pages forbids everything inline and everything from elsewhere; the pages need none of it.
#[test]
fn no_page_has_script_or_inline_style_or_anything_from_elsewhere() {
    everywhere(|name, _, html| {
        for bad in ["<script", "<style", " style=", " onclick", "javascript:", "src=", "<base"] {
            assert!(!html.contains(bad), "{bad} in {name}");
        }
        for attribute in ["href=\"", "action=\""] {
            for address in html.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(address == "#main" || address.starts_with("/auth/"), "{address} in {name}");
            }
        }
    });
}

#[test]
fn style_and_icon_are_asked_for_under_the_base_path_by_their_hash() {
    let html = sign_in().render(Locale::English, "/auth");
    assert!(html.contains(&format!("href=\"/auth{}\"", assets::stylesheet().path)));
    assert!(html.contains(&format!("href=\"/auth{}\"", assets::icon().path)));
    assert!(sign_in().render(Locale::English, "").contains("action=\"/signin\""));
}

#[test]
fn forms_post_to_their_places_with_what_password_managers_need() {
    let field = |html: &str, id: &str| {
        let input = html.split("<input ").find(|input| input.starts_with(&format!("id=\"{id}\""))).unwrap_or_default();
        assert!(html.contains(&format!("<label for=\"{id}\">")), "{id}");
        input.split('>').next().unwrap_or_default().to_owned()
    };
    let html = sign_in().render(Locale::English, "/auth");
    assert!(html.contains("<form method=\"post\" action=\"/auth/signin\">"));
    assert!(field(&html, "email").contains("name=\"email\" type=\"email\" autocomplete=\"username\""));
    assert!(field(&html, "password").contains("type=\"password\" autocomplete=\"current-password\""));
    let html = sign_up().render(Locale::English, "/auth");
    assert!(html.contains("action=\"/auth/signup\""));
    assert!(field(&html, "password").contains("type=\"password\" autocomplete=\"new-password\""));
    assert!(field(&html, "password").contains("aria-describedby=\"password-hint\""));
    let html = change_password().render(Locale::English, "/auth");
    assert!(html.contains("action=\"/auth/password\""));
    assert!(field(&html, "current").contains("autocomplete=\"current-password\""));
    assert!(field(&html, "new").contains("autocomplete=\"new-password\""));
    let html = delete_account().render(Locale::English, "/auth");
    assert!(html.contains("action=\"/auth/account/delete\""));
    assert!(field(&html, "password").contains("autocomplete=\"current-password\""));
}

/// F022: nothing but a POST leads to a change.
#[test]
fn every_form_posts_and_carries_app_and_return_to() {
    everywhere(|name, _, html| {
        let forms = occurrences(html, "<form");
        assert_eq!(forms, occurrences(html, "method=\"post\""), "{name}");
        let carried = if name == "signin-plain" { 0 } else { forms };
        assert_eq!(occurrences(html, "<input type=\"hidden\" name=\"app\" value=\"shop\">"), carried, "{name}");
        assert_eq!(occurrences(html, "name=\"return_to\""), carried, "{name}");
    });
}

#[test]
fn links_carry_app_and_return_to_in_their_query() {
    let html = sign_in().render(Locale::English, "");
    let query = "app=shop&#38;return_to=https%3A%2F%2Fshop.example%2Fcart%3Fa%3D1%26b%3D2";
    assert!(html.contains(&format!("href=\"/signup?{query}\"")), "{html}");
    let html = SignIn { flow: Flow::default(), ..sign_in() }.render(Locale::English, "");
    assert!(html.contains("href=\"/signup\""));
}

#[test]
fn a_closed_app_shows_no_way_to_sign_up() {
    let closed = SignIn { registration: Registration::Closed, ..sign_in() };
    assert!(!closed.render(Locale::English, "").contains("/signup"));
}

#[test]
fn a_failed_form_keeps_the_address_says_why_and_leads_to_the_field() {
    let failed = SignIn {
        email: "ada@example.test".into(),
        error: Some(Problem::Refused(Code::InvalidCredentials)),
        ..sign_in()
    };
    for locale in Locale::ALL {
        let html = failed.render(locale, "");
        assert!(html.contains("value=\"ada@example.test\""));
        assert!(html.contains("id=\"error\" role=\"alert\""));
        assert!(html.contains(&locale.refusal(Code::InvalidCredentials)));
        assert_eq!(occurrences(&html, "aria-invalid=\"true\" aria-describedby=\"error\""), 2);
        assert_eq!(occurrences(&html, " autofocus"), 1);
    }
    everywhere(|name, _, html| {
        for input in html.split("<input ").skip(1).filter_map(|input| input.split('>').next()) {
            assert!(!(input.contains("type=\"password\"") && input.contains("value=")), "{input} in {name}");
        }
        if !html.contains("aria-invalid") {
            assert!(!html.contains("autofocus"), "{name}");
        }
        for id in html.split("aria-describedby=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            for id in id.split(' ') {
                assert!(html.contains(&format!("id=\"{id}\"")), "{id} in {name}");
            }
        }
    });
}

#[test]
fn the_device_list_tells_the_devices_apart() {
    let html = devices().render(Locale::English, "");
    for part in [
        "Firefox on Linux <span class=\"badge\">This device</span>",
        "Safari on iOS",
        "A program",
        "Unknown browser",
        "203.0.113.7",
        "2001:db8:85a3:1234:5678:8a2e:370:7334",
        "not known",
        ">jwt<",
        ">phantom<",
        "3 minutes ago <time datetime=\"2026-11-24T23:42:00Z\">2026-11-24 23:42 UTC</time>",
        "<span class=\"unseen\">: Safari on iOS, Mobile</span>",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert_eq!(occurrences(&html, "This device"), 1);
    assert_eq!(occurrences(&html, "action=\"/devices/end\""), 5);
    assert_eq!(occurrences(&html, "action=\"/devices/end-others\""), 1);
    assert!(html.contains("name=\"session\" value=\"AgICAgICAgICAgICAgICAg\""));
    assert_eq!(occurrences(&html, "aria-current=\"page\""), 1);
    let html = devices().render(Locale::Korean, "");
    for part in ["Firefox · Linux", "3분 전", "이 기기", "Chrome · Windows"] {
        assert!(html.contains(part), "{part}");
    }
}

#[test]
fn an_error_page_shows_its_code_and_the_sentence_given() {
    let html = error_page(Code::StoreUnavailable).render(Locale::English, "");
    assert!(html.contains("<code>store_unavailable</code>"));
    assert!(html.contains(&Locale::English.refusal(Code::StoreUnavailable)));
    let given = ErrorPage { sentence: Some("Come back at noon.".into()), ..error_page(Code::Overloaded) };
    assert!(given.render(Locale::English, "").contains("Come back at noon."));
}

/// F024, F026: markup in names, addresses, apps' names, sentences and carried values is inert on every page.
#[test]
fn markup_in_any_field_comes_out_as_text() {
    let hostile = || HOSTILE.to_owned();
    let flow = || Flow { app: Some(hostile()), return_to: Some(hostile()) };
    let person = || Person { name: Some(hostile()), email: hostile() };
    let device = Device {
        app_name: hostile(),
        address: Some(hostile()),
        client: ClientKind::from_user_agent(&format!("Firefox/1 Linux {HOSTILE}")),
        ..device(9, Browser::Unknown, System::Unknown, 60)
    };
    // How often the text stands on the page, as text or as the value of an attribute.
    let pages: Vec<(Box<dyn Page>, usize)> = vec![
        (Box::new(SignIn { flow: flow(), app_name: Some(hostile()), email: hostile(), ..sign_in() }), 4),
        (
            Box::new(SignUp {
                flow: flow(),
                app_name: Some(hostile()),
                email: hostile(),
                name: hostile(),
                ..sign_up()
            }),
            5,
        ),
        (Box::new(SignOut { flow: flow(), person: person(), error: None }), 4),
        (Box::new(Devices { flow: flow(), person: person(), devices: vec![device], ..devices() }), 9),
        (Box::new(ChangePassword { flow: flow(), person: person(), ..change_password() }), 5),
        (Box::new(Confirm { flow: flow(), person: person(), session: Some(hostile()), ..confirm() }), 6),
        (Box::new(DeleteAccount { flow: flow(), person: person(), ..delete_account() }), 5),
        (Box::new(ErrorPage { flow: flow(), code: Code::Internal, sentence: Some(hostile()) }), 1),
    ];
    for (page, times) in pages {
        for locale in Locale::ALL {
            let html = page.render(locale, "");
            for bad in ["<script", "<img", "</p><", "' onfocus", "\"><i"] {
                let clean = occurrences(&sign_in().render(locale, ""), bad);
                assert!(occurrences(&html, bad) <= clean, "{bad} in {html}");
            }
            let inert = "&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#62;&#60;img src=x onerror=alert(2)&#62;&#39; onfocus=&#39;x&#38;amp;";
            assert_eq!(occurrences(&html, inert), times, "{html}");
        }
    }
}

#[test]
fn the_pages_can_be_written_to_a_directory() {
    let Some(dir) = std::env::var_os("CLOAKROOM_RENDER_DIR").map(PathBuf::from) else {
        return;
    };
    fs::create_dir_all(dir.join("assets")).expect("the directory can be made");
    for asset in assets::all() {
        fs::write(dir.join(&asset.path[1..]), asset.body).expect("an asset can be written");
    }
    for (name, page) in pages() {
        for locale in Locale::ALL {
            // Relative, so that a browser finds the files beside the page.
            let html = page.render(locale, ".");
            fs::write(dir.join(format!("{name}.{}.html", locale.tag())), html).expect("a page can be written");
        }
    }
}
