//! What kind of browser and system a session began on: two bytes, enough for 'Firefox on Linux' in a device list.
//!
//! Addresses and the full user agent stand in the audit log only.

/// A kind of browser or program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Browser {
    /// None that is known here.
    #[default]
    Unknown,
    /// Chrome or Chromium.
    Chrome,
    /// Edge.
    Edge,
    /// Firefox.
    Firefox,
    /// Opera.
    Opera,
    /// Safari.
    Safari,
    /// Samsung Internet.
    Samsung,
    /// A program without pages, such as curl.
    Program,
}

/// A kind of operating system.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum System {
    /// None that is known here.
    #[default]
    Unknown,
    /// Android.
    Android,
    /// iPhone or iPad.
    Ios,
    /// Linux on a desk.
    Linux,
    /// macOS.
    Mac,
    /// Windows.
    Windows,
    /// `ChromeOS`.
    ChromeOs,
}

/// A browser on a system.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClientKind {
    /// The browser.
    pub browser: Browser,
    /// The system.
    pub system: System,
}

impl ClientKind {
    /// What a `User-Agent` header says, as far as one can believe it. Order matters: most browsers name others too.
    ///
    /// ```
    /// use cloakroom_core::session::{Browser, ClientKind, System};
    /// let kind = ClientKind::from_user_agent("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0");
    /// assert_eq!(kind, ClientKind { browser: Browser::Firefox, system: System::Linux });
    /// ```
    pub fn from_user_agent(text: &str) -> Self {
        let find =
            |table: &[(&str, u8)]| table.iter().find(|(mark, _)| text.contains(mark)).map_or(0, |(_, code)| *code);
        let browser = find(&[
            ("Edg", 2),
            ("OPR/", 4),
            ("SamsungBrowser", 6),
            ("Firefox/", 3),
            ("FxiOS", 3),
            ("Chrome/", 1),
            ("CriOS", 1),
            ("Safari/", 5),
            ("curl/", 7),
            ("python", 7),
            ("okhttp", 7),
            ("Go-http-client", 7),
            ("node", 7),
        ]);
        let system = find(&[
            ("Android", 1),
            ("iPhone", 2),
            ("iPad", 2),
            ("CrOS", 6),
            ("Windows", 5),
            ("Mac OS X", 4),
            ("Macintosh", 4),
            ("Linux", 3),
            ("X11", 3),
        ]);
        Self::from_codes([browser, system])
    }

    /// The two bytes of a record.
    pub(crate) const fn codes(self) -> [u8; 2] {
        [self.browser as u8, self.system as u8]
    }

    /// From the two bytes of a record; a later release's codes read as unknown.
    pub(crate) fn from_codes([browser, system]: [u8; 2]) -> Self {
        use {Browser as B, System as S};
        const BROWSERS: [Browser; 8] =
            [B::Unknown, B::Chrome, B::Edge, B::Firefox, B::Opera, B::Safari, B::Samsung, B::Program];
        const SYSTEMS: [System; 7] = [S::Unknown, S::Android, S::Ios, S::Linux, S::Mac, S::Windows, S::ChromeOs];
        Self {
            browser: BROWSERS.get(usize::from(browser)).copied().unwrap_or_default(),
            system: SYSTEMS.get(usize::from(system)).copied().unwrap_or_default(),
        }
    }

    /// 'Firefox on Linux', for lists and programs; empty when nothing is known.
    pub fn describe(self) -> String {
        let browser = match self.browser {
            Browser::Unknown => "",
            Browser::Chrome => "Chrome",
            Browser::Edge => "Edge",
            Browser::Firefox => "Firefox",
            Browser::Opera => "Opera",
            Browser::Safari => "Safari",
            Browser::Samsung => "Samsung Internet",
            Browser::Program => "a program",
        };
        let system = match self.system {
            System::Unknown => "",
            System::Android => "Android",
            System::Ios => "iOS",
            System::Linux => "Linux",
            System::Mac => "macOS",
            System::Windows => "Windows",
            System::ChromeOs => "ChromeOS",
        };
        match (browser, system) {
            ("", system) => system.to_owned(),
            (browser, "") => browser.to_owned(),
            (browser, system) => format!("{browser} on {system}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_that_name_each_other_are_told_apart() {
        let chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
        let edge = format!("{chrome} Edg/140.0.0.0");
        let safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1";
        assert_eq!(ClientKind::from_user_agent(chrome).describe(), "Chrome on Windows");
        assert_eq!(ClientKind::from_user_agent(&edge).describe(), "Edge on Windows");
        assert_eq!(ClientKind::from_user_agent(safari).describe(), "Safari on iOS");
        assert_eq!(ClientKind::from_user_agent("curl/8.5.0").describe(), "a program");
        assert_eq!(ClientKind::from_user_agent("").describe(), "");
    }

    #[test]
    fn the_two_bytes_bring_back_the_kind() {
        for browser in 0..=255 {
            let kind = ClientKind::from_codes([browser, browser]);
            let again = ClientKind::from_codes(kind.codes());
            assert_eq!(kind, again);
        }
    }
}
