//! The text of every email, as snapshots with sample data.

use nightlatch::{
    domain::{expiry::ExpiryRule, notification::NotificationKind, time::Timestamp},
    mail::render::{
        EmailContext, EmailTemplate, InvitationEmail, PasswordResetEmail, PasswordWasResetEmail, ResetReason,
        TestEmail, notifications::NotificationEmail,
    },
};

/// 2026-11-22 00:00 UTC, and a day later.
const AT: Timestamp = Timestamp::from_micros(1_795_305_600_000_000);
const LATER: Timestamp = Timestamp::from_micros(1_795_392_000_000_000);
const IP: &str = "203.0.113.9";
const DEVICE: &str = "Firefox · Linux";

fn context(name: &str) -> EmailContext {
    EmailContext {
        name: name.to_owned(),
        base_url: "https://nightlatch.example.org".to_owned(),
    }
}

fn link(path: &str) -> String {
    format!("https://nightlatch.example.org{path}?token=TOKEN")
}

/// Checks both bodies of an email against the snapshots `NAME_text` and `NAME_html`.
fn check(name: &str, email: &impl EmailTemplate) {
    let rendered = email.render(&context("Ada Lovelace")).unwrap();
    let subject = format!("Subject: {}", email.subject());
    insta::assert_snapshot!(format!("{name}_text"), format!("{subject}\n\n{}", rendered.text));
    insta::assert_snapshot!(format!("{name}_html"), format!("{subject}\n\n{}", rendered.html));
    assert_eq!(email.has_secret_link(), rendered.text.contains("TOKEN"), "{name}");
}

#[test]
fn emails_with_a_link_to_choose_a_password() {
    let reset = |reason| PasswordResetEmail {
        username: "ada".to_owned(),
        link: link("/password/reset"),
        until: LATER,
        reason,
    };
    check("reset_forgotten", &reset(ResetReason::Forgotten { ip: IP.to_owned() }));
    check("reset_disowned", &reset(ResetReason::SignInReported));
    check("reset_administrator", &reset(ResetReason::Administrator));
    let invitation = InvitationEmail {
        username: "ada".to_owned(),
        link: link("/password/reset"),
        until: LATER,
    };
    check("invitation", &invitation);
}

#[test]
fn emails_about_second_factors() {
    let changed = NotificationEmail::factor_changed(
        "The passkey “Phone” was added to the account ada.".to_owned(),
        "If this was not you, change your password and contact an administrator now.".to_owned(),
        AT,
        Some(DEVICE.to_owned()),
        Some(IP.to_owned()),
    );
    check("factor_changed", &changed);
    let link = NotificationEmail::enrolment_link("ada", link("/factors/enrol"), LATER);
    check("enrolment_link", &link);
}

#[test]
fn emails_about_the_installation() {
    check("test", &TestEmail { sent_at: AT });
    let lines = ["2 lockouts began.".to_owned(), "boss changed the policy.".to_owned()];
    let digest = NotificationEmail::digest(AT, LATER, &lines, "https://nightlatch.example.org");
    check("digest", &digest);
}

#[test]
fn emails_about_the_password() {
    let was_reset = PasswordWasResetEmail {
        username: "ada".to_owned(),
        at: AT,
        ip: IP.to_owned(),
    };
    check("was_reset", &was_reset);
    let by_owner = NotificationEmail::password_changed("ada", AT, true, Some(DEVICE), Some(IP));
    check("password_changed_by_owner", &by_owner);
    let by_administrator = NotificationEmail::password_changed("ada", AT, false, None, None);
    check("password_changed_by_administrator", &by_administrator);
}

#[test]
fn emails_about_the_email_address() {
    let new = "ada.new@example.org";
    let confirm = |both| NotificationEmail::confirm_email("ada", both, link("/email/confirm"), LATER);
    check("confirm_email_both", &confirm(true));
    check("confirm_email", &confirm(false));
    let asked_for = NotificationEmail::email_asked_for("ada", new, link("/email/confirm"), LATER);
    check("email_asked_for", &asked_for);
    check("email_taken", &NotificationEmail::email_taken("eve"));
    let changed = NotificationEmail::email_changed("ada", AT, Some("ada@example.org"), Some(new));
    check("email_changed", &changed);
}

#[test]
fn emails_about_sign_ins() {
    let new_sign_in = NotificationEmail::new_sign_in("ada", AT, DEVICE, IP, link("/not-me"), LATER);
    check("new_sign_in", &new_sign_in);
    check(
        "locked_out",
        &NotificationEmail::locked_out("ada", AT, 3, Some(IP), false),
    );
    let by_address = NotificationEmail::locked_out("ada", AT, 3, Some(IP), true);
    check("locked_out_by_address", &by_address);
    let kinds = [NotificationKind::SignIn, NotificationKind::Lockout];
    let switched_off = NotificationEmail::switched_off("ada", AT, &kinds, IP.parse().ok());
    check("switched_off", &switched_off);
}

#[test]
fn emails_about_expiry() {
    let inactive = NotificationEmail::expires_soon("ada", LATER, ExpiryRule::ExpireUnusedAfter);
    check("expires_soon_inactive", &inactive);
    let date = NotificationEmail::expires_soon("ada", LATER, ExpiryRule::ExpiresAt);
    check("expires_soon", &date);
    check("expired", &NotificationEmail::expired("ada", AT));
    check("reactivated", &NotificationEmail::reactivated("ada", AT));
}

#[test]
fn markup_in_a_name_is_text_in_an_email() {
    let evil = "<img src=x onerror=alert(1)>";
    let email = PasswordWasResetEmail {
        username: evil.to_owned(),
        at: AT,
        ip: evil.to_owned(),
    };
    let rendered = email.render(&context(evil)).unwrap();
    assert!(!rendered.html.contains("<img"), "{}", rendered.html);
    assert!(rendered.text.contains(evil), "plain text stays as it is");
}
