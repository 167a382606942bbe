//! The tables of what reports have summed up.

diesel::table! {
    report_heads (merchant_id) {
        merchant_id -> Text,
        log_index -> BigInt,
        revision -> BigInt,
    }
}

diesel::table! {
    report_quarters (merchant_id, report, quarter) {
        merchant_id -> Text,
        report -> Text,
        quarter -> BigInt,
        sums -> Binary,
    }
}

diesel::table! {
    report_people (merchant_id, subject, log_index) {
        merchant_id -> Text,
        subject -> Text,
        log_index -> BigInt,
    }
}
