//! The table of the forms that were sent.

diesel::table! {
    form_submissions (account_id, submission) {
        account_id -> Text,
        submission -> Text,
        route -> Text,
        begun_at -> Timestamp,
        outcome -> Nullable<Text>,
        sealed_secrets -> Nullable<Text>,
        key_id -> Nullable<Text>,
        fetched_at -> Nullable<Timestamp>,
    }
}
