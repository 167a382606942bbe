//! The tables as diesel sees them: the same on both databases.

mod account;
mod desk;
mod enrolment;
mod report;

pub use account::{account_links, account_recovery_codes, account_sessions, accounts, log_in_attempts, taken_log_ins};
pub use desk::{clerks, devices, overrides, pin_guesses, referrals, subject_requests};
pub use enrolment::{
    ended_links, enrolments, heard_networks, held_feeds, held_scores, klout_ids, leases, linked_accounts, model_graces,
    models, pulled_accounts, pulls, score_due, score_history, signals, source_guards, source_models, sources,
};
pub use report::{report_heads, report_people, report_quarters};

diesel::table! {
    epochs (name) {
        name -> Text,
        value -> BigInt,
    }
}

diesel::table! {
    merchants (id) {
        id -> Text,
        slug -> Text,
        name -> Text,
        created_at -> BigInt,
        time_zone -> Text,
        is_test -> Bool,
    }
}

diesel::table! {
    api_keys (id) {
        id -> Text,
        merchant_id -> Nullable<Text>,
        hash -> Binary,
        role -> Text,
        label -> Text,
        location -> Nullable<Text>,
        kiosk -> Nullable<Text>,
        audience -> Nullable<Text>,
        created_by -> Nullable<Text>,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
        last_used_at -> Nullable<BigInt>,
        origins -> Nullable<Text>,
        airports -> Nullable<Text>,
    }
}

diesel::table! {
    month_secrets (merchant_id, month) {
        merchant_id -> Text,
        month -> Text,
        wrapped -> Binary,
        created_at -> BigInt,
    }
}

diesel::table! {
    keyring_keys (kid) {
        kid -> Text,
        purpose -> Text,
        public_key -> Nullable<Binary>,
        wrapped -> Binary,
        created_at -> BigInt,
        signs_from -> BigInt,
        retires_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    perks (id) {
        id -> Text,
        merchant_id -> Text,
        slug -> Text,
        name -> Text,
        status -> Text,
        latest_version -> Integer,
        published_version -> Nullable<Integer>,
        created_at -> BigInt,
        purpose -> Text,
        status_by -> Nullable<Text>,
        status_at -> Nullable<BigInt>,
        status_note -> Nullable<Text>,
        revision -> BigInt,
    }
}

diesel::table! {
    rule_versions (perk_id, version) {
        merchant_id -> Text,
        perk_id -> Text,
        version -> Integer,
        status -> Text,
        rule -> Text,
        rule_hash -> Text,
        change_note -> Nullable<Text>,
        author -> Text,
        created_at -> BigInt,
        published_at -> Nullable<BigInt>,
        editors -> Text,
        submitted_by -> Nullable<Text>,
        submitted_at -> Nullable<BigInt>,
        approved_by -> Nullable<Text>,
        approved_at -> Nullable<BigInt>,
        scheduled_by -> Nullable<Text>,
        scheduled_at -> Nullable<BigInt>,
        published_by -> Nullable<Text>,
        step_note -> Nullable<Text>,
        saved_by -> Nullable<Text>,
        saved_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    four_eyes (merchant_id) {
        merchant_id -> Text,
        required -> Bool,
        changed_by -> Nullable<Text>,
        changed_at -> BigInt,
        lift_by -> Nullable<Text>,
        lift_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    attributes_seen (merchant_id, name) {
        merchant_id -> Text,
        name -> Text,
        first_seen_at -> BigInt,
    }
}

diesel::table! {
    score_epochs (stripe) {
        stripe -> Integer,
        epoch -> BigInt,
    }
}

diesel::table! {
    scores (merchant_id, source, subject_ref) {
        merchant_id -> Text,
        source -> Text,
        subject_ref -> Binary,
        value -> BigInt,
        observed_at -> BigInt,
        recorded_at -> BigInt,
    }
}

diesel::table! {
    attributes (merchant_id, name) {
        merchant_id -> Text,
        name -> Text,
        #[sql_name = "type"]
        value_type -> Text,
        purpose -> Text,
        max_age_seconds -> Nullable<BigInt>,
        on_missing -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    attributes_to_clear (merchant_id, name, declared_at) {
        merchant_id -> Text,
        name -> Text,
        declared_at -> BigInt,
    }
}

diesel::table! {
    subject_attributes (merchant_id, subject_ref, attribute) {
        merchant_id -> Text,
        subject_ref -> Binary,
        attribute -> Text,
        value -> Text,
        valid_until -> Nullable<BigInt>,
        recorded_at -> BigInt,
        declared_at -> BigInt,
    }
}

diesel::table! {
    subjects (merchant_id, subject_ref) {
        merchant_id -> Text,
        subject_ref -> Binary,
        pseudonym -> Text,
        sealed -> Binary,
        created_at -> BigInt,
    }
}

diesel::table! {
    limit_counters (merchant_id, perk_id, limit_id, scope_key, window_key) {
        merchant_id -> Text,
        perk_id -> Text,
        limit_id -> Text,
        scope_key -> Text,
        window_key -> Text,
        used -> BigInt,
        last_used_at -> BigInt,
        horizon -> BigInt,
    }
}

diesel::table! {
    limit_uses (merchant_id, perk_id, limit_id, scope_key, window_key, counts_at, grant_id) {
        merchant_id -> Text,
        perk_id -> Text,
        limit_id -> Text,
        scope_key -> Text,
        window_key -> Text,
        counts_at -> BigInt,
        grant_id -> Text,
        cost -> BigInt,
        stay -> BigInt,
    }
}

diesel::table! {
    grants (id) {
        id -> Text,
        merchant_id -> Text,
        perk_id -> Text,
        check_id -> Text,
        kid -> Text,
        claims -> Text,
        audience -> Text,
        single_use -> Bool,
        granted_at -> BigInt,
        expires_at -> BigInt,
        released_at -> Nullable<BigInt>,
        voided_at -> Nullable<BigInt>,
        guests -> Nullable<Text>,
        corrected -> Nullable<Text>,
        frees_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    redemptions (grant_id, slot) {
        grant_id -> Text,
        slot -> Text,
        merchant_id -> Text,
        key_id -> Text,
        door -> Text,
        attempt -> Text,
        redeemed_at -> BigInt,
        heard_at -> Nullable<BigInt>,
        meanwhile -> Nullable<Text>,
    }
}

diesel::table! {
    idempotency (merchant_id, key_id, operation, idempotency_key) {
        merchant_id -> Text,
        key_id -> Text,
        operation -> Text,
        idempotency_key -> Text,
        request_hash -> Binary,
        outcome -> Binary,
        created_at -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    logs (id) {
        id -> Text,
        merchant_id -> Nullable<Text>,
        name -> Text,
        size -> BigInt,
        frontier -> Binary,
        root -> Binary,
        checkpoint -> Text,
        origin -> Text,
    }
}

diesel::table! {
    events (log_id, log_index) {
        log_id -> Text,
        log_index -> BigInt,
        id -> Text,
        kind -> Text,
        about -> Text,
        at -> BigInt,
        leaf_hash -> Binary,
        body -> Nullable<Text>,
    }
}

diesel::table! {
    checkpoints (log_id, size) {
        log_id -> Text,
        size -> BigInt,
        note -> Text,
        signed_at -> BigInt,
    }
}

diesel::table! {
    subtrees (log_id, level, nth) {
        log_id -> Text,
        level -> Integer,
        nth -> BigInt,
        hash -> Binary,
    }
}

diesel::table! {
    contest_additions (check_id) {
        check_id -> Text,
        merchant_id -> Text,
        case_id -> Text,
        asked_at -> BigInt,
        added_at -> BigInt,
        added_by -> Text,
    }
}

diesel::table! {
    closures (perk_id, location) {
        id -> Text,
        merchant_id -> Text,
        perk_id -> Text,
        location -> Text,
        until -> BigInt,
        message -> Nullable<Text>,
        made_at -> BigInt,
        made_by -> Text,
    }
}

// The pairs that some query joins, and no others: a compiler takes seconds over all of them.
diesel::allow_tables_to_appear_in_same_query!(accounts, api_keys);
diesel::allow_tables_to_appear_in_same_query!(checkpoints, logs);
diesel::allow_tables_to_appear_in_same_query!(clerks, api_keys);
diesel::allow_tables_to_appear_in_same_query!(devices, api_keys);
diesel::allow_tables_to_appear_in_same_query!(closures, perks);
diesel::allow_tables_to_appear_in_same_query!(contest_additions, referrals);
diesel::allow_tables_to_appear_in_same_query!(enrolments, subjects);
diesel::allow_tables_to_appear_in_same_query!(events, logs);
diesel::allow_tables_to_appear_in_same_query!(limit_counters, perks);
diesel::allow_tables_to_appear_in_same_query!(linked_accounts, pulled_accounts);
diesel::allow_tables_to_appear_in_same_query!(limit_uses, grants, redemptions);
diesel::allow_tables_to_appear_in_same_query!(logs, report_heads);
diesel::allow_tables_to_appear_in_same_query!(rule_versions, perks);
