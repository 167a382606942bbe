//! A network between the gateway and PostgreSQL that can fall silent: connections stay open, nothing comes
//! through, and nobody is told.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// What happens to the next commit that is sent through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commit {
    Passes,
    /// It reaches the server, whose answer never comes back.
    LosesItsAnswer,
    /// It never reaches the server.
    IsLost,
}

#[derive(Default)]
struct State {
    silent: bool,
    /// How often another server has taken over.
    generation: u64,
    over: bool,
    commit: Option<Commit>,
    /// What happens to the next commit that is a statement of its own.
    statement: Option<Commit>,
}

impl State {
    /// What happens to this commit, unless it passes.
    fn take(&mut self, is_statement: bool) -> Option<Commit> {
        let of_statements = if is_statement { self.statement.take() } else { None };
        of_statements.or_else(|| self.commit.take_if(|commit| *commit != Commit::Passes))
    }
}

/// Forwards connections to one place; ends with its process.
pub(crate) struct Proxy {
    port: u16,
    state: Arc<(Mutex<State>, Condvar)>,
    lost: Arc<AtomicUsize>,
    /// How many of the lost ones were statements that are transactions by themselves.
    statements: Arc<AtomicUsize>,
}

impl Proxy {
    /// To this port of this machine.
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let this = Self {
            port: listener.local_addr().unwrap().port(),
            state: Arc::default(),
            lost: Arc::default(),
            statements: Arc::default(),
        };
        let (state, lost) = (this.state.clone(), [this.lost.clone(), this.statements.clone()]);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let generation = {
                    let state = state.0.lock().unwrap();
                    if state.over {
                        return;
                    }
                    state.generation
                };
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                // Whether this connection has gone silent for good.
                let cut = Arc::new(Mutex::new(false));
                let (there, back) = ((state.clone(), cut.clone(), lost.clone()), (state.clone(), cut));
                std::thread::spawn(move || forward(from, to, generation, &there.0, &there.1, Some(&there.2)));
                std::thread::spawn(move || forward(server, client, generation, &back.0, &back.1, None));
            }
        });
        this
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Nothing comes through from now on.
    pub(crate) fn fall_silent(&self) {
        self.state.0.lock().unwrap().silent = true;
    }

    /// As when another server has taken over, and the peers of those who are connected go on acknowledging: nothing comes
    /// through to or from them any more, and who connects from now on is served.
    pub(crate) fn take_over(&self) {
        let mut state = self.state.0.lock().unwrap();
        state.generation += 1;
        state.silent = false;
        drop(state);
        self.state.1.notify_all();
    }

    /// All that was held back comes through.
    pub(crate) fn speak(&self) {
        self.state.0.lock().unwrap().silent = false;
        self.state.1.notify_all();
    }

    /// For the next commit, and for the connection that it is sent on: a `COMMIT`, or the one statement that is a
    /// transaction by itself.
    pub(crate) fn next_commit(&self, commit: Commit) {
        self.state.0.lock().unwrap().commit = Some(commit);
    }

    /// For the next statement that is a transaction by itself; what others commit meanwhile passes.
    pub(crate) fn next_statement(&self, commit: Commit) {
        self.state.0.lock().unwrap().statement = Some(commit);
    }

    /// How many commits were lost, or lost their answers.
    pub(crate) fn commits_lost(&self) -> usize {
        self.lost.load(Ordering::SeqCst)
    }
}

impl Proxy {
    /// How many of them were statements, and no ends of transactions.
    pub(crate) fn statements_lost(&self) -> usize {
        self.statements.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.0.lock().unwrap().over = true;
        self.speak();
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// What a client has said of transactions so far.
#[derive(Default)]
struct Spoken {
    in_transaction: bool,
    /// The name of the prepared statement that records a batch.
    recording: Option<Vec<u8>>,
}

impl Spoken {
    /// Listens to the next piece, and tells whether it commits something, by a statement of its own or not.
    fn commits_with(&mut self, piece: &[u8]) -> Option<bool> {
        let find = |words: &[u8]| piece.windows(words.len()).position(|here| here == words);
        if find(b"BEGIN ISOLATION").is_some() {
            self.in_transaction = true;
        }
        if find(b"COMMIT\0").is_some() || find(b"ROLLBACK\0").is_some() {
            self.in_transaction = false;
            return find(b"COMMIT\0").map(|_| false);
        }
        // Prepared first, by a name, and executed by that.
        if let Some(text) = find(b"WITH claimed AS (INSERT") {
            let before = &piece[..text - 1];
            let name =
                before.windows(9).rposition(|here| here == b"__diesel_").expect("a prepared statement has a name");
            self.recording = Some([&before[name..], b"\0"].concat());
            return None;
        }
        let is_recording = self.recording.as_deref().is_some_and(|name| find(name).is_some());
        (!self.in_transaction && is_recording).then_some(true)
    }
}

fn forward(
    mut from: TcpStream,
    mut to: TcpStream,
    generation: u64,
    state: &(Mutex<State>, Condvar),
    cut: &Mutex<bool>,
    commits: Option<&[Arc<AtomicUsize>; 2]>,
) {
    let mut bytes = vec![0; 65_536];
    let mut spoken = Spoken::default();
    while let Ok(read) = from.read(&mut bytes) {
        if read == 0 {
            break;
        }
        let piece = &bytes[..read];
        let held = state.1.wait_while(state.0.lock().unwrap(), |state| state.silent && !state.over);
        let mut held = held.unwrap();
        let mut is_cut = cut.lock().unwrap();
        *is_cut |= generation < held.generation;
        if let Some([lost, statements]) = commits
            && !*is_cut
            && let Some(is_statement) = spoken.commits_with(piece)
            && let Some(commit) = held.take(is_statement)
        {
            lost.fetch_add(1, Ordering::SeqCst);
            statements.fetch_add(usize::from(is_statement), Ordering::SeqCst);
            *is_cut = true;
            if commit == Commit::LosesItsAnswer {
                let _ = to.write_all(piece);
            }
            continue;
        }
        if *is_cut {
            continue;
        }
        drop(is_cut);
        drop(held);
        if to.write_all(piece).is_err() {
            break;
        }
    }
    // Whoever still waits behind a cut is told now: one of the two is gone.
    let _ = to.shutdown(Shutdown::Both);
}
