//! The load: `wrk` where the machine has it (it costs the least of what it measures), else a client
//! of our own on one thread. Each connection asks, waits for the answer, and asks again.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

/// What one round showed.
pub(crate) struct Figures {
    pub requests: u32,
    pub seconds: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Figures {
    pub(crate) fn per_second(&self) -> f64 {
        f64::from(self.requests) / self.seconds
    }
}

/// Requests for one server, sent in turn.
pub(crate) struct Load {
    address: SocketAddr,
    key: String,
    bodies: Vec<String>,
    connections: usize,
}

impl Load {
    pub(crate) fn new(address: SocketAddr, key: &str, bodies: Vec<String>, connections: usize) -> Self {
        Self { address, key: key.to_owned(), bodies, connections }
    }

    /// Loads the server for so long.
    pub(crate) fn run(&self, time: Duration) -> Figures {
        if has_wrk() { self.by_wrk(time) } else { self.by_threads(time) }
    }

    fn by_wrk(&self, time: Duration) -> Figures {
        let directory = tempfile::tempdir().unwrap();
        let bodies = directory.path().join("bodies");
        fs::write(&bodies, self.bodies.join("\n")).unwrap();
        let script = directory.path().join("checks.lua");
        let lua = WRK.replace("BODIES", &bodies.display().to_string()).replace("KEY", &self.key);
        fs::write(&script, lua).unwrap();
        let run = Command::new("wrk")
            .args(["-t1", &format!("-c{}", self.connections), &format!("-d{}s", time.as_secs()), "-s"])
            .arg(&script)
            .arg(format!("http://{}/v1/checks", self.address))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&run.stdout);
        let line = told.lines().find_map(|line| line.strip_prefix("FIGURES ")).unwrap_or_else(|| panic!("{run:?}"));
        let figures: Vec<f64> = line.split(' ').map(|it| it.parse().unwrap()).collect();
        assert!(figures[4] == 0.0, "some requests failed:\n{told}");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let requests = figures[0] as u32;
        Figures { requests, seconds: figures[1] / 1e6, p50_ms: figures[2] / 1e3, p99_ms: figures[3] / 1e3 }
    }

    fn by_threads(&self, time: Duration) -> Figures {
        let began = Instant::now();
        let mut took: Vec<Duration> = std::thread::scope(|scope| {
            let clients: Vec<_> =
                (0..self.connections).map(|nth| scope.spawn(move || self.client(nth, began + time))).collect();
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        });
        let seconds = began.elapsed().as_secs_f64();
        took.sort_unstable();
        let at = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)].as_secs_f64() * 1e3;
        Figures { requests: u32::try_from(took.len()).unwrap(), seconds, p50_ms: at(50), p99_ms: at(99) }
    }

    /// One connection: every `connections`th body.
    fn client(&self, nth: usize, until: Instant) -> Vec<Duration> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut took = Vec::new();
        let mut buffer = vec![0; 16 * 1024];
        for body in self.bodies.iter().cycle().skip(nth).step_by(self.connections) {
            let asked = Instant::now();
            if asked >= until {
                break;
            }
            let request = format!(
                "POST /v1/checks HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n\
                 Authorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{body}",
                self.key,
                body.len()
            );
            stream.write_all(request.as_bytes()).unwrap();
            read_answer(&mut stream, &mut buffer);
            took.push(asked.elapsed());
        }
        took
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

/// Requests are made once; `done` tells microseconds and how many were not answered well.
const WRK: &str = r#"
local requests, nth = {}, 0
function init()
  local head = { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer KEY" }
  for body in io.lines("BODIES") do
    requests[#requests + 1] = wrk.format("POST", nil, head, body)
  end
end
function request()
  nth = nth % #requests + 1
  return requests[nth]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format("FIGURES %d %d %f %f %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
"#;
