//! Tests of [`super`].

use super::*;

fn client(purpose: HashingPurpose, host: u8) -> HashingClient {
    HashingClient::new(purpose, Some([192, 0, 2, host].into()))
}

/// Takes places until none is left for this client.
fn take_all(shares: &Arc<QueueShares>, client: &HashingClient) -> Vec<QueuePlace> {
    std::iter::from_fn(|| shares.take(client)).collect()
}

#[test]
fn one_address_takes_a_quarter_and_leaves_the_rest_to_the_others() {
    let shares = Arc::new(QueueShares::new(16));
    let taken = take_all(&shares, &client(HashingPurpose::SignIn, 1));
    assert_eq!(taken.len(), 4);
    assert!(
        shares.take(&client(HashingPurpose::OwnPassword, 1)).is_none(),
        "for any purpose"
    );
    assert!(shares.take(&client(HashingPurpose::SignIn, 2)).is_some());
    drop(taken);
    assert!(
        shares.take(&client(HashingPurpose::SignIn, 1)).is_some(),
        "places come back"
    );
}

#[test]
fn no_other_purpose_takes_the_queue_places_of_sign_ins() {
    for (purpose, most) in [
        (HashingPurpose::MailedLink, 4),
        (HashingPurpose::Administration, 4),
        (HashingPurpose::OwnPassword, 8),
        (HashingPurpose::SignIn, 16),
    ] {
        let shares = Arc::new(QueueShares::new(16));
        // The number of addresses makes no difference.
        let taken: Vec<QueuePlace> = (1..=60)
            .filter_map(|host| shares.take(&client(purpose, host)))
            .collect();
        assert_eq!(taken.len(), most, "{purpose:?}");
        if purpose != HashingPurpose::SignIn {
            assert!(
                shares.take(&client(HashingPurpose::SignIn, 99)).is_some(),
                "{purpose:?}"
            );
        }
    }
}

#[test]
fn addresses_of_one_ipv6_network_are_one_client() {
    let shares = Arc::new(QueueShares::new(16));
    let at = |ip: &str| HashingClient::new(HashingPurpose::SignIn, ip.parse().ok());
    let _taken = take_all(&shares, &at("2001:db8::1"));
    assert!(shares.take(&at("2001:db8::ffff")).is_none());
    assert!(shares.take(&at("2001:db8:0:1::1")).is_some());
}
