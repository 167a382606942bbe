//! A run: the accounts that are due, those first that were asked about longest ago, batch by batch under a lease.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Handle;

use super::connectors;
use super::outcome::{Account, Found, Profile, PullProgress, PullReport, Stop, Wait};
use super::proof::is_proven;
use super::session::Session;
use super::spec::Connector;
use super::store::{self, Asked, DueAccount, RunState};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::subject::SubjectRef;
use crate::ledger::write::subjects::open_sealed;
use crate::scores::computing::store::due::mark_due;
use crate::scores::computing::store::lease;
use crate::scores::enrolment::account::{AccountState, LinkedAccount, PROOF_STANDS};
use crate::scores::enrolment::open_account;
use crate::scores::enrolment::store::{list_accounts, list_enrolled, set_proven};
use crate::scores::error::ScoreError;
use crate::scores::score::Score;
use crate::scores::signals::store::ended;

/// The accounts that are listed at once.
const LISTED: i64 = 500;

/// The interval at which an account is asked about again where its source says nothing.
const USUAL_REFRESH: SignedDuration = SignedDuration::from_hours(24);

/// An account of which nothing could be learnt is asked about again after this, or sooner if it is renewed more often.
const ASKED_AGAIN: SignedDuration = SignedDuration::from_hours(6);

/// An account that is still to be proven is looked at as often.
const PROOF_LOOK: SignedDuration = SignedDuration::from_mins(10);

/// An account is missing once the service has said so twice, and as long apart: one answer may be a mishap.
const MISSING_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// A run under way. One that is dropped leaves the rest due.
pub struct PullRun {
    session: Session,
    refresh: SignedDuration,
    began_at: Timestamp,
    queue: VecDeque<Account>,
    due: u64,
    report: PullReport,
    is_over: bool,
}

impl PullRun {
    /// Begins a run; one that is to `wait` is over before it asks anything.
    pub(super) async fn begin(
        session: Session,
        refresh: Option<i64>,
        wait: Option<(i64, Wait)>,
    ) -> Result<Self, ScoreError> {
        let (of, network, now) = (session.of.clone(), session.pull.network.clone(), session.now());
        let times = times(now);
        let count = move |conn: &mut AnyConnection| store::count_due(conn, (&of.0, &of.1, &network), times);
        let due = session.pulls.scores.database.read(count).await?;
        let refresh = refresh.map_or(USUAL_REFRESH, SignedDuration::from_secs);
        let report = PullReport::default();
        let mut this = Self { session, refresh, began_at: now, queue: VecDeque::new(), due, report, is_over: false };
        if let Some((until, wait)) = wait {
            this.report.waits_until = Some(from_micros(until));
            this.report.wait = Some(wait.as_str());
            this.give_back().await?;
        }
        Ok(this)
    }

    /// The report on what was done so far.
    #[must_use]
    pub const fn report(&self) -> &PullReport {
        &self.report
    }

    /// Asks about the next accounts; none when nobody is due any more, or nothing may be sent for now, as the report says.
    ///
    /// # Errors
    /// [`ScoreError::UnderWay`] when another run has taken over; the database's. What was written by then stands.
    pub async fn step(&mut self) -> Result<Option<PullProgress>, ScoreError> {
        if self.is_over {
            return Ok(None);
        }
        match self.ask_next().await {
            Ok(true) => Ok(Some(PullProgress { done: self.report.accounts, of: self.due.max(self.report.accounts) })),
            Ok(false) => {
                self.end(None).await?;
                Ok(None)
            }
            Err(Stop::Wait(until, wait)) => {
                self.end(Some((until, wait.as_str()))).await?;
                Ok(None)
            }
            Err(Stop::Superseded) => {
                self.is_over = true;
                Err(ScoreError::UnderWay)
            }
            Err(Stop::Error(error)) => Err(error),
        }
    }

    /// Ends the run before everyone was asked about; what is left is due still.
    ///
    /// # Errors
    /// The database's.
    pub async fn leave(&mut self) -> Result<(), ScoreError> {
        if self.is_over { Ok(()) } else { self.end(None).await }
    }

    async fn ask_next(&mut self) -> Result<bool, Stop> {
        if self.queue.is_empty() {
            self.list().await?;
        }
        let most = self.session.pull.connector.batch().min(self.queue.len());
        let batch: Vec<Account> = self.queue.drain(..most).collect();
        if batch.is_empty() {
            return Ok(false);
        }
        let found = connectors::look(&mut self.session, &batch).await;
        self.report.requests = self.session.requests;
        self.report.fault.clone_from(&self.session.fault);
        let found = match found {
            Ok(found) => found,
            Err(stop @ Stop::Wait(..)) => {
                // The next run begins with others: one account that a service stumbles over must not hold up the rest.
                for account in &batch {
                    self.put_off(account).await?;
                }
                return Err(stop);
            }
            Err(stop) => return Err(stop),
        };
        for (account, found) in batch.iter().zip(found) {
            self.keep(account, found).await?;
        }
        Ok(true)
    }

    /// Lists the next of those who are due.
    async fn list(&mut self) -> Result<(), Stop> {
        let (of, network, times) = (self.session.of.clone(), self.session.pull.network.clone(), times(self.began_at));
        let context = self.session.pulls.enrolments.context.clone();
        let now = self.session.now();
        let list = move |conn: &mut AnyConnection| {
            let due = store::list_due(conn, (&of.0, &of.1, &network), times, LISTED)?;
            let mut subjects: Vec<SubjectRef> =
                due.iter().map(|it| reference(&it.row.subject_ref)).collect::<Result<_, _>>()?;
            subjects.sort_unstable();
            subjects.dedup();
            let mut secrets = std::collections::HashMap::new();
            for (subject, row, pseudonym, sealed) in list_enrolled(conn, &of.0, &subjects)? {
                secrets.insert(subject, open_sealed(&context.keyring, &of.0, (&row, &pseudonym, &sealed))?.secret);
            }
            let mut accounts = VecDeque::with_capacity(due.len());
            for DueAccount { row, etag, missing_since } in due {
                let Some(secret) = secrets.get(&row.subject_ref) else { continue };
                let linked = open_account(&row, secret, now)?;
                let subject = reference(&row.subject_ref)?;
                accounts.push_back(Account { subject, hash: row.account_hash, linked, etag, missing_since });
            }
            Ok::<_, DatabaseError>(accounts)
        };
        self.queue = self.session.pulls.scores.database.read(list).await?;
        Ok(())
    }

    /// Lets those who wait be asked about before an account that the service gave no answer about.
    async fn put_off(&self, account: &Account) -> Result<(), Stop> {
        let asked = Asked {
            due_at: self.session.now().as_microsecond(),
            answered_at: None,
            etag: account.etag.clone(),
            missing_since: account.missing_since,
            fault: None,
        };
        let (of, subject, hash) = (self.session.of.clone(), account.subject, account.hash.clone());
        let set = move |conn: &mut AnyConnection| store::set_asked(conn, (&of.0, &of.1), (&subject, &hash), &asked);
        Ok(self.session.pulls.scores.database.write(set).await?)
    }

    /// Keeps what was found of an account, and when it is asked about again.
    async fn keep(&mut self, account: &Account, found: Found) -> Result<(), Stop> {
        let now = self.session.now();
        let soon = now + self.refresh.min(ASKED_AGAIN);
        self.report.accounts += 1;
        let mut asked = Asked {
            due_at: (now + self.refresh).as_microsecond(),
            answered_at: Some(now.as_microsecond()),
            etag: None,
            missing_since: None,
            fault: None,
        };
        match found {
            Found::Unchanged => {
                self.report.unchanged += 1;
                asked.etag.clone_from(&account.etag);
            }
            Found::Unknown(why) => {
                self.report.unknown += 1;
                self.report.fault.get_or_insert_with(|| why.to_owned());
                asked.due_at = soon.as_microsecond();
                asked.answered_at = None;
                asked.missing_since = account.missing_since;
                asked.fault = Some(why);
            }
            Found::Missing => {
                let since = account.missing_since.map_or(now, from_micros);
                self.report.missing += 1;
                asked.due_at = soon.as_microsecond();
                asked.missing_since = Some(since.as_microsecond());
                asked.fault = Some("there is no such account");
                // A service without a score doesn't say that their account is no more.
                let is_of_signals = self.session.pull.connector != Connector::Json;
                if is_of_signals && now.duration_since(since) >= MISSING_AFTER {
                    self.drop_signals(account).await?;
                }
            }
            Found::Signals { seen, profile, etag } => {
                self.report.answered += 1;
                asked.etag = etag;
                if account.linked.state == AccountState::Pending && !self.prove(account, &profile).await? {
                    // Who waits for it looks soon.
                    asked.due_at = (now + self.refresh.min(PROOF_LOOK)).as_microsecond();
                    asked.etag = None;
                } else {
                    let of = (account.subject, self.session.pull.network.as_str());
                    let enrolments = self.session.pulls.enrolments.clone();
                    self.report.signals += enrolments.keep_seen(&self.session.of.0, of, &seen, now).await?;
                }
            }
            Found::Score { value, observed_at, etag } => {
                let score = Score::new(value, observed_at.unwrap_or(now));
                let whose = (account.subject, self.session.pull.network.as_str());
                match self.session.pulls.put(&self.session.of, whose, score, now).await? {
                    Ok(()) => {
                        self.report.answered += 1;
                        self.report.scores += 1;
                        asked.etag = etag;
                    }
                    Err(fault) => {
                        self.report.unknown += 1;
                        self.report.fault = Some(fault.to_string());
                        asked.answered_at = None;
                        asked.fault = Some("its score can't be taken");
                    }
                }
            }
        }
        let (of, subject, hash) = (self.session.of.clone(), account.subject, account.hash.clone());
        let set = move |conn: &mut AnyConnection| store::set_asked(conn, (&of.0, &of.1), (&subject, &hash), &asked);
        Ok(self.session.pulls.scores.database.write(set).await?)
    }

    /// Proves the account, if its profile does; false if it is still to be proven.
    async fn prove(&mut self, account: &Account, profile: &Profile) -> Result<bool, Stop> {
        let now = self.session.now();
        let context = self.session.pulls.enrolments.context.clone();
        let (of, it, profile) = (self.session.of.clone(), account.clone(), profile.clone());
        let prove = move |conn: &mut AnyConnection| {
            let Some((_, row, pseudonym, sealed)) = list_enrolled(conn, &of.0, &[it.subject])?.pop() else {
                return Ok(false);
            };
            let secret = open_sealed(&context.keyring, &of.0, (&row, &pseudonym, &sealed))?.secret;
            let theirs = list_accounts(conn, &of.0, &it.subject)?;
            let theirs = theirs.iter().map(|row| open_account(row, &secret, now)).collect::<Result<Vec<_>, _>>()?;
            let proven: Vec<LinkedAccount> =
                theirs.into_iter().filter(|other| other.state == AccountState::Proven).collect();
            if !is_proven(&it.linked, &profile, &proven) {
                return Ok(false);
            }
            if set_proven(conn, &of.0, (&it.subject, &it.hash), now.as_microsecond())? {
                mark_due(conn, &of.0, &[it.subject], now)?;
            }
            Ok::<_, DatabaseError>(true)
        };
        let proven = self.session.pulls.scores.database.write(prove).await?;
        self.report.proven += u64::from(proven);
        Ok(proven)
    }

    /// The account is there no more: what is known of the person on its network counts no more, unless they have another there.
    async fn drop_signals(&mut self, account: &Account) -> Result<(), Stop> {
        let (of, network) = (self.session.of.clone(), self.session.pull.network.clone());
        let (it, now) = (account.clone(), self.session.now());
        let end = move |conn: &mut AnyConnection| {
            let theirs = list_accounts(conn, &of.0, &it.subject)?;
            let has_another = theirs.iter().any(|row| row.network == network && row.account_hash != it.hash);
            if has_another || !store::has_signals(conn, &of.0, &it.subject, &network)? {
                return Ok(false);
            }
            ended::note(conn, &of.0, &it.subject, &std::iter::once(network).collect())?;
            mark_due(conn, &of.0, &[it.subject], now)?;
            Ok::<_, DatabaseError>(true)
        };
        let database = &self.session.pulls.scores.database;
        if database.write(end).await? {
            // What this leaves, the sweeper deletes.
            let cleared = ended::clear(database, &self.session.of.0, &[account.subject]).await?;
            let (of, subject) = (self.session.of.clone(), account.subject);
            // A score that was computed before all were deleted would stand: once more, then.
            let mark = move |conn: &mut AnyConnection| mark_due(conn, &of.0, &[subject], now);
            database.write(mark).await?;
            tracing::debug!(cleared, "an account that is there no more was let go");
        }
        Ok(())
    }

    /// Gives the lease back.
    async fn give_back(&mut self) -> Result<(), ScoreError> {
        self.is_over = true;
        let (name, fence) = self.session.lease.clone();
        let give_back = move |conn: &mut AnyConnection| lease::give_back(conn, &name, fence);
        Ok(self.session.pulls.scores.database.write(give_back).await?)
    }

    /// Writes down how it went, and gives the lease back.
    async fn end(&mut self, wait: Option<(Timestamp, &'static str)>) -> Result<(), ScoreError> {
        self.is_over = true;
        // Its last answer may have said that nothing is left, though nobody is due any more.
        let spent = self.session.spent.map(|until| (until, Wait::BackingOff.as_str()));
        let wait = wait.or(spent);
        self.report.waits_until = wait.map(|(until, _)| until);
        self.report.wait = wait.map(|(_, word)| word);
        self.report.requests = self.session.requests;
        self.report.fault = self.report.fault.take().or_else(|| self.session.fault.clone());
        let state = RunState {
            failures: self.session.failures,
            waits_until: wait.map_or(0, |(until, _)| until.as_microsecond()),
            wait: wait.map(|(_, word)| word),
            run_at: self.session.now().as_microsecond(),
            answered_at: self.session.answered_at.map(Timestamp::as_microsecond),
            fault: self.report.fault.clone(),
        };
        let (of, held) = (self.session.of.clone(), self.session.lease.clone());
        let write = move |conn: &mut AnyConnection| {
            if store::set_state(conn, (&of.0, &of.1), &held, &state)? {
                lease::give_back(conn, &held.0, held.1)?;
            }
            Ok::<_, DatabaseError>(())
        };
        Ok(self.session.pulls.scores.database.write(write).await?)
    }
}

impl Drop for PullRun {
    /// Gives the lease back, however the run ends.
    fn drop(&mut self) {
        if let (false, Ok(runtime)) = (self.is_over, Handle::try_current()) {
            let (database, (name, fence)) = (self.session.pulls.scores.database.clone(), self.session.lease.clone());
            // Where that fails it ends by itself.
            runtime.spawn(async move { database.write(move |conn| lease::give_back(conn, &name, fence)).await });
        }
    }
}

/// The instant by which accounts are due, and after which one is linked that is still to be proven.
fn times(now: Timestamp) -> (i64, i64) {
    (now.as_microsecond(), (now - PROOF_STANDS).as_microsecond())
}

fn reference(bytes: &[u8]) -> Result<SubjectRef, DatabaseError> {
    let bytes = bytes.try_into().map_err(|_| DatabaseError::corrupt("subject reference", "its length"))?;
    Ok(SubjectRef(bytes))
}
