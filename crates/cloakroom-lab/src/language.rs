//! The languages that the lab speaks.

use clap::ValueEnum;

/// A language that can be asked for by its tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// English.
    #[default]
    #[value(name = "en")]
    English,
    /// Korean.
    #[value(name = "ko")]
    Korean,
}

impl Lang {
    /// Every language, the default one first.
    pub const ALL: [Self; 2] = [Self::English, Self::Korean];

    /// Its name in `lang` attributes (BCP 47) and on the command line.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Korean => "ko",
        }
    }
}
