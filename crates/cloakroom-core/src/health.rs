//! What is wrong with a server, and whether its peers are as badly off: what `/readyz` goes by.
//!
//! A part that knows of a trouble [sets](Health::set) it, and [clears](Health::clear) it when it is over. Troubles of this
//! server's [own](Whose::Own) take it out of its balancer; those that all servers of a store share do not, because no peer
//! would be better off, and each request says 503 for itself. Tasks that ail are among the troubles by themselves.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use parking_lot::Mutex;

use crate::tasks;

/// What a trouble is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Part {
    /// A task or thread that runs beside the requests.
    Task,
    /// The disk of a store that this server has for itself.
    Disk,
    /// The keys that it signs, opens and checks with.
    Keys,
    /// A store.
    Store,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Task, Self::Disk, Self::Keys, Self::Store];

    /// Its name, for bodies and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Disk => "disk",
            Self::Keys => "keys",
            Self::Store => "store",
        }
    }
}

/// Whose a trouble is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Whose {
    /// This server's: another one could be better off, so requests should go there.
    Own,
    /// That of all servers that share a store.
    Shared,
}

impl Whose {
    /// Its name, for bodies and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Shared => "shared",
        }
    }
}

/// Something that is wrong. Anybody may read its text: no address, path or secret is in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Trouble {
    /// Whose it is.
    pub whose: Whose,
    /// What it is about.
    pub part: Part,
    /// Which one of those.
    pub name: Cow<'static, str>,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}: {}", self.whose.name(), self.part.name(), self.name, self.text)
    }
}

/// The troubles of a server.
#[derive(Debug, Default)]
pub struct Health(Mutex<Noted>);

type Noted = BTreeMap<(Part, Cow<'static, str>), (Whose, String)>;

impl Health {
    /// Notes a trouble, in the place of what was known of the same part and name.
    pub fn set(&self, trouble: Trouble) {
        self.0.lock().insert((trouble.part, trouble.name), (trouble.whose, trouble.text));
    }

    /// Notes that a trouble is over, if there was one.
    pub fn clear(&self, part: Part, name: &str) {
        self.0.lock().retain(|(its_part, its_name), _| *its_part != part || its_name != name);
    }

    /// Everything that is wrong now, this server's own first.
    pub fn troubles(&self) -> Vec<Trouble> {
        let noted = self.0.lock().clone().into_iter();
        let noted = noted.map(|((part, name), (whose, text))| Trouble { whose, part, name, text });
        let tasks = tasks::ailing().into_iter().map(|ailing| Trouble {
            whose: Whose::Own,
            part: Part::Task,
            name: ailing.task.into(),
            text: ailing.to_string(),
        });
        let mut troubles: Vec<_> = noted.chain(tasks).collect();
        troubles.sort();
        troubles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(whose: Whose, part: Part, name: &'static str) -> Trouble {
        Trouble { whose, part, name: name.into(), text: "it is away".to_owned() }
    }

    #[test]
    fn troubles_are_told_own_ones_first_until_they_are_over() {
        let health = Health::default();
        health.set(trouble(Whose::Shared, Part::Store, "sessions"));
        health.set(trouble(Whose::Own, Part::Keys, "k1"));
        health.set(trouble(Whose::Own, Part::Keys, "k2"));
        let told: Vec<_> = health.troubles().iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            ["own: keys k1: it is away", "own: keys k2: it is away", "shared: store sessions: it is away"]
        );
        health.clear(Part::Keys, "k1");
        health.clear(Part::Store, "k2");
        health.set(trouble(Whose::Own, Part::Store, "sessions"));
        let told: Vec<_> = health.troubles().iter().map(ToString::to_string).collect();
        assert_eq!(told, ["own: keys k2: it is away", "own: store sessions: it is away"]);
    }
}
