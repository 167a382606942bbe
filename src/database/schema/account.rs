//! The tables of accounts, as `schema` has the others.

diesel::table! {
    accounts (key_id) {
        key_id -> Text,
        merchant_id -> Nullable<Text>,
        name -> Text,
        password_hash -> Nullable<Text>,
        created_at -> BigInt,
        code_salt -> Nullable<Binary>,
        code_step -> Nullable<BigInt>,
        code_failures -> BigInt,
        suspended_at -> Nullable<BigInt>,
        subject_issuer -> Nullable<Text>,
        subject -> Nullable<Text>,
    }
}

diesel::table! {
    taken_log_ins (log_in_hash) {
        log_in_hash -> Binary,
        until -> BigInt,
    }
}

diesel::table! {
    account_recovery_codes (code_hash) {
        code_hash -> Binary,
        key_id -> Text,
    }
}

diesel::table! {
    account_sessions (token_hash) {
        token_hash -> Binary,
        key_id -> Text,
        began_at -> BigInt,
        used_at -> BigInt,
    }
}

diesel::table! {
    account_links (token_hash) {
        token_hash -> Binary,
        key_id -> Text,
        purpose -> Text,
        expires_at -> BigInt,
    }
}

diesel::table! {
    log_in_attempts (counted) {
        counted -> Binary,
        failures -> BigInt,
        since -> BigInt,
    }
}
