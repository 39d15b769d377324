//! How states are told apart: by what the core's types hold, as numbers, and not by which server is called the first.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use super::world::{Kept, START, Server, World};
use crate::{clock::Timestamp, revocation::End, session::Record};

/// Everything that tells one state from another, as numbers: cheap to compare and to hash.
#[derive(Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Image(Vec<u64>);

impl Image {
    fn put<const N: usize>(&mut self, numbers: [u64; N]) {
        self.0.extend_from_slice(&numbers);
    }

    fn put_option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        self.put([u64::from(value.is_some())]);
        if let Some(value) = value {
            put(self, value);
        }
    }

    /// What the steps of the model can change of a record.
    fn put_record(&mut self, r: &Record) {
        let times = [r.created, r.last_active, r.rotated].map(Timestamp::millis);
        self.put([u64::from(r.epoch.0), u64::from(r.generation.0)]);
        self.put(times);
    }

    fn put_kept(&mut self, kept: &Kept) {
        self.put_record(&kept.record);
        self.put([kept.since.at.millis(), u64::from(kept.since.era), kept.since.line]);
    }

    fn put_end(&mut self, end: &End) {
        match end {
            End::Session { session } => self.put([1, u64::from(session.bytes()[0])]),
            End::Account { epoch, .. } => self.put([2, u64::from(epoch.0)]),
            End::App { .. } | End::Key { .. } => unreachable!("no step ends these"),
        }
    }

    fn put_server(&mut self, server: &Server) {
        let (position, asked, era, ended, marks) = server.vigil.image();
        self.put([u64::from(era), ended.len() as u64, marks.len() as u64]);
        self.put_option(position, |image, p| image.put([p.incarnation.0, p.sequence]));
        self.put_option(asked, |image, asked| image.put([asked.millis()]));
        for (came, end) in &ended {
            self.put([u64::from(*came)]);
            self.put_end(end);
        }
        for (place, line, heard) in marks {
            self.put([u64::from(place), line, heard.millis()]);
        }
        for fact in &server.facts {
            self.put_option(fact.as_ref(), Self::put_kept);
        }
        for request in [&server.reading, &server.renewal] {
            self.put_option(request.as_ref(), |image, r| {
                image.put([r.session as u64, r.known as u64]);
                image.put_kept(&r.kept);
            });
        }
        self.put_option(server.question.as_ref(), |image, (asked, answer)| {
            let first = answer.entries.first().map_or(0, |entry| entry.sequence);
            image.put([asked.millis(), answer.head.sequence, u64::from(answer.snapshot), first]);
        });
        self.put_option(server.ending, |image, ending| {
            image.put([ending.session as u64, u64::from(ending.done), ending.since]);
        });
        self.put_option(server.login, |image, (epoch, since)| image.put([u64::from(epoch.0), since]));
        self.put_option(server.carrying, |image, (from, to, since)| {
            image.put([u64::from(from.0), u64::from(to.0), since]);
        });
        self.put_option(server.touch.as_ref(), |image, (when, record)| {
            image.put([when.millis()]);
            image.put_record(record);
        });
    }
}

impl World {
    /// Seen from one of the servers.
    fn image_from(&self, first: usize) -> Image {
        let mut image = Image(Vec::with_capacity(128));
        image.put([self.now, u64::from(self.epoch.0), u64::from(self.suspect)]);
        image.put([u64::from(self.broken.accepted_here), u64::from(self.broken.accepted_late)]);
        image.put(self.left.numbers().map(u64::from));
        for token in &self.tokens {
            image.put([token.session as u64, u64::from(token.epoch.0), token.expires.millis()]);
        }
        for mark in &self.marks {
            let by = mark.acknowledged_by.map_or(2, |server| server ^ first);
            image.put([mark.begun, mark.deleted, mark.uncertain].map(u64::from));
            image.put([mark.ended.unwrap_or_default(), by as u64]);
        }
        for entry in &self.log {
            image.put([entry.at.map_or(0, Timestamp::millis)]);
            image.put_end(&entry.end);
        }
        // What was before matters only to a failover that is still to come.
        let before: &[_] = if self.left.losses > 0 { &self.store_before } else { &[] };
        for record in self.store.iter().chain(before) {
            image.put_option(record.as_ref(), Image::put_record);
        }
        image.put_server(&self.servers[first]);
        image.put_server(&self.servers[first ^ 1]);
        image
    }

    /// It does not matter which server is called the first.
    fn image(&self) -> Image {
        self.image_from(0).min(self.image_from(1))
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.image() == other.image()
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.image().hash(state);
    }
}

/// What a counterexample shows after each step.
impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (now, stored) = (self.now - START, self.store.each_ref().map(Option::is_some));
        write!(f, "at {now} ms: {} lines, {:?}, stored {stored:?}, {:?}", self.log.len(), self.epoch, self.marks)
    }
}
