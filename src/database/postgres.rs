//! The conditions that a PostgreSQL session must meet for the promises to hold, and servers that can't meet them.

use std::sync::mpsc;
use std::time::Duration;

use diesel::RunQueryDsl as _;
use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use diesel::sql_types::{Integer, Nullable, Text};

use super::connection::{self, AnyConnection, ConnectionUse, DatabaseUrl};
use super::error::DatabaseError;

/// The longest that examining a server may take: behind a pooler that has one connection to give, a second session
/// would wait for minutes.
const EXAMINATION: Duration = Duration::from_secs(10);

/// So many sessions hold a server connection each while the first one looks whether it still has its own.
const HOLDERS: usize = 3;

/// Sets whatever a database or a role may have set otherwise and the gateway depends on. Never the
/// `search_path`: that is how an operator says in which schema the tables are.
///
/// - `synchronous_commit`: a grant must be on disk when its token leaves.
/// - `default_transaction_isolation`: for single statements; [`connection::begin`] says it itself.
/// - `idle_in_transaction_session_timeout`: a process that was frozen (`SIGSTOP`, a paused machine, a cut network)
///   in the middle of a transaction holds the log heads, and all other replicas wait for them. The server ends
///   its session then. A session that only reads holds nothing that others wait for.
/// - `plan_cache_mode`: the statements of a batch are long, and take arrays of whatever length; each has one good plan,
///   which to look for again costs as much as to run it.
/// - `tcp_…`: the same for a server that sends to a peer that is not there any more.
///
/// Those that not every version has are set where they are.
pub(super) fn set_up(conn: &mut PgConnection, purpose: ConnectionUse) -> Result<(), DatabaseError> {
    let (idle, plans) = match purpose {
        ConnectionUse::Reading => ("60s", "auto"),
        ConnectionUse::Writing => ("5s", "auto"),
        ConnectionUse::Recording => ("5s", "force_generic_plan"),
    };
    Ok(conn.batch_execute(&format!(
        "SET synchronous_commit = on; SET default_transaction_isolation = 'read committed'; \
         SET default_transaction_deferrable = off; SET standard_conforming_strings = on; SET TIME ZONE 'UTC'; \
         SET lock_timeout = '5s'; SET statement_timeout = '10s'; SET idle_in_transaction_session_timeout = '{idle}'; \
         SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; \
         SET client_min_messages = warning; \
         SELECT set_config(name, wanted, false) FROM (VALUES ('tcp_user_timeout', '10s'), \
         ('plan_cache_mode', '{plans}'), \
         ('idle_session_timeout', '0'), ('transaction_timeout', '0')) AS optional (name, wanted) \
         WHERE current_setting(name, true) IS NOT NULL"
    ))?)
}

/// Opens a first session and refuses a server that can't keep the promises.
///
/// # Errors
/// [`DatabaseError::Unavailable`] when nothing answers; [`DatabaseError::Unfit`] with what to do.
pub(super) fn examine(url: &DatabaseUrl) -> Result<(), DatabaseError> {
    let (done, outcome) = mpsc::channel();
    let place = url.clone();
    let examined = std::thread::Builder::new().name("examine".to_owned()).spawn(move || {
        let _ = done.send(examine_sessions(&place));
    });
    examined.map_err(DatabaseError::unavailable)?;
    outcome.recv_timeout(EXAMINATION).unwrap_or_else(|_| {
        Err(DatabaseError::Unavailable(
            "it let a session begin and then kept the gateway waiting: it hangs, or a connection pooler has too few server connections".to_owned(),
        ))
    })
}

fn examine_sessions(url: &DatabaseUrl) -> Result<(), DatabaseError> {
    let open = || match connection::open(url, ConnectionUse::Writing)? {
        AnyConnection::Postgres(conn) => Ok(conn),
        AnyConnection::Sqlite(_) => Err(DatabaseError::Query("not a PostgreSQL".to_owned())),
    };
    let mut first = open()?;
    has_unicode(&mut first)?;
    keeps_sessions(&mut first, open)
}

#[derive(diesel::QueryableByName)]
struct Encoding {
    #[diesel(sql_type = Text)]
    encoding: String,
}

/// Handles and labels are any Unicode: in another encoding some can't be stored, which would show only when
/// someone of that name comes.
fn has_unicode(conn: &mut PgConnection) -> Result<(), DatabaseError> {
    let query = "SELECT current_setting('server_encoding') AS encoding";
    let Encoding { encoding } = diesel::sql_query(query).get_result(conn)?;
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(DatabaseError::Unfit {
        reason: format!("the database's encoding is {encoding}, and it must be UTF8"),
        remedy: "CREATE DATABASE perkgate ENCODING 'UTF8' TEMPLATE template0, and its name in PERKGATE_DATABASE_URL",
    })
}

#[derive(diesel::QueryableByName, PartialEq, Eq)]
struct Session {
    #[diesel(sql_type = Integer)]
    process: i32,
    #[diesel(sql_type = Nullable<Text>)]
    mark: Option<String>,
}

/// Refuses a pooler (PgBouncer and its like) that hands each transaction, or each statement, to whichever
/// server connection is free: what [`set_up`] sets would hold for someone else, `synchronous_commit` among
/// it, and nobody would notice before a power cut. Others that begin transactions meanwhile take away the server
/// connection that the first session was given; a session of its own doesn't care.
fn keeps_sessions(
    first: &mut PgConnection,
    open: impl Fn() -> Result<PgConnection, DatabaseError>,
) -> Result<(), DatabaseError> {
    let look = |conn: &mut PgConnection| {
        diesel::sql_query("SELECT pg_backend_pid() AS process, current_setting('perkgate.session', true) AS mark")
            .get_result::<Session>(conn)
    };
    first.batch_execute("SELECT set_config('perkgate.session', pg_backend_pid()::text, false)")?;
    let process = look(first)?.process;
    let kept = Session { process, mark: Some(process.to_string()) };
    let mut holders = Vec::new();
    for _ in 0..HOLDERS {
        let mut holder = open()?;
        // In statement mode the pooler refuses it; nothing else does, just after so many settings were taken.
        holder
            .batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT 1")
            .map_err(|_| open().err().unwrap_or_else(pooled))?;
        holders.push(holder);
        match look(first) {
            Ok(session) if session == kept => {}
            Ok(_) => return Err(pooled()),
            // Prepared on one server connection, run on another.
            Err(_) => return Err(open().err().unwrap_or_else(pooled)),
        }
    }
    Ok(())
}

fn pooled() -> DatabaseError {
    DatabaseError::Unfit {
        reason: "a connection pooler in transaction or statement mode stands before the database: session settings \
                 don't survive there, and with them that commits are on disk"
            .to_owned(),
        remedy: "PERKGATE_DATABASE_URL with the address of PostgreSQL itself, or the pooler in session mode \
                 (PgBouncer: pool_mode = session)",
    }
}
