use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn refusal(text: &str) -> EmailError {
    match EmailAddress::parse(text) {
        Ok(address) => panic!("{text:?} was taken for {}", address.canonical()),
        Err(error) => error,
    }
}

#[test]
fn ordinary_addresses_are_accepted_as_typed() {
    for text in [
        "ada@example.test",
        "Ada.Lovelace+cloakroom@Mail.Example.COM",
        "o'brien@example.ie",
        "a_b-c=d/e@sub-domain.example",
        "1@2.example",
        "用户@例え.jp",
        "ζoë@bücher.example",
        "नमस्ते@example.in",
    ] {
        let address = parsed(text);
        assert_eq!(address.as_typed(), text);
        assert_eq!(address.to_string(), text);
        assert_eq!(EmailAddress::from_stored(address.as_typed()).unwrap().canonical(), address.canonical());
    }
}

#[test]
fn outer_white_space_is_dropped_and_letters_are_composed() {
    let address = parsed(" \tzoe\u{308}@example.test\r\n");
    assert_eq!(address.as_typed(), "zoë@example.test");
    assert_eq!(address, parsed("ZOË@EXAMPLE.TEST"));
}

#[test]
fn the_domain_is_canonical() {
    assert_eq!(parsed("ada@BÜCHER.Example").domain(), "xn--bcher-kva.example");
    assert_eq!(parsed("ada@例え。jp").domain(), "xn--r8jz45g.jp");
}

/// F101: whatever can be read as a second address, a comment or a route is refused.
#[test]
fn an_address_that_could_name_another_mailbox_is_refused() {
    for local in [
        "\"ada\"",
        "\"a@b\"",
        "ada,eve",
        "ada;eve",
        "<ada>",
        "ada(x)",
        "ada eve",
        "a:b",
        "a\\b",
        "[ada]",
        "a\"b",
        "eve%evil.test",
        "evil.test!eve",
        "=?utf-8?q?x=40evil.test?=",
        "",
        ".ada",
        "ada.",
        "a..b",
        "a\u{a0}b",
        "a\u{2003}b",
        "a\u{3000}b",
    ] {
        EmailAddress::parse(&format!("{local}@example.test")).expect_err(local);
    }
    assert_eq!(refusal("ada@eve@example.test"), EmailError::ManyAts);
    assert_eq!(refusal("ada@example.test,eve@evil.test"), EmailError::ManyAts);
    assert_eq!(refusal("ada.example.test"), EmailError::NoAt);
    assert_eq!(refusal("  "), EmailError::Empty);
}

/// F103: no control character gets in, neither plain nor by way of normalisation.
#[test]
fn control_and_invisible_characters_are_refused() {
    for c in ('\0'..=' ').chain('\u{7f}'..='\u{a0}').chain("\u{ad}\u{200b}\u{200d}\u{202e}\u{2066}\u{feff}".chars()) {
        EmailAddress::parse(&format!("a{c}b@example.test")).expect_err("in the local part");
    }
    for c in ('\0'..=' ').chain('\u{7f}'..='\u{9f}') {
        EmailAddress::parse(&format!("ada@exa{c}mple.test")).expect_err("in the domain");
    }
    for c in ['\u{34f}', '\u{3164}', '\u{115f}', '\u{fe0f}', '\u{e0100}'] {
        EmailAddress::parse(&format!("a{c}b@example.test")).expect_err("shows as nothing");
    }
}

/// F079: pairs that some case or database rule makes one never become one account here.
#[test]
fn look_alikes_are_refused_or_stay_apart() {
    for text in [
        "mi\u{212a}e@example.test", // Kelvin sign
        "\u{17f}am@example.test",   // long s
        "ada\u{ff20}example.test",  // full-width @
        "ada\u{fe6b}example.test",  // small @
        "ada@\u{ff45}xample.test",  // full-width e
        "a\u{ff0c}b@example.test",  // full-width comma
        "\u{fb01}@example.test",    // fi ligature
        "a\u{2024}b@example.test",  // one dot leader
        "a\u{37e}b@example.test",   // Greek question mark, canonically a semicolon
        "ada@example\u{2100}.test", // a/c
        "ada@mi\u{212a}e.test",
    ] {
        assert_eq!(refusal(text), EmailError::LookAlike, "{text}");
    }
    for (one, other) in [
        ("m\u{131}ke@example.test", "mike@example.test"), // dotless i
        ("M\u{130}KE@example.test", "mike@example.test"), // dotted capital I
        ("\u{430}da@example.test", "ada@example.test"),   // Cyrillic a
        ("ada@ex\u{430}mple.test", "ada@example.test"),
        ("stra\u{df}e@example.test", "strasse@example.test"),
        ("STRA\u{1e9e}E@example.test", "strasse@example.test"),
        ("ada@stra\u{df}e.test", "ada@strasse.test"),
        ("\u{e5}sa@example.test", "asa@example.test"),
    ] {
        assert_ne!(parsed(one), parsed(other), "{one} and {other}");
    }
}

#[test]
fn spellings_of_one_address_are_equal() {
    for (one, other) in [
        ("STRA\u{1e9e}E@example.test", "stra\u{df}e@example.test"),
        // An iota below, under another mark: folded too early, the mark would move to the iota.
        ("\u{1fbc}\u{308}a@example.test", "\u{3b1}\u{308}\u{3b9}a@example.test"),
        ("ΣΊΣΥΦΟΣ@example.test", "σίσυφος@example.test"),
        ("\u{212b}SA@example.test", "a\u{30a}sa@example.test"), // Ångström sign
    ] {
        assert_eq!(parsed(one), parsed(other));
    }
}

#[test]
fn a_domain_needs_two_labels_and_no_numbers() {
    for domain in [
        "localhost",
        "127.0.0.1",
        "[127.0.0.1]",
        "[IPv6:::1]",
        "1.2.3.0x4",
        "example.test.",
        ".example.test",
        "exa..mple.test",
        "-example.test",
        "example-.test",
        "exa_mple.test",
        "example.test/x",
        "example.test:25",
        "",
        "xn--a.test",
    ] {
        assert_eq!(refusal(&format!("ada@{domain}")), EmailError::Domain, "{domain}");
    }
}

#[test]
fn the_lengths_of_rfc_5321_hold_in_both_forms() {
    let local = "a".repeat(64);
    let domain = format!("{0}.{0}.{0}.testab", "d".repeat(60));
    assert_eq!(local.len() + 1 + domain.len(), 254);
    parsed(&format!("{local}@{domain}"));
    assert_eq!(refusal(&format!("{local}@{domain}c")), EmailError::TooLong);
    assert_eq!(refusal(&format!("{local}a@example.test")), EmailError::TooLong);
    parsed(&format!("{}@example.test", "\u{e9}".repeat(32)));
    assert_eq!(refusal(&format!("{}@example.test", "\u{e9}".repeat(33))), EmailError::TooLong);
    // 60 bytes as typed; folded, each letter grows from three bytes to five.
    assert_eq!(refusal(&format!("{}@example.test", "\u{1fb7}".repeat(20))), EmailError::TooLong);
    assert_eq!(refusal(&"a".repeat(1_000_000)), EmailError::TooLong);
}

/// F079: of all characters beyond ASCII, not one is taken for a plain character, wherever it stands.
#[test]
fn no_character_beyond_ascii_folds_into_a_plain_address() {
    let unchanged = |c: &char| {
        let once = || std::iter::once(*c);
        once().eq(once().nfkc()) && once().eq(once().nfd().default_case_fold()) && once().eq(c.to_uppercase())
    };
    let changing = ('\u{80}'..='\u{33ff}').chain('\u{a640}'..='\u{abff}').chain('\u{f900}'..='\u{1ffff}');
    for c in changing.filter(|c| !unchanged(c)) {
        if let Ok(address) = EmailAddress::parse(&format!("a{c}@example.test")) {
            assert!(!address.canonical().is_ascii(), "{c:?} became {}", address.canonical());
            assert_eq!(parsed(address.canonical()).canonical(), address.canonical(), "{c:?}");
        }
    }
}

fn near_miss() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-zA-Z0-9.+_'-]{1,8}",
        "\\PC{0,4}",
        "[ßẞſıİKÅΩΐﬁŉǰẖéς\u{307}\u{345}\u{200d}]{0,3}",
        "(@|\\.|,|\"|xn--|=\\?|％|＠)",
    ];
    (proptest::collection::vec(part, 0..5), "@?", "[a-zA-Zéß例。.-]{0,12}", "(\\.test|\\.jp|)")
        .prop_map(|(local, at, domain, top)| format!("{}{at}{domain}{top}", local.concat()))
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = EmailAddress::parse(&text);
    }

    /// F102: what is validated is what is kept; going through again changes nothing, whatever normalises it.
    #[test]
    fn the_canonical_form_is_its_own_canonical_form(text in near_miss()) {
        if let Ok(address) = EmailAddress::parse(&text) {
            let again = EmailAddress::parse(address.canonical());
            prop_assert_eq!(again.as_ref().map(EmailAddress::canonical), Ok(address.canonical()));
            prop_assert_eq!(again.as_ref().map(EmailAddress::as_typed), Ok(address.canonical()));
            for form in [address.as_typed(), address.canonical()] {
                let compatible: String = form.nfkc().collect();
                prop_assert_eq!(compatible.matches('@').count(), 1);
                prop_assert!(compatible.split('@').next().unwrap().chars().all(may_stand_in_local));
            }
        }
    }
}
