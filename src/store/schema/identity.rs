//! The tables of sources of identities, of their security events, of sessions at providers, and of
//! the keys of devices.

diesel::table! {
    sources (id) {
        id -> Text,
        name -> Text,
        kind -> Text,
        title -> Text,
        settings -> Text,
        secret -> Nullable<Text>,
        key_id -> Nullable<Text>,
        position -> Integer,
        enabled -> Bool,
        in_file -> Bool,
        created_at -> Timestamp,
        changed_at -> Timestamp,
        synced_at -> Nullable<Timestamp>,
        synced_accounts -> BigInt,
        fault_at -> Nullable<Timestamp>,
        fault -> Nullable<Text>,
    }
}

diesel::table! {
    provider_sessions (session_id) {
        session_id -> Text,
        source_id -> Text,
        external_id -> Text,
        provider_session -> Nullable<Text>,
        authenticated_at -> Nullable<Timestamp>,
        token_expires_at -> Timestamp,
        id_token -> Text,
        key_id -> Text,
    }
}

diesel::table! {
    event_streams (source_id) {
        source_id -> Text,
        token -> Nullable<Text>,
        key_id -> Nullable<Text>,
        polled_at -> Nullable<Timestamp>,
        received -> BigInt,
        fault_at -> Nullable<Timestamp>,
        fault -> Nullable<Text>,
    }
}

diesel::table! {
    spent_provider_values (digest) {
        digest -> Text,
        expires_at -> Timestamp,
    }
}

diesel::table! {
    provider_sign_outs (digest) {
        digest -> Text,
        source_id -> Text,
        external_id -> Nullable<Text>,
        provider_session -> Nullable<Text>,
        received_at -> Timestamp,
    }
}

diesel::table! {
    device_keys (id) {
        id -> Text,
        session_id -> Text,
        host -> Text,
        public_key -> Text,
        thumbprint -> Text,
        registered_at -> Timestamp,
        proved_at -> Timestamp,
        proofs -> BigInt,
    }
}
