//! The tables of desks, as `schema` has the others.

diesel::table! {
    clerks (key_id) {
        key_id -> Text,
        merchant_id -> Text,
        salt -> Binary,
        pin_hash -> Binary,
        pin_generation -> Integer,
    }
}

diesel::table! {
    overrides (check_id) {
        check_id -> Text,
        merchant_id -> Text,
        perk_id -> Text,
        perk -> Text,
        rule_version -> Integer,
        granted_check -> Text,
        grant_id -> Text,
        tier -> Text,
        reason -> Text,
        overridden_by -> Text,
        overridden_at -> BigInt,
        reference -> Nullable<Text>,
        amount -> Nullable<Text>,
        currency -> Nullable<Text>,
    }
}

diesel::table! {
    subject_requests (id) {
        id -> Text,
        merchant_id -> Text,
        check_id -> Text,
        subject -> Text,
        kind -> Text,
        status -> Text,
        asked_at -> BigInt,
        decided_at -> Nullable<BigInt>,
        decided_by -> Nullable<Text>,
        due_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    pin_guesses (key_id, counted) {
        key_id -> Text,
        counted -> Text,
        merchant_id -> Text,
        failures -> BigInt,
        since -> BigInt,
        locked_until -> BigInt,
    }
}

diesel::table! {
    devices (key_id) {
        key_id -> Text,
        merchant_id -> Text,
        perk -> Nullable<Text>,
        code_half -> Text,
        code_hash -> Binary,
        code_expires_at -> BigInt,
        wrong_codes -> BigInt,
        secret_hash -> Nullable<Binary>,
        words -> Nullable<Text>,
        confirmed_at -> Nullable<BigInt>,
        seen_at -> Nullable<BigInt>,
        page -> Nullable<Text>,
    }
}

diesel::table! {
    referrals (check_id) {
        check_id -> Text,
        merchant_id -> Text,
        perk_id -> Text,
        perk -> Text,
        rule_version -> Integer,
        subject -> Text,
        status -> Text,
        created_at -> BigInt,
        decided_at -> Nullable<BigInt>,
        decided_by -> Nullable<Text>,
        resolved_by -> Nullable<Text>,
        grant_id -> Nullable<Text>,
        contested_at -> Nullable<BigInt>,
        contested_by -> Nullable<Text>,
    }
}
