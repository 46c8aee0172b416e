//! Why a session cannot enrol a factor.

/// Why a factor cannot be enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolmentRefusal {
    /// The policy switches this kind off.
    Off,
    /// People reach this server by an IP address, for which browsers support no passkeys.
    NoPasskeysHere,
    /// A first factor needs an enrolment link from an administrator.
    LinkNeeded,
    /// The account has a factor that this session has not proved.
    ProveFirst,
    /// A passkey is required, and an authenticator app would not meet that.
    PasskeyRequired,
    /// The account has the most passkeys allowed.
    TooMany,
}

/// Why a session cannot enrol a factor of each kind; `None`: it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnrolmentRefusals {
    /// An authenticator app.
    pub app: Option<EnrolmentRefusal>,
    /// A passkey.
    pub passkey: Option<EnrolmentRefusal>,
}

impl EnrolmentRefusals {
    /// Returns why neither kind can be enrolled; `None`: at least one can.
    pub fn of_every_kind(self) -> Option<EnrolmentRefusal> {
        match (self.app?, self.passkey?) {
            // The reason why there is no passkey is more useful than that an app would not be
            // enough.
            (EnrolmentRefusal::Off | EnrolmentRefusal::PasskeyRequired, passkey) => Some(passkey),
            (app, _) => Some(app),
        }
    }
}
