//! The tables of sources, and of people who are scored, as `schema` has the others.

diesel::table! {
    sources (merchant_id, name) {
        merchant_id -> Text,
        name -> Text,
        minimum -> BigInt,
        maximum -> BigInt,
        created_at -> BigInt,
        refresh_seconds -> Nullable<BigInt>,
        kind -> Text,
        model -> Nullable<Text>,
        due_after -> Nullable<Binary>,
    }
}

diesel::table! {
    enrolments (merchant_id, subject_ref) {
        merchant_id -> Text,
        subject_ref -> Binary,
        pseudonym -> Text,
        enrolled_at -> BigInt,
        leaderboard_at -> Nullable<BigInt>,
        comparison_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    linked_accounts (merchant_id, subject_ref, account_hash) {
        merchant_id -> Text,
        subject_ref -> Binary,
        account_hash -> Binary,
        network -> Text,
        sealed -> Binary,
        proof -> Text,
        linked_at -> BigInt,
        proven_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    signals (merchant_id, subject_ref, id) {
        merchant_id -> Text,
        subject_ref -> Binary,
        id -> Binary,
        network -> Text,
        signal -> Text,
        kind -> Integer,
        day -> BigInt,
        seen_at -> BigInt,
        actor -> Nullable<Binary>,
        object -> Nullable<Binary>,
        value -> BigInt,
    }
}

diesel::table! {
    ended_links (merchant_id, subject_ref, network) {
        merchant_id -> Text,
        subject_ref -> Binary,
        network -> Text,
    }
}

diesel::table! {
    heard_networks (merchant_id, network) {
        merchant_id -> Text,
        network -> Text,
        heard_at -> BigInt,
    }
}

diesel::table! {
    models (merchant_id, hash) {
        merchant_id -> Text,
        hash -> Text,
        body -> Text,
    }
}

diesel::table! {
    score_due (merchant_id, source, subject_ref) {
        merchant_id -> Text,
        source -> Text,
        subject_ref -> Binary,
        day -> BigInt,
        turn -> BigInt,
    }
}

diesel::table! {
    leases (name) {
        name -> Text,
        fence -> BigInt,
        held_until -> BigInt,
    }
}

diesel::table! {
    score_history (merchant_id, source, subject_ref, first_day) {
        merchant_id -> Text,
        source -> Text,
        subject_ref -> Binary,
        first_day -> BigInt,
        last_day -> BigInt,
        value -> BigInt,
    }
}

diesel::table! {
    klout_ids (merchant_id, id) {
        merchant_id -> Text,
        id -> BigInt,
        subject_ref -> Binary,
        sealed -> Binary,
    }
}

diesel::table! {
    source_models (merchant_id, source, hash) {
        merchant_id -> Text,
        source -> Text,
        hash -> Text,
        submitted_by -> Text,
        submitted_at -> BigInt,
        grace_days -> BigInt,
        approved_by -> Nullable<Text>,
        published -> Bool,
    }
}

diesel::table! {
    model_graces (merchant_id, source, model) {
        merchant_id -> Text,
        source -> Text,
        model -> Text,
        until -> BigInt,
    }
}

diesel::table! {
    source_guards (merchant_id, source) {
        merchant_id -> Text,
        source -> Text,
        share -> BigInt,
        points -> BigInt,
    }
}

diesel::table! {
    held_feeds (merchant_id, id) {
        merchant_id -> Text,
        id -> Text,
        source -> Text,
        kind -> Text,
        state -> Text,
        touched_at -> BigInt,
        held_at -> Nullable<BigInt>,
        digest -> Nullable<Binary>,
        share -> BigInt,
        points -> BigInt,
        compared -> BigInt,
        up -> BigInt,
        down -> BigInt,
        largest -> BigInt,
        common_value -> Nullable<BigInt>,
        common_people -> BigInt,
    }
}

diesel::table! {
    held_scores (merchant_id, feed, subject_ref) {
        merchant_id -> Text,
        feed -> Text,
        subject_ref -> Binary,
        value -> BigInt,
        observed_at -> BigInt,
    }
}

diesel::table! {
    pulls (merchant_id, source) {
        merchant_id -> Text,
        source -> Text,
        spec -> Text,
        spent_day -> BigInt,
        spent -> BigInt,
        failures -> BigInt,
        waits_until -> BigInt,
        wait -> Nullable<Text>,
        run_at -> Nullable<BigInt>,
        answered_at -> Nullable<BigInt>,
        fault -> Nullable<Text>,
    }
}

diesel::table! {
    pulled_accounts (merchant_id, subject_ref, account_hash, source) {
        merchant_id -> Text,
        subject_ref -> Binary,
        account_hash -> Binary,
        source -> Text,
        due_at -> BigInt,
        answered_at -> Nullable<BigInt>,
        etag -> Nullable<Text>,
        missing_since -> Nullable<BigInt>,
        fault -> Nullable<Text>,
    }
}
