//! The load: `wrk` where the machine has it (it costs the least of what it measures), else a client
//! of our own on a thread for each connection. Each connection asks, waits for the answer, and asks again.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What one round showed.
pub(crate) struct Figures {
    pub requests: u32,
    pub seconds: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Figures {
    /// Two loads that went at one time: their sum, at the slower one's latency.
    fn beside(self, other: &Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            seconds: self.seconds.max(other.seconds),
            p50_ms: self.p50_ms.max(other.p50_ms),
            p99_ms: self.p99_ms.max(other.p99_ms),
        }
    }
}

/// Requests of one kind.
pub(crate) struct Load<'a> {
    pub path: &'static str,
    pub key: &'a str,
    pub bodies: &'a [String],
    pub connections: usize,
    /// True if each request has an `Idempotency-Key` of its own.
    pub keyed: bool,
    /// True if no body may be sent twice: the round ends with the last.
    pub once: bool,
}

impl Load<'_> {
    /// Loads the servers at one time for so long, each by its share of the connections.
    pub(crate) fn run(&self, addresses: &[SocketAddr], time: Duration) -> Figures {
        let connections = self.connections / addresses.len();
        let figures = std::thread::scope(|scope| {
            let loads: Vec<_> =
                addresses.iter().map(|address| scope.spawn(move || self.one(*address, connections, time))).collect();
            loads.into_iter().map(|load| load.join().unwrap()).collect::<Vec<_>>()
        });
        figures.into_iter().reduce(|sum, next| sum.beside(&next)).unwrap()
    }

    fn one(&self, address: SocketAddr, connections: usize, time: Duration) -> Figures {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let run = format!("{}-{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
        if has_wrk() {
            self.by_wrk(address, connections, time, &run)
        } else {
            self.by_threads(address, connections, time, &run)
        }
    }

    fn by_wrk(&self, address: SocketAddr, connections: usize, time: Duration, run: &str) -> Figures {
        let directory = tempfile::tempdir().unwrap();
        let bodies = directory.path().join("bodies");
        fs::write(&bodies, self.bodies.join("\n")).unwrap();
        let script = directory.path().join("load.lua");
        let lua = WRK
            .replace("BODIES", &bodies.display().to_string())
            .replace("SECRET", self.key)
            .replace("KEYED", if self.keyed { "true" } else { "false" })
            .replace("ONCE", if self.once { "true" } else { "false" })
            .replace("RUN", run);
        fs::write(&script, lua).unwrap();
        let run = Command::new("wrk")
            .args(["-t1", &format!("-c{connections}"), &format!("-d{}s", time.as_secs()), "-s"])
            .arg(&script)
            .arg(format!("http://{address}{}", self.path))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        let line = said.lines().find_map(|line| line.strip_prefix("FIGURES ")).unwrap_or_else(|| panic!("{run:?}"));
        let figures: Vec<f64> = line.split(' ').map(|it| it.parse().unwrap()).collect();
        assert!(figures[4] == 0.0, "some requests failed:\n{said}");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let requests = figures[0] as u32;
        Figures { requests, seconds: figures[1] / 1e6, p50_ms: figures[2] / 1e3, p99_ms: figures[3] / 1e3 }
    }

    fn by_threads(&self, address: SocketAddr, connections: usize, time: Duration, run: &str) -> Figures {
        let (began, next) = (Instant::now(), AtomicUsize::new(0));
        let mut took: Vec<Duration> = std::thread::scope(|scope| {
            let next = &next;
            let clients: Vec<_> =
                (0..connections).map(|_| scope.spawn(move || self.client(address, next, began + time, run))).collect();
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        });
        let seconds = began.elapsed().as_secs_f64();
        took.sort_unstable();
        let at = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)].as_secs_f64() * 1e3;
        Figures { requests: u32::try_from(took.len()).unwrap(), seconds, p50_ms: at(50), p99_ms: at(99) }
    }

    /// One connection: always the body that is next.
    fn client(&self, address: SocketAddr, next: &AtomicUsize, until: Instant, run: &str) -> Vec<Duration> {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut took = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            let asked = Instant::now();
            if asked >= until || (self.once && nth >= self.bodies.len()) {
                return took;
            }
            let body = &self.bodies[nth % self.bodies.len()];
            let key = if self.keyed { format!("Idempotency-Key: {run}-{nth}\r\n") } else { String::new() };
            let request = format!(
                "POST {} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n\
                 Authorization: Bearer {}\r\n{key}Content-Length: {}\r\n\r\n{body}",
                self.path,
                self.key,
                body.len()
            );
            stream.write_all(request.as_bytes()).unwrap();
            read_answer(&mut stream, &mut buffer);
            took.push(asked.elapsed());
        }
    }
}

/// What makes the load, for the record.
pub(crate) fn maker() -> &'static str {
    if has_wrk() { "wrk -t1" } else { "a thread for each connection" }
}

fn has_wrk() -> bool {
    Command::new("wrk").arg("-v").output().is_ok()
}

fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).unwrap();
        assert!(read > 0, "the server hung up");
        filled += read;
        let text = String::from_utf8_lossy(&buffer[..filled]);
        let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with("HTTP/1.1 200"), "{text}");
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if rest.len() >= length.unwrap_or(0) {
            return;
        }
    }
}

/// Requests are made once, but for a key of their own; `done` says microseconds and how many were not answered well.
const WRK: &str = r#"
local before, after, nth, keyed, once = {}, {}, 0, KEYED, ONCE
function init()
  local head = { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer SECRET" }
  if keyed then head["Idempotency-Key"] = "THE-KEY" end
  for body in io.lines("BODIES") do
    local text = wrk.format("POST", nil, head, body)
    if keyed then
      local from, to = string.find(text, "THE-KEY", 1, true)
      before[#before + 1], after[#after + 1] = string.sub(text, 1, from - 1) .. "RUN-", string.sub(text, to + 1)
    else
      before[#before + 1] = text
    end
  end
end
function request()
  nth = nth + 1
  if once and nth >= #before then wrk.thread:stop() end
  local at = (nth - 1) % #before + 1
  if keyed then return before[at] .. nth .. after[at] end
  return before[at]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format("FIGURES %d %d %f %f %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
"#;
