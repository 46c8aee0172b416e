//! The tables for diesel, written by hand to match `migrations/` for both databases.

mod forms;
mod identity;
mod shipping;

pub use forms::form_submissions;
pub use identity::{device_keys, event_streams, provider_sessions, provider_sign_outs, sources, spent_provider_values};
pub use shipping::audit_targets;

diesel::table! {
    /// Diesel's own record of applied migrations.
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

diesel::table! {
    meta (name) {
        name -> Text,
        value -> Text,
    }
}

diesel::table! {
    accounts (id) {
        id -> Text,
        name -> Text,
        name_key -> Text,
        name_sort -> Text,
        search -> Text,
        display_name -> Text,
        email -> Nullable<Text>,
        role -> Text,
        member_of -> Text,
        password_hash -> Text,
        password_changed_at -> Timestamp,
        password_set_by_other -> Bool,
        must_change_password -> Bool,
        disabled_at -> Nullable<Timestamp>,
        expires_at -> Nullable<Timestamp>,
        expired_at -> Nullable<Timestamp>,
        expired_by -> Nullable<Text>,
        created_at -> Timestamp,
        activated_at -> Timestamp,
        last_sign_in_at -> Nullable<Timestamp>,
        last_session_ended_at -> Nullable<Timestamp>,
        password_good_until -> Nullable<Timestamp>,
        factor_required_at -> Nullable<Timestamp>,
        authenticator_app -> Bool,
        passkeys -> Integer,
        recovery_codes -> Integer,
        source_id -> Nullable<Text>,
        external_id -> Nullable<Text>,
    }
}

diesel::table! {
    password_history (account_id, changed_at, password_hash) {
        account_id -> Text,
        changed_at -> Timestamp,
        password_hash -> Text,
    }
}

diesel::table! {
    known_networks (account_id, network) {
        account_id -> Text,
        network -> Text,
        seen_at -> Timestamp,
    }
}

diesel::table! {
    sessions (id) {
        id -> Text,
        account_id -> Text,
        signed_in_at -> Timestamp,
        last_active_at -> Timestamp,
        last_seen_at -> Timestamp,
        ip -> Text,
        ip_key -> Text,
        signed_in_ip -> Text,
        user_agent -> Nullable<Text>,
        accepted_v4 -> Nullable<Text>,
        accepted_v6 -> Nullable<Text>,
        network_changes -> Integer,
        first_change_at -> Nullable<Timestamp>,
        ended_at -> Nullable<Timestamp>,
        end_reason -> Nullable<Text>,
        ended_by -> Nullable<Text>,
        end_cause -> Nullable<Text>,
        proved_at -> Nullable<Timestamp>,
        proofs -> Text,
    }
}

diesel::table! {
    session_applications (session_id, application) {
        session_id -> Text,
        application -> Text,
        live -> Bool,
    }
}

diesel::table! {
    session_tokens (digest) {
        digest -> Text,
        session_id -> Text,
        host -> Text,
        cookie_form -> Text,
        issued_at -> Timestamp,
        rotated_at -> Nullable<Timestamp>,
        rotated_from -> Nullable<Text>,
        rotated_to -> Nullable<Text>,
        killed_at -> Nullable<Timestamp>,
        rotation_due -> Bool,
        proofs -> Nullable<Text>,
    }
}

diesel::table! {
    lockouts (id) {
        id -> Text,
        kind -> Text,
        ip -> Nullable<Text>,
        account_key -> Nullable<Text>,
        user_agent -> Nullable<Text>,
        ip_key -> Nullable<Text>,
        search -> Text,
        counter -> Text,
        failures -> Integer,
        locked -> Bool,
        counting -> Bool,
        locked_at -> Nullable<Timestamp>,
        blocked_until -> Nullable<Timestamp>,
        last_attempt_at -> Timestamp,
        last_ip -> Nullable<Text>,
        names_tried -> Text,
        refused -> BigInt,
        refused_minute -> BigInt,
    }
}

diesel::table! {
    policies (revision) {
        revision -> BigInt,
        saved_at -> Timestamp,
        author -> Text,
        reason -> Text,
        kind -> Text,
        document -> Text,
        changes -> Text,
        confirm_by -> Nullable<Timestamp>,
        confirmed -> Bool,
    }
}

diesel::table! {
    pins (instance) {
        instance -> Text,
        published_at -> Timestamp,
        document -> Text,
    }
}

diesel::table! {
    policy_drafts (id) {
        id -> Text,
        account_id -> Text,
        drafted_at -> Timestamp,
        base -> BigInt,
        about -> Text,
        reason -> Text,
        changes -> Text,
        notes -> Text,
    }
}

diesel::table! {
    audit (id) {
        id -> Text,
        happened_at -> Timestamp,
        event -> Text,
        actor -> Text,
        actor_key -> Text,
        actor_id -> Nullable<Text>,
        account -> Nullable<Text>,
        account_key -> Nullable<Text>,
        account_id -> Nullable<Text>,
        session_id -> Nullable<Text>,
        ip -> Nullable<Text>,
        ip_key -> Nullable<Text>,
        user_agent -> Nullable<Text>,
        application -> Nullable<Text>,
        outcome -> Text,
        reason -> Nullable<Text>,
        detail -> Text,
        request_id -> Nullable<Text>,
        search -> Text,
    }
}

diesel::table! {
    audit_seals (number) {
        number -> BigInt,
        sealed_at -> Timestamp,
        first_id -> Text,
        last_id -> Text,
        entries -> BigInt,
        previous -> Text,
        digest -> Text,
    }
}

diesel::table! {
    setup_tokens (digest) {
        digest -> Text,
        created_at -> Timestamp,
    }
}

diesel::table! {
    change_counter (id) {
        id -> SmallInt,
        seq -> BigInt,
    }
}

diesel::table! {
    changes (seq) {
        seq -> BigInt,
        changed_at -> Timestamp,
        writer -> Text,
        kind -> Text,
        subject -> Text,
    }
}

diesel::table! {
    applications (name) {
        name -> Text,
        name_sort -> Text,
        roles -> Text,
        member_of -> Text,
        public_paths -> Text,
        created_at -> Timestamp,
        changed_at -> Timestamp,
    }
}

diesel::table! {
    application_places (host, prefix) {
        host -> Text,
        prefix -> Text,
        application -> Text,
    }
}

diesel::table! {
    handovers (digest) {
        digest -> Text,
        session_id -> Text,
        host -> Text,
        nonce -> Text,
        user_agent -> Text,
        network_v4 -> Nullable<Text>,
        network_v6 -> Nullable<Text>,
        return_to -> Text,
        issued_at -> Timestamp,
        expires_at -> Timestamp,
        redeemed_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    forwarded_requests (kind, subject) {
        kind -> Text,
        subject -> Text,
        asked_at -> Timestamp,
        peer -> Text,
        dialect -> Text,
        lacks -> Text,
    }
}

diesel::table! {
    outbox (id) {
        id -> Text,
        kind -> Text,
        account_id -> Nullable<Text>,
        recipient -> Text,
        recipient_name -> Text,
        subject -> Text,
        body -> Nullable<Text>,
        secret -> Bool,
        message_id -> Text,
        dedupe -> Nullable<Text>,
        state -> Text,
        queued_at -> Timestamp,
        due_at -> Timestamp,
        give_up_at -> Timestamp,
        attempts -> Integer,
        leased_until -> Nullable<Timestamp>,
        words -> Text,
        finished_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    password_links (digest) {
        digest -> Text,
        account_id -> Text,
        kind -> Text,
        email -> Text,
        password_changed_at -> Timestamp,
        made_at -> Timestamp,
        expires_at -> Timestamp,
    }
}

diesel::table! {
    reset_requests (id) {
        id -> Text,
        account_key -> Text,
        ip -> Text,
        user_agent -> Nullable<Text>,
        request_id -> Nullable<Text>,
        requested_at -> Timestamp,
    }
}

diesel::table! {
    reset_counters (id) {
        id -> Text,
        recent -> Text,
        refused -> Integer,
        last_at -> Timestamp,
    }
}

diesel::table! {
    directory_binds (subject) {
        subject -> Text,
        instants -> Text,
        last_at -> Timestamp,
    }
}

diesel::table! {
    email_changes (account_id) {
        account_id -> Text,
        old_email -> Nullable<Text>,
        new_email -> Text,
        new_digest -> Text,
        old_digest -> Text,
        requested_at -> Timestamp,
        new_confirmed_at -> Nullable<Timestamp>,
        old_confirmed_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    lockout_notices (id) {
        id -> Text,
        account_key -> Text,
        failures -> Integer,
        ip -> Nullable<Text>,
        by_address -> Bool,
        began_at -> Timestamp,
    }
}

diesel::table! {
    notices (account_id, kind) {
        account_id -> Text,
        kind -> Text,
        off -> Bool,
        about -> Nullable<Timestamp>,
    }
}

diesel::table! {
    known_devices (account_id, device) {
        account_id -> Text,
        device -> Text,
        seen_at -> Timestamp,
    }
}

diesel::table! {
    disavowals (digest) {
        digest -> Text,
        account_id -> Text,
        made_at -> Timestamp,
        device -> Text,
        ip -> Text,
    }
}

diesel::table! {
    authenticator_apps (id) {
        id -> Text,
        account_id -> Text,
        sealed_secret -> Text,
        key_id -> Text,
        last_step -> BigInt,
        made_at -> Timestamp,
        confirmed_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    passkeys (id) {
        id -> Text,
        account_id -> Text,
        name -> Text,
        credential_id -> Text,
        credential -> Text,
        domain -> Text,
        added_at -> Timestamp,
        last_used_at -> Nullable<Timestamp>,
        synced -> Bool,
    }
}

diesel::table! {
    recovery_codes (digest) {
        digest -> Text,
        account_id -> Text,
        made_at -> Timestamp,
    }
}

diesel::table! {
    pending_sign_ins (digest) {
        digest -> Text,
        account_id -> Text,
        proofs -> Text,
        password_changed_at -> Timestamp,
        user_agent -> Text,
        network -> Text,
        host -> Text,
        application -> Nullable<Text>,
        return_to -> Text,
        provider -> Nullable<Text>,
        attempts -> Integer,
        made_at -> Timestamp,
        expires_at -> Timestamp,
    }
}

diesel::table! {
    used_passkey_challenges (digest) {
        digest -> Text,
        expires_at -> Timestamp,
    }
}

diesel::table! {
    trusted_browsers (id) {
        id -> Text,
        digest -> Text,
        account_id -> Text,
        password_changed_at -> Timestamp,
        label -> Text,
        made_at -> Timestamp,
        last_used_at -> Timestamp,
        expires_at -> Timestamp,
    }
}

diesel::table! {
    enrolment_links (digest) {
        digest -> Text,
        account_id -> Text,
        email -> Nullable<Text>,
        made_at -> Timestamp,
        expires_at -> Timestamp,
    }
}

diesel::joinable!(sessions -> accounts (account_id));
diesel::joinable!(session_tokens -> sessions (session_id));
diesel::joinable!(provider_sessions -> sessions (session_id));
diesel::allow_tables_to_appear_in_same_query!(
    accounts,
    password_history,
    password_links,
    known_networks,
    provider_sessions,
    sessions,
    session_applications,
    session_tokens,
    sources
);
