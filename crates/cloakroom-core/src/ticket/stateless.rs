//! What a stateless refresh token carries, since nothing is kept of its session.

use crate::{
    clock::Timestamp,
    ids::{AccountId, AppTag, Epoch},
    session::AuthMethods,
};

/// All there is to know of a `jwt-stateless` session: 39 bytes inside its ticket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatelessClaims {
    /// Whose it is.
    pub account: AccountId,
    /// Where.
    pub app: AppTag,
    /// The account's epoch that it was born in.
    pub epoch: Epoch,
    /// The app's.
    pub app_epoch: Epoch,
    /// When the person signed in; also when the session began.
    pub auth_time: Timestamp,
    /// By which means.
    pub amr: AuthMethods,
    /// When it ends, whatever happens; whole seconds.
    pub expires: Timestamp,
}

const LENGTH: usize = 16 + 4 + 4 + 4 + 5 + 1 + 5;

impl StatelessClaims {
    pub(super) fn encode(&self) -> [u8; LENGTH] {
        let mut out = [0; LENGTH];
        out[..16].copy_from_slice(self.account.bytes());
        out[16..20].copy_from_slice(&self.app.0);
        out[20..24].copy_from_slice(&self.epoch.0.to_be_bytes());
        out[24..28].copy_from_slice(&self.app_epoch.0.to_be_bytes());
        out[28..33].copy_from_slice(&self.auth_time.secs().to_be_bytes()[3..]);
        out[33] = self.amr.0;
        out[34..].copy_from_slice(&self.expires.secs().to_be_bytes()[3..]);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LENGTH] = bytes.try_into().ok()?;
        let number = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let moment = |at: usize| {
            let secs = bytes[at..at + 5].iter().fold(0, |sum, b| sum << 8 | u64::from(*b));
            Timestamp::from_secs(secs)
        };
        let mut account = [0; 16];
        account.copy_from_slice(&bytes[..16]);
        Some(Self {
            account: AccountId::from_bytes(account),
            app: AppTag([bytes[16], bytes[17], bytes[18], bytes[19]]),
            epoch: Epoch(number(20)),
            app_epoch: Epoch(number(24)),
            auth_time: moment(28),
            amr: AuthMethods(bytes[33]),
            expires: moment(34),
        })
    }
}
