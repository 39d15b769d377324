//! What can be done on the page that explains: by the person, a thief, and the operator.

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The person signs in.
    SignIn,
    /// The person's client asks who it is.
    Ask,
    /// The person's client renews its tokens.
    Renew,
    /// The person signs out.
    SignOut,
    /// A thief copies what the client holds.
    Steal,
    /// The thief asks who he is.
    ThiefAsks,
    /// The thief renews.
    ThiefRenews,
    /// The operator ends the session.
    End,
    /// The operator kills the key that made the credential.
    KillKey,
    /// All of it is forgotten.
    StartOver,
}

impl Act {
    /// Every act, in the order of the page.
    pub const ALL: [Self; 10] = [
        Self::SignIn,
        Self::Ask,
        Self::Renew,
        Self::SignOut,
        Self::Steal,
        Self::ThiefAsks,
        Self::ThiefRenews,
        Self::End,
        Self::KillKey,
        Self::StartOver,
    ];

    /// Its name in forms and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::Ask => "ask",
            Self::Renew => "renew",
            Self::SignOut => "sign-out",
            Self::Steal => "steal",
            Self::ThiefAsks => "thief-asks",
            Self::ThiefRenews => "thief-renews",
            Self::End => "end",
            Self::KillKey => "kill-key",
            Self::StartOver => "start-over",
        }
    }

    /// The act of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.name() == name)
    }

    /// Whether the thief does it.
    pub const fn is_thiefs(self) -> bool {
        matches!(self, Self::ThiefAsks | Self::ThiefRenews)
    }
}
