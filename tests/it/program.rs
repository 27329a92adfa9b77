//! Nodes as processes of their own: `tidings node`, asked over HTTP.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tidings::{causality::SeenSet, node::Frontier};

use crate::support::{PATIENCE, mesh_name};

/// Where the processes of one test live: a mesh and directories of their own.
pub struct Site {
    home: Arc<TempDir>,
    pub mesh: String,
    /// What every process is started through, such as `ip netns exec NAME`.
    pub through: Vec<String>,
}

impl Site {
    pub fn new() -> Self {
        Self { home: Arc::new(tempfile::tempdir().unwrap()), mesh: mesh_name(), through: Vec::new() }
    }

    /// Another one, in the same directory and mesh.
    pub fn beside(&self) -> Self {
        Self { home: Arc::clone(&self.home), mesh: self.mesh.clone(), through: Vec::new() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The program with an environment of its own; without sight of the network, unless asked for.
    pub fn command(&self) -> Command {
        let mut words = self.through.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_tidings")]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TIDINGS_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.home.path())
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_RUNTIME_DIR", self.path("runtime"))
            .stdin(Stdio::null());
        command
    }

    /// A node on loopback that finds nobody but by `--peer`.
    pub fn start(&self, name: &str, more: &[&str]) -> Program {
        let mut command = self.node(name, "/ip4/127.0.0.1/tcp/0");
        command.args(["--no-discovery", "--no-peer-exchange", "--open"]).args(more);
        let mut program = Program::start(&mut command, self.said(name));
        until("it is ready", || (program.try_ask("GET", "/readyz", &[])?.0 == 200).then_some(()));
        program.ready_after = program.begun.elapsed();
        program
    }

    /// A node that finds others by itself, with the user's own key, and with this directory in the
    /// place of the user's runtime directory.
    pub fn start_discovering(&self, name: &str, listen: &str, runtime: &str) -> Program {
        let mut command = self.node(name, listen);
        Program::start(command.env("XDG_RUNTIME_DIR", self.path(runtime)), self.said(name))
    }

    fn said(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.said"))
    }

    fn node(&self, name: &str, listen: &str) -> Command {
        let mut command = self.command();
        command.args(["node", "--http", "127.0.0.1:0", "--log", "warn", "--listen", listen]);
        command.args(["--name", name, "--mesh", &self.mesh, "--data-dir", name]);
        command
    }
}

/// A node that runs.
pub struct Program {
    child: Child,
    said: PathBuf,
    pub url: String,
    pub id: String,
    begun: Instant,
    /// How long it took until it answered.
    pub ready_after: Duration,
}

/// Asks again and again until there is something.
#[track_caller]
pub fn until<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(found) = check() {
            return found;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("waited {PATIENCE:?} in vain until {what}")
}

impl Program {
    fn start(command: &mut Command, said: PathBuf) -> Self {
        let begun = Instant::now();
        let stderr = File::create(&said).unwrap();
        let child = command.stderr(stderr).stdout(Stdio::null()).spawn().unwrap();
        let (url, id, ready_after) = (String::new(), String::new(), Duration::ZERO);
        let mut program = Self { child, said, url, id, begun, ready_after };
        let (peer_id, http) = (program.hear("peer id "), program.hear("http on "));
        program.id.push_str(peer_id.trim_start_matches("peer id "));
        program.url.push_str(http.trim_start_matches("http on "));
        program
    }

    /// All that it has said.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    /// Waits for a line that begins so.
    #[track_caller]
    pub fn hear(&mut self, start: &str) -> String {
        let heard = |said: String| said.lines().find(|line| line.starts_with(start)).map(str::to_owned);
        let begun = Instant::now();
        loop {
            if let Some(line) = heard(self.said()) {
                return line;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && begun.elapsed() < PATIENCE,
                "never said {start:?} ({ended:?}), but {}",
                self.said()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Where it can be dialled.
    pub fn address(&mut self) -> String {
        let line = self.hear("listening on ");
        format!("{}/p2p/{}", line.trim_start_matches("listening on "), self.id)
    }

    /// Status and body of an answer; nothing where there is none.
    pub fn try_ask(&self, method: &str, target: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build();
        let agent: ureq::Agent = config.into();
        let url = format!("{}{target}", self.url);
        let answer = match method {
            "GET" => agent.get(url).call(),
            "DELETE" => agent.delete(url).call(),
            "PUT" => agent.put(url).content_type("application/octet-stream").send(body),
            _ => agent.post(url).content_type("application/json").send(body),
        };
        let mut answer = answer.ok()?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(64 << 20).read_to_vec().ok()?;
        Some((status, body))
    }

    #[track_caller]
    pub fn ask(&self, method: &str, target: &str, body: &[u8]) -> (u16, Vec<u8>) {
        self.try_ask(method, target, body).unwrap_or_else(|| panic!("no answer, but {}", self.said()))
    }

    #[track_caller]
    pub fn json(&self, target: &str) -> Value {
        let (status, body) = self.ask("GET", target, &[]);
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    /// What a write was answered with.
    #[track_caller]
    pub fn put(&self, key: &str, value: &[u8]) -> Value {
        let (status, body) = self.ask("PUT", &format!("/v1/kv/{key}"), value);
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let (status, body) = self.ask("GET", &format!("/v1/kv/{key}"), &[]);
        (status == 200).then_some(body)
    }

    #[track_caller]
    pub fn until_shows(&self, key: &str, value: &[u8]) {
        until("it shows the value", || (self.get(key)? == value).then_some(()));
    }

    /// The root of its data, how many keys there are, and what it has seen.
    pub fn digest(&self) -> (String, u64, SeenSet) {
        let digest = self.json("/v1/digest");
        let frontier: Frontier = digest["frontier"].as_str().unwrap().parse().unwrap();
        (digest["root"].as_str().unwrap().to_owned(), digest["keys"].as_u64().unwrap(), frontier.0)
    }

    pub fn peers(&self) -> u64 {
        self.json("/v1/status")["peers"].as_u64().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Dies at once, as by `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The exit status, once it has ended by itself.
    #[track_caller]
    pub fn ended(&mut self) -> Option<i32> {
        until("it ends", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Gone already, where the test has ended it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Waits until all hold the same, and answers with the number of keys.
#[track_caller]
pub fn until_equal(programs: &[&Program]) -> u64 {
    until("all hold the same", || {
        let digests: Vec<_> = programs.iter().map(|program| program.digest()).collect();
        digests.windows(2).all(|pair| pair[0] == pair[1]).then(|| digests[0].1)
    })
}

/// Copies a directory with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}
