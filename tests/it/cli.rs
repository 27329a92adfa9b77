//! The program as people and scripts use it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// The program with an environment of its own.
pub(crate) fn tidings(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TIDINGS_") {
            command.env_remove(name);
        }
    }
    command.current_dir(home).env("XDG_CONFIG_HOME", home.join("config")).stdin(Stdio::null());
    command
}

pub(crate) fn home() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// Runs a command that ends by itself, and kills one that does not.
#[track_caller]
pub(crate) fn run(command: &mut Command, status: i32) -> (String, String) {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    let pid = Pid::from_child(&child);
    let (ended, waiting) = mpsc::channel::<()>();
    let guard = thread::spawn(move || {
        if waiting.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            // It may have ended this instant.
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    let output = child.wait_with_output().expect("ends");
    drop(ended);
    guard.join().expect("does not panic");
    told(&output, status)
}

#[track_caller]
pub(crate) fn told(output: &Output, status: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "stdout: {stdout}\nstderr: {stderr}");
    (stdout, stderr)
}

/// A node that runs, and what it says.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
    url: String,
}

impl Running {
    /// Starts a node in `home`, with a mesh named after it.
    pub(crate) fn start(home: &Path, data: &str, more: &[&str]) -> Self {
        let mesh = home.file_name().expect("a name").to_string_lossy().to_ascii_lowercase();
        let mut child = tidings(home)
            .args(["node", "--http", "127.0.0.1:0", "--listen", "/ip4/127.0.0.1/tcp/0", "--no-discovery"])
            .args([
                "--log",
                "warn",
                "--name",
                data,
                "--mesh",
                mesh.trim_start_matches('.'),
                "--data-dir",
                data,
            ])
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let stderr = BufReader::new(child.stderr.take().expect("is piped"));
        let (send, lines) = mpsc::channel();
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let mut running = Self { child, lines, said: Vec::new(), url: String::new() };
        let heard = running.hear("http on ");
        heard.trim_start_matches("http on ").clone_into(&mut running.url);
        running
    }

    /// Waits for a line that begins so.
    #[track_caller]
    pub(crate) fn hear(&mut self, start: &str) -> String {
        if let Some(line) = self.said.iter().find(|line| line.starts_with(start)) {
            return line.clone();
        }
        let until = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.said.push(line.clone());
            if line.starts_with(start) {
                return line;
            }
        }
        panic!("never said {start:?}, but {:#?}", self.said)
    }

    /// A command that asks this node.
    pub(crate) fn ask(&self, home: &Path, arguments: &[&str]) -> Command {
        let mut command = tidings(home);
        command.env("TIDINGS_URL", &self.url).args(arguments);
        command
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("is alive");
    }

    /// The exit status, once it has ended.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().expect("is a child") {
                return status.code();
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end; it said {:#?}", self.said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already, where the test has stopped it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_is_put_can_be_got_scanned_and_deleted() {
    let home = home();
    let at = home.path();
    let ant = Running::start(at, "ant", &["--open"]);
    let ask = |arguments: &[&str], status| run(&mut ant.ask(at, arguments), status);
    assert_eq!(ask(&["put", "users/1", "{\"name\": \"Ada\"}"], 0).0, "OK\n");
    assert_eq!(ask(&["get", "users/1"], 0).0, "{\"name\": \"Ada\"}", "no line break where nobody looks");
    ask(&["put", "users/2", "hello"], 0);
    ask(&["put", "users/3", "-5"], 0);
    ask(&["put", "users/4", "a,b", "--type", "text/csv"], 0);
    assert_eq!(
        ask(&["scan", "users"], 0).0,
        "users/1\t{\"name\": \"Ada\"}\nusers/2\thello\nusers/3\t-5\nusers/4\ta,b\n"
    );
    assert_eq!(ask(&["scan", "--keys-only", "--reverse", "--limit", "2"], 0).0, "users/4\nusers/3\n");
    let meta: Value = serde_json::from_str(&ask(&["get", "users/4", "--json"], 0).0).expect("JSON");
    assert_eq!((&meta["value"], &meta["content_type"]), (&"a,b".into(), &"text/csv".into()));
    assert!(ask(&["get", "users/4", "--meta"], 0).0.contains("text/csv"));
    let written: Value = serde_json::from_str(&ask(&["--json", "put", "x", "1"], 0).0).expect("JSON");
    assert_eq!(written["key"], "x");
    let frontier = written["frontier"].as_str().expect("a text");
    assert_eq!(ask(&["get", "x", "--at-least", frontier, "--wait", "1s"], 0).0, "1");
    let (_, stderr) = ask(&["get", "x", "--at-least", "what"], 1);
    assert!(stderr.contains("tidings-at-least"), "{stderr}");
    ask(&["get", "x", "--at-least", frontier, "--wait", "1h"], 1);
    ask(&["get", "x", "--wait", "1s"], 2);
    let page: Value = serde_json::from_str(&ask(&["scan", "--json"], 0).0).expect("JSON");
    assert_eq!(page["entries"].as_array().expect("a list").len(), 5);
    assert_eq!(page["next"], Value::Null);

    assert_eq!(ask(&["del", "x"], 0).0, "OK\n");
    let (stdout, stderr) = ask(&["get", "x"], 1);
    assert_eq!(stdout, "");
    assert!(stderr.contains("nothing stands under x"), "{stderr}");
    ask(&["del", "x"], 1);
    ask(&["get", "x", "--ns", "elsewhere"], 1);
}

#[test]
fn a_value_may_come_from_stdin_and_be_any_bytes() {
    let home = home();
    let at = home.path();
    let ant = Running::start(at, "ant", &["--open"]);
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let mut put = ant
        .ask(at, &["put", "blob", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs");
    put.stdin.take().expect("is piped").write_all(&bytes).expect("writes");
    told(&put.wait_with_output().expect("ends"), 0);
    let got = ant.ask(at, &["get", "blob"]).output().expect("runs");
    assert!(got.status.success() && got.stdout == bytes, "100,000 bytes come back as they were");
    let (stdout, _) = run(&mut ant.ask(at, &["scan"]), 0);
    assert_eq!(stdout, "blob\t(application/octet-stream, 100000 bytes)\n");
}

#[test]
fn a_scan_goes_on_through_all_pages() {
    let home = home();
    let at = home.path();
    let ant = Running::start(at, "ant", &["--open"]);
    for half in 0..2 {
        let put = |n| serde_json::json!({"op": "put", "key": format!("k/{:04}", half * 700 + n), "value": n});
        let batch: Vec<_> = (0..700).map(put).collect();
        ureq::post(format!("{}/v1/batch", ant.url))
            .header("content-type", "application/json")
            .send(serde_json::to_string(&batch).expect("serialises"))
            .expect("is stored");
    }
    let (stdout, _) = run(&mut ant.ask(at, &["scan", "k", "--keys-only"]), 0);
    assert_eq!((stdout.lines().count(), stdout.lines().last()), (1_400, Some("k/1399")));
    let (stdout, _) = run(&mut ant.ask(at, &["scan", "--json", "--limit", "1100"]), 0);
    let page: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(page["entries"].as_array().expect("a list").len(), 1_100);
    assert_eq!(page["next"], "k/1099");
}

#[test]
fn no_answer_and_wrong_usage_have_their_own_exit_status() {
    let home = home();
    let at = home.path();
    let closed =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let (stdout, stderr) = run(tidings(at).args(["status", "--url", &format!("http://{closed}")]), 3);
    assert!(stdout.is_empty() && stderr.contains("no answer"), "{stdout}{stderr}");
    for arguments in [
        &["get"][..],
        &["get", "a//b"],
        &["get", "a", "--ns", "Photos"],
        &["frobnicate"],
        &["sync", "ant"],
        &["sync", "--pull", "--push"],
        &["sync", "--status", "--pull"],
        &["get", "a", "--url", "https://localhost"],
        &["node", "--sync-interval", "soon"],
        &["node", "--http", "0.0.0.0:0"],
        &["node", "--http-tokens", "tokens.toml"],
        &["node", "--url", "http://127.0.0.1:1"],
        &["node", "--open", "--swarm-key", "k"],
        &["node", "--log", "tidings=loud"],
    ] {
        let (stdout, stderr) = run(tidings(at).args(arguments), 2);
        assert!(stdout.is_empty() && !stderr.is_empty(), "{arguments:?}");
    }
    assert!(!at.join("tidings-data").exists(), "nothing was started");
    run(tidings(at).arg("--version"), 0);
    run(tidings(at).args(["help", "node"]), 0);
    assert!(run(tidings(at).args(["completions", "bash"]), 0).0.contains("tidings"));
    assert!(run(tidings(at).arg("man"), 0).0.contains(".TH tidings 1"));
    let page = run(tidings(at).args(["man", "peers", "block"]), 0).0;
    assert!(page.contains(".TH tidings-peers-block 1"), "{page}");
    assert!(run(tidings(at).args(["man", "fly"]), 2).1.contains("no command `fly`"));
}

#[test]
fn a_mistake_in_the_file_is_told_with_its_line() {
    let home = home();
    let at = home.path();
    for (text, told) in [
        ("name = \"ant\"\n\nsync_interval = \"1s\"\n", ":3: there is no setting \"sync_interval\""),
        ("name = \"ant\"\nopen = \"yes\"\n", ":2: open: "),
        ("\n\nsync-interval = \"soon\"\n", ":3: sync-interval: "),
        ("open = true\nname = \n", ":2: "),
    ] {
        fs::write(at.join("t.toml"), text).expect("writes");
        for command in [&["node"][..], &["config", "show"]] {
            let (_, stderr) = run(tidings(at).args(command).args(["--config", "t.toml"]), 2);
            assert!(stderr.contains(&format!("t.toml{told}")), "{stderr}");
        }
    }
    let (_, stderr) = run(tidings(at).args(["node", "--config", "none.toml"]), 2);
    assert!(stderr.contains("none.toml"), "{stderr}");
}

#[test]
fn every_setting_says_where_it_comes_from() {
    let home = home();
    let at = home.path();
    fs::write(at.join("t.toml"), "name = \"file\"\nmesh = \"file\"\n\nhttp = \"off\"\n").expect("writes");
    let show = |more: &[&str]| {
        let mut command = tidings(at);
        command.args(["config", "show", "--config", "t.toml", "--name", "flag"]).args(more);
        run(command.env("TIDINGS_MESH", "variable").env("TIDINGS_NAME", "variable"), 0).0
    };
    let shown = show(&["--origin"]);
    let line = |name: &str| {
        let line = shown.lines().find(|line| line.starts_with(name)).expect("is shown");
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("name"), "name = \"flag\" # flag");
    assert_eq!(line("mesh"), "mesh = \"variable\" # environment TIDINGS_MESH");
    assert_eq!(line("http ="), "http = \"off\" # file t.toml:4");
    assert_eq!(line("durability"), "durability = \"fsync\" # default");

    fs::write(at.join("shown.toml"), show(&[])).expect("writes");
    let (again, _) = run(tidings(at).args(["config", "show", "--config", "shown.toml"]), 0);
    assert_eq!(again, show(&[]), "what is shown is a file of settings");
}

#[test]
fn a_node_stops_cleanly_and_remembers_what_it_acknowledged() {
    let home = home();
    let at = home.path();
    for (signal, value) in [(Signal::TERM, "1"), (Signal::INT, "2")] {
        let mut ant = Running::start(at, "ant", &["--open"]);
        let id = ant.hear("peer id ");
        ant.hear("listening on /ip4/127.0.0.1/tcp/");
        run(&mut ant.ask(at, &["put", value, value]), 0);
        ant.signal(signal);
        assert_eq!(ant.ended(), Some(0));
        let mut again = Running::start(at, "ant", &["--open"]);
        assert_eq!(again.hear("peer id "), id);
        assert_eq!(run(&mut again.ask(at, &["get", value]), 0).0, value);
        again.signal(Signal::TERM);
        assert_eq!(again.ended(), Some(0));
    }
}

#[test]
fn what_is_in_use_is_not_taken() {
    let home = home();
    let at = home.path();
    let ant = Running::start(at, "ant", &["--open"]);
    let start = |data: &str, http: &str| {
        let mut command = tidings(at);
        command.args(["node", "--open", "--no-discovery", "--data-dir", data, "--http", http]);
        command.args(["--listen", "/ip4/127.0.0.1/tcp/0"]);
        run(&mut command, 1).1
    };
    let stderr = start("ant", "off");
    assert!(stderr.contains("in use") && stderr.contains("--data-dir"), "{stderr}");
    let taken = ant.url.trim_start_matches("http://");
    let stderr = start("bat", taken);
    assert!(stderr.contains(taken) && stderr.contains("--http"), "{stderr}");
}

#[test]
fn the_first_start_makes_a_key_that_only_its_owner_reads() {
    let home = home();
    let at = home.path();
    let mut ant = Running::start(at, "ant", &[]);
    let key = at.join("config").join("tidings").join("swarm.key");
    assert_eq!(fs::metadata(&key).expect("was made").permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&key).expect("reads").starts_with("/key/swarm/psk/1.0.0/"));
    assert!(ant.hear("made a key").contains(&key.display().to_string()));

    let none = ["node", "--swarm-key", "none", "--http", "off", "--listen", "/ip4/127.0.0.1/tcp/0"];
    assert!(run(tidings(at).args(none), 1).1.contains("none"), "a key that was named is not made");
    let bat = Running::start(at, "bat", &[]);
    assert!(!bat.said.iter().any(|line| line.starts_with("made a key")), "{:?}", bat.said);
    let cat = Running::start(at, "cat", &["--open"]);
    assert!(cat.said.iter().any(|line| line.starts_with("warning: --open")), "{:?}", cat.said);
}

#[test]
fn two_nodes_of_one_user_meet_when_one_is_told_of_the_other() {
    let home = home();
    let at = home.path();
    let mut ant = Running::start(at, "ant", &[]);
    let mut bat = Running::start(at, "bat", &[]);
    let id = |running: &mut Running| running.hear("peer id ").trim_start_matches("peer id ").to_owned();
    let (ant_id, bat_id) = (id(&mut ant), id(&mut bat));
    let address = ant.hear("listening on /ip4/127.0.0.1/tcp/").trim_start_matches("listening on ").to_owned();
    run(&mut bat.ask(at, &["peers", "connect", &address]), 0);
    assert!(bat.hear(&format!("peer found: {ant_id}")).contains("(ant)"));
    ant.hear(&format!("peer found: {bat_id}"));
    let (peers, _) = run(&mut bat.ask(at, &["peers"]), 0);
    let line = peers.lines().find(|line| line.contains(&ant_id)).expect("is listed");
    assert!(line.contains("connected") && line.contains("ant"), "{peers}");
    assert!(run(&mut bat.ask(at, &["status"]), 0).0.contains(&bat_id));

    run(&mut ant.ask(at, &["put", "a", "1"]), 0);
    assert!(run(&mut bat.ask(at, &["sync"]), 0).0.contains(&ant_id));
    assert_eq!(run(&mut bat.ask(at, &["get", "a"]), 0).0, "1");
    for way in ["--pull", "--push"] {
        assert!(run(&mut bat.ask(at, &["sync", &ant_id, way]), 0).0.contains(&ant_id));
    }
    assert!(run(&mut bat.ask(at, &["sync", &bat_id]), 1).1.contains("is not connected"));
    // A namespace that the other does not carry is no failure, unless it was asked for.
    run(&mut bat.ask(at, &["namespaces", "join", "own"]), 0);
    let (all, _) = run(&mut bat.ask(at, &["sync"]), 0);
    assert!(all.lines().any(|line| line.contains(" own ") && line.contains("not carried")), "{all}");
    assert!(run(&mut bat.ask(at, &["sync", "--ns", "own"]), 1).1.contains("does not carry"));
    run(&mut bat.ask(at, &["peers", "block", &ant_id]), 0);
    bat.hear(&format!("peer lost: {ant_id}"));
    run(&mut bat.ask(at, &["peers", "unblock", &ant_id]), 0);
    run(&mut bat.ask(at, &["peers", "connect", "nowhere"]), 1);
}

#[test]
fn changes_are_printed_as_they_happen_and_go_on_from_a_cursor() {
    let home = home();
    let node = Running::start(home.path(), "ant", &["--open"]);
    let ask = |arguments: &[&str]| run(&mut node.ask(home.path(), arguments), 0).0;
    let watch = |arguments: &[&str]| {
        let mut child = node.ask(home.path(), arguments).stdout(Stdio::piped()).spawn().expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("is piped")).lines();
        (child, lines)
    };
    ask(&["put", "users/1", "old"]);
    let (mut child, mut lines) = watch(&["watch", "users", "--snapshot", "--json"]);
    let first: Value = serde_json::from_str(&lines.next().expect("a line").expect("reads")).expect("JSON");
    assert_eq!((&first["key"], &first["value"]), (&"users/1".into(), &"old".into()));
    let cursor = first["cursor"].as_str().expect("a cursor").to_owned();
    child.kill().and_then(|()| child.wait()).expect("is a child");
    let made = ask(&["put", "users/", "new"]);
    ask(&["del", "users/1"]);
    let (mut child, mut lines) = watch(&["watch", "users", "--since", &cursor]);
    let mut told = [lines.next(), lines.next()].map(|line| line.expect("a line").expect("reads"));
    told.sort();
    let mut expected = [format!("{}\tnew", made.trim()), "users/1\t(deleted)".to_owned()];
    expected.sort();
    assert_eq!(told, expected);
    child.kill().and_then(|()| child.wait()).expect("is a child");
    run(&mut node.ask(home.path(), &["watch", "--since", "nonsense"]), 1);
}

#[test]
fn an_api_with_tokens_asks_for_one() {
    let home = home();
    fs::write(home.path().join("tokens"), "0123456789abcdef read,write prefix=users\n").expect("writes");
    let node = Running::start(home.path(), "ant", &["--open", "--http-tokens", "tokens"]);
    let (_, why) = run(&mut node.ask(home.path(), &["get", "users/1"]), 1);
    assert!(why.contains("--token"), "{why}");
    run(node.ask(home.path(), &["put", "users/1", "x"]).env("TIDINGS_TOKEN", "0123456789abcdef"), 0);
    run(&mut node.ask(home.path(), &["get", "users/1", "--token", "0123456789abcdef"]), 0);
    run(&mut node.ask(home.path(), &["put", "birds/1", "x", "--token", "0123456789abcdef"]), 1);
    fs::write(home.path().join("wrong"), "# none\nshort read\n").expect("writes");
    let mut wrong = tidings(home.path());
    let (_, why) = run(wrong.args(["node", "--open", "--http-tokens", "wrong"]), 2);
    assert!(why.contains("--http-tokens: wrong, line 2: "), "{why}");
}
