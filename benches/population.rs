//! Many live sessions of a thousand accounts, the same in every run except for their start.

use nightlatch::{
    domain::{
        account::{Account, AccountId, Role},
        factor::{EnrolledFactors, Proofs},
        network,
        secret::digest,
        session::{Binding, Session, SessionId, SessionToken},
        time::{Span, Timestamp},
    },
    store::{Store, StoreError, accounts, sessions},
};
use std::net::IpAddr;
use uuid::Uuid;

pub const ACCOUNTS: u32 = 1_000;

/// Ids that sort like UUID version 7 and are the same in every run.
fn id(kind: u64, number: u32) -> Uuid {
    let [.., low] = kind.to_be_bytes();
    let random = [0, 0, 0, 0, 0, 0, 0, 0, 0, low];
    uuid::Builder::from_unix_timestamp_millis(1_795_281_600_000 + u64::from(number), &random).into_uuid()
}

fn address(number: u32) -> IpAddr {
    let [_, a, b, c] = (number.wrapping_mul(2_654_435_761)).to_be_bytes();
    IpAddr::from([10, a, b, c])
}

/// Writes live sessions, one signed in every millisecond from `start`.
pub fn fill(store: &Store, sessions: u32, start: Timestamp) {
    store
        .write_now(|c| {
            for number in 0..ACCOUNTS {
                accounts::insert(c, &account(number, start))?;
            }
            Ok::<_, StoreError>(())
        })
        .expect("accounts are written");
    for chunk in (0..sessions).collect::<Vec<_>>().chunks(5_000) {
        let chunk = chunk.to_vec();
        store
            .write_now(move |c| {
                chunk
                    .iter()
                    .try_for_each(|number| sessions::insert(c, &session(*number, start)))
            })
            .expect("sessions are written");
    }
}

pub fn account(number: u32, start: Timestamp) -> Account {
    let name = format!("user{number:04}");
    Account {
        id: AccountId(id(1, number)),
        name_key: name.clone(),
        name,
        display_name: String::new(),
        email: None,
        role: if number.is_multiple_of(50) {
            Role::Administrator
        } else {
            Role::Member
        },
        groups: Vec::new(),
        password_hash: String::new(),
        password_changed_at: start,
        password_set_by_other: false,
        must_change_password: false,
        disabled_at: None,
        expires_at: None,
        expired_at: None,
        expired_by: None,
        created_at: start,
        activated_at: start,
        last_sign_in_at: Some(start),
        last_session_ended_at: None,
        password_good_until: None,
        factor_required_at: None,
        factors: EnrolledFactors::NONE,
        source: None,
        external_id: None,
    }
}

pub fn session(number: u32, start: Timestamp) -> Session {
    let ip = network::canonical(address(number));
    let at = start.saturating_add(Span::from_micros(i64::from(number) * 1_000));
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    Session {
        id: SessionId(id(2, number)),
        account_id: AccountId(id(1, number % ACCOUNTS)),
        signed_in_at: at,
        last_active_at: at,
        last_seen_at: at,
        ip,
        signed_in_ip: ip,
        binding: Binding::at_sign_in(ip, Some(agent)),
        applications: Vec::new(),
        devices: Vec::new(),
        ended_at: None,
        end_reason: None,
        ended_by: None,
        end_cause: None,
        proved_at: at,
        proofs: Proofs::PASSWORD,
        tokens: vec![SessionToken {
            digest: digest(&number.to_string()),
            host: String::new(),
            issued_at: at,
            rotated: None,
            killed_at: None,
            cookie_form: "h:lax:1209600:".to_owned(),
            rotation_due: false,
            proofs: None,
        }],
    }
}
