//! The session record: all that the server remembers of one login, in about 60 bytes.

use std::time::Duration;

use thiserror::Error;

use super::client::ClientKind;
use crate::{
    app::App,
    clock::Timestamp,
    ids::{AccountId, AppTag, Epoch, Generation},
    method::Method,
};

/// What is stored per login.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Whose it is.
    pub account: AccountId,
    /// The account's epoch that it was born in, or was carried over to.
    pub epoch: Epoch,
    /// Where it is signed in.
    pub app: AppTag,
    /// The app's epoch that it was born in.
    pub app_epoch: Epoch,
    /// How it proves itself.
    pub method: Method,
    /// When it began.
    pub created: Timestamp,
    /// When it was last used, as far as that has been written.
    pub last_active: Timestamp,
    /// When it ends, whatever happens; whole seconds, so that cookie, answer and record agree (F009).
    pub expires: Timestamp,
    /// How often its refresh token has been rotated.
    pub generation: Generation,
    /// When that was last, by the clock of the store that holds it: to be compared with that clock alone.
    pub rotated: Timestamp,
    /// When the person really signed in; no refresh changes it (F056).
    pub auth_time: Timestamp,
    /// By which means.
    pub amr: AuthMethods,
    /// On what kind of browser and system.
    pub client: ClientKind,
}

/// A record as a store found it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The record.
    pub record: Record,
    /// How long ago its last rotation was, by the clock that it was noted by. No server's clock has a part in it, so that servers
    /// whose clocks differ take no honest repeat for theft.
    pub since_rotation: Duration,
}

impl Found {
    /// A record that was read when the store's clock said `now`. A moment that lies ahead was just now.
    pub(crate) fn at(record: Record, now: Timestamp) -> Self {
        Self { since_rotation: now.since(record.rotated), record }
    }
}

/// The means by which a person signed in, as bits; `amr` values of RFC 8176.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct AuthMethods(pub(crate) u8);

impl AuthMethods {
    /// A password (`pwd`).
    pub const PASSWORD: Self = Self(1);
    /// A one-time code (`otp`).
    pub const ONE_TIME_CODE: Self = Self(1 << 1);
    /// A hardware-held key, such as a passkey (`hwk`).
    pub const PASSKEY: Self = Self(1 << 2);
    /// The device itself recognised the person (`user`).
    pub const USER_PRESENCE: Self = Self(1 << 3);
    /// More than one factor (`mfa`).
    pub const SEVERAL_FACTORS: Self = Self(1 << 4);

    const NAMES: [(Self, &'static str); 5] = [
        (Self::PASSWORD, "pwd"),
        (Self::ONE_TIME_CODE, "otp"),
        (Self::PASSKEY, "hwk"),
        (Self::USER_PRESENCE, "user"),
        (Self::SEVERAL_FACTORS, "mfa"),
    ];

    /// The `amr` names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(bit, _)| self.0 & bit.0 != 0).map(|(_, name)| name)
    }

    /// From `amr` names; `None` if one is not known here.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        names.into_iter().try_fold(Self::default(), |sum, name| {
            Self::NAMES.iter().find(|(_, known)| *known == name).map(|(bit, _)| Self(sum.0 | bit.0))
        })
    }
}

/// Why a session is over by the clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lapse {
    /// It rested too long.
    Idle,
    /// It lived as long as any may.
    Absolute,
}

/// A stored record that is none: cut short, of a later version, or damaged. It counts as no session (F007).
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a stored session record cannot be read")]
pub struct BrokenRecord;

const VERSION: u8 = 1;
const FIXED: usize = 53;

impl Record {
    /// The moment at which it ends under an app's present lifetimes: a stricter setting reaches sessions that exist (F137).
    pub fn ends_at(&self, app: &App) -> Timestamp {
        self.expires.min(self.created + app.absolute_timeout)
    }

    /// Whether it is over by the clock. Only methods that keep a record have an idle time-out, and all that have a record
    /// have one.
    pub fn lapsed(&self, app: &App, now: Timestamp) -> Option<Lapse> {
        if now >= self.ends_at(app) {
            Some(Lapse::Absolute)
        } else if now >= self.last_active + app.idle_timeout {
            Some(Lapse::Idle)
        } else {
            None
        }
    }

    /// Of two records of one session, all that is later: generation, epoch and activity only ever go up.
    #[must_use]
    pub(crate) fn latest(&self, other: &Self) -> Self {
        let ahead = if other.generation > self.generation { other } else { self };
        Self {
            epoch: self.epoch.max(other.epoch),
            last_active: self.last_active.max(other.last_active),
            ..ahead.clone()
        }
    }

    /// How old `last_active` must be before activity is written: min(1 h, idle/32).
    pub fn touch_interval(idle_timeout: Duration) -> Duration {
        (idle_timeout / 32).min(Duration::from_secs(3600))
    }

    /// The stored form: a version byte, fixed fields, then epochs and generation as varints.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED + 6);
        out.push(VERSION);
        out.push(self.method.properties().code);
        out.push(self.amr.0);
        out.extend_from_slice(&self.client.codes());
        out.extend_from_slice(&self.app.0);
        out.extend_from_slice(self.account.bytes());
        for moment in [self.created, self.last_active, self.expires, self.rotated] {
            out.extend_from_slice(&moment.millis().to_be_bytes()[2..]);
        }
        out.extend_from_slice(&(self.auth_time.secs() as u32).to_be_bytes());
        for number in [self.epoch.0, self.app_epoch.0, self.generation.0] {
            push_varint(&mut out, number);
        }
        out
    }

    /// Reads the stored form; every byte must be accounted for.
    pub fn decode(bytes: &[u8]) -> Result<Self, BrokenRecord> {
        let (fixed, mut rest) = bytes.split_first_chunk::<FIXED>().ok_or(BrokenRecord)?;
        let moment = |at: usize| {
            let mut ms = [0; 8];
            ms[2..].copy_from_slice(&fixed[at..at + 6]);
            Timestamp::from_millis(u64::from_be_bytes(ms))
        };
        if fixed[0] != VERSION {
            return Err(BrokenRecord);
        }
        let mut account = [0; 16];
        account.copy_from_slice(&fixed[9..25]);
        let record = Self {
            method: Method::from_code(fixed[1]).ok_or(BrokenRecord)?,
            amr: AuthMethods(fixed[2]),
            client: ClientKind::from_codes([fixed[3], fixed[4]]),
            app: AppTag([fixed[5], fixed[6], fixed[7], fixed[8]]),
            account: AccountId::from_bytes(account),
            created: moment(25),
            last_active: moment(31),
            expires: moment(37),
            rotated: moment(43),
            auth_time: Timestamp::from_secs(u64::from(u32::from_be_bytes([
                fixed[49], fixed[50], fixed[51], fixed[52],
            ]))),
            epoch: Epoch(take_varint(&mut rest)?),
            app_epoch: Epoch(take_varint(&mut rest)?),
            generation: Generation(take_varint(&mut rest)?),
        };
        if rest.is_empty() { Ok(record) } else { Err(BrokenRecord) }
    }
}

impl Record {
    /// A number in the form that epochs and generation are stored in, for stores that write them by themselves.
    #[cfg(feature = "redis")]
    pub(crate) fn varint(number: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(5);
        push_varint(&mut out, number);
        out
    }
}

/// LEB128, at most five bytes.
fn push_varint(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_varint(rest: &mut &[u8]) -> Result<u32, BrokenRecord> {
    let mut number = 0u64;
    for shift in (0..35).step_by(7) {
        let (byte, tail) = rest.split_first().ok_or(BrokenRecord)?;
        *rest = tail;
        // One number has one form: no zeros behind it.
        if *byte == 0 && shift > 0 {
            return Err(BrokenRecord);
        }
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return u32::try_from(number).map_err(|_| BrokenRecord);
        }
    }
    Err(BrokenRecord)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        pub(crate) fn any_record()(
            account in any::<[u8; 16]>(), app in any::<[u8; 4]>(), epoch: u32, app_epoch: u32, method in 0usize..4,
            times in prop::array::uniform4(0u64..1 << 48), generation: u32, auth in 0u64..1 << 32, amr in 0u8..32,
            client in (0u8..8, 0u8..7),
        ) -> Record {
            Record {
                account: AccountId::from_bytes(account), app: AppTag(app), epoch: Epoch(epoch), app_epoch: Epoch(app_epoch),
                method: Method::ALL[method], created: Timestamp::from_millis(times[0]),
                last_active: Timestamp::from_millis(times[1]), expires: Timestamp::from_millis(times[2]),
                rotated: Timestamp::from_millis(times[3]), generation: Generation(generation),
                auth_time: Timestamp::from_secs(auth), amr: AuthMethods(amr),
                client: ClientKind::from_codes([client.0, client.1]),
            }
        }
    }

    proptest! {
        #[test]
        fn a_stored_record_reads_back(record in any_record()) {
            prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
        }

        /// F007: whatever stands in the store, reading it is an answer and never a panic.
        #[test]
        fn any_bytes_are_a_record_or_a_refusal(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(record) = Record::decode(&bytes) {
                prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
            }
        }

        /// Found by fuzzing: a number with zeros behind it was read as the same number.
        #[test]
        fn a_number_has_one_form(record in any_record(), longer in 1usize..4) {
            let mut bytes = Record { generation: Generation(5), ..record }.encode();
            *bytes.last_mut().unwrap() |= 0x80;
            bytes.extend(std::iter::repeat_n(0x80, longer - 1));
            bytes.push(0);
            prop_assert_eq!(Record::decode(&bytes), Err(BrokenRecord));
        }

        #[test]
        fn a_record_cut_short_is_refused(record in any_record(), cut: prop::sample::Index) {
            let bytes = record.encode();
            let cut = cut.index(bytes.len());
            prop_assert_eq!(Record::decode(&bytes[..cut]), Err(BrokenRecord));
        }
    }
}
