//! The table of the targets to which the audit is shipped.

diesel::table! {
    audit_targets (name) {
        name -> Text,
        seal -> BigInt,
        entry_id -> Nullable<Text>,
        position -> BigInt,
        shipped -> BigInt,
        missed_seals -> BigInt,
        shipped_at -> Nullable<Timestamp>,
        failures -> BigInt,
        fault_at -> Nullable<Timestamp>,
        fault -> Nullable<Text>,
        retry_at -> Nullable<Timestamp>,
        lease -> BigInt,
        leased_until -> Nullable<Timestamp>,
    }
}
