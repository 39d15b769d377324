use proptest::prelude::*;

use super::*;

fn app(name: &str) -> AppId {
    AppId::parse(name).unwrap()
}

fn cookies(scheme: Scheme) -> AppCookies {
    AppCookies::new(scheme, ["web", "api", "edge"].map(app))
}

fn request(lines: &[&[u8]]) -> HeaderMap {
    lines.iter().map(|l| (COOKIE, HeaderValue::from_bytes(l).unwrap())).collect()
}

fn read(scheme: Scheme, lines: &[&[u8]], wanted: Option<&str>) -> Vec<(usize, String)> {
    let headers = request(lines);
    let found = cookies(scheme).read(&headers, wanted.map(app).as_ref()).unwrap();
    found.iter().map(|(i, v)| (i, v.to_owned())).collect()
}

/// F013: on https the name begins with `__Host-`, and all that this prefix promises is kept.
#[test]
fn a_session_cookie_has_every_attribute_of_the_design() {
    let day = Duration::from_millis(86_400_999);
    let set = |scheme, carries| {
        let line = cookies(scheme).set(&app("web"), carries, "AbC-_9", day).unwrap();
        assert!(line.is_sensitive());
        line.to_str().unwrap().to_owned()
    };
    assert_eq!(
        set(Scheme::Https, Carries::SessionTicket),
        "__Host-cloakroom-web=AbC-_9; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure"
    );
    assert_eq!(
        set(Scheme::Https, Carries::RefreshToken),
        "__Host-cloakroom-web=AbC-_9; Path=/; Max-Age=86400; HttpOnly; SameSite=Strict; Secure"
    );
    assert_eq!(
        set(Scheme::Http, Carries::SessionTicket),
        "cloakroom-web=AbC-_9; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax"
    );
}

/// F016: the cookie that deletes has the name, path, domain and `Secure` of the one that set it.
#[test]
fn a_deleting_cookie_hits_the_one_that_was_set() {
    for scheme in [Scheme::Https, Scheme::Http] {
        let cookies = cookies(scheme);
        let scope = |line: &HeaderValue| {
            let line = line.to_str().unwrap().to_owned();
            let name = line.split('=').next().unwrap().to_owned();
            let has = |a: &str| line.split("; ").any(|part| part == a);
            (name, has("Path=/"), has("Secure"), line.contains("Domain"))
        };
        let set = cookies.set(&app("api"), Carries::RefreshToken, "x", Duration::from_secs(9)).unwrap();
        let deleted = cookies.delete(&app("api")).unwrap();
        assert_eq!(scope(&set), scope(&deleted));
        assert!(deleted.to_str().unwrap().contains("; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT;"));
    }
}

/// F135: nothing that could break out of the header is ever set.
#[test]
fn a_credential_that_is_none_is_not_set() {
    for bad in ["", "a b", "a;b", "a\r\nSet-Cookie: x=y", "ä", "\"a\"", "a,b"] {
        assert!(cookies(Scheme::Https).set(&app("web"), Carries::SessionTicket, bad, Duration::ZERO).is_err());
    }
}

/// F013: never are both forms read.
#[test]
fn only_the_form_of_the_scheme_is_read() {
    let both: &[&[u8]] = &[b"cloakroom-web=plain; __Host-cloakroom-web=host"];
    assert_eq!(read(Scheme::Https, both, None), [(0, "host".into())]);
    assert_eq!(read(Scheme::Http, both, None), [(0, "plain".into())]);
}

/// F014: a name that is not byte for byte the cookie's is another cookie.
#[test]
fn a_name_that_only_looks_alike_yields_nothing() {
    for line in [
        "\u{a0}__Host-cloakroom-web=x".as_bytes(),
        "\u{85}__Host-cloakroom-web=x".as_bytes(),
        "\u{2000}__Host-cloakroom-web=x".as_bytes(),
        b"a=b;\xa0__Host-cloakroom-web=x",
        b"a=b;\x85__Host-cloakroom-web=x",
        b"a=b;\t__Host-cloakroom-web=x",
        b"__Host-cloakroom-web =x",
        b"__host-cloakroom-web=x",
        b"__HOST-cloakroom-web=x",
        b"__Host-cloakroom-Web=x",
        b"__Host-cloakroom-webb=x",
        b"__Host-cloakroom-=x",
        b"__Host-cloakroom-web",
        b"\"__Host-cloakroom-web\"=x",
        b"__%48ost-cloakroom-web=x",
        b"a=b, __Host-cloakroom-web=x",
        b"a=\"b; __Host-cloakroom-web=x\"",
        b"__Host-cloakroom-web=\"x\"",
        b"__Host-cloakroom-web=x y",
        b"__Host-cloakroom-web= x",
        b"__Host-cloakroom-web=x\xa0",
        b"__Host-cloakroom-web=",
        b"$Version=1; __Host-cloakroom-web=x",
        b"$Version=\"1\"; __Host-cloakroom-web=\"x\"; $Path=\"/\"",
        b"$version=1, __Host-cloakroom-web=x",
    ] {
        assert_eq!(read(Scheme::Https, &[line], None), [], "{}", line.escape_ascii());
    }
}

/// F015: several cookies of one name are all tried, a few at most.
#[test]
fn several_cookies_of_one_name_are_candidates_in_their_order() {
    let line =
        b"cloakroom-web=1; cloakroom-web=2; x=y; cloakroom-web=2; cloakroom-web=3; cloakroom-web=4; cloakroom-web=5";
    let values: Vec<_> = read(Scheme::Http, &[line], None).into_iter().map(|(_, v)| v).collect();
    assert_eq!(values, ["1", "2", "3", "4"]);
}

#[test]
fn the_order_of_the_configuration_counts_and_an_app_that_is_asked_for_alone() {
    let lines: &[&[u8]] = &[b"cloakroom-edge=e; cloakroom-web=w1", b"cloakroom-api=a", b"theme=dark; cloakroom-web=w2"];
    let expected = [(0, "w1".into()), (0, "w2".into()), (1, "a".into()), (2, "e".into())];
    assert_eq!(read(Scheme::Http, lines, None), expected);
    assert_eq!(read(Scheme::Http, lines, Some("api")), [(1, "a".into())]);
    assert_eq!(read(Scheme::Http, lines, Some("other")), []);
}

#[test]
fn the_last_apps_lose_when_there_are_too_many() {
    let apps: Vec<_> = (0..30).map(|i| app(&format!("a{i:02}"))).collect();
    let cookies = AppCookies::new(Scheme::Http, apps);
    let line: Vec<String> = (0..30).rev().map(|i| format!("cloakroom-a{i:02}=v{i}")).collect();
    let headers = request(&[line.join("; ").as_bytes()]);
    let found: Vec<_> = cookies.read(&headers, None).unwrap().iter().map(|(i, _)| i).collect();
    assert_eq!(found, (0..MAX_CANDIDATES).collect::<Vec<_>>());
    assert_eq!(cookies.app(3), Some(&app("a03")));
    assert_eq!(cookies.app(30), None);
}

#[test]
fn too_many_bytes_of_cookies_are_refused_over_all_lines() {
    let long = format!("a={}", "x".repeat(MAX_COOKIE_BYTES / 2));
    let headers = request(&[long.as_bytes(), long.as_bytes()]);
    assert_eq!(cookies(Scheme::Http).read(&headers, None).unwrap_err().reason, Reason::TooLarge);
}

#[test]
fn candidates_print_no_value() {
    let headers = request(&[b"cloakroom-web=topsecret"]);
    let found = cookies(Scheme::Http).read(&headers, None).unwrap();
    assert_eq!(format!("{found:?}"), "Candidates(1)");
}

proptest! {
    #[test]
    fn reading_never_panics_and_yields_only_cookie_octets(line in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = pairs(&line).count();
        let mut text = b"cloakroom-web=".to_vec();
        text.extend(&line);
        for bytes in [&line, &text] {
            if let Ok(value) = HeaderValue::from_bytes(bytes) {
                let headers: HeaderMap = [(COOKIE, value)].into_iter().collect();
                let found = cookies(Scheme::Http).read(&headers, None).unwrap();
                prop_assert!(found.iter().all(|(_, v)| !v.is_empty() && v.bytes().all(is_cookie_octet)));
            }
        }
    }

    #[test]
    fn what_is_set_is_read(credential in "[A-Za-z0-9_-]{1,128}") {
        for scheme in [Scheme::Http, Scheme::Https] {
            let cookies = cookies(scheme);
            let set = cookies.set(&app("edge"), Carries::SessionTicket, &credential, Duration::from_secs(1)).unwrap();
            let sent = set.to_str().unwrap().split(';').next().unwrap().to_owned();
            let headers = request(&[sent.as_bytes()]);
            let found: Vec<_> = cookies.read(&headers, None).unwrap().iter().collect();
            prop_assert_eq!(found, vec![(2, credential.as_str())]);
        }
    }
}

/// An app behind a proxy gets every cookie but ours, wherever ours stand and however they are spelt.
#[test]
fn the_cookies_of_an_app_are_those_that_are_not_ours() {
    let foreign = |lines: &[&[u8]]| String::from_utf8(super::foreign(&request(lines)).as_bytes().to_vec()).unwrap();
    for (line, left) in [
        ("__Host-cloakroom-web=T; theme=dark; lang=ko", "theme=dark; lang=ko"),
        ("theme=dark; __Host-cloakroom-web=T; lang=ko", "theme=dark; lang=ko"),
        ("theme=dark; lang=ko; __Host-cloakroom-web=T", "theme=dark; lang=ko"),
        ("__Host-cloakroom-web=T; __Host-cloakroom-web=U; cloakroom-api=V", ""),
        ("a=1;__host-CLOAKROOM-web=T;  b=2;cloakroom-;;", "a=1; b=2"),
        ("a=\"x; __Host-cloakroom-web=T; y\"", "a=\"x; y\""),
        ("$Version=1; cloakroom-web=T; a=1", "$Version=1; a=1"),
        ("my-cloakroom-web=1; __Host-other=2; cloakroom=3", "my-cloakroom-web=1; __Host-other=2; cloakroom=3"),
        ("", ""),
    ] {
        assert_eq!(foreign(&[line.as_bytes()]), left, "{line}");
    }
    assert_eq!(foreign(&[b"a=1", b"cloakroom-web=T", b"b=2"]), "a=1; b=2");
    assert_eq!(foreign(&[]), "");
}
