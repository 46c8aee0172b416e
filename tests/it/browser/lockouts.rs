//! The list of lockouts: whatever the names and reasons, actions and addresses are in sight.

use crate::harness::{
    chromium::with_browser,
    server::{PASSWORD, TestServer},
};
use nightlatch::domain::account::Role;

/// Returns the buttons and addresses that are cut, or outside of their card.
const OUT_OF_SIGHT: &str = "
    const [table] = document.querySelectorAll('.lockouts');
    const card = table.closest('.card').getBoundingClientRect();
    return [...table.querySelectorAll('.btn, .chip:not(.cut)')].filter((part) => {
      const box = part.getBoundingClientRect();
      return box.width === 0 || box.right > card.right || part.scrollWidth > part.clientWidth + 2;
    }).map((part) => part.textContent);
";

#[test]
fn actions_and_whole_addresses_of_locks_are_in_sight() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    server.account("ada", Role::Administrator);
    server.policy(&[
        ("auth.login_lock_out_at_failure", "true"),
        ("auth.login_failure_limit", "1"),
        ("auth.login_lock_out_by_combination_user_and_ip", "true"),
    ]);
    let name = "frank.zimmermann.hohenberg@department.example.org";
    server.anyone().from("127.100.100.123").sign_in(name, "wrong");
    let reason = "left the company at the end of October, see the ticket of the personnel department";
    for (field, value) in [("account", name), ("ip", "2001:db8:ffff:eeee::1")] {
        boss.post("/admin/lockouts/block", &[(field, value), ("reason", reason)])
            .expect(303);
    }
    with_browser(&server.base.clone(), async |browser| {
        browser.go("/login?return_to=%2Fadmin%2Flockouts").await;
        browser.sign_in("ada", PASSWORD).await;
        browser.arrives_at("/admin/lockouts").await;
        browser.shows("127.100.100.123").await;
        browser.shows("2001:db8:ffff:eeee::/64").await;
        for (width, height) in [(1440, 900), (1280, 800), (390, 844)] {
            browser.resize(width, height).await;
            let hidden = browser.script(OUT_OF_SIGHT).await;
            assert_eq!(hidden, serde_json::json!([]), "{width}×{height}");
            assert!(browser.fits().await, "{width}×{height}");
        }
        browser
    });
}
