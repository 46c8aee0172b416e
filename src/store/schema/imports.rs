//! The table of the results of imports.

diesel::table! {
    import_results (account_id, submission) {
        account_id -> Text,
        submission -> Text,
        begun_at -> Timestamp,
        summary -> Nullable<Text>,
        sealed_passwords -> Nullable<Text>,
        key_id -> Nullable<Text>,
        fetched_at -> Nullable<Timestamp>,
    }
}
